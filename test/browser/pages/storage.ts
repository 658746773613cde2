/** A page that runs the contract of storages on real databases, and lends its own to the tests. */

import { Identities } from '../../../src/storage/identities.js'
import { IndexedDbStorage } from '../../../src/storage/indexeddb.js'
import type { Storage } from '../../../src/storage/storage.js'
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
