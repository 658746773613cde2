import { observeLock } from '../machine/lock/view.js'
import type { LockView, MachineEvent } from '../machine/outcome.js'
import { readStore } from '../machine/store/view.js'
import type { HostContext } from './context.js'
import type { LockHandle, LockRecord, Notice, WatchId } from './page.js'

type What = Exclude<Extract<Notice, { type: 'watch' }>['what'], { type: 'changes' }>

/** What the page observes: told at once, and again after every turn that changed it. */
export class Watches {
  readonly #context: HostContext
  readonly #record: (view: LockView) => LockRecord
  readonly #watches = new Map<WatchId, What>()
  readonly #dirty = new Set<WatchId>()

  constructor(context: HostContext, record: (view: LockView) => LockRecord) {
    this.#context = context
    this.#record = record
  }

  watch(id: WatchId, what: What): void {
    this.#watches.set(id, what)
    this.#dirty.add(id)
  }

  unwatch(id: WatchId): void {
    this.#watches.delete(id)
    this.#dirty.delete(id)
  }

  happened(events: readonly MachineEvent[]): void {
    if (this.#watches.size === 0) return
    for (const event of events) {
      for (const [id, what] of this.#watches) if (concerns(event, what)) this.#dirty.add(id)
    }
  }

  /** The machine was replaced by a snapshot: everything may differ. */
  reconcile(): void {
    for (const id of this.#watches.keys()) this.#dirty.add(id)
  }

  /** A request of this page has its handle now: what shows it is told again. */
  touchLock(name: string): void {
    for (const [id, what] of this.#watches) if (what.type === 'lock' && what.name === name) this.#dirty.add(id)
  }

  flush(): void {
    for (const id of this.#dirty) {
      const what = this.#watches.get(id)
      if (what) this.#context.emit({ type: 'watched', id, value: this.#view(what) })
    }
    this.#dirty.clear()
  }

  #view(what: What): Extract<import('./page.js').HostEvent, { type: 'watched' }>['value'] {
    const { machine } = this.#context
    if (what.type === 'store') return { type: 'store', record: readStore(machine, what.key) ?? null }
    if (what.type === 'locks') return { type: 'locks', events: [], resync: true }
    const { holders, waiters } = observeLock(machine, what.name)
    return { type: 'lock', holders: holders.map(this.#record), waiters: waiters.map(this.#record) }
  }
}

function concerns(event: MachineEvent, what: What): boolean {
  if (what.type === 'lock') return event.type === 'lock.changed' && event.name === what.name
  return what.type === 'store' && event.type === 'store.changed' && event.key === what.key
}

/** A machine's view of a request as the page gets it; `handle` is known for the page's own. */
export function lockRecord(view: LockView, handle: LockHandle | null): LockRecord {
  const { name, mode, peerId, token, since, position, attributes } = view
  const plain = { owner: null, scope: 'exact', priority: 0, endsAt: null, revoked: false, upgrading: false } as const
  return { name, mode, peerId, token, since, position, attributes, handle, ...plain }
}
