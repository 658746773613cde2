/** Locks as a page is shown them. */
import type { LockRecord, WaitGraphRecord } from '../host/page.js'
import { decodeValue, type Value } from '../shared/value.js'
import type { LockMode } from './lock.js'

export interface LockInfo {
  readonly name: string
  readonly mode: LockMode
  /** The peer that holds or waits. */
  readonly clientId: string
  /** The fencing token; 0 while it waits. */
  readonly token: number
  /** Cluster time of the grant, or of the request while it waits, ms. */
  readonly since: number
  /** Place in the queue, from 1; absent when held. */
  readonly position?: number
  readonly attributes: Value
  /** As given with the request, absent where it was not; so with all that follows. */
  readonly owner?: string
  readonly scope?: 'tree'
  /** Of one that waits. */
  readonly priority?: number
  /** Cluster time at which it ends for good, by `maxHold` or since it was asked back, ms. */
  readonly endsAt?: number
  /** It was asked back. */
  readonly revoked?: true
  /** It is held as shared and waits to be exclusive. */
  readonly upgrading?: true
}

export interface LockManagerSnapshot {
  held: LockInfo[]
  pending: LockInfo[]
}

/** Who waits for whom: what a search for deadlocks looks at. */
export interface WaitGraph {
  readonly waits: readonly Wait[]
}

export interface Wait {
  /** The peer that waits. */
  readonly clientId: string
  /** As given with its request, null if it had none. */
  readonly owner: string | null
  /** It is a request of this very page. */
  readonly mine: boolean
  readonly kind: 'lock' | 'upgrade' | 'semaphore'
  /** Of the locks, or of the semaphore, that it waits for. */
  readonly names: readonly string[]
  /** Null for permits of a semaphore. */
  readonly mode: LockMode | null
  /** Place in the queue, from 1; 0 for an upgrade, which stands ahead of it. */
  readonly position: number
  /** Whoever has what it waits for, or stands in the queue before it. */
  readonly behind: readonly {
    readonly clientId: string
    readonly owner: string | null
    readonly name: string
    readonly state: 'held' | 'waiting'
  }[]
}

export function infoOf(record: LockRecord): LockInfo {
  const { name, mode, peerId, token, since, position, owner, scope, priority, endsAt, revoked, upgrading } = record
  return {
    name,
    mode,
    clientId: peerId,
    token,
    since,
    ...(position > 0 && { position }),
    attributes: attributesOf(record),
    ...(owner !== null && { owner }),
    ...(scope === 'tree' && { scope }),
    ...(priority !== 0 && { priority }),
    ...(endsAt !== null && { endsAt }),
    ...(revoked && { revoked }),
    ...(upgrading && { upgrading }),
  }
}

export function attributesOf(record: LockRecord | undefined): Value {
  return record?.attributes ? decodeValue(record.attributes) : undefined
}

export function waitGraphOf({ waits }: WaitGraphRecord): WaitGraph {
  return {
    waits: waits.map(({ peerId, owner, handle, kind, names, mode, position, behind }) => ({
      clientId: peerId,
      owner,
      mine: handle !== null,
      kind,
      names,
      mode,
      position,
      behind: behind.map(({ peerId, owner, name, state }) => ({ clientId: peerId, owner, name, state })),
    })),
  }
}
