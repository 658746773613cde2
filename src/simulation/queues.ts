import type { Simulation } from './simulation.js'

/** So many of them at a time as may wait for one lock. */
export function inQueuesOf<T>({ options }: Simulation, all: readonly T[]): T[][] {
  const { lockQueue } = options.settings.limits
  const groups: T[][] = []
  for (let at = 0; at < all.length; at += lockQueue) groups.push(all.slice(at, at + lockQueue))
  return groups
}
