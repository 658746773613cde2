import type { Operation } from '../../src/simulation/linearizability/history.js'
import { type Recorded, Recorder } from '../../src/simulation/linearizability/recorder.js'
import type { Told } from './pages/users.js'

/** The clocks of tabs are one, but each rounds for itself. */
const blurMs = 1

/** Writes down what tabs tell while they live: whatever a tab has begun when it dies stays unknown. */
export class Witness {
  readonly #recorder = new Recorder()
  readonly #recorded = new Map<string, Recorded>()
  readonly #waiting = new Set<{ readonly at: number; readonly tell: () => void }>()
  #first: number | null = null

  get history(): Operation[] {
    return this.#recorder.history
  }

  hear(told: Told): void {
    if (told.type === 'call') {
      const { id, client, op, key, input, at } = told
      this.#recorded.set(id, this.#recorder.call({ client, op, key, input, call: at - blurMs }))
    }
    const recorded = this.#recorded.get(told.id)
    if (told.type === 'returned') recorded?.returned(told.output, told.at + blurMs)
    else if (told.type === 'notBefore') recorded?.notBefore(told.at - blurMs)
    else if (told.type === 'dropped') recorded?.dropped()
    // `failed` leaves its outcome unknown.
    if (told.type !== 'dropped') this.#arrive(told.at)
  }

  /** Resolves with the first word that comes so long after the very first. */
  async after(ms: number): Promise<void> {
    await new Promise<void>((tell) => this.#waiting.add({ at: ms, tell }))
  }

  #arrive(at: number): void {
    this.#first ??= at
    for (const waiting of this.#waiting) {
      if (at - this.#first < waiting.at) continue
      this.#waiting.delete(waiting)
      waiting.tell()
    }
  }
}
