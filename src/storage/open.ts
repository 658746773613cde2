/** Opens a database within a bounded time: a tab with older code, a frozen one above all, can hold an upgrade up for ever. */
import { type DBSchema, deleteDB, type IDBPDatabase, type OpenDBCallbacks, openDB } from 'idb'
import { StorageFault, storageFaultOf } from '../shared/storage-fault.js'

/** Opening takes milliseconds; what takes longer than this waits for somebody who may never let go, ms. */
const openWithin = 5_000

/** Rejects with a `StorageFault`: `blocked`, `newer-schema`, `quota`, or `unavailable` for whatever else the browser says. */
export async function openDatabase<S extends DBSchema>(
  name: string,
  version: number,
  upgrade: NonNullable<OpenDBCallbacks<S>['upgrade']>,
): Promise<IDBPDatabase<S>> {
  let why = 'the browser did not answer'
  // Some browsers throw where they should reject.
  const opening = Promise.resolve().then(() =>
    openDB<S>(name, version, {
      upgrade,
      blocked: (current) => {
        why = `another tab has version ${current} of it open, and must be closed or reloaded`
      },
    }),
  )
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<null>((resolve) => {
    timer = setTimeout(() => resolve(null), openWithin)
  })
  try {
    const database = await Promise.race([opening, late])
    if (database) return database
  } catch (error) {
    throw storageFaultOf(error, 'unavailable')
  } finally {
    clearTimeout(timer)
  }
  // Should it open after all, it would hold up others in its turn.
  opening.then((database) => database.close()).catch(() => {})
  throw new StorageFault('blocked', `the database ${name} did not open within ${openWithin} ms: ${why}`)
}

/** Rejects with a `StorageFault`: `blocked` while somebody has it open who does not give way. Then it is deleted later. */
export async function deleteDatabase(name: string): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined
  const late = new Promise<never>((_, reject) => {
    const fault = new StorageFault('blocked', `the database ${name} was not deleted within ${openWithin} ms`)
    timer = setTimeout(() => reject(fault), openWithin)
  })
  try {
    await Promise.race([deleteDB(name), late])
  } catch (error) {
    throw storageFaultOf(error, 'unavailable')
  } finally {
    clearTimeout(timer)
  }
}

/** Told once when a connection is gone under its user; it is closed by then. */
export function watchConnection<S extends DBSchema>(
  database: IDBPDatabase<S>,
  gone: (fault: StorageFault) => void,
): void {
  database.addEventListener('close', () => {
    gone(
      new StorageFault(
        'closed',
        `the browser closed the database ${database.name}: its data were cleared, or its disk failed`,
      ),
    )
  })
  // Whoever wants to delete or to upgrade it waits until this connection is closed: give way at once.
  database.addEventListener('versionchange', ({ newVersion }) => {
    database.close()
    gone(
      newVersion === null
        ? new StorageFault('cleared', `the database ${database.name} was deleted`)
        : new StorageFault(
            'upgraded',
            `another tab has upgraded ${database.name} to version ${newVersion}: reload this page`,
          ),
    )
  })
}
