import { campaign } from './candidate.js'
import type { EntryId } from './entry.js'
import { becomeFollower } from './follower.js'
import { configurationOf, lastId } from './log.js'
import type { MessageOf } from './message.js'
import { type RaftState, sendAfterWrite } from './state.js'

/**
 * Whoever has heard from a live leader within the minimum election time-out takes part in no election, so that a peer
 * that was cut off or removed cannot depose it (dissertation 4.2.3, S15, B23).
 */
export function isSticky(state: RaftState): boolean {
  if (state.leader !== null && state.elapsed < state.electionTicks) return true
  // With leases a restarted voter may have followed a leader a moment ago.
  return state.leaseTicks > 0 && state.clock < state.electionTicks
}

/** Raft paper 5.4.1: the term of the last entry decides, then the length. */
export function isUpToDate(last: EntryId, own: EntryId): boolean {
  return last.term > own.term || (last.term === own.term && last.index >= own.index)
}

/**
 * The term was adopted before. Whoever is asked answers, even if its own configuration does not make it a voter: the
 * candidate may know a newer one (B21).
 */
export function onVote(state: RaftState, message: MessageOf<'vote'>): void {
  const free = state.votedFor === null && state.leader === null
  const granted = (state.votedFor === message.from || free) && isUpToDate(message.last, lastId(state.log))
  if (granted) {
    // A pre-candidate that helps another one to win gives its own attempt up.
    becomeFollower(state, state.term, state.leader)
    state.votedFor = message.from
  }
  sendAfterWrite(state, { type: 'voteReply', from: state.peerId, to: message.from, term: state.term, granted })
  if (!granted) standInstead(state, message.last)
}

/** Dissertation 9.6: changes nothing here, neither term nor vote, and the timer only if it makes this peer ask for votes itself. */
export function onPreVote(state: RaftState, message: MessageOf<'preVote'>): void {
  const ahead = message.term > state.term
  if (ahead && isSticky(state)) return
  const free = ahead || state.votedFor === message.from || (state.votedFor === null && state.leader === null)
  const granted = message.term >= state.term && free && isUpToDate(message.last, lastId(state.log))
  // A refusal carries this peer's term: a pre-candidate that is behind must learn it, or nobody could win (B17).
  const term = granted ? message.term : state.term
  sendAfterWrite(state, { type: 'preVoteReply', from: state.peerId, to: message.from, term, granted })
  if (!granted) standInstead(state, message.last)
}

/**
 * Whoever asks misses what this peer has, as a voter in reserve may (reserve.ts), and does not get its vote. Of three voters one is gone
 * as a rule, so that only this one can win: its turn is now. Of more, several would come at once.
 */
function standInstead(state: RaftState, last: EntryId): void {
  const { log, peerId } = state
  const { voters, outgoing } = configurationOf(log)
  const isOneOfThree = voters.length <= 3 && outgoing.length === 0 && voters.includes(peerId)
  if (!isOneOfThree || state.role !== 'follower' || isSticky(state) || isUpToDate(last, lastId(log))) return
  campaign(state)
}
