/**
 * The durable memory of a peer in the browser: one database per identity, one transaction per turn. The browser's own
 * registry of identities, keys and rooms is `identities.ts`.
 */
import { type DBSchema, type IDBPDatabase, type IDBPTransaction, unwrap } from 'idb'
import type { Incarnation } from '../raft/entry.js'
import type { Snapshot, SnapshotMeta } from '../raft/message.js'
import { StorageFault, storageFaultOf } from '../shared/storage-fault.js'
import {
  ended,
  Journal,
  type Journaled,
  type JournalKey,
  type JournalRecord,
  lastIndexIn,
  nothingReplayed,
  replay,
} from './journal.js'
import { bringToJournal } from './older-schemas.js'
import { openDatabase, watchConnection } from './open.js'
import type { GroupId, Lineage, Storage, StoredGroup, StoredState, WriteBatch } from './storage.js'

interface Schema extends DBSchema {
  /** `incarnation` and `lineage`. */
  meta: { key: string; value: Incarnation | Lineage }
  /** One write, one record: the less a transaction touches, the sooner it is durable. */
  journal: { key: JournalKey; value: Journaled }
  snapshots: { key: GroupId; value: SnapshotMeta }
  /** The data of a snapshot by (group, chunk). */
  chunks: { key: [GroupId, number]; value: Uint8Array }
}
type StoreName = 'meta' | 'journal' | 'snapshots' | 'chunks'
type Transaction = IDBPTransaction<Schema, StoreName[], 'readwrite'>

const stores: StoreName[] = ['meta', 'journal', 'snapshots', 'chunks']
const schemaVersion = 3
/** So many ended lives are remembered: a page that is frozen for longer has been reloaded a thousand times meanwhile. */
const endedLivesMax = 1_000
/** Values beyond this are slow to clone in some engines: a snapshot is kept in pieces. */
const chunkBytes = 256 * 1024

/** Name of the database of an identity in a room. */
export function databaseName(room: string, peerId: string): string {
  return `comity:${room}:${peerId}`
}

export class IndexedDbStorage implements Storage {
  readonly incarnation: Incarnation
  readonly stored: StoredState
  readonly #database: IDBPDatabase<Schema>
  #durability: 'strict' | 'relaxed' = 'strict'
  readonly #journal: Journal
  /** Set by the first failure: after it nothing is promised any more. */
  #failure: StorageFault | null = null
  /** Set when the database was lost under this storage, with nobody writing. */
  #lost: StorageFault | null = null
  #onlost: (fault: StorageFault) => void = () => {}
  /** Settles with the last write that was asked for. */
  #last: Promise<void> = Promise.resolve()

  private constructor(
    database: IDBPDatabase<Schema>,
    incarnation: Incarnation,
    { stored, records }: { readonly stored: StoredState; readonly records: Records },
  ) {
    this.#database = database
    this.incarnation = incarnation
    this.stored = stored
    this.#journal = new Journal(incarnation.counter, records)
    watchConnection(database, (fault) => this.#lose(fault))
  }

  /**
   * Opens the database for a new incarnation, which is durable when this resolves (F2). Only under the identity lock (L1).
   * Rejects with a `StorageFault`.
   */
  static async open(name: string, nonce: string): Promise<IndexedDbStorage> {
    const database = await openPeer(name)
    try {
      const transaction = database.transaction(stores, 'readwrite', { durability: 'strict' })
      const before = (await transaction.objectStore('meta').get('incarnation')) as Incarnation | undefined
      const incarnation = { counter: (before?.counter ?? 0) + 1, nonce }
      void transaction.objectStore('meta').put(incarnation, 'incarnation')
      const found = await takeOver(transaction, incarnation.counter)
      await transaction.done
      return new IndexedDbStorage(database, incarnation, found)
    } catch (error) {
      database.close()
      throw storageFaultOf(error)
    }
  }

  /** The last life that this database saw, null if it never had one. */
  static async lastIncarnation(name: string): Promise<Incarnation | null> {
    const database = await openPeer(name)
    try {
      return ((await database.get('meta', 'incarnation')) as Incarnation | undefined) ?? null
    } finally {
      database.close()
    }
  }

  /** What tells whether anybody may need that database. `lastIndex`: of the log of group 0, and of what its snapshot stands for. */
  static async remains(
    name: string,
  ): Promise<{ incarnation: Incarnation | null; lineage: Lineage | null; lastIndex: number }> {
    const database = await openPeer(name)
    try {
      const transaction = database.transaction(['meta', 'journal'])
      const meta = transaction.objectStore('meta')
      const lastIndex = await lastJournaled(transaction)
      return {
        incarnation: ((await meta.get('incarnation')) as Incarnation | undefined) ?? null,
        lineage: ((await meta.get('lineage')) as Lineage | undefined) ?? null,
        lastIndex,
      }
    } finally {
      database.close()
    }
  }

  /** One after the other: what was asked for behind a write that fails has to fail too. */
  write(batch: WriteBatch): Promise<void> {
    const written = this.#last.then(() => this.#write(batch))
    this.#last = written.catch(() => {})
    return written
  }

  async #write(batch: WriteBatch): Promise<void> {
    if (this.#failure) throw this.#failure
    try {
      await this.#transact(batch)
    } catch (error) {
      // Why the connection went tells more than what became of the transaction.
      this.#failure ??= this.#faultOf(error)
      throw this.#failure
    }
  }

  #faultOf(error: unknown): StorageFault {
    if (!(error instanceof DOMException) || error.name !== 'ConstraintError') return storageFaultOf(error)
    const message = `a later incarnation has taken this database over from incarnation ${this.incarnation.counter}`
    return new StorageFault('taken-over', message, { cause: error })
  }

  whenLost(tell: (fault: StorageFault) => void): void {
    this.#onlost = tell
    if (this.#lost) tell(this.#lost)
  }

  #lose(fault: StorageFault): void {
    if (this.#failure) return
    this.#failure = fault
    this.#lost = fault
    this.#onlost(fault)
  }

  setDurability(durability: 'strict' | 'relaxed'): void {
    this.#durability = durability
  }

  close(): void {
    this.#failure ??= new StorageFault('closed', 'the storage is closed')
    this.#database.close()
  }

  /** Without a promise for each request: what counts is how the transaction ends, and every commit waits for it. */
  async #transact(batch: WriteBatch): Promise<void> {
    const isPlain =
      !batch.reset && !batch.lineage && batch.groups.every(({ installed, compacted }) => !installed && !compacted)
    const durability = this.#durability
    const transaction = unwrap(this.#database).transaction(isPlain ? 'journal' : stores, 'readwrite', { durability })
    const end = endOf(transaction)
    try {
      this.#journalize(transaction.objectStore('journal'), batch)
      if (!isPlain) writeAside(transaction, batch)
      transaction.commit()
    } catch (error) {
      // A value that cannot be cloned: what was asked for before it is undone.
      try {
        transaction.abort()
      } catch {
        // It has ended already, with its connection.
      }
      await end.catch(() => {})
      throw error
    }
    await end
  }

  /** F3: the key is taken if this life has ended, which breaks the whole transaction. No check has to be answered before the commit. */
  #journalize(journal: IDBObjectStore, batch: WriteBatch): void {
    const { next } = this.#journal
    const step = this.#journal.step(batch)
    if (step) {
      journal.add(step.record, step.key)
      for (const [from, to] of step.obsolete) journal.delete(IDBKeyRange.bound(from, to))
    } else {
      // Nothing to be kept, but whose database it is has to be asked all the same.
      journal.add(ended, next)
      journal.delete(next)
    }
  }
}

type Records = readonly (readonly [JournalKey, JournalRecord])[]

function openPeer(name: string): Promise<IDBPDatabase<Schema>> {
  return openDatabase<Schema>(name, schemaVersion, (database, before, _after, transaction) => {
    if (before === 0) for (const store of stores) database.createObjectStore(store)
    else bringToJournal(unwrap(transaction))
  })
}

/** What is not in the journal: lineage and snapshots. */
function writeAside(transaction: IDBTransaction, { reset, lineage, groups }: WriteBatch): void {
  const meta = transaction.objectStore('meta')
  if (reset) {
    meta.delete('lineage')
    transaction.objectStore('snapshots').clear()
    transaction.objectStore('chunks').clear()
  }
  if (lineage) meta.put(lineage, 'lineage')
  for (const { group, installed, compacted } of groups) {
    const snapshot = compacted?.snapshot ?? installed
    if (snapshot) writeSnapshot(transaction, group, snapshot)
  }
}

function writeSnapshot(transaction: IDBTransaction, group: GroupId, { meta, data }: Snapshot): void {
  transaction.objectStore('snapshots').put(meta, group)
  const chunks = transaction.objectStore('chunks')
  chunks.delete(IDBKeyRange.bound([group, 0], [group, Number.POSITIVE_INFINITY]))
  for (let at = 0, chunk = 0; at < data.byteLength; at += chunkBytes, chunk += 1) {
    chunks.put(data.slice(at, at + chunkBytes), [group, chunk])
  }
}

/** Rejects with what aborted it. */
function endOf(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve()
    transaction.onabort = () =>
      reject(transaction.error ?? new DOMException('the browser aborted the transaction', 'AbortError'))
  })
}

/** What is there, and ends the life before this one (F3): from here on nothing of it is written any more. */
async function takeOver(
  transaction: Transaction,
  counter: number,
): Promise<{ readonly stored: StoredState; readonly records: Records }> {
  const journal = transaction.objectStore('journal')
  const [keys, values] = await Promise.all([journal.getAllKeys(), journal.getAll()])
  const records: [JournalKey, JournalRecord][] = []
  const requests: Promise<unknown>[] = []
  let next: JournalKey = [counter - 1, 1]
  for (const [i, key] of keys.entries()) {
    const value = values[i]
    if (key[0] === counter - 1) next = [counter - 1, key[1] + 1]
    if (value !== undefined && value !== ended) records.push([key, value])
    else if (key[0] < counter - endedLivesMax) requests.push(journal.delete(key))
  }
  const [stored] = await Promise.all([readState(transaction, records), journal.put(ended, next), ...requests])
  return { stored, records }
}

async function readState(transaction: Transaction, records: Records): Promise<StoredState> {
  const lineage = ((await transaction.objectStore('meta').get('lineage')) as Lineage | undefined) ?? null
  const replayed = replay(records.map(([, record]) => record))
  const snapshots = transaction.objectStore('snapshots')
  const groups = new Map<GroupId, StoredGroup>()
  for (const id of new Set([...replayed.keys(), ...(await snapshots.getAllKeys())])) {
    const range = IDBKeyRange.bound([id, 0], [id, Number.POSITIVE_INFINITY])
    const meta = await snapshots.get(id)
    const chunks = meta ? await transaction.objectStore('chunks').getAll(range) : []
    groups.set(id, {
      ...(replayed.get(id) ?? nothingReplayed),
      snapshot: meta ? { meta, data: join(chunks) } : null,
    })
  }
  return { lineage, groups }
}

/** The last index of the room's log, from the newest record that tells it. */
async function lastJournaled(transaction: IDBPTransaction<Schema, StoreName[], 'readonly'>): Promise<number> {
  let cursor = await transaction.objectStore('journal').openCursor(null, 'prev')
  while (cursor) {
    const last = cursor.value === ended ? null : lastIndexIn(cursor.value, 0)
    if (last !== null) return last
    cursor = await cursor.continue()
  }
  return 0
}

function join(chunks: readonly Uint8Array[]): Uint8Array {
  const data = new Uint8Array(chunks.reduce((length, chunk) => length + chunk.byteLength, 0))
  let at = 0
  for (const chunk of chunks) {
    data.set(chunk, at)
    at += chunk.byteLength
  }
  return data
}
