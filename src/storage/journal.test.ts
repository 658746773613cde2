import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { emptyConfiguration } from '../raft/entry.js'
import type { Snapshot } from '../raft/message.js'
import { JournalBooks } from '../simulation/journal-books.js'
import { Journal, lastIndexIn } from './journal.js'
import { MemoryDisk } from './memory.js'
import type { GroupWrite, WriteBatch } from './storage.js'

const snapshot = (index: number): Snapshot => ({
  meta: { term: 1, index, configuration: emptyConfiguration, time: 0 },
  data: new Uint8Array(),
})
const entries = (from: number, count: number, term: number) =>
  Array.from({ length: count }, (_, i) => ({ term, index: from + i, time: 0, type: 'noop' as const }))
const append = (from: number, count: number, term = 1, group = 0): WriteBatch => ({
  groups: [{ group, entries: entries(from, count, term) }],
})
const compact = (index: number, keepFrom: number): WriteBatch => ({
  groups: [{ group: 0, entries: [], compacted: { snapshot: snapshot(index), keepFrom } }],
})
const indexes = ({ replayed }: JournalBooks, group = 0) => replayed.get(group)?.entries.map(({ index }) => index)

/** What a core could ask of the disk at this point: no gap in the log, and nothing of a snapshot is cut off. */
interface Move {
  readonly what: 'append' | 'vote' | 'install' | 'compact' | 'reset' | 'reopen'
  readonly group: number
  readonly a: number
  readonly b: number
}
const move: fc.Arbitrary<Move> = fc.record({
  what: fc.oneof(
    { weight: 12, arbitrary: fc.constant('append' as const) },
    { weight: 2, arbitrary: fc.constant('vote' as const) },
    { weight: 1, arbitrary: fc.constant('install' as const) },
    { weight: 4, arbitrary: fc.constant('compact' as const) },
    { weight: 2, arbitrary: fc.constant('reopen' as const) },
    { weight: 1, arbitrary: fc.constant('reset' as const) },
  ),
  group: fc.integer({ min: 0, max: 2 }),
  a: fc.integer({ min: 0, max: 6 }),
  b: fc.integer({ min: 0, max: 6 }),
})

function writeOf({ what, group, a, b }: Move, disk: MemoryDisk, term: number): GroupWrite | null {
  const stored = disk.read().groups.get(group)
  const base = stored?.snapshot?.meta.index ?? 0
  const last = stored?.entries.at(-1)?.index ?? base
  const cut = Math.max(base, last - a) + 1
  switch (what) {
    case 'append':
      return { group, entries: entries(cut, b + 1, term) }
    case 'vote':
      return { group, hardState: { term, votedFor: 'ann', promisedTo: null, commitIndex: base }, entries: [] }
    case 'install':
      return { group, installed: snapshot(last + a - 3 > base ? last + a - 3 : base + 1), entries: [] }
    case 'compact': {
      const index = Math.max(base, last - a)
      const first = stored?.entries[0]?.index ?? base + 1
      return {
        ...{ group, entries: b > 4 ? entries(last + 1, b - 4, term) : [] },
        compacted: { snapshot: snapshot(index), keepFrom: Math.max(first, index + 1 - b) },
      }
    }
    default:
      return null
  }
}

describe('journal', () => {
  it('replayed after any writes, in any lives, it is the state that they made', () => {
    fc.assert(
      fc.property(fc.array(move, { maxLength: 60 }), (moves) => {
        const records = new JournalBooks()
        const disk = new MemoryDisk()
        for (const [i, one] of moves.entries()) {
          const write = writeOf(one, disk, i + 1)
          const batch: WriteBatch = { ...(one.what === 'reset' && { reset: true }), groups: write ? [write] : [] }
          if (one.what === 'reopen') records.reopen()
          disk.apply(batch)
          records.write(batch)
          const expected = [...disk.read().groups].sort(([x], [y]) => x - y)
          expect([...records.replayed].sort(([x], [y]) => x - y)).toEqual(
            expected.map(([group, { hardState, entries }]) => [group, { hardState, entries }]),
          )
        }
      }),
      { numRuns: 2_000 },
    )
  })

  it('a write is one record, and touches no other', () => {
    const records = new JournalBooks()
    for (let i = 1; i <= 9; i += 1) records.write(append(i, 1))
    expect(records.keys).toEqual(Array.from({ length: 9 }, (_, i) => [1, i + 1]))
  })

  it('what holds nothing is no record: a peer alone that is only read writes for ever', () => {
    const records = new JournalBooks()
    for (let i = 0; i < 9; i += 1) records.write({ groups: [{ group: 0, entries: [] }] })
    expect(records.keys).toEqual([])
    expect(records.next).toEqual([1, 1])
  })

  it('compacting throws away the records of which nothing is left, of every life', () => {
    const records = new JournalBooks()
    for (let i = 1; i <= 20; i += 1) {
      records.write(append(i, 1))
      if (i % 5 === 0) records.reopen()
    }
    records.write(compact(18, 17))
    expect(records.keys).toEqual([
      [4, 2],
      [4, 3],
      [4, 4],
      [4, 5],
      [5, 1],
    ])
    expect(indexes(records)).toEqual([17, 18, 19, 20])
    for (let i = 0; i < 100; i += 1) {
      records.write(append(21 + i, 1))
      records.write(compact(21 + i, 21 + i))
      expect(records.keys.length).toBeLessThan(4)
    }
  })

  it('what was cut off stays cut off when the record that did it is thrown away', () => {
    const records = new JournalBooks()
    records.write(append(1, 20))
    records.write(append(5, 1, 2))
    records.write(compact(5, 6))
    expect(indexes(records)).toEqual([])
    records.write(append(6, 1, 2))
    records.write(compact(6, 6))
    records.reopen()
    expect(indexes(records)).toEqual([6])
  })

  it('a vote outlives the record that told of it, in whichever group', () => {
    const records = new JournalBooks()
    const hardState = { term: 7, votedFor: 'ann', promisedTo: 'bob', commitIndex: 2 }
    records.write({ groups: [0, 1].map((group) => ({ group, hardState, entries: [] })) })
    records.write(append(1, 9))
    records.write(compact(9, 10))
    expect(records.keys).toHaveLength(1)
    expect([0, 1].map((group) => records.replayed.get(group)?.hardState)).toEqual([hardState, hardState])
  })

  it('a hole is not mended', () => {
    const records = new JournalBooks()
    for (let i = 1; i <= 4; i += 1) records.write(append(i, 1))
    records.lose([1, 3], [1, 3])
    expect(indexes(records)).toEqual([1, 2, 4])
  })

  it('one record tells the end of a log if it says anything of it', () => {
    const record = (batch: WriteBatch) => new Journal(1, []).step(batch)?.record ?? { groups: [] }
    const hardState = { term: 1, votedFor: null, promisedTo: null, commitIndex: 0 }
    expect(lastIndexIn(record({ groups: [{ group: 0, hardState, entries: [] }] }), 0)).toBe(null)
    expect(lastIndexIn(record(append(3, 4, 1, 1)), 0)).toBe(null)
    expect(lastIndexIn(record(append(3, 4)), 0)).toBe(6)
    expect(lastIndexIn(record({ groups: [{ group: 0, installed: snapshot(5), entries: [] }] }), 0)).toBe(5)
    expect(lastIndexIn(record({ reset: true, groups: [] }), 0)).toBe(0)
  })
})
