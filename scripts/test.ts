/**
 * `npm test`: every check in order, stopping at the first step that fails. The last line sums up what the test runners
 * reported: `N passed, N failed`. A step that fails without a report (types, lint, build) counts as one failure.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { root } from './tree.js'

interface Step {
  readonly name: string
  /** An npm script of package.json, and what is appended to it. */
  readonly script: string
  readonly args?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
  /** Where the step leaves its JSON report. */
  readonly report?: string
}

interface Count {
  readonly passed: number
  readonly failed: number
}

const reports = join(root, 'node_modules/.cache/comity/reports')
const unit = join(reports, 'unit.json')
const packaged = join(reports, 'package.json')
const browser = join(reports, 'browser.json')

const steps: readonly Step[] = [
  { name: 'types', script: 'types' },
  { name: 'lint', script: 'lint' },
  { name: 'unit and simulation tests', script: 'test:unit', args: vitestReport(unit), report: unit },
  { name: 'build', script: 'build' },
  {
    name: 'package test',
    script: 'test:package',
    args: vitestReport(packaged),
    env: { COMITY_BUILT: '1' },
    report: packaged,
  },
  { name: 'browser tests', script: 'test:browser', env: { PLAYWRIGHT_JSON_OUTPUT_FILE: browser }, report: browser },
]

rmSync(reports, { recursive: true, force: true })
mkdirSync(reports, { recursive: true })
let passed = 0
let failed = 0
for (const step of steps) {
  const ok = run(step)
  const count = step.report === undefined ? null : readReport(step.report)
  passed += count?.passed ?? 0
  failed += ok ? (count?.failed ?? 0) : Math.max(1, count?.failed ?? 0)
  if (ok) continue
  console.log(`\n${step.name}: failed (npm run ${step.script})`)
  process.exitCode = 1
  break
}
console.log(`\n${passed} passed, ${failed} failed`)

function run({ name, script, args = [], env = {} }: Step): boolean {
  console.log(`\n── ${name} ──`)
  const started = performance.now()
  const { status } = spawnSync('npm', ['run', '--silent', script, ...(args.length > 0 ? ['--', ...args] : [])], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, ...env },
  })
  console.log(`── ${name}: ${status === 0 ? 'ok' : 'failed'}, ${((performance.now() - started) / 1000).toFixed(1)} s`)
  return status === 0
}

function vitestReport(file: string): string[] {
  return ['--reporter=default', '--reporter=json', `--outputFile.json=${file}`]
}

/** Vitest's and Playwright's reports say it in different words. Null when the step died before it wrote one. */
function readReport(file: string): Count | null {
  if (!existsSync(file)) return null
  const report = JSON.parse(readFileSync(file, 'utf8')) as {
    numPassedTests?: number
    numFailedTests?: number
    stats?: { expected: number; unexpected: number; flaky: number }
  }
  if (report.stats !== undefined) {
    return { passed: report.stats.expected, failed: report.stats.unexpected + report.stats.flaky }
  }
  return { passed: report.numPassedTests ?? 0, failed: report.numFailedTests ?? 0 }
}
