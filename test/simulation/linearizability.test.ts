import { expect, it } from 'vitest'
import { checkHistory } from '../../src/simulation/linearizability/check.js'
import { readHistory, writeHistory } from '../../src/simulation/linearizability/history.js'
import { runSeed } from '../../src/simulation/run.js'
import { plantedBugs } from './planted.js'

it('an honest run leaves a history of store and locks, which is read as it was written', async () => {
  const { history, undecided } = await runSeed(3)
  expect(undecided).toEqual([])
  const kinds = new Set(history.map(({ op }) => op))
  for (const op of ['get', 'set', 'compareAndSet', 'acquire', 'release']) expect(kinds).toContain(op)
  const read = readHistory(writeHistory(history))
  expect(read).toEqual(history)
  expect(checkHistory(read).verdict).toBe('linearizable')
}, 60_000)

it.each([
  ['S-4', 'a page counts its lease by half of the time', 'lock'],
  ['API', 'compareAndSet does not compare', 'register'],
  ['API', 'compareAndSet reads, and then writes', 'register'],
  ['API', 'compareAndSet says yes though it was not as expected', 'register'],
])(
  '[%s] %s: by what the users did, too',
  async (_rule, name, model) => {
    const bug = plantedBugs.find((bug) => bug.name === name)
    if (!bug) throw new Error('the planted bug has gone')
    // Another checker may see it first and end the run; what the users had done by then tells the same.
    for (let seed = 1; seed <= bug.within; seed++) {
      const { history } = await runSeed(seed, { surgery: bug.surgery, ...(bug.faults && { faults: bug.faults }) })
      const { failures } = checkHistory(readHistory(writeHistory(history)))
      if (failures.length === 0) continue
      expect(failures.map(({ model }) => model)).toContain(model)
      return
    }
    throw new Error(`${bug.within} seeds did not show it`)
  },
  400_000,
)
