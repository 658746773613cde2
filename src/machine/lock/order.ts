import { rankOf } from '../waiting/rank.js'
import type { Held, Waiting } from './state.js'

/**
 * Who is before whom among waiters. Age and priority are of the request, so the order of two never changes, and one of low priority is
 * overtaken by those only who come within the difference. Without priorities: first come, first served.
 */
export function compareWaiting(a: Waiting, b: Waiting): number {
  return rank(a) - rank(b) || a.requested - b.requested
}

function rank({ since, beyond }: Waiting): number {
  return rankOf(since, beyond?.priority ?? 0)
}

export function insert(queue: Waiting[], waiting: Waiting): void {
  const at = queue.findIndex((other) => compareWaiting(waiting, other) < 0)
  queue.splice(at < 0 ? queue.length : at, 0, waiting)
}

/** Total: no two grants share an entry and a place in it. */
export function compareGrants(a: Held, b: Held): number {
  return a.granted - b.granted || a.place - b.place
}
