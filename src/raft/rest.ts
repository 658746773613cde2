import { isJoint } from './configuration.js'
import type { PeerId } from './entry.js'
import { answerHeartbeat } from './follower.js'
import { configurationIndexOf, configurationOf, lastIndex } from './log.js'
import type { MessageOf } from './message.js'
import { voteResult } from './quorum.js'
import { hasCommittedInTerm, type Leading, type RaftState } from './state.js'
import { step } from './step.js'

/**
 * What the core of one group knows of resting (M6); when, and for how long, is decided in groups.ts. A core at rest is one
 * whose `tick` is not called: to everybody else it looks like a slow clock, which Raft's safety does not look at.
 */

/**
 * Leader: the members that have not answered lately, if everything is said and done with all others and they are a quorum. Null: the
 * group has to stay awake.
 */
export function laggardsAtRest(state: RaftState): PeerId[] | null {
  return state.promise === null ? laggardsWhenIdle(state) : null
}

/** The same where ticks go on, only fewer messages: a promised vote does not mind. */
export function laggardsWhenIdle(state: RaftState): PeerId[] | null {
  const { leading, log, timing } = state
  if (leading === null || !isSettled(state, leading)) return null
  const rounds = Math.max(2, Math.ceil(timing.electionTicks / timing.heartbeatTicks))
  const laggards: PeerId[] = []
  for (const { peerId, departing, round, match, state: way } of leading.progress.values()) {
    if (departing > 0) return null
    if (leading.round - round > rounds) laggards.push(peerId)
    else if (match !== lastIndex(log) || way !== 'replicate') return null
  }
  // Without a quorum the check-quorum of one that is awake has to decide.
  return voteResult(configurationOf(log), (peerId) => !laggards.includes(peerId)) === 'won' ? laggards : null
}

/** Nothing is uncommitted, unwritten or waited for, so that nothing is delayed by going to rest. */
function isSettled(state: RaftState, leading: Leading): boolean {
  const { log } = state
  if (log.commit !== lastIndex(log) || !hasCommittedInTerm(state) || !isOnDisk(state)) return false
  if (log.applying !== log.commit || leading.dirty || leading.claimed > log.commit) return false
  if (leading.waitingReads.length > 0 || leading.confirmingReads.length > 0) return false
  return leading.transfer === null && leading.newsDue === Number.POSITIVE_INFINITY && !isJoint(configurationOf(log))
}

function isOnDisk({ log, out, term }: RaftState): boolean {
  const isIdle = log.writes.length === 0 && log.unwrittenSnapshot === null
  return isIdle && log.stable === lastIndex(log) && out.stableTerm === term
}

/** Leader: the heartbeats that have just been begun ask whether everybody agrees to rest. To be called before they are taken. */
export function offerRest({ leading, out }: RaftState): void {
  out.messages = out.messages.map((message) =>
    message.type === 'heartbeat' && message.round === leading?.round ? { ...message, quiet: true } : message,
  )
}

/**
 * An ordinary heartbeat, answered as one. True, and the answer says so, if this follower has all that its leader has and knows that it
 * is committed (tikv/tikv#19219), and waits for nothing: then its timers need not run while the leader's process lives.
 */
export function stepQuiet(state: RaftState, message: MessageOf<'heartbeat'>): boolean {
  step(state, message)
  if (!agreesToRest(state, message)) return false
  const { messages } = state.out
  const last = messages.length - 1
  const answer = messages[last]
  if (answer?.type !== 'heartbeatReply' || answer.to !== message.from || answer.round !== message.round) return false
  messages[last] = { ...answer, quiet: true }
  return true
}

function agreesToRest(state: RaftState, { from, term, commitIndex }: MessageOf<'heartbeat'>): boolean {
  const { log } = state
  if (state.role !== 'follower' || state.leader !== from || state.term !== term) return false
  if (log.commit !== commitIndex || lastIndex(log) !== commitIndex || configurationIndexOf(log) > commitIndex)
    return false
  return isOnDisk(state) && state.forwardedReads.size === 0
}

/** Leader: its lease ends here, for its clock stands still from now on and no beat brings a new one (M6, B15). */
export function rest({ leading }: RaftState): void {
  if (leading === null) return
  leading.leaseUntil = 0
  leading.roundsSentAt.clear()
}

/**
 * `ticks` have passed at rest: they are no silence, or hours of rest would be an election (tikv/tikv#18886). A follower counts from when
 * its leader's process was last heard, `silence` ago. A leader begins a round with its next tick, and hears a quorum within an
 * election time-out or steps down, whatever it had heard before.
 */
export function wake(state: RaftState, ticks: number, silence: number): void {
  const { leading } = state
  state.clock += ticks
  if (leading === null) {
    state.elapsed = Math.min(state.elapsed + ticks, silence)
    return
  }
  state.elapsed = 0
  state.heartbeatElapsed = state.timing.heartbeatTicks
  for (const progress of leading.progress.values()) progress.active = false
}

/** A follower that woke by itself tells the leader that it follows, or followed: an answer to no round, which wakes it or deposes it. */
export function nudge(state: RaftState, to: PeerId): void {
  if (state.role !== 'leader' && to !== state.peerId) answerHeartbeat(state, to, 0)
}
