import { heldUnder } from '../machine/lock/view.js'
import type { MachineState } from '../machine/machine.js'
import type { LockEvent, LockView } from '../machine/outcome.js'
import type { LockEventRecord } from './page.js'

interface Batch {
  readonly events: LockEventRecord[]
  readonly resync: boolean
}

type Hold = Pick<LockView, 'name' | 'peerId' | 'mode' | 'token'>

/** Every step of every hold whose name begins so, in order and without a gap (S-10). */
export class LockWatch {
  readonly #prefix: string
  /** What the page knows to be held, in the order in which it was told. */
  readonly #told = new Map<string, Hold>()
  #batches: Batch[] = []

  /** The first thing told is what is held now. */
  constructor(prefix: string, machine: MachineState) {
    this.#prefix = prefix
    this.reconcile(machine)
  }

  happened(events: readonly LockEvent[], at: number): void {
    const records: LockEventRecord[] = []
    for (const event of events) {
      const { name, peerId, mode, token, how } = event
      if (!name.startsWith(this.#prefix)) continue
      const what = event.type === 'lock.taken' ? 'taken' : 'freed'
      const before = what === 'taken' ? this.#before(event) : {}
      if (what === 'taken') this.#told.set(keyOf(event), { name, peerId, mode, token })
      else this.#told.delete(keyOf(event))
      records.push({ what, name, peerId, mode, token, how, at, ...before })
    }
    if (records.length === 0) return
    const last = this.#batches.at(-1)
    if (last && !last.resync) last.events.push(...records)
    else this.#batches.push({ events: records, resync: false })
  }

  /** S-10: what happened inside a snapshot is known by its result only. */
  reconcile(machine: MachineState): void {
    const now = new Map(heldUnder(machine, this.#prefix).map((view) => [keyOf(view), view]))
    const events: LockEventRecord[] = []
    for (const [key, hold] of [...this.#told]) {
      if (now.has(key)) continue
      this.#told.delete(key)
      events.push({ what: 'freed', ...hold, how: 'released', at: machine.clusterTime })
    }
    for (const [key, view] of now) {
      const { name, peerId, mode, token, since } = view
      const { before } = this.#before(view)
      if (before?.token === token && before.mode === mode) continue
      const changed = mode === 'exclusive' ? 'upgraded' : 'downgraded'
      const how = before ? changed : 'granted'
      this.#told.set(key, { name, peerId, mode, token })
      events.push({ what: 'taken', name, peerId, mode, token, how, at: since, ...(before && { before }) })
    }
    this.#batches.push({ events, resync: true })
  }

  #before(hold: Parameters<typeof keyOf>[0]): Pick<LockEventRecord, 'before'> {
    const told = this.#told.get(keyOf(hold))
    return told ? { before: { mode: told.mode, token: told.token } } : {}
  }

  /** What has not been told yet. */
  take(): Batch[] {
    const batches = this.#batches
    this.#batches = []
    return batches
  }
}

function keyOf({ session, request, name }: Pick<LockView, 'session' | 'request' | 'name'>): string {
  return `${session} ${request} ${name}`
}
