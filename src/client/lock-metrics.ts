/** What the locks, and the permits, of one page have met with, by name: how long they waited and were held, and how they ended. */
import type { LockLossReason } from './errors.js'
import { type Histogram, HistogramBuilder } from './histogram.js'

/** Of one name, or of all together. Counts of this page since it was opened. */
export interface LockNumbers {
  /** From the request to the grant in hand, ms: of those that were granted. */
  readonly wait: Histogram
  /** From the grant in hand to its end, ms. */
  readonly hold: Histogram
  /** Requests and upgrades that found the lock taken, or too few permits, and waited or were told so. */
  readonly contentions: number
  /** Locks that ran out under this page: by their lease, in a freeze, by `maxHold`. */
  readonly expiries: number
  /** Locks that were stolen from this page. Of permits always 0, as `revocations`. */
  readonly steals: number
  /** Times that this page was asked for a lock back. */
  readonly revocations: number
  /** Requests and upgrades that were refused since they would have waited in a circle. */
  readonly deadlocks: number
  /** Requests and upgrades that were not granted within their `timeout`. */
  readonly timeouts: number
}

export interface LockMetrics {
  readonly total: LockNumbers
  /** The names used last, 256 at most. */
  readonly names: Readonly<Record<string, LockNumbers>>
}

export type LockCount = 'contentions' | 'expiries' | 'steals' | 'revocations' | 'deadlocks' | 'timeouts'

/** Where the platform shows times: `performance.measure` in a page, nothing in a simulation. Times by the page's monotonic clock. */
export interface Timeline<T> {
  waited(what: T, from: number, to: number): void
  held(what: T, from: number, to: number): void
}
export type LockTimeline = Timeline<MeasuredLock>
export interface Timelines {
  readonly locks: LockTimeline | null
  readonly permits: Timeline<MeasuredPermit> | null
}

export interface MeasuredLock {
  readonly name: string
  readonly mode: 'exclusive' | 'shared'
  readonly token: number
}

/** What one `acquire` of a semaphore has given. */
export interface MeasuredPermit {
  readonly name: string
  readonly count: number
  readonly id: number
}

/** Names that are kept apart: as many as a room has at once by default, so that names which come and go cost nothing for ever. */
const namesMax = 256

class Numbers {
  readonly wait = new HistogramBuilder()
  readonly hold = new HistogramBuilder()
  readonly counts: Record<LockCount, number> = {
    contentions: 0,
    expiries: 0,
    steals: 0,
    revocations: 0,
    deadlocks: 0,
    timeouts: 0,
  }

  snapshot(): LockNumbers {
    return { wait: this.wait.snapshot(), hold: this.hold.snapshot(), ...this.counts }
  }
}

export class LockMeter<T extends { readonly name: string } = MeasuredLock> {
  readonly #now: () => number
  readonly #timeline: Timeline<T> | null
  readonly #total = new Numbers()
  /** The one used last stands last. */
  readonly #names = new Map<string, Numbers>()

  constructor(now: () => number, timeline: Timeline<T> | null) {
    this.#now = now
    this.#timeline = timeline
  }

  /** The time by which waits and holds are counted, ms. */
  now(): number {
    return this.#now()
  }

  count(name: string, what: LockCount): void {
    for (const numbers of this.#both(name)) numbers.counts[what] += 1
  }

  granted(lock: T, askedAt: number): void {
    const now = this.#now()
    for (const { wait } of this.#both(lock.name)) wait.add(now - askedAt)
    this.#timeline?.waited(lock, askedAt, now)
  }

  /** `loss`: why it was lost, null for a release. */
  ended(lock: T, grantedAt: number, loss: LockLossReason | null): void {
    const now = this.#now()
    for (const { hold } of this.#both(lock.name)) hold.add(now - grantedAt)
    this.#timeline?.held(lock, grantedAt, now)
    if (loss === 'expired' || loss === 'frozen') this.count(lock.name, 'expiries')
    if (loss === 'stolen') this.count(lock.name, 'steals')
  }

  snapshot(): LockMetrics {
    // Whatever a lock is called, `__proto__` too, is a name like any other here.
    const names = Object.fromEntries([...this.#names].map(([name, numbers]) => [name, numbers.snapshot()]))
    return { total: this.#total.snapshot(), names }
  }

  #both(name: string): readonly [Numbers, Numbers] {
    const known = this.#names.get(name) ?? new Numbers()
    this.#names.delete(name)
    this.#names.set(name, known)
    if (this.#names.size > namesMax) {
      const [oldest] = this.#names.keys()
      if (oldest !== undefined) this.#names.delete(oldest)
    }
    return [this.#total, known]
  }
}
