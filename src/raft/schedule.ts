/** Where something stands in a schedule. Only the schedule writes it. */
export interface Scheduled {
  /** Infinity: not there. */
  dueAt: number
  /** -1: not there. */
  place: number
}

export function unscheduled(): Scheduled {
  return { dueAt: Number.POSITIVE_INFINITY, place: -1 }
}

/**
 * What is due when: a binary heap by time, with each thing once. It knows its place, so that what is brought forward or taken back
 * leaves nothing behind: what rests is due in minutes, and may wake and rest thousands of times before.
 */
export class Schedule<T extends Scheduled> {
  readonly #items: T[] = []

  get size(): number {
    return this.#items.length
  }

  /** Infinity when nothing is there. */
  get next(): number {
    return this.#items[0]?.dueAt ?? Number.POSITIVE_INFINITY
  }

  /** It is due then, and no longer when it was. */
  set(item: T, time: number): void {
    item.dueAt = time
    this.#settle(item, item.place < 0 ? this.#items.length : item.place)
  }

  delete(item: T): void {
    const { place } = item
    if (place < 0) return
    item.place = -1
    item.dueAt = Number.POSITIVE_INFINITY
    const last = this.#items.pop()
    if (last !== undefined && last !== item) this.#settle(last, place)
  }

  pop(): T | undefined {
    const top = this.#items[0]
    if (top !== undefined) this.delete(top)
    return top
  }

  /** Puts it there, or where it belongs from there. */
  #settle(item: T, place: number): void {
    const at = this.#rise(item, place)
    this.#put(item, at === place ? this.#sink(item, place) : at)
  }

  #rise(item: T, place: number): number {
    let at = place
    while (at > 0) {
      const above = (at - 1) >> 1
      const other = this.#items[above]
      if (other === undefined || other.dueAt <= item.dueAt) break
      this.#put(other, at)
      at = above
    }
    return at
  }

  #sink(item: T, place: number): number {
    let at = place
    for (;;) {
      let below = 2 * at + 1
      if (this.#dueAt(below + 1) < this.#dueAt(below)) below++
      const other = this.#items[below]
      if (other === undefined || other.dueAt >= item.dueAt) return at
      this.#put(other, at)
      at = below
    }
  }

  #dueAt(place: number): number {
    return this.#items[place]?.dueAt ?? Number.POSITIVE_INFINITY
  }

  #put(item: T, place: number): void {
    this.#items[place] = item
    item.place = place
  }
}
