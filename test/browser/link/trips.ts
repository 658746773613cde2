import type { FromWorker, Span } from './protocol.js'

/** When each probe was sent and answered. Told when the last one is answered. */
export class Trips {
  readonly #tell: (message: FromWorker) => void
  readonly #sentAt: number[] = []
  readonly #done: Span[] = []
  #isOver = false

  constructor(tell: (message: FromWorker) => void) {
    this.#tell = tell
  }

  measure(send: (probe: number) => void, everyMs: number, forMs: number): void {
    const timer = setInterval(() => send(this.#sentAt.push(Date.now()) - 1), everyMs)
    setTimeout(() => {
      clearInterval(timer)
      this.#isOver = true
      this.#tellIfDone()
    }, forMs)
  }

  answered(probe: number): void {
    this.#done.push({ from: this.#sentAt[probe] ?? Number.NaN, until: Date.now() })
    this.#tellIfDone()
  }

  #tellIfDone(): void {
    if (this.#isOver && this.#done.length === this.#sentAt.length) this.#tell({ type: 'measured', trips: this.#done })
  }
}
