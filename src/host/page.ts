/**
 * The page as its host sees it, and the host as its page sees it: plain data that survives a structured clone. The page
 * asks by `Call` and gets a `Reply`; it tells by `Notice`; the host tells by `HostEvent`. All three keep their order.
 */
import type { RoomSettings, SessionId } from '../machine/command.js'
import type { LockMode, LockScope } from '../machine/lock/command.js'
import type { TransactionResult } from '../machine/outcome.js'
import type { Comparison, Expected, FenceCheck, TransactionOperation } from '../machine/store/command.js'
import type { LinkKind } from '../network/link.js'
import type { Incarnation, PeerId } from '../raft/entry.js'
import type { Role } from '../raft/ready.js'
import type { Failure } from '../shared/failure.js'
import type { Instant } from '../shared/instant.js'
import type { Shared } from './inheritance.js'
import type { DropReason } from './refusals.js'

/** Names one lock request of a page for as long as the page lives. */
export type LockHandle = number
/** Names one observation of a page. */
export type WatchId = number

/** What the page asks of the host. A call is answered once, in a time that only `leave` and the page itself bound. */
export type Call =
  | {
      readonly type: 'lock.request'
      readonly handle: LockHandle
      readonly name: string
      readonly mode: LockMode
      readonly ifAvailable: boolean
      readonly steal: boolean
      readonly lease: number
      readonly attributes: Uint8Array | null
      /** What Web Locks do not have; absent: a plain request. */
      readonly beyond?: LockBeyond
    }
  /** Leaves the queue or releases, whichever it is by then (S-9). `name`: only this one of several. */
  | { readonly type: 'lock.release'; readonly handle: LockHandle; readonly name?: string }
  /** Answered when it is exclusive, or refused. */
  | { readonly type: 'lock.upgrade'; readonly handle: LockHandle; readonly name: string }
  /** Also gives up an upgrade that waits, whose call is then answered with the failure `lock-lost`. */
  | { readonly type: 'lock.downgrade'; readonly handle: LockHandle; readonly name: string }
  /** Asks every holder of that name to give it back within `grace` ms. */
  | { readonly type: 'lock.revoke'; readonly name: string; readonly grace: number }
  | { readonly type: 'lock.query' }
  | { readonly type: 'lock.waitGraph' }
  | {
      readonly type: 'store.set'
      readonly key: string
      readonly value: Uint8Array
      readonly fence: FenceCheck | null
      readonly ephemeral: boolean
    }
  | { readonly type: 'store.delete'; readonly key: string; readonly fence: FenceCheck | null }
  | {
      readonly type: 'store.compareAndSet'
      readonly key: string
      readonly expected: Expected
      readonly next: Uint8Array
    }
  | {
      readonly type: 'store.transact'
      readonly compare: readonly Comparison[]
      readonly success: readonly TransactionOperation[]
      readonly failure: readonly TransactionOperation[]
      readonly fence: FenceCheck | null
    }
  | { readonly type: 'store.get'; readonly key: string; readonly consistency: 'linearizable' | 'local' }
  | { readonly type: 'store.entries'; readonly prefix: string; readonly consistency: 'linearizable' | 'local' }
  | {
      readonly type: 'semaphore.acquire'
      /** Of the same numbers as those of lock requests. */
      readonly handle: LockHandle
      readonly name: string
      readonly permits: number
      readonly count: number
      readonly ifAvailable: boolean
      readonly lease: number
      readonly priority: number
      readonly owner: string | null
    }
  /** Leaves the queue or gives back, whichever it is by then (S-9). */
  | { readonly type: 'semaphore.release'; readonly handle: LockHandle }
  | { readonly type: 'semaphore.resize'; readonly name: string; readonly permits: number; readonly to: number }
  | { readonly type: 'semaphore.get'; readonly name: string }
  | { readonly type: 'counter.add'; readonly name: string; readonly by: number }
  | {
      readonly type: 'counter.compareAndSet'
      readonly name: string
      readonly expected: number
      readonly next: number
    }
  | { readonly type: 'counter.get'; readonly name: string }
  | { readonly type: 'metrics' }
  /** Begins the room's history anew with those who are left (N3). Answered when they have a quorum. */
  | { readonly type: 'recover' }
  /** Says goodbye, ends the session and stops. The host answers nothing after it. */
  | { readonly type: 'leave' }

export interface LockBeyond {
  /** Further names: all are granted together. */
  readonly also: readonly string[]
  readonly owner: string | null
  readonly priority: number
  readonly scope: LockScope
  /** ms of cluster time. */
  readonly maxHold: number | null
  /** ms. */
  readonly lockDelay: number
}

export type CallType = Call['type']

/** What a request got. */
export interface LockGrant {
  readonly token: number
  /** Cluster time in ms. */
  readonly since: number
  /** Cluster time at which `maxHold` ends it, null without. */
  readonly endsAt: number | null
  /** By name, if they differ: a name that was re-entered keeps its token. */
  readonly tokens?: Readonly<Record<string, number>>
}

/** What each call is answered with. */
export interface Answers {
  'lock.request':
    | ({ readonly state: 'granted' } & LockGrant)
    | { readonly state: 'queued' }
    | { readonly state: 'unavailable' }
  'lock.release': null
  'lock.upgrade': { readonly token: number; readonly since: number }
  /** The token that it has now: of an upgrade that was granted before, and not told. */
  'lock.downgrade': { readonly token: number }
  'lock.revoke': { readonly asked: readonly { readonly peerId: PeerId; readonly token: number }[] }
  'lock.waitGraph': WaitGraphRecord
  'lock.query': { readonly held: readonly LockRecord[]; readonly pending: readonly LockRecord[] }
  'store.set': { readonly revision: number }
  'store.delete': { readonly revision: number; readonly existed: boolean }
  'store.compareAndSet': { readonly revision: number; readonly swapped: boolean }
  'store.transact': {
    readonly revision: number
    readonly succeeded: boolean
    readonly results: readonly TransactionResult[]
  }
  'store.get': StoreRecord | null
  /** Sorted by key; `revision`: they are all as of that index. */
  'store.entries': { readonly revision: number; readonly entries: readonly EntryRecord[] }
  'semaphore.acquire':
    | { readonly state: 'granted'; readonly token: number; readonly since: number }
    | { readonly state: 'queued' }
    | { readonly state: 'unavailable' }
  'semaphore.release': null
  'semaphore.resize': null
  /** Null: nobody uses it, and nobody has given it a size. */
  'semaphore.get': { readonly size: number; readonly free: number } | null
  /** `overflowed`: the sum is no safe integer, and the counter still at `value`. */
  'counter.add': { readonly value: number; readonly overflowed: boolean }
  'counter.compareAndSet': { readonly swapped: boolean }
  'counter.get': number
  metrics: HostMetrics
  recover: null
  leave: null
}

export type Reply<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly failure: Failure }

export interface LockRecord {
  readonly name: string
  readonly mode: LockMode
  readonly peerId: PeerId
  /** 0 while it waits. */
  readonly token: number
  /** Cluster time in ms. */
  readonly since: number
  /** Place in the queue from 1; 0 when held. */
  readonly position: number
  readonly attributes: Uint8Array | null
  readonly owner: string | null
  readonly scope: LockScope
  readonly priority: number
  /** Cluster time at which it ends at the latest, as far as that is decided. */
  readonly endsAt: number | null
  /** Its holder was asked to give it back. */
  readonly revoked: boolean
  readonly upgrading: boolean
  /** The handle, when it is a request of this very page. */
  readonly handle: LockHandle | null
}

/** Who waits for whom, at one index of the log. */
export interface WaitGraphRecord {
  readonly waits: readonly WaitRecord[]
}

export interface WaitRecord {
  readonly peerId: PeerId
  readonly owner: string | null
  /** When it is a request of this very page. */
  readonly handle: LockHandle | null
  readonly kind: 'lock' | 'upgrade' | 'semaphore'
  readonly names: readonly string[]
  /** Null for permits. */
  readonly mode: LockMode | null
  /** Place in the queue from 1; 0: ahead of it. */
  readonly position: number
  readonly behind: readonly {
    readonly peerId: PeerId
    readonly owner: string | null
    readonly name: string
    readonly state: 'held' | 'waiting'
  }[]
}

/** What happened to one hold, for bystanders. */
export interface LockEventRecord {
  readonly what: 'taken' | 'freed'
  readonly name: string
  readonly peerId: PeerId
  readonly mode: LockMode
  readonly token: number
  readonly how: 'granted' | 'upgraded' | 'downgraded' | 'reentered' | 'released' | LockLoss
  /** Of one that was held already: as it was told of last. Its owner may share the lock several times. */
  readonly before?: { readonly mode: LockMode; readonly token: number }
  /** Cluster time in ms. */
  readonly at: number
}

export interface StoreRecord {
  readonly value: Uint8Array
  readonly revision: number
}

export interface EntryRecord extends StoreRecord {
  readonly key: string
  /** It ends with a session. */
  readonly ephemeral: boolean
}

/**
 * How far a watch of changes has come: all that happened up to that revision, and of the entry after it so many changes. Revision 0: it has
 * seen nothing, or nothing that is of use, and begins with everything as it is.
 */
export interface WatchPosition {
  readonly revision: number
  readonly place: number
}

export interface ChangeRecord {
  readonly key: string
  /** Of the entry that did it; of a key that is told anew, its own; of one that is known to be gone, that of the whole. */
  readonly revision: number
  /** Null: it is deleted. */
  readonly now: EntryRecord | null
  readonly previous: StoreRecord | null
  /** After it the watch stands there. */
  readonly position: WatchPosition
  /** Nothing more of the same entry is to come. */
  readonly last: boolean
}

/**
 * What a watch is told in one message; the next comes once the page has taken it. `resync`: there is a gap, and these are all keys as they
 * are at `until`, after those that are known to be deleted.
 */
export interface ChangesRecord {
  readonly type: 'changes'
  readonly resync: boolean
  readonly changes: readonly ChangeRecord[]
  readonly until: WatchPosition
}

/** How the page is at the moment: what it carries for others depends on it (M4, S-4). */
export interface PageCondition {
  readonly visible: boolean
  /** A phone or a tablet: what it hides, it may stop at any moment. */
  readonly phone: boolean
  /** The browser has announced that it stops the page, and its worker with it. */
  readonly frozen: boolean
}

/** What the page tells the host. */
export type Notice =
  /** The page lives, and this was its time when it said so (S-4). */
  | { readonly type: 'alive'; readonly sentAt: Instant }
  | { readonly type: 'condition'; readonly condition: PageCondition }
  | {
      readonly type: 'watch'
      readonly id: WatchId
      /** `current`: never as it was before the watch was asked for. */
      readonly what:
        | { readonly type: 'lock'; readonly name: string; readonly current?: true }
        /** Every grant and every end of a lock whose name begins so, in order and without a gap. */
        | { readonly type: 'locks'; readonly prefix: string }
        | { readonly type: 'store'; readonly key: string; readonly current?: true }
        /** `from` null: from now on. */
        | { readonly type: 'changes'; readonly prefix: string; readonly from: WatchPosition | null }
    }
  | { readonly type: 'unwatch'; readonly id: WatchId }
  /** What a watch of changes was told is used up: the next may come. */
  | { readonly type: 'taken'; readonly id: WatchId }
  /** The testament of that number has replaced all before it: what they held will never be sent. */
  | { readonly type: 'testament'; readonly number: number }
  /** A frame that came over the page's own channel to that peer: another page's goodbye (M1). */
  | { readonly type: 'frame'; readonly peerId: PeerId; readonly frame: Uint8Array }
  /** For the mesh of another page, which no signaling server sees: over the links that there are. May be lost. */
  | { readonly type: 'signal'; readonly to: PeerId; readonly text: string }
  /** The page of that peer signals in a version that this one does not speak: there will be no link to it. */
  | { readonly type: 'foreign'; readonly peerId: PeerId; readonly version: number }

/** What the host tells the page. */
export type HostEvent =
  /** The page is asked for its time (S-4). */
  | { readonly type: 'ask' }
  /** A leader that surely was one has heard this page at `sentAt`, and everything committed by then is applied (S-5, S-8). */
  | { readonly type: 'heard'; readonly session: SessionId; readonly sentAt: Instant; readonly clusterTime: number }
  | { readonly type: 'status'; readonly status: HostStatus }
  | { readonly type: 'settings'; readonly settings: RoomSettings }
  | { readonly type: 'members'; readonly members: readonly MemberRecord[] }
  /** A request got its lock, at once or after a wait: callbacks are called in the order of these events. */
  | ({ readonly type: 'lock.granted'; readonly handle: LockHandle } & LockGrant)
  /** A request with `ifAvailable` found its lock taken. */
  | { readonly type: 'lock.unavailable'; readonly handle: LockHandle }
  /** A request that waited had to be queued again in a later session, and found no place. */
  | { readonly type: 'lock.refused'; readonly handle: LockHandle; readonly failure: Failure }
  /** A held lock was taken. Requests that only waited are queued again by the host. */
  | { readonly type: 'lock.lost'; readonly handle: LockHandle; readonly name: string; readonly reason: LockLoss }
  /**
   * Its holder is asked to give it back: null, and then the cluster time at which it ends: at first what it is at the earliest, once the
   * room has the acknowledgement what it is (S-7).
   */
  | {
      readonly type: 'lock.revoked'
      readonly handle: LockHandle
      readonly name: string
      readonly endsAt: number | null
    }
  /** As for locks, of a request for permits. */
  | { readonly type: 'permit.granted'; readonly handle: LockHandle; readonly token: number; readonly since: number }
  /** It was queued again in a later session and found no place, or a `resize` has made it too large. */
  | { readonly type: 'permit.refused'; readonly handle: LockHandle; readonly failure: Failure }
  | { readonly type: 'permit.lost'; readonly handle: LockHandle; readonly reason: LockLoss }
  | {
      readonly type: 'watched'
      readonly id: WatchId
      readonly value:
        | { readonly type: 'lock'; readonly holders: readonly LockRecord[]; readonly waiters: readonly LockRecord[] }
        /** In order, none left out. `resync`: the difference to what was told before, as far as it can be seen (S-10). */
        | { readonly type: 'locks'; readonly events: readonly LockEventRecord[]; readonly resync: boolean }
        | { readonly type: 'store'; readonly record: StoreRecord | null }
        | ChangesRecord
    }
  /** What to send in `pagehide`, one frame per link (M1). Replaces the one before; `confirm`: say so when it has (M2). */
  | {
      readonly type: 'testament'
      readonly goodbyes: readonly Goodbye[]
      readonly number: number
      readonly confirm: boolean
    }
  /** From the mesh of another page, over the links that there are. Whoever passed it on answers for `from`. */
  | { readonly type: 'signal'; readonly from: PeerId; readonly text: string }
  /** A peer could not be let in: it speaks another version, or shows an impossible life (F2). */
  | { readonly type: 'refused'; readonly peerId: PeerId; readonly failure: Failure }
  /** The room's history has split here, or ends here (N2, N3). */
  | { readonly type: 'reset'; readonly reset: Reset; readonly successor: Successor | null }
  /** The host has stopped and will never answer again. */
  | { readonly type: 'failed'; readonly failure: Failure }

export interface Reset {
  /** `forked`: this peer goes on in a new history, with its locks. `merged`: the room here has ended, for the sake of another one. */
  readonly cause: 'forked' | 'merged'
  /** What is in this peer's store and not, as far as it knows, in the one that goes on. */
  readonly store: readonly StoreLoss[]
  /** Which keys were deleted here, and may be there in the one that goes on. */
  readonly deleted: readonly { readonly key: string; readonly revision: number }[]
  /** Counters that were changed here, and what they have come to. */
  readonly counters: readonly CounterLoss[]
  /** False: more may have been deleted than is known here (of the last ones only, and none from before a snapshot). */
  readonly complete: boolean
}

/** Where this peer's room goes on. The host has stopped, and answers nothing: its peer comes back as another one. */
export interface Successor {
  readonly roomId: string
  /** No token of the history that has ended is above it. */
  readonly tokenFloor: number
  /** For the peer as which it comes back. */
  readonly shared: Shared | null
}

export interface StoreLoss {
  readonly key: string
  readonly value: Uint8Array
  readonly revision: number
}

export interface CounterLoss {
  readonly key: string
  readonly value: number
  /** No change of it is later. */
  readonly revision: number
}

export type LockLoss = 'expired' | 'stolen' | 'left' | 'revoked'

export interface HostStatus {
  readonly phase: 'joining' | 'ready' | 'no-quorum'
  readonly raftLeader: PeerId | null
  readonly term: number
  readonly role: Role
  /** Voters that this peer does not reach, while there is no quorum. */
  readonly missing: readonly PeerId[]
}

export interface MemberRecord {
  readonly peerId: PeerId
  readonly browserId: string
  readonly role: 'voter' | 'learner'
  readonly connected: boolean
  /** What carries the bytes to it, null while nothing does (and for this peer itself). */
  readonly link: LinkKind | null
  /** Smoothed round trip in ms, null until measured. */
  readonly rtt: number | null
  /** The declared state, encoded. */
  readonly state: Uint8Array | null
}

/** One goodbye, to be sent by the page on whatever leads to that peer. */
export interface Goodbye {
  readonly peerId: PeerId
  readonly incarnation: Incarnation
  readonly link: LinkKind
  readonly frame: Uint8Array
}

export interface HostMetrics {
  readonly role: Role
  readonly term: number
  readonly raftLeader: PeerId | null
  readonly commitIndex: number
  readonly appliedIndex: number
  readonly lastLogIndex: number
  readonly firstLogIndex: number
  readonly snapshotIndex: number
  readonly clusterTime: number
  readonly voters: readonly PeerId[]
  readonly learners: readonly PeerId[]
  readonly session: SessionId | null
  readonly pendingCommands: number
  readonly framesSent: number
  readonly framesReceived: number
  readonly framesDropped: number
  /** Frames, and parts of them, that were refused and changed nothing, by reason. */
  readonly refused: Readonly<Record<DropReason, number>>
  /** What entries mean in this room (F5). */
  readonly machineVersion: number
  readonly bytesSent: number
  readonly bytesReceived: number
  readonly writes: number
  /** Smoothed time of one durable write, ms. */
  readonly writeMs: number | null
  /** How often this peer stood still for more than a second: it slept, or was frozen. */
  readonly pauses: number
  /** How long its worker has stood still at most without sleeping, ms: on a machine with too much to do an election may come of it. */
  readonly longestStall: number
}
