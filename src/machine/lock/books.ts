import type { SessionId } from '../command.js'
import type { LossReason, MachineEvent } from '../outcome.js'
import type { Context } from '../state.js'
import { compareGrants, insert } from './order.js'
import {
  type Claim,
  type Delay,
  type Held,
  type LocksState,
  namesOf,
  type Resource,
  scopeOf,
  type Waiting,
} from './state.js'
import { namesAround } from './territory.js'
import { useUp } from './token.js'

// Keeps what follows from each other in step: resources, where requests are found, and what is in use. Whoever takes something away calls
// `settle` afterwards.

export function resourceOf(locks: LocksState, name: string): Resource {
  const known = locks.resources.get(name)
  if (known) return known
  const resource: Resource = { name, share: null, held: [], queue: [] }
  locks.resources.set(name, resource)
  return resource
}

/** A name that nobody uses any more costs nothing. */
export function dropUnused(locks: LocksState, { name, held, queue, delays }: Resource): void {
  if (held.length + queue.length === 0 && !delays) locks.resources.delete(name)
}

export function endOf({ expiresAt, revoke }: Held): number | null {
  const endsAt = revoke?.endsAt ?? null
  if (expiresAt === undefined || endsAt === null) return expiresAt ?? endsAt
  return Math.min(expiresAt, endsAt)
}

function count(locks: LocksState, claim: Claim, by: 1 | -1): void {
  if (claim.beyond) locks.uses.beyond += by
  if (scopeOf(claim) === 'tree') locks.uses.trees += by
}

function remember(locks: LocksState, name: string, { session, request }: Claim): void {
  const requests = locks.bySession.get(session) ?? new Map<number, Set<string>>()
  locks.bySession.set(session, requests)
  const names = requests.get(request)
  if (names) names.add(name)
  else requests.set(request, new Set([name]))
}

function forget(locks: LocksState, name: string, { session, request }: Claim): void {
  const requests = locks.bySession.get(session)
  const names = requests?.get(request)
  names?.delete(name)
  if (names?.size === 0) requests?.delete(request)
  if (requests?.size === 0) locks.bySession.delete(session)
}

export function addWaiting(locks: LocksState, name: string, waiting: Waiting): void {
  insert(resourceOf(locks, name).queue, waiting)
  remember(locks, name, waiting)
  count(locks, waiting, 1)
}

export function addHeld(locks: LocksState, resource: Resource, held: Held): void {
  resource.held.push(held)
  remember(locks, resource.name, held)
  count(locks, held, 1)
  if (endOf(held) !== null) locks.uses.timed += 1
  reshare(resource)
}

/** From all queues that it stands in. */
export function takeWaiting(context: Context, name: string, waiting: Waiting): void {
  const { locks } = context.state
  for (const one of namesOf(name, waiting)) {
    const queue = locks.resources.get(one)?.queue
    const at = queue?.findIndex((other) => isSame(other, waiting)) ?? -1
    if (at < 0) continue
    queue?.splice(at, 1)
    forget(locks, one, waiting)
    count(locks, waiting, -1)
    changed(context, one)
  }
}

export function takeHeld(context: Context, resource: Resource, held: Held, how: 'released' | LossReason): void {
  const { locks } = context.state
  resource.held.splice(resource.held.indexOf(held), 1)
  useUp(context, held.token)
  reshare(resource)
  forget(locks, resource.name, held)
  count(locks, held, -1)
  if (endOf(held) !== null) locks.uses.timed -= 1
  context.lockEvents.push({ type: 'lock.freed', ...shown(context, resource, held), how })
  changed(context, resource.name)
}

/** Something about a hold is another one now. It keeps its place. */
export function replaceHeld(context: Context, resource: Resource, held: Held, next: Held): void {
  const { uses } = context.state.locks
  uses.timed += Number(endOf(next) !== null) - Number(endOf(held) !== null)
  resource.held[resource.held.indexOf(held)] = next
  reshare(resource)
  changed(context, resource.name)
}

/** T2: the share goes on while one holder is left, whoever began it. One that was exclusive before begins with that hold's token. */
function reshare(resource: Resource): void {
  const { held } = resource
  const isShared = held.length > 0 && held.every(({ mode }) => mode === 'shared')
  resource.share = isShared ? (resource.share ?? held.reduce((max, { token }) => Math.max(max, token), 0)) : null
}

export function setDelays(locks: LocksState, resource: Resource, delays: readonly Delay[]): void {
  const before = resource.delays ?? []
  locks.uses.timed += delays.length - before.length
  locks.uses.trees += treesIn(delays) - treesIn(before)
  if (delays.length > 0) resource.delays = delays
  else delete resource.delays
}

function treesIn(delays: readonly Delay[]): number {
  return delays.filter(({ scope }) => scope === 'tree').length
}

export function shown(context: Context, { name }: Resource, { session, request, mode, token }: Held) {
  return { name, session, peerId: context.state.sessions.get(session)?.peerId ?? '', request, mode, token }
}

export function changed(context: Context, name: string): void {
  context.lateEvents.set(`lock.changed ${name}`, { type: 'lock.changed', name })
}

export function tellLost(context: Context, name: string, { session, request }: Claim, reason: LossReason): void {
  const event: MachineEvent = { type: 'lock.lost', session, request, name, reason }
  context.events.push(event)
}

/** Something of this claim's territory was given back: who waits for what meets it may go on. */
export function touch(locks: LocksState, touched: Set<string>, name: string, claim: Claim): void {
  for (const around of namesAround(locks, name, scopeOf(claim))) touched.add(around.name)
}

export function isSame(a: Claim, b: Claim): boolean {
  return a.session === b.session && a.request === b.request
}

/** What the session holds, in the order of the grants. */
export function heldBy(locks: LocksState, session: SessionId): { resource: Resource; held: Held }[] {
  return resourcesOf(locks, session)
    .flatMap((resource) => resource.held.filter((held) => held.session === session).map((held) => ({ resource, held })))
    .sort((a, b) => compareGrants(a.held, b.held))
}

/** What the session waits for, in the order of the requests: each once, at the first of its names. */
export function waitingOf(locks: LocksState, session: SessionId): { resource: Resource; waiting: Waiting }[] {
  return resourcesOf(locks, session)
    .flatMap((resource) => resource.queue.map((waiting) => ({ resource, waiting })))
    .filter(({ resource, waiting }) => waiting.session === session && isFirst(resource.name, waiting))
    .sort((a, b) => a.waiting.requested - b.waiting.requested)
}

export function isFirst(name: string, { names }: Waiting): boolean {
  return names === undefined || names[0] === name
}

/** Where that request is held, and where it waits. */
export function claimsOf(
  locks: LocksState,
  session: SessionId,
  request: number,
): { held: { resource: Resource; held: Held }[]; waiting: { resource: Resource; waiting: Waiting } | null } {
  const isIt = (claim: Claim) => claim.session === session && claim.request === request
  const names = [...(locks.bySession.get(session)?.get(request) ?? [])]
  const resources = names.flatMap((name) => locks.resources.get(name) ?? [])
  const held = resources.flatMap((resource) => resource.held.filter(isIt).map((held) => ({ resource, held })))
  const waiting = resources.flatMap((resource) => resource.queue.filter(isIt).map((waiting) => ({ resource, waiting })))
  return { held: held.sort((a, b) => compareGrants(a.held, b.held)), waiting: waiting[0] ?? null }
}

function resourcesOf(locks: LocksState, session: SessionId): Resource[] {
  const names = new Set([...(locks.bySession.get(session)?.values() ?? [])].flatMap((names) => [...names]))
  return [...names].flatMap((name) => locks.resources.get(name) ?? [])
}
