import type { Instant } from '../shared/instant.js'

/**
 * Whether a leader knows all that was said to leaders (S-5): terms have one leader each, so who leads two that follow upon each other had none
 * between them. Else somebody may have heard, promised and given up what this one knows nothing of.
 */
export class Tenure {
  #term: number | null = null
  #until: Instant | null = null

  /** Elected in that term. Since when nobody has led, or null: another may have. */
  begin(term: number, now: Instant): Instant | null {
    const isNext = this.#term !== null && term === this.#term + 1
    const until = isNext ? (this.#until ?? now) : null
    this.#term = term
    this.#until = null
    return until
  }

  end(now: Instant): void {
    this.#until = now
  }
}
