import { configurationOf } from './log.js'
import { quorumValue } from './quorum.js'
import { joinRound, releaseReads } from './read-index.js'
import { type Leading, type RaftState, send } from './state.js'

/** Begins a heartbeat round: periodic, or because reads wait for one. */
export function beginRound(state: RaftState, leading: Leading): void {
  leading.round++
  state.heartbeatElapsed = 0
  joinRound(state, leading)
  const { peerId: from, term } = state
  const { electionTicks } = state.timing
  for (const progress of leading.progress.values()) {
    // Never more than the member has acknowledged: a heartbeat proves nothing about its log (B3).
    const commitIndex = Math.min(progress.match, state.log.commit)
    const { round } = leading
    send(state, { type: 'heartbeat', from, to: progress.peerId, term, commitIndex, round, electionTicks })
  }
  confirmRounds(state, leading)
}

/** A lone voter is its own quorum: its rounds are confirmed at once. */
export function confirmRounds(state: RaftState, leading: Leading): void {
  const confirmed = quorumValue(configurationOf(state.log), (peerId) =>
    peerId === state.peerId ? leading.round : (leading.progress.get(peerId)?.round ?? 0),
  )
  if (confirmed <= leading.confirmedRound) return
  leading.confirmedRound = confirmed
  leading.hasQuorum = true
  releaseReads(state, leading)
}
