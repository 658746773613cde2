import type { Status } from '../../raft/ready.js'
import { lifeOf } from '../../shared/life.js'
import type { HostRecord } from '../worker.js'
import type { World } from '../world.js'
import type { LogChecker } from './log.js'

/** What every core must keep to at every step, whatever the others do. */
export class RaftChecker {
  readonly #world: World
  readonly #log: LogChecker
  readonly #leaders = new Map<number, string>()
  readonly #before = new Map<HostRecord, Status>()

  constructor(world: World, log: LogChecker) {
    this.#world = world
    this.#log = log
  }

  /** How often a term had a leader. */
  get elections(): number {
    return this.#leaders.size
  }

  check(record: HostRecord): void {
    const status = record.host.status
    const before = this.#before.get(record)
    this.#before.set(record, status)
    this.#checkOrder(record, status)
    if (before) this.#checkMonotonic(record, before, status)
    if (status.role === 'leader' && (before?.role !== 'leader' || before.term !== status.term))
      this.#checkLeader(record, status)
  }

  #checkOrder({ self }: HostRecord, status: Status): void {
    const { firstIndex, appliedIndex, commitIndex, lastIndex, stableIndex } = status
    const isOrdered = firstIndex - 1 <= appliedIndex && appliedIndex <= commitIndex && commitIndex <= lastIndex
    if (isOrdered && stableIndex <= lastIndex) return
    const indices = JSON.stringify({ firstIndex, appliedIndex, commitIndex, stableIndex, lastIndex })
    this.#world.convict('order-of-indices', `${self.peerId} has ${indices}`)
  }

  #checkMonotonic({ self }: HostRecord, before: Status, now: Status): void {
    for (const key of ['term', 'commitIndex', 'appliedIndex'] as const)
      if (now[key] < before[key])
        this.#world.convict('monotonic', `${key} of ${self.peerId} went from ${before[key]} to ${now[key]}`)
  }

  /** Election safety, and leader completeness: it has all that was committed in an earlier term. */
  #checkLeader({ self, host }: HostRecord, { term, firstIndex }: Status): void {
    const me = `${self.peerId} ${lifeOf(self.incarnation)}`
    const other = this.#leaders.get(term)
    this.#leaders.set(term, me)
    this.#world.note(`${me} leads term ${term}`)
    if (other !== undefined && other !== me)
      this.#world.convict('election-safety', `${other} and ${me} both lead term ${term}`)
    for (let index = firstIndex; index <= this.#log.lastIndex; index++) {
      // A vote that was long on its way makes a leader of a term that is over already: it owes nothing to later ones.
      if (host.entryTerm(index) === this.#log.termAt(index) || this.#log.committedIn(index) >= term) continue
      const has = `has term ${host.entryTerm(index)} at ${index}, committed was term ${this.#log.termAt(index)}`
      this.#world.convict('leader-completeness', `${me} leads term ${term} and ${has}`)
      return
    }
  }
}
