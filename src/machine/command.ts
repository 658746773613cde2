import type { EntryId, Incarnation, PeerId } from '../raft/entry.js'
import type { CounterCommand } from './counter/command.js'
import type { LockCommand } from './lock/command.js'
import type { SemaphoreCommand } from './semaphore/command.js'
import type { StoreCommand } from './store/command.js'

/** What the founder of a room chose; replicated, and the same for every peer. */
export interface RoomSettings {
  readonly durability: 'strict' | 'relaxed'
  readonly partition: 'pause' | 'continue'
  readonly timing: Timing
  readonly limits: Limits
  /** Only if the founder keeps its log in memory: then whoever does so may vote, and the room lasts as long as its tabs. */
  readonly storage?: 'memory'
}
/** All in ms. */
export interface Timing {
  /** Between two heartbeats of an awake room: 50. At most half of `electionMin`. */
  readonly heartbeat: number
  /** Who has heard no leader for between these two stands for election: 150 to 300. */
  readonly electionMin: number
  readonly electionMax: number
  /** How long a candidate waits for the answers to whether it would be elected: 100. */
  readonly preVote: number
  /** How long a lock outlives a page that has gone silent, unless its request says otherwise: 10 000. */
  readonly lease: number
  /** These three are kept for primitives to come, and have no effect yet. */
  readonly barrier: number
  readonly ballot: number
  readonly reelection: number
}
export interface Limits {
  /** Most peers that vote. The others follow as learners. */
  readonly voters: number
  /** Most entries of the log between two snapshots; the smaller of this and `snapshotEvery` counts. */
  readonly logEntries: number
  readonly snapshotEvery: number
  /** Most commands of one peer that are under way at once. */
  readonly pendingProposals: number
  /** Most lock names in use at once. */
  readonly locks: number
  /** Most requests that wait for one lock. */
  readonly lockQueue: number
  /** Kept for a primitive to come; no effect yet. */
  readonly barriers: number
}

/** The history that goes on where one has ended. */
export interface Successor {
  readonly roomId: string
  readonly epoch: number
  readonly forkId: string
  /** How it began if it is a fork, else null. */
  readonly foundation: {
    readonly term: number
    readonly index: number
    readonly previousTerm: number
    readonly members: number
  } | null
  /** The first index of the history that has ended that is not in this one too. Absent in entries of older code: nothing is known to be shared. */
  readonly partsAt?: number
}

/** Where a history left the one before it (N3). */
export interface Branch {
  readonly forkId: string
  /** How many peers were left to begin it. */
  readonly members: number
  /** The last command of a session that both share. */
  readonly lastCommand: EntryId
}

/** A session's id: the log index of the entry that opened it (S-1). */
export type SessionId = number

/**
 * What an entry of type `command` carries, encoded. `numbered` is the only one that a client's call becomes; the others
 * are about sessions themselves.
 */
export type Instruction =
  /** The first command of a room, written by its founder before anyone else can be there (N1). */
  | {
      readonly type: 'found'
      readonly roomId: string
      /** Base of the fencing tokens: founding time in seconds x 2^20 (T1). */
      readonly tokenBase: number
      readonly settings: RoomSettings
    }
  /**
   * The room's history goes on with those who are left (N3): the leader's first command in it. Tokens rise above all that the history that
   * was left may have given since (T1).
   */
  | {
      readonly type: 'fork'
      readonly epoch: number
      readonly forkId: string
      readonly seconds: number
      /** How many peers were left to begin it. @default 1 */
      readonly members?: number
    }
  /**
   * This history ends for the sake of another one of its room (N2, N3): the last that is applied of it. Nothing that comes after it is done,
   * so that nothing is acknowledged that nobody would keep. Void if a command was agreed on since the one at `lastCommand`: then the
   * other one may hear of it, and end for the sake of this one.
   */
  | { readonly type: 'yield'; readonly to: Successor; readonly lastCommand: number | null }
  /** Opens a session (S-1). The same (incarnation, attempt) again gives the same session; a lower one is refused; a higher one ends the older. */
  | {
      readonly type: 'open'
      readonly peerId: PeerId
      readonly incarnation: Incarnation
      readonly attempt: number
      /** Tells tabs of one browser from others; random, kept by the browser. */
      readonly browserId: string
      /** First declared state of the peer, encoded, or null. */
      readonly state: Uint8Array | null
      /** The highest token that this browser knows of histories that have ended: no later grant is under it (T1). */
      readonly tokenFloor: number
    }
  /** A command of a session, applied once whatever the number of retries (S-2). */
  | {
      readonly type: 'numbered'
      readonly session: SessionId
      /** 1, 2, 3, ... within the session; a gap is refused. */
      readonly number: number
      /** Every answer up to this number has reached the client and may be forgotten. */
      readonly answered: number
      /** The version of the machine that the command needs, if it is above 1 (F5). */
      readonly needs?: number
      /** Null when this code does not know it, which a version after the first is said to have. */
      readonly command: Command | null
    }
  /**
   * The peer said goodbye (M1) or is proven dead (L2). Names the incarnation, so that it cannot end a later life. A
   * goodbye names its last command, which still counts if it came before; nothing after it does.
   */
  | {
      readonly type: 'close'
      readonly peerId: PeerId
      readonly incarnation: Incarnation
      /** It did not say so itself: its locks end uncleanly. Of version 2: it ends nothing before. */
      readonly proof?: 'death'
    }
  /**
   * The leader of `term` has not heard from the session's page for `silence` ms: ends its locks with a lease of at most
   * that, and the session when that is its longest (S-3). Void in another term (S-6).
   */
  | { readonly type: 'expire'; readonly session: SessionId; readonly silence: number; readonly term: number }
  /** Lets due deadlines in the machine fire (C1). Void in another term (S-6). */
  | { readonly type: 'tick'; readonly term: number }
  /** F5: from the next entry on the machine has that version. Of the leader, once every member can apply it. */
  | { readonly type: 'raise'; readonly version: number }

export type Command = LockCommand | StoreCommand | SemaphoreCommand | CounterCommand
