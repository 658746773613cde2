/** What the documentation shows compiles, as a user would paste it: names that an example leaves to its reader are the only thing let pass. */
import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import process from 'node:process'
import { promisify } from 'node:util'
import { expect, it, onTestFinished } from 'vitest'
import { root } from '../scripts/tree.js'

/** A name that the example does not declare, or a parameter of a function that it only stands for. */
const leftToReader = ['TS2304', 'TS2552', 'TS18004', 'TS7006', 'TS7031']
const preamble = `import type { Lock, Room } from 'comity'
declare const room: Room
declare const { locks, store }: Room
declare const lock: Lock
`

interface Snippet {
  /** File and line of the documentation. */
  readonly at: string
  readonly text: string
}

function snippetsOf(file: string): Snippet[] {
  const text = readFileSync(join(root, file), 'utf8')
  return [...text.matchAll(/^```ts\n(.*?)^```/gms)].map((match) => ({
    at: `${file}:${text.slice(0, match.index).split('\n').length}`,
    text: match[1] ?? '',
  }))
}

/** Its imports, and the rest as the body of an asynchronous function, so that it may await and name things as it likes. */
function moduleOf({ text }: Snippet): string {
  const isImport = (line: string) => /^import .* from '/.test(line)
  const lines = text.split('\n')
  const body = lines.filter((line) => !isImport(line))
  return [...lines.filter(isImport), preamble, 'export async function snippet() {', ...body, '}', ''].join('\n')
}

async function complaintsOf(folder: string): Promise<string[]> {
  const compiler = join(root, 'node_modules/typescript/bin/tsc')
  try {
    await promisify(execFile)(process.execPath, [compiler, '-p', folder], { cwd: folder })
    return []
  } catch (error) {
    const { stdout = '' } = error as { stdout?: string }
    if (stdout === '') throw error
    return stdout.split('\n').filter((line) => /error TS/.test(line))
  }
}

it('every example of the documentation compiles', async () => {
  const docs = readdirSync(join(root, 'docs')).filter((file) => file.endsWith('.md'))
  const snippets = ['README.md', ...docs.map((file) => `docs/${file}`)].flatMap(snippetsOf)
  expect(snippets.length).toBeGreaterThan(10)
  const folder = join(root, `node_modules/.cache/comity/snippets-${process.pid}`)
  mkdirSync(folder, { recursive: true })
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const src = relative(folder, join(root, 'src'))
  const paths = { comity: [`${src}/index.ts`], 'comity/*': [`${src}/*/index.ts`] }
  const compilerOptions = { noEmit: true, noUnusedLocals: false, noUnusedParameters: false, paths }
  const declarations = `${src}/network/simple-peer.d.ts`
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({
      extends: relative(folder, join(root, 'tsconfig.json')),
      compilerOptions,
      include: ['*.ts', declarations],
    }),
  )
  for (const [i, snippet] of snippets.entries()) writeFileSync(join(folder, `snippet-${i}.ts`), moduleOf(snippet))
  const complaints = (await complaintsOf(folder))
    .filter((line) => !leftToReader.some((code) => line.includes(`error ${code}:`)))
    .map((line) => line.replace(/^.*?snippet-(\d+)\.ts\((\d+)/, (_all, i, at) => `${snippets[Number(i)]?.at} (${at}`))
  expect(complaints).toEqual([])
}, 60_000)
