export type SemaphoreCommand =
  /** The request's id is (session, number) of this command; its answer says whether it was granted, queued or refused. */
  | {
      readonly type: 'semaphore.acquire'
      readonly name: string
      /** The size that the semaphore gets if it is not there. */
      readonly permits: number
      /** So many at once, or none. */
      readonly count: number
      readonly ifAvailable: boolean
      /** How long they outlive a silent page, ms (S-3). */
      readonly lease: number
      readonly priority: number
      /** Who of the page asks: only for the refusal of deadlocks. Null: the request by itself. */
      readonly owner: string | null
    }
  /** Leaves the queue, or gives back if granted meanwhile (S-9); nothing if it is neither. `request`: the number of the request's command. */
  | { readonly type: 'semaphore.release'; readonly request: number }
  /** From now on there are `to`. Nobody loses one: where more are out, they become fewer as they come back. */
  | {
      readonly type: 'semaphore.resize'
      readonly name: string
      /** The size that it would have if it was not there: one that has it, and that nobody uses, need not be kept. */
      readonly permits: number
      readonly to: number
    }
