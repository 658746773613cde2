import { hashText } from './prng.js'

/** How many lines are kept for the report of a failure. */
const tailMax = 300

/** What happened, as a hash that two runs of one seed must share, and as lines for humans. */
export class Trace {
  readonly #print: ((line: string) => void) | null
  readonly #tail: string[] = []
  #hash = 0x811c9dc5

  /** `print` gets every line; without it only the last ones are kept. */
  constructor(print: ((line: string) => void) | null = null) {
    this.#print = print
  }

  get hash(): string {
    return this.#hash.toString(16).padStart(8, '0')
  }

  get tail(): readonly string[] {
    return this.#tail
  }

  /** An event: always part of the hash, shown only in a full trace (there are very many). */
  event(time: number, label: string): void {
    this.#hash = hashText(hashText(this.#hash, String(time)), label)
    this.#print?.(`${clockOf(time)} . ${label}`)
  }

  /** Something worth a human's attention. */
  line(time: number, text: string): void {
    this.#hash = hashText(this.#hash, text)
    const line = `${clockOf(time)} ${text}`
    this.#tail.push(line)
    if (this.#tail.length > tailMax) this.#tail.shift()
    this.#print?.(line)
  }
}

function clockOf(time: number): string {
  return time.toFixed(2).padStart(10)
}
