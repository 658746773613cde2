/** The package as users get it: packed, installed, and bundled by tools that know nothing of it, in a real browser. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { type Browser, chromium } from '@playwright/test'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { chromiumArgs, ensureChromium } from '../../scripts/chromium.js'
import { root } from '../../scripts/tree.js'
import { Consumer, run } from './consumer.js'

const packed = mkdtempSync(join(tmpdir(), 'comity-packed-'))
let files: string[] = []
let consumer: Consumer
let browser: Browser

beforeAll(async () => {
  // `npm test` has just built.
  if (process.env['COMITY_BUILT'] === undefined || !existsSync(join(root, 'dist/index.js'))) {
    const build = run(root, 'npm', ['run', '--silent', 'build'])
    expect(build.status, build.text).toBe(0)
  }
  const pack = run(root, 'npm', ['pack', '--json', '--pack-destination', packed])
  expect(pack.status, pack.text).toBe(0)
  const [report] = JSON.parse(pack.stdout) as { filename: string; files: { path: string }[] }[]
  if (report === undefined) throw new Error(`npm pack reported nothing: ${pack.text}`)
  files = report.files.map(({ path }) => path)
  consumer = new Consumer(join(packed, report.filename))
  browser = await chromium.launch({ executablePath: ensureChromium().path, args: [...chromiumArgs] })
})

afterAll(async () => {
  await browser?.close()
  await consumer?.remove()
  rmSync(packed, { recursive: true, force: true })
})

describe('the tarball', () => {
  it('holds the build and the papers, nothing else', () => {
    const papers = ['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json']
    expect(files.filter((file) => !file.startsWith('dist/')).sort()).toEqual(papers)
    expect(files.filter((file) => /\.test\.|\/test-/.test(file))).toEqual([])
  })

  it('has no complaint from publint', async () => {
    const { messages } = await publint({
      pkgDir: join(consumer.folder, 'node_modules/comity'),
      pack: false,
      strict: true,
    })
    const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<string, unknown>
    expect(messages.map((message) => formatMessage(message, manifest))).toEqual([])
  })

  it('is made from a lock file that names no registry', () => {
    expect(readFileSync(join(root, 'package-lock.json'), 'utf8')).not.toMatch(/"resolved": "http/)
  })
})

describe('in a browser, without any configuration', () => {
  it('takes a lock under the Vite dev server', async () => {
    await takesLock(await consumer.viteDev())
  })

  it('takes a lock in a Vite build', async () => {
    const built = consumer.tool('vite', 'build', '--outDir', 'vite')
    expect(built.status, built.text).toBe(0)
    await takesLock(await consumer.serve('vite'))
  })

  it('takes a lock in an esbuild bundle with splitting', async () => {
    const options = ['--bundle', '--splitting', '--format=esm', '--minify', '--outdir=esbuild']
    const built = consumer.tool('esbuild', 'main.js', ...options)
    expect(built.status, built.text).toBe(0)
    consumer.write('esbuild/index.html', readFileSync(join(consumer.folder, 'index.html'), 'utf8'))
    await takesLock(await consumer.serve('esbuild'))
  })

  it('takes a lock with a worker file of its own, under a policy that forbids Blob workers', async () => {
    consumer.write(
      'own-worker.js',
      `import { join } from 'comity'
const room = await join('t', { worker: () => new Worker('./worker.js') })
await room.locks.request('x', async (lock) => { document.title = 'token ' + lock.token })
`,
    )
    const options = ['--bundle', '--splitting', '--format=esm', '--outdir=strict', '--entry-names=main']
    const built = consumer.tool('esbuild', 'own-worker.js', ...options)
    expect(built.status, built.text).toBe(0)
    const page = readFileSync(join(consumer.folder, 'index.html'), 'utf8')
    const policy = `<meta http-equiv="content-security-policy" content="default-src 'self'" />`
    consumer.write('strict/index.html', page.replace('<head>', `<head>${policy}`))
    consumer.write(
      'strict/worker.js',
      readFileSync(join(consumer.folder, 'node_modules/comity/dist/worker.js'), 'utf8'),
    )
    await takesLock(await consumer.serve('strict'))
  })

  it('takes a lock with a worker entry of its own in a Vite build', async () => {
    consumer.write(
      'bundled/main.js',
      `import { join } from 'comity'

const worker = () => new Worker(new URL('./worker.js', import.meta.url), { type: 'module' })
const room = await join('t', { worker })
await room.locks.request('x', async (lock) => { document.title = 'token ' + lock.token })
`,
    )
    // Survives only if the package says that this file has side effects.
    consumer.write('bundled/worker.js', `import 'comity/worker'\n`)
    consumer.write('bundled/index.html', readFileSync(join(consumer.folder, 'index.html'), 'utf8'))
    const built = consumer.tool('vite', 'build', 'bundled', '--outDir', '../bundled-out')
    expect(built.status, built.text).toBe(0)
    await takesLock(await consumer.serve('bundled-out'))
  })

  async function takesLock(url: string): Promise<void> {
    const context = await browser.newContext()
    const page = await context.newPage()
    const said: string[] = []
    page.on('console', (message) => said.push(`${message.type()}: ${message.text()}`))
    page.on('pageerror', (error) => said.push(`error: ${error.stack ?? error.message}`))
    page.on('requestfailed', (request) => said.push(`failed: ${request.url()}`))
    await page.goto(url)
    await page.waitForFunction(() => document.title.startsWith('token'), null, { timeout: 30_000 }).catch(() => null)
    expect(await page.title(), said.join('\n')).toMatch(/^token [1-9]\d*$/)
    await context.close()
  }
})

describe('in Node', () => {
  it.each(['comity', 'comity/signaling', 'comity/raft'])('%s can be imported', (name) => {
    const imported = consumer.node(`const module = await import('${name}'); console.log(Object.keys(module).length)`)
    expect(imported.status, imported.text).toBe(0)
    expect(Number(imported.stdout)).toBeGreaterThan(0)
  })

  it('runs the example of the core, which says what its last line says', () => {
    const readme = readFileSync(join(root, 'src/raft/README.md'), 'utf8')
    const example = readme.split('```js\n')[1]?.split('```')[0] ?? ''
    const said = /\/\/ (.*)\n$/.exec(example)?.[1]
    expect(said).toContain('leader')
    const ran = consumer.node(example)
    expect(ran.status, ran.text).toBe(0)
    expect(ran.stdout.trim()).toBe(said)
  })
})

describe('in TypeScript', () => {
  const options = { target: 'ES2022', strict: true, skipLibCheck: false, noEmit: true }

  it.each([
    ['NodeNext', 'NodeNext'],
    ['ESNext', 'Bundler'],
  ])('compiles with lib ES2022, module %s and resolution %s', (module, moduleResolution) => {
    consumer.write(
      'page.ts',
      `import { join } from 'comity'
import * as raft from 'comity/raft'

export const core: object = raft
export async function token(): Promise<number> {
  const room = await join('t')
  return room.locks.request('x', async (lock) => lock?.token ?? 0)
}
// @ts-expect-error a room has a name
void join()
`,
    )
    const compilerOptions = { ...options, lib: ['ES2022', 'DOM'], types: [], module, moduleResolution }
    consumer.write('tsconfig.json', JSON.stringify({ compilerOptions, files: ['page.ts'] }))
    const compiled = consumer.tool('tsc', '-p', '.')
    expect(compiled.status, compiled.text).toBe(0)
  })

  it('compiles the signaling server with the types of Node', () => {
    consumer.write(
      'server.ts',
      `import { createSignalingServer } from 'comity/signaling'\n\nexport const server = await createSignalingServer({ port: 0 })\n`,
    )
    const compilerOptions = {
      ...options,
      ...{ lib: ['ES2022'], module: 'NodeNext', types: ['node'], typeRoots: [join(root, 'node_modules/@types')] },
    }
    consumer.write('tsconfig.json', JSON.stringify({ compilerOptions, files: ['server.ts'] }))
    const compiled = consumer.tool('tsc', '-p', '.')
    expect(compiled.status, compiled.text).toBe(0)
  })
})
