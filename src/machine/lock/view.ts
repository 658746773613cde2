import { compareStrings } from '../../shared/codec.js'
import type { SessionId } from '../command.js'
import type { LockView } from '../outcome.js'
import type { MachineState } from '../state.js'
import { claimsOf, endOf } from './books.js'
import { compareGrants } from './order.js'
import { type Claim, type Held, namesOf, ownerOf, type Resource, scopeOf, type Waiting } from './state.js'

/** Everything: `held` in the order of the grants, `pending` in the order of the requests. */
export function queryLocks(state: MachineState): { held: LockView[]; pending: LockView[] } {
  const resources = [...state.locks.resources.values()]
  const pending = resources.flatMap((resource) => resource.queue.map((waiting, i) => ({ resource, waiting, i })))
  return {
    held: allHeld(state).map(({ resource, held }) => viewHeld(state, resource, held)),
    pending: pending
      .sort((a, b) => a.waiting.requested - b.waiting.requested || compareStrings(a.resource.name, b.resource.name))
      .map(({ resource, waiting, i }) => viewWaiting(state, resource, waiting, i + 1)),
  }
}

/** Those whose name begins so, in the order of the grants. */
export function heldUnder(state: MachineState, prefix: string): LockView[] {
  return allHeld(state).flatMap(({ resource, held }) =>
    resource.name.startsWith(prefix) ? [viewHeld(state, resource, held)] : [],
  )
}

function allHeld({ locks }: MachineState): { resource: Resource; held: Held }[] {
  return [...locks.resources.values()]
    .flatMap((resource) => resource.held.map((held) => ({ resource, held })))
    .sort((a, b) => compareGrants(a.held, b.held))
}

/** One name: its holders in the order of the grants, its waiters in the order of the queue. */
export function observeLock(state: MachineState, name: string): { holders: LockView[]; waiters: LockView[] } {
  const resource = state.locks.resources.get(name)
  if (!resource) return { holders: [], waiters: [] }
  return {
    holders: resource.held.map((held) => viewHeld(state, resource, held)),
    waiters: resource.queue.map((waiting, i) => viewWaiting(state, resource, waiting, i + 1)),
  }
}

export type RequestState =
  | { readonly type: 'held'; readonly token: number; readonly since: number }
  | { readonly type: 'queued' }
  | { readonly type: 'gone' }

/** What has become of a request, for a host that reconciles after a snapshot (S-10). `number`: its command's number. */
export function requestState(state: MachineState, session: SessionId, number: number): RequestState {
  const view = findLock(state, session, number)
  if (!view) return { type: 'gone' }
  return view.position > 0 ? { type: 'queued' } : { type: 'held', token: view.token, since: view.since }
}

/** The request if it is held or waits, else null; of several names the first that is left. */
export function findLock(state: MachineState, session: SessionId, request: number): LockView | null {
  return findLocks(state, session, request)[0] ?? null
}

/** All names of a request: what it holds, in the order of the grants; else what it waits for, in its own order. */
export function findLocks(state: MachineState, session: SessionId, request: number): LockView[] {
  const { held, waiting } = claimsOf(state.locks, session, request)
  if (!waiting) return held.map(({ resource, held }) => viewHeld(state, resource, held))
  const names = namesOf(waiting.resource.name, waiting.waiting)
  return names.flatMap((name) => observeLock(state, name).waiters.filter((view) => isOf(view, session, request)))
}

function isOf(view: LockView, session: SessionId, request: number): boolean {
  return view.session === session && view.request === request
}

function viewHeld(state: MachineState, resource: Resource, held: Held): LockView {
  const { token, revoke, upgrade } = held
  return view(state, resource, held, {
    ...{ token, position: 0, endsAt: endOf(held), revoked: revoke !== undefined, upgrading: upgrade !== undefined },
    grace: revoke?.grace ?? null,
  })
}

function viewWaiting(state: MachineState, resource: Resource, waiting: Waiting, position: number): LockView {
  return view(state, resource, waiting, {
    token: 0,
    position,
    endsAt: null,
    revoked: false,
    grace: null,
    upgrading: false,
  })
}

type Place = Pick<LockView, 'token' | 'position' | 'endsAt' | 'revoked' | 'grace' | 'upgrading'>

function view(state: MachineState, { name }: Resource, claim: Claim, place: Place): LockView {
  const { mode, session, request, since, attributes, beyond } = claim
  const peerId = state.sessions.get(session)?.peerId ?? ''
  const asked = { owner: ownerOf(claim), scope: scopeOf(claim), priority: beyond?.priority ?? 0 }
  return { name, mode, session, peerId, request, since, attributes, ...asked, ...place }
}
