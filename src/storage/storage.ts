import type { Entry, EntryId, Incarnation } from '../raft/entry.js'
import type { Snapshot } from '../raft/message.js'
import type { HardState } from '../raft/ready.js'
import type { StorageFault } from '../shared/storage-fault.js'

/** A Raft group of a room. The room's own group is 0. */
export type GroupId = number

/** Which room a log belongs to: drawn when the room is founded, never by its name alone (F1, N1). */
export interface Lineage {
  readonly roomId: string
  /** 0 at founding; a fork has a higher one (N3). */
  readonly epoch: number
  /** Random id of the fork; empty at founding. */
  readonly forkId: string
  /** How the fork began; absent at founding. */
  readonly foundation?: Foundation
}

/** A fork's first entry (N3): what came before it is shared with the history that it left. */
export interface Foundation extends EntryId {
  /** The term of the entry before it. */
  readonly previousTerm: number
  /** How many peers were left to begin it. */
  readonly members: number
}

/** Everything that was durable when the database was last open. */
export interface StoredState {
  /** The lineage that this identity belongs to, or null while it has not founded or joined any. */
  readonly lineage: Lineage | null
  readonly groups: ReadonlyMap<GroupId, StoredGroup>
}
export interface StoredGroup {
  readonly hardState: HardState
  readonly snapshot: Snapshot | null
  /** Without gaps, from the snapshot's (or a kept tail's) index on. */
  readonly entries: readonly Entry[]
}

/** One turn's writes of one group, in the order in which they take effect: snapshot, truncate and append, compact. */
export interface GroupWrite {
  readonly group: GroupId
  readonly hardState?: HardState
  /** A snapshot received from the leader: replaces the whole log. */
  readonly installed?: Snapshot
  /** Deletes every entry from the first one's index on, then stores these. */
  readonly entries: readonly Entry[]
  /** A snapshot of this peer's own: stored, and the entries before `keepFrom` deleted. */
  readonly compacted?: { readonly snapshot: Snapshot; readonly keepFrom: number }
}

export interface WriteBatch {
  /** Forgets the lineage and every group first: the room that was written here lost its founding (N1). */
  readonly reset?: true
  readonly lineage?: Lineage
  readonly groups: readonly GroupWrite[]
}

/**
 * The durable memory of one identity: one database, one writer. A storage is opened for one incarnation, which is
 * durable before `open` resolves (F2).
 */
export interface Storage {
  readonly incarnation: Incarnation
  /** What was there when it was opened. */
  readonly stored: StoredState
  /**
   * All or nothing, and durable when it resolves. Writes take effect in the order of the calls. One of a life that is no longer
   * the database's newest is undone within its own transaction (F3). After a rejection (quota, aborted transaction, a later
   * incarnation) every later write is rejected too: the peer stops before it promises anything. `StorageFault` says why.
   */
  write(batch: WriteBatch): Promise<void>
  /**
   * Told once, at once if it has happened already, when the database is gone though nobody was writing: deleted, closed by the
   * browser, or upgraded by newer code. Every later write is rejected.
   */
  whenLost(tell: (fault: StorageFault) => void): void
  /** For the writes from now on: the room's own choice, `strict` until it is known. */
  setDurability(durability: 'strict' | 'relaxed'): void
  close(): void
}
