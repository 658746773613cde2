/**
 * What a peer's disk is told, as records that are only ever added: one write is one new record, and nothing that is there is touched
 * but to be thrown away. The state is what replaying them gives. Pure: `indexeddb.ts` keeps the records.
 *
 * Keys are (life, number), so that a life that a later one has taken over from can be told apart by the disk itself (F3): the number
 * that it would use next is taken by then.
 */
import type { Entry } from '../raft/entry.js'
import type { HardState } from '../raft/ready.js'
import type { GroupId, GroupWrite, StoredGroup, WriteBatch } from './storage.js'

/** The counter of an incarnation, and how many records it had made with this one. In the order of the writes. */
export type JournalKey = [life: number, number: number]

/** One write. */
export interface JournalRecord {
  /** Everything before it is void. */
  readonly reset?: true
  readonly groups: readonly JournalGroup[]
}

/** In the order in which they take effect, as in a `GroupWrite`; the data of snapshots are kept elsewhere. */
export interface JournalGroup {
  readonly group: GroupId
  readonly hardState?: HardState
  /** Index of a snapshot that took the place of the whole log. */
  readonly installed?: number
  readonly entries: readonly Entry[]
  /** All that is left of the log, from the first index to the last. */
  readonly kept?: Range
}

interface Range {
  readonly from: number
  /** One less than `from` when there is nothing. */
  readonly to: number
}

/** Stands where the next record of a life would be that has ended. */
export const ended = 'ended'
export type Journaled = JournalRecord | typeof ended

/** What replaying the records gives of a group. */
export type Replayed = Omit<StoredGroup, 'snapshot'>

/** A record's place and what it holds of each group's log: the index of its last entry. */
interface Place {
  readonly key: JournalKey
  readonly last: ReadonlyMap<GroupId, number>
}

/** What one write does to the records. */
export interface Step {
  readonly key: JournalKey
  readonly record: JournalRecord
  /** Records that nobody needs any more, from the first key to the second. */
  readonly obsolete: readonly (readonly [JournalKey, JournalKey])[]
}

const noHardState: HardState = { term: 0, votedFor: null, promisedTo: null, commitIndex: 0 }

/** Of a group that no record speaks of. */
export const nothingReplayed: Replayed = { hardState: noHardState, entries: [] }

/** Where the records of one database stand, for the life that writes there now. */
export class Journal {
  readonly #life: number
  #number = 0
  #places: Place[] = []
  readonly #hardStates = new Map<GroupId, HardState>()
  readonly #logs = new Map<GroupId, Range>()

  /** `records`: all that the database holds, in the order of their keys. */
  constructor(life: number, records: readonly (readonly [JournalKey, JournalRecord])[]) {
    this.#life = life
    for (const [key, record] of records) {
      this.#places.push({ key, last: lastOf(record) })
      this.#note(record)
    }
  }

  /** The key that the next record gets. */
  get next(): JournalKey {
    return [this.#life, this.#number + 1]
  }

  /** Counts on the write: after one that failed the journal is of no use. Null when there is nothing to be kept. */
  step({ reset, groups }: WriteBatch): Step | null {
    const written = groups.filter(isNews).map((write) => this.#groupOf(write))
    if (!reset && written.length === 0) return null
    const key = this.next
    const record: JournalRecord = { ...(reset && { reset }), groups: written }
    this.#number += 1
    this.#note(record)
    const isPruned = reset || written.some(({ installed, kept }) => installed !== undefined || kept)
    const obsolete = isPruned ? this.#prune(record) : []
    this.#places.push({ key, last: lastOf(record) })
    return { key, record: isPruned ? this.#summedUp(record) : record, obsolete }
  }

  #groupOf({ group, hardState, installed, entries, compacted }: GroupWrite): JournalGroup {
    const to = entries.at(-1)?.index ?? installed?.meta.index ?? this.#logs.get(group)?.to ?? 0
    return {
      group,
      ...(hardState && { hardState }),
      ...(installed && { installed: installed.meta.index }),
      entries,
      ...(compacted && { kept: { from: compacted.keepFrom, to } }),
    }
  }

  #note({ reset, groups }: JournalRecord): void {
    if (reset) this.#hardStates.clear()
    if (reset) this.#logs.clear()
    for (const { group, hardState, installed, entries, kept } of groups) {
      if (hardState) this.#hardStates.set(group, hardState)
      const before = installed === undefined ? this.#logs.get(group) : { from: installed + 1, to: installed }
      const first = entries[0]?.index ?? 0
      const range = { from: before?.from ?? first, to: entries.at(-1)?.index ?? before?.to ?? 0 }
      this.#logs.set(group, kept ?? range)
    }
  }

  /** Forgets the records of which nothing is left. */
  #prune({ reset, groups }: JournalRecord): Step['obsolete'] {
    const replaced = new Set(groups.filter(({ installed }) => installed !== undefined).map(({ group }) => group))
    const isObsolete = ({ last }: Place) =>
      reset || [...last].every(([group, index]) => replaced.has(group) || index < (this.#logs.get(group)?.from ?? 0))
    const obsolete: [JournalKey, JournalKey][] = []
    const left: Place[] = []
    let isRun = false
    for (const place of this.#places) {
      const isGone = isObsolete(place)
      const run = obsolete.at(-1)
      if (!isGone) left.push(place)
      else if (isRun && run && run[1][0] === place.key[0]) run[1] = place.key
      else obsolete.push([place.key, place.key])
      isRun = isGone
    }
    this.#places = left
    return obsolete
  }

  /**
   * What records that are gone said of the votes and of the logs' ends. A record that cut a log short may go before one that holds what
   * was cut off: if the log went on from there, its next record cuts there too; if not, its end does.
   */
  #summedUp({ reset, groups }: JournalRecord): JournalRecord {
    const others = [...this.#logs.keys()].filter((group) => !groups.some((one) => one.group === group))
    const all = [...groups, ...others.map((group): JournalGroup => ({ group, entries: [] }))]
    return {
      ...(reset && { reset }),
      groups: all.map((one) => {
        const hardState = this.#hardStates.get(one.group)
        return { ...one, ...(hardState && { hardState }), kept: this.#logs.get(one.group) ?? { from: 0, to: 0 } }
      }),
    }
  }
}

/** `records`: in the order of their keys. */
export function replay(records: readonly JournalRecord[]): Map<GroupId, Replayed> {
  const groups = new Map<GroupId, { hardState: HardState; entries: Entry[] }>()
  for (const { reset, groups: written } of records) {
    if (reset) groups.clear()
    for (const { group, hardState, installed, entries, kept } of written) {
      const replayed = groups.get(group) ?? { ...nothingReplayed, entries: [] }
      groups.set(group, replayed)
      if (hardState) replayed.hardState = hardState
      if (installed !== undefined) replayed.entries = []
      append(replayed.entries, entries)
      if (kept) replayed.entries = replayed.entries.filter(({ index }) => index >= kept.from && index <= kept.to)
    }
  }
  return groups
}

/** The last index of that group's log as one record tells it; null when it does not. */
export function lastIndexIn({ reset, groups }: JournalRecord, group: GroupId): number | null {
  const { entries = [], installed, kept } = groups.find((one) => one.group === group) ?? {}
  return kept?.to ?? entries.at(-1)?.index ?? installed ?? (reset ? 0 : null)
}

function isNews({ hardState, installed, entries, compacted }: GroupWrite): boolean {
  return entries.length > 0 || [hardState, installed, compacted].some((one) => one !== undefined)
}

function append(log: Entry[], entries: readonly Entry[]): void {
  const [first] = entries
  if (!first) return
  while ((log.at(-1)?.index ?? 0) >= first.index) log.pop()
  for (const entry of entries) log.push(entry)
}

function lastOf({ groups }: JournalRecord): Map<GroupId, number> {
  const last = new Map<GroupId, number>()
  for (const { group, entries } of groups) {
    const index = entries.at(-1)?.index
    if (index !== undefined) last.set(group, index)
  }
  return last
}
