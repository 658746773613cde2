import type { IdentityStore } from '../host/browser.js'
import type { Attic, Remains } from '../host/tidying.js'
import type { Incarnation, PeerId } from '../raft/entry.js'
import type { Storage } from '../storage/storage.js'
import { DeviceClock, type DeviceClockOptions } from './clock.js'
import { SimDisk, type WriteListener } from './disk.js'
import { SimLocks } from './locks.js'
import type { Prng } from './prng.js'
import type { Thread } from './thread.js'
import type { World } from './world.js'

/** A browser on a device: clocks, locks and databases that its tabs share. */
export class SimBrowser {
  readonly id: string
  readonly clock: DeviceClock
  readonly locks: SimLocks
  /** By identity; the one that was used last stands last. */
  readonly disks = new Map<PeerId, SimDisk>()
  /** Disks that are gone for good: only checkers know what they held. */
  readonly lost = new Map<PeerId, SimDisk>()
  /** Identities of histories that have ended, with the highest token of each (N2, N3). */
  readonly archived = new Map<PeerId, number>()
  roomId: string | null = null
  /** What it hides, it may stop. */
  isPhone = false
  /** Its tabs join as `role: 'learner'`. */
  isLearnerOnly = false
  /** When each identity was claimed last, wall time. */
  readonly #lastUsed = new Map<PeerId, number>()
  readonly #world: World
  readonly #onwrite: WriteListener
  readonly #prng: Prng
  #identities = 0

  constructor(world: World, id: string, clock: DeviceClockOptions, onwrite: WriteListener = () => {}) {
    this.#world = world
    this.#onwrite = onwrite
    this.id = id
    this.clock = new DeviceClock(world, clock)
    this.locks = new SimLocks(world, id)
    this.#prng = world.prng.fork(`browser ${id}`)
  }

  /** The store of identities as a thread has it: every answer takes a moment. */
  identitiesOf(thread: Thread, wrap: (storage: Storage) => Storage = (storage) => storage): IdentityStore {
    const later = this.#laterOn(thread)
    return {
      browserId: () => later('browser id', () => this.id),
      list: () =>
        later('identities', () =>
          [...this.disks.keys()]
            .filter((peerId) => !this.archived.has(peerId))
            .reverse()
            .map((peerId) => ({ peerId })),
        ),
      archive: (peerId, tokenFloor) => later('archive', () => void this.archived.set(peerId, tokenFloor)),
      archived: () => later('archived identities', () => [...this.archived.keys()].map((peerId) => ({ peerId }))),
      tokenFloor: () => later('token floor', () => Math.max(0, ...this.archived.values())),
      create: () => later('new identity', () => ({ peerId: this.#create(thread) })),
      roomId: () => later('room id', () => this.roomId),
      setRoomId: (roomId) =>
        later('remember room', () => {
          this.roomId = roomId
        }),
      lastIncarnation: (peerId) => later('last life', () => this.#lastLife(peerId)),
      open: (peerId) => later('open disk', () => wrap(this.#open(peerId, thread))),
    }
  }

  atticOf(thread: Thread): Attic {
    const later = this.#laterOn(thread)
    return {
      list: () =>
        later('identities', () =>
          [...this.disks.keys()]
            .filter((peerId) => !this.archived.has(peerId))
            .map((peerId) => ({ peerId, lastUsed: this.#lastUsed.get(peerId) ?? 0 })),
        ),
      remains: (peerId) => later('remains', () => this.#remains(peerId)),
      remove: (peerId) => later('forget', () => this.lose(peerId)),
    }
  }

  #laterOn(thread: Thread) {
    return <T>(label: string, run: () => T): Promise<T> =>
      new Promise((resolve, reject) =>
        thread.post(this.#prng.tail(0.5, 20), label, () => {
          try {
            resolve(run())
          } catch (error) {
            reject(error)
          }
        }),
      )
  }

  #remains(peerId: PeerId): Remains {
    const { lineage = null, groups } = this.disks.get(peerId)?.read() ?? { groups: new Map() }
    const { entries = [], snapshot = null } = groups.get(0) ?? {}
    const lastIndex = entries.at(-1)?.index ?? snapshot?.meta.index ?? 0
    return { incarnation: this.#lastLife(peerId), lineage, lastIndex }
  }

  /** As a cloned profile has it: the same identity, with what its disk holds at this moment (F2). */
  copyIdentity(peerId: PeerId, from: SimBrowser): void {
    const original = from.disks.get(peerId)
    if (!original) throw new Error(`there is no identity ${peerId} in browser ${from.id}`)
    const disk = new SimDisk(this.#world, `${peerId} in ${this.id}`, this.#onwrite)
    disk.copyFrom(original)
    this.disks.set(peerId, disk)
    this.roomId = from.roomId
  }

  /** Its first letters are random, so that no order of ids means anything. */
  #create(thread: Thread): PeerId {
    this.#identities += 1
    const peerId = `${this.#prng.text(3)}-${this.id}${this.#identities}`
    this.disks.set(peerId, new SimDisk(this.#world, peerId, this.#onwrite))
    this.#lastUsed.set(peerId, thread.clock.now().wall)
    return peerId
  }

  /** Nothing of that identity is left, not even that there was one (B13). Nobody may have it open. */
  lose(peerId: PeerId): void {
    const disk = this.disks.get(peerId)
    // What took its place since is nobody's.
    if (disk && !this.lost.has(peerId)) this.lost.set(peerId, disk)
    this.disks.delete(peerId)
  }

  /** Its database is gone, and what lists the identities still knows of it. Nobody may have it open. */
  blank(peerId: PeerId): void {
    this.lose(peerId)
    this.disks.set(peerId, new SimDisk(this.#world, peerId, this.#onwrite))
  }

  #lastLife(peerId: PeerId): Incarnation | null {
    const incarnation = this.disks.get(peerId)?.memory.incarnation
    return incarnation && incarnation.counter > 0 ? incarnation : null
  }

  #open(peerId: PeerId, thread: Thread): Storage {
    const disk = this.disks.get(peerId)
    if (!disk) throw new Error(`there is no identity ${peerId} in browser ${this.id}`)
    this.disks.delete(peerId)
    this.disks.set(peerId, disk)
    this.#lastUsed.set(peerId, thread.clock.now().wall)
    return disk.open(thread)
  }
}
