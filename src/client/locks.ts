/**
 * Locks across peers, with the signatures and the queueing rules of the Web Locks API (https://w3c.github.io/web-locks/).
 */
import type { LockRecord } from '../host/page.js'
import { lockNameMax } from '../machine/lock/command.js'
import { defaultTiming } from '../machine/settings.js'
import { valueBytesMax } from '../machine/store/command.js'
import { decodeValue, encodeValue, type Value } from '../shared/value.js'
import type { RoomConnection } from './connection.js'
import { LimitExceededError, LockTimeoutError, NoQuorumError, RoomLeftError } from './errors.js'
import type { HeldLock, Lock, LockMode } from './lock.js'
import { LockRequest, type RequestParameters, stolenError } from './lock-request.js'
import { type Observable, ObservableValue } from './observable.js'

export interface LockOptions {
  /** As in W3C; default `exclusive`. */
  mode?: LockMode
  /** As in W3C: now or not at all. */
  ifAvailable?: boolean
  /** As in W3C: takes the lock from whoever holds it. */
  steal?: boolean
  /** As in W3C: aborts the request while it waits. */
  signal?: AbortSignal
  /** Longest wait in the queue, ms; then `LockTimeoutError`. Default: none. */
  timeout?: number
  /** How long the lock outlives a page that has gone silent or is blocked, ms; at least three heartbeats. Default `timing.lease`. */
  lease?: number
  /** Shown to everyone in `LockInfo`: who, why. */
  attributes?: Value
  /** What to do while there is no quorum; default as given to `join`. */
  whenNoQuorum?: 'wait' | 'reject'
}

export interface LockInfo {
  readonly name: string
  readonly mode: LockMode
  /** The peer that holds or waits. */
  readonly clientId: string
  /** The fencing token; 0 while it waits. */
  readonly token: number
  /** Cluster time of the grant, or of the request while it waits, ms. */
  readonly since: number
  /** Place in the queue, from 1; absent when held. */
  readonly position?: number
  readonly attributes: Value
}

export interface LockManagerSnapshot {
  held: LockInfo[]
  pending: LockInfo[]
}

/** One lock as a user interface shows it. */
export interface LockObservation {
  /** The peer that holds it (the first, when it is shared), or null. */
  readonly holder: string | null
  readonly mode: LockMode | null
  /** The peers that wait, in the order of the queue. */
  readonly waiters: readonly string[]
  /** What this page has of it. */
  readonly mine: 'none' | 'waiting' | 'held' | 'unsure'
  /** The holder's. */
  readonly attributes: Value
}

export type LockGrantedCallback<T> = (lock: Lock | null) => T | PromiseLike<T>

/** Can stand in for `navigator.locks`. */
export interface LockManager {
  /**
   * Waits for the lock, calls back with it, and gives it back when the callback settles, whose result it resolves with. As in W3C:
   * rejects with `signal.reason`, `NotSupportedError`, `TypeError`, and with `AbortError` when the lock is stolen. Besides:
   * `LockTimeoutError`, `LockLostError` as soon as the lock is lost, `LimitExceededError`, `NoQuorumError`, `RoomLeftError`.
   */
  request<T>(name: string, callback: LockGrantedCallback<T>): Promise<T>
  request<T>(name: string, options: LockOptions, callback: LockGrantedCallback<T>): Promise<T>
  /** All locks of the room, linearizable. */
  query(): Promise<LockManagerSnapshot>
  /** The lock itself, for `await using`; with `ifAvailable` null if it is not free. Allows `signal` with `ifAvailable` and `steal`. */
  acquire(name: string, options: LockOptions & { ifAvailable: true }): Promise<Lock | null>
  acquire(name: string, options?: LockOptions): Promise<Lock>
  /** One lock, for a user interface: local, and as fresh as this peer's log. */
  observe(name: string): Observable<LockObservation>
}

const leaseMax = 24 * 60 * 60 * 1000
/** The longest delay that a platform timer takes, ms. */
const timeoutMax = 2 ** 31 - 1
/** Options of the contract that this version does not have: refused, since ignoring one would break what it promises. */
const notYet = ['maxHold', 'owner', 'priority', 'scope'] as const

export interface LockDefaults {
  readonly whenNoQuorum: 'wait' | 'reject'
  /** The room's timing, or what it will be as far as is known. */
  readonly timing: () => { readonly heartbeat: number; readonly lease: number }
}

export class RoomLocks implements LockManager {
  readonly #connection: RoomConnection
  readonly #defaults: LockDefaults
  readonly #open = new Set<() => void>()
  readonly #observed = new Map<
    string,
    { readonly value: ObservableValue<LockObservation>; readonly stop: () => void }
  >()
  #left = false

  constructor(connection: RoomConnection, defaults: LockDefaults) {
    this.#connection = connection
    this.#defaults = defaults
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
    return this.#run<T>(lockName, given, callback as LockGrantedCallback<T>)
  }

  acquire(name: string, options: LockOptions & { ifAvailable: true }): Promise<Lock | null>
  acquire(name: string, options?: LockOptions): Promise<Lock>
  async acquire(name: string, options?: LockOptions): Promise<Lock | null> {
    const lockName = checkName(name)
    const given = checkOptions(options)
    if (given.steal && given.ifAvailable) throw notSupported('options.steal and options.ifAvailable exclude each other')
    if (given.steal && given.mode === 'shared') throw notSupported('options.steal needs the exclusive mode')
    return new Promise((resolve, reject) => this.#enter(lockName, given, resolve, reject, () => {}))
  }

  async query(): Promise<LockManagerSnapshot> {
    refuseInactive()
    if (this.#left) throw new RoomLeftError()
    const { held, pending } = await this.#connection.call({ type: 'lock.query' })
    return { held: held.map(infoOf), pending: pending.map(infoOf) }
  }

  observe(name: string): Observable<LockObservation> {
    const lockName = checkName(name)
    const known = this.#observed.get(lockName)
    if (known) return known.value
    const value = new ObservableValue<LockObservation>(nobody)
    if (this.#left) {
      value.end()
      return value
    }
    const stop = this.#connection.watch({ type: 'lock', name: lockName }, (watched) => {
      if (watched.type === 'lock') value.set(this.#observation(watched.holders, watched.waiters))
    })
    this.#observed.set(lockName, { value, stop })
    return value
  }

  /** The handle is left: what was asked or acquired through it is given back. */
  leave(): void {
    this.#left = true
    for (const cancel of [...this.#open]) cancel()
    for (const { value, stop } of this.#observed.values()) {
      stop()
      value.end()
    }
  }

  #run<T>(name: string, options: LockOptions, callback: LockGrantedCallback<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      const granted = (lock: HeldLock | null) => {
        const settled = call(callback, lock)
        const finish = (settle: () => void) => {
          // W3C resolves when the lock is let go, not when others know: their order is the log's.
          void lock?.release().catch(() => {})
          settle()
        }
        settled.then(
          (value) => finish(() => resolve(value)),
          (error: unknown) => finish(() => reject(error)),
        )
      }
      const lost = (error: Error & { readonly reason: string }) =>
        reject(error.reason === 'stolen' ? stolenError() : error)
      this.#enter(name, options, granted, reject, lost)
    })
  }

  /** From checked options to a request, bounded by its signal, its time-out, the quorum and this handle. */
  #enter(
    name: string,
    options: LockOptions,
    granted: (lock: HeldLock | null) => void,
    failed: (error: unknown) => void,
    lost: (error: Error & { readonly reason: string }) => void,
  ): void {
    const { signal } = options
    const parameters = this.#parameters(name, options)
    if (this.#connection.ended) throw this.#connection.ended
    if (this.#left) throw new RoomLeftError()
    signal?.throwIfAborted()
    const stopWaiting: (() => void)[] = []
    const wait = { over: false }
    const endWait = () => {
      wait.over = true
      for (const stop of stopWaiting) stop()
    }
    const giveUp = (error: unknown) => {
      if (wait.over) return
      endWait()
      this.#open.delete(leave)
      request.cancel()
      failed(error)
    }
    const leave = () => {
      if (wait.over) request.cancel()
      else giveUp(new RoomLeftError())
      this.#open.delete(leave)
    }
    const request: LockRequest = new LockRequest(this.#connection, parameters, {
      granted: (lock) => {
        endWait()
        if (!lock) this.#open.delete(leave)
        granted(lock)
      },
      failed: (error) => {
        endWait()
        this.#open.delete(leave)
        failed(error)
      },
      ended: (loss) => {
        this.#open.delete(leave)
        if (loss) lost(loss)
      },
    })
    this.#open.add(leave)
    stopWaiting.push(...this.#bounds(name, options, giveUp))
  }

  /** What ends a wait before the grant; each gives back how to take it down. */
  #bounds(name: string, options: LockOptions, giveUp: (error: unknown) => void): (() => void)[] {
    const stops: (() => void)[] = []
    const { signal, timeout } = options
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
      const timer = this.#connection.clock.after(timeout, () => giveUp(new LockTimeoutError(name, timeout)))
      stops.push(() => timer.cancel())
    }
    if ((options.whenNoQuorum ?? this.#defaults.whenNoQuorum) === 'reject') {
      const check = () => {
        const { status } = this.#connection
        if (status?.phase === 'no-quorum') giveUp(new NoQuorumError(status.missing))
      }
      stops.push(this.#connection.listen({ status: check }))
      queueMicrotask(check)
    }
    return stops
  }

  #parameters(name: string, options: LockOptions): RequestParameters {
    const { mode = 'exclusive', ifAvailable = false, steal = false } = options
    const timing = this.#defaults.timing()
    const lease = options.lease ?? timing.lease
    if (lease < 3 * timing.heartbeat) {
      throw new RangeError(
        `options.lease: expected at least three heartbeats (${3 * timing.heartbeat} ms), got ${lease}`,
      )
    }
    const attributes = options.attributes === undefined ? null : encodeValue(options.attributes, 'options.attributes')
    if (attributes && attributes.byteLength > valueBytesMax) {
      const message = `options.attributes: expected at most ${valueBytesMax} bytes encoded, got ${attributes.byteLength}`
      throw new LimitExceededError(message, 'valueBytes', valueBytesMax)
    }
    return { name, mode, ifAvailable, steal, lease, attributes }
  }

  #observation(holders: readonly LockRecord[], waiters: readonly LockRecord[]): LockObservation {
    const first = holders[0]
    return {
      holder: first?.peerId ?? null,
      mode: first?.mode ?? null,
      waiters: waiters.map(({ peerId }) => peerId),
      mine: this.#mine(holders, waiters),
      attributes: attributesOf(first),
    }
  }

  #mine(holders: readonly LockRecord[], waiters: readonly LockRecord[]): LockObservation['mine'] {
    if (holders.some(({ handle }) => handle !== null)) {
      return this.#connection.isCertain(this.#defaults.timing().lease) ? 'held' : 'unsure'
    }
    return waiters.some(({ handle }) => handle !== null) ? 'waiting' : 'none'
  }
}

// As WebIDL counts: name and callback are required. What was left out must be told from what is undefined.
Object.defineProperty(RoomLocks.prototype.request, 'length', { value: 2, configurable: true })

const nobody: LockObservation = { holder: null, mode: null, waiters: [], mine: 'none', attributes: undefined }

/** The room's timing before it is known. */
export const expectedTiming = { heartbeat: defaultTiming.heartbeat, lease: defaultTiming.lease }

async function call<T>(callback: LockGrantedCallback<T>, lock: Lock | null): Promise<T> {
  return callback(lock)
}

function checkName(name: unknown): string {
  if (typeof name === 'symbol') throw new TypeError('name: expected a string, got a symbol')
  const text = String(name)
  if (text.length > lockNameMax) {
    throw new LimitExceededError(
      `name: expected at most ${lockNameMax} code units, got ${text.length}`,
      'lockName',
      lockNameMax,
    )
  }
  return text
}

/** As WebIDL converts a dictionary (each member read once, in the order of their names), then what W3C does not have. */
function checkOptions(options: unknown): LockOptions {
  if (options === undefined || options === null) return {}
  if (typeof options !== 'object' && typeof options !== 'function') {
    throw new TypeError(`options: expected an object, got ${typeof options}`)
  }
  const given = options as Record<string, unknown>
  const ifAvailable = Boolean(given['ifAvailable'])
  const mode = modeOf(given['mode'])
  const { signal } = given
  if (signal !== undefined && !isSignal(signal)) throw new TypeError('options.signal: expected an AbortSignal')
  const steal = Boolean(given['steal'])
  for (const key of notYet)
    if (given[key] !== undefined) throw notSupported(`options.${key} is not supported by this version`)
  const { attributes, whenNoQuorum } = given
  if (whenNoQuorum !== undefined && whenNoQuorum !== 'wait' && whenNoQuorum !== 'reject') {
    throw new TypeError(`options.whenNoQuorum: expected 'wait' or 'reject', got ${String(whenNoQuorum)}`)
  }
  const timeout = milliseconds(given, 'timeout', 0, timeoutMax)
  const lease = milliseconds(given, 'lease', 1, leaseMax)
  return {
    mode,
    ifAvailable,
    steal,
    ...(signal !== undefined && { signal }),
    ...(timeout !== undefined && { timeout }),
    ...(lease !== undefined && { lease: Math.floor(lease) }),
    ...(attributes !== undefined && { attributes: attributes as Value }),
    ...(whenNoQuorum !== undefined && { whenNoQuorum }),
  }
}

function modeOf(value: unknown): LockMode {
  const mode = value === undefined ? 'exclusive' : String(value)
  if (mode === 'exclusive' || mode === 'shared') return mode
  throw new TypeError(`options.mode: expected 'exclusive' or 'shared', got ${JSON.stringify(mode)}`)
}

const abortedOf = Object.getOwnPropertyDescriptor(AbortSignal.prototype, 'aborted')?.get

/** By what it is, not by its prototype: signals of other windows count, and nothing that only looks like one. */
function isSignal(value: unknown): value is AbortSignal {
  try {
    return typeof abortedOf?.call(value) === 'boolean'
  } catch {
    return false
  }
}

function milliseconds(given: Record<string, unknown>, key: string, min: number, max: number): number | undefined {
  const value = given[key]
  if (value === undefined) return undefined
  if (typeof value !== 'number') throw new TypeError(`options.${key}: expected a number of ms, got ${typeof value}`)
  if (!(value >= min && value <= max))
    throw new RangeError(`options.${key}: expected ${min} to ${max} ms, got ${value}`)
  return value
}

/** W3C: the document of a frame that was removed or has navigated has no locks any more. It comes before all other refusals. */
function refuseInactive(): void {
  if (typeof document === 'undefined' || document.defaultView !== null) return
  throw new DOMException('the document is not fully active', 'InvalidStateError')
}

/** The refusals of the specification, in its order (5.3.1 of Web Locks). */
function refuseAsW3c(name: string, { mode, ifAvailable, steal, signal }: LockOptions): void {
  if (name.startsWith('-')) throw notSupported("name: a name that starts with '-' is reserved")
  if (steal && ifAvailable) throw notSupported('options.steal and options.ifAvailable exclude each other')
  if (steal && mode !== 'exclusive') throw notSupported('options.steal needs the exclusive mode')
  if (signal && (steal || ifAvailable))
    throw notSupported('options.signal excludes options.steal and options.ifAvailable')
}

function notSupported(message: string): DOMException {
  return new DOMException(message, 'NotSupportedError')
}

function infoOf(record: LockRecord): LockInfo {
  const { name, mode, peerId, token, since, position } = record
  return {
    name,
    mode,
    clientId: peerId,
    token,
    since,
    ...(position > 0 && { position }),
    attributes: attributesOf(record),
  }
}

function attributesOf(record: LockRecord | undefined): Value {
  return record?.attributes ? decodeValue(record.attributes) : undefined
}
