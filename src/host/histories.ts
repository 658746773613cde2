/**
 * Which of two histories of one room goes on (N2, N3). Pure, and the same for both sides.
 *
 * Between histories that have their quorums it is an order, and not only a rule for two: however many meet at once, and however old
 * what they have heard of each other is, they cannot all end. For what a history says of itself only grows, its place in the order with
 * it, and none ends but for one that stood above it already.
 */
import type { Branch } from '../machine/command.js'
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
  /** The way from the founding to this history: one step for each fork. */
  readonly branches: readonly Branch[]
}

export interface History {
  readonly lineage: Lineage
  readonly claim: Claim
}

const lastOfAll: EntryId = { term: Number.MAX_SAFE_INTEGER, index: Number.MAX_SAFE_INTEGER }

/** True when `mine` ends for the sake of `other`, whose quorum has to stand behind its claim. */
export function yieldsTo(mine: History, other: History): boolean {
  if (!other.claim.hasQuorum) return false
  if (mine.claim.hasQuorum) return compareHistories(other, mine) > 0
  // A side without a quorum may have agreed on things that this peer does not know; its room goes on in the other one all the same.
  if (other.lineage.roomId === mine.lineage.roomId) return true
  // It has no part in anything that was agreed on; and if its history has ended, nobody of it is left to say so.
  return !hasActed(mine) || compareAge(other, mine) > 0
}

/** Whether it ends for the other one whatever it still agrees on. */
export function isSettled(mine: History, other: History): boolean {
  return yieldsTo({ ...mine, claim: { ...mine.claim, lastCommand: lastOfAll } }, other)
}

/**
 * Above 0 when `one` goes on. Of foundings (N2) one that has agreed on something, then the elder. Within one founding (N3) it is the one that has
 * more of what was agreed before their ways parted: so the one that was left goes on if it has agreed on anything since, and else a fork that has.
 */
export function compareHistories(one: History, other: History): number {
  return (
    Number(hasActed(one)) - Number(hasActed(other)) || compareAge(one, other) || compareWays(one.claim, other.claim)
  )
}

function compareAge(one: History, other: History): number {
  return other.claim.foundedAt - one.claim.foundedAt || -compareTexts(one.lineage.roomId, other.lineage.roomId)
}

function hasActed({ claim }: History): boolean {
  return comparePlaces(claim.lastCommand, noEntry) > 0
}

function compareWays(one: Claim, other: Claim): number {
  for (let step = 0; step < Math.max(one.branches.length, other.branches.length); step++) {
    const order = compareSteps(one, other, step)
    if (order !== 0) return order
  }
  return 0
}

/** 0 when both took the same fork there. */
function compareSteps(one: Claim, other: Claim, step: number): number {
  const [mine, its] = [one.branches[step], other.branches[step]]
  const [myEnd, itsEnd] = [mine?.lastCommand ?? one.lastCommand, its?.lastCommand ?? other.lastCommand]
  return (
    comparePlaces(myEnd, itsEnd) ||
    // As far as that they have the same: now whoever has more.
    Number(comparePlaces(one.lastCommand, myEnd) > 0) - Number(comparePlaces(other.lastCommand, itsEnd) > 0) ||
    // The one that was left before the one that left it; of forks the one that more began, then the lower id.
    Number(its !== undefined) - Number(mine !== undefined) ||
    (mine?.members ?? 0) - (its?.members ?? 0) ||
    -compareTexts(mine?.forkId ?? '', its?.forkId ?? '')
  )
}

/** As in Raft: of two commands at one index the one of the later term is there, or may be. */
function comparePlaces(one: EntryId, other: EntryId): number {
  return one.term - other.term || one.index - other.index
}

function compareTexts(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0
}

/**
 * The first index of this history that the other one does not share, as far as can be told; 1 when nothing is known to be shared. What is
 * agreed on in this history before that is there in the other one too. `termOf`: of an entry of this peer's log, null when it is compacted.
 */
export function partsAt(mine: History, other: History, termOf: (index: number) => number | null): number {
  if (mine.lineage.roomId !== other.lineage.roomId) return 1
  const [myWay, itsWay] = [mine.claim.branches, other.claim.branches]
  const step = myWay.findIndex(({ forkId }, i) => forkId !== itsWay[i]?.forkId)
  const shared = step < 0 ? myWay.length : step
  // A fork that both took began with the same.
  const before = (myWay[shared - 1]?.lastCommand.index ?? 0) + 1
  const [myBase] = basesOf(mine, shared)
  const itsBases = basesOf(other, shared)
  // Nobody was told in this history that what it began with is agreed, so who was told that was told in the one that it left.
  if (myBase && itsBases.length === 0) return Math.max(before, myBase.index + 1)
  // A leader's log only grows: of two parts of it the shorter one is in the longer one.
  const alike = itsBases.find((base) => base.term === myBase?.term)
  if (myBase && alike) return Math.max(before, Math.min(myBase.index, alike.index) + 1)
  // Logs that have an entry in common are the same up to it (Raft paper 5.3). Of two histories entries are another's though their terms be the same.
  const isOfOne = ({ index }: EntryId) => myBase === undefined || index <= myBase.index
  const found = itsBases.find((base) => isOfOne(base) && termOf(base.index) === base.term)
  return found ? Math.max(before, found.index + 1) : before
}

/** What a fork began with, the last of it and the last command in it; none if the history has not taken so many. */
function basesOf({ lineage: { foundation, forkId }, claim: { branches } }: History, step: number): EntryId[] {
  const fork = branches[step]
  if (!fork) return []
  // Of those before the last one only the commands are known.
  if (!foundation || fork.forkId !== forkId) return [fork.lastCommand]
  return [{ term: foundation.previousTerm, index: foundation.index - 1 }, fork.lastCommand]
}
