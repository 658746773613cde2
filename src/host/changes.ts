import type { MachineEvent } from '../machine/outcome.js'
import { itemSize } from '../machine/store/limits.js'
import type { Item } from '../machine/store/state.js'

/** What one entry did to one key. */
export interface Change {
  readonly key: string
  /** Null: it is deleted. */
  readonly item: Item | null
  readonly previous: Item | null
}

/** All that one entry did to the store, in its order. */
export interface Batch {
  readonly revision: number
  readonly changes: readonly Change[]
  readonly bytes: number
}

/** How much is kept; but always the newest entry, whose size the store bounds. */
export interface ChangesBounds {
  readonly changes: number
  readonly bytes: number
}

export const defaultChangesBounds: ChangesBounds = { changes: 1_024, bytes: 4 * 1024 * 1024 }

/** The recent changes of the store, entry by entry, for those who have seen the ones before. No gap is in it. */
export class Changes {
  readonly #bounds: ChangesBounds
  #batches: Batch[] = []
  #count = 0
  #bytes = 0
  /** Every change after this revision is here. */
  #since: number

  constructor(appliedIndex: number, bounds: ChangesBounds = defaultChangesBounds) {
    this.#since = appliedIndex
    this.#bounds = bounds
  }

  get since(): number {
    return this.#since
  }

  happened(revision: number, events: readonly MachineEvent[]): void {
    const changes = events.flatMap((event): Change[] => (event.type === 'store.changed' ? [event] : []))
    if (changes.length === 0) return
    const bytes = changes.reduce((sum, change) => sum + sizeOf(change), 0)
    this.#batches.push({ revision, changes, bytes })
    this.#count += changes.length
    this.#bytes += bytes
    while (this.#count > this.#bounds.changes || this.#bytes > this.#bounds.bytes) {
      const [oldest] = this.#batches
      if (!oldest || this.#batches.length === 1) break
      this.#batches.shift()
      this.#count -= oldest.changes.length
      this.#bytes -= oldest.bytes
      this.#since = oldest.revision
    }
  }

  /** A snapshot has taken the place of what led to it (S-10). */
  restart(appliedIndex: number): void {
    this.#batches = []
    this.#count = 0
    this.#bytes = 0
    this.#since = appliedIndex
  }

  /** What happened after that revision, which is not before `since`. */
  after(revision: number): readonly Batch[] {
    let from = this.#batches.length
    while ((this.#batches[from - 1]?.revision ?? 0) > revision) from -= 1
    return this.#batches.slice(from)
  }
}

function sizeOf({ key, item, previous }: Change): number {
  return itemSize(key, item?.value ?? nothing) + (previous?.value.length ?? 0)
}

const nothing = new Uint8Array()
