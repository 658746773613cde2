import type { Incarnation } from '../raft/entry.js'
import type { Failure } from '../shared/failure.js'
import type { Command, SessionId } from './command.js'
import type { LockMode, LockScope } from './lock/command.js'
import type { Item } from './store/state.js'

/** The answer to a numbered command: the same on every peer, kept with the session until the client has it (S-2). */
export type Outcome =
  | { readonly type: 'failed'; readonly failure: Failure }
  | ({ readonly type: 'lock.granted' } & Grant)
  | { readonly type: 'lock.queued' }
  /** An `ifAvailable` request that could not be granted at once. */
  | { readonly type: 'lock.unavailable' }
  | { readonly type: 'lock.released' }
  /** It is exclusive now. One that has to wait is `lock.queued`. */
  | { readonly type: 'lock.upgraded'; readonly token: number; readonly since: number }
  | { readonly type: 'lock.downgraded'; readonly token: number }
  /** Who was asked to give it back, in the order of the grants. */
  | { readonly type: 'lock.revoked'; readonly asked: readonly { readonly peerId: string; readonly token: number }[] }
  /** When the hold ends (S-7), in cluster time; null: it is not held any more, or nobody has asked for it. */
  | { readonly type: 'lock.acknowledged'; readonly endsAt: number | null }
  | { readonly type: 'store.set'; readonly revision: number }
  | { readonly type: 'store.deleted'; readonly revision: number; readonly existed: boolean }
  /** `revision`: the index of the entry, which is the key's revision if it was set. */
  | { readonly type: 'store.compared'; readonly revision: number; readonly swapped: boolean }
  | { readonly type: 'semaphore.granted'; readonly token: number; readonly since: number }
  | { readonly type: 'semaphore.queued' }
  /** An `ifAvailable` request that could not be granted at once. */
  | { readonly type: 'semaphore.unavailable' }
  | { readonly type: 'semaphore.released' }
  | { readonly type: 'semaphore.resized' }
  /** `value`: of the counter after it. */
  | { readonly type: 'counter.added'; readonly value: number }
  /** The sum is no safe integer, and the counter still at `value`. */
  | { readonly type: 'counter.overflowed'; readonly value: number }
  | { readonly type: 'counter.compared'; readonly value: number; readonly swapped: boolean }
  /** A result for each operation of the list that was done. */
  | {
      readonly type: 'store.transacted'
      readonly revision: number
      readonly succeeded: boolean
      readonly results: readonly TransactionResult[]
    }

/** What became of one operation of a transaction. */
export type TransactionResult =
  | { readonly type: 'set' }
  | { readonly type: 'delete'; readonly existed: boolean }
  | { readonly type: 'get'; readonly record: { readonly value: Uint8Array; readonly revision: number } | null }

/** What a request got. Of several names. `tokens`: one for each name, unless all have the same. */
export interface Grant {
  readonly token: number
  /** Cluster time. */
  readonly since: number
  /** When it ends if it has a `maxHold`, in cluster time. */
  readonly endsAt?: number
  readonly tokens?: readonly { readonly name: string; readonly token: number }[]
}

/** Why a lock was taken from its holder. */
export type LossReason = 'expired' | 'stolen' | 'left' | 'revoked'

/** For bystanders: every hold that began, ended or changed, in the order in which that happened. */
export type LockEvent = {
  readonly name: string
  readonly session: SessionId
  readonly peerId: string
  readonly request: number
  readonly mode: LockMode
  readonly token: number
} & (
  | { readonly type: 'lock.taken'; readonly how: 'granted' | 'upgraded' | 'downgraded' | 'reentered' }
  | { readonly type: 'lock.freed'; readonly how: 'released' | LossReason }
)

/** What an entry changed, for whoever watches. In the order in which it happened. */
export type MachineEvent =
  | { readonly type: 'session.opened'; readonly session: SessionId; readonly peerId: string }
  | {
      readonly type: 'session.ended'
      readonly session: SessionId
      readonly peerId: string
      readonly reason: 'closed' | 'expired' | 'replaced'
    }
  /** A queued request got its lock (one granted by its own entry is told by its outcome alone). */
  | ({
      readonly type: 'lock.granted'
      readonly session: SessionId
      readonly request: number
      readonly name: string
    } & Grant)
  /** A queued request is gone without a grant, or a held lock was taken. */
  | {
      readonly type: 'lock.lost'
      readonly session: SessionId
      readonly request: number
      readonly name: string
      readonly reason: LossReason
    }
  /** Its holder is asked to give it back: null until that has been acknowledged, then when it ends at the latest (S-7). */
  | {
      readonly type: 'lock.revoked'
      readonly session: SessionId
      readonly request: number
      readonly name: string
      readonly endsAt: number | null
    }
  /** An upgrade that had to wait is done. */
  | {
      readonly type: 'lock.upgraded'
      readonly session: SessionId
      readonly request: number
      readonly name: string
      readonly token: number
      readonly since: number
    }
  /** Holders, waiters or attributes of this name are not what they were. At most once per name and entry. */
  | { readonly type: 'lock.changed'; readonly name: string }
  /** A queued request got its permits (one granted by its own entry is told by its outcome alone). */
  | {
      readonly type: 'semaphore.granted'
      readonly session: SessionId
      readonly request: number
      readonly token: number
      readonly since: number
    }
  /** A queued request is gone without a grant, or permits were taken. */
  | {
      readonly type: 'semaphore.lost'
      readonly session: SessionId
      readonly request: number
      readonly reason: LossReason
    }
  /** A queued request asks for more than there are since a `resize`. */
  | {
      readonly type: 'semaphore.refused'
      readonly session: SessionId
      readonly request: number
      readonly name: string
      readonly count: number
      readonly size: number
    }
  /** At most once per key and entry. `item`: as it is now, null if it is deleted. */
  | {
      readonly type: 'store.changed'
      readonly key: string
      readonly item: Item | null
      readonly previous: Item | null
    }

/** Everything that applying one entry said. */
export interface Applied {
  /**
   * For a numbered command: its answer. `null` when the machine refuses to answer: the session has ended
   * (`session-ended`), or an earlier number is missing (`gap`: send the missing ones first, then again).
   */
  readonly answer?:
    | { readonly session: SessionId; readonly number: number; readonly outcome: Outcome }
    | {
        readonly session: SessionId
        readonly number: number
        readonly outcome: null
        readonly reason: 'session-ended' | 'gap'
      }
  /** For `open`: the session, or null when the attempt is older than the newest seen of that peer. */
  readonly opened?: {
    readonly peerId: string
    readonly incarnation: Incarnation
    readonly attempt: number
    readonly session: SessionId | null
  }
  readonly events: readonly MachineEvent[]
  /** For those who watch locks; absent while nothing of a lock has changed. */
  readonly lockEvents?: readonly LockEvent[]
}

/** A lock request as queries show it. */
export interface LockView {
  readonly name: string
  readonly mode: LockMode
  readonly session: SessionId
  /** The holder's or waiter's peer. */
  readonly peerId: string
  /** The number of the request's command. */
  readonly request: number
  /** 0 while it waits. */
  readonly token: number
  /** Cluster time of the grant, or of the request while it waits. */
  readonly since: number
  /** Place in the queue from 1; 0 when held. */
  readonly position: number
  readonly attributes: Uint8Array | null
  readonly owner: string | null
  readonly scope: LockScope
  /** Of waiters: higher ones go first. */
  readonly priority: number
  /** When the hold ends at the latest, as far as that is decided, in cluster time. */
  readonly endsAt: number | null
  /** Its holder was asked to give it back. */
  readonly revoked: boolean
  /** What its holder has not acknowledged yet of a revoke, ms; null if there is nothing (S-7). */
  readonly grace: number | null
  /** A share that waits to be exclusive. */
  readonly upgrading: boolean
}

export type CommandType = Command['type']
