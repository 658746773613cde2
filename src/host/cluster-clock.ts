import type { Instant } from '../shared/instant.js'

/**
 * Cluster time (C1): 0 at founding, and from the last entry on it grows by this host's monotonic time alone, so it is never
 * faster than real time whatever wall clocks say. Only a leader's is stamped into entries; another's is a lower bound.
 */
export class ClusterClock {
  #time: number
  #since: number

  /** After a restart nothing is known of the time since the last entry: it counts as none. */
  constructor(time: number, now: Instant) {
    this.#time = time
    this.#since = now.monotonic
  }

  /**
   * Another leader's entry was stored. A leader's own entries do not move its anchor: rounding each of them down would
   * slow its clock.
   */
  stored(time: number, now: Instant): void {
    this.#time = time
    this.#since = now.monotonic
  }

  at(now: Instant): number {
    return this.#time + Math.floor(Math.max(0, now.monotonic - this.#since))
  }
}
