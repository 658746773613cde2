import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { afterAll, describe, expect, it } from 'vitest'
import { root } from '../scripts/tree.js'

describe('scripts/run.mjs', () => {
  const folder = mkdtempSync(join(tmpdir(), 'comity-run-'))
  const runner = join(root, 'scripts/run.mjs')
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  function program(source: string): string {
    const file = join(folder, 'program.ts')
    writeFileSync(file, source)
    return file
  }

  it('hands on arguments and the exit code, and tells a file its own address', () => {
    const file = program(
      'const rest: string[] = process.argv.slice(2)\nconsole.log(import.meta.filename, rest)\nprocess.exit(3)\n',
    )
    const { status, stdout } = spawnSync(process.execPath, [runner, file, 'a', '--b'], { encoding: 'utf8' })
    expect(status).toBe(3)
    expect(stdout).toBe(`${file} [ 'a', '--b' ]\n`)
  })

  it('names the line of the source in a stack', () => {
    const file = program(
      'interface Erased {\n  readonly a: number\n}\n\nthrow new Error("here")\nexport type { Erased }\n',
    )
    const { status, stderr } = spawnSync(process.execPath, [runner, file], { encoding: 'utf8' })
    expect(status).toBe(1)
    expect(stderr).toContain('program.ts:5:')
  })

  it('fails with the place of a syntax error', () => {
    const { status, stderr } = spawnSync(process.execPath, [runner, program('const = 1\n')], { encoding: 'utf8' })
    expect(status).toBe(1)
    expect(stderr).toContain('program.ts:1:')
  })

  it('lets the program hear signals', async () => {
    const file = program(
      'setInterval(() => 0, 1000)\nprocess.on("SIGTERM", () => process.exit(7))\nconsole.log("up")\n',
    )
    const child = spawn(process.execPath, [runner, file], { stdio: ['ignore', 'pipe', 'inherit'] })
    child.stdout.once('data', () => child.kill('SIGTERM'))
    const status = await new Promise((resolve) => child.once('exit', resolve))
    expect(status).toBe(7)
  })
})
