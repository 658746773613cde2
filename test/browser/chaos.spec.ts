import { rm } from 'node:fs/promises'
import { findChromium } from '../../scripts/chromium.js'
import { writeHistory } from '../../src/simulation/linearizability/history.js'
import { runChaos } from '../browser-chaos/run.js'
import { openSite } from '../browser-chaos/site.js'
import { expect, test } from './kit.js'

// The short form of `npm run soak:browser`.
const seed = 1

test('eight tabs in three browsers that close, crash, freeze and lose their network keep what was agreed', async ({
  playwright: _,
}, info) => {
  // A busy machine: the misfortunes themselves take a quarter of a minute.
  test.setTimeout(240_000)
  const folder = info.outputPath('profiles')
  const site = await openSite(info.outputPath('site'))
  try {
    const executablePath = findChromium()?.path ?? ''
    const stage = { browsers: 3, tabs: 8, ms: 15_000 }
    const { violations, undecided, history, log, done } = await runChaos({
      ...{ seed, executablePath, folder, site: site.url },
      ...stage,
    })
    if (violations.length > 0) {
      await info.attach('history.jsonl', { body: writeHistory(history), contentType: 'application/jsonl' })
      console.log(`seed ${seed}:\n${log.join('\n')}`)
    }
    expect(violations).toEqual([])
    expect(undecided).toEqual([])
    // Few: the machine may be busy.
    expect(Object.values(done).reduce((sum, count) => sum + count, 0)).toBeGreaterThan(8)
    expect(history.filter((operation) => operation.return !== null).length).toBeGreaterThan(100)
  } finally {
    await site.close()
    await rm(folder, { recursive: true, force: true, maxRetries: 3 })
  }
})
