import { unreachable } from '../../shared/assert.js'
import { compareStrings } from '../../shared/codec.js'
import type { SessionId } from '../command.js'
import type { LossReason, Outcome } from '../outcome.js'
import { type Caller, type Context, limitExceeded, settingsOf } from '../state.js'
import { valueBytesMax } from '../store/command.js'
import { type LockCommand, lockNameMax } from './command.js'
import { lockHoldersMax, lockLeaseMax } from './limits.js'
import {
  changed,
  grant,
  heldBy,
  isGrantable,
  remember,
  removeHeld,
  removeWaiting,
  resourceOf,
  settle,
  tellLost,
  waitingOf,
} from './queue.js'
import type { Resource, Waiting } from './state.js'

type LockRequest = Extract<LockCommand, { type: 'lock.request' }>

export function applyLock(context: Context, caller: Caller, command: LockCommand): Outcome {
  switch (command.type) {
    case 'lock.request':
      return request(context, caller, command)
    case 'lock.release':
      return release(context, caller, command.request)
    default:
      return unreachable(command)
  }
}

/** A request that is refused changes nothing. */
function request(context: Context, caller: Caller, command: LockRequest): Outcome {
  const { locks } = context.state
  const existing = locks.resources.get(command.name)
  const refused = refusal(context, command, existing)
  if (refused) return refused
  const waiting: Waiting = {
    session: caller.session,
    request: caller.number,
    mode: command.mode,
    lease: command.lease,
    attributes: command.attributes,
    requested: context.index,
    since: context.state.clusterTime,
  }
  const resource = resourceOf(locks, command.name)
  if (command.steal) takeFromAll(context, resource)
  else if (!isGrantable(resource, command.mode, resource.queue.length)) return enqueue(context, resource, waiting)
  remember(locks, resource.name, waiting)
  const { token, since } = grant(context, resource, waiting)
  // A stolen share may be compatible with those who wait.
  settle(context, resource)
  return { type: 'lock.granted', token, since }
}

function refusal(context: Context, command: LockRequest, existing: Resource | undefined): Outcome | null {
  const { limits } = settingsOf(context.state)
  if (command.name.length > lockNameMax) {
    return limitExceeded('lockName', lockNameMax, `a lock name has at most ${lockNameMax} code units`)
  }
  if (command.lease < 1 || command.lease > lockLeaseMax) {
    return limitExceeded('lease', lockLeaseMax, `a lease is 1 to ${lockLeaseMax} ms, got ${command.lease}`)
  }
  if (command.attributes && command.attributes.length > valueBytesMax) {
    return limitExceeded('attributes', valueBytesMax, `attributes take at most ${valueBytesMax} bytes`)
  }
  if (!existing) {
    if (context.state.locks.resources.size < limits.locks) return null
    return limitExceeded('locks', limits.locks, `the room uses ${limits.locks} lock names already`)
  }
  if (command.steal) return null
  if (!isGrantable(existing, command.mode, existing.queue.length)) {
    if (command.ifAvailable) return { type: 'lock.unavailable' }
    if (existing.queue.length < limits.lockQueue) return null
    return limitExceeded('lockQueue', limits.lockQueue, `${limits.lockQueue} requests wait for this lock already`)
  }
  if (existing.held.length < lockHoldersMax) return null
  return limitExceeded('lockHolders', lockHoldersMax, `${lockHoldersMax} sessions share this lock already`)
}

function enqueue(context: Context, resource: Resource, waiting: Waiting): Outcome {
  remember(context.state.locks, resource.name, waiting)
  resource.queue.push(waiting)
  changed(context, resource.name)
  return { type: 'lock.queued' }
}

/** W3C: every holder loses it, and the thief is granted ahead of the queue. */
function takeFromAll(context: Context, resource: Resource): void {
  for (const held of [...resource.held]) {
    removeHeld(context, resource, held)
    tellLost(context, held, 'stolen')
  }
}

/** Idempotent, and right whether the request is held, waits, or is neither (S-9). */
function release(context: Context, caller: Caller, number: number): Outcome {
  const { locks } = context.state
  const name = locks.bySession.get(caller.session)?.get(number)
  const resource = name === undefined ? undefined : locks.resources.get(name)
  if (!resource) return { type: 'lock.released' }
  const isIt = (other: Waiting) => other.session === caller.session && other.request === number
  const held = resource.held.find(isIt)
  const waiting = resource.queue.find(isIt)
  if (held) removeHeld(context, resource, held)
  else if (waiting) removeWaiting(context, resource, waiting)
  settle(context, resource)
  return { type: 'lock.released' }
}

/** Ends everything that the session has here, and only then grants to others (T1). */
export function endLocks(context: Context, session: SessionId, reason: LossReason): void {
  const { locks } = context.state
  const touched = new Set<Resource>()
  for (const { resource, held } of heldBy(locks, session)) {
    removeHeld(context, resource, held)
    tellLost(context, held, reason)
    touched.add(resource)
  }
  for (const { resource, waiting } of waitingOf(locks, session)) {
    removeWaiting(context, resource, waiting)
    tellLost(context, waiting, reason)
    touched.add(resource)
  }
  settleAll(context, touched)
}

/** S-3: a lock with a lease of at most the silence ends alone. Who waits keeps the place while the session lives. */
export function expireLocks(context: Context, session: SessionId, silence: number): void {
  const touched = new Set<Resource>()
  for (const { resource, held } of heldBy(context.state.locks, session)) {
    if (held.lease > silence) continue
    removeHeld(context, resource, held)
    tellLost(context, held, 'expired')
    touched.add(resource)
  }
  settleAll(context, touched)
}

function settleAll(context: Context, touched: ReadonlySet<Resource>): void {
  for (const resource of [...touched].sort((a, b) => compareStrings(a.name, b.name))) settle(context, resource)
}
