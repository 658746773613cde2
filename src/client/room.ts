/// <reference lib="esnext.disposable" preserve="true" />
import type { HostMetrics, MemberRecord, Reset } from '../host/page.js'
import type { Limits, RoomSettings, Timing } from '../machine/command.js'
import { defaultTiming } from '../machine/settings.js'
import type { Failure } from '../shared/failure.js'
import { decodeValue, type Value } from '../shared/value.js'
import type { RoomConnection } from './connection.js'
import { type Counter, RoomCounters } from './counter.js'
import { type ComityError, errorOf, RoomLeftError } from './errors.js'
import type { LockMetrics } from './lock-metrics.js'
import { type LockManager, RoomLocks } from './locks.js'
import { type Observable, ObservableValue } from './observable.js'
import { RoomSemaphores, type Semaphore, type SemaphoreOptions } from './semaphore.js'
import { RoomStore, type Store } from './store.js'

/**
 * `joining`: the room is looked for. `ready`: this peer has its session, and a quorum stands. `no-quorum`: for more than a moment no majority
 * of the voters has been in reach; nothing is agreed until one is. `suspended`: the page is in the back/forward cache. `failed`:
 * this peer has stopped for good, `error` says why. `left`: this handle has been left.
 */
export type RoomStatus = 'joining' | 'ready' | 'no-quorum' | 'suspended' | 'failed' | 'left'

/** A peer of the room's configuration. */
export interface Member<P extends Value = Value> {
  readonly peerId: string
  /** This very peer. */
  readonly self: boolean
  /** Tabs of one browser have the same. */
  readonly browserId: string
  /** A learner has the log and does not vote. Who votes changes by itself. */
  readonly role: 'voter' | 'learner'
  /** This peer has a link to it (and to itself). */
  readonly connected: boolean
  /** What that link is made of; null for this peer itself and while there is none. */
  readonly link: 'broadcast' | 'webrtc' | 'webrtc-relayed' | 'peer-relay' | 'memory' | null
  /** Smoothed round trip in ms, null until measured. */
  readonly rtt: number | null
  /** What it declared when it joined, undefined while it has no session. */
  readonly state: P | undefined
}

/** What is in effect: taken from the room's founder. */
export interface Settings {
  readonly durability: 'strict' | 'relaxed'
  readonly partition: 'pause' | 'continue'
  readonly timing: Timing
  readonly limits: Limits
  /** Where this peer keeps its log. */
  readonly storage: 'indexeddb' | 'memory'
}

/** Numbers of this peer, for display and diagnosis: counts since its page was opened, indexes of its log, times in ms. */
export type Metrics = HostMetrics & {
  /** How long this page's locks waited and were held, and what became of them. */
  readonly locks: LockMetrics
  /** The same of its permits, by the name of the semaphore: they are neither stolen nor asked back. */
  readonly semaphores: LockMetrics
}

export interface RoomEventMap {
  /** `missing`: the voters that this peer does not reach, while there is no quorum. Told again when more is known of them. */
  statuschange: CustomEvent<{ readonly status: RoomStatus; readonly missing: readonly string[] }>
  /** Also for another term of the same leader. */
  leaderchange: CustomEvent<{ readonly leader: string | null; readonly term: number }>
  memberschange: CustomEvent<readonly Member[]>
  /** This page's peer goes by another id: after a merge, or when it took over a dead tab's. */
  identitychange: CustomEvent<{ readonly peerId: string }>
  /** This peer's room began a new history, or was merged into another room. */
  reset: CustomEvent<RoomReset>
  /**
   * Something failed that no call stands for. Unless `status` is `failed` the room goes on: a peer was refused (`RoomAuthError`,
   * `IncompatiblePeerError`), or no signaling server answers (`SignalingError`).
   */
  error: CustomEvent<ComityError>
}

/** Why the room is not what it was for this peer, and what it had that is gone. */
export interface RoomReset {
  /**
   * `forked`: those who were left went on without the quorum (`recover()`): this peer keeps its locks and its store. `merged`: another history of
   * this room goes on, and what was agreed here is over. Of that a second `merged` may come, when that one ends before this peer has got there:
   * what it would have found again in the one is not in the other.
   */
  readonly cause: 'forked' | 'merged'
  readonly lost: {
    /** Names of the locks that this page held. Their handles are `lost` with the reason `reset`. */
    readonly locks: readonly string[]
    /**
     * What was stored here and has no place in the history that goes on. Where it cannot be told how much the two have in common, as when they
     * parted before what is left of the log, all that was stored here: some of it may be there too.
     */
    readonly store: readonly { readonly key: string; readonly value: Value; readonly revision: number }[]
    /** What was deleted here and may be there in the history that goes on. Of the last 256 keys, and none from before the log's last snapshot. */
    readonly deleted: readonly { readonly key: string; readonly revision: number }[]
    /**
     * Counters that were changed here since the histories parted, and what they had come to; where that cannot be told, all of them. In the
     * history that goes on they may be at other values.
     */
    readonly counters: readonly { readonly name: string; readonly value: number }[]
    /** False: more may have been deleted here than `deleted` says. */
    readonly complete: boolean
  }
}

/** One handle on a room. Several handles of one page share one peer; what one acquired is given back when it leaves. */
export interface Room<P extends Value = Value> extends EventTarget, AsyncDisposable {
  readonly name: string
  /** The identity of this peer: of a browser's, not of a person; a tab may inherit one. */
  readonly peerId: string
  readonly status: RoomStatus
  /** The voters that this peer does not reach, while `status` is `no-quorum`; else empty. */
  readonly missing: readonly string[]
  /** Resolves when the room is first ready; rejects when it fails or is left before. */
  readonly ready: Promise<void>
  /** Why the room has failed, else null. */
  readonly error: ComityError | null
  /** Effective timing, limits, durability; the defaults until the room is known. */
  readonly settings: Settings
  /** The peer that leads the room's log, for display. */
  readonly leader: string | null
  /** Voters and learners, this peer included. */
  readonly members: Observable<readonly Member<P>[]>
  readonly locks: LockManager
  readonly store: Store
  /** The semaphore of that name, there as soon as somebody uses it. Throws on bad arguments; asks nothing. */
  semaphore(name: string, options: SemaphoreOptions): Semaphore
  /** The counter of that name, at 0 until somebody changes it. Throws on bad arguments; asks nothing. */
  counter(name: string): Counter
  /** Asks the worker; nothing is sent. Rejects with `RoomLeftError`, or with the room's `error`, when this peer is gone. */
  metrics(): Promise<Metrics>
  /**
   * For a room whose quorum will not come back: forms a new one from the peers that are left. Whoever of them has the longest log leads, so that
   * nothing is lost that any of them knows to be agreed; what only the missing ones know may be. Each of them hears `reset`. Fencing
   * tokens go on rising. Should the missing come back, one of the two histories ends by rule, and tells its peers what they lose.
   *
   * A peer that has found nobody of its room for 10 s may call it too: if nobody in reach has anything of it, the room is founded anew.
   *
   * Resolves when the new quorum stands. Rejects with `TypeError` unless the loss is accepted; with code `conflict` while this peer,
   * or one that it reaches, has a quorum, or while it still looks for its room; with `NoQuorumError` when none has come within 10 s.
   */
  recover(options: { acceptDataLoss: true }): Promise<void>
  /** Gives back what was acquired through this handle; the peer leaves `linger` ms after the last handle. Idempotent. */
  leave(): Promise<void>
  addEventListener<K extends keyof RoomEventMap>(
    type: K,
    listener: (event: RoomEventMap[K]) => void,
    options?: boolean | AddEventListenerOptions,
  ): void
  addEventListener(
    type: string,
    listener: EventListenerOrEventListenerObject | null,
    options?: boolean | AddEventListenerOptions,
  ): void
}

/** What all handles of a page share: the peer behind them. */
export interface SharedRoom {
  readonly name: string
  readonly peerId: string
  readonly storage: 'indexeddb' | 'memory'
  /** Put aside with its page, until it comes back. */
  readonly suspended: boolean
  readonly connection: RoomConnection
  readonly settings: RoomSettings
  readonly members: readonly MemberRecord[]
  onpeerchange(listener: () => void): () => void
  /** Something that the room can go on without could not be had: signaling, or WebRTC. */
  onfailure(listener: (failure: Failure) => void): () => void
  /** A handle is gone; resolves when it has no effect any more. */
  release(handle: RoomHandle<Value>): Promise<void>
}

export class RoomHandle<P extends Value> extends EventTarget implements Room<P> {
  readonly #shared: SharedRoom
  readonly #members: ObservableValue<readonly Member<P>[]>
  readonly #locks: RoomLocks
  readonly #store: RoomStore
  readonly #semaphores: RoomSemaphores
  readonly #counters: RoomCounters
  readonly #stop: (() => void)[] = []
  readonly ready: Promise<void>
  #settleReady: { resolve(): void; reject(error: ComityError): void } = { resolve() {}, reject() {} }
  #left: Promise<void> | null = null
  #shown: { status: RoomStatus; missing: readonly string[]; leader: string | null; term: number; peerId: string }

  constructor(shared: SharedRoom, whenNoQuorum: 'wait' | 'reject') {
    super()
    this.#shared = shared
    this.#members = new ObservableValue(this.#list(shared.members))
    const defaults = { whenNoQuorum, timing: () => shared.settings.timing ?? defaultTiming }
    this.#locks = new RoomLocks(shared.connection, defaults)
    this.#semaphores = new RoomSemaphores(shared.connection, defaults)
    this.#counters = new RoomCounters(shared.connection, whenNoQuorum)
    this.#store = new RoomStore(shared.connection, whenNoQuorum)
    this.ready = new Promise((resolve, reject) => {
      this.#settleReady = { resolve, reject }
    })
    // Nobody has to look at it: a failure is told by `status` and `error` too.
    this.ready.catch(() => {})
    this.#shown = { status: 'joining', missing: [], leader: null, term: 0, peerId: shared.peerId }
    this.#stop.push(
      shared.connection.listen({
        status: () => this.#show(),
        members: (members) => this.#showMembers(members),
        reset: (reset) => this.#tellReset(reset),
        refused: (_peerId, failure) => this.dispatchEvent(new CustomEvent('error', { detail: errorOf(failure) })),
        failed: (failure) => {
          const error = errorOf(failure)
          queueMicrotask(() => {
            this.#show()
            this.dispatchEvent(new CustomEvent('error', { detail: error }))
          })
        },
      }),
      shared.onpeerchange(() => this.#show()),
      shared.onfailure((failure) => this.dispatchEvent(new CustomEvent('error', { detail: errorOf(failure) }))),
    )
    if (typeof Symbol.asyncDispose === 'symbol') {
      Object.defineProperty(this, Symbol.asyncDispose, { value: () => this.leave() })
    }
    this.#show()
  }

  declare [Symbol.asyncDispose]: () => Promise<void>

  get name(): string {
    return this.#shared.name
  }

  get peerId(): string {
    return this.#shared.peerId
  }

  get status(): RoomStatus {
    if (this.#left) return 'left'
    const { ended, status } = this.#shared.connection
    if (ended) return ended.code === 'room-left' ? 'left' : 'failed'
    if (this.#shared.suspended) return 'suspended'
    return status?.phase ?? 'joining'
  }

  get missing(): readonly string[] {
    return this.status === 'no-quorum' ? (this.#shared.connection.status?.missing ?? []) : []
  }

  get error(): ComityError | null {
    const { ended } = this.#shared.connection
    return ended && ended.code !== 'room-left' ? ended : null
  }

  get settings(): Settings {
    const { durability, partition, timing, limits } = this.#shared.settings
    return { durability, partition, timing, limits, storage: this.#shared.storage }
  }

  get leader(): string | null {
    return this.#shared.connection.status?.raftLeader ?? null
  }

  get members(): Observable<readonly Member<P>[]> {
    return this.#members
  }

  get locks(): LockManager {
    return this.#locks
  }

  get store(): Store {
    return this.#store
  }

  semaphore(name: string, options: SemaphoreOptions): Semaphore {
    return this.#semaphores.get(name, options)
  }

  counter(name: string): Counter {
    return this.#counters.get(name)
  }

  async metrics(): Promise<Metrics> {
    const { connection } = this.#shared
    const metrics = await connection.call({ type: 'metrics' })
    return { ...metrics, locks: connection.meter.snapshot(), semaphores: connection.permitMeter.snapshot() }
  }

  leave(): Promise<void> {
    this.#left ??= this.#leave()
    return this.#left
  }

  async recover(options: { acceptDataLoss: true }): Promise<void> {
    if ((options as { acceptDataLoss?: unknown } | undefined)?.acceptDataLoss !== true) {
      throw new TypeError('options.acceptDataLoss: expected true, since what only the missing peers know may be lost')
    }
    await this.#shared.connection.call({ type: 'recover' })
  }

  async #leave(): Promise<void> {
    this.#locks.leave()
    this.#store.leave()
    this.#semaphores.leave()
    this.#counters.leave()
    // The status is 'left' from this very call on.
    await Promise.resolve()
    this.#show()
    this.#members.end()
    for (const stop of this.#stop) stop()
    this.#settleReady.reject(new RoomLeftError())
    await this.#shared.release(this as unknown as RoomHandle<Value>)
  }

  #show(): void {
    const { connection, peerId } = this.#shared
    const { status, missing, leader } = this
    const term = connection.status?.term ?? 0
    const before = this.#shown
    this.#shown = { status, missing, leader, term, peerId }
    if (status === 'ready') this.#settleReady.resolve()
    if (status === 'failed' && connection.ended) this.#settleReady.reject(connection.ended)
    if (peerId !== before.peerId) this.dispatchEvent(new CustomEvent('identitychange', { detail: { peerId } }))
    // Who is missing is known later than that somebody is: links outlive their other ends for a while.
    if (status !== before.status || missing.join() !== before.missing.join()) {
      this.dispatchEvent(new CustomEvent('statuschange', { detail: { status, missing } }))
    }
    if (leader !== before.leader || (leader !== null && term !== before.term)) {
      this.dispatchEvent(new CustomEvent('leaderchange', { detail: { leader, term } }))
    }
  }

  #tellReset({ cause, store, locks, deleted, complete, ...more }: Reset & { readonly locks: readonly string[] }): void {
    const lost = store.map(({ key, value, revision }) => ({ key, value: decodeValue(value), revision }))
    const counters = more.counters.map(({ key, value }) => ({ name: key, value }))
    const detail: RoomReset = { cause, lost: { locks, store: lost, deleted, counters, complete } }
    queueMicrotask(() => this.dispatchEvent(new CustomEvent('reset', { detail })))
  }

  #showMembers(records: readonly MemberRecord[]): void {
    this.#members.set(this.#list(records))
    this.dispatchEvent(new CustomEvent('memberschange', { detail: this.#members.current }))
  }

  #list(records: readonly MemberRecord[]): readonly Member<P>[] {
    return records.map(({ state, ...record }) => ({
      ...record,
      self: record.peerId === this.#shared.peerId,
      state: state ? (decodeValue(state) as P) : undefined,
    }))
  }
}
