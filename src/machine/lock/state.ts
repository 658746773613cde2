import type { SessionId } from '../command.js'
import type { LockMode, LockScope } from './command.js'

export interface LocksState {
  /** The names in use: each has a holder, a waiter or a delay. */
  readonly resources: Map<string, Resource>
  /** Where each request that is held or waits is found: session, request, names. Follows from `resources`. */
  readonly bySession: Map<SessionId, Map<number, Set<string>>>
  /** How much of what not every room uses is in `resources`: what is nowhere is not looked for. */
  readonly uses: {
    /** Claims with something that Web Locks do not have, a claim for each name. */
    beyond: number
    /** Claims to a tree, and delays of one. */
    trees: number
    /** Holds and delays that end by themselves. */
    timed: number
  }
}

export interface Resource {
  readonly name: string
  /** The first token of the uninterrupted share (T2), or null while it is not shared. */
  share: number | null
  /** In the order of their grants: of one owner, or only shared ones. */
  readonly held: Held[]
  /** Who is before whom: `order.ts`. None of them is grantable. */
  readonly queue: Waiting[]
  /** Nobody is let in yet: at most one of each scope, the tree last. */
  delays?: readonly Delay[]
}

/** After a holder whose page may still act. */
export interface Delay {
  readonly scope: LockScope
  /** Cluster time. */
  readonly until: number
  /** Of the entry that ended the hold. */
  readonly index: number
}

/** One name of a request, which is known by (session, request). */
export interface Claim {
  readonly session: SessionId
  /** The number of the request's command. */
  readonly request: number
  readonly mode: LockMode
  readonly lease: number
  readonly attributes: Uint8Array | null
  /** The index of the request's entry. */
  readonly requested: number
  /** Cluster time of the request; once it is held, of the grant. */
  readonly since: number
  /** Of a request that is not a plain one. */
  readonly beyond?: Beyond
}

export interface Beyond {
  readonly owner: string | null
  readonly scope: LockScope
  readonly priority: number
  readonly maxHold: number | null
  readonly lockDelay: number
}

export interface Waiting extends Claim {
  /** All names that it waits for, if they are several: it stands in the queue of each. */
  readonly names?: readonly string[]
}

export interface Held extends Claim {
  readonly token: number
  /** The index of the grant's entry, and its place among that entry's grants. */
  readonly granted: number
  readonly place: number
  /** When its `maxHold` is over, in cluster time. */
  readonly expiresAt?: number
  readonly revoke?: Revoke
  /** It waits to be exclusive. */
  readonly upgrade?: Upgrade
}

export interface Revoke {
  /** Asked for and not acknowledged yet, ms. */
  readonly grace: number | null
  /** When the grace that was acknowledged is over, in cluster time. */
  readonly endsAt: number | null
}

export interface Upgrade {
  /** The index of its entry. */
  readonly requested: number
}

export function scopeOf({ beyond }: Claim): LockScope {
  return beyond?.scope ?? 'exact'
}

export function ownerOf({ beyond }: Claim): string | null {
  return beyond?.owner ?? null
}

export function namesOf(name: string, { names }: Waiting): readonly string[] {
  return names ?? [name]
}
