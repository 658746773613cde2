import type { Lineage } from '../storage/storage.js'
import { sameLineage } from './frame.js'
import type { Reset, StoreLoss } from './page.js'

/** What may be gone with a history, as a reset tells it. */
export type Losses = Omit<Reset, 'cause'>

/**
 * What a history that has ended for this page, and the one that goes on, had in common: of it the page's last reset said nothing. Until the
 * page's next peer has all of that itself, it may still be lost with the history that it is on its way to (N3).
 */
export interface Shared extends Losses {
  /** Where it is on its way to. */
  readonly lineage: Lineage
  /** The last index that the two have in common. */
  readonly upTo: number
}

/** What a page was told to be agreed, before this peer of it was there. */
export class Inheritance {
  #shared: Shared | null

  constructor(shared: Shared | null) {
    this.#shared = shared
  }

  /** This peer is in that history: what is lost by its being another one; null when nothing is. */
  entered(lineage: Lineage): Losses | null {
    const shared = this.#shared
    if (!shared || sameLineage(lineage, shared.lineage)) return null
    this.#shared = null
    const { lineage: _lineage, upTo: _upTo, ...losses } = shared
    return losses
  }

  /** This peer has everything up to that index itself. */
  applied(index: number): void {
    if (this.#shared && index >= this.#shared.upTo) this.#shared = null
  }

  /** `own`: what this peer knows of itself from that index on. Of each key the newest counts. */
  with(own: Losses, from: number): Losses {
    const shared = this.#shared
    if (!shared) return own
    const keys = newest<StoreLoss | Dated>([...own.store, ...own.deleted], [...shared.store, ...shared.deleted], from)
    return {
      store: keys.filter(isStored),
      deleted: keys.filter((key) => !isStored(key)),
      counters: newest(own.counters, shared.counters, from),
      complete: own.complete && shared.complete,
    }
  }
}

interface Dated {
  readonly key: string
  readonly revision: number
}

function isStored(item: StoreLoss | Dated): item is StoreLoss {
  return 'value' in item
}

function newest<T extends Dated>(own: readonly T[], shared: readonly T[], from: number): T[] {
  const items = new Map(own.map((item) => [item.key, item]))
  for (const item of shared) {
    const { key, revision } = item
    if (revision < from || revision <= (items.get(key)?.revision ?? 0)) continue
    items.delete(key)
    items.set(key, item)
  }
  return [...items.values()]
}

/** What of it is older than that index. */
export function sharedWith(lineage: Lineage, partsAt: number, losses: Losses): Shared | null {
  const { complete } = losses
  const isOlder = ({ revision }: Dated) => revision < partsAt
  const store = losses.store.filter(isOlder)
  const deleted = losses.deleted.filter(isOlder)
  const counters = losses.counters.filter(isOlder)
  return store.length + deleted.length + counters.length === 0 && complete
    ? null
    : { lineage, upTo: partsAt - 1, store, deleted, counters, complete }
}
