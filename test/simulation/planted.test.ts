import { describe, expect, it } from 'vitest'
import { runSeed } from '../../src/simulation/run.js'
import { plantedBugs } from './planted.js'

describe('a planted bug is caught', () => {
  it.each(plantedBugs.map((bug) => [bug.rule, bug.name, bug.within, bug] as const))(
    '[%s] %s, within %i seeds',
    async (_rule, _name, within, { surgery, faults = {}, shows }) => {
      for (let seed = 1; seed <= within; seed++) {
        const { violation } = await runSeed(seed, { surgery, faults })
        if (!violation) continue
        expect(shows).toContain(violation.rule)
        return
      }
      throw new Error(`${within} seeds did not show it`)
    },
    400_000,
  )
})
