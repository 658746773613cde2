/** `npm run soak:browser`: rooms in real browsers, under misfortunes by a seed. See README.md here. */
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { ensureChromium } from '../../scripts/chromium.js'
import { readOptions } from '../../scripts/command-line.js'
import { root } from '../../scripts/tree.js'
import { writeHistory } from '../../src/simulation/linearizability/history.js'
import { type RunResult, runChaos } from './run.js'
import { openSite } from './site.js'

const usage = `npm run soak:browser                      one run of seed 1
npm run soak:browser -- --seed 7 --runs 5 seeds 7 to 11
npm run soak:browser -- --minutes 30      seeds until the time is over
npm run soak:browser -- --seconds 90      misfortunes for 90 s in each run
npm run soak:browser -- --trace           everything that happens, as it happens
npm run soak:browser -- --history FILE    and writes what the users did, as JSON lines`

const { values } = readOptions({
  usage,
  options: {
    seed: { type: 'string', default: '1' },
    runs: { type: 'string' },
    minutes: { type: 'string' },
    seconds: { type: 'string', default: '45' },
    history: { type: 'string' },
    trace: { type: 'boolean', default: false },
  },
  numbers: ['seed', 'runs', 'minutes', 'seconds'],
})
const first = Number(values.seed)
const runs = Number(values.runs ?? (values.minutes === undefined ? 1 : Number.MAX_SAFE_INTEGER))
const deadline = performance.now() + Number(values.minutes ?? 24 * 60) * 60_000

const { path: executablePath, version } = ensureChromium()
// Below `node_modules`, which is on the disk that the repository is on; `/tmp` often is not on any.
const cache = join(root, 'node_modules/.cache/comity')
mkdirSync(cache, { recursive: true })
const folder = mkdtempSync(join(cache, 'browser-chaos-'))
process.on('exit', () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }))
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130))
if (values.history !== undefined) writeFileSync(values.history, '')

const site = await openSite(join(folder, 'site'))
console.log(`${version}; ${values.seconds} s of misfortunes in each run`)
const failed: number[] = []
try {
  for (let seed = first; seed < first + runs && performance.now() < deadline; seed += 1) {
    const started = performance.now()
    const profiles = join(folder, String(seed))
    const result = await runChaos({
      ...{ seed, ms: Number(values.seconds) * 1_000, browsers: 3, tabs: 8, executablePath, folder: profiles },
      site: site.url,
      ...(values.trace && { print: (line: string) => console.log(line) }),
    })
    rmSync(profiles, { recursive: true, force: true, maxRetries: 3 })
    report(seed, result, (performance.now() - started) / 1_000)
    if (result.violations.length > 0) failed.push(seed)
  }
} finally {
  await site.close()
}
if (failed.length > 0) console.log(`FAILED seeds ${failed.join(', ')}`)
process.exit(failed.length > 0 ? 1 : 0)

function report(seed: number, result: RunResult, seconds: number): void {
  const { violations, undecided, history, log, done, troubles, readyMs } = result
  if (values.history !== undefined) appendFileSync(values.history, writeHistory(history, { seed }))
  const answered = history.filter((operation) => operation.return !== null).length
  const what = Object.entries(done).map(([kind, count]) => `${count} ${kind}`)
  console.log(
    `seed ${seed}: ${violations.length === 0 ? 'ok' : 'FAILED'} in ${seconds.toFixed(0)} s; ${what.join(', ')}; ` +
      `${history.length} calls, ${answered} answered; ready after ${readyMs?.toFixed(0) ?? '-'} ms` +
      `${troubles > 0 ? `; ${troubles} could not be arranged` : ''}` +
      `${undecided.length > 0 ? `; undecided: ${undecided.join(', ')}` : ''}`,
  )
  if (violations.length === 0) return
  if (!values.trace) console.log(log.join('\n'))
  for (const violation of violations) console.log(`seed ${seed}: ${violation}`)
  const kept = join(root, `test-results/browser-chaos-${seed}.history.jsonl`)
  mkdirSync(join(root, 'test-results'), { recursive: true })
  if (values.history === undefined) writeFileSync(kept, writeHistory(history, { seed }))
  console.log(`  npm run soak:browser -- --seed ${seed}   # history: ${values.history ?? kept}`)
}
