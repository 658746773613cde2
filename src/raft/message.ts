import type { Configuration, Entry, EntryId, PeerId } from './entry.js'

/** What a snapshot says of the log it replaces. */
export interface SnapshotMeta extends EntryId {
  /** The configuration in force at that entry, joint or not. */
  readonly configuration: Configuration
  /** Cluster time of that entry. */
  readonly time: number
}

/** A snapshot with the machine's state, which the core never looks into. */
export interface Snapshot {
  readonly meta: SnapshotMeta
  readonly data: Uint8Array
}

interface Addressed {
  readonly from: PeerId
  readonly to: PeerId
  /** The sender's term; in a `preVote` and in a granted `preVoteReply` the term that the candidate would campaign in. */
  readonly term: number
}

/** What cores say to each other. Every message may be lost, delayed, duplicated or reordered. */
export type Message = Addressed &
  (
    | { readonly type: 'preVote'; readonly last: EntryId }
    | { readonly type: 'preVoteReply'; readonly granted: boolean }
    /** `transfer`: the old leader asked for this campaign, so leader stickiness does not apply (dissertation 4.2.3). */
    | { readonly type: 'vote'; readonly last: EntryId; readonly transfer: boolean }
    | { readonly type: 'voteReply'; readonly granted: boolean }
    | {
        readonly type: 'append'
        readonly previous: EntryId
        readonly entries: readonly Entry[]
        readonly commitIndex: number
      }
    /**
     * Everything up to this entry is committed. Only whoever has that very entry learns from it, and it is not answered: what it
     * says comes again with every append and heartbeat.
     */
    | { readonly type: 'commit'; readonly last: EntryId }
    /** Everything up to this entry of its own term is durable at the leader. A loss only costs time: not answered either. */
    | { readonly type: 'stable'; readonly index: number }
    /** `index`: everything up to here matches the leader's log and is durable at the sender. */
    | { readonly type: 'appendReply'; readonly rejected: false; readonly index: number }
    /** `index`: the refused `previous.index`. `hint`: the last place where the logs may agree (fast back-off). */
    | { readonly type: 'appendReply'; readonly rejected: true; readonly index: number; readonly hint: EntryId }
    /**
     * `round` numbers the leader's heartbeat rounds within its term: a quorum of replies to round n proves that it still
     * led when round n began. `electionTicks` is the leader's minimum election time-out, which followers adopt (M5).
     * `heir`: the fittest of those who could lead next, if one is fitter than others.
     * `quiet`: the leader would like the group to rest (groups.ts); whoever does not know of it answers as always.
     */
    | {
        readonly type: 'heartbeat'
        readonly commitIndex: number
        readonly round: number
        readonly electionTicks: number
        readonly heir?: PeerId
        readonly quiet?: boolean
      }
    /** `priority`: how fit the sender is to lead, 0 if it is not there. `quiet`: it rests from now on. */
    | {
        readonly type: 'heartbeatReply'
        readonly round: number
        readonly priority?: number
        readonly quiet?: boolean
      }
    /** The leader hands over: its receiver, which has the whole log, campaigns at once (dissertation 3.10). */
    | { readonly type: 'timeoutNow' }
    /**
     * A part of a snapshot of `size` bytes, from `offset` on. `checksum`: CRC-32 of the whole data. An empty part asks what is there; of an
     * empty snapshot it is all.
     */
    | {
        readonly type: 'snapshot'
        readonly meta: SnapshotMeta
        readonly size: number
        readonly checksum: number
        readonly offset: number
        readonly data: Uint8Array
      }
    /** `offset`: so many bytes of that snapshot are here without a gap. Once it is durable an `appendReply` says so instead. */
    | { readonly type: 'snapshotReply'; readonly snapshot: EntryId; readonly offset: number }
    /** A follower's linearizable read, answered by the leader when a round that began after it came is acknowledged. */
    | { readonly type: 'readIndex'; readonly id: number }
    | { readonly type: 'readIndexReply'; readonly id: number; readonly index: number; readonly rejected: boolean }
  )

export type MessageOf<T extends Message['type']> = Extract<Message, { readonly type: T }>
