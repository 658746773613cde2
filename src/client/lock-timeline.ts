/** Waiting for locks and permits and holding them, as entries of the browser's performance timeline: its performance panel shows them. */
import type { MeasuredLock, MeasuredPermit, Timeline, Timelines } from './lock-metrics.js'

/** The part of `performance` that this needs; older browsers lack some of it. */
export interface UserTiming {
  measure?(name: string, options: { start: number; end: number; detail: unknown }): unknown
  clearMeasures?(name: string): void
}

/** Entries of one kind that stay in the timeline. */
const entriesMax = 1_000

/**
 * `comity:<kind>-wait` and `comity:<kind>-hold`. The platform keeps entries until they are cleared, so that a page with a million locks would
 * keep a million: after a thousand of a name they are cleared. Observers and the performance panel have seen them by then.
 */
class PerformanceTimeline<T> implements Timeline<T> {
  readonly #timing: UserTiming
  readonly #kind: string
  readonly #detailOf: (what: T) => unknown
  readonly #entries = new Map<string, number>()
  #isSupported: boolean

  /** `detailOf`: what the platform is to copy. */
  constructor(timing: UserTiming | undefined, kind: string, detailOf: (what: T) => unknown) {
    this.#timing = timing ?? {}
    this.#kind = kind
    this.#detailOf = detailOf
    this.#isSupported = typeof this.#timing.measure === 'function' && typeof this.#timing.clearMeasures === 'function'
  }

  waited(what: T, from: number, to: number): void {
    this.#measure(`comity:${this.#kind}-wait`, what, from, to)
  }

  held(what: T, from: number, to: number): void {
    this.#measure(`comity:${this.#kind}-hold`, what, from, to)
  }

  #measure(name: string, what: T, start: number, end: number): void {
    if (!this.#isSupported) return
    try {
      const entries = this.#entries.get(name) ?? 0
      if (entries >= entriesMax) this.#timing.clearMeasures?.(name)
      this.#entries.set(name, entries >= entriesMax ? 1 : entries + 1)
      this.#timing.measure?.(name, { start, end, detail: this.#detailOf(what) })
    } catch {
      // Before User Timing Level 3 there are no options: a lock must not fail of that.
      this.#isSupported = false
    }
  }
}

/** `comity:lock-wait` and `comity:lock-hold`, each with `detail: { name, mode, token }`. */
export function lockTimeline(timing: UserTiming | undefined): Timeline<MeasuredLock> {
  return new PerformanceTimeline(timing, 'lock', ({ name, mode, token }) => ({ name, mode, token }))
}

/** `comity:semaphore-wait` and `comity:semaphore-hold`, each with `detail: { name, count, id }`. */
export function permitTimeline(timing: UserTiming | undefined): Timeline<MeasuredPermit> {
  return new PerformanceTimeline(timing, 'semaphore', ({ name, count, id }) => ({ name, count, id }))
}

const timing = globalThis.performance as UserTiming | undefined
/** Those of all rooms of the page, since they share its timeline. */
export const pageTimelines: Timelines = { locks: lockTimeline(timing), permits: permitTimeline(timing) }
