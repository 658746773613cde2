import type { Answers, Call, CallType } from '../host/page.js'
import { decodeValue, type Storable, type Value } from '../shared/value.js'
import { checkSignal, checkWhenNoQuorum } from './arguments.js'
import type { RoomConnection } from './connection.js'
import { RoomLeftError } from './errors.js'
import type { Lock } from './lock.js'
import { type Observable, ObservableValue } from './observable.js'
import { checkConsistency, checkExpected, checkFence, checkKey, checkOptions, checkValue } from './store-arguments.js'
import { type Change, checkFrom, StoreWatch, type WatchOptions } from './store-watch.js'
import { checkTransaction, outcomeOf, type Transaction, type TransactionOutcome } from './transaction.js'
import { ask, type WhenNoQuorum } from './wait.js'

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
  /** What to do while there is no quorum; default as given to `join`. */
  whenNoQuorum?: 'wait' | 'reject'
}

export interface SetOptions extends WriteOptions {
  /** Deleted when this peer's session ends. */
  ephemeral?: boolean
}

export interface ReadOptions {
  /** `linearizable` (default): after a round trip to a quorum; `local`: what this peer has applied, at once, perhaps stale. */
  consistency?: 'linearizable' | 'local'
  /** What a linearizable one does while there is no quorum; default as given to `join`. */
  whenNoQuorum?: 'wait' | 'reject'
}

/** A key with its value. */
export interface Entry<T = Value> extends Revised<T> {
  readonly key: string
  /** It is deleted with the session that wrote it last. */
  readonly ephemeral: boolean
}

/** Sorted by key, by UTF-16 code units. */
export interface Entries<T = Value> extends ReadonlyArray<Entry<T>> {
  /** They are all as of this revision: `watch(prefix, { from: revision })` goes on from here without a gap. */
  readonly revision: number
}

/**
 * What a key must be for `compareAndSet`: of this revision (0: not there), or equal to this value. One of the two: a
 * record that `get` gave has both, and says by itself not which is meant.
 */
export type Expectation<T = Value> =
  | { readonly revision: number; readonly value?: never }
  | { readonly value: T; readonly revision?: never }

/** A linearizable map, one for the room: every write goes through the log. Keys are strings, values up to 64 KiB encoded. */
export interface Store {
  /**
   * The value, or undefined. `linearizable` (default): as of some moment during the call, after a round trip to a quorum;
   * `local`: what this peer has applied, at once, perhaps stale.
   */
  get<T = Value>(key: string, options?: ReadOptions): Promise<Revised<T> | undefined>
  /** Resolves with the revision once a quorum has it. `LimitExceededError`, `StaleFenceError`, `OutcomeUnknownError`. */
  set(key: string, value: Value, options?: SetOptions): Promise<number>
  /** Of a type of one's own, an interface too. */
  set<T>(key: string, value: T & Storable<T>, options?: SetOptions): Promise<number>
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
  /** Of types of one's own, interfaces too. */
  compareAndSet<E, N>(key: string, expected: Expectation<E & Storable<E>>, next: N & Storable<N>): Promise<boolean>
  /**
   * Compares, and then does one of two lists of operations, in one step: all of it or nothing (etcd's Txn). Resolves with which list was
   * done and what each of its operations gave.
   *
   * `options.fence` is for the whole, whichever list is done, and a set or delete may have a `fence` of its own. One that is stale refuses
   * everything with `StaleFenceError`, and what finds no room with `LimitExceededError`; their `op` says which it was, as `then[2]`. The
   * fences of a list that is not done are not looked at. What a transaction deletes makes room for what it sets.
   *
   * `TypeError`, `RangeError` or `LimitExceededError` naming the argument before anything is sent; a key that one list writes twice is
   * a `TypeError`, as in etcd. `IncompatiblePeerError` while a member of the room has code from before transactions.
   * `OutcomeUnknownError` as for `set`.
   */
  transact(ops: Transaction, options?: WriteOptions): Promise<TransactionOutcome>
  /** All keys that begin with `prefix`, all of them by default, as of one moment during the call (`local`: of the past). */
  entries<T = Value>(prefix?: string, options?: ReadOptions): Promise<Entries<T>>
  /**
   * Every change of a key that begins with `prefix` (default: of every key), in the order of the room, none twice and none skipped: from this
   * call on, or after `from`. What one transaction changed comes together, with one revision, the last of it marked `last`.
   *
   * Where this peer does not know any more what came in between (it was away for long, or the page takes changes more slowly than they
   * are made, about a thousand behind) one batch of changes marked `resync` says how things are, and the watch goes on from there. So
   * does it when the room went on in another history (`reset`). It goes on over the back/forward cache.
   *
   * One consumer: `break` or `return()` ends it, as does `leave()`; a room that fails rejects. Nothing piles up for one that does not ask.
   */
  watch<T = Value>(prefix?: string, options?: WatchOptions): AsyncIterableIterator<Change<T>, undefined>
  /**
   * The value as this peer has it, and each one after; bursts may be skipped but for the last. Over the back/forward cache it stays as it was
   * shown until this peer has heard of the room again.
   */
  observe<T = Value>(key: string): Observable<Revised<T> | undefined>
}

type StoreCall = Extract<CallType, `store.${string}`>

interface Observed {
  readonly value: ObservableValue<Revised<Value> | undefined>
  readonly stop: () => void
}

export class RoomStore implements Store {
  readonly #connection: RoomConnection
  readonly #whenNoQuorum: WhenNoQuorum
  readonly #observed = new Map<string, Observed>()
  readonly #watching = new Set<{ end(): void }>()
  #left = false

  constructor(connection: RoomConnection, whenNoQuorum: WhenNoQuorum = 'wait') {
    this.#connection = connection
    this.#whenNoQuorum = whenNoQuorum
  }

  async get<T = Value>(key: string, options: ReadOptions = {}): Promise<Revised<T> | undefined> {
    const { consistency, whenNoQuorum } = this.#checkRead(options)
    const record = await this.#ask({ type: 'store.get', key: checkKey(key), consistency }, whenNoQuorum)
    return record ? { value: decodeValue(record.value) as T, revision: record.revision } : undefined
  }

  async set(key: string, value: unknown, options: SetOptions = {}): Promise<number> {
    const bytes = checkValue(value, 'value')
    const storeKey = checkKey(key)
    const { ephemeral, fence: given, whenNoQuorum } = checkOptions(options)
    const fence = checkFence(given)
    const { revision } = await this.#ask(
      { type: 'store.set', key: storeKey, value: bytes, fence, ephemeral: Boolean(ephemeral) },
      checkWhenNoQuorum(whenNoQuorum),
    )
    return revision
  }

  async delete(key: string, options: WriteOptions = {}): Promise<boolean> {
    const { fence: given, whenNoQuorum } = checkOptions(options)
    const call = { type: 'store.delete', fence: checkFence(given), key: checkKey(key) } as const
    const { existed } = await this.#ask(call, checkWhenNoQuorum(whenNoQuorum))
    return existed
  }

  async compareAndSet(key: string, expected: Expectation<unknown>, next: unknown): Promise<boolean> {
    const call = {
      type: 'store.compareAndSet',
      key: checkKey(key),
      expected: checkExpected(expected),
      next: checkValue(next, 'next'),
    } as const
    const { swapped } = await this.#ask(call)
    return swapped
  }

  async transact(ops: Transaction, options: WriteOptions = {}): Promise<TransactionOutcome> {
    const checked = checkTransaction(ops)
    const { fence: given, whenNoQuorum } = checkOptions(options)
    const call = { type: 'store.transact', ...checked, fence: checkFence(given) } as const
    return outcomeOf(checked, await this.#ask(call, checkWhenNoQuorum(whenNoQuorum)))
  }

  async entries<T = Value>(prefix = '', options: ReadOptions = {}): Promise<Entries<T>> {
    const { consistency, whenNoQuorum } = this.#checkRead(options)
    const call = { type: 'store.entries', prefix: checkKey(prefix, 'prefix'), consistency } as const
    const { revision, entries } = await this.#ask(call, whenNoQuorum)
    const decoded = entries.map((entry): Entry<T> => ({ ...entry, value: decodeValue(entry.value) as T }))
    // Beside the items, not among them: it is a list like any other to whoever compares or walks it.
    return Object.defineProperty(decoded, 'revision', { value: revision }) as Entry<T>[] & { revision: number }
  }

  watch<T = Value>(prefix = '', options: WatchOptions = {}): AsyncIterableIterator<Change<T>, undefined> {
    const { from, signal } = checkOptions(options)
    const checked = {
      prefix: checkKey(prefix, 'prefix'),
      from: checkFrom(from),
      signal: checkSignal(signal, 'options.signal') ?? null,
    }
    const watch: StoreWatch<T> = new StoreWatch(this.#connection, checked, () => this.#watching.delete(watch))
    this.#watching.add(watch)
    if (this.#left) watch.end()
    return watch
  }

  observe<T = Value>(key: string): Observable<Revised<T> | undefined> {
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

  #checkRead(options: ReadOptions): Required<ReadOptions> {
    const given = checkOptions(options)
    const consistency = checkConsistency(given.consistency ?? 'linearizable')
    const whenNoQuorum = checkWhenNoQuorum(given.whenNoQuorum) ?? this.#whenNoQuorum
    // What this peer has needs nobody else.
    return { consistency, whenNoQuorum: consistency === 'local' ? 'wait' : whenNoQuorum }
  }

  async #ask<T extends StoreCall>(
    call: Extract<Call, { type: T }>,
    whenNoQuorum: WhenNoQuorum = this.#whenNoQuorum,
  ): Promise<Answers[T]> {
    if (this.#left) throw new RoomLeftError()
    return ask(this.#connection, whenNoQuorum, call)
  }

  /** The handle is left: nothing more is read or written through it. */
  leave(): void {
    this.#left = true
    for (const { value, stop } of this.#observed.values()) {
      stop()
      value.end()
    }
    for (const watch of [...this.#watching]) watch.end()
  }
}
