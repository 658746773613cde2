/**
 * `npm run mutations`: plants each bug of `mutants.ts` into a copy of the core, and each of `room-mutants.ts` into a copy of what is around
 * it. The core's own tests, or those that the mutant names, have to see it: `*.test.ts` by Vitest, `*.spec.ts` by Playwright in a real browser.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { readOptions } from '../../scripts/command-line.js'
import { mutants } from './mutants.js'
import { roomMutants } from './room-mutants.js'

/** One bug, and the tests that are run on it. */
interface Plan {
  readonly name: string
  /** In src. */
  readonly file: string
  readonly find: string
  readonly replace: string
  readonly cites: readonly string[]
  readonly tests: Tests
}

interface Tests {
  /** In the repository; what a Vitest path filter takes, or one spec of the browser tests. */
  readonly files: readonly string[]
  /** Only those whose title contains this. */
  readonly title?: string
}

type Verdict =
  | { readonly kind: 'caught'; readonly by: string }
  | { readonly kind: 'survived' }
  | { readonly kind: 'error'; readonly why: string }

/** What is read of the report that Vitest writes. */
interface Report {
  readonly testResults: readonly {
    readonly name: string
    readonly status: string
    readonly message: string
    readonly assertionResults: readonly { readonly title: string; readonly status: string }[]
  }[]
}

/** What is read of the report that Playwright writes. */
interface Suite {
  readonly specs?: readonly { readonly title: string; readonly ok: boolean }[]
  readonly suites?: readonly Suite[]
}

const usage = `npm run mutations                    all of them
npm run mutations -- --only vote     those whose name contains "vote"
npm run mutations -- --rule M3,M4    those that violate one of these rules
npm run mutations -- --of room       those of room-mutants.ts; core: of mutants.ts`

const { values } = readOptions({
  usage,
  options: { only: { type: 'string', default: '' }, rule: { type: 'string' }, of: { type: 'string' } },
})
const root = fileURLToPath(new URL('../..', import.meta.url))
// Below node_modules, because that is where Node looks for packages; with the process id, because two may run at once.
const copy = join(root, `node_modules/.cache/comity/mutations.${process.pid}`)
/** The same for browser tests. Elsewhere: what lies below node_modules Playwright does not compile. */
const site = join(tmpdir(), `comity-mutations.${process.pid}`)
const report = join(copy, 'report.json')
const testsOfCore: Tests = { files: ['src/raft/'] }
/** The tests take some ten seconds: what needs so long hangs. */
const patienceMs = 180_000

/** Nothing of the repository's own: the copy lies where Vitest neither looks for tests nor transforms by default. */
const vitestConfig = `
import { BaseSequencer } from 'vitest/node'

/** The tests of one rule first, then what fills their gaps, then chaos: it finds nearly everything, and says least. */
class Sequencer extends BaseSequencer {
  async sort(files) {
    const rank = ({ moduleId }) => (moduleId.includes('chaos') ? 2 : moduleId.includes('gaps') ? 1 : 0)
    return [...files].sort((a, b) => rank(a) - rank(b) || (a.moduleId < b.moduleId ? -1 : 1))
  }
}

export default {
  cacheDir: './cache',
  test: {
    include: ['src/**/*.test.ts', 'test/scenario/*.test.ts'],
    // Other runs each time: what they find today may survive tomorrow.
    exclude: ['src/raft/fuzz*.test.ts'],
    testTimeout: 60_000,
    maxWorkers: 1,
    // Nothing in them outlives a test.
    isolate: false,
    sequence: { sequencer: Sequencer },
    server: { deps: { inline: [/comity.mutations/] } },
  },
}
`

/** A mutant that does not compile would fail every test, and show nothing. */
const tsconfig = {
  extends: join(root, 'tsconfig.json'),
  // Only what a mutant can touch is looked at again.
  compilerOptions: { incremental: true, tsBuildInfoFile: './types.json' },
  include: ['raft', 'machine', 'host', 'network', 'client', 'bridge', 'simulation'].map((folder) => `src/${folder}`),
  exclude: ['**/*.test.ts', '**/test-*.ts'],
}

let child: ChildProcess | null = null
process.on('exit', () => {
  kill(child)
  for (const folder of [copy, site]) rmSync(folder, { recursive: true, force: true })
})
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => process.exit(1))

process.exitCode = (await main()) ? 0 : 1

async function main(): Promise<boolean> {
  const rules = values.rule?.split(',')
  const chosen = plans().filter(({ name, cites }) => {
    return name.includes(values.only) && (!rules || cites.some((id) => rules.includes(id)))
  })
  if (chosen.length === 0) {
    console.error('no such mutant')
    return false
  }
  mkdirSync(copy, { recursive: true })
  for (const folder of ['src', 'test/scenario', 'test/contract', 'test/simulation'])
    cpSync(join(root, folder), join(copy, folder), { recursive: true })
  writeFileSync(join(copy, 'vitest.config.mjs'), vitestConfig)
  writeFileSync(join(copy, 'tsconfig.json'), JSON.stringify(tsconfig))
  return await judgeAll(chosen)
}

function plans(): Plan[] {
  const ofCore = mutants.map((mutant) => ({ ...mutant, file: `raft/${mutant.file}`, tests: testsOfCore }))
  return [...(values.of === 'room' ? [] : ofCore), ...(values.of === 'core' ? [] : roomMutants)]
}

async function judgeAll(chosen: readonly Plan[]): Promise<boolean> {
  const width = Math.max(...chosen.map(({ name }) => name.length))
  const widthOfIds = Math.max(...chosen.map(({ cites }) => cites.join(' ').length))
  const sound = new Map<string, Verdict>()
  let caught = 0
  for (const mutant of chosen) {
    const tests = JSON.stringify(mutant.tests)
    const before = sound.get(tests) ?? (await judge(mutant.tests))
    sound.set(tests, before)
    if (before.kind !== 'survived') {
      console.error(
        `${mutant.name}: without the bug ${mutant.tests.files.join(' ')} does not pass: ${sentenceOf(before)}`,
      )
      continue
    }
    const start = performance.now()
    const verdict = await plant(mutant)
    if (verdict.kind === 'caught') caught++
    const seconds = ((performance.now() - start) / 1000).toFixed(1).padStart(5)
    const ids = mutant.cites.join(' ').padEnd(widthOfIds)
    console.log(`${mutant.name.padEnd(width)}  ${ids}  ${seconds} s  ${sentenceOf(verdict)}`)
  }
  console.log(`${caught} of ${chosen.length} caught`)
  return caught === chosen.length
}

async function plant({ file, find, replace, tests }: Plan): Promise<Verdict> {
  const path = join(copy, 'src', file)
  const source = readFileSync(path, 'utf8')
  const [before, after, ...more] = source.split(find)
  if (before === undefined || after === undefined || more.length > 0) {
    return { kind: 'error', why: `its snippet stands ${source.split(find).length - 1} times in ${file}` }
  }
  const write = (text: string) => {
    for (const folder of [copy, site]) if (existsSync(folder)) writeFileSync(join(folder, 'src', file), text)
  }
  write(before + replace + after)
  try {
    return await judge(tests)
  } finally {
    write(source)
  }
}

/** With packages that are links, except for what Vite keeps of its own: the repository's may be in use. */
function layOutSite(): void {
  if (existsSync(site)) return
  const packages = join(site, 'node_modules')
  mkdirSync(packages, { recursive: true })
  for (const name of readdirSync(join(root, 'node_modules')))
    if (name !== '.vite' && name !== '.cache') symlinkSync(join(root, 'node_modules', name), join(packages, name))
  const configs = ['package.json', 'tsconfig.json', 'playwright.config.ts', 'vite.config.ts']
  for (const name of ['src', 'test', 'scripts', ...configs])
    cpSync(join(root, name), join(site, name), { recursive: true })
}

/** What the tests say of the copy as it stands. */
async function judge({ files, title }: Tests): Promise<Verdict> {
  const compiled = await run('node_modules/typescript/bin/tsc', ['-p', join(copy, 'tsconfig.json'), '--noEmit'])
  if (compiled.code !== 0) return { kind: 'error', why: `it does not compile: ${firstLineOf(compiled.output)}` }
  rmSync(report, { force: true })
  const [file = ''] = files
  if (file.endsWith('.spec.ts')) return judgeInBrowser(file, title)
  const config = ['--root', copy, '--config', join(copy, 'vitest.config.mjs')]
  const tested = await run('node_modules/vitest/vitest.mjs', [
    ...['run', ...config, '--bail', '1', '--reporter', 'json', '--outputFile', report],
    ...(title === undefined ? [] : ['--testNamePattern', patternOf(title)]),
    ...files,
  ])
  if (tested.code === null) return { kind: 'error', why: `no end within ${patienceMs / 1000} s` }
  return verdictOf(tested)
}

async function judgeInBrowser(file: string, title = ''): Promise<Verdict> {
  layOutSite()
  const args = ['test', file, '--grep', patternOf(title), '--max-failures', '1']
  const env = { PLAYWRIGHT_JSON_OUTPUT_FILE: report }
  const tested = await run('node_modules/@playwright/test/cli.js', args, { cwd: site, env })
  if (tested.code === null) return { kind: 'error', why: `no end within ${patienceMs / 1000} s` }
  let suite: Suite
  try {
    suite = JSON.parse(readFileSync(report, 'utf8')) as Suite
  } catch {
    return { kind: 'error', why: `no report: ${firstLineOf(tested.output)}` }
  }
  const specs = specsOf(suite)
  const failed = specs.find(({ ok }) => !ok)
  if (failed) return { kind: 'caught', by: `${file.replace(/^.*\/|\.ts$/g, '')}: ${failed.title}` }
  if (tested.code === 0 && specs.length > 0) return { kind: 'survived' }
  return { kind: 'error', why: `no test failed, yet: ${firstLineOf(tested.output)}` }
}

function specsOf({ specs = [], suites = [] }: Suite): NonNullable<Suite['specs']> {
  return [...specs, ...suites.flatMap(specsOf)]
}

function patternOf(title: string): string {
  return title.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
}

function verdictOf(tested: { readonly code: number | null; readonly output: string }): Verdict {
  let results: Report['testResults']
  try {
    results = (JSON.parse(readFileSync(report, 'utf8')) as Report).testResults
  } catch {
    return { kind: 'error', why: `no report: ${firstLineOf(tested.output)}` }
  }
  for (const { name, status, message, assertionResults } of results) {
    const failed = assertionResults.find((one) => one.status === 'failed')
    const file = name.replace(/^.*[\\/]/, '').replace('.test.ts', '')
    if (failed) return { kind: 'caught', by: `${file}: ${failed.title}` }
    if (status === 'failed' && assertionResults.length === 0) {
      return { kind: 'error', why: `${file} does not load: ${firstLineOf(message)}` }
    }
  }
  const ran = results.some(({ assertionResults }) => assertionResults.some(({ status }) => status === 'passed'))
  if (tested.code === 0 && ran) return { kind: 'survived' }
  return { kind: 'error', why: `no test failed, yet: ${firstLineOf(tested.output)}` }
}

interface Run {
  readonly code: number | null
  readonly output: string
}

function run(program: string, args: readonly string[], { cwd = root, env: more = {} } = {}): Promise<Run> {
  return new Promise((resolve, reject) => {
    // Its own environment: a run inside of Vitest must not take this one for its worker.
    const { VITEST: _, ...own } = process.env
    // Its own process group, so that its workers die with it.
    const env = { ...own, ...more }
    const started = spawn(process.execPath, [join(cwd, program), ...args], { cwd, env, detached: true })
    const timer = setTimeout(() => kill(started), patienceMs)
    let output = ''
    const keep = (chunk: Buffer) => {
      output += chunk.toString()
    }
    started.stdout.on('data', keep)
    started.stderr.on('data', keep)
    started.on('error', reject)
    started.on('close', (code) => {
      clearTimeout(timer)
      child = null
      resolve({ code, output })
    })
    child = started
  })
}

function kill(group: ChildProcess | null): void {
  if (group?.pid === undefined) return
  try {
    process.kill(-group.pid, 'SIGKILL')
  } catch {
    // It has just ended.
  }
}

function firstLineOf(text: string): string {
  return text.split('\n').find((line) => line.trim() !== '') ?? 'nothing was said'
}

function sentenceOf(verdict: Verdict): string {
  switch (verdict.kind) {
    case 'caught':
      return verdict.by
    case 'survived':
      return 'SURVIVED'
    case 'error':
      return `ERROR ${verdict.why}`
  }
}
