import { Prng } from './prng.js'
import type { Simulation } from './simulation.js'

/** What a seed decides of rooms that slow down, and of timers that come late: from a stream of its own. */
export interface Clamps {
  readonly prng: Prng
  /** So soon a room counts as idle (M6), ms: the sooner, the more often it falls asleep and is woken. */
  readonly idleAfter: number
  /** Timers of all pages and workers come at multiples of this only, for a while; 0: of none (C3). */
  readonly grain: number
}

export function drawClamps(seed: string): Clamps {
  const prng = new Prng(`${seed}/clamps`)
  return {
    prng,
    idleAfter: prng.pick([50, 300, 1_000, 5_000]),
    grain: prng.chance(0.2) ? prng.pick([1_000, 60_000]) : 0,
  }
}

/** The browser slows down the timers of everything that nobody looks at; whoever looks again ends it, at the latest when faults end. */
export function clampTimers(sim: Simulation, { prng, grain }: Clamps, isOver: () => boolean): void {
  if (grain === 0) return
  sim.world.after(prng.between(0, 5_000), 'all timers clamped', () => {
    // Faults may strike for less than that: nothing would end it any more.
    if (isOver()) return
    sim.world.coverage.hit(`fault clamp ${grain}`)
    for (const tab of sim.tabs) tab.throttle(grain)
  })
}
