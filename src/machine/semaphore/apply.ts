import { unreachable } from '../../shared/assert.js'
import { compareStrings } from '../../shared/codec.js'
import type { Failure } from '../../shared/failure.js'
import type { SessionId } from '../command.js'
import type { LossReason, Outcome } from '../outcome.js'
import { type Caller, type Context, limitExceeded, type MachineState } from '../state.js'
import { nodeOf } from '../waiting/graph.js'
import { ownerMax, priorityMax } from '../waiting/limits.js'
import { refuseDeadlock } from '../waiting/refusal.js'
import type { SemaphoreCommand } from './command.js'
import {
  permitLeaseMax,
  permitsMax,
  semaphoreHoldersMax,
  semaphoreNameMax,
  semaphoreQueueMax,
  semaphoresMax,
} from './limits.js'
import {
  freeOf,
  grant,
  heldBy,
  isCrowded,
  isUnused,
  placeOf,
  remember,
  removeHeld,
  removeWaiting,
  settle,
  tellLost,
  waitingOf,
} from './queue.js'
import type { Semaphore, WaitingPermits } from './state.js'
import { semaphoresInUse } from './view.js'
import { type Queueing, semaphoreWaits } from './waits.js'

type Acquire = Extract<SemaphoreCommand, { type: 'semaphore.acquire' }>
type Resize = Extract<SemaphoreCommand, { type: 'semaphore.resize' }>

export function applySemaphore(context: Context, caller: Caller, command: SemaphoreCommand): Outcome {
  switch (command.type) {
    case 'semaphore.acquire':
      return acquire(context, caller, command)
    case 'semaphore.release':
      return release(context, caller, command.request)
    case 'semaphore.resize':
      return resize(context, command)
    default:
      return unreachable(command)
  }
}

/** A request that is refused changes nothing. */
function acquire(context: Context, caller: Caller, command: Acquire): Outcome {
  const { semaphores, clusterTime } = context.state
  const { name, permits, count, lease, priority, owner, ifAvailable } = command
  const refused = malformed(command) ?? noRoom(context.state, name)
  if (refused) return refused
  const known = semaphores.byName.get(name) ?? create(name, permits)
  if (count > known.size) return { type: 'failed', failure: tooManyPermits(name, count, known.size) }
  const waiting: WaitingPermits = {
    session: caller.session,
    request: caller.number,
    ...{ count, lease, priority, owner },
    requested: context.index,
    since: clusterTime,
  }
  const place = placeOf(known, waiting)
  const isGrantable = place === 0 && count <= freeOf(known)
  if (!isGrantable && ifAvailable) return { type: 'semaphore.unavailable' }
  const refusal =
    (isGrantable ? holdersFull(known) : queueFull(known)) ??
    deadlocks(context, known, waiting, isGrantable ? null : place)
  if (refusal) return refusal
  const semaphore = use(context.state, known, permits)
  remember(semaphores, name, waiting)
  if (!isGrantable) {
    semaphore.queue.splice(place, 0, waiting)
    return { type: 'semaphore.queued' }
  }
  const { token, since } = grant(context, semaphore, waiting)
  return { type: 'semaphore.granted', token, since }
}

function create(name: string, size: number): Semaphore {
  return { name, size, declared: size, held: [], queue: [] }
}

/** It is in the state from now on. Whoever finds it unused says anew how large it would be without a `resize`. */
function use({ semaphores }: MachineState, semaphore: Semaphore, permits: number): Semaphore {
  if (isUnused(semaphore)) semaphore.declared = permits
  semaphores.byName.set(semaphore.name, semaphore)
  return semaphore
}

/** More than there are, now or since a `resize`: it would wait for ever, and everybody behind it. */
export function tooManyPermits(name: string, count: number, size: number): Failure {
  const message = `the semaphore ${JSON.stringify(name.slice(0, 100))} has ${size} permits, ${count} were asked for`
  return { code: 'limit-exceeded', message, details: { limit: 'permits', value: size } }
}

/** `place`: where it would wait, null if it is granted. */
function deadlocks(context: Context, known: Semaphore, waiting: WaitingPermits, place: number | null): Outcome | null {
  // It waits for nothing, and nobody whom it passes has waited.
  if (place === null && known.queue.length === 0) return null
  const { name, size, held, queue } = known
  // Each is a node of its own, and either holds or waits: no way leads from one that holds to anybody.
  if ([waiting, ...held, ...queue].every(({ owner }) => owner === null)) return null
  const then: Queueing =
    place === null
      ? { name, size, holders: [...held, waiting], waiters: queue }
      : { name, size, holders: held, waiters: [...queue.slice(0, place), waiting, ...queue.slice(place)] }
  return refuseStuck(context, [waiting], then)
}

/** `then`: the semaphore as it would be. `who`: the requests that could come to wait for ever by that. */
function refuseStuck(context: Context, who: readonly WaitingPermits[], then: Queueing): Outcome | null {
  const { state } = context
  const others = semaphoresInUse(state).filter((use) => use.name !== then.name)
  const waits = [...others, then].flatMap(semaphoreWaits)
  return refuseDeadlock(state, who.map(nodeOf), [...waits, ...context.waitsBeside(state, 'semaphore')])
}

function malformed(command: Acquire | Resize): Outcome | null {
  const { name, permits } = command
  if (name.length > semaphoreNameMax) {
    const message = `the name of a semaphore has at most ${semaphoreNameMax} code units`
    return limitExceeded('semaphoreName', semaphoreNameMax, message)
  }
  for (const count of [permits, command.type === 'semaphore.acquire' ? command.count : command.to]) {
    if (count >= 1 && count <= permitsMax) continue
    return limitExceeded('permits', permitsMax, `there are 1 to ${permitsMax} permits, not ${count}`)
  }
  if (command.type === 'semaphore.resize') return null
  const { lease, priority, owner } = command
  if (lease < 1 || lease > permitLeaseMax) {
    return limitExceeded('lease', permitLeaseMax, `a lease is 1 to ${permitLeaseMax} ms, got ${lease}`)
  }
  if (Math.abs(priority) > priorityMax) {
    return limitExceeded('priority', priorityMax, `a priority is -${priorityMax} to ${priorityMax}, got ${priority}`)
  }
  if (owner !== null && owner.length > ownerMax) {
    return limitExceeded('owner', ownerMax, `an owner has at most ${ownerMax} code units`)
  }
  return null
}

function noRoom({ semaphores }: MachineState, name: string): Outcome | null {
  if (semaphores.byName.has(name) || semaphores.byName.size < semaphoresMax) return null
  return limitExceeded('semaphores', semaphoresMax, `the room uses ${semaphoresMax} semaphores already`)
}

function queueFull({ queue }: Semaphore): Outcome | null {
  if (queue.length < semaphoreQueueMax) return null
  const message = `${semaphoreQueueMax} requests wait for this semaphore already`
  return limitExceeded('semaphoreQueue', semaphoreQueueMax, message)
}

function holdersFull(semaphore: Semaphore): Outcome | null {
  if (!isCrowded(semaphore)) return null
  const message = `${semaphoreHoldersMax} requests hold permits of this semaphore already`
  return limitExceeded('semaphoreHolders', semaphoreHoldersMax, message)
}

/** Idempotent, and right whether the request is held, waits, or is neither (S-9). */
function release(context: Context, caller: Caller, number: number): Outcome {
  const { semaphores } = context.state
  const name = semaphores.bySession.get(caller.session)?.get(number)
  const semaphore = name === undefined ? undefined : semaphores.byName.get(name)
  if (!semaphore) return { type: 'semaphore.released' }
  const isIt = (other: WaitingPermits) => other.session === caller.session && other.request === number
  const held = semaphore.held.find(isIt)
  const waiting = semaphore.queue.find(isIt)
  if (held) removeHeld(context, semaphore, held)
  else if (waiting) removeWaiting(context, semaphore, waiting)
  settle(context, semaphore)
  return { type: 'semaphore.released' }
}

/**
 * One that is refused changes nothing. It is refused a deadlock like any request: those who would wait in it have their answers, and would
 * never be told.
 */
function resize(context: Context, command: Resize): Outcome {
  const { name, permits, to } = command
  const refused = malformed(command) ?? noRoom(context.state, name)
  if (refused) return refused
  const known = context.state.semaphores.byName.get(name) ?? create(name, permits)
  const waiters = known.queue.filter(({ count }) => count <= to)
  const deadlock = refuseStuck(context, waiters, { name, size: to, holders: known.held, waiters })
  if (deadlock) return deadlock
  const semaphore = use(context.state, known, permits)
  semaphore.size = to
  for (const waiting of semaphore.queue.filter(({ count }) => count > to)) {
    removeWaiting(context, semaphore, waiting)
    const { session, request, count } = waiting
    context.events.push({ type: 'semaphore.refused', session, request, name, count, size: to })
  }
  settle(context, semaphore)
  return { type: 'semaphore.resized' }
}

/** Ends everything that the session has here, and only then grants to others. */
export function endPermits(context: Context, session: SessionId, reason: LossReason): void {
  const { semaphores } = context.state
  const touched = new Set<Semaphore>()
  for (const { semaphore, held } of heldBy(semaphores, session)) {
    removeHeld(context, semaphore, held)
    tellLost(context, held, reason)
    touched.add(semaphore)
  }
  for (const { semaphore, waiting } of waitingOf(semaphores, session)) {
    removeWaiting(context, semaphore, waiting)
    tellLost(context, waiting, reason)
    touched.add(semaphore)
  }
  settleAll(context, touched)
}

/** S-3: permits with a lease of at most the silence end alone. Who waits keeps the place while the session lives. */
export function expirePermits(context: Context, session: SessionId, silence: number): void {
  const touched = new Set<Semaphore>()
  for (const { semaphore, held } of heldBy(context.state.semaphores, session)) {
    if (held.lease > silence) continue
    removeHeld(context, semaphore, held)
    tellLost(context, held, 'expired')
    touched.add(semaphore)
  }
  settleAll(context, touched)
}

function settleAll(context: Context, touched: ReadonlySet<Semaphore>): void {
  for (const semaphore of [...touched].sort((a, b) => compareStrings(a.name, b.name))) settle(context, semaphore)
}
