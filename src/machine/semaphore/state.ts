import type { SessionId } from '../command.js'

export interface SemaphoresState {
  /** Those with a holder or a waiter, and those with a size of their own. */
  readonly byName: Map<string, Semaphore>
  /** Where each request that is held or waits is found: session, request, name. Follows from `byName`. */
  readonly bySession: Map<SessionId, Map<number, string>>
  /** The highest that was given: no two grants of a room have the same, also where one entry makes several. */
  lastToken: number
}

export interface Semaphore {
  readonly name: string
  /** How many may be out. */
  size: number
  /** The size that its users bring: of the first that found it unused. */
  declared: number
  /** In the order of their grants. Their sum is above the size only after that has shrunk. */
  readonly held: HeldPermits[]
  /** By rank. The first of them finds too few, and nobody passes it: so many small requests cannot starve a large one. */
  readonly queue: WaitingPermits[]
}

/** A request is known by (session, request). */
export interface WaitingPermits {
  readonly session: SessionId
  /** The number of the request's command. */
  readonly request: number
  readonly count: number
  readonly lease: number
  readonly priority: number
  readonly owner: string | null
  /** The index of the request's entry. */
  readonly requested: number
  /** Cluster time of the request. */
  readonly since: number
}

export interface HeldPermits extends WaitingPermits {
  readonly token: number
  /** Cluster time of the grant. */
  readonly since: number
}
