import { compareStrings } from '../../shared/codec.js'
import { type NodeKey, nodeOf } from '../waiting/graph.js'
import type { LockMode, LockScope } from './command.js'
import { compareWaiting } from './order.js'
import { type Claim, type Held, type LocksState, ownerOf, type Resource, scopeOf, type Waiting } from './state.js'
import { covers, namesAround, territoriesMeet } from './territory.js'

/** What somebody wants: a request to be granted, or (with `upgrade`) a share to be exclusive. */
export interface Wanted {
  readonly claim: Claim
  readonly names: readonly string[]
  readonly mode: LockMode
  /** The index of the upgrade's entry. */
  readonly upgrade?: number
}

/** What stands in the way of somebody: a hold, or a waiter that is ahead. */
export interface Obstacle {
  readonly name: string
  readonly claim: Claim
  readonly state: 'held' | 'waiting'
}

export function wants(name: string, claim: Waiting): Wanted {
  return { claim, names: claim.names ?? [name], mode: claim.mode }
}

export function wantsUpgrade(name: string, held: Held, requested: number): Wanted {
  return { claim: held, names: [name], mode: 'exclusive', upgrade: requested }
}

/**
 * It conflicts with nothing that is held, with nobody ahead of it, and nobody is kept out yet. Where its owner is already it comes in again,
 * whoever waits there.
 */
export function isGrantable(locks: LocksState, wanted: Wanted): boolean {
  const { names, claim, upgrade } = wanted
  const missing = upgrade === undefined ? names.filter((name) => coverOf(locks, claim, name) === null) : names
  const rest = { ...wanted, names: missing }
  for (const _ of obstacles(locks, rest)) return false
  return !isDelayed(locks, rest)
}

function isDelayed(locks: LocksState, { claim, names }: Wanted): boolean {
  if (locks.uses.timed === 0) return false
  const scope = scopeOf(claim)
  return names.some((name) =>
    namesAround(locks, name, scope).some((resource) =>
      resource.delays?.some((delay) => territoriesMeet(resource.name, delay.scope, name, scope)),
    ),
  )
}

/**
 * Also at names where its owner is already: it may lose them while it waits, and then waits there like anybody. In no order that would mean
 * anything; one that is in the way with several names comes as often.
 */
export function* obstacles(locks: LocksState, wanted: Wanted): Iterable<Obstacle> {
  const scope = scopeOf(wanted.claim)
  for (const name of wanted.names)
    for (const resource of namesAround(locks, name, scope)) yield* obstaclesAt(resource, wanted, name, scope)
}

function* obstaclesAt(
  { name, held, queue }: Resource,
  wanted: Wanted,
  of: string,
  scope: LockScope,
): Iterable<Obstacle> {
  const meets = (claim: Claim) => territoriesMeet(name, scopeOf(claim), of, scope) && !isOfOneOwner(claim, wanted.claim)
  for (const claim of held) {
    const isHeld = isConflict(claim.mode, wanted.mode)
    // Whoever waits to be exclusive stands ahead of the queue.
    if ((isHeld || isUpgradeAhead(claim, wanted)) && meets(claim))
      yield { name, claim, state: isHeld ? 'held' : 'waiting' }
  }
  if (wanted.upgrade !== undefined) return
  for (const claim of queue) {
    if (compareWaiting(claim, wanted.claim) >= 0) break
    if (isConflict(claim.mode, wanted.mode) && meets(claim)) yield { name, claim, state: 'waiting' }
  }
}

function isUpgradeAhead({ upgrade }: Held, wanted: Wanted): boolean {
  return upgrade !== undefined && (wanted.upgrade === undefined || upgrade.requested < wanted.upgrade)
}

function isConflict(a: LockMode, b: LockMode): boolean {
  return a === 'exclusive' || b === 'exclusive'
}

export function isOfOneOwner(a: Claim, b: Claim): boolean {
  if (a.session !== b.session) return false
  return a.request === b.request || (ownerOf(a) !== null && ownerOf(a) === ownerOf(b))
}

export function nodeOfClaim(claim: Claim): NodeKey {
  return nodeOf({ session: claim.session, request: claim.request, owner: ownerOf(claim) })
}

/**
 * What its owner holds there: all of it, in a mode that is enough. Of that very name before what is above it; of several the newest, since
 * whoever has seen its token takes no older one; of these the one with the longest `maxHold`, and with the first end of a grace.
 */
export function coverOf(locks: LocksState, wanted: Claim, name: string): { resource: Resource; held: Held } | null {
  const scope = scopeOf(wanted)
  if (ownerOf(wanted) === null) return null
  for (const resource of namesAround(locks, name, 'exact')) {
    const own = resource.held.filter(
      (one) =>
        isOfOneOwner(one, wanted) &&
        (one.mode === 'exclusive' || wanted.mode === 'shared') &&
        covers(resource.name, scopeOf(one), name, scope),
    )
    const [held] = own.sort(compareCovers)
    if (held) return { resource, held }
  }
  return null
}

function compareCovers(a: Held, b: Held): number {
  const [never, { token, expiresAt, revoke }] = [Number.MAX_SAFE_INTEGER, a]
  const maxHold = (b.expiresAt ?? never) - (expiresAt ?? never)
  return b.token - token || maxHold || (revoke?.endsAt ?? never) - (b.revoke?.endsAt ?? never)
}

/** An owner that shares and wants the same exclusively would wait for itself: it has to upgrade. */
export function ownShare(locks: LocksState, wanted: Waiting, names: readonly string[]): string | null {
  if (ownerOf(wanted) === null || wanted.mode === 'shared') return null
  const scope = scopeOf(wanted)
  const shared = names.flatMap((name) =>
    namesAround(locks, name, scope).filter((resource) =>
      resource.held.some(
        (one) =>
          one.mode === 'shared' &&
          isOfOneOwner(one, wanted) &&
          territoriesMeet(resource.name, scopeOf(one), name, scope) &&
          coverOf(locks, wanted, name) === null,
      ),
    ),
  )
  return shared.map(({ name }) => name).sort(compareStrings)[0] ?? null
}
