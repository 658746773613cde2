import type { Entry } from '../../raft/entry.js'
import type { Status } from '../../raft/ready.js'
import { historyKey } from '../history-key.js'
import type { HostRecord } from '../worker.js'
import type { World } from '../world.js'
import { hashOf } from './log.js'

/**
 * Log matching (Raft paper 5.3), of all logs and not only of what is committed: an entry of one index and term is one entry, and
 * it stands behind the same one everywhere. Entry by entry this makes whole logs equal up to any entry that they share.
 */
export class LogMatchingChecker {
  readonly #world: World
  /** By index, term and history: the term of the entry before it. */
  readonly #previous = new Map<string, number>()
  /** By index, term and history: what it is. */
  readonly #contents = new Map<string, number>()

  constructor(world: World) {
    this.#world = world
  }

  /** What a core's log has become. `from`: everything up to there was looked at before. */
  check({ self, host }: HostRecord, before: Status | undefined, now: Status): void {
    const isSame = before && before.lastIndex === now.lastIndex && before.lastTerm === now.lastTerm
    if (isSame) return
    const isLonger = before && host.entryTerm(before.lastIndex) === before.lastTerm
    const from = Math.max(now.firstIndex, (isLonger ? before.lastIndex : (before?.commitIndex ?? 0)) + 1)
    const history = host.lineage ? historyKey(host.lineage) : ''
    for (let index = from; index <= now.lastIndex; index++) {
      const term = host.entryTerm(index)
      // What stood before the first one is compacted.
      const previous = index === 1 ? 0 : host.entryTerm(index - 1)
      if (term === null || previous === null) continue
      const key = `${index} ${term} ${history}`
      const known = this.#previous.get(key)
      if (known === undefined) this.#previous.set(key, previous)
      else if (known !== previous)
        this.#convict(self.peerId, index, term, `behind term ${previous}, elsewhere ${known}`)
    }
  }

  /** Somebody asks its disk to keep them. */
  written(peerId: string, history: string, entries: readonly Entry[]): void {
    for (const entry of entries) {
      const { index, term } = entry
      const hash = hashOf(entry)
      const key = `${index} ${term} ${history}`
      const known = this.#contents.get(key)
      if (known === undefined) this.#contents.set(key, hash)
      else if (known !== hash) this.#convict(peerId, index, term, 'another one than elsewhere')
    }
  }

  #convict(peerId: string, index: number, term: number, what: string): void {
    this.#world.convict('log-matching', `${peerId} has an entry ${index} of term ${term} that is ${what}`)
  }
}
