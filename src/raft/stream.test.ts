import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { crc32 } from './checksum.js'
import { takeReady } from './durability.js'
import { type EntryId, noEntry } from './entry.js'
import type { Message, Snapshot } from './message.js'
import type { Raft } from './raft.js'
import { createState } from './state.js'
import { step } from './step.js'
import {
  acknowledge,
  bytes,
  type CoreOptions,
  chunkOf,
  command,
  configuration,
  core,
  drain,
  elect,
  log,
  only,
  settle,
  snapshotAt,
  timing,
} from './test-cluster.js'

const three = ['a', 'b', 'c']
const voters = configuration(three)
const id: EntryId = { term: 1, index: 10 }
const data = Uint8Array.from({ length: 22 }, (_, at) => at + 1)
const snapshot = snapshotAt(id, voters, 0, data)
/** Three chunks of four bytes under way, at most. */
const limits = { maxChunkBytes: 4, maxInflightChunkBytes: 12 }

/** A leader of term 2 whose log 1..12 is compacted up to 10; the other follower is caught up, and `b` has nothing. */
function sender(what: Snapshot = snapshot, options: CoreOptions = limits, peerId = 'a', other = 'c'): Raft {
  const raft = elect(core(peerId, { entries: log(three, Array(11).fill(1)), ...options }), [other])
  acknowledge(raft, other)
  drain(raft)
  raft.compact(what, 11)
  const { nextIndex = 0 } = raft.status().progress.find((one) => one.peerId === 'b') ?? {}
  const hint = { term: 0, index: 0 }
  const reply = { type: 'appendReply', from: 'b', to: peerId, term: raft.term, rejected: true } as const
  raft.step({ ...reply, index: nextIndex - 1, hint })
  return raft
}

function receiver(options: CoreOptions = {}): Raft {
  return core('b', { entries: log(three, [1]), ...options })
}

/** Where each chunk begins, and how long it is. */
function chunks(messages: readonly Message[]): number[][] {
  return only(messages, 'snapshot').map(({ offset, data }) => [offset, data.length])
}

function answer(raft: Raft, offset: number, snapshot: EntryId = id): void {
  raft.step({ type: 'snapshotReply', from: 'b', to: raft.status().peerId, term: raft.term, snapshot, offset })
}

function beat(raft: Raft): void {
  raft.step({ type: 'heartbeatReply', from: 'b', to: raft.status().peerId, term: raft.term, round: 0 })
}

const fromA = { from: 'a', to: 'b', term: 3 } as const

/** How much the follower says is there, once it has that chunk. */
function take(raft: Raft, offset: number, length = 4, of: Snapshot = snapshot, head = fromA): number[] {
  raft.step(chunkOf(of, { ...head }, offset, length))
  return only(drain(raft), 'snapshotReply').map((reply) => reply.offset)
}

function progressOfB(raft: Raft) {
  return raft.status().progress.find(({ peerId }) => peerId === 'b')
}

describe('a leader that streams a snapshot', () => {
  it('[S47] sends one chunk, and opens the window when it knows what is there', () => {
    const raft = sender()
    expect(drain(raft)).toEqual([
      {
        ...{ type: 'snapshot', from: 'a', to: 'b', term: 2, meta: snapshot.meta },
        ...{ size: 22, checksum: crc32(data), offset: 0, data: data.subarray(0, 4) },
      },
    ])
    answer(raft, 4)
    const expected = [4, 8, 12].map((offset) => chunkOf(snapshot, { from: 'a', to: 'b', term: 2 }, offset, 4))
    expect(drain(raft)).toEqual(expected)
    answer(raft, 8)
    expect(chunks(drain(raft))).toEqual([[16, 4]])
    answer(raft, 16)
    expect(chunks(drain(raft))).toEqual([[20, 2]])
    expect(progressOfB(raft)).toMatchObject({ state: 'snapshot', snapshot: { ...id, size: 22, offset: 16 } })
    acknowledge(raft, 'b', 10)
    expect(progressOfB(raft)).toMatchObject({ state: 'replicate', matchIndex: 10, snapshot: null })
    expect(only(drain(raft), 'append')).toMatchObject([{ to: 'b', previous: { index: 10 } }])
  })

  it('[S47] rests while the window is full', () => {
    const raft = sender()
    drain(raft)
    answer(raft, 4)
    drain(raft)
    expect(raft.hasReady()).toBe(false)
    expect(raft.ticksUntilDue()).toBe(timing.heartbeatTicks)
  })

  it('[S47] has no more under way than the window, whatever is answered', () => {
    const inputs = fc.array(fc.oneof(fc.nat(22), fc.constant('beat' as const)), { maxLength: 40 })
    fc.assert(
      fc.property(inputs, (inputs) => {
        const raft = sender()
        for (const input of inputs) {
          if (input === 'beat') beat(raft)
          else answer(raft, input)
          const sent = chunks(drain(raft))
          const end = Math.max(0, ...sent.map(([offset = 0, length = 0]) => offset + length))
          expect(end - (progressOfB(raft)?.snapshot?.offset ?? 0)).toBeLessThanOrEqual(12)
        }
      }),
    )
  })

  it('[S47] sends a chunk that is larger than the window alone', () => {
    const raft = sender(snapshot, { maxChunkBytes: 8, maxInflightChunkBytes: 2 })
    expect(chunks(drain(raft))).toEqual([[0, 8]])
    answer(raft, 8)
    expect(chunks(drain(raft))).toEqual([[8, 8]])
  })

  it('[S47] sends a lost chunk again: it asks when nothing has moved between two heartbeats, and goes back to what is there', () => {
    const raft = sender()
    drain(raft)
    answer(raft, 4)
    drain(raft)
    // The chunk at 4 is lost: those at 8 and 12 are not taken.
    answer(raft, 4)
    answer(raft, 4)
    beat(raft)
    expect(drain(raft)).toEqual([])
    beat(raft)
    expect(chunks(drain(raft))).toEqual([[4, 0]])
    answer(raft, 4)
    expect(chunks(drain(raft))).toEqual([[4, 4]])
    answer(raft, 8)
    expect(chunks(drain(raft))).toEqual([
      [8, 4],
      [12, 4],
      [16, 4],
    ])
  })

  it('[S47] sends nothing twice over a link that is merely slow', () => {
    const raft = sender()
    drain(raft)
    answer(raft, 4)
    drain(raft)
    for (let i = 0; i < 3; i++) beat(raft)
    expect(chunks(drain(raft))).toEqual([[4, 0]])
    answer(raft, 8)
    expect(chunks(drain(raft))).toEqual([[16, 4]])
    beat(raft)
    answer(raft, 12)
    expect(chunks(drain(raft))).toEqual([[20, 2]])
    beat(raft)
    answer(raft, 16)
    // What the empty chunk has asked for comes last.
    answer(raft, 16)
    expect(drain(raft)).toEqual([])
  })

  it('[S47] late, repeated and foreign answers change nothing', () => {
    const raft = sender()
    drain(raft)
    answer(raft, 8)
    drain(raft)
    for (const offset of [8, 4, 0, 23, 2 ** 40]) answer(raft, offset)
    answer(raft, 12, { term: 1, index: 9 })
    answer(raft, 12, { term: 2, index: 10 })
    raft.step({ type: 'snapshotReply', from: 'c', to: 'a', term: 2, snapshot: id, offset: 12 })
    raft.step({ type: 'snapshotReply', from: 'x', to: 'a', term: 2, snapshot: id, offset: 12 })
    expect(raft.hasReady()).toBe(false)
    expect(progressOfB(raft)?.snapshot).toMatchObject({ offset: 8 })
  })

  it('[S47] begins anew when a follower that was asked has nothing any more', () => {
    const raft = sender()
    drain(raft)
    answer(raft, 16)
    drain(raft)
    answer(raft, 0)
    expect(drain(raft)).toEqual([])
    beat(raft)
    beat(raft)
    expect(chunks(drain(raft))).toEqual([[16, 0]])
    answer(raft, 0)
    expect(chunks(drain(raft))).toEqual([[0, 4]])
  })

  it('[S47] goes on where the follower is after its link was down', () => {
    const raft = sender()
    drain(raft)
    answer(raft, 12)
    drain(raft)
    raft.reportUnreachable('b')
    expect(progressOfB(raft)).toMatchObject({ state: 'probe', snapshot: null })
    expect(drain(raft)).toEqual([])
    beat(raft)
    expect(chunks(drain(raft))).toEqual([[0, 4]])
    answer(raft, 16)
    expect(chunks(drain(raft))).toEqual([
      [16, 4],
      [20, 2],
    ])
  })

  it('[S47] finishes the snapshot that it has begun when it takes a newer one, and offers that afterwards', () => {
    const raft = sender()
    drain(raft)
    const newer = snapshotAt({ term: 2, index: 12 }, voters, 0, bytes('newer'))
    raft.compact(newer, 13)
    answer(raft, 4)
    beat(raft)
    answer(raft, 16)
    const sent = only(drain(raft), 'snapshot')
    expect(sent.map(({ meta, size, checksum }) => [meta.index, size, checksum])).toEqual([
      [10, 22, crc32(data)],
      [10, 22, crc32(data)],
    ])
    expect(chunks(sent)).toEqual([
      [16, 4],
      [20, 2],
    ])
    acknowledge(raft, 'b', 10)
    expect(only(drain(raft), 'snapshot')).toMatchObject([{ meta: { index: 12 }, size: 5, offset: 0 }])
  })

  it('[S47][S51] lets nobody wait: appends and heartbeats to the others go before the chunks', () => {
    const raft = sender()
    drain(raft)
    for (let offset = 4; offset < 16; offset += 4) {
      raft.propose(0, [bytes('x')])
      answer(raft, offset)
      raft.tick(50)
      const messages = drain(raft)
      const order = messages.map(({ type, to }) => `${type} ${to}`)
      expect(order.slice(0, 3)).toEqual(['heartbeat b', 'heartbeat c', 'append c'])
      expect(new Set(order.slice(3))).toEqual(new Set(['snapshot b']))
      acknowledge(raft, 'c')
      expect(raft.commitIndex).toBe(raft.lastIndex)
    }
  })

  it('[S47] leaves the stream when the follower has got there another way', () => {
    const raft = sender()
    drain(raft)
    acknowledge(raft, 'b', 10)
    expect(progressOfB(raft)).toMatchObject({ state: 'replicate', snapshot: null })
    answer(raft, 4)
    expect(only(drain(raft), 'snapshot')).toEqual([])
  })

  it('[S46][S47] an empty snapshot is one empty chunk, and is offered again when it is lost', () => {
    const empty = snapshotAt(id, voters)
    const raft = sender(empty)
    const chunk = chunkOf(empty, { from: 'a', to: 'b', term: 2 })
    expect(drain(raft)).toEqual([chunk])
    expect(chunk).toMatchObject({ size: 0, checksum: 0, offset: 0, data: new Uint8Array() })
    beat(raft)
    beat(raft)
    expect(drain(raft)).toEqual([chunk])
    const follower = receiver()
    follower.step(chunk)
    expect(settle(follower).write?.snapshot).toEqual(empty)
  })

  it('[S47] limits are whole numbers of bytes', () => {
    for (const limit of [0, -1, 1.5, Number.NaN]) {
      for (const name of ['maxChunkBytes', 'maxInflightChunkBytes', 'maxSnapshotBytes']) {
        expect(() => core('a', { [name]: limit }), `${name} ${limit}`).toThrow(`${name} is a whole number`)
      }
    }
  })
})

describe('a follower that receives a snapshot', () => {
  it('[S47] installs nothing before all of it is there, and then the exact bytes', () => {
    const raft = receiver()
    raft.step(chunkOf(snapshot, fromA, 0, 20))
    const ready = settle(raft)
    expect(ready.write).toMatchObject({ entries: [] })
    expect(ready.write?.snapshot).toBeUndefined()
    // Nothing of it is on the disk, but the term that the answer speaks of has to be.
    expect(ready.messages).toEqual([])
    expect(ready.messagesAfterWrite).toEqual([
      { type: 'snapshotReply', from: 'b', to: 'a', term: 3, snapshot: id, offset: 20 },
    ])
    expect(raft.status()).toMatchObject({ firstIndex: 1, lastIndex: 1, commitIndex: 0 })
    raft.step(chunkOf(snapshot, fromA, 20, 2))
    expect(settle(raft)).toMatchObject({
      messages: [],
      write: { snapshot, entries: [] },
      messagesAfterWrite: [{ type: 'appendReply', to: 'a', term: 3, rejected: false, index: 10 }],
    })
    expect(raft.status()).toMatchObject({ firstIndex: 11, lastIndex: 10, commitIndex: 10 })
  })

  it('[S47] takes only what begins where it is; what overlaps is trimmed', () => {
    const raft = receiver()
    expect(take(raft, 0)).toEqual([4])
    expect(take(raft, 0), 'repeated').toEqual([4])
    expect(take(raft, 8), 'before its time').toEqual([4])
    expect(take(raft, 12), 'before its time').toEqual([4])
    expect(take(raft, 4)).toEqual([8])
    expect(take(raft, 4, 10), 'overlapping').toEqual([14])
    expect(take(raft, 2, 3), 'late').toEqual([14])
    expect(take(raft, 14, 0), 'asked').toEqual([14])
    raft.step(chunkOf(snapshot, fromA, 12, 10))
    expect(settle(raft).write?.snapshot).toEqual(snapshot)
  })

  it('[S47] goes on with the same snapshot of a new leader', () => {
    const first = sender()
    const raft = receiver()
    for (const message of drain(first)) raft.step(message)
    answer(first, 4)
    drain(raft)
    for (const message of drain(first).slice(0, 2)) raft.step(message)
    drain(raft)
    const second = sender(snapshot, { ...limits, hardState: { term: 4 } }, 'c', 'a')
    const sent: number[][] = []
    for (let i = 0; i < 10 && raft.commitIndex < 10; i++) {
      const messages = drain(second).filter(({ to }) => to === 'b')
      sent.push(...chunks(messages))
      for (const message of messages) raft.step(message)
      if (raft.commitIndex === 10) break
      for (const message of drain(raft)) second.step(message)
    }
    expect(sent).toEqual([
      [0, 4],
      [12, 4],
      [16, 4],
      [20, 2],
    ])
    expect(settle(raft).write?.snapshot).toEqual(snapshot)
  })

  it.each<[string, Snapshot]>([
    ['newer', snapshotAt({ term: 1, index: 11 }, voters, 0, data)],
    ['older', snapshotAt({ term: 1, index: 9 }, voters, 0, data)],
    ['of another term', snapshotAt({ term: 2, index: 10 }, voters, 0, data)],
    ['of another size', snapshotAt(id, voters, 0, data.subarray(0, 21))],
    [
      'of other bytes',
      snapshotAt(
        id,
        voters,
        0,
        data.map((byte) => byte ^ 7),
      ),
    ],
  ])('[S47] begins anew with the snapshot of a new leader that is %s', (_what, other) => {
    const raft = receiver()
    expect(take(raft, 0, 8)).toEqual([8])
    const head = { from: 'c', to: 'b', term: 4 } as const
    raft.step(chunkOf(other, head, 8, 4))
    expect(only(drain(raft), 'snapshotReply')).toMatchObject([{ to: 'c', term: 4, offset: 0 }])
    raft.step(chunkOf(other, head, 0, 8))
    expect(only(drain(raft), 'snapshotReply')).toMatchObject([{ to: 'c', term: 4, offset: 8 }])
    raft.step(chunkOf(other, head, 8))
    expect(settle(raft).write?.snapshot).toEqual(other)
  })

  it('[S47] within a term a newer snapshot takes its place, and a late chunk of the older one does not', () => {
    const raft = receiver()
    const newer = snapshotAt({ term: 2, index: 12 }, voters, 0, data)
    expect(take(raft, 0, 8)).toEqual([8])
    expect(take(raft, 0, 4, newer)).toEqual([4])
    expect(take(raft, 8)).toEqual([0])
    expect(take(raft, 4, 4, newer)).toEqual([8])
  })

  it('[S47] drops all of it when the checksum is wrong, installs nothing, and takes it from the beginning', () => {
    const raft = receiver()
    const spoilt = chunkOf(snapshot, fromA, 0, 8)
    raft.step({ ...spoilt, data: spoilt.data.map((byte, at) => (at === 3 ? byte ^ 16 : byte)) })
    drain(raft)
    raft.step(chunkOf(snapshot, fromA, 8))
    const ready = settle(raft)
    expect(ready.write).toBeNull()
    expect([...ready.messages, ...ready.messagesAfterWrite]).toMatchObject([{ type: 'snapshotReply', offset: 0 }])
    expect(raft.status()).toMatchObject({ firstIndex: 1, lastIndex: 1, commitIndex: 0 })
    expect(take(raft, 8)).toEqual([0])
    expect(take(raft, 0, 8)).toEqual([8])
    raft.step(chunkOf(snapshot, fromA, 8))
    expect(settle(raft).write?.snapshot).toEqual(snapshot)
  })

  it('[S47] keeps nothing through a restart: no part of it is durable', () => {
    const raft = receiver()
    expect(take(raft, 0, 8)).toEqual([8])
    const again = receiver({ hardState: { term: 3 } })
    expect(take(again, 8)).toEqual([0])
    expect(take(again, 0, 8)).toEqual([8])
  })

  it('[S47] drops it when the log has come past it, and when it is installed', () => {
    for (const isInstalled of [false, true]) {
      const state = createState({ ...timing, peerId: 'b', seed: 1 })
      step(state, chunkOf(snapshot, fromA, 0, 8))
      takeReady(state)
      expect(state.partial).toMatchObject({ id, received: 8 })
      const entries = Array.from({ length: 10 }, (_, i) => command(1, i + 1))
      const append = { type: 'append', ...fromA, previous: noEntry, entries, commitIndex: 10 } as const
      step(state, isInstalled ? chunkOf(snapshot, fromA, 8) : append)
      takeReady(state)
      expect(state).toMatchObject({ partial: null, log: { commit: 10 } })
      step(state, chunkOf(snapshot, fromA, 8, 4))
      expect(takeReady(state)).toMatchObject({ messages: [], messagesAfterWrite: [{ type: 'appendReply', index: 10 }] })
      expect(state.partial).toBeNull()
    }
  })

  it('[S47] keeps as much as has come, not as much as was announced, and no frame alive', () => {
    const state = createState({ ...timing, peerId: 'b', seed: 1 })
    const frame = new Uint8Array(1000)
    for (let offset = 0; offset < 300; offset++) {
      const data = frame.subarray(500, 501)
      const chunk = { ...chunkOf(snapshot, fromA), size: 64 * 1024 * 1024, offset, data }
      step(state, chunk)
      takeReady(state)
      const { received = 0, bytes = frame } = state.partial ?? {}
      expect(received).toBe(offset + 1)
      expect(bytes.buffer.byteLength).toBeLessThanOrEqual(2 * received)
    }
  })

  it('[S47] refuses what is too large or lies outside of itself, without a word', () => {
    const raft = receiver({ maxSnapshotBytes: 21 })
    expect(take(raft, 0)).toEqual([])
    const small = snapshotAt(id, voters, 0, data.subarray(0, 21))
    expect(take(raft, 0, 4, small)).toEqual([4])
    const chunk = chunkOf(small, fromA, 4, 4)
    const garbage = [
      { offset: 18, data: data.subarray(0, 4) },
      { offset: 2 ** 53 - 1 },
      { offset: 22, data: new Uint8Array() },
      { size: 0, offset: 0 },
      { size: 2 ** 53 - 1 },
    ]
    for (const part of garbage) raft.step({ ...chunk, ...part })
    expect(drain(raft)).toEqual([])
    expect(take(raft, 4, 4, small)).toEqual([8])
  })
})

/** What becomes of a message: `late` stays behind those that come after it, `spoilt` has a bit that is wrong. */
type Fate = 'arrives' | 'lost' | 'repeated' | 'late' | 'spoilt'
const fates = fc.constantFrom<Fate[]>('arrives', 'arrives', 'arrives', 'lost', 'repeated', 'late', 'spoilt')

/** A leader and a follower, and a link that does as it is told. */
class Link {
  pool: Message[] = []
  follower = receiver()
  installed: Snapshot | null = null

  constructor(readonly leader: Raft) {}

  collect(): void {
    for (const message of drain(this.leader)) if (message.to === 'b') this.pool.push(message)
    while (this.follower.hasReady()) {
      const ready = settle(this.follower)
      this.installed = ready.write?.snapshot ?? this.installed
      this.pool.push(...ready.messages, ...ready.messagesAfterWrite)
    }
  }

  deliver(fate: Fate): void {
    const message = this.pool.shift()
    if (message === undefined || fate === 'lost') return
    if (fate === 'late' || fate === 'repeated') this.pool.push(message)
    if (fate === 'late') return
    const isSpoilt = fate === 'spoilt' && message.type === 'snapshot'
    const arriving = isSpoilt ? { ...message, data: message.data.map((byte, at) => byte ^ Number(at === 0)) } : message
    if (arriving.to === 'b') this.follower.step(arriving)
    else this.leader.step(arriving)
    this.collect()
  }
}

describe('a link that loses, repeats, reorders and spoils', () => {
  const sizes = { size: fc.nat(60), maxChunkBytes: fc.integer({ min: 1, max: 30 }) }
  const stories = fc.record({
    ...{ ...sizes, maxInflightChunkBytes: fc.integer({ min: 1, max: 60 }) },
    inputs: fc.array(fc.oneof({ weight: 8, arbitrary: fates }, fc.constantFrom('tick', 'tick', 'restart', 'down')), {
      maxLength: 80,
      size: 'max',
    }),
  })

  it('[S47] delivers the exact bytes in the end, and never others', () => {
    fc.assert(
      fc.property(stories, ({ size, inputs, ...limits }) => {
        const content = Uint8Array.from({ length: size }, (_, at) => 7 * at + size)
        const what = snapshotAt(id, voters, 0, content)
        const link = new Link(sender(what, limits))
        const tick = () => {
          link.leader.tick(50)
          acknowledge(link.leader, 'c')
          link.leader.step({
            ...{ type: 'heartbeatReply', from: 'c', to: 'a', term: 2 },
            round: link.leader.currentRound,
          })
        }
        link.collect()
        for (const input of inputs) {
          if (input === 'tick') tick()
          else if (input === 'down') link.leader.reportUnreachable('b')
          else if (input === 'restart' && link.installed === null) link.follower = receiver({ hardState: { term: 2 } })
          else if (input !== 'restart') link.deliver(input)
          link.collect()
          if (link.installed !== null) expect(link.installed).toEqual(what)
        }
        for (let i = 0; i < 12; i++) {
          tick()
          link.collect()
          while (link.pool.length > 0) link.deliver('arrives')
        }
        expect(link.installed).toEqual(what)
        expect(link.follower.lastIndex).toBe(12)
        expect(progressOfB(link.leader)).toMatchObject({ state: 'replicate', matchIndex: 12 })
      }),
      { numRuns: 300 },
    )
  })
})

it('[S47] the checksum is the one that everybody calls CRC-32, in one go or in parts', () => {
  const all = bytes('123456789')
  expect(crc32(all)).toBe(0xcbf43926)
  expect(crc32(all.subarray(4), crc32(all.subarray(0, 4)))).toBe(0xcbf43926)
  expect(crc32(new Uint8Array())).toBe(0)
})
