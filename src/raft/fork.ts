import { assert } from './assert.js'
import type { Configuration, EntryId, Incarnation } from './entry.js'
import { becomeFollower, enterTerm } from './follower.js'
import { becomeLeader } from './leader.js'
import { configurationOf, lastIndex } from './log.js'
import type { RaftState } from './state.js'

/**
 * PROTOCOL N3: leads from now on, in a term above all that the others of the new history have seen, as the only voter. Its first
 * entry says so. That the whole log becomes the beginning of the new history keeps what is not committed too; whoever voted
 * in the old one and is not here has no part in it.
 */
export function fork(state: RaftState, term: number, incarnation: Incarnation | null = null): void {
  assert(term > state.term, 'a fork begins in a term of its own')
  assert(term > state.term + 1 || state.promise === null, 'a promised vote is not given again')
  becomeFollower(state, state.term, null)
  state.partial = null
  enterTerm(state, term, state.peerId)
  state.role = 'candidate'
  state.forks = alone(state, incarnation)
  becomeLeader(state)
  state.forks = null
}

function alone({ log, peerId }: RaftState, life: Incarnation | null): Configuration {
  const { [peerId]: incarnation = life } = configurationOf(log).incarnations
  const incarnations = incarnation ? { [peerId]: incarnation } : {}
  return { voters: [peerId], outgoing: [], learners: [], learnersNext: [], incarnations }
}

/** The log stays: what it holds beyond the fork's is cut as any other tail that a leader does not have. */
export function joinFork(state: RaftState, foundation: EntryId): void {
  const isUntouched = state.term === 0 && lastIndex(state.log) === 0
  assert(isUntouched || state.term < foundation.term, 'a log that went on elsewhere has no part in a fork')
  becomeFollower(state, state.term, null)
  state.partial = null
  state.foundation = foundation
}
