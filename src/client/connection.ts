/**
 * The page's side of its peer: calls that wait, watches, and what is certain of the session. It knows nothing of workers or
 * of the DOM; the simulator runs it as it is. Hosts may come and go under it (after the back/forward cache): then what was
 * held is lost, and what waited asks again.
 */
import type { HostPort } from '../bridge/protocol.js'
import type {
  Answers,
  Call,
  CallType,
  HostEvent,
  HostStatus,
  LockGrant,
  LockLoss,
  MemberRecord,
  Notice,
  PageCondition,
  Reply,
  Reset,
  Successor,
  WatchId,
} from '../host/page.js'
import type { RoomSettings, SessionId } from '../machine/command.js'
import type { Failure } from '../shared/failure.js'
import { type Clock, elapsedAtMost, type Instant } from '../shared/instant.js'
import { type ComityError, errorOf, RoomLeftError } from './errors.js'
import { LockMeter, type MeasuredPermit, type Timelines } from './lock-metrics.js'

/** S-4: what a holder gives away of its lease, so that it surely lets go before the cluster takes. */
export function leaseMargin(lease: number): number {
  return lease * driftRate + clockGrain
}

/** Wall time that the monotonic clock did not see, from which on the machine is taken to have slept, ms: above what setting the time moves it. */
const sleepLeast = 1_000

/** S-7, C2: how much faster than this page's clocks the cluster's may run, and what besides hides in them, ms. */
const clusterRate = 1.01
const driftRate = 0.02
const clockGrain = 20

type Watched = Extract<HostEvent, { type: 'watched' }>['value']
type What = Extract<Notice, { type: 'watch' }>['what']

interface Watch {
  readonly what: () => What
  readonly tell: (value: Watched) => void
  readonly restarted: () => void
  /** Something of it was shown. */
  isTold: boolean
}

/** What an earlier host has shown is not to be taken back by one that does not know of it yet. */
function currently(what: What): What {
  return what.type === 'lock' || what.type === 'store' ? { ...what, current: true } : what
}

/** What a request for a lock, or for permits, hears of itself. */
export interface GrantListener {
  granted(grant: LockGrant): void
  /** It would not wait, and the lock was taken. */
  unavailable(): void
  /** `name`: only this one of several; else all of it, and nothing more is told. */
  lost(reason: LockLoss | 'left' | 'reset', name?: string): void
  /** Somebody asked for it back: it ends at that cluster time, null while that is not agreed. */
  revoked?(name: string, endsAt: number | null): void
  /** Whether it is certain at this moment that it holds the lock of that name (S-4, S-7). */
  has?(name: string): boolean
  /** It waited, and waits no more: the room has no place for it. */
  refused(error: ComityError): void
  /** The host went away under it: a request that waits is to be made anew. */
  restarted(): void
}

export interface ConnectionListener {
  status?(status: HostStatus): void
  members?(members: readonly MemberRecord[]): void
  settings?(settings: RoomSettings): void
  failed?(failure: Failure): void
  /** Nothing will be answered any more. */
  ended?(error: ComityError): void
  refused?(peerId: string, failure: Failure): void
  /** `successor`: the host has stopped, and another one is to come. */
  reset?(reset: Reset & { readonly locks: readonly string[] }, successor: Successor | null): void
  testament?(event: Extract<HostEvent, { type: 'testament' }>): void
  signal?(from: string, text: string): void
}

interface Waiting {
  readonly reject: (error: ComityError) => void
}

export class RoomConnection {
  readonly #clock: Clock
  readonly #listeners = new Set<ConnectionListener>()
  readonly #grants = new Map<number, GrantListener>()
  readonly #watches = new Map<WatchId, Watch>()
  readonly #waiting = new Set<Waiting>()
  /** Grants that came before their session was certain wait for this. */
  #certainty: { readonly lease: number; readonly run: () => void }[] = []
  #port: HostPort | null = null
  /** Calls that came while there was no host. */
  #attached: (() => void)[] = []
  #status: HostStatus | null = null
  #lastHandle = 0
  #lastWatch = 0
  #heard: { readonly session: SessionId; readonly sentAt: Instant; readonly clusterTime: number } | null = null
  /** When the page was last heard, certain or not: what happened to its clocks since tells why a lease ran out. */
  #lastHeard: Instant | null = null
  #condition: PageCondition | null = null
  /** Nothing that this page said before this time of its clock counts any more: it was frozen since. */
  #believedFrom = Number.NEGATIVE_INFINITY
  #ended: ComityError | null = null
  /** It was frozen, and has not been heard since. */
  #frozen = false

  /** What the locks of this page have met with. */
  readonly meter: LockMeter
  /** What its permits have. */
  readonly permitMeter: LockMeter<MeasuredPermit>

  /** `timelines`: where the platform shows how long waiting and holding took, if anywhere. */
  constructor(clock: Clock, timelines: Timelines | null = null) {
    this.#clock = clock
    const now = () => clock.now().monotonic
    this.meter = new LockMeter(now, timelines?.locks ?? null)
    this.permitMeter = new LockMeter(now, timelines?.permits ?? null)
  }

  /** Why nothing can be asked any more, null while it can. */
  get ended(): ComityError | null {
    return this.#ended
  }

  /** Whether there is a host to ask. */
  get attached(): boolean {
    return this.#port !== null
  }

  get status(): HostStatus | null {
    return this.#status
  }

  get clock(): Clock {
    return this.#clock
  }

  listen(listener: ConnectionListener): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  /** A host is there: what is watched is watched again, what waits is asked again. */
  attach(port: HostPort): void {
    this.#port = port
    port.onevent = (event) => {
      if (this.#port === port) this.#handle(event)
    }
    if (this.#condition) port.notice({ type: 'condition', condition: this.#condition })
    for (const [id, watch] of this.#watches) {
      watch.restarted()
      port.notice({ type: 'watch', id, what: watch.isTold ? currently(watch.what()) : watch.what() })
    }
    const attached = this.#attached
    this.#attached = []
    for (const go of attached) go()
    for (const listener of [...this.#grants.values()]) listener.restarted()
  }

  /** The host is gone but another will come: locks are lost now, and writes on their way are uncertain. */
  detach(reason: 'left' | 'reset' = 'left'): void {
    this.#port = null
    this.#heard = null
    this.#status = null
    this.letGo(reason)
    const why = reason === 'reset' ? 'the room went on in another history' : 'the page was put aside'
    this.#rejectWaiting({ code: 'outcome-unknown', message: `${why} before the answer came` })
  }

  /** Whatever is held is lost from this moment on: others may be told that it is free (M1). */
  letGo(reason: 'left' | 'reset' = 'left'): void {
    for (const [handle, listener] of [...this.#grants]) if (this.#held.has(handle)) this.#lose(handle, listener, reason)
  }

  /** Nothing will be answered any more. */
  end(error: ComityError): void {
    if (this.#ended) return
    this.#ended = error
    this.#port?.close()
    this.#port = null
    this.#heard = null
    for (const [handle, listener] of [...this.#grants]) this.#lose(handle, listener, 'left')
    for (const { reject } of [...this.#waiting]) reject(error)
    this.#waiting.clear()
    this.#certainty = []
    for (const go of this.#attached) go()
    this.#attached = []
    for (const listener of [...this.#listeners]) listener.ended?.(error)
  }

  /** Rejects with a `ComityError`. While there is no host, it waits for the next one. */
  async call<T extends CallType>(call: Extract<Call, { type: T }>): Promise<Answers[T]> {
    while (!this.#port && !this.#ended) await new Promise<void>((resolve) => this.#attached.push(resolve))
    const port = this.#port
    if (!port) throw this.#ended ?? new RoomLeftError()
    return new Promise((resolve, reject) => {
      const waiting: Waiting = { reject }
      this.#waiting.add(waiting)
      const settle = (reply: Reply<Answers[T]>) => {
        if (!this.#waiting.delete(waiting)) return
        if (reply.ok) resolve(reply.value)
        else reject(errorOf(reply.failure))
      }
      port.call<T>(call).then(settle, (error: unknown) => settle({ ok: false, failure: broken(error) }))
    })
  }

  /** For a lock request: its handle, and who hears of it until `forget`. */
  expectGrant(listener: GrantListener): number {
    this.#lastHandle += 1
    this.#grants.set(this.#lastHandle, listener)
    return this.#lastHandle
  }

  /** By handle, the names of the locks that are held; none for what is held and no lock. */
  readonly #held = new Map<number, readonly string[]>()

  /** The request holds what it asked for now: it is lost, not asked for again, when the host goes. `names`: of locks. */
  holds(handle: number, names: readonly string[]): void {
    this.#held.set(handle, names)
  }

  /** The request of that handle certainly holds the lock of that name now. */
  surelyHas(handle: number, name: string): boolean {
    return this.#grants.get(handle)?.has?.(name) ?? false
  }

  forget(handle: number): void {
    this.#grants.delete(handle)
    this.#held.delete(handle)
  }

  /** `restarted`: another host is there, and tells from the beginning. */
  watch(what: What, tell: (value: Watched) => void, restarted: () => void = () => {}): () => void {
    return this.watchFrom(() => what, tell, restarted).stop
  }

  /** The same, where each later host is to be asked for something else. `taken`: the host may tell more. */
  watchFrom(
    what: () => What,
    tell: (value: Watched) => void,
    restarted: () => void = () => {},
  ): { stop(): void; taken(): void } {
    this.#lastWatch += 1
    const id = this.#lastWatch
    const watch: Watch = {
      ...{ what, restarted, isTold: false },
      tell: (value) => {
        watch.isTold = true
        tell(value)
      },
    }
    this.#watches.set(id, watch)
    this.#port?.notice({ type: 'watch', id, what: what() })
    return {
      stop: () => {
        this.#watches.delete(id)
        this.#port?.notice({ type: 'unwatch', id })
      },
      taken: () => this.#port?.notice({ type: 'taken', id }),
    }
  }

  /**
   * How the page is from now on; the host of the moment hears of it, and each later one. S-4: with the page its worker stops, so from `frozen` on
   * nothing is certain, and nothing is again before a quorum has heard what this page says after it.
   */
  become(condition: PageCondition): void {
    const wasFrozen = this.#condition?.frozen === true
    this.#condition = condition
    if (condition.frozen || wasFrozen) {
      this.#heard = null
      this.#frozen = true
      this.#believedFrom = condition.frozen ? Number.POSITIVE_INFINITY : this.#clock.now().monotonic
    }
    this.#port?.notice({ type: 'condition', condition })
    if (wasFrozen && !condition.frozen) this.#sayAlive()
  }

  /** What another page said to this one in its last moment (M1). */
  pageFrame(peerId: string, frame: Uint8Array): void {
    this.#port?.notice({ type: 'frame', peerId, frame })
  }

  /** To the mesh of another page, by the peers that this one is linked with. Lost while there is no host. */
  sendSignal(to: string, text: string): void {
    this.#port?.notice({ type: 'signal', to, text })
  }

  /** Another page cannot be connected to, since it signals in another version. */
  foreign(peerId: string, version: number): void {
    this.#port?.notice({ type: 'foreign', peerId, version })
  }

  /**
   * S-4, C2: whether a lease counted from when this page was last heard still stands, by both of its clocks; and S-7: whether the cluster's
   * clock surely has not come to `endsAt`.
   */
  isCertain(lease: number, endsAt: number | null = null): boolean {
    if (!this.#heard) return false
    const unheard = elapsedAtMost(this.#heard.sentAt, this.#clock.now())
    if (unheard >= lease - leaseMargin(lease)) return false
    return endsAt === null || this.#clusterAtMost(this.#heard.clusterTime, unheard) < endsAt
  }

  /** The monotonic time at which that certainty ends unless renewed; 0 if there is none. */
  deadline(lease: number, endsAt: number | null = null): number {
    if (!this.#heard) return 0
    const { sentAt, clusterTime } = this.#heard
    const byLease = lease - leaseMargin(lease)
    if (endsAt === null) return sentAt.monotonic + byLease
    const byEnd = (endsAt - clusterTime - clockGrain) / (clusterRate + driftRate)
    return sentAt.monotonic + Math.min(byLease, Math.max(0, byEnd))
  }

  /** Until the cluster comes to that time, as far as this page can be sure of it (S-7), ms. */
  remaining(endsAt: number): number {
    if (!this.#heard) return 0
    const { sentAt, clusterTime } = this.#heard
    const now = this.#clusterAtMost(clusterTime, elapsedAtMost(sentAt, this.#clock.now()))
    return Math.max(0, Math.floor(endsAt - now))
  }

  /**
   * S-7. The margin is that of the lease, for the time that the page was not heard: both cover what clocks drift apart meanwhile, and no more,
   * so that a `maxHold` which is short beside the lease is certain for most of it.
   */
  #clusterAtMost(clusterTime: number, unheard: number): number {
    return clusterTime + unheard * clusterRate + leaseMargin(unheard)
  }

  /** Why a lease ran out: the page, or the machine under it, stood still since it was last heard; or nobody heard it. */
  get silence(): 'frozen' | 'expired' {
    if (this.#frozen) return 'frozen'
    if (!this.#lastHeard) return 'expired'
    const now = this.#clock.now()
    // Sleep stops `performance.now()` on most platforms, and `Date.now()` on none.
    const asleep = now.wall - this.#lastHeard.wall - (now.monotonic - this.#lastHeard.monotonic)
    return asleep > sleepLeast ? 'frozen' : 'expired'
  }

  /** Runs once such a lease is certain: now, or when an echo comes that makes it so (S-8). */
  whenCertain(lease: number, run: () => void): void {
    if (this.isCertain(lease)) run()
    else this.#certainty.push({ lease, run })
  }

  #handle(event: HostEvent): void {
    switch (event.type) {
      case 'ask':
        this.#sayAlive()
        break
      case 'heard':
        this.#hear(event)
        break
      case 'lock.granted':
        this.#grants.get(event.handle)?.granted(event)
        break
      case 'permit.granted':
        this.#grants.get(event.handle)?.granted({ ...event, endsAt: null })
        break
      case 'lock.unavailable':
        this.#grants.get(event.handle)?.unavailable()
        break
      case 'lock.refused':
      case 'permit.refused':
        this.#grants.get(event.handle)?.refused(errorOf(event.failure))
        break
      case 'lock.lost':
        this.#grants.get(event.handle)?.lost(event.reason, event.name)
        break
      case 'lock.revoked':
        this.#grants.get(event.handle)?.revoked?.(event.name, event.endsAt)
        break
      case 'permit.lost':
        this.#grants.get(event.handle)?.lost(event.reason)
        break
      case 'watched':
        this.#watches.get(event.id)?.tell(event.value)
        break
      case 'failed':
        this.#fail(event.failure)
        break
      case 'status':
        this.#status = event.status
        for (const listener of this.#listeners) listener.status?.(event.status)
        break
      case 'members':
        for (const listener of this.#listeners) listener.members?.(event.members)
        break
      case 'settings':
        for (const listener of this.#listeners) listener.settings?.(event.settings)
        break
      case 'testament':
        for (const listener of this.#listeners) listener.testament?.(event)
        // M2: whoever listens has taken it over by now, and nothing that it replaced can leave this page.
        if (event.confirm) this.#port?.notice({ type: 'testament', number: event.number })
        break
      case 'reset':
        this.#reset(event.reset, event.successor)
        break
      case 'signal':
        for (const listener of this.#listeners) listener.signal?.(event.from, event.text)
        break
      case 'refused':
        for (const listener of this.#listeners) listener.refused?.(event.peerId, event.failure)
        break
    }
  }

  #reset(reset: Reset, successor: Successor | null): void {
    // Before anybody lets go of them.
    const locks = successor ? [...new Set([...this.#held.values()].flat())] : []
    for (const listener of this.#listeners) listener.reset?.({ ...reset, locks }, successor)
  }

  #sayAlive(): void {
    this.#port?.notice({ type: 'alive', sentAt: this.#clock.now() })
  }

  /** Echoes may overtake each other on the way: only a later one counts. */
  #hear({ session, sentAt, clusterTime }: Extract<HostEvent, { type: 'heard' }>): void {
    if (sentAt.monotonic < this.#believedFrom) return
    const before = this.#heard
    if (before && before.session === session && before.sentAt.monotonic >= sentAt.monotonic) return
    this.#heard = { session, sentAt, clusterTime }
    this.#lastHeard = sentAt
    this.#frozen = false
    const waiting = this.#certainty
    this.#certainty = []
    // An echo may have been on its way for longer than a short lease lasts.
    for (const { lease, run } of waiting) this.whenCertain(lease, run)
  }

  #lose(handle: number, listener: GrantListener, reason: 'left' | 'reset'): void {
    this.forget(handle)
    listener.lost(reason)
  }

  #fail(failure: Failure): void {
    for (const listener of this.#listeners) listener.failed?.(failure)
    this.end(errorOf(failure))
  }

  #rejectWaiting(failure: Failure): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const { reject } of waiting) reject(errorOf(failure))
  }
}

function broken(error: unknown): Failure {
  const reason = error instanceof Error ? error.message : String(error)
  return { code: 'room-left', message: `the worker did not take the call: ${reason}` }
}

/** The error of a room that was left in an orderly way. */
export function leftError(): ComityError {
  return new RoomLeftError()
}
