import { compareStrings } from '../../shared/codec.js'
import type { SessionId } from '../command.js'
import type { LockView } from '../outcome.js'
import type { MachineState } from '../state.js'
import { compareGrants } from './queue.js'
import type { Held, Resource, Waiting } from './state.js'

/** Everything: `held` in the order of the grants, `pending` in the order of the requests. */
export function queryLocks(state: MachineState): { held: LockView[]; pending: LockView[] } {
  const resources = [...state.locks.resources.values()]
  const held = resources.flatMap((resource) => resource.held.map((held) => ({ resource, held })))
  const pending = resources.flatMap((resource) => resource.queue.map((waiting, i) => ({ resource, waiting, i })))
  return {
    held: held
      .sort((a, b) => compareGrants(a.held, b.held))
      .map(({ resource, held }) => viewHeld(state, resource, held)),
    pending: pending
      .sort((a, b) => a.waiting.requested - b.waiting.requested || compareStrings(a.resource.name, b.resource.name))
      .map(({ resource, waiting, i }) => viewWaiting(state, resource, waiting, i + 1)),
  }
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

/** The request if it is held or waits, else null. */
export function findLock(state: MachineState, session: SessionId, request: number): LockView | null {
  const name = state.locks.bySession.get(session)?.get(request)
  if (name === undefined) return null
  const { holders, waiters } = observeLock(state, name)
  return [...holders, ...waiters].find((view) => view.session === session && view.request === request) ?? null
}

function viewHeld(state: MachineState, resource: Resource, held: Held): LockView {
  return view(state, resource, held, { token: held.token, position: 0 })
}

function viewWaiting(state: MachineState, resource: Resource, waiting: Waiting, position: number): LockView {
  return view(state, resource, waiting, { token: 0, position })
}

function view(
  state: MachineState,
  { name }: Resource,
  { mode, session, request, since, attributes }: Waiting,
  place: { token: number; position: number },
): LockView {
  const peerId = state.sessions.get(session)?.peerId ?? ''
  return { name, mode, session, peerId, request, since, attributes, ...place }
}
