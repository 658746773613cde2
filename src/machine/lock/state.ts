import type { SessionId } from '../command.js'
import type { LockMode } from './command.js'

export interface LocksState {
  /** The names in use: each has a holder or a waiter. */
  readonly resources: Map<string, Resource>
  /** Where each request that is held or waits is found: session, request, name. Follows from `resources`. */
  readonly bySession: Map<SessionId, Map<number, string>>
}

export interface Resource {
  readonly name: string
  /** The first token of the uninterrupted share (T2), or null while nobody shares it. */
  share: number | null
  /** In the order of their grants: one exclusive, or any number of shared ones. */
  readonly held: Held[]
  /** First come, first served. The first of them is not grantable. */
  readonly queue: Waiting[]
}

/** A request is known by (session, request). */
export interface Waiting {
  readonly session: SessionId
  /** The number of the request's command. */
  readonly request: number
  readonly mode: LockMode
  readonly lease: number
  readonly attributes: Uint8Array | null
  /** The index of the request's entry. */
  readonly requested: number
  /** Cluster time of the request. */
  readonly since: number
}

export interface Held extends Waiting {
  readonly token: number
  /** Cluster time of the grant. */
  readonly since: number
  /** The index of the grant's entry, and its place among that entry's grants. */
  readonly granted: number
  readonly place: number
}
