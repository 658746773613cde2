/**
 * Databases of earlier versions, brought to the journal within the upgrade's own transaction: all of it or nothing. Version 1 had a
 * record for each entry; version 2 guarded it by the index of another store.
 */
import type { Entry, Incarnation } from '../raft/entry.js'
import type { SnapshotMeta } from '../raft/message.js'
import type { HardState } from '../raft/ready.js'
import type { JournalGroup, JournalKey, JournalRecord } from './journal.js'
import type { GroupId } from './storage.js'

/** What the older stores hold: `log` by (group, index), `hardStates` and `snapshots` by group. */
interface Older {
  readonly incarnation: Incarnation | undefined
  readonly logKeys: readonly (readonly [GroupId, number])[]
  readonly log: readonly Entry[]
  readonly hardStateKeys: readonly GroupId[]
  readonly hardStates: readonly HardState[]
  readonly snapshotKeys: readonly GroupId[]
  readonly snapshots: readonly SnapshotMeta[]
}

/** Only in an upgrade. Whatever goes wrong aborts it, and the database stays as it was. */
export function bringToJournal(transaction: IDBTransaction): void {
  const journal = transaction.db.createObjectStore('journal')
  read(transaction)
    .then((older) => {
      const key: JournalKey = [older.incarnation?.counter ?? 0, 1]
      const record: JournalRecord = { groups: groupsOf(older) }
      if (record.groups.length > 0) journal.add(record, key)
      for (const name of ['log', 'hardStates', 'writers'])
        if (transaction.objectStoreNames.contains(name)) transaction.db.deleteObjectStore(name)
    })
    .catch(() => transaction.abort())
}

async function read(transaction: IDBTransaction): Promise<Older> {
  const all = (name: string) => {
    const store = transaction.objectStore(name)
    return Promise.all([answer(store.getAllKeys()), answer(store.getAll())])
  }
  const [incarnation, [logKeys, log], [hardStateKeys, hardStates], [snapshotKeys, snapshots]] = await Promise.all([
    answer(transaction.objectStore('meta').get('incarnation')),
    all('log'),
    all('hardStates'),
    all('snapshots'),
  ])
  return {
    incarnation,
    logKeys: logKeys as [GroupId, number][],
    log,
    hardStateKeys: hardStateKeys as GroupId[],
    hardStates,
    snapshotKeys: snapshotKeys as GroupId[],
    snapshots,
  }
}

function groupsOf(older: Older): JournalGroup[] {
  const hardStates = new Map(older.hardStateKeys.map((group, i) => [group, older.hardStates[i]]))
  const snapshots = new Map(older.snapshotKeys.map((group, i) => [group, older.snapshots[i]]))
  const logs = new Map<GroupId, Entry[]>()
  for (const [i, [group]] of older.logKeys.entries()) {
    const log = logs.get(group) ?? []
    logs.set(group, log)
    const entry = older.log[i]
    if (entry) log.push(entry)
  }
  return [...new Set([...hardStates.keys(), ...snapshots.keys(), ...logs.keys()])].map((group) => {
    const [hardState, snapshot, entries = []] = [hardStates.get(group), snapshots.get(group), logs.get(group)]
    return {
      group,
      ...(hardState && { hardState }),
      ...(snapshot && entries.length === 0 && { installed: snapshot.index }),
      entries,
    }
  })
}

function answer<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result)
    request.onerror = () => reject(request.error)
  })
}
