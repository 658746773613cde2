/** What a database would hold in place of a simulated disk: every disk of every run judges the journal too. */
import type { Entry } from '../raft/entry.js'
import { Journal, type JournalKey, type JournalRecord, nothingReplayed, replay } from '../storage/journal.js'
import type { StoredState, WriteBatch } from '../storage/storage.js'

export class JournalBooks {
  #records: (readonly [JournalKey, JournalRecord])[] = []
  #lives = 0
  #journal = new Journal(0, [])

  write(batch: WriteBatch): void {
    const step = this.#journal.step(batch)
    if (!step) return
    for (const [from, to] of step.obsolete)
      this.#records = this.#records.filter(([key]) => compare(key, from) < 0 || compare(key, to) > 0)
    this.#records.push([step.key, step.record])
  }

  /** Another life opens the database, of which this is known to be there: what the journal says otherwise, or null. */
  open({ groups }: StoredState): string | null {
    this.#lives += 1
    this.#journal = new Journal(this.#lives, this.#records)
    const replayed = replay(this.#records.map(([, record]) => record))
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
