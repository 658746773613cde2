/** What a database would hold in place of a disk in memory: every disk of every run judges the journal too. */
import type { Entry } from '../raft/entry.js'
import {
  Journal,
  type JournalKey,
  type JournalRecord,
  nothingReplayed,
  type Replayed,
  replay,
} from '../storage/journal.js'
import type { GroupId, StoredState, WriteBatch } from '../storage/storage.js'

export class JournalBooks {
  #records: (readonly [JournalKey, JournalRecord])[] = []
  #life = 1
  #journal = new Journal(this.#life, [])

  /** The keys of all records, in their order. */
  get keys(): readonly JournalKey[] {
    return this.#records.map(([key]) => key)
  }

  /** The key that the next record gets. */
  get next(): JournalKey {
    return this.#journal.next
  }

  /** What an opening would find. */
  get replayed(): ReadonlyMap<GroupId, Replayed> {
    return replay(this.#records.map(([, record]) => record))
  }

  write(batch: WriteBatch): void {
    const step = this.#journal.step(batch)
    if (!step) return
    for (const [from, to] of step.obsolete) this.lose(from, to)
    this.#records.push([step.key, structuredClone(step.record)])
  }

  /** Another life writes from here on. */
  reopen(): void {
    this.#life += 1
    this.#journal = new Journal(this.#life, this.#records)
  }

  /** From the first key to the second. */
  lose(from: JournalKey, to: JournalKey): void {
    this.#records = this.#records.filter(([key]) => compare(key, from) < 0 || compare(key, to) > 0)
  }

  /** What an opening would find otherwise than it is; null if nothing. */
  contradiction({ groups }: StoredState): string | null {
    const { replayed } = this
    for (const [id, { hardState, entries }] of groups) {
      const found = replayed.get(id) ?? nothingReplayed
      if (idsOf(found.entries) !== idsOf(entries))
        return `the journal of a disk replays to ${idsOf(found.entries)}, and not to ${idsOf(entries)}`
      const { term, votedFor, promisedTo } = found.hardState
      if (term !== hardState.term || votedFor !== hardState.votedFor || promisedTo !== hardState.promisedTo)
        return `the journal of a disk replays to term ${term} and a vote for ${votedFor}, and not to ${hardState.term} and ${hardState.votedFor}`
    }
    return null
  }
}

function idsOf(entries: readonly Entry[]): string {
  return entries.map(({ term, index }) => `${term}/${index}`).join()
}

function compare(a: JournalKey, b: JournalKey): number {
  return a[0] - b[0] || a[1] - b[1]
}
