import type { Status } from '../../raft/ready.js'
import { lifeOf } from '../../shared/life.js'
import { type Change, coverChange } from '../branches.js'
import type { SimDisk } from '../disk.js'
import type { HostRecord } from '../worker.js'
import type { World } from '../world.js'
import type { LogChecker } from './log.js'
import type { LogMatchingChecker } from './log-matching.js'

/** What every core must keep to at every step, whatever the others do. */
export class RaftChecker {
  readonly #world: World
  readonly #log: LogChecker
  readonly #matching: LogMatchingChecker
  readonly #diskOf: (peerId: string) => SimDisk | null
  readonly #leaders = new Map<number, string>()
  readonly #before = new Map<HostRecord, Status>()
  /** By term: to whom its leader was handing over. */
  readonly #transfers = new Map<number, string>()

  constructor(world: World, log: LogChecker, matching: LogMatchingChecker, diskOf: (peerId: string) => SimDisk | null) {
    this.#world = world
    this.#log = log
    this.#matching = matching
    this.#diskOf = diskOf
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
    this.#matching.check(record, before, status)
    if (before) {
      this.#checkMonotonic(record, before, status)
      this.#checkAppendOnly(record, before, status)
      this.#cover(record, before, status)
    }
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

  /** Raft paper 5.3: a leader never takes back what is in its log. */
  #checkAppendOnly({ self, host }: HostRecord, before: Status, now: Status): void {
    if (before.role !== 'leader' || now.role !== 'leader' || before.term !== now.term) return
    const isCompacted = now.firstIndex > before.lastIndex
    if (now.lastIndex >= before.lastIndex && (isCompacted || host.entryTerm(before.lastIndex) === before.lastTerm))
      return
    const was = `its last entry was ${before.lastIndex} of term ${before.lastTerm}`
    this.#world.convict(
      'leader-append-only',
      `${self.peerId} leads term ${now.term} and has taken entries back: ${was}`,
    )
  }

  #cover({ self, host }: HostRecord, before: Status, now: Status): void {
    const change: Change = {
      peerId: self.peerId,
      before,
      now,
      termAt: (index) => host.entryTerm(index),
      others: this.#before.values(),
    }
    coverChange(this.#world.coverage, change)
    if (now.transferringTo !== null) this.#transfers.set(now.term, now.transferringTo)
  }

  #coverLeader(peerId: string, { term, configuration }: Status): void {
    const { coverage } = this.#world
    if (this.#transfers.get(term - 1) === peerId) coverage.hit('transfer completed')
    for (const voter of configuration.voters) {
      const hardState = this.#diskOf(voter)?.read().groups.get(0)?.hardState
      if (hardState?.promisedTo === peerId && hardState.term === term - 1)
        coverage.hit('role leader by a promised vote')
    }
  }

  /** Election safety, and leader completeness: it has all that was committed in an earlier term. */
  #checkLeader({ self, host }: HostRecord, status: Status): void {
    const { term, firstIndex } = status
    this.#coverLeader(self.peerId, status)
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
