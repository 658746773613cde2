import type { SessionId } from '../command.js'
import { compareDeadlines, type Deadline } from '../deadline.js'
import type { LossReason, Outcome } from '../outcome.js'
import type { Caller, Context, MachineState } from '../state.js'
import {
  changed,
  claimsOf,
  endOf,
  heldBy,
  setDelays,
  takeHeld,
  takeWaiting,
  tellLost,
  touch,
  waitingOf,
} from './books.js'
import { settle } from './grant.js'
import { type Delay, type Held, namesOf, type Resource, scopeOf, type Waiting } from './state.js'
import { namesAround } from './territory.js'

/** Idempotent, and right whether the request is held, waits, or is neither (S-9). With a name only that one of what it holds. */
export function release(context: Context, caller: Caller, request: number, only: string | null): Outcome {
  const { locks } = context.state
  const { held, waiting } = claimsOf(locks, caller.session, request)
  const touched = new Set<string>()
  for (const { resource, held: one } of held) {
    if (only !== null && resource.name !== only) continue
    touch(locks, touched, resource.name, one)
    takeHeld(context, resource, one, 'released')
  }
  if (waiting) withdraw(context, waiting.resource, waiting.waiting, touched)
  settle(context, touched)
  return { type: 'lock.released' }
}

function withdraw(context: Context, { name }: Resource, waiting: Waiting, touched: Set<string>): void {
  for (const one of namesOf(name, waiting)) touch(context.state.locks, touched, one, waiting)
  takeWaiting(context, name, waiting)
}

/** Everything that a session held or waited for; what is told and granted has the same order everywhere. */
export function endLocks(context: Context, session: SessionId, reason: LossReason, unclean: boolean): void {
  const { locks } = context.state
  const touched = new Set<string>()
  for (const { resource, held } of heldBy(locks, session)) lose(context, resource, held, reason, touched, unclean)
  for (const { resource, waiting } of waitingOf(locks, session)) {
    withdraw(context, resource, waiting, touched)
    for (const name of namesOf(resource.name, waiting)) tellLost(context, name, waiting, reason)
  }
  settle(context, touched)
}

/** S-3: a lock with a lease of at most the silence ends alone. Who waits keeps the place while the session lives. */
export function expireLocks(context: Context, session: SessionId, silence: number): void {
  const touched = new Set<string>()
  for (const { resource, held } of heldBy(context.state.locks, session))
    if (held.lease <= silence) lose(context, resource, held, 'expired', touched, true)
  settle(context, touched)
}

function lose(
  context: Context,
  resource: Resource,
  held: Held,
  reason: LossReason,
  touched: Set<string>,
  unclean: boolean,
): void {
  touch(context.state.locks, touched, resource.name, held)
  takeHeld(context, resource, held, reason)
  tellLost(context, resource.name, held, reason)
  const lockDelay = held.beyond?.lockDelay ?? 0
  if (unclean && lockDelay > 0) delay(context, resource, held, lockDelay)
}

/** Its page may still act as if it held it: nobody is let in for a while. */
function delay(context: Context, resource: Resource, held: Held, ms: number): void {
  const { state, index } = context
  const scope = scopeOf(held)
  const next: Delay = { scope, until: state.clusterTime + ms, index }
  const before = resource.delays ?? []
  if (before.some((one) => one.scope === scope && one.until >= next.until)) return
  const others = before.filter((one) => one.scope !== scope)
  setDelays(
    state.locks,
    resource,
    [...others, next].sort((a, b) => (a.scope < b.scope ? -1 : 1)),
  )
}

interface Due extends Deadline {
  /** Ends of holds before ends of delays of the same entry. */
  readonly place: number
  readonly resource: Resource
  readonly ends: { readonly held: Held } | { readonly delay: Delay }
}

export function nextDue({ locks }: MachineState): Due | null {
  if (locks.uses.timed === 0) return null
  let first: Due | null = null
  for (const resource of locks.resources.values())
    for (const due of duesOf(resource)) if (!first || compareDues(due, first) < 0) first = due
  return first
}

function* duesOf(resource: Resource): Iterable<Due> {
  for (const held of resource.held) {
    const at = endOf(held)
    if (at !== null) yield { at, index: held.granted, place: held.place, resource, ends: { held } }
  }
  for (const delay of resource.delays ?? [])
    yield { at: delay.until, index: delay.index, place: Number.MAX_SAFE_INTEGER, resource, ends: { delay } }
}

function compareDues(a: Due, b: Due): number {
  return compareDeadlines(a, b) || a.place - b.place || (a.resource.name < b.resource.name ? -1 : 1)
}

/** C1, T1: all that is due, and only then whom it lets in: nobody re-enters by a hold that is over too. */
export function fireLocks(context: Context): void {
  const { state } = context
  const touched = new Set<string>()
  for (let due = nextDue(state); due && due.at <= state.clusterTime; due = nextDue(state)) {
    if ('held' in due.ends) endHold(context, due.resource, due.ends.held, touched)
    else endDelay(context, due.resource, due.ends.delay, touched)
  }
  settle(context, touched)
}

function endHold(context: Context, resource: Resource, held: Held, touched: Set<string>): void {
  const { expiresAt, revoke } = held
  const isGrace = (revoke?.endsAt ?? Number.POSITIVE_INFINITY) <= (expiresAt ?? Number.MAX_SAFE_INTEGER)
  lose(context, resource, held, isGrace ? 'revoked' : 'expired', touched, false)
}

function endDelay(context: Context, resource: Resource, delay: Delay, touched: Set<string>): void {
  const { locks } = context.state
  for (const around of namesAround(locks, resource.name, delay.scope)) touched.add(around.name)
  const others = (resource.delays ?? []).filter((one) => one !== delay)
  setDelays(locks, resource, others)
  changed(context, resource.name)
}
