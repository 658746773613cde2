/** What a call of the store may be given. Each check throws before anything is sent, and names the argument. */
import type { Expected, FenceCheck } from '../machine/store/command.js'
import { storeKeyMax, valueBytesMax } from '../machine/store/command.js'
import { encodeValue } from '../shared/value.js'
import { checkObject, checkText, typeOf } from './arguments.js'
import { LimitExceededError } from './errors.js'

export function checkKey(key: unknown, name = 'key'): string {
  return checkText(key, name, 'storeKey', storeKeyMax)
}

export function checkValue(value: unknown, name: string): Uint8Array {
  const bytes = encodeValue(value, name)
  if (bytes.byteLength <= valueBytesMax) return bytes
  const message = `${name}: expected at most ${valueBytesMax} bytes encoded, got ${bytes.byteLength}`
  throw new LimitExceededError(message, 'valueBytes', valueBytesMax)
}

export function checkExpected(expected: unknown): Expected {
  if (typeof expected !== 'object' || expected === null) {
    throw new TypeError(`expected: expected an object, got ${typeOf(expected)}`)
  }
  const keys = Object.keys(expected)
  const [key] = keys
  if (keys.length !== 1 || (key !== 'revision' && key !== 'value')) {
    const got = keys.length === 0 ? 'neither' : keys.join(' and ')
    throw new TypeError(`expected: expected { revision } or { value }, got ${got}`)
  }
  // Read once: it may be an accessor.
  const given: unknown = (expected as Record<string, unknown>)[key]
  return key === 'value'
    ? { value: checkValue(given, 'expected.value') }
    : { revision: checkRevision(given, 'expected.revision') }
}

export function checkRevision(revision: unknown, name: string): number {
  if (typeof revision !== 'number') throw new TypeError(`${name}: expected a number, got ${typeof revision}`)
  if (Number.isSafeInteger(revision) && revision >= 0) return revision
  throw new RangeError(`${name}: expected a revision, or 0 for a key that is not there, got ${revision}`)
}

export function checkOptions<T extends object>(options: T): T {
  checkObject(options, 'options')
  return options
}

export function checkConsistency(consistency: unknown): 'linearizable' | 'local' {
  if (consistency === 'linearizable' || consistency === 'local') return consistency
  throw new TypeError(`options.consistency: expected 'linearizable' or 'local', got ${String(consistency)}`)
}

export function checkFence(fence: unknown, at = 'fence'): FenceCheck | null {
  if (fence === undefined) return null
  // `ifAvailable` gives null for a lock that is not held: that is no leave to write without one.
  if (fence === null) throw new TypeError(`${at}: expected a lock, or its name and token, got null`)
  const { name, token } = fence as { readonly name?: unknown; readonly token?: unknown }
  if (typeof name !== 'string') throw new TypeError(`${at}.name: expected a string, got ${typeof name}`)
  if (typeof token !== 'number' || !Number.isSafeInteger(token) || token < 0)
    throw new TypeError(`${at}.token: expected a lock's token, got ${String(token)}`)
  return { name, token }
}
