import { assert } from './assert.js'
import { onOwnVoteDurable } from './candidate.js'
import type { Entry } from './entry.js'
import { entryBytes } from './entry-bytes.js'
import { advanceCommit } from './leader.js'
import { entriesBetween, lastIndex } from './log.js'
import { advanceByPair, tellStable } from './pair.js'
import type { Ready, Write } from './ready.js'
import { flush } from './replication.js'
import type { RaftState } from './state.js'

export function hasReady(state: RaftState): boolean {
  flush(state)
  const { out, log } = state
  return (
    out.messages.length > 0 ||
    out.messagesAfterWrite.length > 0 ||
    out.reads.length > 0 ||
    log.applying < log.commit ||
    hasWrite(state)
  )
}

/** The commit index alone is not worth a write: it is learned again (it goes along when there is one). */
function hasWrite(state: RaftState): boolean {
  const { out, log } = state
  const isNewVote =
    out.handedTerm !== state.term || out.handedVote !== state.votedFor || out.handedPromise !== state.promise
  return isNewVote || log.written < lastIndex(log) || log.unwrittenSnapshot !== null
}

export function takeReady(state: RaftState): Ready {
  flush(state)
  dropPartial(state)
  const { out } = state
  const sequence = ++out.sequence
  const write = hasWrite(state) ? takeWrite(state) : null
  const ready: Ready = {
    sequence,
    messages: out.messages,
    write,
    messagesAfterWrite: out.messagesAfterWrite,
    committed: takeCommitted(state),
    reads: out.reads,
  }
  // New arrays even where they are empty: what is said later must not get into a Ready that is already out.
  out.messages = []
  out.messagesAfterWrite = []
  out.reads = []
  return ready
}

/** At least one entry, if there is one, and no more than a page: the rest comes with later Readys (S38). */
function takeCommitted({ log, limits }: RaftState): readonly Entry[] {
  if (log.applying === log.commit) return []
  const first = log.applying + 1
  let last = log.applying
  let bytes = 0
  while (last < log.commit) {
    const entry = log.entries[last - log.base.index]
    assert(entry !== undefined, 'what is committed is in the log')
    bytes += entryBytes(entry)
    if (bytes > limits.committedBytes && last >= first) break
    last++
  }
  log.applying = last
  return entriesBetween(log, first, last)
}

/** The log has come past it: what was received of a snapshot is of no use any more. Whatever commits is followed by a Ready. */
function dropPartial(state: RaftState): void {
  if (state.partial !== null && state.partial.id.index <= state.log.commit) state.partial = null
}

function takeWrite(state: RaftState): Write {
  const { out, log, term, votedFor, promise } = state
  const last = lastIndex(log)
  const hardState = { term, votedFor, promisedTo: promise?.to ?? null, commitIndex: log.commit }
  const entries = log.written < last ? entriesBetween(log, log.written + 1, last) : []
  const { unwrittenSnapshot: snapshot } = log
  const write: Write = snapshot === null ? { hardState, entries } : { hardState, snapshot, entries }
  out.handedTerm = term
  out.handedVote = votedFor
  out.handedPromise = promise
  log.unwrittenSnapshot = null
  log.written = last
  log.writes.push({ sequence: out.sequence, lastIndex: last, term, promise })
  return write
}

/** Everything up to this Ready is durable. Late, early and repeated calls do no harm. */
export function onPersisted(state: RaftState, sequence: number): void {
  const { log, out } = state
  let count = 0
  for (const write of log.writes) {
    if (write.sequence > sequence) break
    log.stable = Math.max(log.stable, write.lastIndex)
    out.stableTerm = write.term
    if (write.promise !== null) write.promise.isDurable = true
    count++
  }
  if (count === 0) return
  for (; count > 0; count--) log.writes.shift()
  if (state.leading !== null) {
    advanceCommit(state, state.leading)
    if (state.leading !== null) tellStable(state, state.leading)
  } else {
    advanceByPair(state)
    if (out.stableTerm === state.term) onOwnVoteDurable(state)
  }
}
