import type { Item } from '../../machine/store/state.js'
import { compareStrings } from '../../shared/codec.js'

/** A key as it is from one entry on. */
export interface Kept {
  readonly value: Uint8Array
  readonly revision: number
  readonly ephemeral: boolean
}

/** What an entry did to a key. */
export interface TrueChange {
  readonly key: string
  /** The index of the entry. */
  readonly revision: number
  /** Null: it is not there any more. */
  readonly now: Kept | null
  readonly previous: Kept | null
}

/** Every change of the store in one history: found by looking at all keys after each entry, and not by what the machine says that it changed. */
export class ChangeBooks {
  readonly #kept = new Map<string, Kept>()
  readonly #all: TrueChange[] = []

  /** In their order. */
  get all(): readonly TrueChange[] {
    return this.#all
  }

  /** `order`: the keys that the entry's own command wrote, as it says; what nobody ordered goes by its name. */
  applied(index: number, items: ReadonlyMap<string, Item>, order: readonly string[]): readonly TrueChange[] {
    const changed: TrueChange[] = []
    for (const [key, previous] of this.#kept)
      if (!items.has(key)) changed.push({ key, revision: index, now: null, previous })
    for (const [key, { value, revision, session }] of items) {
      const previous = this.#kept.get(key) ?? null
      if (previous?.revision === revision) continue
      changed.push({ key, revision: index, now: { value, revision, ephemeral: session !== null }, previous })
    }
    changed.sort((a, b) => order.indexOf(a.key) - order.indexOf(b.key) || compareStrings(a.key, b.key))
    for (const { key, now } of changed) {
      if (now) this.#kept.set(key, now)
      else this.#kept.delete(key)
    }
    this.#all.push(...changed)
    return changed
  }

  /** How many changes there were up to that revision. */
  countUpTo(revision: number): number {
    let count = this.#all.length
    while ((this.#all[count - 1]?.revision ?? 0) > revision) count -= 1
    return count
  }

  /** What there was at that revision, by key. */
  at(revision: number, prefix: string): readonly (readonly [string, Kept])[] {
    const kept = new Map<string, Kept>()
    for (const { key, now } of this.#all.slice(0, this.countUpTo(revision))) {
      if (now && key.startsWith(prefix)) kept.set(key, now)
      else kept.delete(key)
    }
    return [...kept].sort(([a], [b]) => compareStrings(a, b))
  }
}
