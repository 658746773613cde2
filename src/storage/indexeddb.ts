/**
 * The durable memory of a peer in the browser: one database per identity, one transaction per turn. The browser's own
 * registry of identities, keys and rooms is `identities.ts`.
 */
import type { DBSchema, IDBPDatabase, IDBPTransaction } from 'idb'
import type { Entry, Incarnation } from '../raft/entry.js'
import type { Snapshot, SnapshotMeta } from '../raft/message.js'
import type { HardState } from '../raft/ready.js'
import { StorageFault, storageFaultOf } from '../shared/storage-fault.js'
import { openDatabase, watchConnection } from './open.js'
import type { GroupId, GroupWrite, Lineage, Storage, StoredGroup, StoredState, WriteBatch } from './storage.js'

interface Schema extends DBSchema {
  /**
   * F3. `now` names the life that writes; each life that has ended has a record of its own under its counter. A counter can be in one
   * record only, so that a write of an ended life breaks the index and with it its whole transaction: a check that needs no
   * answer before the commit.
   */
  writers: { key: 'now' | number; value: { readonly counter: number }; indexes: { counter: number } }
  /** `incarnation` and `lineage`. */
  meta: { key: string; value: Incarnation | Lineage }
  hardStates: { key: GroupId; value: HardState }
  /** By (group, index). */
  log: { key: [GroupId, number]; value: Entry }
  snapshots: { key: GroupId; value: SnapshotMeta }
  /** The data of a snapshot by (group, chunk). */
  chunks: { key: [GroupId, number]; value: Uint8Array }
}
type Stores = ('writers' | 'meta' | 'hardStates' | 'log' | 'snapshots' | 'chunks')[]
type Transaction = IDBPTransaction<Schema, Stores, 'readwrite'>

const stores: Stores = ['writers', 'meta', 'hardStates', 'log', 'snapshots', 'chunks']
const contents = ['hardStates', 'log', 'snapshots', 'chunks'] as const
const schemaVersion = 2
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
  /** The last index of each group's log: only what overlaps has to be deleted first. */
  readonly #lastIndex = new Map<GroupId, number>()
  /** Set by the first failure: after it nothing is promised any more. */
  #failure: StorageFault | null = null
  /** Set when the database was lost under this storage, with nobody writing. */
  #lost: StorageFault | null = null
  #onlost: (fault: StorageFault) => void = () => {}
  /** Settles with the last write that was asked for. */
  #last: Promise<void> = Promise.resolve()

  private constructor(database: IDBPDatabase<Schema>, incarnation: Incarnation, stored: StoredState) {
    this.#database = database
    this.incarnation = incarnation
    this.stored = stored
    for (const [group, { entries, snapshot }] of stored.groups) {
      this.#lastIndex.set(group, entries.at(-1)?.index ?? snapshot?.meta.index ?? 0)
    }
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
      void takeOver(transaction, incarnation.counter)
      const stored = await readState(transaction)
      await transaction.done
      return new IndexedDbStorage(database, incarnation, stored)
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

  /** What tells whether anybody may need that database. `lastIndex`: of the log of group 0, with its snapshot. */
  static async remains(
    name: string,
  ): Promise<{ incarnation: Incarnation | null; lineage: Lineage | null; lastIndex: number }> {
    const database = await openPeer(name)
    try {
      const transaction = database.transaction(['meta', 'log', 'snapshots'])
      const meta = transaction.objectStore('meta')
      const ofRoom = IDBKeyRange.bound([0, 0], [0, Number.POSITIVE_INFINITY])
      const last = await transaction.objectStore('log').openKeyCursor(ofRoom, 'prev')
      const snapshot = await transaction.objectStore('snapshots').get(0)
      return {
        incarnation: ((await meta.get('incarnation')) as Incarnation | undefined) ?? null,
        lineage: ((await meta.get('lineage')) as Lineage | undefined) ?? null,
        lastIndex: last?.key[1] ?? snapshot?.index ?? 0,
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
      this.#failure ??= storageFaultOf(error)
      throw this.#failure
    }
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

  async #transact(batch: WriteBatch): Promise<void> {
    const transaction = this.#database.transaction(stores, 'readwrite', { durability: this.#durability })
    const meta = transaction.objectStore('meta')
    const { counter } = this.incarnation
    const requests: Promise<unknown>[] = [transaction.objectStore('writers').put({ counter }, 'now')]
    try {
      // A value that cannot be cloned throws in between: what was asked for until then is undone.
      if (batch.reset) this.#lastIndex.clear()
      if (batch.reset)
        requests.push(meta.delete('lineage'), ...contents.map((store) => transaction.objectStore(store).clear()))
      if (batch.lineage) requests.push(meta.put(batch.lineage, 'lineage'))
      for (const group of batch.groups) requests.push(...this.#writeGroup(transaction, group))
      transaction.commit()
      await Promise.all(requests)
      await transaction.done
    } catch (error) {
      try {
        transaction.abort()
      } catch {
        // It has ended already, and `done` says how.
      }
      await Promise.allSettled([...requests, transaction.done])
      // The transaction knows why it was aborted; its requests only that it was.
      const cause = transaction.error ?? error
      if (!isConstraint(error) && !isConstraint(cause)) throw cause
      const message = `a later incarnation has taken this database over from incarnation ${counter}`
      throw new StorageFault('taken-over', message, { cause })
    }
  }

  /** In the order in which they take effect; IndexedDB keeps the order of requests. */
  #writeGroup(transaction: Transaction, write: GroupWrite): Promise<unknown>[] {
    const { group } = write
    const log = transaction.objectStore('log')
    const from = (index: number) => IDBKeyRange.bound([group, index], [group, Number.POSITIVE_INFINITY])
    const requests: Promise<unknown>[] = []
    if (write.hardState) requests.push(transaction.objectStore('hardStates').put(write.hardState, group))
    if (write.installed) {
      requests.push(log.delete(from(0)), ...writeSnapshot(transaction, group, write.installed))
      this.#lastIndex.set(group, write.installed.meta.index)
    }
    const first = write.entries[0]
    if (first && first.index <= (this.#lastIndex.get(group) ?? 0)) requests.push(log.delete(from(first.index)))
    for (const entry of write.entries) requests.push(log.put(entry, [group, entry.index]))
    this.#lastIndex.set(group, write.entries.at(-1)?.index ?? this.#lastIndex.get(group) ?? 0)
    if (write.compacted) {
      const { snapshot, keepFrom } = write.compacted
      requests.push(...writeSnapshot(transaction, group, snapshot))
      requests.push(log.delete(IDBKeyRange.bound([group, 0], [group, keepFrom], false, true)))
    }
    return requests
  }
}

function openPeer(name: string): Promise<IDBPDatabase<Schema>> {
  return openDatabase<Schema>(name, schemaVersion, (database, before) => {
    if (before < 1) for (const store of contents) database.createObjectStore(store)
    if (before < 1) database.createObjectStore('meta')
    database.createObjectStore('writers').createIndex('counter', 'counter', { unique: true })
  })
}

/** F3: from here on the life of that counter writes, and none before it. */
async function takeOver(transaction: Transaction, counter: number): Promise<void> {
  const writers = transaction.objectStore('writers')
  const before = counter - 1
  await Promise.all([
    writers.put({ counter }, 'now'),
    writers.put({ counter: before }, before),
    writers.delete(IDBKeyRange.upperBound(before - endedLivesMax)),
  ])
}

function isConstraint(error: unknown): boolean {
  return error instanceof DOMException && error.name === 'ConstraintError'
}

function writeSnapshot(transaction: Transaction, group: GroupId, { meta, data }: Snapshot): Promise<unknown>[] {
  const chunks = transaction.objectStore('chunks')
  const requests: Promise<unknown>[] = [
    transaction.objectStore('snapshots').put(meta, group),
    chunks.delete(IDBKeyRange.bound([group, 0], [group, Number.POSITIVE_INFINITY])),
  ]
  for (let at = 0, chunk = 0; at < data.byteLength; at += chunkBytes, chunk += 1) {
    requests.push(chunks.put(data.slice(at, at + chunkBytes), [group, chunk]))
  }
  return requests
}

async function readState(transaction: Transaction): Promise<StoredState> {
  const lineage = ((await transaction.objectStore('meta').get('lineage')) as Lineage | undefined) ?? null
  const hardStates = transaction.objectStore('hardStates')
  const ids = new Set<GroupId>([
    ...(await hardStates.getAllKeys()),
    ...(await transaction.objectStore('snapshots').getAllKeys()),
    ...(await groupsWithEntries(transaction)),
  ])
  const groups = new Map<GroupId, StoredGroup>()
  for (const id of ids) {
    const range = IDBKeyRange.bound([id, 0], [id, Number.POSITIVE_INFINITY])
    const meta = await transaction.objectStore('snapshots').get(id)
    const chunks = meta ? await transaction.objectStore('chunks').getAll(range) : []
    groups.set(id, {
      hardState: (await hardStates.get(id)) ?? { term: 0, votedFor: null, promisedTo: null, commitIndex: 0 },
      snapshot: meta ? { meta, data: join(chunks) } : null,
      entries: await transaction.objectStore('log').getAll(range),
    })
  }
  return { lineage, groups }
}

async function groupsWithEntries(transaction: Transaction): Promise<GroupId[]> {
  const groups: GroupId[] = []
  let cursor = await transaction.objectStore('log').openKeyCursor()
  while (cursor) {
    const [group] = cursor.key
    groups.push(group)
    cursor = await cursor.continue([group + 1, 0])
  }
  return groups
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
