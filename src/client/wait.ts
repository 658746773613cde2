import type { RoomConnection } from './connection.js'
import { NoQuorumError } from './errors.js'

/** What bounds a wait for something that others have. */
export interface WaitBounds {
  readonly signal?: AbortSignal
  /** ms */
  readonly timeout?: number
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
  if (signal) {
    const abort = () => giveUp(signal.reason)
    // A listener of the page can keep the event from us, but not from a signal that depends on this one.
    const dependent = typeof AbortSignal.any === 'function' ? [AbortSignal.any([signal])] : []
    for (const source of [signal, ...dependent]) {
      source.addEventListener('abort', abort)
      stops.push(() => source.removeEventListener('abort', abort))
    }
  }
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
