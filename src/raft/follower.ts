import { votersOf } from './configuration.js'
import type { Entry, EntryId, PeerId } from './entry.js'
import {
  appendEntry,
  configurationOf,
  installSnapshot,
  lastId,
  lastIndex,
  lastWithTermAtMost,
  mayBeNeeded,
  termAt,
  truncateFrom,
} from './log.js'
import type { MessageOf, Snapshot } from './message.js'
import { addChunk, partialFor } from './partial.js'
import { failForwardedReads, failLeaderReads } from './read-index.js'
import {
  drawTimeout,
  judgeAlone,
  patienceOf,
  type RaftState,
  type RaftTiming,
  sendAfterWrite,
  sendInTerm,
} from './state.js'

/** `leader`: whom it follows, or null while that is unknown. */
export function becomeFollower(state: RaftState, term: number, leader: PeerId | null): void {
  const { leading } = state
  keepPromise(state)
  if (term > state.term) enterTerm(state, term, null)
  // A new leader says soon how patient it wants its followers to be.
  if (leader !== state.leader || leader === null) judgeAlone(state)
  state.leader = leader
  state.role = 'follower'
  state.leading = null
  state.votes.clear()
  state.elapsed = 0
  state.timeout = drawTimeout(state, patienceOf(state))
  if (leading !== null) failLeaderReads(state, leading)
}

/** Every read that was sent to the old term's leader has failed. */
export function enterTerm(state: RaftState, term: number, votedFor: PeerId | null): void {
  state.term = term
  state.votedFor = votedFor
  state.leaderStable = null
  failForwardedReads(state)
}

/** M2: the promised vote may be on its way, so whoever stops leading has cast it. */
function keepPromise(state: RaftState): void {
  const { promise } = state
  state.promise = null
  if (promise !== null) enterTerm(state, state.term + 1, promise.to)
}

/** A message of this term's leader came. Its term was adopted before. */
export function hearLeader(state: RaftState, leader: PeerId): void {
  if (state.role !== 'follower') becomeFollower(state, state.term, leader)
  state.leader = leader
  state.elapsed = 0
  state.hasYielded = false
}

export function onAppend(state: RaftState, message: MessageOf<'append'>): void {
  hearLeader(state, message.from)
  const { log } = state
  const { previous, entries } = message
  if (!isWellFormed(entries, previous, message.term)) return
  // What is committed here is in every later leader's log (Leader Completeness), so it need not be compared.
  if (previous.index > log.commit && termAt(log, previous.index) !== previous.term) {
    refuse(state, message)
    return
  }
  for (const entry of entries) {
    if (entry.index <= log.commit) continue
    const term = termAt(log, entry.index)
    if (term === entry.term) continue
    // Only a real conflict cuts: a late append that holds less than the log must not delete what was acknowledged (B4).
    if (term !== null) truncateFrom(log, entry.index)
    // Terms never fall along a log: what comes after a committed entry was compared with none of it.
    if (entry.term < lastId(log).term) return
    appendEntry(log, entry)
  }
  // Beyond this append nothing is known to match, however long the log is (B3).
  const matched = Math.max(previous.index + entries.length, log.commit)
  log.commit = Math.max(log.commit, Math.min(message.commitIndex, matched))
  reply(state, message.from, matched)
}

function isWellFormed(entries: readonly Entry[], previous: EntryId, term: number): boolean {
  let index = previous.index
  // An entry has a term, whatever is before it.
  let last = Math.max(1, previous.term)
  for (const entry of entries) {
    if (entry.index !== ++index || entry.term < last || entry.term > term) return false
    last = entry.term
  }
  return true
}

/** Acknowledges in one reply what several appends of one turn brought. */
function reply(state: RaftState, to: PeerId, index: number): void {
  const { peerId: from, term } = state
  const waiting = state.out.messagesAfterWrite
  const newest = waiting[waiting.length - 1]
  if (newest?.type === 'appendReply' && !newest.rejected && newest.to === to && newest.term === term) {
    if (newest.index >= index) return
    waiting.pop()
  }
  sendAfterWrite(state, { type: 'appendReply', from, to, term, rejected: false, index })
}

/** The hint spares the leader one round trip for each entry, or each term, that differs (B29). */
function refuse(state: RaftState, message: MessageOf<'append'>): void {
  const { peerId: from, term } = state
  const { previous } = message
  const hint = lastWithTermAtMost(state.log, previous.index, previous.term)
  sendAfterWrite(state, {
    type: 'appendReply',
    from,
    to: message.from,
    term,
    rejected: true,
    index: previous.index,
    hint,
  })
}

export function onCommit(state: RaftState, { from, last }: MessageOf<'commit'>): void {
  hearLeader(state, from)
  const { log } = state
  // The same entry is the same log up to there (Log Matching).
  if (termAt(log, last.index) === last.term) log.commit = Math.max(log.commit, last.index)
}

export function onHeartbeat(state: RaftState, message: MessageOf<'heartbeat'>): void {
  hearLeader(state, message.from)
  adoptElectionTicks(state, message.electionTicks)
  state.heir = message.heir ?? null
  const { log } = state
  // The leader sends min(match, commit): this peer has acknowledged all of it (B3).
  if (message.commitIndex <= lastIndex(log)) log.commit = Math.max(log.commit, message.commitIndex)
  answerHeartbeat(state, message.from, message.round)
}

/** A slow disk must not look like a dead peer. */
export function answerHeartbeat(state: RaftState, to: PeerId, round: number): void {
  const { peerId: from, term, priority } = state
  const plain = { type: 'heartbeatReply', from, to, term, round } as const
  sendInTerm(state, priority === 0 ? plain : { ...plain, priority })
}

/** M5. The draw keeps its place in the spread. */
function adoptElectionTicks(state: RaftState, electionTicks: number): void {
  if (electionTicks === state.electionTicks || !(electionTicks >= 1 && electionTicks < 2 ** 31)) return
  const before = patienceOf(state)
  state.electionTicks = electionTicks
  state.timeout = Math.floor((state.timeout / before) * patienceOf(state))
}

/**
 * M6: somebody waits for the leader in vain while the group is idle. From now on it has one awake time-out to speak, this peer's own; whatever
 * it says counts again. False: nobody is followed, or by no longer time-out than that.
 */
export function doubtLeader(state: RaftState): boolean {
  if (state.role !== 'follower' || state.leader === null) return false
  if (state.electionTicks <= state.timing.electionTicks) return false
  // Whoever has been silent for its own time-out gets no other one: it is not kept to any longer as it is.
  if (state.elapsed < state.electionTicks) state.elapsed = 0
  state.electionTicks = state.timing.electionTicks
  state.timeout = state.elapsed + drawTimeout(state, state.electionTicks)
  return true
}

/** F5, M5: other times of its own. A draw keeps its place in the spread; an election that is due keeps its time, or comes sooner. */
export function retime(state: RaftState, timing: RaftTiming): void {
  const before = patienceOf(state)
  state.timing = timing
  if (state.role === 'leader' || state.leader === null) state.electionTicks = timing.electionTicks
  const after = patienceOf(state)
  // What was heard within the longer time-out may be older than the shorter one: the check of the quorum begins anew.
  if (state.role === 'leader' && after < before) state.elapsed = 0
  if (state.role !== 'follower' || after === before) return
  if (state.leader !== null) state.timeout = Math.floor((state.timeout / before) * after)
  else if (after < before) state.timeout = Math.min(state.timeout, state.elapsed + drawTimeout(state, after))
}

/** What no log ever comes to, with room above it to count. */
const indexMax = 2 ** 52

export function onSnapshot(state: RaftState, message: MessageOf<'snapshot'>): void {
  hearLeader(state, message.from)
  const { log } = state
  const { meta } = message
  if (!(meta.term >= 1 && meta.term <= message.term && meta.index <= indexMax)) return
  if (meta.index > log.commit) {
    // With the entry at hand the log needs no replacing: it agrees with the snapshot up to there (Log Matching).
    if (termAt(log, meta.index) === meta.term) log.commit = meta.index
    else {
      const snapshot = collect(state, message)
      if (snapshot === null) return
      installSnapshot(log, snapshot)
    }
  }
  // Also when the snapshot is older than what is here, or the leader would wait for ever (S48, B26).
  reply(state, message.from, log.commit)
}

/** Takes one chunk. Gives the snapshot when it is whole; else it says what is here of it. */
function collect(state: RaftState, message: MessageOf<'snapshot'>): Snapshot | null {
  const { meta, size, checksum, offset, data } = message
  // Not answered: the leader asks now and then, and sends no more of it.
  if (size > state.limits.snapshotBytes || offset + data.length > size) return null
  const partial = partialFor(state.partial, message)
  if (partial === null) {
    tellReceived(state, message, 0)
    return null
  }
  state.partial = partial
  addChunk(partial, offset, data)
  if (partial.received < size) {
    tellReceived(state, message, partial.received)
    return null
  }
  state.partial = null
  if (partial.crc === checksum) return { meta, data: partial.bytes }
  // Wrong somewhere, and nobody knows where.
  tellReceived(state, message, 0)
  return null
}

function tellReceived(state: RaftState, { from: to, meta }: MessageOf<'snapshot'>, offset: number): void {
  const { peerId: from, term } = state
  const snapshot = { term: meta.term, index: meta.index }
  sendInTerm(state, { type: 'snapshotReply', from, to, term, snapshot, offset })
}

/**
 * The leader is known to be gone (M5): stickiness ends, and a campaign is due at once for the first of those who are left, for
 * each other a third of a time-out later. A stale one still cannot win (S19).
 */
export function forgetLeader(state: RaftState, named: PeerId | null): void {
  if (state.role !== 'follower') return
  const gone = state.leader
  judgeAlone(state)
  if (!mayBeNeeded(state.log, state.peerId)) return
  // All its followers hear of it together: without turns every vote would split.
  const heir = named ?? state.heir
  const others = votersOf(configurationOf(state.log)).filter((peerId) => peerId !== gone && peerId !== heir)
  const heirs = heir === null ? others : [heir, ...others]
  const rank = Math.max(0, heirs.indexOf(state.peerId))
  // One that was named asks for votes at once, however busy its machine is with it: who goes next gives it a time-out.
  const turns = named === null || rank === 0 ? rank : rank + 2
  state.timeout = Math.min(state.timeout, state.elapsed + 1 + turns * Math.ceil(state.electionTicks / 3))
}
