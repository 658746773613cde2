/** `store.watch`: the changes of the store, one by one, over hosts that come and go. */
import type { ChangeRecord, ChangesRecord, WatchPosition } from '../host/page.js'
import { decodeValue, type Value } from '../shared/value.js'
import { whenAborted } from './aborted.js'
import { typeOf } from './arguments.js'
import type { RoomConnection } from './connection.js'
import { type ComityError, RoomLeftError } from './errors.js'
import type { Revised } from './store.js'
import { checkRevision } from './store-arguments.js'

export type { WatchPosition } from '../host/page.js'

interface Told {
  /** Hand it to `watch` as `from`, and it goes on after this very change. Plain data: it can be stored. */
  readonly position: WatchPosition
  /**
   * Nothing more came of the same transaction, or of the same `resync`. Only then, and not in a `resync`, where it is that of the key, `revision`
   * says by itself what has been seen.
   */
  readonly last: boolean
  /** Only there where what came before has a gap: part of the one batch that says how things are now. */
  readonly resync?: true
}

export interface SetChange<T = Value> extends Told {
  readonly type: 'set'
  readonly key: string
  readonly value: T
  readonly revision: number
  /** It ends with a session. */
  readonly ephemeral: boolean
  /** What was there before, if anything, and nothing where it is not known (`resync`). */
  readonly previous: Revised<T> | undefined
}

export interface DeleteChange<T = Value> extends Told {
  readonly type: 'delete'
  readonly key: string
  readonly value: undefined
  /** Of the entry that deleted it; in a `resync`, that of the whole. */
  readonly revision: number
  readonly previous: Revised<T> | undefined
}

/**
 * What was told so far has a gap. Forget it all: what is deleted, as far as that is known, and then every key as it is at `revision`
 * follow as changes with `resync`, until the one that is `last`; this one, if there are none.
 */
export interface ResyncChange extends Told {
  readonly type: 'resync'
  readonly key: undefined
  readonly value: undefined
  readonly revision: number
  readonly previous: undefined
  readonly resync: true
}

export type Change<T = Value> = SetChange<T> | DeleteChange<T> | ResyncChange

export interface WatchOptions {
  /**
   * Go on after what has been seen: a change's `position`, or a revision all of which has been seen, as that of `entries()`, of a
   * `set`, or of a change that was `last` (but in a `resync`). 0: begin with everything as it is. Default: from now on, by what this peer
   * knows then.
   */
  from?: number | WatchPosition
  /** Aborted, the iteration throws its reason. */
  signal?: AbortSignal
}

export interface CheckedWatch {
  readonly prefix: string
  readonly from: WatchPosition | null
  readonly signal: AbortSignal | null
}

/** A change, decoded only when somebody takes it. */
type Waiting<T> = () => Change<T>

interface Taker<T> {
  readonly resolve: (result: IteratorResult<Change<T>, undefined>) => void
  readonly reject: (reason: unknown) => void
}

export class StoreWatch<T> implements AsyncIterableIterator<Change<T>, undefined, undefined> {
  readonly #watch: { stop(): void; taken(): void }
  readonly #stops: (() => void)[] = []
  /** At most what one message brought, and a second one where the host has changed. */
  #waiting: Waiting<T>[] = []
  readonly #takers: Taker<T>[] = []
  /** Behind everything that is waiting here. */
  #position: WatchPosition | null
  #isOver = false
  /** Thrown once, after what is waiting. */
  #failure: { readonly reason: unknown } | null = null

  /** `ended`: told once, later. */
  constructor(connection: RoomConnection, { prefix, from, signal }: CheckedWatch, ended: () => void) {
    this.#position = from
    this.#watch = connection.watchFrom(
      () => ({ type: 'changes', prefix, from: this.#position }),
      (told) => {
        if (told.type === 'changes') this.#told(told)
      },
    )
    const unlisten = connection.listen({
      // Revisions of a history that has ended say nothing in the one that goes on.
      reset: (_reset, successor) => {
        if (successor) this.#position = { revision: 0, place: 0 }
      },
      ended: (error) => this.#ended(error),
    })
    const abort = () => this.#fail(signal?.reason, true)
    this.#stops.push(this.#watch.stop, unlisten, ...(signal ? [whenAborted(signal, abort)] : []))
    this.#stops.push(() => queueMicrotask(ended))
    if (signal?.aborted) abort()
    else if (connection.ended) this.#ended(connection.ended)
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<Change<T>, undefined>> {
    return new Promise((resolve, reject) => {
      this.#takers.push({ resolve, reject })
      this.#serve()
    })
  }

  /** As `break` does: nothing more is told. */
  async return(): Promise<IteratorResult<Change<T>, undefined>> {
    this.end()
    return { done: true, value: undefined }
  }

  /** The handle is left: what is waiting here is dropped. */
  end(): void {
    this.#waiting = []
    this.#stop()
    this.#serve()
  }

  #ended(error: ComityError): void {
    if (error instanceof RoomLeftError) this.#stop()
    else this.#fail(error, false)
    this.#serve()
  }

  #fail(reason: unknown, isAtOnce: boolean): void {
    if (this.#isOver) return
    this.#failure = { reason }
    if (isAtOnce) this.#waiting = []
    this.#stop()
    this.#serve()
  }

  #stop(): void {
    if (this.#isOver) return
    this.#isOver = true
    for (const stop of this.#stops) stop()
  }

  #told({ changes, resync, until }: ChangesRecord): void {
    if (this.#isOver) return
    this.#position = until
    if (resync) this.#waiting.push(() => resyncOf(until, changes.length === 0))
    for (const change of changes) this.#waiting.push(() => changeOf<T>(change, resync))
    if (this.#waiting.length === 0) this.#watch.taken()
    this.#serve()
  }

  #serve(): void {
    while (this.#takers.length > 0) {
      const next = this.#waiting.shift()
      if (!next && !this.#isOver) return
      const taker = this.#takers.shift()
      if (!next) {
        this.#finish(taker)
        continue
      }
      // The next message is on its way while this change is dealt with.
      if (this.#waiting.length === 0 && !this.#isOver) this.#watch.taken()
      try {
        taker?.resolve({ done: false, value: next() })
      } catch (error) {
        taker?.reject(error)
      }
    }
  }

  #finish(taker: Taker<T> | undefined): void {
    const failure = this.#failure
    this.#failure = null
    if (failure) taker?.reject(failure.reason)
    else taker?.resolve({ done: true, value: undefined })
  }
}

function resyncOf(until: WatchPosition, last: boolean): ResyncChange {
  const position = last ? until : { revision: 0, place: 0 }
  const nothing = { key: undefined, value: undefined, previous: undefined }
  return { type: 'resync', ...nothing, revision: until.revision, position, last, resync: true }
}

function changeOf<T>(record: ChangeRecord, resync: boolean): Change<T> {
  const { key, revision, now, previous, position, last } = record
  const told = {
    ...{ key, revision, position, last },
    previous: previous ? { value: decodeValue(previous.value) as T, revision: previous.revision } : undefined,
    ...(resync && { resync: true as const }),
  }
  if (!now) return { type: 'delete', value: undefined, ...told }
  return { type: 'set', value: decodeValue(now.value) as T, ephemeral: now.ephemeral, ...told }
}

export function checkFrom(from: unknown): WatchPosition | null {
  if (from === undefined) return null
  if (typeof from === 'number') return { revision: checkRevision(from, 'options.from'), place: 0 }
  if (typeof from !== 'object' || from === null) {
    throw new TypeError(`options.from: expected a revision or a position, got ${typeOf(from)}`)
  }
  const { revision, place } = from as { readonly revision?: unknown; readonly place?: unknown }
  return {
    revision: checkRevision(revision, 'options.from.revision'),
    place: checkRevision(place, 'options.from.place'),
  }
}
