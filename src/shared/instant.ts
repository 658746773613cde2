/** Both clocks of the platform, in ms. Neither is trusted alone: one may stop in sleep, the other may jump (C2). */
export interface Instant {
  /** `performance.now()` */
  readonly monotonic: number
  /** `Date.now()` */
  readonly wall: number
}

export interface Timer {
  cancel(): void
}

/** A source of time. Injected, so that the simulator owns it. */
export interface Clock {
  now(): Instant
  after(ms: number, run: () => void): Timer
}

/** What surely has passed: the smaller of both clocks, never below 0. For whoever may take something away (C2). */
export function elapsedAtLeast(since: Instant, now: Instant): number {
  return Math.max(0, Math.min(now.monotonic - since.monotonic, now.wall - since.wall))
}

/** `since` for whoever stood still between these two: what had surely passed at `stopped` is what has passed at `now` (C2, C3). */
export function postponed(since: Instant, stopped: Instant, now: Instant): Instant {
  const passed = elapsedAtLeast(since, stopped)
  return { monotonic: now.monotonic - passed, wall: now.wall - passed }
}

/** What may have passed: the larger of both clocks. For whoever may lose something (C2). */
export function elapsedAtMost(since: Instant, now: Instant): number {
  return Math.max(0, now.monotonic - since.monotonic, now.wall - since.wall)
}
