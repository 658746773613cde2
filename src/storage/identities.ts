/**
 * What a browser (one origin's storage) knows of itself: its id, the identities that it keeps for each room with their
 * keys, and which rooms it has met. One small database beside those of the identities.
 */
import type { DBSchema, IDBPDatabase } from 'idb'
import type { Incarnation } from '../raft/entry.js'
import { type StorageFault, storageFaultOf } from '../shared/storage-fault.js'
import { databaseName, IndexedDbStorage } from './indexeddb.js'
import { deleteDatabase, openDatabase, watchConnection } from './open.js'
import type { Storage } from './storage.js'

interface Schema extends DBSchema {
  browser: { key: 'id'; value: string }
  /** By (room, peer id). */
  identities: { key: [string, string]; value: StoredIdentity }
  /** The id of each room by its name. */
  rooms: { key: string; value: string }
}

export interface StoredIdentity {
  readonly peerId: string
  /** Non-extractable: no script can take it away, and a copied profile is the only way to have it twice. */
  readonly keys: CryptoKeyPair
  readonly lastUsed: number
  /** Of a history that has ended (N2, N3): its database is an archive, and no token of it is above this. */
  readonly archivedWith?: number
}

const registryName = 'comity'
const schemaVersion = 1
/** 128 bits of the key's hash: as hard to meet by chance or by search as a UUID, and short on every wire. */
const peerIdBytes = 16

export class Identities {
  readonly #database: IDBPDatabase<Schema>
  readonly #room: string
  #lost: StorageFault | null = null
  #onlost: (fault: StorageFault) => void = () => {}

  private constructor(database: IDBPDatabase<Schema>, room: string) {
    this.#database = database
    this.#room = room
    watchConnection(database, (fault) => {
      this.#lost = fault
      this.#onlost(fault)
    })
  }

  static async openRegistry(room: string): Promise<Identities> {
    const database = await openDatabase<Schema>(registryName, schemaVersion, (database) => {
      database.createObjectStore('browser')
      database.createObjectStore('identities')
      database.createObjectStore('rooms')
    })
    return new Identities(database, room)
  }

  /** Told once, at once if it has happened already: what this browser knows of itself is gone, or belongs to newer code. */
  whenLost(tell: (fault: StorageFault) => void): void {
    this.#onlost = tell
    if (this.#lost) tell(this.#lost)
  }

  async browserId(): Promise<string> {
    const transaction = this.#database.transaction('browser', 'readwrite')
    const found = await transaction.store.get('id')
    const id = found ?? randomText()
    if (found === undefined) await transaction.store.put(id, 'id')
    await transaction.done
    return id
  }

  /** The newest claim first: a reload shall get its own back. */
  async list(): Promise<readonly StoredIdentity[]> {
    const all = await this.#all()
    return all.filter(({ archivedWith }) => archivedWith === undefined).sort((a, b) => b.lastUsed - a.lastUsed)
  }

  async archived(): Promise<readonly StoredIdentity[]> {
    return (await this.#all()).filter(({ archivedWith }) => archivedWith !== undefined)
  }

  #all(): Promise<StoredIdentity[]> {
    return this.#database.getAll('identities', IDBKeyRange.bound([this.#room, ''], [this.#room, '\uffff']))
  }

  /** Its history has ended: it is never claimed again (N2, N3). */
  async archive(peerId: string, tokenFloor: number): Promise<void> {
    const transaction = this.#database.transaction('identities', 'readwrite')
    const found = await transaction.store.get([this.#room, peerId])
    if (found) await transaction.store.put({ ...found, archivedWith: tokenFloor }, [this.#room, peerId])
    await transaction.done
  }

  async tokenFloor(): Promise<number> {
    return Math.max(0, ...(await this.#all()).map(({ archivedWith = 0 }) => archivedWith))
  }

  async create(): Promise<StoredIdentity> {
    const identity = await newIdentity()
    try {
      await this.#database.put('identities', identity, [this.#room, identity.peerId])
    } catch (error) {
      // A private window may open databases and take no keys.
      throw storageFaultOf(error, 'unavailable')
    }
    return identity
  }

  async #touch(peerId: string): Promise<void> {
    const transaction = this.#database.transaction('identities', 'readwrite')
    const found = await transaction.store.get([this.#room, peerId])
    if (found) await transaction.store.put({ ...found, lastUsed: Date.now() }, [this.#room, peerId])
    await transaction.done
  }

  async roomId(): Promise<string | null> {
    return (await this.#database.get('rooms', this.#room)) ?? null
  }

  async setRoomId(roomId: string): Promise<void> {
    await this.#database.put('rooms', roomId, this.#room)
  }

  /** The last life that the identity's database saw. Only under its identity lock. */
  async lastIncarnation(peerId: string): Promise<Incarnation | null> {
    return IndexedDbStorage.lastIncarnation(databaseName(this.#room, peerId))
  }

  /** What its database holds. Only under its identity lock. */
  remains(peerId: string): ReturnType<typeof IndexedDbStorage.remains> {
    return IndexedDbStorage.remains(databaseName(this.#room, peerId))
  }

  /** Forgets the identity. The database first: an identity without one is never claimed (B13), a database without one never found. */
  async remove(peerId: string): Promise<void> {
    await deleteDatabase(databaseName(this.#room, peerId))
    await this.#database.delete('identities', [this.#room, peerId])
  }

  /** Opens the identity's database for a new life (F2), and makes it the first to be taken back. */
  async open(peerId: string): Promise<Storage> {
    await this.#touch(peerId)
    return IndexedDbStorage.open(databaseName(this.#room, peerId), randomText())
  }

  close(): void {
    this.#database.close()
  }
}

export async function newIdentity(): Promise<StoredIdentity> {
  const keys = await generateKeys()
  return { peerId: await peerIdOf(keys.publicKey), keys, lastUsed: Date.now() }
}

/** Ed25519 where the browser has it, else ECDSA P-256 (PLATFORM 48). */
async function generateKeys(): Promise<CryptoKeyPair> {
  try {
    return (await crypto.subtle.generateKey({ name: 'Ed25519' }, false, ['sign', 'verify'])) as CryptoKeyPair
  } catch {
    return crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign', 'verify'])
  }
}

/** The hash of the public key, in the alphabet of URLs. */
async function peerIdOf(publicKey: CryptoKey): Promise<string> {
  const hash = await crypto.subtle.digest('SHA-256', await crypto.subtle.exportKey('raw', publicKey))
  return base64Url(new Uint8Array(hash, 0, peerIdBytes))
}

/** 128 random bits as text. */
export function randomText(): string {
  return base64Url(crypto.getRandomValues(new Uint8Array(16)))
}

function base64Url(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes))
    .replaceAll('+', '-')
    .replaceAll('/', '_')
    .replaceAll('=', '')
}
