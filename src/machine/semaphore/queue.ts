import type { SessionId } from '../command.js'
import type { LossReason } from '../outcome.js'
import type { Context } from '../state.js'
import { rankOf } from '../waiting/rank.js'
import { semaphoreHoldersMax } from './limits.js'
import type { HeldPermits, Semaphore, SemaphoresState, WaitingPermits } from './state.js'

// Who is let in, per name. Whoever removes something, or changes the size, calls `settle` afterwards.

/** How many can be had now; none while more are out than there should be. */
export function freeOf({ size, held }: Semaphore): number {
  return Math.max(0, size - held.reduce((sum, { count }) => sum + count, 0))
}

/** Who is first. */
export function compareRanks(a: WaitingPermits, b: WaitingPermits): number {
  return rankOf(a.since, a.priority) - rankOf(b.since, b.priority) || a.requested - b.requested
}

/** Its place among those who wait, from 0. */
export function placeOf({ queue }: Semaphore, waiting: WaitingPermits): number {
  const behind = queue.findIndex((other) => compareRanks(other, waiting) > 0)
  return behind < 0 ? queue.length : behind
}

export function isCrowded({ held }: Semaphore): boolean {
  return held.length >= semaphoreHoldersMax
}

export function isUnused({ held, queue }: Semaphore): boolean {
  return held.length + queue.length === 0
}

/** Remembers where the request is, for its release and for the end of its session. */
export function remember(state: SemaphoresState, name: string, { session, request }: WaitingPermits): void {
  const names = state.bySession.get(session)
  if (names) names.set(request, name)
  else state.bySession.set(session, new Map([[request, name]]))
}

function forget(state: SemaphoresState, { session, request }: WaitingPermits): void {
  const names = state.bySession.get(session)
  names?.delete(request)
  if (names?.size === 0) state.bySession.delete(session)
}

/** T1: the base plus the index of this entry, or the next one where that has been given. */
export function grant(context: Context, semaphore: Semaphore, waiting: WaitingPermits): HeldPermits {
  const { state, index } = context
  const { semaphores } = state
  const token = Math.max(state.tokenBase + index, semaphores.lastToken + 1)
  semaphores.lastToken = token
  const held: HeldPermits = { ...waiting, token, since: state.clusterTime }
  semaphore.held.push(held)
  return held
}

export function removeHeld({ state }: Context, semaphore: Semaphore, held: HeldPermits): void {
  semaphore.held.splice(semaphore.held.indexOf(held), 1)
  forget(state.semaphores, held)
}

export function removeWaiting({ state }: Context, semaphore: Semaphore, waiting: WaitingPermits): void {
  semaphore.queue.splice(semaphore.queue.indexOf(waiting), 1)
  forget(state.semaphores, waiting)
}

export function tellLost(context: Context, { session, request }: WaitingPermits, reason: LossReason): void {
  context.events.push({ type: 'semaphore.lost', session, request, reason })
}

/** Grants from the head of the queue while there are enough for it, and no more hold some than may; a name goes that nobody uses, and that says no more than its users do. */
export function settle(context: Context, semaphore: Semaphore): void {
  const { queue, size, declared, name } = semaphore
  let free = freeOf(semaphore)
  for (let head = queue[0]; head && head.count <= free && !isCrowded(semaphore); head = queue[0]) {
    queue.shift()
    const { session, request, token, since, count } = grant(context, semaphore, head)
    free -= count
    context.events.push({ type: 'semaphore.granted', session, request, token, since })
  }
  if (isUnused(semaphore) && size === declared) context.state.semaphores.byName.delete(name)
}

/** What the session holds, in the order of the grants. */
export function heldBy(state: SemaphoresState, session: SessionId): { semaphore: Semaphore; held: HeldPermits }[] {
  return namesOf(state, session)
    .flatMap((semaphore) =>
      semaphore.held.filter((held) => held.session === session).map((held) => ({ semaphore, held })),
    )
    .sort((a, b) => a.held.token - b.held.token)
}

/** What the session waits for, in the order of the requests. */
export function waitingOf(
  state: SemaphoresState,
  session: SessionId,
): { semaphore: Semaphore; waiting: WaitingPermits }[] {
  return namesOf(state, session)
    .flatMap((semaphore) =>
      semaphore.queue.filter((waiting) => waiting.session === session).map((waiting) => ({ semaphore, waiting })),
    )
    .sort((a, b) => a.waiting.requested - b.waiting.requested)
}

function namesOf(state: SemaphoresState, session: SessionId): Semaphore[] {
  const names = new Set(state.bySession.get(session)?.values())
  return [...names].flatMap((name) => state.byName.get(name) ?? [])
}
