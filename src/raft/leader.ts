import { assert } from './assert.js'
import { compareIds, destinationOf, isInEveryQuorum, isJoint, isVoter, membersOf, without } from './configuration.js'
import type { Configuration, Entry, PeerId } from './entry.js'
import { proposalBytes } from './entry-bytes.js'
import { becomeFollower } from './follower.js'
import { beginRound, confirmRounds } from './heartbeat.js'
import {
  appendEntry,
  configurationIndexOf,
  configurationOf,
  lastIndex,
  lastTime,
  possibleConfigurations,
  termAt,
} from './log.js'
import { tellIfDue } from './news.js'
import { createProgress, type Progress } from './progress.js'
import { quorumValue, voteResult } from './quorum.js'
import { failLeaderReads, patience, releaseReads } from './read-index.js'
import { replicate } from './replication.js'
import { callReserve, callReserveIfDue, noteNeeded, restReserve } from './reserve.js'
import { hasCommittedInTerm, type Leading, type RaftState } from './state.js'
import { expireTransfer } from './transfer.js'

export function becomeLeader(state: RaftState): void {
  assert(state.role === 'candidate', 'only a candidate becomes leader')
  const leading: Leading = {
    progress: new Map(),
    round: 0,
    confirmedRound: 0,
    roundsSentAt: new Map(),
    leaseUntil: 0,
    waitingReads: [],
    confirmingReads: [],
    uncommittedBytes: 0,
    offer: null,
    dirty: true,
    heldAt: null,
    newsDue: Number.POSITIVE_INFINITY,
    commitAtBeat: 0,
    claimed: 0,
    transfer: null,
    hasHandedOver: false,
    hasQuorum: true,
    missedChecks: 0,
  }
  state.role = 'leader'
  state.leader = state.peerId
  state.leading = leading
  state.votes.clear()
  state.elapsed = 0
  state.heartbeatElapsed = 0
  state.electionTicks = state.timing.electionTicks
  const { log } = state
  for (const entry of log.entries.slice(log.commit - log.base.index)) leading.uncommittedBytes += proposalBytes(entry)
  appendAsLeader(state, leading, firstEntry(state))
  followConfiguration(state, leading, false)
}

/**
 * Earlier terms' entries are committed by one of this term (Raft paper 5.4.2 and 8). Whoever leads by a promised vote needs no
 * quorum of two for it: the other appended no configuration while the promise stood, and is gone (M2).
 */
function firstEntry({ log, term, succeeds, forks }: RaftState): Entry {
  const slot = { term, index: lastIndex(log) + 1, time: lastTime(log) }
  if (forks !== null) return { type: 'configuration', ...slot, configuration: forks }
  if (succeeds === null) return { type: 'noop', ...slot }
  return { type: 'configuration', ...slot, configuration: without(configurationOf(log), succeeds) }
}

export function appendAsLeader(state: RaftState, leading: Leading, entry: Entry): void {
  appendEntry(state.log, entry)
  leading.uncommittedBytes += proposalBytes(entry)
  leading.dirty = true
}

/**
 * Brings the progress of the others in line with the configuration, which is in force once it is in the log. `active`:
 * newcomers of a running term count as heard from, or the next check-quorum would come before their first answer.
 */
function followConfiguration(state: RaftState, leading: Leading, active: boolean): void {
  const { log, limits } = state
  const members = new Set(membersOf(configurationOf(log)))
  members.delete(state.peerId)
  const all: Progress[] = []
  for (const progress of leading.progress.values()) {
    if (members.has(progress.peerId)) progress.departing = 0
    else if (progress.departing === 0) progress.departing = configurationIndexOf(log)
    // Only one that is keeping up is told that it was removed; the others may be gone for good.
    if (progress.departing === 0 || progress.state === 'replicate') all.push(progress)
    members.delete(progress.peerId)
  }
  for (const peerId of members) all.push(createProgress(peerId, lastIndex(log), active, limits.inflightAppends))
  all.sort((a, b) => compareIds(a.peerId, b.peerId))
  callReserve(leading)
  leading.progress.clear()
  for (const progress of all) leading.progress.set(progress.peerId, progress)
  leading.dirty = true
}

/**
 * Commits what a quorum holds. Only entries of this term are counted; earlier ones come with them (Raft paper 5.4.2,
 * Figure 8). This peer counts with what is durable here, and only if it is a voter (B7, B12).
 */
export function advanceCommit(state: RaftState, leading: Leading): void {
  const { log } = state
  const configuration = configurationOf(log)
  const index = quorumValue(configuration, (peerId) =>
    peerId === state.peerId ? log.stable : (leading.progress.get(peerId)?.match ?? 0),
  )
  if (index <= log.commit || termAt(log, index) !== state.term) return
  for (let at = log.commit + 1; at <= index; at++) {
    const entry = log.entries[at - log.base.index - 1]
    if (entry !== undefined) leading.uncommittedBytes -= proposalBytes(entry)
  }
  assert(leading.uncommittedBytes >= 0, 'the uncommitted tail is counted exactly')
  log.commit = index
  noteNeeded(state, leading)
  releaseReads(state, leading)
  leading.dirty = true
  if (configurationIndexOf(log) > index) return
  if (isJoint(configuration)) leaveJoint(state, leading)
  if (isVoter(configuration, state.peerId)) return
  // It led its own removal to the end (dissertation 4.2.2); the others learn of the commit before it goes (S54, B19).
  replicate(state, leading)
  becomeFollower(state, state.term, null)
}

/** Leader: follower of nobody at the same term. */
export function stepDown(state: RaftState): void {
  if (state.leading !== null) becomeFollower(state, state.term, null)
}

export function tickLeader(state: RaftState, leading: Leading): void {
  expireTransfer(state, leading)
  callReserveIfDue(state, leading)
  tellIfDue(state, leading)
  if (state.elapsed >= state.timing.electionTicks && !checkQuorum(state, leading)) {
    if (!mayWait(state)) {
      stepDown(state)
      return
    }
    // Across slow links a quorum is missed now and then; one that stays away confirms nothing any more.
    leading.missedChecks += 1
    if (leading.missedChecks >= patience) failLeaderReads(state, leading)
  }
  beatIfDue(state, leading)
}

export function beatIfDue(state: RaftState, leading: Leading): void {
  if (state.heartbeatElapsed < state.timing.heartbeatTicks) return
  restReserve(state, leading)
  beginRound(state, leading)
}

/** One of two voters, or the only one: nobody can be elected without this peer's vote. */
export function isIndispensable({ log, peerId }: RaftState): boolean {
  return isInEveryQuorum(possibleConfigurations(log), peerId)
}

/** M2: nobody else could be elected, and this leader may drop the other voter in the end. */
function mayWait(state: RaftState): boolean {
  return isIndispensable(state) && hasCommittedInTerm(state)
}

/**
 * A leader that hears no quorum makes way, unless it is the only one who could lead: its clients look elsewhere, and its reads
 * fail (dissertation 6.2, S14).
 */
function checkQuorum(state: RaftState, leading: Leading): boolean {
  state.elapsed = 0
  const isActive = (peerId: PeerId) => peerId === state.peerId || (leading.progress.get(peerId)?.active ?? false)
  const result = voteResult(configurationOf(state.log), isActive)
  for (const progress of leading.progress.values()) {
    if (progress.departing > 0 && !progress.active) leading.progress.delete(progress.peerId)
    progress.active = false
  }
  leading.hasQuorum = result === 'won'
  return leading.hasQuorum
}

/**
 * The joint configuration is committed, by whichever leader: from now on the new majority alone may decide (dissertation 4.3). A new
 * leader comes here with the first commit of its own term, so that nobody has to remember that a change is under way (B20).
 */
function leaveJoint(state: RaftState, leading: Leading): void {
  const { log } = state
  appendConfiguration(state, leading, lastTime(log), destinationOf(configurationOf(log)))
}

/** In force at once: quorums may have become smaller. */
export function appendConfiguration(
  state: RaftState,
  leading: Leading,
  time: number,
  configuration: Configuration,
): void {
  const index = lastIndex(state.log) + 1
  appendAsLeader(state, leading, { type: 'configuration', term: state.term, index, time, configuration })
  followConfiguration(state, leading, true)
  confirmRounds(state, leading)
  advanceCommit(state, leading)
}
