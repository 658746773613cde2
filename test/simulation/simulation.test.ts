import { availableParallelism } from 'node:os'
import { describe, expect, it } from 'vitest'
import { CoverageTable } from '../../src/simulation/coverage.js'
import { type RunOptions, runSeed } from '../../src/simulation/run.js'
import { branches, faults } from './coverage.js'
import { regressions } from './regressions.js'

/** Sized for about two minutes on one idle core; the soak goes on from here. */
const seeds = Array.from({ length: 300 }, (_, i) => i + 1)
const perSeed = 60_000

async function passes(seed: number, options: RunOptions = {}): Promise<ReadonlyMap<string, number>> {
  const { violation, tail, coverage } = await runSeed(seed, options)
  if (!violation) return coverage
  const story = tail.slice(-60).join('\n')
  const { chaosMs, edition } = options
  const flags = `${chaosMs === undefined ? '' : ` --chaos ${chaosMs}`}${edition === undefined ? '' : ` --edition ${edition}`}`
  throw new Error(`${violation.message}\n\nreplay: npm run soak -- --seed ${seed}${flags} --trace\n\n${story}`)
}

describe('a run', () => {
  it.each([3, 12, 97])(
    'of seed %i is the same twice, to the last event',
    async (seed) => {
      const first = await runSeed(seed)
      const second = await runSeed(seed)
      expect(second.hash).toBe(first.hash)
      expect(second.events).toBe(first.events)
    },
    perSeed,
  )

  it('of another seed is another one', async () => {
    const [first, second] = [await runSeed(3), await runSeed(5)]
    expect(first.hash).not.toBe(second.hash)
  }, 60_000)
})

describe('seeds that once failed', () => {
  it.each(regressions.map((run) => [run.seed, run.cause, run] as const))(
    'seed %i: %s',
    async (seed, _cause, run) => {
      await passes(seed, run)
    },
    perSeed,
  )
})

describe(`[S66][S67] random rooms under faults, then without (${availableParallelism()} cores here)`, () => {
  const table = new CoverageTable()
  let runs = 0

  it.each(seeds)(
    'seed %i',
    async (seed) => {
      table.add(await passes(seed))
      runs += 1
    },
    perSeed,
  )

  // What no run has gone through, no run has tested.
  it('have met every fault and gone through every branch', (context) => {
    if (runs < seeds.length) context.skip(`only ${runs} of ${seeds.length} seeds have passed`)
    expect({ faults: table.missing(faults), branches: table.missing(branches) }).toEqual({ faults: [], branches: [] })
  })
})
