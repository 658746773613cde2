import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { Bench, within } from './test-kit.js'

let folder: string
let script: string
const bench = new Bench()
const children: ChildProcess[] = []

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'comity-signal-'))
  script = join(folder, 'cli.mjs')
  await build({
    entryPoints: [fileURLToPath(new URL('./cli.ts', import.meta.url))],
    outfile: script,
    bundle: true,
    platform: 'node',
    format: 'esm',
    // ws is CommonJS and requires Node's own modules.
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url)" },
  })
})
afterEach(async () => {
  await bench.dispose()
  for (const child of children.splice(0)) child.kill('SIGKILL')
})
afterAll(() => rm(folder, { recursive: true }))

function run(environment: Record<string, string>) {
  const child = spawn(process.execPath, [script], { env: { ...environment }, stdio: ['ignore', 'pipe', 'pipe'] })
  children.push(child)
  const output = { stdout: '', stderr: '' }
  let onLine = () => {}
  const firstLine = new Promise<void>((resolve) => {
    onLine = resolve
  })
  child.stdout.on('data', (chunk) => {
    output.stdout += chunk
    if (output.stdout.includes('\n')) onLine()
  })
  child.stderr.on('data', (chunk) => {
    output.stderr += chunk
  })
  const exited = new Promise<number | null>((resolve) => child.on('close', (code) => resolve(code)))
  return { child, output, firstLine: () => within(firstLine, 'a line'), exited: () => within(exited, 'the exit') }
}

describe('comity signal', () => {
  it.each(['SIGINT', 'SIGTERM'] as const)(
    'prints one line, serves, and ends on %s with clients connected',
    async (signal) => {
      const cli = run({ PORT: '0', HOST: '127.0.0.1' })
      await cli.firstLine()
      expect(cli.output.stdout).toMatch(/^ws:\/\/127\.0\.0\.1:\d+\n$/)
      const alice = await bench.entered(cli.output.stdout.trim(), 'room', 'alice')
      cli.child.kill(signal)
      expect(await cli.exited()).toBe(0)
      expect((await within(alice.closed, 'close')).code).toBe(1001)
      expect(cli.output).toMatchObject({ stderr: '' })
      expect(cli.output.stdout.split('\n')).toHaveLength(2)
    },
  )

  it('exits with 1 and says so when the port is taken', async () => {
    const { url } = await bench.server()
    const { port } = new URL(url)
    const cli = run({ PORT: port, HOST: '127.0.0.1' })
    expect(await cli.exited()).toBe(1)
    expect(cli.output).toEqual({
      stdout: '',
      stderr: `comity signal: port ${port} is taken: set PORT to another one\n`,
    })
  })

  it.each(['abc', '70000', '-1', '4444.5', '0x10'])('exits with 1 for the port %s', async (port) => {
    const cli = run({ PORT: port })
    expect(await cli.exited()).toBe(1)
    expect(cli.output.stdout).toBe('')
    expect(cli.output.stderr).toMatch(/^comity signal: .*65535, got .*\n$/)
  })
})
