/** Waiting for locks and holding them, as entries of the browser's performance timeline: its performance panel shows them. */
import type { LockTimeline, MeasuredLock } from './lock-metrics.js'

/** The part of `performance` that this needs; older browsers lack some of it. */
export interface UserTiming {
  measure?(name: string, options: { start: number; end: number; detail: unknown }): unknown
  clearMeasures?(name: string): void
}

/** Entries of one kind that stay in the timeline. */
const entriesMax = 1_000

/**
 * `comity:lock-wait` and `comity:lock-hold`, each with `detail: { name, mode, token }`. The platform keeps entries until they are cleared, so
 * that a page with a million locks would keep a million: after a thousand of a kind they are cleared. Observers and the performance
 * panel have seen them by then.
 */
export class PerformanceTimeline implements LockTimeline {
  readonly #timing: UserTiming
  readonly #entries = new Map<string, number>()
  #isSupported: boolean

  constructor(timing: UserTiming | undefined) {
    this.#timing = timing ?? {}
    this.#isSupported = typeof this.#timing.measure === 'function' && typeof this.#timing.clearMeasures === 'function'
  }

  waited(lock: MeasuredLock, from: number, to: number): void {
    this.#measure('comity:lock-wait', lock, from, to)
  }

  held(lock: MeasuredLock, from: number, to: number): void {
    this.#measure('comity:lock-hold', lock, from, to)
  }

  #measure(kind: string, { name, mode, token }: MeasuredLock, start: number, end: number): void {
    if (!this.#isSupported) return
    try {
      const entries = this.#entries.get(kind) ?? 0
      if (entries >= entriesMax) this.#timing.clearMeasures?.(kind)
      this.#entries.set(kind, entries >= entriesMax ? 1 : entries + 1)
      this.#timing.measure?.(kind, { start, end, detail: { name, mode, token } })
    } catch {
      // Before User Timing Level 3 there are no options: a lock must not fail of that.
      this.#isSupported = false
    }
  }
}

/** One for all rooms of the page, since they share its timeline. */
export const pageTimeline = new PerformanceTimeline(globalThis.performance as UserTiming | undefined)
