import { isVoter } from './configuration.js'
import { entryBytes } from './entry-bytes.js'
import { beginRound } from './heartbeat.js'
import { addInflight } from './inflight.js'
import { configurationOf, entriesBetween, lastIndex, termAt } from './log.js'
import { hearsLater, keepNews, noteTold } from './news.js'
import { becomeSnapshot, type Progress } from './progress.js'
import { isInReserve, noteHeld } from './reserve.js'
import { hasCommittedInTerm, type Leading, type RaftState, send } from './state.js'
import { createOffer, createStream, nextChunk, type Stream } from './stream.js'

/**
 * Sends what the turn has made due: a round for new reads, entries, the commit index. Called when a Ready is taken, so
 * that everything that came in one turn is one append (batching), and not before a later one (no timer waits).
 */
export function flush(state: RaftState): void {
  const { leading } = state
  if (leading === null) return
  if (leading.waitingReads.length > 0 && hasCommittedInTerm(state)) beginRound(state, leading)
  if (leading.dirty) replicate(state, leading)
}

export function replicate(state: RaftState, leading: Leading): void {
  leading.dirty = false
  leading.newsDue = Number.POSITIVE_INFINITY
  for (const progress of leading.progress.values()) {
    if (hearsLater(state, leading, progress, wantedBy(state, progress))) keepNews(state, leading, progress)
    else replicateTo(state, progress)
    if (isInReserve(state, progress)) noteHeld(state, leading)
    if (isDeparted(progress)) leading.progress.delete(progress.peerId)
  }
  // Last of all: nobody's appends wait behind chunks (S51).
  for (const progress of leading.progress.values()) {
    if (progress.stream !== null) sendChunks(state, progress, progress.stream)
  }
}

/** A removed member is served until it has the entry that removes it and knows that it is committed. */
function isDeparted(progress: Progress): boolean {
  const { departing } = progress
  return departing > 0 && progress.match >= departing && progress.toldCommit >= departing
}

function replicateTo(state: RaftState, progress: Progress): void {
  switch (progress.state) {
    case 'probe':
      probe(state, progress)
      break
    case 'replicate':
      pipeline(state, progress)
      break
    case 'snapshot':
      // Its chunks follow when everybody has had its turn.
      break
  }
}

function probe(state: RaftState, progress: Progress): void {
  if (progress.paused) return
  progress.owed = false
  if (termAt(state.log, progress.next - 1) === null) {
    beginSnapshot(state, progress)
  } else {
    sendAppend(state, progress, batchEnd(state, progress) - progress.next + 1)
    progress.paused = true
  }
}

function pipeline(state: RaftState, progress: Progress): void {
  const { log } = state
  const { inflight } = progress
  if (termAt(log, progress.next - 1) === null) {
    beginSnapshot(state, progress)
    return
  }
  progress.isWaiting = false
  let sent = false
  const end = wantedBy(state, progress)
  while (progress.next <= end && inflight.count < inflight.capacity) {
    const last = Math.min(end, batchEnd(state, progress))
    if (last < progress.next) break
    const bytes = sendAppend(state, progress, last - progress.next + 1)
    addInflight(inflight, last, bytes)
    progress.next = last + 1
    sent = true
  }
  // The rest comes as soon as there is room for it.
  if (progress.next <= end) progress.toldAt = Number.NEGATIVE_INFINITY
  // An owed append goes out even past a full window: its refusal or acknowledgement is what frees it (S31).
  if (!sent && progress.owed) sendAppend(state, progress, 0)
  else if (!sent) sendCommit(state, progress)
  progress.owed = false
}

/**
 * How far a member's log is to reach now. Nobody waits for a learner, nor for a voter in reserve (reserve.ts): they get what is committed already,
 * entries and commit index in one message, at the moment at which they would learn of the commit anyway.
 */
export function wantedBy(state: RaftState, progress: Progress): number {
  const { log } = state
  const isWaitedFor = isVoter(configurationOf(log), progress.peerId) && !isInReserve(state, progress)
  return isWaitedFor ? lastIndex(log) : log.commit
}

/** What was sent to it has been committed meanwhile, and no entry is there to say so. */
function sendCommit(state: RaftState, progress: Progress): void {
  const { peerId: from, term, log } = state
  const index = Math.min(log.commit, progress.next - 1)
  const termThere = index > progress.toldCommit ? termAt(log, index) : null
  if (termThere === null) return
  noteTold(state, progress, index)
  // It could tell by itself (pair.ts).
  if (Math.min(progress.match, progress.toldStable) >= index) return
  send(state, { type: 'commit', from, to: progress.peerId, term, last: { term: termThere, index } })
}

/** The last index that fits one append and the window; below `next` when nothing does. One oversized entry goes alone. */
function batchEnd(state: RaftState, progress: Progress): number {
  const { log, limits } = state
  const room = Math.min(limits.appendBytes, limits.inflightBytes - progress.inflight.bytes)
  const end = lastIndex(log)
  let last = progress.next - 1
  let bytes = 0
  while (last < end) {
    const entry = log.entries[last - log.base.index]
    if (entry === undefined) break
    bytes += entryBytes(entry)
    const alone = last < progress.next && progress.inflight.count === 0
    if (bytes > room && !alone) break
    last++
  }
  return last
}

/** Returns the bytes of its entries. */
function sendAppend(state: RaftState, progress: Progress, count: number): number {
  const { peerId: from, term, log } = state
  const index = progress.next - 1
  const previousTerm = termAt(log, index)
  if (previousTerm === null) return 0
  const entries = count === 0 ? [] : entriesBetween(log, index + 1, index + count)
  const previous = { term: previousTerm, index }
  const commitIndex = log.commit
  send(state, { type: 'append', from, to: progress.peerId, term, previous, entries, commitIndex })
  noteTold(state, progress, Math.min(commitIndex, index + count))
  let bytes = 0
  for (const entry of entries) bytes += entryBytes(entry)
  return bytes
}

/** What it needs is compacted. A peer that does not answer gets no snapshot: it is large. */
function beginSnapshot({ leading, log: { snapshot } }: RaftState, progress: Progress): void {
  if (leading === null || snapshot === null || !progress.active) return
  if (leading.offer?.snapshot !== snapshot) leading.offer = createOffer(snapshot)
  becomeSnapshot(progress, createStream(leading.offer))
}

function sendChunks(state: RaftState, progress: Progress, stream: Stream): void {
  // What is there may have been lost, or its acknowledgement (B26): an empty chunk asks.
  if (progress.owed) sendChunk(state, progress, stream, stream.acked, 0)
  progress.owed = false
  for (let bytes = nextChunk(stream, state.limits); bytes > 0; bytes = nextChunk(stream, state.limits)) {
    sendChunk(state, progress, stream, stream.sent, bytes)
    stream.sent += bytes
  }
}

function sendChunk(state: RaftState, { peerId: to }: Progress, { offer }: Stream, offset: number, bytes: number): void {
  const { peerId: from, term } = state
  const { checksum, snapshot } = offer
  const { meta, data: all } = snapshot
  const data = all.subarray(offset, offset + bytes)
  send(state, { type: 'snapshot', from, to, term, meta, size: all.length, checksum, offset, data })
}
