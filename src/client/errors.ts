/** The errors of the public API. Each has a `code` that is never renamed; texts may change. */
import type { Failure, FailureCode } from '../shared/failure.js'
import type { StorageReason } from '../shared/storage-fault.js'

/** Base of all errors of this library. Argument mistakes are `TypeError` and `RangeError`, as everywhere on the platform. */
export class ComityError extends Error {
  override readonly name: string = 'ComityError'
  /** Kebab-case, stable: branch on this, or on the class. */
  readonly code: FailureCode
  /** False: what was asked may have happened, and asking again may do it twice. */
  readonly retryable: boolean

  constructor(code: FailureCode, message: string, options: { cause?: unknown; retryable?: boolean } = {}) {
    super(message, 'cause' in options ? { cause: options.cause } : undefined)
    this.code = code
    this.retryable = options.retryable ?? false
  }
}

/** No majority of the room's voters can be reached: nothing can be agreed until one comes back. */
export class NoQuorumError extends ComityError {
  override readonly name = 'NoQuorumError'
  /** The voters that this peer does not reach. */
  readonly missing: readonly string[]

  constructor(missing: readonly string[]) {
    super('no-quorum', `the room has no quorum: ${missing.length} of its voters cannot be reached`, { retryable: true })
    this.missing = missing
  }
}

/** The room was left, by `leave()`, by navigation, or because its peer has failed. */
export class RoomLeftError extends ComityError {
  override readonly name = 'RoomLeftError'

  constructor(message = 'the room has been left', options: { cause?: unknown } = {}) {
    super('room-left', message, options)
  }
}

/** The signaling server refused this peer, or this peer another one: it shows an impossible life, as a copied profile does. */
export class RoomAuthError extends ComityError {
  override readonly name = 'RoomAuthError'

  constructor(message: string) {
    super('room-auth', message)
  }
}

/** A peer of the room speaks no version of the protocol that this one knows, or one of the two cannot apply the room's log. */
export class IncompatiblePeerError extends ComityError {
  override readonly name = 'IncompatiblePeerError'

  constructor(message: string) {
    super('incompatible-peer', message)
  }
}

/** No signaling server answered after the first retries, and the room is not reachable through another tab. */
export class SignalingError extends ComityError {
  override readonly name = 'SignalingError'

  constructor(message: string, options: { cause?: unknown } = {}) {
    super('signaling', message, { ...options, retryable: true })
  }
}

/** What this browser, or this page, lacks. */
export type Missing = 'secure-context' | 'workers' | 'web-locks' | 'webrtc' | 'indexeddb'

/** The browser, or the page's origin, lacks something that the room cannot do without. */
export class UnsupportedError extends ComityError {
  override readonly name = 'UnsupportedError'
  readonly missing: Missing

  constructor(missing: Missing, message: string) {
    super('unsupported', message)
    this.missing = missing
  }
}

/** The page's Content Security Policy, or a broken deployment, keeps the worker from running. */
export class WorkerBlockedError extends ComityError {
  override readonly name = 'WorkerBlockedError'
  /** The directive that has to allow it. */
  readonly directive: string

  constructor(message: string, directive: string) {
    super('worker-blocked', message)
    this.directive = directive
  }
}

/** A second `join` of the same room contradicts the first one's options. */
export class OptionsMismatchError extends ComityError {
  override readonly name = 'OptionsMismatchError'
  /** The option that differs. */
  readonly option: string

  constructor(option: string) {
    super('options-mismatch', `this page has joined the room with another value of options.${option}`)
    this.option = option
  }
}

/** This peer's disk failed, or another life has taken it over: the peer has stopped. What was agreed lives on with the others. */
export class StorageError extends ComityError {
  override readonly name = 'StorageError'
  /** Why: after `upgraded` and `newer-schema` a reload brings the newer code; after `quota` space has to be made first. */
  readonly reason: StorageReason

  constructor(message: string, reason: StorageReason = 'failed') {
    super('storage', message)
    this.reason = reason
  }
}

/** A limit of the room, or of the library, was reached; nothing was changed. */
export class LimitExceededError extends ComityError {
  override readonly name = 'LimitExceededError'
  /** Which limit: a key of `Limits`, or the name of a fixed one. */
  readonly limit: string
  /** Its value. */
  readonly value: number
  /** Which part of a transaction reached it, as `then[2]`; null outside of transactions, or where it is the whole. */
  readonly op: string | null

  constructor(message: string, limit: string, value: number, op: string | null = null) {
    super('limit-exceeded', message, { retryable: true })
    this.limit = limit
    this.value = value
    this.op = op
  }
}

/**
 * What was asked may or may not have happened, or happen yet: its session ended before the answer came, or with `whenNoQuorum: 'reject'` the quorum
 * went.
 */
export class OutcomeUnknownError extends ComityError {
  override readonly name = 'OutcomeUnknownError'

  constructor(message: string) {
    super('outcome-unknown', message, { retryable: false })
  }
}

/** The lock was not granted within `timeout`; the request has left the queue. */
export class LockTimeoutError extends ComityError {
  override readonly name = 'LockTimeoutError'

  constructor(name: string, timeout: number) {
    super('lock-timeout', `the lock ${JSON.stringify(name)} was not granted within ${timeout} ms`, { retryable: true })
  }
}

/**
 * Why a lock was lost. `expired`: its lease ran out unheard, or `maxHold` is over. `stolen`: by a request with `steal`. `revoked`: it was asked
 * back, and the grace is over. `frozen`: its lease ran out while the page was frozen or the machine slept. `left`: the page went away,
 * perhaps into the back/forward cache. `reset`: the room's history ended here.
 */
export type LockLossReason = 'expired' | 'stolen' | 'revoked' | 'frozen' | 'left' | 'reset'

/** A lock that was held is not any more. */
export class LockLostError extends ComityError {
  override readonly name = 'LockLostError'
  readonly reason: LockLossReason

  constructor(name: string, reason: LockLossReason) {
    super('lock-lost', `the lock ${JSON.stringify(name)} was lost: ${reason}`)
    this.reason = reason
  }
}

/** The permits were not granted within `timeout`; the request has left the queue. */
export class PermitTimeoutError extends ComityError {
  override readonly name = 'PermitTimeoutError'

  constructor(name: string, timeout: number) {
    const message = `the permits of ${JSON.stringify(name)} were not granted within ${timeout} ms`
    super('lock-timeout', message, { retryable: true })
  }
}

/** Why permits were lost. */
export type PermitLossReason = 'expired' | 'left' | 'reset'

/** Permits that were held are not any more. */
export class PermitLostError extends ComityError {
  override readonly name = 'PermitLostError'
  readonly reason: PermitLossReason

  constructor(name: string, reason: PermitLossReason) {
    super('lock-lost', `the permits of ${JSON.stringify(name)} were lost: ${reason}`)
    this.reason = reason
  }
}

/** Why `lock.revoking` aborts: somebody asked for the lock back. It is held still, until `lock.deadline`: finish, and release it. */
export class LockRevokedError extends ComityError {
  override readonly name = 'LockRevokedError'
  /** What is left of the grace, ms, from when this page heard of it. */
  readonly grace: number

  constructor(message: string, grace: number) {
    super('lock-revoked', message)
    this.grace = grace
  }
}

/** One who waits in a circle of owners, and for what. */
export interface DeadlockStep {
  readonly clientId: string
  /** As given with the request, null if it had none. */
  readonly owner: string | null
  /** The lock or semaphore that it waits for, and that the next one of the circle has. */
  readonly name: string
}

/**
 * The request would have waited for itself, by way of others: nothing was changed. Release what is held, and begin again. Or a `resize` of a
 * semaphore would have left some that wait for each other, and for ever: try it again when they have gone on.
 */
export class DeadlockError extends ComityError {
  override readonly name = 'DeadlockError'
  /** The circle; it begins with the one that was refused, or that the `resize` would have left waiting. */
  readonly cycle: readonly DeadlockStep[]

  constructor(message: string, cycle: readonly DeadlockStep[]) {
    super('deadlock', message, { retryable: true })
    this.cycle = cycle
  }
}

/** The lock is not held under that token: a write under it would come from the past. */
export class StaleFenceError extends ComityError {
  override readonly name = 'StaleFenceError'
  /** From the room: the token under which the lock is held now, null if nobody holds it. From `createFence()`: the oldest that it lets in. */
  readonly current: number | null
  /** Which operation of a transaction it refuses, as `then[2]`; null outside of transactions, or where it is the whole. */
  readonly op: string | null

  constructor(message: string, current: number | null, op: string | null = null) {
    super('stale-fence', message)
    this.current = current
    this.op = op
  }
}

/** The error that a failure stands for. */
export function errorOf({ code, message, details = {} }: Failure): ComityError {
  switch (code) {
    case 'no-quorum':
      return new NoQuorumError(strings(details['missing']))
    case 'room-left':
      return new RoomLeftError(message)
    case 'room-auth':
      return new RoomAuthError(message)
    case 'incompatible-peer':
      return new IncompatiblePeerError(message)
    case 'signaling':
      return new SignalingError(message)
    case 'unsupported':
      return new UnsupportedError(details['missing'] as Missing, message)
    case 'worker-blocked':
      return new WorkerBlockedError(message, String(details['directive'] ?? 'worker-src'))
    case 'storage':
      return new StorageError(message, details['reason'] as StorageReason | undefined)
    case 'limit-exceeded':
      return new LimitExceededError(message, String(details['limit']), Number(details['value']), opOf(details))
    case 'outcome-unknown':
      return new OutcomeUnknownError(message)
    case 'lock-revoked':
      return new LockRevokedError(message, Number(details['grace'] ?? 0))
    case 'deadlock':
      return new DeadlockError(message, stepsOf(details['cycle']))
    case 'stale-fence':
      return new StaleFenceError(message, (details['current'] as number | null | undefined) ?? null, opOf(details))
    default:
      return new ComityError(code, message)
  }
}

function opOf({ op }: Readonly<Record<string, unknown>>): string | null {
  return typeof op === 'string' ? op : null
}

function stepsOf(value: unknown): readonly DeadlockStep[] {
  if (!Array.isArray(value)) return []
  return value.map(({ peerId, owner, name }: { peerId: unknown; owner: unknown; name: unknown }) => ({
    clientId: String(peerId),
    owner: typeof owner === 'string' ? owner : null,
    name: String(name),
  }))
}

function strings(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.map(String) : []
}
