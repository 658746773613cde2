export type LockMode = 'exclusive' | 'shared'

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
  /** Leaves the queue, or releases if granted meanwhile (S-9); nothing if it is neither. `request`: the number of the request's command. */
  | { readonly type: 'lock.release'; readonly request: number }
