import { hasCommittedInTerm, type Leading, type RaftState } from './state.js'

/** A round is about to leave: the lease that it may bring counts from now, not from its answers (B15). */
export function noteRound({ leaseTicks, clock }: RaftState, { roundsSentAt, round }: Leading): void {
  if (leaseTicks > 0) roundsSentAt.set(round, clock)
}

/** A quorum has answered that round. */
export function extendLease({ leaseTicks }: RaftState, leading: Leading): void {
  const { roundsSentAt, confirmedRound } = leading
  const sentAt = roundsSentAt.get(confirmedRound)
  if (sentAt !== undefined) leading.leaseUntil = Math.max(leading.leaseUntil, sentAt + leaseTicks)
  for (const round of roundsSentAt.keys()) if (round <= confirmedRound) roundsSentAt.delete(round)
}

/**
 * Nobody else can lead now, nor anybody know of a commit that this leader does not know of. Looked at anew for each read (B15), and void
 * while leadership is handed over or promised, and for the rest of the term once somebody was told to take it: then another one may
 * lead at any moment (B16, S62).
 */
export function holdsLease(state: RaftState, leading: Leading): boolean {
  if (state.leaseTicks === 0 || state.clock >= leading.leaseUntil) return false
  if (leading.transfer !== null || leading.hasHandedOver || state.promise !== null) return false
  return hasCommittedInTerm(state) && leading.claimed <= state.log.commit
}
