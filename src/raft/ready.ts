import type { Configuration, Entry, EntryId, PeerId } from './entry.js'
import type { Message, Snapshot } from './message.js'

export type Role = 'follower' | 'preCandidate' | 'candidate' | 'leader'

/** What must be durable before anything that follows from it is said. */
export interface HardState {
  readonly term: number
  readonly votedFor: PeerId | null
  /** Whom this peer, leading its term, has promised its vote of the next one (M2): a restart begins in that term. */
  readonly promisedTo: PeerId | null
  /** Kept so that a restart need not wait to learn it; losing it is harmless. */
  readonly commitIndex: number
}

/** What to write, in one transaction, in the order of the Readys that gave it. */
export interface Write {
  readonly hardState?: HardState
  /** Replaces the whole log: written with the machine's data; entries up to and including it are dropped. */
  readonly snapshot?: Snapshot
  /** Replaces everything from `entries[0].index` on. Empty when there is nothing to append. */
  readonly entries: readonly Entry[]
}

/** A read that may be served from the machine once it has applied `index`, or that failed (`index: null`: ask again). */
export interface ReadState {
  readonly id: number
  readonly index: number | null
}

/**
 * What the caller has to do now. Its duties, in order:
 * 1. send `messages` at once: they promise nothing about this peer's disk;
 * 2. make `write` durable, after every earlier write; then call `persisted(sequence)` and send `messagesAfterWrite`,
 *    in this order. A Ready without a write whose predecessors are all durable is persisted at once;
 * 3. if `write.snapshot` is there, replace the machine's state by it;
 * 4. apply `committed` in order, then call `applied(index)`.
 */
export interface Ready {
  /** Grows by one with each Ready. */
  readonly sequence: number
  readonly messages: readonly Message[]
  readonly write: Write | null
  readonly messagesAfterWrite: readonly Message[]
  readonly committed: readonly Entry[]
  readonly reads: readonly ReadState[]
}

/** A snapshot on its way to a follower. */
export interface SnapshotStatus extends EntryId {
  readonly size: number
  /** So many of its bytes are there. */
  readonly offset: number
}

/** How the leader sees one other member. */
export interface ProgressStatus {
  readonly peerId: PeerId
  readonly state: 'probe' | 'replicate' | 'snapshot'
  readonly matchIndex: number
  readonly nextIndex: number
  /** Heard from since the last check-quorum. */
  readonly active: boolean
  /** The last heartbeat round that it answered in this term; 0 if none. */
  readonly round: number
  /** A voter that is sent entries once they are committed: others are enough, and quicker. */
  readonly inReserve: boolean
  /** In state `snapshot` only. */
  readonly snapshot: SnapshotStatus | null
}

/** A view for hosts, checkers and humans: plain data, a fresh copy at each call. */
export interface Status {
  readonly peerId: PeerId
  readonly role: Role
  readonly term: number
  readonly votedFor: PeerId | null
  readonly promisedTo: PeerId | null
  /** To whom this leader is handing over. */
  readonly transferringTo: PeerId | null
  readonly leader: PeerId | null
  readonly firstIndex: number
  readonly lastIndex: number
  readonly lastTerm: number
  readonly stableIndex: number
  readonly commitIndex: number
  readonly appliedIndex: number
  readonly configuration: Configuration
  /** Index of the newest configuration entry in the log or snapshot: a change is pending while it is above the commit index. */
  readonly configurationIndex: number
  readonly progress: readonly ProgressStatus[]
}
