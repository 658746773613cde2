import { changeProblem, normalized, stepTowards } from './configuration.js'
import type { Configuration, PeerId } from './entry.js'
import { entryOverheadBytes } from './entry-bytes.js'
import { appendAsLeader, appendConfiguration, isIndispensable } from './leader.js'
import { configurationIndexOf, configurationOf, lastIndex, lastTime } from './log.js'
import { hasCommittedInTerm, type RaftState } from './state.js'

export type ProposeResult =
  | { readonly accepted: true; readonly firstIndex: number; readonly lastIndex: number }
  | { readonly accepted: false; readonly reason: ProposeProblem; readonly leader: PeerId | null }

/**
 * - `not-leader`: ask `leader`, if one is known.
 * - `uncommitted-full`: the uncommitted tail is at its limit; try again when something has committed.
 * - `transferring`: leadership is being handed over.
 * - `promised`: the vote of the next term is promised (M2); revoke it first.
 * - `pending-change`: an earlier configuration is not committed yet.
 * - `no-commit-in-term`: a new leader changes no membership before its first commit (B1).
 * - `contradictory`: somebody is voter and learner, or it is half of a change.
 * - `no-voters`: the last voter stays.
 */
export type ProposeProblem =
  | 'not-leader'
  | 'uncommitted-full'
  | 'transferring'
  | 'promised'
  | 'pending-change'
  | 'no-commit-in-term'
  | 'contradictory'
  | 'no-voters'

/** Appends all or none. */
export function propose(state: RaftState, time: number, data: readonly Uint8Array[], proposer: PeerId): ProposeResult {
  const { leading, log } = state
  if (leading === null) return refused(state, 'not-leader')
  // What is accepted now might not get to the next leader (B24).
  if (leading.transfer !== null) return refused(state, 'transferring')
  let bytes = 0
  for (const one of data) bytes += entryOverheadBytes + one.byteLength
  // One that is larger than the limit must still be possible, when nothing is before it (S34).
  const full = leading.uncommittedBytes > 0 && leading.uncommittedBytes + bytes > state.limits.uncommittedBytes
  if (full) return refused(state, 'uncommitted-full')
  const firstIndex = lastIndex(log) + 1
  const at = timeOfNext(state, time)
  for (const one of data) {
    appendAsLeader(state, leading, {
      type: 'command',
      term: state.term,
      index: lastIndex(log) + 1,
      time: at,
      data: one,
    })
  }
  const progress = leading.progress.get(proposer)
  if (progress !== undefined) progress.proposed = lastIndex(log)
  return { accepted: true, firstIndex, lastIndex: lastIndex(log) }
}

export function proposeConfiguration(state: RaftState, time: number, next: Configuration): ProposeResult {
  const { leading } = state
  if (leading === null) return refused(state, 'not-leader')
  const configuration = normalized(next)
  const problem = configurationProblem(state, configuration)
  if (problem !== null) return refused(state, problem)
  const step = stepTowards(configurationOf(state.log), configuration)
  const index = lastIndex(state.log) + 1
  appendConfiguration(state, leading, timeOfNext(state, time), step)
  return { accepted: true, firstIndex: index, lastIndex: index }
}

function configurationProblem(state: RaftState, next: Configuration): ProposeProblem | null {
  if (state.leading?.transfer) return 'transferring'
  if (state.promise !== null) return 'promised'
  if (!hasCommittedInTerm(state)) return 'no-commit-in-term'
  if (configurationIndexOf(state.log) > state.log.commit && !retreats(state, next)) return 'pending-change'
  return changeProblem(next)
}

/**
 * M2: a second voter that died while it was taken in. This peer is in every quorum of all that may be in force, and of the next one,
 * so that two of them always meet in it.
 */
function retreats(state: RaftState, { voters }: Configuration): boolean {
  return voters.length === 1 && voters[0] === state.peerId && isIndispensable(state)
}

/** Cluster time never goes back (C1), whatever a new leader's clock says. */
function timeOfNext(state: RaftState, time: number): number {
  return Math.max(time, lastTime(state.log))
}

function refused(state: RaftState, reason: ProposeProblem): ProposeResult {
  return { accepted: false, reason, leader: state.leader }
}
