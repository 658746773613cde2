import { compareStrings } from '../../shared/codec.js'
import type { SessionId } from '../command.js'
import type { MachineState } from '../state.js'
import { freeOf } from './queue.js'
import type { HeldPermits, WaitingPermits } from './state.js'

/** How many there are, and how many can be had; null for a name that nobody uses. */
export function readSemaphore(state: MachineState, name: string): { size: number; free: number } | null {
  const semaphore = state.semaphores.byName.get(name)
  return semaphore ? { size: semaphore.size, free: freeOf(semaphore) } : null
}

export type PermitState =
  | { readonly type: 'held'; readonly token: number; readonly since: number }
  | { readonly type: 'queued' }
  | { readonly type: 'gone' }

/** What has become of a request, for a host that reconciles after a snapshot (S-10). `number`: its command's number. */
export function permitState(state: MachineState, session: SessionId, number: number): PermitState {
  const name = state.semaphores.bySession.get(session)?.get(number)
  const semaphore = name === undefined ? undefined : state.semaphores.byName.get(name)
  const held = semaphore?.held.find((one) => one.session === session && one.request === number)
  if (held) return { type: 'held', token: held.token, since: held.since }
  return { type: semaphore ? 'queued' : 'gone' }
}

/** One semaphore as the refusal of deadlocks needs it: a resource of `size` units. Not to be written to. */
export interface SemaphoreUse {
  readonly name: string
  readonly size: number
  /** In the order of the grants. */
  readonly holders: readonly HeldPermits[]
  /** In the order in which they will be let in: nobody passes another. */
  readonly waiters: readonly WaitingPermits[]
}

/** Every semaphore that somebody holds or waits for, by name. */
export function semaphoresInUse({ semaphores }: MachineState): SemaphoreUse[] {
  return [...semaphores.byName.values()]
    .filter(({ held, queue }) => held.length + queue.length > 0)
    .sort((a, b) => compareStrings(a.name, b.name))
    .map(({ name, size, held, queue }) => ({ name, size, holders: held, waiters: queue }))
}
