import { whenAborted } from './aborted.js'
import type { RoomConnection } from './connection.js'
import { NoQuorumError, RoomLeftError } from './errors.js'
import type { WaitOptions } from './lock-options.js'

/** What bounds a wait for something that others have. */
export interface WaitBounds extends WaitOptions {
  /** Default `wait`. */
  readonly whenNoQuorum?: 'wait' | 'reject'
}

/**
 * `giveUp` is called with the signal's own reason, with what `late` makes after the time-out, or with a `NoQuorumError`, perhaps more than once.
 * Gives back what ends all of it.
 */
export function boundWait(
  connection: RoomConnection,
  { signal, timeout, whenNoQuorum }: WaitBounds,
  late: (timeout: number) => Error,
  giveUp: (error: unknown) => void,
): () => void {
  const stops: (() => void)[] = []
  if (signal) stops.push(whenAborted(signal, () => giveUp(signal.reason)))
  if (timeout !== undefined) {
    // By the page's own timer: it ends the wait without a leader too (S-9).
    const timer = connection.clock.after(timeout, () => giveUp(late(timeout)))
    stops.push(() => timer.cancel())
  }
  if (whenNoQuorum === 'reject') {
    const check = () => {
      const { status } = connection
      if (status?.phase === 'no-quorum') giveUp(new NoQuorumError(status.missing))
    }
    stops.push(connection.listen({ status: check }))
    queueMicrotask(check)
  }
  return () => {
    for (const stop of stops) stop()
  }
}

/** What becomes of an open request is told to this. */
export interface OpenRequest {
  /** It waits no more: what it was granted is held. */
  granted(): void
  /** Nothing of it waits or is held. */
  ended(): void
}

/**
 * Keeps in `open` what leaving the handle does to a request: while it waits it fails with a `RoomLeftError`, later what it was granted goes back.
 * `bound` is what else may give it up, and gives back what ends that. `cancel` takes the request back, and `failed` hears why it was given up.
 */
export function openRequest(
  open: Set<() => void>,
  request: {
    bound(giveUp: (error: unknown) => void): () => void
    cancel(): void
    failed(error: unknown): void
  },
): OpenRequest {
  let isWaiting = true
  const granted = () => {
    isWaiting = false
    endBounds()
  }
  const ended = () => {
    if (isWaiting) granted()
    open.delete(leave)
  }
  const giveUp = (error: unknown) => {
    if (!isWaiting) return
    ended()
    request.cancel()
    request.failed(error)
  }
  const leave = () => {
    if (isWaiting) return giveUp(new RoomLeftError())
    ended()
    request.cancel()
  }
  open.add(leave)
  const endBounds = request.bound(giveUp)
  return { granted, ended }
}
