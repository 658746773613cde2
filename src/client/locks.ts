/**
 * Locks across peers, with the signatures and the queueing rules of the Web Locks API (https://w3c.github.io/web-locks/).
 */
import { defaultTiming } from '../machine/settings.js'
import type { RoomConnection } from './connection.js'
import { LockTimeoutError, RoomLeftError } from './errors.js'
import type { HeldLock, Lock } from './lock.js'
import { infoOf, type LockManagerSnapshot, type WaitGraph, waitGraphOf } from './lock-info.js'
import { type LockObservation, LockObservations } from './lock-observation.js'
import {
  checkName,
  checkNames,
  checkOptions,
  checkRevoke,
  type LockOptions,
  parametersOf,
  type RevokeOptions,
  refuseAsW3c,
  refuseConflicts,
  refuseInactive,
} from './lock-options.js'
import { LockRequest, stolenError } from './lock-request.js'
import { revoke } from './lock-revocation.js'
import { type LockEvent, LockWatch } from './lock-watch.js'
import type { Observable } from './observable.js'
import { ask, boundWait, needQuorum, openRequest, unknownOutcome, type WhenNoQuorum } from './wait.js'

/** Null only with `ifAvailable`, when the lock was not free. */
export type LockGrantedCallback<T> = (lock: Lock | null) => T | PromiseLike<T>
/** The locks in the order of their names. */
export type LocksGrantedCallback<T> = (locks: Lock[]) => T | PromiseLike<T>
/** As many as the names, which `requestAll` was given as a list. */
export type LocksOf<N extends readonly string[]> = { -readonly [K in keyof N]: Lock }
/** With `ifAvailable`: null when not all of them were free. */
export type AvailableLocksCallback<T> = (locks: Lock[] | null) => T | PromiseLike<T>

/** Can stand in for `navigator.locks`. */
export interface LockManager {
  /**
   * Waits for the lock, calls back with it, and gives it back when the callback settles, whose result it resolves with. As in W3C:
   * rejects with `signal.reason`, `NotSupportedError`, `TypeError`, and with `AbortError` when the lock is stolen. Besides:
   * `LockTimeoutError`, `LockLostError` as soon as the lock is lost, `LimitExceededError`, `NoQuorumError`, `RoomLeftError`.
   */
  request<T>(name: string, callback: (lock: Lock) => T | PromiseLike<T>): Promise<T>
  request<T>(
    name: string,
    options: LockOptions & { ifAvailable?: false },
    callback: (lock: Lock) => T | PromiseLike<T>,
  ): Promise<T>
  request<T>(name: string, options: LockOptions, callback: LockGrantedCallback<T>): Promise<T>
  /** All locks of the room, linearizable. */
  query(): Promise<LockManagerSnapshot>
  /** The lock itself, for `await using`; with `ifAvailable` null if it is not free. Allows `signal` with `ifAvailable` and `steal`. */
  acquire(name: string, options: LockOptions & { ifAvailable: true }): Promise<Lock | null>
  acquire(name: string, options?: LockOptions): Promise<Lock>
  /**
   * As `request`, for up to 64 names at once: it holds none of them until it is granted all, so that no order of asking can deadlock.
   * Each lock may be released, upgraded or lost by itself; what is left is given back when the callback settles. If one is lost before,
   * this rejects at once. A name given twice, and an empty list, are a `TypeError`.
   */
  requestAll<T, const N extends readonly string[]>(
    names: N,
    callback: (locks: LocksOf<N>) => T | PromiseLike<T>,
  ): Promise<T>
  requestAll<T, const N extends readonly string[]>(
    names: N,
    options: LockOptions & { ifAvailable?: false },
    callback: (locks: LocksOf<N>) => T | PromiseLike<T>,
  ): Promise<T>
  requestAll<T>(names: Iterable<string>, callback: LocksGrantedCallback<T>): Promise<T>
  requestAll<T>(
    names: Iterable<string>,
    options: LockOptions & { ifAvailable?: false },
    callback: LocksGrantedCallback<T>,
  ): Promise<T>
  requestAll<T>(names: Iterable<string>, options: LockOptions, callback: AvailableLocksCallback<T>): Promise<T>
  /**
   * Asks everyone who holds the lock to give it back (`lock.revoking`), and takes it when the grace is over. The grace begins when a holder's
   * peer has heard of it: one that is silent keeps the lock to the end of its lease. Resolves when all that were asked hold it no more. Who waits
   * for the lock gets it, in the order of the queue: whoever revokes is not put ahead.
   */
  revoke(name: string, options: RevokeOptions): Promise<void>
  /**
   * One lock, for a user interface: local, and as fresh as this peer's log. The first call for a name shows nobody until the worker has
   * answered, a moment later: whoever subscribes or iterates is told then.
   */
  observe(name: string): Observable<LockObservation>
  /**
   * What happens to all locks whose names begin so, for bystanders: first what is held (marked `resync`), then each event in the order of the log,
   * none skipped. Each iteration is told from its begin on. One that lets more than 10 000 events wait ends with `LimitExceededError`. Ends when the handle is left.
   */
  watch(prefix?: string): AsyncIterable<LockEvent>
  /** Who waits for whom, linearizable: for a debugger's view of what is stuck. */
  waitGraph(): Promise<WaitGraph>
}

export interface LockDefaults {
  readonly whenNoQuorum: WhenNoQuorum
  /** The room's timing, or what it will be as far as is known. */
  readonly timing: () => { readonly heartbeat: number; readonly lease: number }
}

export class RoomLocks implements LockManager {
  readonly #connection: RoomConnection
  readonly #defaults: LockDefaults
  readonly #open = new Set<() => void>()
  readonly #observations: LockObservations
  #left = false

  constructor(connection: RoomConnection, defaults: LockDefaults) {
    this.#connection = connection
    this.#defaults = defaults
    this.#observations = new LockObservations(connection)
  }

  /** As the platform's own shows itself. */
  get [Symbol.toStringTag](): string {
    return 'LockManager'
  }

  async request<T>(name: string, ...rest: readonly unknown[]): Promise<T> {
    if (rest.length === 0) throw new TypeError('request: expected a name and a callback')
    const [options, callback] = rest.length === 1 ? [undefined, rest[0]] : rest
    const lockName = checkName(name)
    const given = checkOptions(options)
    if (typeof callback !== 'function') throw new TypeError('callback: expected a function')
    refuseInactive()
    refuseAsW3c(lockName, given)
    const granted = callback as LockGrantedCallback<T>
    return this.#run<T>([lockName], given, (locks) => granted(locks?.[0] ?? null))
  }

  async requestAll<T>(names: Iterable<string>, ...rest: readonly unknown[]): Promise<T> {
    if (rest.length === 0) throw new TypeError('requestAll: expected names and a callback')
    const [options, callback] = rest.length === 1 ? [undefined, rest[0]] : rest
    const lockNames = checkNames(names)
    const given = checkOptions(options)
    if (typeof callback !== 'function') throw new TypeError('callback: expected a function')
    refuseInactive()
    for (const name of lockNames) refuseAsW3c(name, given)
    const granted = callback as AvailableLocksCallback<T>
    return this.#run<T>(lockNames, given, (locks) => granted(locks && [...locks]))
  }

  acquire(name: string, options: LockOptions & { ifAvailable: true }): Promise<Lock | null>
  acquire(name: string, options?: LockOptions): Promise<Lock>
  async acquire(name: string, options?: LockOptions): Promise<Lock | null> {
    const lockName = checkName(name)
    const given = checkOptions(options)
    refuseConflicts(given)
    return new Promise((resolve, reject) => {
      this.#enter([lockName], given, {
        granted: ([lock] = []) => resolve(lock ?? null),
        unavailable: () => resolve(null),
        failed: reject,
        lost: () => {},
      })
    })
  }

  async query(): Promise<LockManagerSnapshot> {
    refuseInactive()
    if (this.#left) throw new RoomLeftError()
    const { held, pending } = await ask(this.#connection, this.#defaults.whenNoQuorum, { type: 'lock.query' })
    return { held: held.map(infoOf), pending: pending.map(infoOf) }
  }

  async waitGraph(): Promise<WaitGraph> {
    if (this.#left) throw new RoomLeftError()
    return waitGraphOf(await ask(this.#connection, this.#defaults.whenNoQuorum, { type: 'lock.waitGraph' }))
  }

  async revoke(name: string, options: RevokeOptions): Promise<void> {
    const lockName = checkName(name)
    const { grace, whenNoQuorum = this.#defaults.whenNoQuorum } = checkRevoke(options)
    if (this.#left) throw new RoomLeftError()
    const stop = needQuorum(this.#connection, whenNoQuorum, (error) => cancel(unknownOutcome(error)))
    const { done, cancel } = revoke(this.#connection, lockName, grace)
    const leave = () => cancel(new RoomLeftError())
    this.#open.add(leave)
    try {
      await done
    } finally {
      stop()
      this.#open.delete(leave)
    }
  }

  observe(name: string): Observable<LockObservation> {
    return this.#observations.observe(checkName(name))
  }

  watch(prefix = ''): AsyncIterable<LockEvent> {
    const checked = checkName(prefix, 'prefix')
    return {
      [Symbol.asyncIterator]: () => {
        const leave = () => watch.end(undefined)
        const watch: LockWatch = new LockWatch(this.#connection, checked, () => this.#open.delete(leave))
        if (this.#left) leave()
        else if (!this.#connection.ended) this.#open.add(leave)
        return watch
      },
    }
  }

  /** The handle is left: what was asked or acquired through it is given back. */
  leave(): void {
    this.#left = true
    for (const cancel of [...this.#open]) cancel()
    this.#observations.leave()
  }

  #run<T>(
    names: readonly string[],
    options: LockOptions,
    callback: (locks: readonly HeldLock[] | null) => T | PromiseLike<T>,
  ): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const granted = (locks: readonly HeldLock[] | null, release: () => void) => {
        const settled = call(callback, locks)
        const finish = (settle: () => void) => {
          // W3C resolves when the lock is let go, not when others know: their order is the log's.
          release()
          settle()
        }
        settled.then(
          (value) => finish(() => resolve(value)),
          (error: unknown) => finish(() => reject(error)),
        )
      }
      this.#enter(names, options, {
        granted,
        unavailable: () => granted(null, () => {}),
        failed: reject,
        lost: (error) => reject(error.reason === 'stolen' ? stolenError() : error),
      })
    })
  }

  /** From checked options to a request, bounded by its signal, its time-out, the quorum and this handle. */
  #enter(names: readonly string[], options: LockOptions, listener: EntryListener): void {
    const { signal } = options
    const parameters = parametersOf(names, options, this.#defaults.timing())
    if (this.#connection.ended) throw this.#connection.ended
    if (this.#left) throw new RoomLeftError()
    signal?.throwIfAborted()
    const request: LockRequest = new LockRequest(this.#connection, parameters, {
      granted: (locks) => {
        if (locks) {
          wait.granted()
          listener.granted(locks, () => request.release())
        } else {
          wait.ended()
          listener.unavailable()
        }
      },
      failed: (error) => {
        wait.ended()
        listener.failed(error)
      },
      ended: (loss, isLast) => {
        if (isLast) wait.ended()
        if (loss) listener.lost(loss)
      },
    })
    const late = (timeout: number) => {
      for (const name of names) this.#connection.meter.count(name, 'timeouts')
      return new LockTimeoutError(names.join(', '), timeout)
    }
    const { whenNoQuorum = this.#defaults.whenNoQuorum } = options
    const wait = openRequest(this.#open, {
      bound: (giveUp) => boundWait(this.#connection, { ...options, whenNoQuorum }, late, giveUp),
      cancel: () => request.cancel(),
      failed: listener.failed,
    })
  }
}

// As WebIDL counts: name and callback are required. What was left out must be told from what is undefined.
Object.defineProperty(RoomLocks.prototype.request, 'length', { value: 2, configurable: true })

interface EntryListener {
  /** `release`: gives back all of them that are left. */
  granted(locks: readonly HeldLock[], release: () => void): void
  unavailable(): void
  failed(error: unknown): void
  lost(error: Error & { readonly reason: string }): void
}

/** The room's timing before it is known. */
export const expectedTiming = { heartbeat: defaultTiming.heartbeat, lease: defaultTiming.lease }

async function call<T>(
  callback: (locks: readonly HeldLock[] | null) => T | PromiseLike<T>,
  locks: readonly HeldLock[] | null,
): Promise<T> {
  return callback(locks)
}
