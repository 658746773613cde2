/**
 * Builds `dist/`: the sources one to one as ES modules with their types, and the worker as one file and as text. Fails
 * when the page's bundle holds what belongs to the worker, or when page or worker outgrow their budget.
 */
import { spawnSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import { gzipSync } from 'node:zlib'
import { build, type Metafile } from 'esbuild'
import { mayLoadInPage } from './layers.js'
import { root } from './tree.js'
import { bundleWorker } from './worker-bundle.js'

const dist = join(root, 'dist')

/**
 * Bytes after gzip: what there is, and a twentieth. The page's entry is what everyone waits for; simple-peer and the worker come by `import()`.
 * A lock's own code does not: a page that is open, offline, must not need a chunk that its server may have replaced meanwhile.
 */
const budgets = { 'page entry': 36.5 * 1024, worker: 108 * 1024 }

interface Size {
  readonly name: string
  readonly raw: number
  readonly gzipped: number
}

rmSync(dist, { recursive: true, force: true })
compile()
referToDisposables()
const worker = await writeWorker()
const sizes = [...(await pageSizes()), sizeOf('worker', worker)]
for (const { name, raw, gzipped } of sizes) console.log(`${name.padEnd(14)} ${kb(raw)}  ${kb(gzipped)} gzipped`)
for (const { name, gzipped } of sizes) {
  const budget = Object.hasOwn(budgets, name) ? budgets[name as keyof typeof budgets] : Number.POSITIVE_INFINITY
  if (gzipped > budget) fail(`${name}: ${kb(gzipped)} gzipped is over its budget of ${kb(budget)}`)
}

function compile(): void {
  const tsc = join(root, 'node_modules/typescript/bin/tsc')
  const { status } = spawnSync(process.execPath, [tsc, '-p', 'tsconfig.build.json'], { cwd: root, stdio: 'inherit' })
  if (status !== 0) fail('the sources do not compile')
}

/**
 * Declarations that speak of `AsyncDisposable` say where its type is from, so that they compile for users whose `lib` is
 * ES2022 (the compiler drops such a line from the sources unless it is told to preserve it, in each file that needs it).
 */
function referToDisposables(): void {
  for (const file of readdirSync(dist, { recursive: true, encoding: 'utf8' })) {
    if (!file.endsWith('.d.ts')) continue
    const path = join(dist, file)
    const text = readFileSync(path, 'utf8')
    if (!/\b(Async)?Disposable\b|\bSymbol\.(asyncD|d)ispose\b/.test(text) || text.includes('esnext.disposable'))
      continue
    writeFileSync(path, `/// <reference lib="esnext.disposable" preserve="true" />\n${text}`)
  }
}

async function writeWorker(): Promise<string> {
  const { code, inputs } = await bundleWorker({ minify: true })
  const ofPage = inputs.find((input) => /\/node_modules\/simple-peer\/|\/src\/client\//.test(input))
  if (ofPage !== undefined) fail(`the worker holds ${ofPage}, which needs a page`)
  mkdirSync(join(dist, 'bridge'), { recursive: true })
  writeFileSync(join(dist, 'worker.js'), code)
  // A script to start, not a module to import from: nothing is exported.
  writeFileSync(join(dist, 'worker.d.ts'), 'export {}\n')
  writeFileSync(join(dist, 'bridge/worker-source.js'), `export default ${JSON.stringify(code)}\n`)
  writeFileSync(join(dist, 'bridge/worker-source.d.ts'), 'declare const source: string\nexport default source\n')
  return code
}

/** Bundles the page's entry as a user would, looks at what is in it, and weighs its chunks. */
async function pageSizes(): Promise<Size[]> {
  const { metafile, outputFiles } = await build({
    absWorkingDir: root,
    entryPoints: ['dist/index.js'],
    outdir: 'page',
    bundle: true,
    splitting: true,
    minify: true,
    write: false,
    metafile: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    logLevel: 'error',
  })
  const texts = new Map(outputFiles.map((file) => [file.path, file.text]))
  const textOf = (output: string): string => texts.get(join(root, output)) ?? ''
  const groups = groupChunks(metafile)
  for (const [name, outputs] of groups) checkInputs(name, outputs, metafile)
  return [...groups].map(([name, outputs]) => sizeOf(name, ...outputs.map(textOf)))
}

/** Which chunks are loaded with the entry, with simple-peer, or only to start the worker; and any others by their name. */
function groupChunks({ outputs }: Metafile): Map<string, string[]> {
  const entry = Object.keys(outputs).find((path) => outputs[path]?.entryPoint === 'dist/index.js')
  if (entry === undefined) return fail('no bundle of dist/index.js')
  const eager = new Set([entry])
  for (const path of eager) {
    for (const { path: next, kind } of outputs[path]?.imports ?? []) if (kind === 'import-statement') eager.add(next)
  }
  const groups = new Map([['page entry', [...eager]]])
  for (const [path, { inputs }] of Object.entries(outputs)) {
    if (eager.has(path)) continue
    const holds = (part: string): boolean => Object.keys(inputs).some((input) => input.includes(part))
    const name = holds('simple-peer/') ? 'simple-peer' : holds('worker-source') ? 'worker as text' : path
    groups.set(name, [...(groups.get(name) ?? []), path])
  }
  return groups
}

function checkInputs(name: string, outputs: readonly string[], metafile: Metafile): void {
  for (const output of outputs) {
    for (const [input, { bytesInOutput }] of Object.entries(metafile.outputs[output]?.inputs ?? {})) {
      const source = /^dist\/(.*)\.js$/.exec(input)?.[1]
      if (bytesInOutput === 0 || source === undefined || mayLoadInPage(`${source}.ts`)) continue
      fail(`${name}: the page's bundle holds ${input}`)
    }
  }
}

function sizeOf(name: string, ...texts: readonly string[]): Size {
  const raw = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0)
  const gzipped = texts.reduce((sum, text) => sum + gzipSync(text, { level: 9 }).length, 0)
  return { name, raw, gzipped }
}

function kb(bytes: number): string {
  return `${(bytes / 1024).toFixed(1)} KB`.padStart(9)
}

function fail(sentence: string): never {
  console.error(`build: ${sentence}`)
  process.exit(1)
}
