import { expect, it } from 'vitest'
import { checkHistory } from '../../src/simulation/linearizability/check.js'
import { readHistory, writeHistory } from '../../src/simulation/linearizability/history.js'
import { runSeed } from '../../src/simulation/run.js'
import { plantedBugs } from './planted.js'

it('an honest run leaves a history of store and locks, which is read as it was written', async () => {
  const { history, undecided } = await runSeed(3)
  expect(undecided).toEqual([])
  const kinds = new Set(history.map(({ op }) => op))
  for (const op of ['get', 'set', 'acquire', 'release']) expect(kinds).toContain(op)
  const read = readHistory(writeHistory(history))
  expect(read).toEqual(history)
  expect(checkHistory(read).verdict).toBe('linearizable')
}, 60_000)

it('[S-4] pages that count their lease by half of the time are convicted by what they did, too', async () => {
  const bug = plantedBugs.find(({ rule }) => rule === 'S-4')
  if (!bug) throw new Error('the planted bug has gone')
  // The belief checker sees it first and ends the run; what the users had done by then tells the same.
  for (let seed = 1; seed <= bug.within; seed++) {
    const { history } = await runSeed(seed, { surgery: bug.surgery, ...(bug.faults && { faults: bug.faults }) })
    const { failures } = checkHistory(history)
    if (failures.length === 0) continue
    expect(failures.map(({ model }) => model)).toContain('lock')
    return
  }
  throw new Error(`${bug.within} seeds did not show it`)
}, 400_000)
