/**
 * Which of two histories of one room goes on (N2, N3). Pure, and the same for both sides: what either says of itself only grows, so that
 * the two never both yield to each other.
 */
import { type EntryId, noEntry } from '../raft/entry.js'
import type { Lineage } from '../storage/storage.js'

/** What a history has come to, in the words of one of its peers. */
export interface Claim {
  /** The speaker leads, and a quorum has answered a round that it began for this claim. */
  readonly hasQuorum: boolean
  /** When the room was founded, in seconds of wall time. */
  readonly foundedAt: number
  /** The last command of a client that was agreed on, or without a quorum may have been: whoever asked for it may have been told. */
  readonly lastCommand: EntryId
}

export interface History {
  readonly lineage: Lineage
  readonly claim: Claim
}

/** True when `mine` ends for the sake of `other`, whose quorum has to stand behind its claim. */
export function yieldsTo(mine: History, other: History): boolean {
  return other.claim.hasQuorum && outlives(other, mine)
}

function outlives(one: History, other: History): boolean {
  if (one.lineage.roomId !== other.lineage.roomId) return outlivesFounding(one, other)
  const [oneActed, otherActed] = [actedSince(one, other), actedSince(other, one)]
  // A side without a quorum may have agreed on things that this peer does not know.
  if (one.claim.hasQuorum && other.claim.hasQuorum && oneActed !== otherActed) return oneActed
  if (one.claim.hasQuorum !== other.claim.hasQuorum) return one.claim.hasQuorum
  return comesFirst(one.lineage, other.lineage)
}

/** N2: the one that acknowledged nothing yields, else the younger. */
function outlivesFounding(one: History, other: History): boolean {
  const [oneActed, otherActed] = [actedSince(one, other), actedSince(other, one)]
  if (one.claim.hasQuorum && other.claim.hasQuorum && oneActed !== otherActed) return oneActed
  // It has no part in anything that was agreed on; and if its history has ended, nobody of it is left to say so.
  if (one.claim.hasQuorum && !other.claim.hasQuorum && !otherActed) return true
  const { foundedAt } = one.claim
  if (foundedAt !== other.claim.foundedAt) return foundedAt < other.claim.foundedAt
  return one.lineage.roomId < other.lineage.roomId
}

/** Whether `one` agreed on anything that `other` does not share. */
export function actedSince(one: History, other: History): boolean {
  if (one.lineage.roomId !== other.lineage.roomId) return hasActed(one, noEntry)
  const { epoch, foundation } = one.lineage
  const { lastCommand } = one.claim
  if (foundation && epoch >= other.lineage.epoch) return lastCommand.index > foundation.index
  const split = other.lineage.epoch === epoch + 1 ? other.lineage.foundation : undefined
  if (!split) return hasActed(one, noEntry)
  // Up to its first entry the fork has what the leader of the term before had, and so whatever was agreed until then.
  return lastCommand.index >= split.index || lastCommand.term > split.previousTerm
}

function hasActed({ claim }: History, since: EntryId): boolean {
  return claim.lastCommand.index > since.index
}

/** N3: the one that was left before the one that left it; of forks the one that more began, then the lower id. */
function comesFirst(one: Lineage, other: Lineage): boolean {
  if (one.epoch !== other.epoch) return one.epoch < other.epoch
  const [members, others] = [one.foundation?.members ?? 0, other.foundation?.members ?? 0]
  return members === others ? one.forkId < other.forkId : members > others
}

/**
 * The first index of this history that the other one does not share, as far as this peer can tell; 1 when nothing is known to be shared.
 * `termOf`: of an entry of this peer's log, null when it is compacted.
 */
export function splitAt(mine: Lineage, other: Lineage, termOf: (index: number) => number | null): number {
  if (mine.roomId !== other.roomId) return 1
  if (mine.foundation && mine.epoch === other.epoch + 1) return mine.foundation.index
  const { foundation } = other
  if (!foundation || other.epoch !== mine.epoch + 1) return 1
  let split = foundation.index
  // Of what the fork's first peers had not agreed on, this history may have agreed on something else.
  while (split > 1) {
    const term = termOf(split - 1)
    if (term !== null && term <= foundation.previousTerm) return split
    split -= 1
  }
  return 1
}
