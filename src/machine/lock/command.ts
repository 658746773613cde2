export type LockMode = 'exclusive' | 'shared'
/** What a name stands for: itself, or itself and everything under it, which is what begins with the name and a slash. */
export type LockScope = 'exact' | 'tree'

/** Longest lock name, in UTF-16 code units. */
export const lockNameMax = 1024

export type LockCommand =
  /** The request's id is (session, number) of this command; its answer says whether it was granted, queued or refused. */
  | {
      readonly type: 'lock.request'
      readonly name: string
      readonly mode: LockMode
      readonly ifAvailable: boolean
      readonly steal: boolean
      /** How long the lock outlives a silent page, ms (S-3). */
      readonly lease: number
      /** The encoded attributes shown in queries, or null. */
      readonly attributes: Uint8Array | null
    }
  /** The same with all that Web Locks do not have. Of version 2, like all below. */
  | LockAcquire
  /**
   * Leaves the queue, or releases if granted meanwhile (S-9); nothing if it is neither. `request`: the number of the request's command.
   * `name`, of version 2: only that one of what it holds.
   */
  | { readonly type: 'lock.release'; readonly request: number; readonly name?: string }
  /** A share becomes exclusive, under a new token: at once, or when its holder is alone. It is kept until then. */
  | { readonly type: 'lock.upgrade'; readonly request: number; readonly name: string }
  /** An exclusive hold becomes a share, under its token; an upgrade that waits is given up. */
  | { readonly type: 'lock.downgrade'; readonly request: number; readonly name: string }
  /** Asks every holder of that name to give it back. `grace`, ms: what is left to each from when it has acknowledged that (S-7). */
  | { readonly type: 'lock.revoke'; readonly name: string; readonly grace: number }
  /** The holder knows that it was asked with that grace, ms: it begins, unless a shorter one was asked for of which it does not know yet. */
  | { readonly type: 'lock.acknowledge'; readonly request: number; readonly name: string; readonly grace: number }

export interface LockAcquire {
  readonly type: 'lock.acquire'
  /** All of them or none. A name that comes twice is one. */
  readonly names: readonly string[]
  readonly mode: LockMode
  readonly ifAvailable: boolean
  readonly steal: boolean
  readonly lease: number
  readonly attributes: Uint8Array | null
  /** What one owner of a session holds is no obstacle to it. Null: the request is an owner of its own. */
  readonly owner: string | null
  readonly scope: LockScope
  readonly priority: number
  /** So long may it be held, ms of cluster time. */
  readonly maxHold: number | null
  /** So long is nobody let in after a holder whose page may still act, ms. */
  readonly lockDelay: number
}
