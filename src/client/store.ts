import type { Expected, FenceCheck } from '../machine/store/command.js'
import { storeKeyMax, valueBytesMax } from '../machine/store/command.js'
import { decodeValue, encodeValue, type Value } from '../shared/value.js'
import type { RoomConnection } from './connection.js'
import { LimitExceededError, RoomLeftError } from './errors.js'
import type { Lock } from './lock.js'
import { type Observable, ObservableValue } from './observable.js'

/** A value with the log index of its last write, which grows with every change of any key. */
export interface Revised<T> {
  readonly value: T
  readonly revision: number
}

/** What a write must still hold when it is applied: a lock of this room, or its name and token. */
export type Fence = Lock | { readonly name: string; readonly token: number }

export interface WriteOptions {
  /** Refused with `StaleFenceError` unless the lock is held under that token when the write is applied. */
  fence?: Fence
}

export interface SetOptions extends WriteOptions {
  /** Deleted when this peer's session ends. */
  ephemeral?: boolean
}

/**
 * What a key must be for `compareAndSet`: of this revision (0: not there), or equal to this value. One of the two: a
 * record that `get` gave has both, and says by itself not which is meant.
 */
export type Expectation =
  | { readonly revision: number; readonly value?: never }
  | { readonly value: Value; readonly revision?: never }

/** A linearizable map, one for the room: every write goes through the log. Keys are strings, values up to 64 KiB encoded. */
export interface Store {
  /**
   * The value, or undefined. `linearizable` (default): as of some moment during the call, after a round trip to a quorum;
   * `local`: what this peer has applied, at once, perhaps stale.
   */
  get<T extends Value = Value>(
    key: string,
    options?: { consistency?: 'linearizable' | 'local' },
  ): Promise<Revised<T> | undefined>
  /** Resolves with the revision once a quorum has it. `LimitExceededError`, `StaleFenceError`, `OutcomeUnknownError`. */
  set(key: string, value: Value, options?: SetOptions): Promise<number>
  /** Resolves with whether there was a value. */
  delete(key: string, options?: WriteOptions): Promise<boolean>
  /**
   * Sets `next`, as `set` without options does, if the key is as expected when the write is applied; resolves with
   * whether it did. Comparing and setting are one step: nothing can come between.
   *
   * `{ revision }`: its last write had that revision, a whole number; 0: it is not there. `{ value }`: it is there, and its
   * value has the same encoding: objects by content whatever the order of their keys, a Map and a Set in their order, NaN
   * equal to NaN, 0 and -0 different. `undefined` can be stored, so `{ value: undefined }` expects that; what is not
   * there equals no value. A value may have changed and changed back, which only a revision shows. Both as etcd's
   * Txn compares MOD and VALUE.
   *
   * `TypeError`, `RangeError` or `LimitExceededError` naming `key`, `expected` or `next` before anything is sent;
   * `LimitExceededError` also when `next` finds no room; `OutcomeUnknownError` as for `set`: look before you try again.
   */
  compareAndSet(key: string, expected: Expectation, next: Value): Promise<boolean>
  /** The value as this peer has it, and each one after; bursts may be skipped but for the last. */
  observe<T extends Value = Value>(key: string): Observable<Revised<T> | undefined>
}

interface Observed {
  readonly value: ObservableValue<Revised<Value> | undefined>
  readonly stop: () => void
}

export class RoomStore implements Store {
  readonly #connection: RoomConnection
  readonly #observed = new Map<string, Observed>()
  #left = false

  constructor(connection: RoomConnection) {
    this.#connection = connection
  }

  async get<T extends Value = Value>(
    key: string,
    options: { consistency?: 'linearizable' | 'local' } = {},
  ): Promise<Revised<T> | undefined> {
    const { consistency = 'linearizable' } = checkOptions(options)
    if (consistency !== 'linearizable' && consistency !== 'local') {
      throw new TypeError(`options.consistency: expected 'linearizable' or 'local', got ${String(consistency)}`)
    }
    const storeKey = checkKey(key)
    if (this.#left) throw new RoomLeftError()
    const record = await this.#connection.call({ type: 'store.get', key: storeKey, consistency })
    return record ? { value: decodeValue(record.value) as T, revision: record.revision } : undefined
  }

  async set(key: string, value: Value, options: SetOptions = {}): Promise<number> {
    const bytes = checkValue(value, 'value')
    const storeKey = checkKey(key)
    const { ephemeral, fence: given } = checkOptions(options)
    const fence = checkFence(given)
    if (this.#left) throw new RoomLeftError()
    const { revision } = await this.#connection.call({
      type: 'store.set',
      key: storeKey,
      value: bytes,
      fence,
      ephemeral: Boolean(ephemeral),
    })
    return revision
  }

  async delete(key: string, options: WriteOptions = {}): Promise<boolean> {
    const fence = checkFence(checkOptions(options).fence)
    const storeKey = checkKey(key)
    if (this.#left) throw new RoomLeftError()
    const { existed } = await this.#connection.call({ type: 'store.delete', key: storeKey, fence })
    return existed
  }

  async compareAndSet(key: string, expected: Expectation, next: Value): Promise<boolean> {
    const call = {
      type: 'store.compareAndSet',
      key: checkKey(key),
      expected: checkExpected(expected),
      next: checkValue(next, 'next'),
    } as const
    if (this.#left) throw new RoomLeftError()
    const { swapped } = await this.#connection.call(call)
    return swapped
  }

  observe<T extends Value = Value>(key: string): Observable<Revised<T> | undefined> {
    const storeKey = checkKey(key)
    let observed = this.#observed.get(storeKey)
    if (!observed) {
      const value = new ObservableValue<Revised<Value> | undefined>(undefined)
      if (this.#left) {
        value.end()
        return value as Observable<Revised<T> | undefined>
      }
      const stop = this.#connection.watch({ type: 'store', key: storeKey }, (watched) => {
        if (watched.type !== 'store') return
        const { record } = watched
        if (record?.revision === value.current?.revision) return
        value.set(record ? { value: decodeValue(record.value), revision: record.revision } : undefined)
      })
      observed = { value, stop }
      this.#observed.set(storeKey, observed)
    }
    return observed.value as Observable<Revised<T> | undefined>
  }

  /** The handle is left: nothing more is read or written through it. */
  leave(): void {
    this.#left = true
    for (const { value, stop } of this.#observed.values()) {
      stop()
      value.end()
    }
  }
}

function checkKey(key: unknown): string {
  if (typeof key !== 'string') throw new TypeError(`key: expected a string, got ${key === null ? 'null' : typeof key}`)
  if (key.length > storeKeyMax) {
    const message = `key: expected at most ${storeKeyMax} code units, got ${key.length}`
    throw new LimitExceededError(message, 'storeKey', storeKeyMax)
  }
  return key
}

function checkValue(value: unknown, name: string): Uint8Array {
  const bytes = encodeValue(value, name)
  if (bytes.byteLength <= valueBytesMax) return bytes
  const message = `${name}: expected at most ${valueBytesMax} bytes encoded, got ${bytes.byteLength}`
  throw new LimitExceededError(message, 'valueBytes', valueBytesMax)
}

function checkExpected(expected: unknown): Expected {
  if (typeof expected !== 'object' || expected === null) {
    throw new TypeError(`expected: expected an object, got ${expected === null ? 'null' : typeof expected}`)
  }
  const keys = Object.keys(expected)
  const [key] = keys
  if (keys.length !== 1 || (key !== 'revision' && key !== 'value')) {
    const got = keys.length === 0 ? 'neither' : keys.join(' and ')
    throw new TypeError(`expected: expected { revision } or { value }, got ${got}`)
  }
  // Read once: it may be an accessor.
  const given: unknown = (expected as Record<string, unknown>)[key]
  return key === 'value' ? { value: checkValue(given, 'expected.value') } : { revision: checkRevision(given) }
}

function checkRevision(revision: unknown): number {
  if (typeof revision !== 'number') throw new TypeError(`expected.revision: expected a number, got ${typeof revision}`)
  if (Number.isSafeInteger(revision) && revision >= 0) return revision
  throw new RangeError(`expected.revision: expected a revision, or 0 for a key that is not there, got ${revision}`)
}

function checkOptions<T extends object>(options: T): T {
  if (typeof options === 'object' && options !== null) return options
  throw new TypeError(`options: expected an object, got ${options === null ? 'null' : typeof options}`)
}

function checkFence(fence: Fence | undefined): FenceCheck | null {
  if (fence === undefined || fence === null) return null
  const { name, token } = fence
  if (typeof name !== 'string') throw new TypeError(`fence.name: expected a string, got ${typeof name}`)
  if (!Number.isSafeInteger(token) || token < 0)
    throw new TypeError(`fence.token: expected a lock's token, got ${String(token)}`)
  return { name, token }
}
