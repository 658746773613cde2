/** What is due when: a binary heap by time. An entry is not taken back: whoever pops it asks whether it still holds. */
export class Schedule<T> {
  readonly #times: number[] = []
  readonly #items: T[] = []

  /** Infinity when nothing is there. */
  get next(): number {
    return this.#times[0] ?? Number.POSITIVE_INFINITY
  }

  push(time: number, item: T): void {
    let at = this.#times.length
    while (at > 0) {
      const above = (at - 1) >> 1
      if (this.#timeAt(above) <= time) break
      this.#move(above, at)
      at = above
    }
    this.#times[at] = time
    this.#items[at] = item
  }

  pop(): T | undefined {
    const top = this.#items[0]
    const time = this.#times.pop()
    const item = this.#items.pop()
    if (time !== undefined && item !== undefined && this.#times.length > 0) this.#sink(time, item)
    return top
  }

  #sink(time: number, item: T): void {
    const { length } = this.#times
    let at = 0
    for (;;) {
      let below = 2 * at + 1
      if (below >= length) break
      if (below + 1 < length && this.#timeAt(below + 1) < this.#timeAt(below)) below++
      if (this.#timeAt(below) >= time) break
      this.#move(below, at)
      at = below
    }
    this.#times[at] = time
    this.#items[at] = item
  }

  #timeAt(at: number): number {
    return this.#times[at] ?? Number.POSITIVE_INFINITY
  }

  #move(from: number, to: number): void {
    const item = this.#items[from]
    this.#times[to] = this.#timeAt(from)
    if (item !== undefined) this.#items[to] = item
  }
}
