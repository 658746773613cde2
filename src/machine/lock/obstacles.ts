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

/** It conflicts with nothing that is held, with nobody ahead of it, and nobody is kept out yet. */
export function isGrantable(locks: LocksState, wanted: Wanted): boolean {
  for (const _ of obstacles(locks, wanted)) return false
  return !isDelayed(locks, wanted)
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

/** In no order that would mean anything; one that is in the way with several names comes as often. */
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

/** What its owner holds there: all of it, in a mode that is enough. Of that very name before what is above it. */
export function coverOf(locks: LocksState, wanted: Waiting, name: string): { resource: Resource; held: Held } | null {
  const scope = scopeOf(wanted)
  if (ownerOf(wanted) === null) return null
  for (const resource of namesAround(locks, name, 'exact')) {
    const held = resource.held.find(
      (one) =>
        isOfOneOwner(one, wanted) &&
        (one.mode === 'exclusive' || wanted.mode === 'shared') &&
        covers(resource.name, scopeOf(one), name, scope),
    )
    if (held) return { resource, held }
  }
  return null
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
