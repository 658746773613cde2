import { type Configuration, type EntryId, noEntry, type PeerId } from './entry.js'
import { createLog, type Log, type Restored, termAt } from './log.js'
import type { Message } from './message.js'
import type { PartialSnapshot } from './partial.js'
import type { Progress } from './progress.js'
import { createRandom, nextFraction, nextUint32, type Random } from './random.js'
import type { ReadState, Role } from './ready.js'
import { checkRestored } from './restored.js'
import type { Offer } from './stream.js'

/** In ticks. */
export interface RaftTiming {
  /** The minimum election time-out T. Time-outs are uniform in [T, `electionTicksMax`). */
  readonly electionTicks: number
  readonly electionTicksMax: number
  readonly heartbeatTicks: number
  /** How long a pre-candidate waits for answers before it asks again; spread like the election time-out. */
  readonly preVoteTicks: number
}

export interface RaftOptions extends RaftTiming {
  readonly peerId: PeerId
  /** All randomness of this core: time-outs and the numbers of its forwarded reads. Give each life another one. */
  readonly seed: number
  /** What was durable when the last life ended. Omitted: a newborn that knows nobody. */
  readonly restored?: Restored
  /**
   * The first entry of this history, if it began by `fork` from a log that others have too (PROTOCOL N3): a peer whose log has not come
   * to it does not campaign, since its voters are those of the history before. @default none
   */
  readonly foundation?: EntryId
  /**
   * Lease reads: for so many ticks after a heartbeat round was *sent* that a quorum has answered, this leader answers reads without a round
   * (dissertation 6.4.1). 0: never. It assumes that no voter's clock, frozen or asleep included, runs faster against this one's than
   * `electionTicks` to this, for voters keep to a leader for `electionTicks` by their own. A browser keeps no such promise while
   * a device sleeps: off unless the caller knows better. With it, nobody may call `forgetLeader` or show a promised vote of
   * a leader that may still answer (M5). @default 0
   */
  readonly leaseTicks?: number
  /**
   * Members where nobody waits for it (`tell`) hear of commits so many ticks apart, if that is not the first for as long: fewer and larger messages
   * to them in a busy group. 0: of each at once. @default 0
   */
  readonly newsTicks?: number
  /** Bytes of entries in one append (one entry may be larger). @default 256 KiB */
  readonly maxAppendBytes?: number
  /** Appends under way to one follower. @default 64 */
  readonly maxInflightAppends?: number
  /** Bytes of entries under way to one follower. @default 1 MiB */
  readonly maxInflightBytes?: number
  /** Bytes of a snapshot in one message. @default 64 KiB */
  readonly maxChunkBytes?: number
  /** Bytes of a snapshot under way to one follower (one chunk may be larger). @default 256 KiB */
  readonly maxInflightChunkBytes?: number
  /** A larger snapshot is not taken from a leader: what has come of one is kept in memory. @default 64 MiB */
  readonly maxSnapshotBytes?: number
  /** Bytes of commands in the leader's log above its commit index; above it proposals are refused. @default 4 MiB */
  readonly maxUncommittedBytes?: number
  /** Bytes of committed entries in one Ready (one entry may be larger). @default 1 MiB */
  readonly maxCommittedBytes?: number
}

export interface Limits {
  readonly appendBytes: number
  readonly inflightAppends: number
  readonly inflightBytes: number
  readonly chunkBytes: number
  readonly inflightChunkBytes: number
  readonly snapshotBytes: number
  readonly uncommittedBytes: number
  readonly committedBytes: number
}

/** Leadership on its way to another voter. */
export interface Transfer {
  readonly to: PeerId
  /** On `clock`: then it has failed, and proposals are taken again. */
  readonly due: number
  /** It has been told to campaign. */
  isTold: boolean
}

/** A read that the leader has taken on, its own or a follower's. */
export interface ReadRequest {
  readonly from: PeerId
  readonly id: number
}

/** A read that waits for `round` to be acknowledged. */
export interface ConfirmingRead extends ReadRequest {
  readonly index: number
  readonly round: number
}

/** What only a leader has; gone when it steps down. */
export interface Leading {
  /** The other members (and who is leaving, until it knows), in the order of their ids. */
  readonly progress: Map<PeerId, Progress>
  /** Number of the newest heartbeat round begun in this term. */
  round: number
  /** The highest round that a quorum has acknowledged. Never goes down: what was confirmed was true. */
  confirmedRound: number
  /** When each round that is not confirmed yet was sent, on `clock`; only while leases are on. */
  readonly roundsSentAt: Map<number, number>
  /** On `clock`: no other leader can have been elected before then. */
  leaseUntil: number
  /** Wait for a round that begins after they came, or for the term's first commit. */
  readonly waitingReads: ReadRequest[]
  /** Ascending by round. */
  readonly confirmingReads: ConfirmingRead[]
  /** Exactly the sum of `proposalBytes` over the log above the commit index (B25). */
  uncommittedBytes: number
  /** The newest snapshot that somebody needed. */
  offer: Offer | null
  /** Something may be there to send. Sending waits for the next Ready, so that one turn's proposals are one append. */
  dirty: boolean
  /** On `clock`: since when entries that are not committed have been kept from who is in reserve (reserve.ts). */
  heldAt: number | null
  /** On `clock`: when those who wait for nothing hear of what is committed (news.ts); infinite when all have. */
  newsDue: number
  /** The commit index at the last beat. */
  commitAtBeat: number
  /** Up to here a follower may know that an entry is committed before this leader does. */
  claimed: number
  transfer: Transfer | null
  /** Somebody was told to campaign in this term: that word may come at any time, however the transfer ended. */
  hasHandedOver: boolean
  /** As of the last check-quorum. */
  hasQuorum: boolean
  /** Checks in a row that have heard no quorum. */
  missedChecks: number
}

export interface ForwardedRead {
  readonly id: number
  /** The leader of this term. It may answer although it was given up meanwhile: only another term makes that void. */
  readonly to: PeerId
  /** On `clock`: then it has failed (B28). */
  readonly due: number
}

/** The vote of the next term, given away ahead of it (M2). One object for each promise: an old write vouches for no new one. */
export interface Promised {
  readonly to: PeerId
  isDurable: boolean
}

/** The whole state of one core: plain data. Invariant: `leading` is there exactly while `role` is `leader`. */
export interface RaftState {
  readonly peerId: PeerId
  timing: RaftTiming
  readonly limits: Limits
  readonly random: Random
  readonly log: Log
  foundation: EntryId
  term: number
  votedFor: PeerId | null
  /** Only of a leader: kept when it stops leading, by which it enters that term. */
  promise: Promised | null
  /** Of a candidate: whose promised vote it has, and whom its first entry therefore removes (M2). */
  succeeds: PeerId | null
  /** Of a candidate: the configuration with which it begins a history of its own (N3). */
  forks: Configuration | null
  role: Role
  leader: PeerId | null
  leading: Leading | null
  readonly leaseTicks: number
  readonly newsTicks: number
  /** All ticks so far. */
  clock: number
  /** Leader: since the last check-quorum. Others: since they heard of the leader, granted a vote or began to campaign. */
  elapsed: number
  /** When `elapsed` reaches it: an election check. Drawn anew for each election (Raft paper 5.2). */
  timeout: number
  heartbeatElapsed: number
  /** The minimum election time-out in force: the leader's (M5). */
  electionTicks: number
  /** How fit this peer is to lead: it lets fitter ones go first. */
  priority: number
  /** Follower: who shall lead next, as the leader last said. */
  heir: PeerId | null
  /** It has let the heir go first since it last heard a leader: now it campaigns whoever is fitter. */
  hasYielded: boolean
  /** Follower: up to where the leader of this term has said that its own log is durable. */
  leaderStable: { readonly peerId: PeerId; readonly index: number } | null
  /** At most one; gone once it is installed or the log has come past it. */
  partial: PartialSnapshot | null
  /** Answers of this election or pre-election, this peer's own included. */
  readonly votes: Map<PeerId, boolean>
  /** By number on the wire. */
  readonly forwardedReads: Map<number, ForwardedRead>
  nextForwardedRead: number
  readonly out: Outbox
}

/** What the next Ready will carry, and what the last ones did. */
export interface Outbox {
  messages: Message[]
  messagesAfterWrite: Message[]
  reads: ReadState[]
  sequence: number
  /** Term and vote as the last Ready with a hard state gave them. */
  handedTerm: number
  handedVote: PeerId | null
  handedPromise: Promised | null
  /** The term is durable up to here: what speaks of a higher one has to wait. */
  stableTerm: number
}

export function createState(options: RaftOptions): RaftState {
  const { restored } = options
  if (restored) checkRestored(restored)
  const { term, votedFor } = startOf(restored)
  const random = createRandom(options.seed, options.peerId)
  const state: RaftState = {
    peerId: options.peerId,
    timing: options,
    limits: {
      appendBytes: options.maxAppendBytes ?? 256 * 1024,
      inflightAppends: options.maxInflightAppends ?? 64,
      inflightBytes: options.maxInflightBytes ?? 1024 * 1024,
      chunkBytes: options.maxChunkBytes ?? 64 * 1024,
      inflightChunkBytes: options.maxInflightChunkBytes ?? 256 * 1024,
      snapshotBytes: options.maxSnapshotBytes ?? 64 * 1024 * 1024,
      uncommittedBytes: options.maxUncommittedBytes ?? 4 * 1024 * 1024,
      committedBytes: options.maxCommittedBytes ?? 1024 * 1024,
    },
    random,
    log: createLog(restored),
    foundation: options.foundation ?? noEntry,
    term,
    votedFor,
    promise: null,
    succeeds: null,
    forks: null,
    role: 'follower',
    leader: null,
    leading: null,
    leaseTicks: options.leaseTicks ?? 0,
    newsTicks: options.newsTicks ?? 0,
    clock: 0,
    elapsed: 0,
    timeout: 0,
    heartbeatElapsed: 0,
    electionTicks: options.electionTicks,
    priority: 0,
    heir: null,
    hasYielded: false,
    leaderStable: null,
    partial: null,
    votes: new Map(),
    forwardedReads: new Map(),
    // A late answer to a read of an earlier life, or of a reused id, must not answer another read (etcd-io/raft#397).
    nextForwardedRead: nextUint32(random) * 2 ** 20,
    out: {
      messages: [],
      messagesAfterWrite: [],
      reads: [],
      sequence: 0,
      handedTerm: term,
      handedVote: votedFor,
      handedPromise: null,
      stableTerm: term,
    },
  }
  state.timeout = drawTimeout(state, state.electionTicks)
  return state
}

/** M2: a promise may have been kept by others while this peer was away, so it holds: its vote of that term is given. */
function startOf(restored: Restored | undefined): Pick<RaftState, 'term' | 'votedFor'> {
  if (!restored) return { term: 0, votedFor: null }
  const { term, votedFor, promisedTo } = restored.hardState
  return promisedTo ? { term: term + 1, votedFor: promisedTo } : { term, votedFor }
}

/**
 * A follower's patience: the leader's minimum time-out (M5), or its own if that is larger: where its own links are slower than the quorum's,
 * a campaign by the leader's time would only disturb.
 */
export function patienceOf({ electionTicks, timing }: RaftState): number {
  return Math.max(electionTicks, timing.electionTicks)
}

/** Nobody is followed any more: what the last leader asked for says nothing of an election without it (M5, M6). */
export function judgeAlone(state: RaftState): void {
  state.leader = null
  state.electionTicks = state.timing.electionTicks
}

/** Uniform in [ticks, ticks x spread): the spread is this peer's own, whoever gave the minimum (M5). */
export function drawTimeout(state: RaftState, ticks: number): number {
  const spread = state.timing.electionTicksMax / state.timing.electionTicks
  return ticks + Math.floor(nextFraction(state.random) * ticks * (spread - 1))
}

/**
 * Before the term's first commit the commit index may lag behind what an earlier leader has acknowledged (dissertation
 * 6.4 step 1, B14).
 */
export function hasCommittedInTerm(state: RaftState): boolean {
  return termAt(state.log, state.log.commit) === state.term
}

/** Promises nothing about this peer's disk. */
export function send(state: RaftState, message: Message): void {
  const { out } = state
  // An array that begins with one takes a tenth of the room that a first push takes.
  if (out.messages.length === 0) out.messages = [message]
  else out.messages.push(message)
}

/** Leaves once everything that this peer has taken over so far is durable (dissertation 3.8, B5). */
export function sendAfterWrite(state: RaftState, message: Message): void {
  const { out } = state
  if (out.messagesAfterWrite.length === 0) out.messagesAfterWrite = [message]
  else out.messagesAfterWrite.push(message)
}

/** Promises nothing but the term, which may have to become durable first. */
export function sendInTerm(state: RaftState, message: Message): void {
  if (state.out.stableTerm === state.term) send(state, message)
  else sendAfterWrite(state, message)
}
