/** Bad input at a living room: refused, counted, harmless. Whatever the checkers of the simulator see convicts. */
import { describe, expect, it } from 'vitest'
import { encodeFrame, type Item } from '../../src/host/frame.js'
import type { DropReason } from '../../src/host/refusals.js'
import { encodeInstruction } from '../../src/machine/instruction.js'
import { findSessionOfPeer } from '../../src/machine/session/view.js'
import type { LinkListener, Network } from '../../src/network/link.js'
import { crc32 } from '../../src/raft/checksum.js'
import type { Configuration } from '../../src/raft/entry.js'
import type { Message } from '../../src/raft/message.js'
import type { SimTab } from '../../src/simulation/tab.js'
import { Story, withLease } from './story.js'

const lease = 5_000
const abroad = { ...withLease(lease), registrar: true }

type Said = Message extends infer M ? (M extends Message ? Omit<M, 'from' | 'to'> : never) : never

interface Room {
  readonly story: Story
  readonly tabs: readonly SimTab[]
  readonly leader: SimTab
  readonly liar: SimTab
  readonly other: SimTab
}

/** Three browsers, of which one lies; or as many tabs of one. */
async function room(seed: string, tabsOfBrowsers: readonly number[] = [1, 1, 1]): Promise<Room> {
  const story = new Story(`hostile: ${seed}`, abroad)
  const tabs = await story.open(...tabsOfBrowsers)
  const leader = story.leaderOf(tabs)
  const [liar, other] = tabs.filter((tab) => tab !== leader)
  if (!liar || !other) throw new Error('three tabs')
  return { story, tabs, leader, liar, other }
}

async function refusedBy(story: Story, tab: SimTab): Promise<Readonly<Record<DropReason, number>>> {
  return (await story.settle(tab.page.room.metrics())).refused
}

/** All write, hold, and know what was acknowledged to the others. */
async function goesOn({ story, tabs }: Room): Promise<void> {
  const written = story.now
  for (const [i, tab] of tabs.entries()) {
    await story.settle(tab.page.room.store.set(`of ${i}`, written + i))
    const lock = await story.acquire(tab, `doc ${i}`)
    expect(lock.state).toBe('held')
    await story.settle(lock.release())
  }
  for (const [i, tab] of tabs.entries()) {
    const next = (i + 1) % tabs.length
    expect((await story.settle(tab.page.room.store.get(`of ${next}`)))?.value).toBe(written + next)
    expect(tab.page.room.status).toBe('ready')
  }
}

/** What `does` does is refused by that tab for that reason so many times, and the room goes on in its term. */
async function isRefused(at: Room, by: SimTab, reason: DropReason, times: number, does: () => void): Promise<void> {
  const { story } = at
  const before = await refusedBy(story, by)
  const { term } = story.hostOf(by).host.status
  does()
  await story.pass(500)
  const after = await refusedBy(story, by)
  expect(after[reason] - before[reason]).toBe(times)
  expect(story.hostOf(by).host.status.term).toBe(term)
  await goesOn(at)
}

const raft = (at: Room, from: SimTab, to: SimTab, message: Said): Item => ({
  type: 'raft',
  group: 0,
  message: { from: at.story.peerOf(from), to: at.story.peerOf(to), ...message } as Message,
})

describe('[L2][M1] who is said to be gone', () => {
  const lifeOf = ({ story }: Room, tab: SimTab) => {
    const { peerId, incarnation } = story.hostOf(tab).self
    return { peerId, incarnation }
  }

  it('by a peer of another browser, which cannot know, is not', async () => {
    const at = await room('death abroad')
    const { story, leader, liar, other } = at
    const session = findSessionOfPeer(story.hostOf(leader).host.machine, story.peerOf(other))?.session
    await isRefused(at, leader, 'departure', 1, () =>
      story.say(liar, leader, [{ type: 'departed', ...lifeOf(at, other), proof: 'death', lastNumber: 0 }]),
    )
    expect(findSessionOfPeer(story.hostOf(leader).host.machine, story.peerOf(other))?.session).toBe(session)
  })

  it('and is the very one that is told, is not', async () => {
    const at = await room('my own death', [3])
    const { story, leader, liar } = at
    await isRefused(at, leader, 'departure', 2, () => {
      for (const proof of ['death', 'goodbye'] as const)
        story.say(liar, leader, [{ type: 'departed', ...lifeOf(at, leader), proof, lastNumber: 0 }])
    })
  })

  it('by a liar of its own browser comes back by itself, with a new session, and nothing acknowledged is lost', async () => {
    const at = await room('death at home', [3])
    const { story, leader, liar, other } = at
    await story.settle(other.page.room.store.set('k', 'kept'))
    const sessionOf = () => findSessionOfPeer(story.hostOf(leader).host.machine, story.peerOf(other))?.session
    const session = sessionOf()
    story.say(liar, leader, [{ type: 'departed', ...lifeOf(at, other), proof: 'death', lastNumber: 0 }])
    await story.until(() => sessionOf() !== session, 1_000, 'the end of its session')
    const early = story.watch(other.page.room.store.set('l', 'early'))
    await story.until(() => (sessionOf() ?? 0) > (session ?? 0), 10_000, 'its next session')
    await story.until(() => early.at !== null, 10_000, 'an answer')
    // S-2: sent in the session that was ended, or kept for the next one.
    if (early.error) expect(early.error).toMatchObject({ code: 'outcome-unknown' })
    await story.settle(other.page.room.store.set('l', 'late'))
    expect((await story.settle(liar.page.room.store.get('k')))?.value).toBe('kept')
    await story.pass(3_000)
    expect((await refusedBy(story, leader)).departure).toBe(1)
    expect(story.hostOf(leader).host.status.configuration.voters).toContain(story.peerOf(other))
    await goesOn(at)
  })

  it('and was never there, is not remembered, however many they are', async () => {
    const at = await room('a thousand dead')
    const { story, leader, liar } = at
    const incarnation = { counter: 1, nonce: 'n' }
    const dead = Array.from({ length: 1_000 }, (_, i): Item => {
      return { type: 'departed', peerId: `ghost${i}`, incarnation, proof: 'goodbye', lastNumber: 0 }
    })
    await isRefused(at, leader, 'departure', 1_000, () => story.say(liar, leader, dead))
  })

  it('says so itself, or nobody does: not over another link, not in another life, not by another page', async () => {
    const at = await room('goodbyes')
    const { story, leader, liar, other } = at
    const items: readonly Item[] = [{ type: 'goodbye', session: 1, lastNumber: 0, vote: null }]
    const { peerId: from, incarnation: fromIncarnation } = story.hostOf(other).self
    await isRefused(at, leader, 'misaddressed', 2, () => {
      story.say(liar, leader, items, { from, fromIncarnation })
      const { self, host } = story.hostOf(leader)
      const head = { version: 3, lineage: host.lineage, to: self.peerId, toIncarnation: self.incarnation }
      const frame = encodeFrame({ ...head, from, fromIncarnation, items })
      leader.page.connection.pageFrame(story.peerOf(liar), frame)
    })
    const earlier = { ...fromIncarnation, counter: fromIncarnation.counter - 1 }
    await isRefused(at, leader, 'stale', 1, () => story.say(other, leader, items, { fromIncarnation: earlier }))
  })
})

describe('[F1] what is not from this life of the sender to this one', () => {
  it('messages of cores that speak for somebody else', async () => {
    const at = await room('speaks for others')
    const { story, leader, liar, other } = at
    const { term } = story.hostOf(leader).host.status
    const vote: Said = { type: 'voteReply', term: term + 1, granted: true }
    const item = raft(at, other, leader, vote)
    const { peerId: from, incarnation: fromIncarnation } = story.hostOf(other).self
    await isRefused(at, leader, 'misaddressed', 1, () => story.say(liar, leader, [item], { from, fromIncarnation }))
  })

  it('votes that nobody asked for, and terms that nobody comes to, change nothing', async () => {
    const at = await room('votes')
    const { story, leader, liar } = at
    const { term, lastIndex, lastTerm } = story.hostOf(leader).host.status
    const far = term + 2 ** 20 + 1
    const said: Said[] = [
      { type: 'voteReply', term, granted: true },
      { type: 'preVoteReply', term: term + 1, granted: true },
      { type: 'heartbeat', term: far, commitIndex: lastIndex, round: 1, electionTicks: 150 },
      {
        type: 'append',
        term: far,
        previous: { term: lastTerm, index: lastIndex },
        entries: [],
        commitIndex: lastIndex,
      },
      { type: 'vote', term: far, last: { term: far, index: 2 ** 40 }, transfer: true },
    ]
    await isRefused(at, leader, 'stale', 0, () => {
      for (const tab of at.tabs.filter((tab) => tab !== liar))
        story.say(
          liar,
          tab,
          said.map((message) => raft(at, liar, tab, message)),
        )
    })
    expect(story.leaderOf(at.tabs)).toBe(leader)
  })

  it('an echo that is not the leader’s makes no page certain', async () => {
    const at = await room('echoes')
    const { story, leader, liar, other } = at
    const lock = await story.acquire(other, 'doc')
    const session = findSessionOfPeer(story.hostOf(leader).host.machine, story.peerOf(other))?.session ?? 0
    story.cutOff(other, [leader])
    const lie = (): Item => {
      const { monotonic, wall } = other.page.thread.clock.now()
      return { type: 'echo', session, monotonic, wall, clusterTime: story.now, commitIndex: 1 }
    }
    for (let i = 0; i < 2 * lease; i += 100) {
      story.say(liar, other, [lie()])
      await story.pass(100)
    }
    expect(lock.state).not.toBe('held')
    story.heal()
    await goesOn({ ...at, tabs: at.tabs })
  })

  it('[F2] another nonce under the same counter, or another’s name on its own link', async () => {
    const at = await room('names')
    const { story, leader, liar, other } = at
    const { self } = story.hostOf(liar)
    const hello: Item = {
      ...{ type: 'hello', speaks: { oldest: 3, newest: 3 }, browserId: self.browserId, founded: true, joined: true },
      ...{ resident: false, canApply: 1, roomVersion: 1 },
    }
    const copied = { ...self.incarnation, nonce: 'copied' }
    await isRefused(at, leader, 'incarnation', 1, () =>
      story.say(liar, leader, [hello], { version: 0, fromIncarnation: copied }),
    )
    await story.pass(2_000)
    const { peerId: from, incarnation: fromIncarnation } = story.hostOf(other).self
    await isRefused(at, leader, 'misaddressed', 1, () =>
      story.say(liar, leader, [hello], { version: 0, from, fromIncarnation }),
    )
  })

  it('one member asks to be admitted for itself only, as often as it likes', async () => {
    const at = await room('admit')
    const { story, leader, liar } = at
    const before = story.hostOf(leader).host.status.configuration
    const flood = Array<Item>(4_000).fill({ type: 'admit', learnerOnly: false })
    await isRefused(at, leader, 'stale', 0, () => story.say(liar, leader, flood))
    expect(story.hostOf(leader).host.status.configuration).toEqual(before)
  })
})

describe('what a log is told', () => {
  it('[S47] a snapshot with a wrong checksum, cut off, or of another lineage is not installed', async () => {
    const at = await room('snapshots')
    const { story, leader, other } = at
    const { term, configuration, lastIndex } = story.hostOf(leader).host.status
    const data = Uint8Array.of(1, 2, 3)
    const meta = { term, index: lastIndex + 1_000, time: 0, configuration }
    const chunk = { type: 'snapshot', term, meta, size: 3, checksum: crc32(data), offset: 0, data } as const
    const spoilt = { ...chunk, checksum: chunk.checksum ^ 1 }
    const cut = { ...chunk, meta: { ...meta, index: meta.index + 1 }, size: 4 }
    await isRefused(at, other, 'stale', 1, () => {
      story.say(leader, other, [raft(at, leader, other, { ...spoilt, checksum: spoilt.checksum >>> 0 })])
      story.say(leader, other, [raft(at, leader, other, cut)])
      const lineage = { roomId: 'another', epoch: 0, forkId: '' }
      story.say(leader, other, [raft(at, leader, other, chunk)], { lineage })
    })
    expect(story.hostOf(other).stopped).toBeUndefined()
  })

  it.each<[string, Partial<Configuration>]>([
    ['nobody votes', { voters: [] }],
    ['a thousand vote', { voters: Array.from({ length: 1_000 }, (_, i) => `v${1_000 + i}`) }],
    ['somebody votes twice', { voters: ['v1', 'v1'] }],
  ])('a configuration in which %s never comes to a core, and costs its sender the link', async (_what, change) => {
    const at = await room('configurations')
    const { story, leader, other } = at
    const { term, configuration, lastIndex, lastTerm } = story.hostOf(leader).host.status
    const next = { ...configuration, ...change }
    const entry = { type: 'configuration', term, index: lastIndex + 1, time: 0, configuration: next } as const
    const previous = { term: lastTerm, index: lastIndex }
    const append: Said = { type: 'append', term, previous, entries: [entry], commitIndex: lastIndex }
    const before = await refusedBy(story, other)
    story.say(leader, other, [raft(at, leader, other, append)])
    await story.pass(5_000)
    expect((await refusedBy(story, other)).malformed - before.malformed).toBe(1)
    await goesOn(at)
  })

  it('a command in another’s session, and a session in another’s name, are the leader’s to refuse', async () => {
    const at = await room('submissions')
    const { story, leader, liar, other } = at
    const machine = story.hostOf(leader).host.machine
    const session = findSessionOfPeer(machine, story.peerOf(other))?.session ?? 0
    const { peerId, incarnation } = story.hostOf(other).self
    const set = { type: 'store.set', key: 'k', value: new Uint8Array(), fence: null, ephemeral: false } as const
    const opening = { type: 'open', peerId, attempt: 9, browserId: '', state: null, tokenFloor: 0 } as const
    const instructions = [
      encodeInstruction({ type: 'numbered', session, number: 50, answered: 49, command: set }),
      encodeInstruction({ ...opening, incarnation: { ...incarnation, counter: 99 } }),
      encodeInstruction({ type: 'close', peerId, incarnation }),
      encodeInstruction({ type: 'found', roomId: 'mine', tokenBase: 0, settings: story.sim.options.settings }),
      Uint8Array.of(0xff),
    ]
    await isRefused(at, leader, 'instruction', 5, () => story.say(liar, leader, [{ type: 'submit', instructions }]))
    expect(findSessionOfPeer(machine, peerId)?.session).toBe(session)
  })
})

describe('a disk', () => {
  it('with the log of another cluster under this identity: nothing of it comes into the room, and the disk is left as it is', async () => {
    for (const isWhole of [true, false]) {
      const at = await room(`another log ${isWhole}`)
      const { story, other } = at
      const elsewhere = new Story('another cluster', abroad)
      const [foreign] = await elsewhere.open(1)
      if (!foreign) throw new Error('a tab')
      for (let i = 0; i < 3; i++) await elsewhere.settle(foreign.page.room.store.set('k', i))
      await elsewhere.pass(500)
      const from = foreign.browser.disks.get(elsewhere.peerOf(foreign))?.read()
      const group = from?.groups.get(0)
      const disk = other.browser.disks.get(story.peerOf(other))
      const own = disk?.read().lineage
      const lineage = isWhole ? from?.lineage : own
      if (!group || !disk || !lineage) throw new Error('two disks')
      other.close()
      await story.pass(500)
      const { hardState, entries } = group
      disk.overwrite({ reset: true, groups: [] })
      disk.overwrite({ lineage, groups: [{ group: 0, hardState, entries }] })
      other.reload()
      // Under this room's name it is a contradiction; under its own another founding, of which it is but a part (N2).
      const end = isWhole ? 'no-quorum' : 'failed'
      await story.until(() => other.page.room.status === end, 10_000, 'a visible end')
      if (!isWhole) expect(other.page.room.error).toMatchObject({ name: 'StorageError' })
      expect(disk.read().groups.get(0)?.entries.slice(0, entries.length)).toEqual(entries)
      await goesOn({ ...at, tabs: at.tabs.filter((tab) => tab !== other) })
    }
  })
})

/** Everything that came over a network, by who heard it from whom. */
function recorded(tapes: Map<string, Uint8Array[]>, network: Network, peerId: string): Network {
  return {
    close: () => network.close(),
    listen: (listener) => {
      const frame: LinkListener['frame'] = (link, lane, data) => {
        const way = `${link.peerId}>${peerId}`
        tapes.set(way, [...(tapes.get(way) ?? []), data.slice()])
        listener.frame(link, lane, data)
      }
      network.listen({
        ...listener,
        up: (link) => listener.up(link),
        down: (link, why) => listener.down(link, why),
        frame,
      })
    },
  }
}

describe('[F1] frames that come again', () => {
  it('on the same link, on the next one, and in the next life: the room does not mind', async () => {
    const tapes = new Map<string, Uint8Array[]>()
    const surgery = {
      network: (network: Network, { peerId }: { readonly peerId: string }) => recorded(tapes, network, peerId),
    }
    const story = new Story('replayed', { ...abroad, surgery })
    const tabs = await story.open(1, 1, 1)
    const leader = story.leaderOf(tabs)
    const [liar, other] = tabs.filter((tab) => tab !== leader)
    if (!liar || !other) throw new Error('three tabs')
    const at: Room = { story, tabs, leader, liar, other }
    await goesOn(at)
    const tape = () => tapes.get(`${story.peerOf(liar)}>${story.peerOf(leader)}`) ?? []
    const play = async (frames: readonly Uint8Array[]) => {
      for (const bytes of frames) story.sayBytes(liar, leader, bytes)
      await story.pass(1_000)
      await goesOn(at)
    }
    await play(tape().slice(0, 2_000))
    story.sim.ether.breakLinks(story.peerOf(liar), story.peerOf(leader))
    await story.pass(6_000)
    const first = tape().slice(0, 2_000)
    await play(first)
    liar.reload()
    await story.until(() => liar.page.room.status === 'ready', 15_000, 'the next life')
    await story.pass(3_000)
    const before = await refusedBy(story, leader)
    await play(first)
    expect((await refusedBy(story, leader)).stale - before.stale).toBeGreaterThanOrEqual(first.length - 20)
  })
})
