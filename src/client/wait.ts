import type { Answers, Call, CallType } from '../host/page.js'
import { whenAborted } from './aborted.js'
import type { RoomConnection } from './connection.js'
import { NoQuorumError, OutcomeUnknownError, RoomLeftError } from './errors.js'
import type { WaitOptions } from './lock-options.js'

/** What to do while there is no quorum. */
export type WhenNoQuorum = 'wait' | 'reject'

/** What bounds a wait for something that others have. */
export interface WaitBounds extends WaitOptions {
  /** Default `wait`. */
  readonly whenNoQuorum?: WhenNoQuorum
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
      const error = noQuorum(connection)
      if (error) giveUp(error)
    }
    stops.push(connection.listen({ status: check }))
    queueMicrotask(check)
  }
  return () => {
    for (const stop of stops) stop()
  }
}

function noQuorum({ status, ended }: RoomConnection): NoQuorumError | null {
  return !ended && status?.phase === 'no-quorum' ? new NoQuorumError(status.missing) : null
}

/** With `reject`: throws while there is no quorum, and calls `lost` when it goes. Gives back what ends that. */
export function needQuorum(
  connection: RoomConnection,
  whenNoQuorum: WhenNoQuorum,
  lost: (error: NoQuorumError) => void,
): () => void {
  if (whenNoQuorum === 'wait') return () => {}
  const error = noQuorum(connection)
  if (error) throw error
  const check = () => {
    const error = noQuorum(connection)
    if (error) lost(error)
  }
  return connection.listen({ status: check })
}

const reads: ReadonlySet<CallType> = new Set<CallType>([
  'store.get',
  'store.entries',
  'counter.get',
  'semaphore.get',
  'lock.query',
  'lock.waitGraph',
])

/** A call that only a quorum can answer. Of one that changes something nobody knows, when the quorum goes, whether it will have done so. */
export function ask<T extends CallType>(
  connection: RoomConnection,
  whenNoQuorum: WhenNoQuorum,
  call: Extract<Call, { type: T }>,
): Promise<Answers[T]> {
  return new Promise((resolve, reject) => {
    const stop = needQuorum(connection, whenNoQuorum, (error) =>
      reject(reads.has(call.type) ? error : unknownOutcome(error)),
    )
    connection.call<T>(call).then(resolve, reject).finally(stop)
  })
}

export function unknownOutcome({ message }: NoQuorumError): OutcomeUnknownError {
  return new OutcomeUnknownError(`${message}, and no answer came before: what was asked may or may not happen`)
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
