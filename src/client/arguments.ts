import { ownerMax, priorityMax } from '../machine/waiting/limits.js'
import { LimitExceededError } from './errors.js'

// Checks of what callers give, each by the argument's name, before anything is sent.

/** The longest delay that a platform timer takes, ms. */
const timeoutMax = 2 ** 31 - 1

export function typeOf(value: unknown): string {
  if (Array.isArray(value)) return 'an array'
  return value === null ? 'null' : typeof value
}

/** An object that has members. A list has none of those that are looked for: taken for one, it would say nothing. */
export function checkObject(value: unknown, argument: string): Readonly<Record<string, unknown>> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>
  throw new TypeError(`${argument}: expected an object, got ${typeOf(value)}`)
}

/** `limit`: the name of the limit that the error shows. */
export function checkText(value: unknown, argument: string, limit: string, max: number): string {
  if (typeof value !== 'string') throw new TypeError(`${argument}: expected a string, got ${typeOf(value)}`)
  if (value.length <= max) return value
  const message = `${argument}: expected at most ${max} code units, got ${value.length}`
  throw new LimitExceededError(message, limit, max)
}

/** A whole number. -0 is 0. */
export function checkInteger(
  value: unknown,
  argument: string,
  min: number = Number.MIN_SAFE_INTEGER,
  max: number = Number.MAX_SAFE_INTEGER,
): number {
  if (typeof value !== 'number') throw new TypeError(`${argument}: expected a number, got ${typeOf(value)}`)
  if (Number.isSafeInteger(value) && value >= min && value <= max) return value + 0
  throw new RangeError(`${argument}: expected a whole number from ${min} to ${max}, got ${value}`)
}

/** Undefined, or a time between two others, ms. */
export function checkDuration(value: unknown, argument: string, min: number, max: number): number | undefined {
  if (value === undefined) return undefined
  if (typeof value !== 'number') throw new TypeError(`${argument}: expected a number of ms, got ${typeOf(value)}`)
  if (value >= min && value <= max) return value
  throw new RangeError(`${argument}: expected ${min} to ${max} ms, got ${value}`)
}

/** Nothing, or an object whose members are looked at one by one. */
export function checkMembers(value: unknown, argument: string): Readonly<Record<string, unknown>> {
  return value === undefined ? {} : checkObject(value, argument)
}

const abortedOf = Object.getOwnPropertyDescriptor(AbortSignal.prototype, 'aborted')?.get

/** By what it is, not by its prototype: signals of other windows count, and nothing that only looks like one. */
export function checkSignal(value: unknown, argument: string): AbortSignal | undefined {
  if (value === undefined || isSignal(value)) return value
  throw new TypeError(`${argument}: expected an AbortSignal`)
}

function isSignal(value: unknown): value is AbortSignal {
  try {
    return typeof abortedOf?.call(value) === 'boolean'
  } catch {
    return false
  }
}

/** ms */
export function checkTimeout(value: unknown): number | undefined {
  return checkDuration(value, 'options.timeout', 0, timeoutMax)
}

/** Well-formed, since it is text for others to read (`LockInfo`, `DeadlockError`); names and keys may be any string. */
export function checkOwner(value: unknown): string | undefined {
  if (value === undefined) return undefined
  if (typeof value === 'string' && /\p{Surrogate}/u.test(value)) {
    throw new TypeError('options.owner: expected well-formed Unicode, got a lone surrogate')
  }
  return checkText(value, 'options.owner', 'owner', ownerMax)
}

/** Default 0. */
export function checkPriority(value: unknown = 0): number {
  return checkInteger(value, 'options.priority', -priorityMax, priorityMax)
}

export function checkWhenNoQuorum(value: unknown): 'wait' | 'reject' | undefined {
  if (value === undefined || value === 'wait' || value === 'reject') return value
  throw new TypeError(`options.whenNoQuorum: expected 'wait' or 'reject', got ${String(value)}`)
}
