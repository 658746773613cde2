/**
 * A token bucket. The server refuses who overdraws it; the client keeps a slightly smaller one and waits, so that an
 * honest client that greets a whole room at once is slowed and never refused. Time comes from the caller.
 */
export class TokenBucket {
  readonly #perSecond: number
  readonly #burst: number
  /** Invariant: 0 <= #tokens <= #burst. */
  #tokens: number
  #at: number

  constructor(options: { perSecond: number; burst: number; now: number }) {
    this.#perSecond = options.perSecond
    this.#burst = options.burst
    this.#tokens = options.burst
    this.#at = options.now
  }

  take(now: number): boolean {
    this.#refill(now)
    if (this.#tokens < 1) return false
    this.#tokens -= 1
    return true
  }

  /** Ms until the next `take` succeeds. */
  waitMs(now: number): number {
    this.#refill(now)
    return this.#tokens >= 1 ? 0 : Math.ceil(((1 - this.#tokens) / this.#perSecond) * 1_000)
  }

  #refill(now: number): void {
    // A clock that went back gives nothing and takes nothing.
    const elapsed = Math.max(0, now - this.#at)
    this.#at = now
    this.#tokens = Math.min(this.#burst, this.#tokens + (elapsed / 1_000) * this.#perSecond)
  }
}
