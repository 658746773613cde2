/** Writes a text that changes faster than it can be written: one write at a time, the latest text wins, none is lost. */

export type WriterState = 'saved' | 'saving' | 'retrying'

export interface WriterOptions {
  /** What is written already. */
  readonly initial: string
  readonly write: (text: string) => Promise<unknown>
  /** Whether a write that failed so may be tried again. */
  readonly mayRetry: (error: unknown) => boolean
  readonly onState: (state: WriterState) => void
  /** A write failed for good; nothing is written after it. */
  readonly onFailure: (error: unknown) => void
}

/** Typing is gathered for this long, ms: a peer that watches still sees it as it is typed. */
const gatherFor = 80
const retryAfter = 500

export class LatestWriter {
  readonly #options: WriterOptions
  #latest: string
  #written: string
  #running: Promise<void> | null = null
  #stopped = false

  constructor(options: WriterOptions) {
    this.#options = options
    this.#latest = options.initial
    this.#written = options.initial
  }

  /** What has not been confirmed, null if everything has. */
  get unsaved(): string | null {
    return this.#latest === this.#written ? null : this.#latest
  }

  set(text: string): void {
    this.#latest = text
    if (this.#stopped || this.#running || this.unsaved === null) return
    this.#running = this.#run(gatherFor).finally(() => {
      this.#running = null
    })
  }

  /** Resolves when nothing is unsaved any more, or nothing will be written any more. */
  async flush(): Promise<void> {
    while (this.#running) await this.#running
  }

  stop(): void {
    this.#stopped = true
  }

  async #run(gather: number): Promise<void> {
    this.#options.onState('saving')
    await pause(gather)
    while (!this.#stopped && this.unsaved !== null) await this.#writeOnce(this.#latest)
    if (!this.#stopped) this.#options.onState('saved')
  }

  async #writeOnce(text: string): Promise<void> {
    const { write, mayRetry, onState, onFailure } = this.#options
    try {
      await write(text)
      this.#written = text
    } catch (error) {
      if (this.#stopped) return
      if (mayRetry(error)) {
        onState('retrying')
        await pause(retryAfter)
      } else {
        this.#stopped = true
        onFailure(error)
      }
    }
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}
