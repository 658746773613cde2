/**
 * Who watches the changes of the store (S-10). Each watch has come so far, and is told what is between that and now; where that is not known any
 * more it is told everything anew, and that there was a gap. One message at a time, the next when the page has used it up: a slow page
 * keeps nothing here or on its way but its place.
 */
import type { MachineEvent } from '../machine/outcome.js'
import { storeKeysMax } from '../machine/store/limits.js'
import type { Item } from '../machine/store/state.js'
import { listStore } from '../machine/store/view.js'
import { compareStrings } from '../shared/codec.js'
import { type Change, Changes, type ChangesBounds } from './changes.js'
import type { HostContext } from './context.js'
import type { ChangeRecord, ChangesRecord, EntryRecord, StoreRecord, WatchId, WatchPosition } from './page.js'

/** Most changes of one message, and most bytes of their values; but always one whole entry. */
const messageChanges = 256
const messageBytes = 1024 * 1024

interface Watch {
  readonly prefix: string
  /** All up to this revision is told, and so many changes of the entry after it. */
  revision: number
  place: number
  /** The page has used up what it was told. */
  isTaken: boolean
  /** Its beginning is known: until then nothing is told. */
  isPlaced: boolean
  /** What it was told is of no use: it begins anew. */
  isLost: boolean
  /** It was told where it stands. */
  isTold: boolean
  /** Keys that are known to have been deleted in a gap. */
  readonly gone: Set<string>
}

export class StoreWatches {
  readonly #context: HostContext
  /** Runs once this machine has come as far as the room had when it was asked for (R1). */
  readonly #whenCurrent: (run: () => void) => void
  readonly #changes: Changes
  readonly #watches = new Map<WatchId, Watch>()
  /** The keys that there were before a snapshot: the machine's own map, which a snapshot replaces as a whole. */
  #items: ReadonlyMap<string, Item>

  constructor(context: HostContext, whenCurrent: (run: () => void) => void, bounds?: ChangesBounds) {
    this.#context = context
    this.#whenCurrent = whenCurrent
    this.#changes = new Changes(context.machine.appliedIndex, bounds)
    this.#items = context.machine.store.items
  }

  watch(id: WatchId, { prefix, from }: { readonly prefix: string; readonly from: WatchPosition | null }): void {
    const { appliedIndex } = this.#context.machine
    const { revision, place } = from ?? { revision: appliedIndex, place: 0 }
    const isAnew = from?.revision === 0
    const isPlaced = !isAnew && revision <= appliedIndex
    const watch: Watch = {
      prefix,
      revision,
      place,
      isTaken: true,
      isPlaced,
      isLost: false,
      isTold: false,
      gone: new Set(),
    }
    this.#watches.set(id, watch)
    if (isPlaced) return
    // Either this peer is behind, or that revision is of another history: what has been seen was agreed on, so a round tells which.
    this.#whenCurrent(() => {
      watch.isPlaced = true
      watch.isLost = isAnew || watch.revision > this.#context.machine.appliedIndex
    })
  }

  unwatch(id: WatchId): void {
    this.#watches.delete(id)
  }

  taken(id: WatchId): void {
    const watch = this.#watches.get(id)
    if (watch) watch.isTaken = true
  }

  happened(revision: number, events: readonly MachineEvent[]): void {
    this.#changes.happened(revision, events)
  }

  /** S-10: what happened in between is known no more, but for what is gone. */
  reconcile(): void {
    const { store, appliedIndex } = this.#context.machine
    for (const watch of this.#watches.values()) {
      for (const key of this.#items.keys()) {
        const isGone = key.startsWith(watch.prefix) && !store.items.has(key)
        if (isGone && watch.gone.size < storeKeysMax) watch.gone.add(key)
      }
    }
    this.#items = store.items
    this.#changes.restart(appliedIndex)
  }

  flush(): void {
    for (const [id, watch] of this.#watches) {
      if (!watch.isTaken || !watch.isPlaced) continue
      const isLost = watch.isLost || this.#changes.since > watch.revision
      const value = isLost ? this.#everything(watch) : this.#next(watch)
      if (!isLost && value.changes.length === 0 && watch.isTold) continue
      watch.isTold = true
      watch.isTaken = false
      this.#context.emit({ type: 'watched', id, value })
    }
  }

  /** Entries are not split, unless the page has seen a part already. */
  #next(watch: Watch): ChangesRecord {
    const changes: ChangeRecord[] = []
    let bytes = 0
    let isAll = true
    for (const batch of this.#changes.after(watch.revision)) {
      if (changes.length >= messageChanges || bytes >= messageBytes) {
        isAll = false
        break
      }
      const seen = batch.revision === watch.revision + 1 ? watch.place : 0
      const records = recordsOf(batch.changes, watch.prefix).filter(({ place }) => place > seen)
      for (const [i, { place, change }] of records.entries()) {
        const last = i === records.length - 1
        const position = last ? { revision: batch.revision, place: 0 } : { revision: batch.revision - 1, place }
        changes.push({ ...change, revision: batch.revision, position, last })
        bytes += (change.now?.value.length ?? 0) + (change.previous?.value.length ?? 0)
      }
      watch.revision = batch.revision
      watch.place = 0
    }
    const { appliedIndex } = this.#context.machine
    if (isAll && appliedIndex > watch.revision) {
      watch.revision = appliedIndex
      watch.place = 0
    }
    return { type: 'changes', resync: false, changes, until: { revision: watch.revision, place: watch.place } }
  }

  #everything(watch: Watch): ChangesRecord {
    const { machine } = this.#context
    const until = { revision: machine.appliedIndex, place: 0 }
    const gone = [...watch.gone].filter((key) => !machine.store.items.has(key)).sort(compareStrings)
    const records: { key: string; now: EntryRecord | null }[] = [
      ...gone.map((key) => ({ key, now: null })),
      ...listStore(machine, watch.prefix).map((now) => ({ key: now.key, now })),
    ]
    watch.gone.clear()
    watch.isLost = false
    watch.revision = until.revision
    watch.place = 0
    const changes = records.map(({ key, now }, i): ChangeRecord => {
      const last = i === records.length - 1
      // Whoever has seen a part of it alone has seen nothing that it could go on from.
      return {
        key,
        revision: now?.revision ?? until.revision,
        now,
        previous: null,
        position: last ? until : { revision: 0, place: 0 },
        last,
      }
    })
    return { type: 'changes', resync: true, changes, until }
  }
}

/** Those of the prefix, each with its place among all of its entry. */
function recordsOf(changes: readonly Change[], prefix: string) {
  return changes.flatMap(({ key, item, previous }, i) => {
    if (!key.startsWith(prefix)) return []
    const now = item && { key, value: item.value, revision: item.revision, ephemeral: item.session !== null }
    const before: StoreRecord | null = previous && { value: previous.value, revision: previous.revision }
    return [{ place: i + 1, change: { key, now, previous: before } }]
  })
}
