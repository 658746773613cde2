/** A page that runs the contract of storages on real databases, and lends its own to the tests. */

import { openDB } from 'idb'
import { Identities } from '../../../src/storage/identities.js'
import { IndexedDbStorage } from '../../../src/storage/indexeddb.js'
import type { Storage, StoredGroup } from '../../../src/storage/storage.js'
import { storageCases } from '../../contract/storage-cases.js'

const storages = new Map<string, Storage>()
let runs = 0

const storagePage = {
  IndexedDbStorage,
  Identities,
  /** Null when the case holds, else what it says. */
  async run(index: number): Promise<string | null> {
    runs += 1
    const name = `contract ${performance.timeOrigin} ${runs}`
    const opened: Storage[] = []
    const open = async (nonce: string) => {
      const storage = await IndexedDbStorage.open(name, nonce)
      opened.push(storage)
      return storage
    }
    try {
      // No database clones a function.
      await storageCases[index]?.run({ open, unstorable: () => {} })
      return null
    } catch (error) {
      return String(error)
    } finally {
      for (const storage of opened) storage.close()
    }
  },
  async open(name: string, nonce: string): Promise<number> {
    const storage = await IndexedDbStorage.open(name, nonce)
    storages.set(nonce, storage)
    return storage.incarnation.counter
  },
  /** Appends so many entries in the name of that opening; what became of it. */
  async append(nonce: string, from: number, count: number, bytes = 10): Promise<string> {
    const entries = Array.from({ length: count }, (_, i) => ({
      ...{ term: 1, index: from + i, time: 0 },
      type: 'command' as const,
      data: new Uint8Array(bytes),
    }))
    try {
      await storages.get(nonce)?.write({
        groups: [{ group: 0, entries, hardState: { term: 1, votedFor: null, promisedTo: null, commitIndex: 0 } }],
      })
      return 'written'
    } catch (error) {
      return String(error)
    }
  },
  /** The indexes that were there at that opening. */
  indexes(nonce: string): number[] {
    return (
      storages
        .get(nonce)
        ?.stored.groups.get(0)
        ?.entries.map(({ index }) => index) ?? []
    )
  },
  /** All that was there at that opening. */
  stored(nonce: string) {
    const { lineage = null, groups = new Map<number, StoredGroup>() } = storages.get(nonce)?.stored ?? {}
    return { lineage, groups: [...groups].sort(([a], [b]) => a - b) }
  },
  /** A database as an earlier version of the library left it after its fourth life; or only just made. */
  async makeOlder(name: string, version: number, isFull = true): Promise<void> {
    const older = await openDB(name, version, {
      upgrade(database) {
        for (const store of ['meta', 'hardStates', 'log', 'snapshots', 'chunks']) database.createObjectStore(store)
        if (version === 2) database.createObjectStore('writers').createIndex('counter', 'counter', { unique: true })
      },
    })
    const put = (store: string, value: unknown, key: IDBValidKey) => older.put(store, value, key)
    const hardState = { term: 3, votedFor: 'ann', promisedTo: null, commitIndex: 8 }
    const configuration = { voters: ['ann'], outgoing: [], learners: [], learnersNext: [], incarnations: {} }
    if (isFull) {
      await put('meta', { counter: 4, nonce: 'old' }, 'incarnation')
      await put('meta', { roomId: 'room', epoch: 0, forkId: '' }, 'lineage')
      if (version === 2) await put('writers', { counter: 4 }, 'now')
      await put('hardStates', hardState, 0)
      await put('hardStates', { ...hardState, term: 9 }, 2)
      for (const index of [7, 8, 9, 10]) await put('log', { term: 3, index, time: 0, type: 'noop' }, [0, index])
      await put('snapshots', { term: 2, index: 8, configuration, time: 0 }, 0)
      await put('chunks', Uint8Array.of(1, 2), [0, 0])
      await put('chunks', Uint8Array.of(3), [0, 1])
      await put('snapshots', { term: 2, index: 20, configuration, time: 0 }, 1)
    }
    older.close()
  },
  close(nonce: string): void {
    storages.get(nonce)?.close()
  },
}

declare global {
  interface Window {
    storagePage: typeof storagePage
  }
}

window.storagePage = storagePage
