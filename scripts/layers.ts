/**
 * The layer table of ARCHITECTURE.md as a rule: who may import whom. It knows sources only as text, so that a test can
 * hand it trees that must fail. Tests (`*.test.ts`) and their helpers (`test-*.ts`) may import anything, and nothing else may
 * import them: the build leaves them out.
 *
 * Own code and not dependency-cruiser: that reads TypeScript by the JavaScript API of version 6 or older, which 7 has not.
 */
import { posix } from 'node:path'
import { imports, lineAt, parse } from './syntax.js'

/** Paths below `src/`. `*`: any run of characters but `/`. `**`: any run. `!`: takes out. The last match decides. */
type Patterns = readonly string[]

interface Layer {
  readonly name: string
  /** The first layer that matches a file owns it. A file that none owns is a violation. */
  readonly files: Patterns
  /** What it may import, besides its own files. */
  readonly may: Patterns
  /** What it may import by `import type` and `export type` only: erased, so that nothing of it is in a bundle. */
  readonly mayTypes: Patterns
  /** `node:` stands for all of Node's own. */
  readonly packages: readonly string[]
}

// The host knows storage and links by their contracts, never by their makers.
const contracts = ['storage/storage.ts', 'network/link.ts', 'network/carried.ts', 'network/limits.ts']
const workerSide = ['bridge/worker*', '!bridge/worker-source.ts']
const signalingServer = ['cli', 'connection', 'index', 'limits', 'public', 'rooms', 'server', 'service'].map(
  (name) => `signaling/${name}.ts`,
)
const pageSignaling = ['signaling/**', ...signalingServer.map((file) => `!${file}`)]
// What a page may load: names and limits to check arguments against, never what applies a command.
const constants = ['machine/**command.ts', 'machine/**limits.ts', 'machine/**outcome.ts', 'machine/settings.ts']
const pageNetwork = [
  'network/link.ts',
  'network/limits.ts',
  'network/webrtc*',
  'network/mesh*',
  'network/relay*',
  'network/broadcast-message.ts',
]

export const layers: readonly Layer[] = [
  { name: 'shared', files: ['shared/**'], may: [], mayTypes: [], packages: ['cborg', 'lib0', 'valibot'] },
  { name: 'raft', files: ['raft/**'], may: [], mayTypes: [], packages: [] },
  {
    name: 'machine',
    files: ['machine/**'],
    may: ['shared/**'],
    mayTypes: ['raft/**'],
    packages: ['cborg', 'valibot'],
  },
  { name: 'replica', files: ['replica/**'], may: ['shared/**'], mayTypes: [], packages: ['cborg', 'valibot'] },
  {
    name: 'host',
    files: ['host/**'],
    may: ['raft/**', 'machine/**', 'replica/**', 'shared/**', ...contracts],
    mayTypes: [],
    packages: ['cborg', 'valibot'],
  },
  { name: 'storage', files: ['storage/**'], may: ['shared/**'], mayTypes: ['raft/**'], packages: ['idb'] },
  {
    name: 'network',
    files: ['network/**'],
    may: ['shared/**'],
    mayTypes: ['raft/**'],
    packages: ['simple-peer', 'cborg', 'valibot', '@noble/ciphers', '@noble/curves', '@noble/hashes'],
  },
  {
    name: 'signaling, server side',
    files: signalingServer,
    may: ['signaling/**', 'shared/**'],
    mayTypes: [],
    packages: ['ws', 'cborg', 'valibot', 'node:'],
  },
  {
    name: 'signaling, page side',
    files: ['signaling/**'],
    may: ['shared/**'],
    mayTypes: [],
    packages: ['cborg', 'valibot'],
  },
  {
    name: 'bridge, worker side',
    files: workerSide,
    may: ['bridge/**', 'host/**', 'storage/**', 'network/**', 'shared/**', ...constants],
    mayTypes: ['machine/**', 'raft/**', 'replica/**'],
    packages: ['comlink', 'cborg', 'valibot'],
  },
  {
    name: 'bridge, page side',
    files: ['bridge/**'],
    may: ['shared/**', ...constants],
    mayTypes: ['machine/**', 'raft/**', 'replica/**', 'host/**', ...contracts],
    packages: ['comlink', 'cborg', 'valibot'],
  },
  {
    name: 'client',
    files: ['client/**', 'index.ts'],
    may: [
      ...['bridge/**', '!bridge/worker*', 'bridge/worker-source.ts'],
      ...[...pageSignaling, ...pageNetwork, ...constants, 'shared/**'],
    ],
    mayTypes: ['machine/**', 'raft/**', 'replica/**', 'host/**'],
    packages: ['comlink', 'cborg', 'valibot'],
  },
  {
    name: 'simulation',
    files: ['simulation/**'],
    // Everything but the glue of a client in a worker, and what needs a browser: doubles stand in for that.
    may: ['**', '!../**', '!bridge/worker*', '!storage/indexeddb*', '!network/webrtc*', '!network/broadcast*'],
    mayTypes: ['**'],
    packages: ['cborg', 'valibot'],
  },
]

export interface Violation {
  readonly file: string
  readonly line: number
  readonly sentence: string
}

/** Checks a tree: sources by their path below `src/`. */
export function checkLayers(sources: ReadonlyMap<string, string>): Violation[] {
  const violations: Violation[] = []
  const graph = new Map<string, string[]>()
  for (const [file, source] of sources) {
    if (isTest(file)) continue
    const layer = layerOf(file)
    if (layer === undefined) {
      violations.push({ file, line: 1, sentence: 'belongs to no layer: give it a row in scripts/layers.ts' })
      continue
    }
    const loads: string[] = []
    for (const { specifier, kind, start } of imports(parse(file, source))) {
      const target = resolve(file, specifier)
      if (!allowed(layer, target ?? specifier, target !== null, kind === 'types')) {
        const how = kind === 'types' ? 'the types of ' : ''
        const sentence = `${layer.name} may not import ${how}${target ?? (specifier || 'a computed path')}`
        violations.push({ file, line: lineAt(source, start), sentence })
      }
      if (target !== null && kind === 'runtime') loads.push(target)
    }
    graph.set(file, loads)
  }
  return [...violations, ...cycles(graph)]
}

export function isTest(file: string): boolean {
  return /\.test\.ts$|(^|\/)test-[^/]*\.ts$/.test(file)
}

export function layerOf(file: string): Layer | undefined {
  return layers.find((layer) => matches(layer.files, file))
}

/** Whether a page's bundle may hold code of this file. */
export function mayLoadInPage(file: string): boolean {
  const folders = [
    'client/**',
    'index.ts',
    'bridge/**',
    '!bridge/worker*',
    'bridge/worker-source.ts',
    'network/**',
    'shared/**',
  ]
  return matches([...folders, ...pageSignaling, ...constants], file)
}

function allowed(layer: Layer, target: string, ofTree: boolean, types: boolean): boolean {
  if (!ofTree)
    return layer.packages.some((name) => target === name || target.startsWith(name === 'node:' ? name : `${name}/`))
  if (isTest(target)) return false
  return layerOf(target) === layer || matches(layer.may, target) || (types && matches(layer.mayTypes, target))
}

/** The file below `src/` that a relative specifier names, or null for a package. */
function resolve(file: string, specifier: string): string | null {
  if (!specifier.startsWith('.')) return null
  return posix.join(posix.dirname(file), specifier).replace(/\.js$/, '.ts')
}

function matches(patterns: Patterns, path: string): boolean {
  let matched = false
  for (const pattern of patterns) {
    if (expression(pattern.replace(/^!/, '')).test(path)) matched = !pattern.startsWith('!')
  }
  return matched
}

function expression(pattern: string): RegExp {
  const source = pattern
    .replace(/[.+^$()|[\]\\]/g, '\\$&')
    .replace(/\*\*|\*/g, (run) => (run === '**' ? '.*' : '[^/]*'))
  return new RegExp(`^${source}$`)
}

/**
 * Files that load each other. Types do not count: they are gone at run time, and two files of one folder may well speak
 * of each other; between folders the table allows one direction only. `import()` does not count either: it runs later.
 */
function cycles(graph: ReadonlyMap<string, readonly string[]>): Violation[] {
  const violations: Violation[] = []
  const done = new Set<string>()
  const path: string[] = []
  const visit = (file: string): void => {
    const at = path.indexOf(file)
    if (at >= 0) {
      const sentence = `circular import: ${[...path.slice(at), file].join(' -> ')}`
      violations.push({ file, line: 1, sentence })
      return
    }
    if (done.has(file)) return
    done.add(file)
    path.push(file)
    for (const next of graph.get(file) ?? []) visit(next)
    path.pop()
  }
  for (const file of graph.keys()) visit(file)
  return violations
}
