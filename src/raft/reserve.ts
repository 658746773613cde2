import { isVoter } from './configuration.js'
import { configurationOf, lastIndex } from './log.js'
import type { Progress } from './progress.js'
import type { Leading, RaftState } from './state.js'

/**
 * Of a busy group's voters a commit takes the leader and the quicker half of the others. Whoever came too late for so many commits in a
 * row is in reserve: it is sent entries with the word that they are committed, as a learner is (S55), in one message instead of
 * two, and has nothing to do while the others are at work. Nobody has to be told: it is as if its link were slower by a commit.
 *
 * Never so many that those who are left are no quorum: each of the commits had one without them.
 */
const unneededInARow = 8
/** For so long does an entry wait for those who are enough, ticks; then it goes to all, and so does what follows. */
export const reserveWaits = 10

export function isInReserve({ leading }: RaftState, { peerId, unneeded }: Progress): boolean {
  return unneeded >= unneededInARow && leading?.transfer?.to !== peerId
}

/** The commit index has just moved. */
export function noteNeeded({ log }: RaftState, leading: Leading): void {
  leading.heldAt = null
  const configuration = configurationOf(log)
  for (const progress of leading.progress.values()) {
    const isLate = progress.match < log.commit && isVoter(configuration, progress.peerId)
    progress.unneeded = isLate ? progress.unneeded + 1 : 0
  }
}

/** An entry has not gone to everybody. */
export function noteHeld({ clock, log }: RaftState, leading: Leading): void {
  if (log.commit < lastIndex(log)) leading.heldAt ??= clock
}

/** Whoever was enough may not be any more: everybody is sent everything, and each may show anew that it is not needed. */
export function callReserve(leading: Leading): void {
  leading.heldAt = null
  for (const progress of leading.progress.values()) {
    if (progress.unneeded >= unneededInARow) leading.dirty = true
    progress.unneeded = 0
  }
}

/** Those who were enough are not any more, or take too long. */
export function callReserveIfDue(state: RaftState, leading: Leading): void {
  if (ticksUntilReserve(state, leading) <= 0) callReserve(leading)
}

export function ticksUntilReserve({ clock }: RaftState, { heldAt }: Leading): number {
  return heldAt === null ? Number.POSITIVE_INFINITY : heldAt + reserveWaits - clock
}

/** With each beat. Where nothing has happened since the last one, everybody is to have everything: who leads next may be any of them. */
export function restReserve({ log }: RaftState, leading: Leading): void {
  if (leading.commitAtBeat === log.commit) callReserve(leading)
  leading.commitAtBeat = log.commit
}
