import { beforeEach, describe, expect, it } from 'vitest'
import { decodeInstruction } from '../machine/instruction.js'
import { defaultSettings } from '../machine/settings.js'
import { machineVersion } from '../machine/version.js'
import { foundingLockName, identityLockName, lifeLockName, memoryRoomLockName } from '../shared/life.js'
import { MemoryDisk, MemoryStorage } from '../storage/memory.js'
import { type Claim, claimIdentity, type Settled, settleRoom } from './boot.js'
import type { HeldLock, IdentityStore, Registrar } from './browser.js'
import { DeathWatch } from './death-watch.js'
import { Holding } from './holding.js'
import { type Resident, Residents } from './residents.js'
import { ManualClock, TestLocks } from './test-locks.js'

/** What a browser keeps on its disk. */
class TestIdentities implements IdentityStore {
  readonly disks = new Map<string, MemoryDisk>()
  known: string | null = null
  failsToOpen = false
  #lives = 0

  async browserId() {
    return 'browser'
  }

  /** The newest claim first. */
  async list() {
    return [...this.disks.keys()].reverse().map((peerId) => ({ peerId }))
  }

  async create() {
    const peerId = `peer${this.disks.size + 1}`
    this.disks.set(peerId, new MemoryDisk())
    return { peerId }
  }

  async roomId() {
    return this.known
  }

  async setRoomId(roomId: string) {
    this.known = roomId
  }

  async archive(peerId: string) {
    this.disks.delete(peerId)
  }

  async archived() {
    return []
  }

  async tokenFloor() {
    return 0
  }

  async lastIncarnation(peerId: string) {
    const incarnation = this.disks.get(peerId)?.incarnation
    return incarnation && incarnation.counter > 0 ? incarnation : null
  }

  async open(peerId: string) {
    const disk = this.disks.get(peerId)
    if (!disk || this.failsToOpen) throw new Error('no disk')
    this.#lives += 1
    this.disks.delete(peerId)
    this.disks.set(peerId, disk)
    return new MemoryStorage(disk, `life ${this.#lives}`)
  }
}

class TestRegistrar implements Registrar {
  roomId: string | null = null
  isUp = true
  readonly calls: string[] = []

  async lookUp() {
    this.calls.push('lookUp')
    if (!this.isUp) throw new Error('unreachable')
    return this.roomId
  }

  async register(roomId: string, existing: boolean) {
    this.calls.push(`register ${roomId}${existing ? ' existing' : ''}`)
    if (!this.isUp) throw new Error('unreachable')
    this.roomId ??= roomId
    return this.roomId
  }
}

let clock: ManualClock
let locks: TestLocks
let identities: TestIdentities

beforeEach(() => {
  clock = new ManualClock()
  locks = new TestLocks()
  identities = new TestIdentities()
})

const claim = (preferred: string | null = null, of = { locks, identities }) =>
  claimIdentity({ room: 'r', clock, ...of }, preferred)

/** An identity of a tab that is gone. */
async function formerly(): Promise<string> {
  const { peerId, lock } = await claim()
  lock.release()
  return peerId
}

describe('[L1] claiming an identity', () => {
  it('the first tab makes one, and holds its lock', async () => {
    const { peerId, storage, lock } = await claim()
    expect([peerId, storage.incarnation.counter]).toEqual(['peer1', 1])
    expect(locks.isHeld(identityLockName('r', peerId))).toBe(true)
    lock.release()
    expect(locks.isHeld(identityLockName('r', peerId))).toBe(false)
  })

  it('a tab after it takes the one that is free, as a new incarnation', async () => {
    await formerly()
    const { peerId, storage } = await claim()
    expect([peerId, storage.incarnation.counter]).toEqual(['peer1', 2])
  })

  it('of those that are free the newest', async () => {
    const [first, second, third] = [await claim(), await claim(), await claim()]
    for (const { lock } of [first, second, third]) lock.release()
    expect((await claim()).peerId).toBe('peer3')
    expect((await claim()).peerId).toBe('peer2')
  })

  it('two tabs at once have two', async () => {
    await formerly()
    const both = await Promise.all([claim(), claim()])
    expect(new Set(both.map(({ peerId }) => peerId)).size).toBe(2)
  })

  it('[N3] not the one that was put to the archive since it was listed', async () => {
    await formerly()
    const list = identities.list.bind(identities)
    const seen = await list()
    // As it was, the first time that somebody asks.
    identities.list = async () => {
      identities.list = list
      await identities.archive('peer1')
      identities.lastIncarnation = async () => ({ counter: 1, nonce: 'life 1' })
      return seen
    }
    identities.create = async () => {
      identities.disks.set('another', new MemoryDisk())
      return { peerId: 'another' }
    }
    identities.disks.set('peer1', new MemoryDisk())
    expect((await claim()).peerId).toBe('another')
  })

  it('a reload gets its own, though others are free', async () => {
    const [first, second] = [await claim(), await claim()]
    first.lock.release()
    second.lock.release()
    expect((await claim('peer1')).peerId).toBe('peer1')
  })

  it('a reload waits up to a second for the page before it', async () => {
    const before = await claim()
    const claiming = claim('peer1')
    await clock.pass(999)
    before.lock.release()
    expect((await claiming).peerId).toBe('peer1')
    expect(identities.disks.size).toBe(1)
  })

  it('... and no longer: a duplicated tab gets another one', async () => {
    await claim()
    const claiming = claim('peer1')
    await clock.pass(1_000)
    expect((await claiming).peerId).toBe('peer2')
  })

  it('an identity that is not there any more is not waited for', async () => {
    await formerly()
    expect((await claim('forgotten')).peerId).toBe('peer1')
  })

  it('[B13] one whose database was lost is left alone: whoever votes under it has forgotten how it voted', async () => {
    const peerId = await formerly()
    identities.disks.set(peerId, new MemoryDisk())
    const { peerId: other, storage } = await claim(peerId)
    expect([other, storage.incarnation.counter]).toEqual(['peer2', 1])
    expect(locks.isHeld(identityLockName('r', peerId))).toBe(false)
    expect((await claim()).peerId).toBe('peer3')
  })

  it('[L2] one whose page still lives is left alone, though its worker is gone', async () => {
    const peerId = await formerly()
    const life = identities.disks.get(peerId)?.incarnation ?? { counter: 0, nonce: '' }
    await locks.hold(lifeLockName(peerId, life))
    const claiming = claim(peerId)
    for (let i = 0; i < 5; i += 1) await clock.pass(1_000)
    const { peerId: other } = await claiming
    expect(other).not.toBe(peerId)
    expect(locks.isHeld(identityLockName('r', peerId))).toBe(false)
  })

  it('a disk that does not open leaves no lock behind', async () => {
    identities.failsToOpen = true
    await expect(claim()).rejects.toThrow('no disk')
    expect(locks.isHeld(identityLockName('r', 'peer1'))).toBe(false)
  })
})

describe('[L1][L4] a tab that starts in the moment when another one has the identity of a dead one', () => {
  const resident: Resident = { configuration: null, unreachableVoters: [], isOver: false, archiving: null, stop() {} }
  const residentsOf = () => new Residents({ room: 'r', locks, identities, onDead: () => {}, start: () => resident })
  const incarnationOf = (peerId: string) => identities.disks.get(peerId)?.incarnation ?? { counter: 0, nonce: '' }

  /** Opens a tab as soon as that identity is in other hands; `meanwhile` happens now and then. */
  async function startAmid(peerId: string, look: () => Promise<void> | void, meanwhile = () => {}): Promise<string> {
    const hold = locks.hold.bind(locks)
    const claimed = new Promise<Claim>((resolve) => {
      locks.hold = async (name, options) => {
        const lock = await hold(name, options)
        if (lock && name === identityLockName('r', peerId)) {
          locks.hold = hold
          void claim().then(resolve)
        }
        return lock
      }
    })
    await look()
    let isOver = false
    void claimed.then(() => (isOver = true))
    for (let i = 0; i < 20 && !isOver; i++) {
      meanwhile()
      await clock.pass(50)
    }
    return (await claimed).peerId
  }

  it('it is looked whether that one is dead, and told: it is waited for', async () => {
    const peerId = await formerly()
    expect(await startAmid(peerId, () => residentsOf().prove([peerId]))).toBe(peerId)
  })

  it('its death is proven: it is waited for', async () => {
    const peerId = await formerly()
    const dead: unknown[] = []
    const watch = new DeathWatch('r', locks, clock, (life) => dead.push(life))
    const life = { peerId, incarnation: incarnationOf(peerId) }
    // A third tab that has just got the sign keeps the proof waiting.
    let sign: Promise<HeldLock | null> | null = null
    const meanwhile = () => {
      if (sign) void sign.then((lock) => lock?.release())
      else sign = locks.hold(lifeLockName(peerId, life.incarnation))
    }
    expect(await startAmid(peerId, () => watch.watch(life), meanwhile)).toBe(peerId)
    expect(dead).toEqual([life])
  })

  it('its node is carried on: it is let go for the tab', async () => {
    const peerId = await formerly()
    const residents = residentsOf()
    const look = () => void residents.adopt([peerId])
    expect(await startAmid(peerId, look, () => residents.review())).toBe(peerId)
  })

  it('... or would have it while the tab asks for it: nobody looks then', async () => {
    const peerId = await formerly()
    const hold = locks.hold.bind(locks)
    const looks: boolean[] = []
    locks.hold = async (name, options) => {
      if (name === identityLockName('r', peerId)) {
        locks.hold = hold
        looks.push(await new Holding(locks).takeIdentity('r', peerId))
      }
      return hold(name, options)
    }
    expect([(await claim()).peerId, looks]).toEqual([peerId, [false]])
  })

  it('that one lives: it is waited for no longer than the look', async () => {
    const { peerId } = await claim()
    const look = residentsOf().prove([peerId])
    const another = await claim()
    await look
    expect([another.peerId, clock.time]).toEqual(['peer2', 0])
  })

  it('it is not let go: a tab has one of its own a second later', async () => {
    const peerId = await formerly()
    const residents = residentsOf()
    await residents.adopt([peerId])
    const claiming = claim()
    for (let i = 0; i < 40; i++) await clock.pass(50)
    expect((await claiming).peerId).toBe('peer2')
  })
})

describe('[N1] settling a room', () => {
  let ids: number
  const settle = (
    claimed: Claim,
    registrar: Registrar | null = null,
    store: IdentityStore = identities,
    service = locks,
    inMemory = false,
  ) =>
    settleRoom(claimed, {
      room: 'r',
      locks: service,
      identities: store,
      clock,
      registrar,
      settings: defaultSettings,
      machineVersion,
      randomText: () => `room${++ids}`,
      inMemory,
    })
  const roomOf = ({ stored, expectedRoomId }: Settled) => [stored.lineage?.roomId ?? null, expectedRoomId]
  const diskRoom = (peerId: string) => identities.disks.get(peerId)?.read().lineage?.roomId ?? null

  beforeEach(() => {
    ids = 0
  })

  it('the first founds it: on its disk before anybody is told, with itself as only voter', async () => {
    const claimed = await claim()
    const registrar = new TestRegistrar()
    let onDisk: string | null = null
    const settled = await settle(claimed, {
      lookUp: () => registrar.lookUp(),
      register: (roomId, existing) => {
        onDisk = diskRoom(claimed.peerId)
        return registrar.register(roomId, existing)
      },
    })
    expect(roomOf(settled)).toEqual(['room1', 'room1'])
    expect([onDisk, identities.known, registrar.roomId]).toEqual(['room1', 'room1', 'room1'])
    expect(settled.stored).toEqual(identities.disks.get(claimed.peerId)?.read())
    const group = settled.stored.groups.get(0)
    const [configuration, founding, raise] = group?.entries ?? []
    expect(group?.hardState).toEqual({ term: 1, votedFor: null, promisedTo: null, commitIndex: 3 })
    expect(configuration).toMatchObject({
      configuration: { voters: ['peer1'], incarnations: { peer1: claimed.storage.incarnation } },
    })
    const instruction = founding?.type === 'command' ? decodeInstruction(founding.data) : null
    expect(instruction).toMatchObject({ type: 'found', roomId: 'room1', tokenBase: 1_780_000_000 * 2 ** 20 })
    expect(raise?.type === 'command' && decodeInstruction(raise.data)).toEqual({
      type: 'raise',
      version: machineVersion,
    })
    expect(locks.isHeld(foundingLockName('r'))).toBe(false)
  })

  it('two founders in one browser: one founds, the other looks for that room', async () => {
    const [first, second] = [await claim(), await claim()]
    const both = await Promise.all([settle(first), settle(second)])
    expect(both.map(roomOf)).toEqual([
      ['room1', 'room1'],
      [null, 'room1'],
    ])
    expect(diskRoom('peer2')).toBeNull()
  })

  it('two founders in two browsers: the registrar decides, the loser forgets its room', async () => {
    const registrar = new TestRegistrar()
    const elsewhere = { locks: new TestLocks(), identities: new TestIdentities() }
    const [first, second] = [await claim(), await claim(null, elsewhere)]
    const [mine, theirs] = await Promise.all([
      settle(first, registrar),
      settle(second, registrar, elsewhere.identities, elsewhere.locks),
    ])
    const winner = registrar.roomId
    expect([mine.expectedRoomId, theirs.expectedRoomId]).toEqual([winner, winner])
    const carriers = [mine, theirs].filter(({ stored }) => stored.lineage !== null)
    expect(carriers).toHaveLength(1)
    const disks = [...identities.disks.values(), ...elsewhere.identities.disks.values()].map((disk) => disk.read())
    expect(disks.map(({ lineage, groups }) => [lineage?.roomId ?? null, groups.size]).sort()).toEqual(
      [
        [winner, 1],
        [null, 0],
      ].sort(),
    )
  })

  it('who comes later looks for the registered room and founds nothing', async () => {
    const registrar = new TestRegistrar()
    registrar.roomId = 'elder'
    expect(roomOf(await settle(await claim(), registrar))).toEqual([null, 'elder'])
    expect(registrar.calls).toEqual(['lookUp'])
    expect(diskRoom('peer1')).toBeNull()
  })

  it('a room that this browser knows is not asked for, and not founded again', async () => {
    identities.known = 'elder'
    const registrar = new TestRegistrar()
    registrar.isUp = false
    expect(roomOf(await settle(await claim(), registrar))).toEqual([null, 'elder'])
  })

  it('who carries the room goes on with it, and the servers hear of it, whether they answer or not', async () => {
    const first = await claim()
    await settle(first)
    first.lock.release()
    const registrar = new TestRegistrar()
    registrar.isUp = false
    const again = await settle(await claim(), registrar)
    expect(roomOf(again)).toEqual(['room1', 'room1'])
    expect(again.stored.groups.get(0)?.entries).toHaveLength(3)
    expect(registrar.calls).toEqual(['register room1 existing'])
  })

  it('a founding that crashed before it was noted yields to the one that was', async () => {
    const first = await claim()
    await settle(first)
    first.lock.release()
    identities.known = 'elder'
    expect(roomOf(await settle(await claim()))).toEqual([null, 'elder'])
    expect(diskRoom('peer1')).toBeNull()
  })

  it('a founding that could not be registered was never acknowledged: it yields to the one that was', async () => {
    const registrar = new TestRegistrar()
    const first = await claim()
    const looked = { lookUp: async () => null, register: () => Promise.reject(new Error('unreachable')) }
    await expect(settle(first, looked)).rejects.toThrow('unreachable')
    expect([diskRoom('peer1'), identities.known]).toEqual(['room1', null])
    expect(locks.isHeld(foundingLockName('r'))).toBe(false)
    first.lock.release()
    registrar.roomId = 'elder'
    expect(roomOf(await settle(await claim(), registrar))).toEqual([null, 'elder'])
    expect(diskRoom('peer1')).toBeNull()
  })

  it('... and is registered late when nobody else has founded the room', async () => {
    const registrar = new TestRegistrar()
    const looked = { lookUp: async () => null, register: () => Promise.reject(new Error('unreachable')) }
    const first = await claim()
    await expect(settle(first, looked)).rejects.toThrow('unreachable')
    first.lock.release()
    expect(roomOf(await settle(await claim(), registrar))).toEqual(['room1', 'room1'])
    expect([registrar.roomId, identities.known]).toEqual(['room1', 'room1'])
  })

  const inMemory = async () => settle(await claim(), null, identities, locks, true)

  it('a room founded in memory says so in its settings, and its browser has it for as long as its founder lives', async () => {
    const { stored, carrier } = await inMemory()
    const found = stored.groups.get(0)?.entries.find((entry) => entry.type === 'command')
    expect(found && decodeInstruction(found.data)).toMatchObject({ type: 'found', settings: { storage: 'memory' } })
    expect(locks.isHeld(memoryRoomLockName('r'))).toBe(true)
    identities.known = null
    const other = await settle(await claim())
    expect(roomOf(other)).toEqual([null, null])
    carrier?.release()
    expect(roomOf(await settle(await claim()))).toEqual(['room2', 'room2'])
  })

  it('... and not for longer than it takes, if it was founded on a disk or lost its founding', async () => {
    const onDisk = await settle(await claim())
    expect([onDisk.carrier, locks.isHeld(memoryRoomLockName('r'))]).toEqual([null, false])
    identities.known = null
    const registrar = { lookUp: async () => null, register: async () => 'elder' }
    const lost = await settle(await claim(), registrar, identities, locks, true)
    expect(roomOf(lost)).toEqual([null, 'elder'])
    expect([lost.carrier, locks.isHeld(memoryRoomLockName('r'))]).toEqual([null, false])
    const refused = { lookUp: async () => null, register: () => Promise.reject(new Error('unreachable')) }
    await expect(settle(await claim(), refused, identities, locks, true)).rejects.toThrow('unreachable')
    expect(locks.isHeld(memoryRoomLockName('r'))).toBe(false)
  })

  it('servers that do not answer found nothing', async () => {
    const registrar = new TestRegistrar()
    registrar.isUp = false
    await expect(settle(await claim(), registrar)).rejects.toThrow('unreachable')
    expect(diskRoom('peer1')).toBeNull()
    expect(locks.isHeld(foundingLockName('r'))).toBe(false)
  })
})
