import { type Blocker, nodeOf, type Wait, type World } from '../waiting/graph.js'
import type { WaitingPermits } from './state.js'

/** A semaphore as it is, or as it would be. */
export interface Queueing {
  readonly name: string
  readonly size: number
  readonly holders: readonly WaitingPermits[]
  readonly waiters: readonly WaitingPermits[]
}

/** Those who wait for that semaphore, in their order. */
export function semaphoreWaits({ name, size, holders, waiters }: Queueing): Wait[] {
  const waits: Wait[] = []
  const nodes = new Map([...holders, ...waiters].map((one) => [one, nodeOf(one)]))
  const held = holders.map((other) => blockerOf(name, other, 'held'))
  const queued = waiters.map((other) => blockerOf(name, other, 'waiting'))
  for (const [place, waiting] of waiters.entries()) {
    const { session, request, owner, count } = waiting
    const ahead = waiters.slice(0, place)
    /** Nobody passes who stands first, and what is out comes back when its owner is gone. */
    const behind = (world: World): Blocker[] => {
      const isThere = (other: WaitingPermits) => !world.isGone(nodes.get(other) ?? '')
      const isIn = (_: WaitingPermits, i: number) => waits[i] !== undefined && world.isGranted(waits[i])
      const out = [...holders, ...ahead.filter(isIn)].filter(isThere)
      const isFirst = ahead.every((other, i) => isIn(other, i) || !isThere(other))
      if (isFirst && sum(out) + count <= size) return []
      const blockers = [...held, ...queued.slice(0, place)]
      return blockers.filter(({ node }) => !world.isGone(node))
    }
    const kind = 'semaphore'
    waits.push({
      ...{ node: nodeOf(waiting), session, owner, request, kind, names: [name], mode: null },
      position: place + 1,
      behind,
    })
  }
  return waits
}

function sum(requests: readonly WaitingPermits[]): number {
  return requests.reduce((total, { count }) => total + count, 0)
}

function blockerOf(name: string, who: WaitingPermits, state: Blocker['state']): Blocker {
  const { session, owner } = who
  return { node: nodeOf(who), session, owner, name, state }
}
