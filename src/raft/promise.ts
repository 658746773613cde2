import { isPairWith } from './configuration.js'
import type { PeerId } from './entry.js'
import { configurationIndexOf, configurationOf } from './log.js'
import { hasCommittedInTerm, type RaftState } from './state.js'

/**
 * M2: the leader of two voters gives its vote of the next term to the other one, ahead of its own leaving. Only once this
 * configuration is committed and an entry of this term too: then both logs hold all that was ever committed. True when it stands.
 */
export function promiseVote(state: RaftState): boolean {
  if (state.promise !== null) return true
  const { log, peerId } = state
  const to = otherOf(state)
  if (state.leading === null || to === null) return false
  if (!isPairWith(configurationOf(log), peerId, to)) return false
  if (configurationIndexOf(log) > log.commit || !hasCommittedInTerm(state)) return false
  state.promise = { to, isDurable: false }
  return true
}

/** The caller has made sure that nobody will ever show the promised vote. */
export function revokePromise(state: RaftState): void {
  state.promise = null
}

function otherOf({ log, peerId }: RaftState): PeerId | null {
  return configurationOf(log).voters.find((voter) => voter !== peerId) ?? null
}
