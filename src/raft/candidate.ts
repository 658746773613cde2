import { isPairWith, isVoter, votersOf } from './configuration.js'
import type { PeerId } from './entry.js'
import { becomeFollower, enterTerm } from './follower.js'
import { becomeLeader } from './leader.js'
import { configurationOf, lastId, mayBeNeeded, termAt } from './log.js'
import type { MessageOf } from './message.js'
import { voteResult } from './quorum.js'
import { drawTimeout, judgeAlone, type RaftState, send, sendAfterWrite } from './state.js'

/**
 * Learners and peers outside the configuration never campaign (S21, S55). One whose removal is not known to be committed
 * still does, without counting itself: it may be the only one whose log can win (dissertation 4.2.2, Figure 4.6).
 */
export function canCampaign(state: RaftState): boolean {
  return state.role !== 'leader' && mayBeNeeded(state.log, state.peerId) && isFounded(state)
}

/** N3: its log has come to where this history began; a snapshot from there on has it too. */
function isFounded({ log, foundation }: RaftState): boolean {
  return foundation.index <= log.base.index || termAt(log, foundation.index) === foundation.term
}

/**
 * Pre-vote (dissertation 9.6): asks whether an election could be won, at no cost to anybody, so that a peer that was
 * cut off never raises terms (S10).
 */
export function campaign(state: RaftState): void {
  if (!canCampaign(state)) return
  state.role = 'preCandidate'
  // Whoever asks has given its leader up, or it would refuse others for that leader's sake (etcd-io/etcd#8334).
  judgeAlone(state)
  restartElection(state, state.timing.preVoteTicks)
  state.votes.set(state.peerId, true)
  const { peerId: from } = state
  const term = state.term + 1
  const last = lastId(state.log)
  for (const to of votersOf(configurationOf(state.log))) {
    if (to !== from) send(state, { type: 'preVote', from, to, term, last })
  }
  concludePreVote(state)
}

function restartElection(state: RaftState, ticks: number): void {
  state.votes.clear()
  state.succeeds = null
  state.elapsed = 0
  state.timeout = drawTimeout(state, ticks)
}

export function onPreVoteReply(state: RaftState, message: MessageOf<'preVoteReply'>): void {
  const expected = message.granted ? state.term + 1 : state.term
  if (state.role !== 'preCandidate' || message.term !== expected) return
  noteAnswer(state, message.from, message.granted)
  concludePreVote(state)
}

/** Answers of strangers would only be kept. */
function noteAnswer(state: RaftState, from: PeerId, granted: boolean): void {
  if (isVoter(configurationOf(state.log), from)) state.votes.set(from, granted)
}

function concludePreVote(state: RaftState): void {
  const result = voteResult(configurationOf(state.log), (peerId) => state.votes.get(peerId))
  if (result === 'won') becomeCandidate(state)
  else if (result === 'lost') becomeFollower(state, state.term, null)
}

/** `transfer`: the old leader asked for it, so its followers do not stick to it (dissertation 4.2.3). */
function becomeCandidate(state: RaftState, transfer = false): void {
  state.role = 'candidate'
  enterTerm(state, state.term + 1, state.peerId)
  restartElection(state, state.electionTicks)
  const { peerId: from, term } = state
  const last = lastId(state.log)
  // After the write of the own vote: a candidate that forgot it could vote for another in this term (B5).
  for (const to of votersOf(configurationOf(state.log))) {
    if (to !== from) sendAfterWrite(state, { type: 'vote', from, to, term, last, transfer })
  }
}

/** The leader hands over. No pre-vote: the leader's own heartbeats would end it (B24). */
export function onTimeoutNow(state: RaftState, { from }: MessageOf<'timeoutNow'>): void {
  if (state.role !== 'follower' || state.leader !== from || !canCampaign(state)) return
  judgeAlone(state)
  becomeCandidate(state, true)
}

/**
 * M1: the leader that was followed has gone, and named this peer to all with its last word. No pre-vote: who has not heard that word yet
 * would refuse it, and it would come by turns with those who have. True when it campaigns.
 */
export function inherit(state: RaftState): boolean {
  if (state.role !== 'follower' || state.leader === null || !canCampaign(state)) return false
  judgeAlone(state)
  becomeCandidate(state, true)
  return true
}

/**
 * M2: the other one of two voters led until now, and has left its vote of the next term to this peer with its last word. Everything
 * committed needed both logs, so that this one misses nothing; the vote is void once this peer has left the leader's term.
 */
export function takePromisedVote(state: RaftState, from: PeerId, term: number): void {
  if (!isPairWith(configurationOf(state.log), state.peerId, from)) return
  if (state.term === term - 1 && state.role !== 'leader') {
    judgeAlone(state)
    becomeCandidate(state)
  }
  if (state.term !== term || state.role !== 'candidate') return
  state.succeeds = from
  state.votes.set(from, true)
  concludeVote(state)
}

/** The own vote counts when it is durable, and only for the election it was cast in (S9). */
export function onOwnVoteDurable(state: RaftState): void {
  if (state.role !== 'candidate' || state.votes.has(state.peerId)) return
  state.votes.set(state.peerId, true)
  concludeVote(state)
}

export function onVoteReply(state: RaftState, message: MessageOf<'voteReply'>): void {
  if (state.role !== 'candidate') return
  noteAnswer(state, message.from, message.granted)
  concludeVote(state)
}

function concludeVote(state: RaftState): void {
  const result = voteResult(configurationOf(state.log), (peerId) => state.votes.get(peerId))
  if (result === 'won') becomeLeader(state)
  else if (result === 'lost') becomeFollower(state, state.term, null)
}
