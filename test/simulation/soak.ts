/** `npm run soak`: as many seeds as the time allows, on both cores. */
import { fork } from 'node:child_process'
import { appendFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { readOptions } from '../../scripts/command-line.js'
import { CoverageTable } from '../../src/simulation/coverage.js'
import { writeHistory } from '../../src/simulation/linearizability/history.js'
import { type Edition, type RunOptions, runSeed } from '../../src/simulation/run.js'
import { type Lines, listUnexecuted, mergeLines, watchExecution } from './executed.js'

interface Verdict {
  readonly seed: number
  readonly violation: string | null
  readonly virtualMs: number
  readonly checked: number
  readonly undecided: number
  /** JSON lines, if they are wanted. */
  readonly history: string | null
  readonly coverage: readonly (readonly [string, number])[]
}

/** What a child says: one run after another, and at the end what it has executed. */
type Word = Verdict | { readonly executed: Lines }

const usage = `npm run soak                         500 seeds from 1
npm run soak -- --minutes 30         seeds until the time is over
npm run soak -- --from 5000 --seeds 200
npm run soak -- --chaos 90000        faults for 90 s of virtual time in each run
npm run soak -- --seed 42 --trace    one seed, with everything that happens in it
npm run soak -- --seed 31 --edition 1    as runs were before some kinds of misfortune were thought of (run.ts)
npm run soak -- --history FILE       and writes what the users did, as JSON lines
npm run soak -- --coverage           and shows how often each fault and branch was hit, and which lines of the core and
                                     the host no run has executed
npm run soak -- --cores 1`

const { values } = readOptions({
  usage,
  options: {
    seeds: { type: 'string', default: '500' },
    from: { type: 'string', default: '1' },
    minutes: { type: 'string' },
    chaos: { type: 'string' },
    seed: { type: 'string' },
    trace: { type: 'boolean', default: false },
    edition: { type: 'string' },
    history: { type: 'string' },
    coverage: { type: 'boolean', default: false },
    cores: { type: 'string', default: '2' },
    /** Of this process among its siblings: "1/2" runs every second seed. Given to children only. */
    shard: { type: 'string' },
  },
  numbers: ['seeds', 'from', 'minutes', 'chaos', 'cores'],
})
const cores = Number(values.cores)
/** A soak that nobody bounded ends after this. */
const minutesMax = 24 * 60

const first = Number(values.from)
const minutes = values.minutes === undefined ? minutesMax : Number(values.minutes)
const how: RunOptions = {
  ...(values.edition !== undefined && { edition: editionOf(values.edition) }),
  ...(values.chaos !== undefined && { chaosMs: Number(values.chaos) }),
}
const flags = `${values.chaos === undefined ? '' : ` --chaos ${values.chaos}`}${values.edition === undefined ? '' : ` --edition ${values.edition}`}`
/** Where every line should be executed by some run. */
const watched = /src\/(raft|host)\/.*/
const count = values.minutes === undefined ? Number(values.seeds) : Number.MAX_SAFE_INTEGER
const historyFile = values.history
const deadline = performance.now() + Math.min(minutes, minutesMax) * 60_000

if (values.seed !== undefined) await one(values.seed, values.trace)
else if (values.shard !== undefined) await shard(values.shard)
else await soak()

function editionOf(text: string): Edition {
  const edition = ([1, 2, 3, 4, 5, 6, 7, 8] as const).find((one) => String(one) === text)
  if (edition === undefined) throw new TypeError(`--edition is 1 to 8, not ${text}`)
  return edition
}

async function one(seed: string, trace: boolean): Promise<void> {
  const result = await runSeed(seed, {
    ...how,
    ...(trace && { print: (line: string) => void process.stdout.write(`${line}\n`) }),
  })
  if (!trace && result.violation) console.log(result.tail.join('\n'))
  if (historyFile !== undefined) writeFileSync(historyFile, writeHistory(result.history, { seed: Number(seed) }))
  const { hash, events, entries, elections, checkedOperations, undecided } = result
  console.log({ seed, hash, events, virtualMs: result.virtualMs, entries, elections, checkedOperations, undecided })
  console.log(Object.fromEntries(result.done))
  if (values.coverage) console.log(Object.fromEntries(result.coverage))
  console.log(result.violation ? `FAILED ${result.violation.message}` : 'ok')
  process.exitCode = result.violation ? 1 : 0
}

/** Of one run, without what would fill the memory of a long soak. */
type Outcome = Omit<Verdict, 'history' | 'coverage'>

async function shard(which: string): Promise<void> {
  const [at = 0, of = 1] = which.split('/').map(Number)
  const executed = values.coverage ? await watchExecution(watched) : null
  for (let seed = first + at; seed < first + count && performance.now() < deadline; seed += of) {
    const { violation, virtualMs, checkedOperations, undecided, history, coverage } = await runSeed(seed, how)
    const verdict: Verdict = {
      seed,
      violation: violation?.message ?? null,
      virtualMs,
      checked: checkedOperations,
      undecided: undecided.length,
      history: historyFile === undefined ? null : writeHistory(history, { seed }),
      coverage: values.coverage ? [...coverage] : [],
    }
    process.send?.(verdict satisfies Word)
  }
  if (executed) process.send?.({ executed: await executed() } satisfies Word)
  process.disconnect?.()
}

async function soak(): Promise<void> {
  const started = performance.now()
  if (historyFile !== undefined) writeFileSync(historyFile, '')
  const verdicts: Outcome[] = []
  const failures: Outcome[] = []
  const table = new CoverageTable()
  const executed: Lines[] = []
  const report = () => {
    const seconds = (performance.now() - started) / 1000
    const rate = (verdicts.length / seconds).toFixed(2)
    console.log(`${verdicts.length} seeds in ${seconds.toFixed(0)} s (${rate}/s), ${failures.length} failed`)
  }
  const ticker = setInterval(report, 60_000)
  const codes = await Promise.all(
    Array.from({ length: cores }, (_, i) =>
      child(i, (word) => {
        if ('executed' in word) {
          executed.push(word.executed)
          return
        }
        const { history, coverage, ...verdict } = word
        table.add(coverage)
        // Here and not in the children: a run's lines stay together.
        if (historyFile !== undefined && history !== null) appendFileSync(historyFile, history)
        verdicts.push(verdict)
        if (verdict.violation === null) return
        failures.push(verdict)
        console.log(
          `seed ${verdict.seed}: ${verdict.violation}\n  npm run soak -- --seed ${verdict.seed}${flags} --trace`,
        )
      }),
    ),
  )
  clearInterval(ticker)
  report()
  const hours = verdicts.reduce((sum, { virtualMs }) => sum + virtualMs, 0) / 3_600_000
  const checked = verdicts.reduce((sum, { checked }) => sum + checked, 0)
  const undecided = verdicts.reduce((sum, { undecided }) => sum + undecided, 0)
  console.log(`${hours.toFixed(1)} hours of virtual time, ${checked} operations checked`)
  if (undecided > 0)
    console.log(`${undecided} keys or locks whose history was too much for the linearizability checker`)
  if (values.coverage) {
    console.log(`\nhow often, and in how many runs:\n${table}`)
    console.log(`\nlines that no run has executed:\n${listUnexecuted(mergeLines(executed)).join('\n')}\n`)
  }
  for (const { seed, violation } of failures)
    console.log(`FAILED npm run soak -- --seed ${seed}${flags} --trace   # ${violation}`)
  process.exitCode = failures.length > 0 || codes.some((code) => code !== 0) ? 1 : 0
}

/** A process of its own for every core: a run is one thread's work. */
function child(at: number, onWord: (word: Word) => void): Promise<number> {
  const root = join(import.meta.dirname, '../..')
  const args = ['test/simulation/soak.ts', '--shard', `${at}/${cores}`, '--from', String(first)]
  if (values.minutes === undefined) args.push('--seeds', values.seeds)
  else args.push('--minutes', values.minutes)
  if (values.chaos !== undefined) args.push('--chaos', values.chaos)
  if (values.edition !== undefined) args.push('--edition', values.edition)
  if (historyFile !== undefined) args.push('--history', historyFile)
  if (values.coverage) args.push('--coverage')
  return new Promise((resolve) => {
    const process = fork(join(root, 'scripts/run.mjs'), args, { cwd: root })
    process.on('message', (message) => onWord(message as Word))
    process.on('exit', (code) => resolve(code ?? 1))
  })
}
