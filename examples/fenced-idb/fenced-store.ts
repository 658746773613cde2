/** A store in IndexedDB that refuses writers whose lock has passed on: the newest token is kept beside the data. */
import { type DBSchema, type IDBPDatabase, openDB } from 'idb'
import { StaleFenceError } from '../../src/index.js'

/** A lock, or what is left of one: its name and token. */
export interface Claim {
  readonly name: string
  readonly token: number
}

interface Schema<T> extends DBSchema {
  values: { key: string; value: T }
  /** The newest token that wrote, by lock. */
  tokens: { key: string; value: number }
}

/** What a write may do: its transaction is open as long as one of these is awaited, and nothing else. */
export interface Writer<T> {
  get(key: string): Promise<T | undefined>
  put(key: string, value: T): Promise<void>
  delete(key: string): Promise<void>
}

export class FencedStore<T> {
  readonly #db: IDBPDatabase<Schema<T>>

  private constructor(db: IDBPDatabase<Schema<T>>) {
    this.#db = db
  }

  /** Tokens compare within one room: one database for each. */
  static async open<T>(database: string): Promise<FencedStore<T>> {
    const db = await openDB<Schema<T>>(database, 1, {
      upgrade(db) {
        db.createObjectStore('values')
        db.createObjectStore('tokens')
      },
      // A newer version of the application, in another tab, must not wait for this one.
      blocking: (_current, _blocked, event) => (event.target as IDBDatabase).close(),
    })
    return new FencedStore(db)
  }

  get(key: string): Promise<T | undefined> {
    return this.#db.get('values', key)
  }

  /** `StaleFenceError` if a newer holder of the lock has written, whatever it wrote. */
  put(claim: Claim, key: string, value: T): Promise<void> {
    return this.write(claim, (writer) => writer.put(key, value))
  }

  /** As `put`. */
  delete(claim: Claim, key: string): Promise<void> {
    return this.write(claim, (writer) => writer.delete(key))
  }

  /**
   * Many changes in one transaction: all or none. When `change` throws, nothing is written. IndexedDB runs transactions on the same
   * stores one after the other, so no other tab's write comes between the look at the token and the end.
   */
  async write<R>({ name, token }: Claim, change: (writer: Writer<T>) => Promise<R>): Promise<R> {
    // NaN is older than no token: it would be let in, and then everybody after it.
    if (!Number.isSafeInteger(token) || token < 1)
      throw new TypeError(`claim.token: expected a lock's token, got ${String(token)}`)
    const transaction = this.#db.transaction(['values', 'tokens'], 'readwrite', { durability: 'strict' })
    // Told by what is thrown below; unheard, the abort would be an unhandled rejection besides.
    transaction.done.catch(() => {})
    try {
      const tokens = transaction.objectStore('tokens')
      const newest = (await tokens.get(name)) ?? 0
      if (token < newest) throw new StaleFenceError(`the lock ${JSON.stringify(name)} has passed on`, newest)
      await tokens.put(token, name)
      const values = transaction.objectStore('values')
      const result = await change({
        get: (key) => values.get(key),
        put: async (key, value) => void (await values.put(value, key)),
        delete: (key) => values.delete(key),
      })
      await transaction.done
      return result
    } catch (error) {
      abort(transaction)
      throw error
    }
  }

  close(): void {
    this.#db.close()
  }
}

function abort(transaction: { abort(): void }): void {
  try {
    transaction.abort()
  } catch {
    // It has ended by itself: that is what is being told.
  }
}
