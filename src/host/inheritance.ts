import type { Lineage } from '../storage/storage.js'
import { sameLineage } from './frame.js'
import type { Reset } from './page.js'

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
    const { store, deleted, complete } = shared
    return { store, deleted, complete }
  }

  /** This peer has everything up to that index itself. */
  applied(index: number): void {
    if (this.#shared && index >= this.#shared.upTo) this.#shared = null
  }

  /** `own`: what this peer knows of itself from that index on. Of each key the newest counts. */
  with(own: Losses, from: number): Losses {
    if (!this.#shared) return own
    const revisions = new Map([...own.store, ...own.deleted].map(({ key, revision }) => [key, revision]))
    const isNews = ({ key, revision }: { readonly key: string; readonly revision: number }) =>
      revision >= from && revision > (revisions.get(key) ?? 0)
    const store = this.#shared.store.filter(isNews)
    const deleted = this.#shared.deleted.filter(isNews)
    const replaced = new Set([...store, ...deleted].map(({ key }) => key))
    const isKept = ({ key }: { readonly key: string }) => !replaced.has(key)
    return {
      store: [...own.store.filter(isKept), ...store],
      deleted: [...own.deleted.filter(isKept), ...deleted],
      complete: own.complete && this.#shared.complete,
    }
  }
}

/** What of it is older than that index. */
export function sharedWith(lineage: Lineage, partsAt: number, { store, deleted, complete }: Losses): Shared | null {
  const isOlder = ({ revision }: { readonly revision: number }) => revision < partsAt
  const shared = { store: store.filter(isOlder), deleted: deleted.filter(isOlder), complete }
  return shared.store.length + shared.deleted.length === 0 && complete
    ? null
    : { lineage, upTo: partsAt - 1, ...shared }
}
