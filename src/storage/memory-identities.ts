/** The identity of a tab that stores nothing: it ends with its worker, so that nobody can ever vote twice under it. */
import type { Incarnation } from '../raft/entry.js'
import { newIdentity, randomText } from './identities.js'
import { MemoryDisk, MemoryStorage } from './memory.js'
import type { Storage } from './storage.js'

/** What the browser knows all the same. */
export interface KnownOfBrowser {
  readonly browserId: string
  readonly roomId: string | null
}

export class MemoryIdentities {
  readonly #disks = new Map<string, MemoryDisk>()
  readonly #browserId: string
  #roomId: string | null

  constructor({ browserId, roomId }: KnownOfBrowser) {
    this.#browserId = browserId
    this.#roomId = roomId
  }

  async browserId(): Promise<string> {
    return this.#browserId
  }

  async list(): Promise<readonly { readonly peerId: string }[]> {
    return [...this.#disks.keys()].map((peerId) => ({ peerId }))
  }

  async create(): Promise<{ readonly peerId: string }> {
    const { peerId } = await newIdentity()
    this.#disks.set(peerId, new MemoryDisk())
    return { peerId }
  }

  async roomId(): Promise<string | null> {
    return this.#roomId
  }

  async setRoomId(roomId: string): Promise<void> {
    this.#roomId = roomId
  }

  /** Who comes back from a history that has ended does so in another worker: what it knew of tokens comes by its page (T1). */
  async archive(peerId: string): Promise<void> {
    this.#disks.delete(peerId)
  }

  /** They are in no other worker's reach. */
  async archived(): Promise<readonly { readonly peerId: string }[]> {
    return []
  }

  async tokenFloor(): Promise<number> {
    return 0
  }

  async lastIncarnation(peerId: string): Promise<Incarnation | null> {
    const incarnation = this.#disks.get(peerId)?.incarnation
    return incarnation && incarnation.counter > 0 ? incarnation : null
  }

  async open(peerId: string): Promise<Storage> {
    const disk = this.#disks.get(peerId) ?? new MemoryDisk()
    this.#disks.set(peerId, disk)
    return new MemoryStorage(disk, randomText())
  }

  /** Never. */
  whenLost(): void {}

  close(): void {}
}
