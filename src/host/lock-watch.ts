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
      if (what === 'taken') this.#told.set(keyOf(event), { name, peerId, mode, token })
      else this.#told.delete(keyOf(event))
      records.push({ what, name, peerId, mode, token, how, at })
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
    for (const [key, { name, peerId, mode, token, since }] of now) {
      const before = this.#told.get(key)
      if (before?.token === token && before.mode === mode) continue
      const changed = mode === 'exclusive' ? 'upgraded' : 'downgraded'
      this.#told.set(key, { name, peerId, mode, token })
      events.push({ what: 'taken', name, peerId, mode, token, how: before ? changed : 'granted', at: since })
    }
    this.#batches.push({ events, resync: true })
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
