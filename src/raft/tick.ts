import { assert } from './assert.js'
import { campaign, canCampaign } from './candidate.js'
import { isVoter } from './configuration.js'
import { beatIfDue, tickLeader } from './leader.js'
import { configurationOf } from './log.js'
import { expireForwardedReads } from './read-index.js'
import { ticksUntilReserve } from './reserve.js'
import { drawTimeout, judgeAlone, type RaftState } from './state.js'

/** However many ticks come at once, each timer fires at most once: a sleep of a minute is one election check (C3). */
export function tick(state: RaftState, ticks: number): void {
  pass(state, ticks)
  if (state.forwardedReads.size > 0) expireForwardedReads(state)
  if (state.leading !== null) tickLeader(state, state.leading)
  else if (state.elapsed >= state.timeout) onElectionTimeout(state)
}

/** Nobody is given up, and what a leader says of itself it says at once: its followers have waited for as long. */
export function stall(state: RaftState, ticks: number): void {
  pass(state, ticks)
  if (state.leading !== null) beatIfDue(state, state.leading)
}

function pass(state: RaftState, ticks: number): void {
  assert(ticks >= 0 && ticks < Number.POSITIVE_INFINITY, 'time goes forward')
  state.clock += ticks
  state.elapsed += ticks
  if (state.leading !== null) state.heartbeatElapsed += ticks
}

function onElectionTimeout(state: RaftState): void {
  if (!canCampaign(state)) judgeAlone(state)
  else if (shallYield(state)) yieldOnce(state)
  else campaign(state)
}

/** A fitter one is there, or was when the leader last spoke. It gets one time-out, and no more: it may be gone too (S20). */
function shallYield({ heir, peerId, hasYielded, role, log }: RaftState): boolean {
  return role === 'follower' && !hasYielded && heir !== null && heir !== peerId && isVoter(configurationOf(log), heir)
}

function yieldOnce(state: RaftState): void {
  state.hasYielded = true
  judgeAlone(state)
  state.elapsed = 0
  state.timeout = drawTimeout(state, state.electionTicks)
}

/** Infinity when nothing will be due: a newborn or a learner without a leader waits to be spoken to. */
export function ticksUntilDue(state: RaftState): number {
  let due = Number.POSITIVE_INFINITY
  // Ascending by due time as long as T does not change; a change costs at most a late answer.
  for (const read of state.forwardedReads.values()) {
    due = read.due - state.clock
    break
  }
  const { electionTicks, heartbeatTicks } = state.timing
  if (state.leading !== null) {
    due = Math.min(due, electionTicks - state.elapsed, heartbeatTicks - state.heartbeatElapsed)
    due = Math.min(due, ticksUntilReserve(state, state.leading))
    due = Math.min(due, state.leading.newsDue - state.clock)
    if (state.leading.transfer !== null) due = Math.min(due, state.leading.transfer.due - state.clock)
  } else if (state.leader !== null || canCampaign(state)) {
    due = Math.min(due, state.timeout - state.elapsed)
  }
  return Math.max(0, due)
}
