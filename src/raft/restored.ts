import { assert } from './assert.js'
import { isVoter } from './configuration.js'
import type { Configuration, Entry, PeerId } from './entry.js'
import { createLog, type Log, lastId, lastTime, type Restored } from './log.js'
import type { HardState } from './ready.js'

/**
 * Refuses what cannot be what was once durable: a log with a hole or a torn end may lack something that this peer has acknowledged, and
 * a term that was lost may have had its vote. Nothing is repaired: the peer must not come back under this identity.
 */
export function checkRestored({ hardState, snapshot, entries }: Restored): void {
  checkHardState(hardState)
  checkSnapshot(snapshot)
  const begin = snapshot?.meta.index ?? 0
  const first = entries[0]
  if (first !== undefined) assert(first.index <= begin + 1, `the stored log begins at ${first.index}, after ${begin}`)
  if (snapshot === null && first !== undefined) assert(first.index === 1, 'a stored log without a snapshot begins at 1')
  let before: Entry | null = null
  for (const entry of entries) {
    checkEntry(entry, before)
    before = entry
  }
  checkMeeting(snapshot, entries)
  const last = entries[entries.length - 1]
  const lastTerm = Math.max(last?.term ?? 0, snapshot?.meta.term ?? 0)
  // B6: the term is durable before anything of that term, or with it.
  assert(hardState.term >= lastTerm, `the stored term ${hardState.term} is older than the log, which has ${lastTerm}`)
  const end = Math.max(last?.index ?? 0, begin)
  assert(hardState.commitIndex <= end, `the stored log ends at ${end}, and ${hardState.commitIndex} was committed`)
}

function checkHardState({ term, commitIndex }: HardState): void {
  assert(Number.isSafeInteger(term) && term >= 0, 'the stored term is no number of a term')
  assert(Number.isSafeInteger(commitIndex) && commitIndex >= 0, 'the stored commit index is no index')
}

function checkSnapshot(snapshot: Restored['snapshot']): void {
  if (snapshot === null) return
  const { index, term } = snapshot.meta
  assert(Number.isSafeInteger(index) && index > 0 && term > 0, 'the stored snapshot ends at no entry')
}

function checkEntry(entry: Entry, before: Entry | null): void {
  const { index, term } = entry
  assert(Number.isSafeInteger(index) && Number.isSafeInteger(term) && term > 0, 'a stored entry has no index and term')
  if (before === null) return
  assert(index === before.index + 1, `the stored log has a gap after ${before.index}`)
  assert(term >= before.term, `the stored log goes back from term ${before.term} to ${term} at ${index}`)
}

/** The entry that the snapshot ends with, if it is still there, and the one after it. */
function checkMeeting(snapshot: Restored['snapshot'], entries: readonly Entry[]): void {
  if (snapshot === null) return
  const { index, term } = snapshot.meta
  const same = entries.find((entry) => entry.index === index)
  assert(same === undefined || same.term === term, `the stored snapshot and log disagree about entry ${index}`)
  const next = entries.find((entry) => entry.index === index + 1)
  assert(next === undefined || next.term >= term, `the stored log goes back to term ${next?.term} after the snapshot`)
}

/**
 * What a survivor of a lost quorum goes on with, as an explicit act of its owner: its own log to the end counts as committed, and the
 * given voters decide from now on. What only the others had acknowledged is lost, and two survivors that do this apart are two
 * groups: the caller gives the group another identity, so that old members are never heard again (PROTOCOL N3).
 */
export function recoverRestored(restored: Restored, peerId: PeerId, configuration: Configuration): Restored {
  checkRestored(restored)
  assert(isVoter(configuration, peerId), 'whoever recovers a group votes in it')
  assert(configuration.outgoing.length === 0, 'a group is recovered into a configuration that is no half of a change')
  const log: Log = createLog(restored)
  const term = restored.hardState.term + 1
  const index = lastId(log).index + 1
  const entry: Entry = { type: 'configuration', term, index, time: lastTime(log), configuration }
  return {
    ...restored,
    hardState: { term, votedFor: null, promisedTo: null, commitIndex: index },
    entries: [...restored.entries, entry],
  }
}
