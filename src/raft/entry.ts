/** A peer's id: the hash of its public key. The core only compares it. */
export type PeerId = string

/** The identity of one log slot: two entries with the same term and index are the same entry (Raft paper 5.3). */
export interface EntryId {
  readonly term: number
  readonly index: number
}

/** The id before the first entry of every log. */
export const noEntry: EntryId = { term: 0, index: 0 }

/**
 * One life of an identity (PROTOCOL F2). The counter grows with each life; the nonce tells two lives with one counter
 * apart, which only a copied or restored store can produce.
 */
export interface Incarnation {
  readonly counter: number
  readonly nonce: string
}

/**
 * Who takes part. A joint configuration has `outgoing` voters: then both majorities are needed to elect and to commit
 * (dissertation 4.3). A configuration takes effect when it is appended, not when it is committed.
 */
export interface Configuration {
  /** Voters, or the incoming voters while a joint change runs. Sorted. */
  readonly voters: readonly PeerId[]
  /** The outgoing voters while a joint change runs, else empty. Sorted. */
  readonly outgoing: readonly PeerId[]
  /** Receive the log without voting. Sorted; disjoint from `voters`. */
  readonly learners: readonly PeerId[]
  /** Outgoing voters that become learners when the joint change ends. Sorted; a subset of `outgoing`. */
  readonly learnersNext: readonly PeerId[]
  /** The highest incarnation seen of each member (F2): carried for the host, not read by the core. */
  readonly incarnations: Readonly<Record<PeerId, Incarnation>>
}

export const emptyConfiguration: Configuration = {
  voters: [],
  outgoing: [],
  learners: [],
  learnersNext: [],
  incarnations: {},
}

/** One slot of the log. `time` is cluster time in ms (PROTOCOL C1): stamped by the leader's host, opaque to the core. */
export type Entry = EntryId & { readonly time: number } & (
    | { readonly type: 'command'; readonly data: Uint8Array }
    | { readonly type: 'configuration'; readonly configuration: Configuration }
    | { readonly type: 'noop' }
  )
