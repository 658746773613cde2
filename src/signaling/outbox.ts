/**
 * Frames on their way to one server, in order. Whoever greets a whole room at once would overdraw the server's rate and
 * be cut off; here the excess waits instead.
 */
import { TokenBucket } from './bucket.js'

/** A little below the server's defaults, for what the network bunches together. */
export const outboxPerSecond = 25
export const outboxBurst = 100
/** What may wait; beyond, a frame is not taken. */
export const outboxFramesMax = 1_024

export class Outbox {
  readonly #platform: { now(): number; setTimer(run: () => void, ms: number): () => void; send(frame: string): void }
  readonly #frames: string[] = []
  #bucket: TokenBucket
  /** Set exactly while frames wait. */
  #cancelTimer: (() => void) | null = null

  constructor(platform: {
    now(): number
    setTimer(run: () => void, ms: number): () => void
    send(frame: string): void
  }) {
    this.#platform = platform
    this.#bucket = this.#fullBucket()
  }

  push(frame: string): boolean {
    if (this.#frames.length >= outboxFramesMax) return false
    this.#frames.push(frame)
    if (this.#cancelTimer === null) this.#drain()
    return true
  }

  /** For a new connection: nothing waits, and the server has counted nothing yet. */
  reset(): void {
    this.#cancelTimer?.()
    this.#cancelTimer = null
    this.#frames.length = 0
    this.#bucket = this.#fullBucket()
  }

  #drain(): void {
    this.#cancelTimer = null
    while (this.#frames.length > 0) {
      const now = this.#platform.now()
      if (!this.#bucket.take(now)) {
        this.#cancelTimer = this.#platform.setTimer(() => this.#drain(), this.#bucket.waitMs(now))
        return
      }
      const frame = this.#frames.shift()
      if (frame !== undefined) this.#platform.send(frame)
    }
  }

  #fullBucket(): TokenBucket {
    return new TokenBucket({ perSecond: outboxPerSecond, burst: outboxBurst, now: this.#platform.now() })
  }
}
