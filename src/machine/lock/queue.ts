import type { SessionId } from '../command.js'
import type { LossReason } from '../outcome.js'
import type { Context } from '../state.js'
import type { Held, LocksState, Resource, Waiting } from './state.js'

// The queueing rules of W3C Web Locks (section 4), per name. Whoever removes something calls `settle` afterwards.

/** Nothing waits before it, and what is held is compatible with it. */
export function isGrantable(resource: Resource, mode: Waiting['mode'], ahead: number): boolean {
  if (ahead > 0) return false
  if (mode === 'exclusive') return resource.held.length === 0
  return resource.held.every((held) => held.mode === 'shared')
}

export function resourceOf(state: LocksState, name: string): Resource {
  const known = state.resources.get(name)
  if (known) return known
  const resource: Resource = { name, share: null, held: [], queue: [] }
  state.resources.set(name, resource)
  return resource
}

/** Remembers where the request is, for its release and for the end of its session. */
export function remember(state: LocksState, name: string, { session, request }: Waiting): void {
  const names = state.bySession.get(session)
  if (names) names.set(request, name)
  else state.bySession.set(session, new Map([[request, name]]))
}

function forget(state: LocksState, { session, request }: Waiting): void {
  const names = state.bySession.get(session)
  names?.delete(request)
  if (names?.size === 0) state.bySession.delete(session)
}

/** T1: the token is the base plus the index of this entry. */
export function grant(context: Context, resource: Resource, waiting: Waiting): Held {
  const { state, index } = context
  const token = state.tokenBase + index
  const held: Held = { ...waiting, token, since: state.clusterTime, granted: index, place: context.grants }
  context.grants += 1
  resource.held.push(held)
  // T2: the share goes on while one holder is left, whoever began it.
  resource.share = held.mode === 'shared' ? (resource.share ?? token) : null
  changed(context, resource.name)
  return held
}

export function removeHeld(context: Context, resource: Resource, held: Held): void {
  resource.held.splice(resource.held.indexOf(held), 1)
  if (resource.held.length === 0) resource.share = null
  forget(context.state.locks, held)
  changed(context, resource.name)
}

export function removeWaiting(context: Context, resource: Resource, waiting: Waiting): void {
  resource.queue.splice(resource.queue.indexOf(waiting), 1)
  forget(context.state.locks, waiting)
  changed(context, resource.name)
}

export function tellLost(context: Context, { session, request }: Waiting, reason: LossReason): void {
  context.events.push({ type: 'lock.lost', session, request, reason })
}

/** Grants from the head of the queue while the head is grantable; a name that nobody uses any more goes. */
export function settle(context: Context, resource: Resource): void {
  for (let head = resource.queue[0]; head && isGrantable(resource, head.mode, 0); head = resource.queue[0]) {
    resource.queue.shift()
    const { session, request, token, since } = grant(context, resource, head)
    context.events.push({ type: 'lock.granted', session, request, token, since })
  }
  // Nothing held here means nothing waiting either: its head would have been granted.
  if (resource.held.length === 0) context.state.locks.resources.delete(resource.name)
}

export function changed(context: Context, name: string): void {
  context.lateEvents.set(`lock.changed ${name}`, { type: 'lock.changed', name })
}

/** What the session holds, in the order of the grants. */
export function heldBy(state: LocksState, session: SessionId): { resource: Resource; held: Held }[] {
  return namesOf(state, session)
    .flatMap((resource) => resource.held.filter((held) => held.session === session).map((held) => ({ resource, held })))
    .sort((a, b) => compareGrants(a.held, b.held))
}

/** What the session waits for, in the order of the requests. */
export function waitingOf(state: LocksState, session: SessionId): { resource: Resource; waiting: Waiting }[] {
  return namesOf(state, session)
    .flatMap((resource) =>
      resource.queue.filter((waiting) => waiting.session === session).map((waiting) => ({ resource, waiting })),
    )
    .sort((a, b) => a.waiting.requested - b.waiting.requested)
}

function namesOf(state: LocksState, session: SessionId): Resource[] {
  const names = new Set(state.bySession.get(session)?.values())
  return [...names].flatMap((name) => state.resources.get(name) ?? [])
}

/** Total: no two grants share an entry and a place in it. */
export function compareGrants(a: Held, b: Held): number {
  return a.granted - b.granted || a.place - b.place
}
