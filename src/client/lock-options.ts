/** What a caller says of a lock, converted and checked before anything is sent. */
import type { LockBeyond } from '../host/page.js'
import { type LockMode, lockNameMax } from '../machine/lock/command.js'
import { lockHoldMax, lockLeaseMax, lockNamesMax } from '../machine/lock/limits.js'
import { valueBytesMax } from '../machine/store/command.js'
import { encodeValue, type Value } from '../shared/value.js'
import { checkDuration, checkOwner, checkPriority, checkSignal, checkTimeout, checkWhenNoQuorum } from './arguments.js'
import { LimitExceededError } from './errors.js'

/** A checked request: what goes to the host with its handle. */
export interface RequestParameters {
  readonly names: readonly string[]
  readonly mode: LockMode
  readonly ifAvailable: boolean
  readonly steal: boolean
  readonly lease: number
  readonly attributes: Uint8Array | null
  readonly beyond?: LockBeyond
}

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
  /** Longest time from the grant, ms, at most a day: then the lock is lost (`expired`), whatever its holder does. Default: none. */
  maxHold?: number
  /**
   * Requests of this peer with the same owner (256 code units at most) re-enter: what the owner holds it is granted again at once, under the same
   * token, and others wait for the last release. They take part in the search for deadlocks. Default: every request is its own owner, as in W3C.
   */
  owner?: string
  /**
   * Whole number from -1 000 to 1 000, default 0. A level is worth a second of waiting: a request is overtaken by later ones of a
   * higher priority, but only by those that come within a second for each level of difference, so that nobody waits for ever.
   */
  priority?: number
  /** `tree`: the lock covers its name and all names below it: `doc/1` also `doc/1/paragraph/3`. Default `exact`. */
  scope?: 'exact' | 'tree'
  /**
   * How long nobody is granted the lock after an unclean end (its holder crashed, or its lease ran out), ms, from 0 to `lease`: time
   * for what the holder had under way outside the room to arrive. A release, `steal` and `revoke` do not wait for it. Default 0. As Consul's lock-delay.
   */
  lockDelay?: number
  /** Shown to everyone in `LockInfo`: who, why. */
  attributes?: Value
  /** What to do while there is no quorum; default as given to `join`. */
  whenNoQuorum?: 'wait' | 'reject'
}

/** A bounded wait. */
export interface WaitOptions {
  /** Ends the wait with its reason. */
  signal?: AbortSignal
  /** Longest wait, ms; then `LockTimeoutError`. Default: none. */
  timeout?: number
}

export interface RevokeOptions {
  /** How long the holder may go on after it was told, ms, from 0 to a day. */
  grace: number
  /** What to do while there is no quorum; default as given to `join`. */
  whenNoQuorum?: 'wait' | 'reject'
}

export function checkName(name: unknown, argument = 'name'): string {
  if (typeof name === 'symbol') throw new TypeError(`${argument}: expected a string, got a symbol`)
  const text = String(name)
  if (text.length > lockNameMax) {
    throw new LimitExceededError(
      `${argument}: expected at most ${lockNameMax} code units, got ${text.length}`,
      'lockName',
      lockNameMax,
    )
  }
  return text
}

/** As WebIDL converts a sequence; each name once, since the locks come in the order of the names. */
export function checkNames(names: unknown): string[] {
  if ((typeof names !== 'object' && typeof names !== 'function') || names === null || !isIterable(names)) {
    throw new TypeError('names: expected an iterable of strings')
  }
  const checked: string[] = []
  for (const name of names) {
    const text = checkName(name, `names[${checked.length}]`)
    if (checked.includes(text))
      throw new TypeError(`names[${checked.length}]: ${JSON.stringify(text)} was named before`)
    if (checked.length === lockNamesMax) {
      throw new LimitExceededError(`names: expected at most ${lockNamesMax}`, 'lockNames', lockNamesMax)
    }
    checked.push(text)
  }
  if (checked.length === 0) throw new TypeError('names: expected at least one name')
  return checked
}

function isIterable(value: object): value is Iterable<unknown> {
  return Symbol.iterator in value && typeof value[Symbol.iterator] === 'function'
}

/** As WebIDL converts a dictionary (each member read once, in the order of their names), then what W3C does not have. */
export function checkOptions(options: unknown): LockOptions {
  const given = dictionary(options)
  const ifAvailable = Boolean(given['ifAvailable'])
  const mode = modeOf(given['mode'])
  const signal = checkSignal(given['signal'], 'options.signal')
  const steal = Boolean(given['steal'])
  const { attributes } = given
  const whenNoQuorum = checkWhenNoQuorum(given['whenNoQuorum'])
  const timeout = checkTimeout(given['timeout'])
  const lease = checkDuration(given['lease'], 'options.lease', 1, lockLeaseMax)
  return {
    mode,
    ifAvailable,
    steal,
    ...(signal !== undefined && { signal }),
    ...(timeout !== undefined && { timeout }),
    ...(lease !== undefined && { lease: Math.floor(lease) }),
    ...beyondOptions(given),
    ...(attributes !== undefined && { attributes: attributes as Value }),
    ...(whenNoQuorum !== undefined && { whenNoQuorum }),
  }
}

function dictionary(options: unknown): Record<string, unknown> {
  if (options === undefined || options === null) return {}
  if (typeof options !== 'object' && typeof options !== 'function') {
    throw new TypeError(`options: expected an object, got ${typeof options}`)
  }
  return options as Record<string, unknown>
}

function beyondOptions(given: Record<string, unknown>): LockOptions {
  const maxHold = checkDuration(given['maxHold'], 'options.maxHold', 1, lockHoldMax)
  const lockDelay = checkDuration(given['lockDelay'], 'options.lockDelay', 0, lockLeaseMax)
  const owner = checkOwner(given['owner'])
  const priority = checkPriority(given['priority'])
  const { scope } = given
  if (scope !== undefined && scope !== 'exact' && scope !== 'tree') {
    throw new TypeError(`options.scope: expected 'exact' or 'tree', got ${shown(scope)}`)
  }
  return {
    ...(maxHold !== undefined && { maxHold: Math.floor(maxHold) }),
    ...(lockDelay !== undefined && { lockDelay: Math.floor(lockDelay) }),
    ...(owner !== undefined && { owner }),
    priority,
    ...(scope !== undefined && { scope }),
  }
}

export function checkWait(options: unknown): WaitOptions {
  const given = dictionary(options)
  const signal = checkSignal(given['signal'], 'options.signal')
  const timeout = checkTimeout(given['timeout'])
  return { ...(signal !== undefined && { signal }), ...(timeout !== undefined && { timeout }) }
}

export function checkRevoke(options: unknown): RevokeOptions {
  if (options === null || typeof options !== 'object') {
    throw new TypeError('options: expected an object with `grace`')
  }
  const given = options as Record<string, unknown>
  const grace = checkDuration(given['grace'], 'options.grace', 0, lockHoldMax)
  if (grace === undefined) throw new TypeError('options.grace: expected a number of ms, got undefined')
  const whenNoQuorum = checkWhenNoQuorum(given['whenNoQuorum'])
  return { grace: Math.floor(grace), ...(whenNoQuorum !== undefined && { whenNoQuorum }) }
}

/** What goes to the host, or the error of an option that only the room's timing can refuse. */
export function parametersOf(
  names: readonly string[],
  options: LockOptions,
  timing: { readonly heartbeat: number; readonly lease: number },
): RequestParameters {
  const { mode = 'exclusive', ifAvailable = false, steal = false } = options
  const lease = options.lease ?? timing.lease
  if (lease < 3 * timing.heartbeat) {
    throw new RangeError(`options.lease: expected at least three heartbeats (${3 * timing.heartbeat} ms), got ${lease}`)
  }
  const { lockDelay = 0 } = options
  if (lockDelay > lease) {
    throw new RangeError(`options.lockDelay: expected at most the lease (${lease} ms), got ${lockDelay}`)
  }
  const attributes = options.attributes === undefined ? null : encodeValue(options.attributes, 'options.attributes')
  if (attributes && attributes.byteLength > valueBytesMax) {
    const message = `options.attributes: expected at most ${valueBytesMax} bytes encoded, got ${attributes.byteLength}`
    throw new LimitExceededError(message, 'valueBytes', valueBytesMax)
  }
  const beyond = beyondOf(names, options)
  return { names, mode, ifAvailable, steal, lease, attributes, ...(beyond && { beyond }) }
}

/** Null for a plain request: that works in rooms with older members too. */
function beyondOf(names: readonly string[], options: LockOptions): LockBeyond | null {
  const { owner = null, priority = 0, scope = 'exact', maxHold = null, lockDelay = 0 } = options
  const also = names.slice(1)
  const isPlain =
    also.length === 0 && owner === null && priority === 0 && scope === 'exact' && maxHold === null && lockDelay === 0
  return isPlain ? null : { also, owner, priority, scope, maxHold, lockDelay }
}

function modeOf(value: unknown): LockMode {
  const mode = value === undefined ? 'exclusive' : String(value)
  if (mode === 'exclusive' || mode === 'shared') return mode
  throw new TypeError(`options.mode: expected 'exclusive' or 'shared', got ${JSON.stringify(mode)}`)
}

function shown(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value)
}

/** W3C: the document of a frame that was removed or has navigated has no locks any more. It comes before all other refusals. */
export function refuseInactive(): void {
  if (typeof document === 'undefined' || document.defaultView !== null) return
  throw new DOMException('the document is not fully active', 'InvalidStateError')
}

/** The refusals of the specification, in its order (5.3.1 of Web Locks). */
export function refuseAsW3c(name: string, { mode, ifAvailable, steal, signal }: LockOptions): void {
  if (name.startsWith('-')) throw notSupported("name: a name that starts with '-' is reserved")
  if (steal && ifAvailable) throw notSupported('options.steal and options.ifAvailable exclude each other')
  if (steal && mode !== 'exclusive') throw notSupported('options.steal needs the exclusive mode')
  if (signal && (steal || ifAvailable))
    throw notSupported('options.signal excludes options.steal and options.ifAvailable')
}

/** Those of them that hold for `acquire`, which is ours. */
export function refuseConflicts({ mode, ifAvailable, steal }: LockOptions): void {
  if (steal && ifAvailable) throw notSupported('options.steal and options.ifAvailable exclude each other')
  if (steal && mode === 'shared') throw notSupported('options.steal needs the exclusive mode')
}

function notSupported(message: string): DOMException {
  return new DOMException(message, 'NotSupportedError')
}
