import { describe, expect, it } from 'vitest'
import type { Entry } from './entry.js'
import type { Restored } from './log.js'
import { Raft } from './raft.js'
import { recoverRestored } from './restored.js'
import { command, configuration, drain, log, snapshotAt, timing } from './test-cluster.js'

const three = configuration(['a', 'b', 'c'])
const hardState = { term: 3, votedFor: null, promisedTo: null, commitIndex: 0 }
const good: Restored = { hardState, snapshot: null, entries: log(['a', 'b', 'c'], [1, 1, 2, 3]) }
const start = (restored: Restored) => new Raft({ ...timing, seed: 1, peerId: 'a', restored })
const entriesFrom = (from: number): Entry[] => good.entries.filter(({ index }) => index >= from)

describe('[S43] what was stored', () => {
  it.each<[string, Restored]>([
    ['a whole log', good],
    [
      'a snapshot and what follows it',
      { ...good, snapshot: snapshotAt({ term: 1, index: 2 }, three), entries: entriesFrom(3) },
    ],
    ['a snapshot with a tail before it', { ...good, snapshot: snapshotAt({ term: 2, index: 3 }, three) }],
    ['a snapshot alone', { ...good, snapshot: snapshotAt({ term: 3, index: 9 }, three), entries: [] }],
    ['a term and nothing else', { hardState, snapshot: null, entries: [] }],
  ])('%s is taken up', (_, restored) => {
    expect(start(restored).term).toBe(3)
  })

  it.each<[string, Partial<Restored>, string]>([
    [
      '[B6] a term older than its log',
      { hardState: { ...hardState, term: 2 } },
      'the stored term 2 is older than the log',
    ],
    [
      'a log that was torn below its commit',
      { hardState: { ...hardState, commitIndex: 5 } },
      'ends at 4, and 5 was committed',
    ],
    ['a log with a gap', { entries: good.entries.filter(({ index }) => index !== 2) }, 'a gap after 1'],
    ['a log that lost its beginning', { entries: entriesFrom(2) }, 'begins at 2'],
    ['a log whose terms go back', { entries: [...log(['a'], [1, 3]), command(2, 3)] }, 'back from term 3 to 2 at 3'],
    ['an entry of no term', { entries: [command(0, 1)] }, 'no index and term'],
    [
      'a hole between snapshot and log',
      { snapshot: snapshotAt({ term: 1, index: 1 }, three), entries: entriesFrom(3) },
      'begins at 3, after 1',
    ],
    ['a snapshot of another log', { snapshot: snapshotAt({ term: 2, index: 2 }, three) }, 'disagree about entry 2'],
    [
      'a log older than its snapshot',
      { snapshot: snapshotAt({ term: 3, index: 2 }, three), entries: entriesFrom(3) },
      'back to term 2 after the snapshot',
    ],
    ['a snapshot of nothing', { snapshot: snapshotAt({ term: 0, index: 0 }, three) }, 'ends at no entry'],
    ['a term that is no number', { hardState: { ...hardState, term: Number.NaN } }, 'no number of a term'],
    ['a commit index below 0', { hardState: { ...hardState, commitIndex: -1 } }, 'no index'],
  ])('%s is refused, and not repaired', (_, broken, sentence) => {
    expect(() => start({ ...good, ...broken })).toThrow(sentence)
  })
})

describe('[S69] recovery of a group that lost its quorum', () => {
  it('keeps the whole log of the survivor and lets the given voters decide, in a later term', () => {
    const recovered = recoverRestored(good, 'a', configuration(['a'], ['l']))
    const raft = start(recovered)
    expect(raft.status()).toMatchObject({
      term: 4,
      lastIndex: 5,
      commitIndex: 5,
      configuration: { voters: ['a'], learners: ['l'] },
    })
    raft.campaign()
    drain(raft)
    expect([raft.role, raft.committedInTerm]).toEqual(['leader', true])
    expect(raft.entryTerm(4)).toBe(3)
  })

  it('of a snapshot alone', () => {
    const snapshot = snapshotAt({ term: 3, index: 9 }, three, 77)
    const recovered = recoverRestored({ ...good, snapshot, entries: [] }, 'a', configuration(['a']))
    expect(recovered.entries).toMatchObject([{ type: 'configuration', term: 4, index: 10, time: 77 }])
    expect(start(recovered).configuration.voters).toEqual(['a'])
  })

  it.each<[string, Parameters<typeof recoverRestored>, string]>([
    ['without the survivor', [good, 'a', configuration(['b'])], 'votes in it'],
    ['into half of a change', [good, 'a', { ...configuration(['a']), outgoing: ['b'] }], 'no half of a change'],
    ['from a broken log', [{ ...good, entries: entriesFrom(2) }, 'a', configuration(['a'])], 'begins at 2'],
  ])('%s is refused', (_, given, sentence) => {
    expect(() => recoverRestored(...given)).toThrow(sentence)
  })
})
