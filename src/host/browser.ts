/** What a host needs of the browser around it besides storage and links. Doubles of these drive the simulator. */
import type { Incarnation, PeerId } from '../raft/entry.js'
import type { Storage } from '../storage/storage.js'

/** The locks of the browser (Web Locks API), seen by every tab of the origin and freed the moment their holder is gone. */
export interface LockService {
  /**
   * Waits for the lock and holds it until `release`, or gives null at once when `ifAvailable` and it is taken. Rejects with
   * the signal's reason when aborted while waiting.
   */
  hold(
    name: string,
    options?: { readonly ifAvailable?: boolean; readonly signal?: AbortSignal },
  ): Promise<HeldLock | null>
}

export interface HeldLock {
  /** Idempotent. */
  release(): void
  /** Called once if the browser takes the lock away under its holder (L3). */
  onlost: (() => void) | null
}

/** The identities of one room in one browser (one origin's storage). */
export interface IdentityStore {
  /** Random, made once per browser and kept as long as its storage. */
  browserId(): Promise<string>
  /** Without those that are archived. The newest claim first. */
  list(): Promise<readonly { readonly peerId: PeerId }[]>
  /** A new key pair; the peer id is the hash of its public part. */
  create(): Promise<{ readonly peerId: PeerId }>
  /** The room's id as this browser knows it, null if it never met the room. */
  roomId(): Promise<string | null>
  /** Only under the founding lock. */
  setRoomId(roomId: string): Promise<void>
  /** That identity's history has ended here: it is kept for whoever wants to look, and never claimed again. */
  archive(peerId: PeerId, tokenFloor: number): Promise<void>
  /** Those: nobody reopens them, and their deaths can be proven all the same (L2). */
  archived(): Promise<readonly { readonly peerId: PeerId }[]>
  /** The highest token that the archived ones know of, 0 if there are none (T1). */
  tokenFloor(): Promise<number>
  /** The last life that the identity's database saw, null if it never had one. Only under its identity lock. */
  lastIncarnation(peerId: PeerId): Promise<Incarnation | null>
  /** Opens the identity's database for a new incarnation (F2). Only under its identity lock (L1). */
  open(peerId: PeerId): Promise<Storage>
}

/** Registers the room's id where browsers meet: compare-and-set, the first wins (N1). */
export interface Registrar {
  /** The id that the room already has there, or null. Resolves when enough servers have answered. */
  lookUp(): Promise<string | null>
  /** Resolves with the winner's id. `existing`: this peer carries a room that was founded before. */
  register(roomId: string, existing: boolean): Promise<string>
}
