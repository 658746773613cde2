import type { PeerId } from './entry.js'
import { extendLease, noteRound } from './lease.js'
import { configurationOf } from './log.js'
import type { Progress } from './progress.js'
import { quorumValue } from './quorum.js'
import { joinRound, releaseReads } from './read-index.js'
import { type Leading, type RaftState, send } from './state.js'

/** Begins a heartbeat round: periodic, or because reads wait for one. */
export function beginRound(state: RaftState, leading: Leading): void {
  leading.round++
  noteRound(state, leading)
  state.heartbeatElapsed = 0
  joinRound(state, leading)
  const { peerId: from, term } = state
  const { electionTicks } = state.timing
  const heir = heirOf(state, leading)
  for (const progress of leading.progress.values()) {
    // Never more than the member has acknowledged: a heartbeat proves nothing about its log (B3).
    const commitIndex = Math.min(progress.match, state.log.commit)
    const { round } = leading
    const heartbeat = { type: 'heartbeat', from, to: progress.peerId, term, commitIndex, round, electionTicks } as const
    send(state, heir === null ? heartbeat : { ...heartbeat, heir })
  }
  confirmRounds(state, leading)
}

/** The fittest of the voters that were heard lately, if it is fitter than another one. */
function heirOf({ log, peerId }: RaftState, leading: Leading): PeerId | null {
  const { voters } = configurationOf(log)
  let heir: Progress | null = null
  let isChosen = false
  for (const progress of leading.progress.values()) {
    if (progress.peerId === peerId || !progress.active || !voters.includes(progress.peerId)) continue
    if (heir !== null && heir.priority !== progress.priority) isChosen = true
    if (heir === null || progress.priority > heir.priority) heir = progress
  }
  return isChosen && heir !== null ? heir.peerId : null
}

/** A lone voter is its own quorum: its rounds are confirmed at once. */
export function confirmRounds(state: RaftState, leading: Leading): void {
  const confirmed = quorumValue(configurationOf(state.log), (peerId) =>
    peerId === state.peerId ? leading.round : (leading.progress.get(peerId)?.round ?? 0),
  )
  if (confirmed <= leading.confirmedRound) return
  leading.confirmedRound = confirmed
  leading.hasQuorum = true
  leading.missedChecks = 0
  extendLease(state, leading)
  releaseReads(state, leading)
}
