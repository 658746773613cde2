import { describe, expect, it } from 'vitest'
import { type Entry, emptyConfiguration } from '../raft/entry.js'
import type { Snapshot } from '../raft/message.js'
import type { Ready, Write } from '../raft/ready.js'
import type { Clock } from '../shared/instant.js'
import { systemClock } from '../shared/system-clock.js'
import { MemoryDisk, MemoryStorage } from '../storage/memory.js'
import type { Storage, WriteBatch } from '../storage/storage.js'
import { GroupCommit } from './group-commit.js'

/** A disk whose writes end when the test says so. */
class SlowDisk implements Storage {
  readonly incarnation = { counter: 1, nonce: 'n' }
  readonly stored = { lineage: null, groups: new Map() }
  readonly batches: WriteBatch[] = []
  readonly #ends: { resolve(): void; reject(error: unknown): void }[] = []

  write(batch: WriteBatch): Promise<void> {
    this.batches.push(batch)
    return new Promise((resolve, reject) => this.#ends.push({ resolve, reject }))
  }

  async end(): Promise<void> {
    this.#ends.shift()?.resolve()
    await Promise.resolve()
  }

  async fail(error: unknown): Promise<void> {
    this.#ends.shift()?.reject(error)
    await Promise.resolve()
  }

  setDurability(): void {}
  whenLost(): void {}
  close(): void {}
}

function setUp() {
  const disk = new SlowDisk()
  const log: string[] = []
  let now = 0
  const timers: (() => void)[] = []
  const clock: Clock = {
    now: () => ({ monotonic: now, wall: 0 }),
    after: (_ms, run) => {
      timers.push(run)
      return { cancel: () => timers.splice(timers.indexOf(run), 1) }
    },
  }
  const learner = { of: false }
  const written: [number, number][] = []
  const during: { run: ((sequence: number) => void) | null } = { run: null }
  const commit = new GroupCommit(disk, clock, {
    lingerFor: () => (learner.of ? 50 : 0),
    written: (group, first) => written.push([group, first]),
    durable: (group, { sequence }) => {
      log.push(`${group}/${sequence}`)
      during.run?.(sequence)
    },
    together: (run) => run(),
    failed: (error) => log.push(`failed ${String(error)}`),
  })
  const advance = (ms: number) => {
    now += ms
  }
  return { disk, log, commit, during, advance, timers, learner, written }
}

let sequence = 0

function ready(write: Write | null = null): Ready {
  sequence += 1
  return { sequence, messages: [], write, messagesAfterWrite: [], committed: [], reads: [] }
}

const entry = (index: number, term = 1): Entry => ({ term, index, time: 0, type: 'noop' })
const entries = (from: number, to: number, term = 1) =>
  Array.from({ length: to - from + 1 }, (_, i) => entry(from + i, term))
const snapshot = (index: number): Snapshot => ({
  meta: { term: 1, index, configuration: emptyConfiguration, time: 0 },
  data: Uint8Array.of(index),
})
const hardState = (term: number) => ({ term, votedFor: null, promisedTo: null, commitIndex: 0 })

describe('order', () => {
  it('tells of a Ready when its write is durable, and not before', async () => {
    const { disk, log, commit } = setUp()
    const one = ready({ entries: entries(1, 2) })
    commit.add(0, one)
    expect([disk.batches.length, log]).toEqual([1, []])
    await disk.end()
    expect(log).toEqual([`0/${one.sequence}`])
  })

  it('tells at once of a Ready without a write when nothing is under way', () => {
    const { disk, log, commit } = setUp()
    const one = ready()
    commit.add(0, one)
    expect([disk.batches.length, log]).toEqual([0, [`0/${one.sequence}`]])
  })

  it('a Ready without a write waits for those before it', async () => {
    const { disk, log, commit } = setUp()
    const [written, unwritten] = [ready({ entries: entries(1, 1) }), ready()]
    commit.add(0, written)
    commit.add(0, unwritten)
    expect(log).toEqual([])
    await disk.end()
    expect(log).toEqual([`0/${written.sequence}`, `0/${unwritten.sequence}`])
    expect(disk.batches).toHaveLength(1)
  })

  it('what comes up during a write goes into one next write', async () => {
    const { disk, log, commit } = setUp()
    const all = [1, 2, 3, 4].map((index) => ready({ entries: [entry(index)] }))
    for (const one of all) commit.add(0, one)
    expect(disk.batches).toHaveLength(1)
    await disk.end()
    expect(disk.batches[1]?.groups).toEqual([{ group: 0, entries: entries(2, 4) }])
    await disk.end()
    expect(log).toEqual(all.map((one) => `0/${one.sequence}`))
    expect(commit.writes).toBe(2)
  })

  it('what the listener adds while it is told comes after what was added before', async () => {
    const { disk, log, commit, during } = setUp()
    const [first, second, third] = [ready({ entries: [entry(1)] }), ready({ entries: [entry(2)] }), ready()]
    const late = ready()
    commit.add(0, first)
    commit.add(0, second)
    commit.add(0, third)
    await disk.end()
    during.run = (sequence) => {
      if (sequence === second.sequence) commit.add(0, late)
    }
    await disk.end()
    expect(log).toEqual([first, second, third, late].map((one) => `0/${one.sequence}`))
  })

  it('tells on and on without a write, however deep the listener adds', () => {
    const { log, commit, during } = setUp()
    let left = 1000
    during.run = () => {
      left -= 1
      if (left > 0) commit.add(0, ready())
    }
    commit.add(0, ready())
    expect(log).toHaveLength(1000)
  })

  it('groups share a write', async () => {
    const { disk, commit } = setUp()
    commit.add(0, ready({ entries: [entry(1)] }))
    commit.add(1, ready({ entries: [entry(5)] }))
    commit.add(2, ready({ hardState: hardState(3), entries: [] }))
    commit.add(1, ready({ entries: [entry(6)] }))
    await disk.end()
    expect(disk.batches[1]?.groups).toEqual([
      { group: 1, entries: entries(5, 6) },
      { group: 2, hardState: hardState(3), entries: [] },
    ])
  })

  it('measures its writes', async () => {
    const { disk, commit, advance } = setUp()
    expect([commit.writes, commit.writeMs]).toEqual([0, null])
    commit.add(0, ready({ entries: [entry(1)] }))
    advance(8)
    await disk.end()
    expect([commit.writes, commit.writeMs]).toEqual([1, 8])
  })
})

describe('merging', () => {
  /** The last batch, after these writes came up during an earlier one. */
  async function merged(...writes: Write[]): Promise<WriteBatch | undefined> {
    const { disk, commit } = setUp()
    commit.add(9, ready({ entries: [entry(1)] }))
    for (const write of writes) commit.add(0, ready(write))
    await disk.end()
    return disk.batches[1]
  }

  it('the last hard state counts', async () => {
    const batch = await merged(
      { hardState: hardState(1), entries: [] },
      { entries: [entry(1)] },
      { hardState: hardState(2), entries: [] },
    )
    expect(batch?.groups).toEqual([{ group: 0, hardState: hardState(2), entries: [entry(1)] }])
  })

  it('a later write truncates what an earlier one appended', async () => {
    const batch = await merged({ entries: entries(5, 9) }, { entries: entries(7, 8, 2) })
    expect(batch?.groups).toEqual([{ group: 0, entries: [...entries(5, 6), ...entries(7, 8, 2)] }])
  })

  it('... also from before its beginning', async () => {
    const batch = await merged({ entries: entries(5, 9) }, { entries: entries(3, 4, 2) })
    expect(batch?.groups).toEqual([{ group: 0, entries: entries(3, 4, 2) }])
  })

  it('an installed snapshot drops the entries before it and keeps those after it', async () => {
    const batch = await merged(
      { entries: entries(5, 9) },
      { snapshot: snapshot(20), entries: [] },
      { entries: entries(21, 22) },
    )
    expect(batch?.groups).toEqual([{ group: 0, installed: snapshot(20), entries: entries(21, 22) }])
  })

  it('equals the writes one by one, whatever they are', async () => {
    const writes: Write[] = [
      { hardState: hardState(1), entries: entries(1, 5) },
      { entries: entries(4, 6, 2) },
      { hardState: hardState(3), entries: [] },
      { snapshot: snapshot(10), entries: [] },
      { entries: entries(11, 15, 3) },
      { hardState: hardState(4), entries: entries(13, 13, 4) },
    ]
    for (let from = 0; from < writes.length; from += 1) {
      for (let to = from + 1; to <= writes.length; to += 1) {
        const [oneByOne, atOnce] = [new MemoryDisk(), new MemoryDisk()]
        const before = writes.slice(0, from)
        for (const disk of [oneByOne, atOnce]) for (const write of before) disk.apply(batchOf(write))
        for (const write of writes.slice(from, to)) oneByOne.apply(batchOf(write))
        atOnce.apply((await merged(...writes.slice(from, to))) ?? { groups: [] })
        expect(atOnce.read()).toEqual(oneByOne.read())
      }
    }
  })
})

function batchOf({ snapshot: installed, ...rest }: Write): WriteBatch {
  return { groups: [{ group: 0, ...rest, ...(installed && { installed }) }] }
}

describe('what goes along', () => {
  it('a lineage is written even alone', async () => {
    const { disk, commit } = setUp()
    const lineage = { roomId: 'r', epoch: 0, forkId: '' }
    commit.addExtra({ lineage })
    expect(disk.batches).toEqual([{ lineage, groups: [] }])
  })

  it('[N1] a lineage comes with, or before, the entries that follow it', async () => {
    const { disk, commit } = setUp()
    const lineage = { roomId: 'r', epoch: 0, forkId: '' }
    commit.add(0, ready({ hardState: hardState(1), entries: [] }))
    commit.addExtra({ lineage })
    commit.add(0, ready({ entries: [entry(1)] }))
    await disk.end()
    expect(disk.batches[1]).toEqual({ lineage, groups: [{ group: 0, entries: [entry(1)] }] })
  })

  it('a snapshot of this peer goes with the entries of the same write', async () => {
    const { disk, commit } = setUp()
    commit.add(0, ready({ entries: [entry(1)] }))
    commit.add(0, ready({ entries: entries(2, 3) }))
    commit.addExtra({ compacted: { group: 0, snapshot: snapshot(2), keepFrom: 2 } })
    commit.add(0, ready({ entries: [entry(4)] }))
    await disk.end()
    const compacted = { snapshot: snapshot(2), keepFrom: 2 }
    expect(disk.batches[1]?.groups).toEqual([{ group: 0, entries: entries(2, 4), compacted }])
  })

  it('a snapshot of this peer never takes the place of a later one from the leader', async () => {
    const memory = new MemoryDisk()
    const { disk, commit } = setUp()
    commit.add(0, ready({ entries: entries(1, 10) }))
    commit.addExtra({ compacted: { group: 0, snapshot: snapshot(8), keepFrom: 5 } })
    commit.add(0, ready({ snapshot: snapshot(20), entries: [] }))
    commit.add(0, ready({ entries: [entry(21)] }))
    await disk.end()
    for (const batch of disk.batches) memory.apply(batch)
    const group = memory.read().groups.get(0)
    expect(group?.snapshot?.meta.index).toBe(20)
    expect(group?.entries).toEqual([entry(21)])
  })
})

describe('the end', () => {
  it('[S42] a failed write is told once, and nothing becomes durable any more', async () => {
    const { disk, log, commit } = setUp()
    commit.add(0, ready({ entries: [entry(1)] }))
    commit.add(0, ready())
    await disk.fail('quota')
    commit.add(0, ready({ entries: [entry(2)] }))
    commit.add(0, ready())
    commit.addExtra({ lineage: { roomId: 'r', epoch: 0, forkId: '' } })
    await disk.end()
    expect(log).toEqual(['failed quota'])
    expect(disk.batches).toHaveLength(1)
  })

  it('after a stop nothing is told, not even what was on its way', async () => {
    const { disk, log, commit } = setUp()
    commit.add(0, ready({ entries: [entry(1)] }))
    commit.stop()
    await disk.end()
    commit.add(0, ready())
    expect(log).toEqual([])
  })

  it('a listener that stops it while it is told hears no more', async () => {
    const { disk, log, commit, during } = setUp()
    during.run = () => commit.stop()
    commit.add(0, ready({ entries: [entry(1)] }))
    commit.add(0, ready())
    commit.add(0, ready())
    await disk.end()
    expect(log).toHaveLength(1)
  })

  it('[F3] a write of an older life fails like any other', async () => {
    const memory = new MemoryDisk()
    const log: string[] = []
    const listener = {
      lingerFor: () => 0,
      written: () => log.push('written'),
      together: (run: () => void) => run(),
      durable: () => log.push('durable'),
      failed: () => log.push('failed'),
    }
    const old = new GroupCommit(new MemoryStorage(memory, 'a'), systemClock, listener)
    new MemoryStorage(memory, 'b')
    old.add(0, ready({ entries: [entry(1)] }))
    await new Promise((resolve) => setTimeout(resolve))
    expect(log).toEqual(['failed'])
    expect(memory.read().groups.size).toBe(0)
  })
})

describe('of a learner', () => {
  const answers = (sequence: number, messagesAfterWrite: Ready['messagesAfterWrite'], write: Write | null): Ready => ({
    ...ready(write),
    sequence,
    messagesAfterWrite,
  })
  const acknowledgement = { type: 'appendReply', from: 'l', to: 'a', term: 1, rejected: false, index: 2 } as const
  const vote = { type: 'voteReply', from: 'l', to: 'a', term: 1, granted: true } as const

  async function begun() {
    const all = setUp()
    const { disk, commit, learner } = all
    learner.of = true
    // Its first term is news.
    commit.add(0, ready({ hardState: hardState(1), entries: entries(1, 1) }))
    await disk.end()
    expect(disk.batches).toHaveLength(1)
    return all
  }

  it('entries wait for more of them, and are acknowledged when all are durable', async () => {
    const { disk, log, commit, timers } = await begun()
    for (const index of [2, 3, 4])
      commit.add(
        0,
        answers(100 + index, [acknowledgement], { hardState: hardState(1), entries: entries(index, index) }),
      )
    expect([disk.batches.length, timers.length]).toEqual([1, 1])
    timers[0]?.()
    expect(disk.batches[1]?.groups[0]?.entries).toHaveLength(3)
    expect(log).toHaveLength(1)
    await disk.end()
    expect(log.slice(1)).toEqual(['0/102', '0/103', '0/104'])
  })

  it.each([
    ['a vote', () => answers(200, [vote], { hardState: { ...hardState(2), votedFor: 'a' }, entries: [] })],
    ['an answer to a candidate', () => answers(200, [vote], null)],
    ['a refusal', () => answers(200, [{ ...acknowledgement, rejected: true, hint: { term: 1, index: 1 } }], null)],
    ['a new term', () => answers(200, [], { hardState: hardState(2), entries: [] })],
    ['a snapshot', () => answers(200, [], { snapshot: snapshot(9), entries: [] })],
    ['many entries', () => answers(200, [acknowledgement], { entries: entries(3, 40) })],
  ])('%s takes them along at once', async (_what, urgent) => {
    const { disk, commit, timers } = await begun()
    commit.add(0, answers(102, [acknowledgement], { entries: entries(2, 2) }))
    expect([disk.batches.length, timers.length]).toEqual([1, 1])
    commit.add(0, urgent())
    expect([disk.batches.length, timers.length]).toEqual([2, 0])
  })

  it('who is made a voter writes at once, and no timer outlives the host', async () => {
    const { disk, commit, timers, learner } = await begun()
    commit.add(0, answers(102, [acknowledgement], { entries: entries(2, 2) }))
    learner.of = false
    commit.add(0, answers(103, [acknowledgement], { entries: entries(3, 3) }))
    expect([disk.batches.length, timers.length]).toEqual([2, 0])
    await disk.end()
    learner.of = true
    commit.add(0, answers(104, [acknowledgement], { entries: entries(4, 4) }))
    expect(timers).toHaveLength(1)
    commit.stop()
    expect(timers).toHaveLength(0)
  })
})
