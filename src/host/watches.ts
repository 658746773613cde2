import { observeLock } from '../machine/lock/view.js'
import type { Applied, LockView, MachineEvent } from '../machine/outcome.js'
import { readStore } from '../machine/store/view.js'
import type { HostContext } from './context.js'
import { LockWatch } from './lock-watch.js'
import type { LockHandle, LockRecord, Notice, WatchId } from './page.js'

/** Changes of the store are told by `StoreWatches`. */
type Whatever = Exclude<Extract<Notice, { type: 'watch' }>['what'], { type: 'changes' }>
/** Of which the present state is told; of others every step. */
type What = Exclude<Whatever, { type: 'locks' }>

/** What the page observes: told at once, and again after every turn that changed it. */
export class Watches {
  readonly #context: HostContext
  readonly #record: (view: LockView) => LockRecord
  readonly #watches = new Map<WatchId, What>()
  readonly #dirty = new Set<WatchId>()
  readonly #rows = new Map<WatchId, LockWatch>()
  /** Runs once this machine has come as far as the room had when it was asked for (R1). */
  readonly #whenCurrent: (run: () => void) => void
  /** Those that wait for it. */
  readonly #early = new Set<WatchId>()

  constructor(context: HostContext, record: (view: LockView) => LockRecord, whenCurrent: (run: () => void) => void) {
    this.#context = context
    this.#record = record
    this.#whenCurrent = whenCurrent
  }

  /** The host before this one may have told more than this machine knows yet: that is not to be taken back, and told again later. */
  watch(id: WatchId, what: Whatever): void {
    if (what.type !== 'locks' && !what.current) {
      this.#begin(id, what)
      return
    }
    this.#early.add(id)
    this.#whenCurrent(() => {
      if (this.#early.delete(id)) this.#begin(id, what)
    })
  }

  #begin(id: WatchId, what: Whatever): void {
    if (what.type === 'locks') this.#rows.set(id, new LockWatch(what.prefix, this.#context.machine))
    else {
      this.#watches.set(id, what)
      this.#dirty.add(id)
    }
  }

  unwatch(id: WatchId): void {
    this.#early.delete(id)
    this.#rows.delete(id)
    this.#watches.delete(id)
    this.#dirty.delete(id)
  }

  happened({ events, lockEvents = [] }: Pick<Applied, 'events' | 'lockEvents'>): void {
    for (const row of this.#rows.values()) row.happened(lockEvents, this.#context.machine.clusterTime)
    if (this.#watches.size === 0) return
    for (const event of events) {
      for (const [id, what] of this.#watches) if (concerns(event, what)) this.#dirty.add(id)
    }
  }

  /** The machine was replaced by a snapshot: everything may differ. */
  reconcile(): void {
    for (const id of this.#watches.keys()) this.#dirty.add(id)
    for (const row of this.#rows.values()) row.reconcile(this.#context.machine)
  }

  /** A request of this page has its handle now: what shows it is told again. */
  touchLock(name: string): void {
    for (const [id, what] of this.#watches) if (what.type === 'lock' && what.name === name) this.#dirty.add(id)
  }

  flush(): void {
    for (const [id, row] of this.#rows)
      for (const batch of row.take()) this.#context.emit({ type: 'watched', id, value: { type: 'locks', ...batch } })
    for (const id of this.#dirty) {
      const what = this.#watches.get(id)
      if (what) this.#context.emit({ type: 'watched', id, value: this.#view(what) })
    }
    this.#dirty.clear()
  }

  #view(what: What): Extract<import('./page.js').HostEvent, { type: 'watched' }>['value'] {
    const { machine } = this.#context
    if (what.type === 'store') return { type: 'store', record: readStore(machine, what.key) ?? null }
    const { holders, waiters } = observeLock(machine, what.name)
    return { type: 'lock', holders: holders.map(this.#record), waiters: waiters.map(this.#record) }
  }
}

function concerns(event: MachineEvent, what: What): boolean {
  if (what.type === 'lock') return event.type === 'lock.changed' && event.name === what.name
  return event.type === 'store.changed' && event.key === what.key
}

/** A machine's view of a request as the page gets it; `handle` is known for the page's own. */
export function lockRecord(view: LockView, handle: LockHandle | null): LockRecord {
  const { name, mode, peerId, token, since, position, attributes, owner, scope, priority, endsAt, revoked, upgrading } =
    view
  const beyond = { owner, scope, priority, endsAt, revoked, upgrading }
  return { name, mode, peerId, token, since, position, attributes, ...beyond, handle }
}
