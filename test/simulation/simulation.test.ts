import { availableParallelism } from 'node:os'
import { describe, expect, it } from 'vitest'
import { type RunOptions, runSeed } from '../../src/simulation/run.js'
import { regressions } from './regressions.js'

/** Sized for about two minutes on one idle core; the soak goes on from here. */
const seeds = Array.from({ length: 300 }, (_, i) => i + 1)
const perSeed = 60_000

async function passes(seed: number, options: Pick<RunOptions, 'chaosMs' | 'edition'> = {}): Promise<void> {
  const { violation, tail } = await runSeed(seed, options)
  if (!violation) return
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
    (seed, _cause, run) => passes(seed, run),
    perSeed,
  )
})

describe(`random rooms under faults, then without (${availableParallelism()} cores here)`, () => {
  it.each(seeds)('seed %i', (seed) => passes(seed), perSeed)
})
