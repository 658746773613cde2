/**
 * The worker as text. A page starts it from a Blob, since that is the one way that works in every bundler and without a
 * file to copy; so `src/bridge/worker.ts` with all that it imports becomes one script, and `worker-source.js` a module
 * whose default export is that script. In a build the module is a file in `dist/bridge/`; in Vite this plugin makes it.
 */
import { join, resolve } from 'node:path'
import { type BuildResult, type Plugin as BundlePlugin, build } from 'esbuild'
import type { Plugin } from 'vite'
import { root } from './tree.js'

export interface WorkerBundleOptions {
  readonly minify: boolean
  readonly plugins?: BundlePlugin[]
}

/** Bundles the worker. The result runs as a module and as a classic worker alike: it imports and exports nothing. */
export async function bundleWorker(options: WorkerBundleOptions): Promise<{ code: string; inputs: string[] }> {
  const result: BuildResult<{ write: false; metafile: true }> = await build({
    absWorkingDir: root,
    entryPoints: ['src/bridge/worker.ts'],
    bundle: true,
    write: false,
    metafile: true,
    platform: 'browser',
    format: 'iife',
    target: ['es2022', 'chrome108', 'firefox115', 'safari16.4'],
    minify: options.minify,
    sourcemap: options.minify ? false : 'inline',
    legalComments: 'none',
    logLevel: 'error',
    plugins: options.plugins ?? [],
  })
  const [file] = result.outputFiles
  if (file === undefined) throw new Error('esbuild gave no output for src/bridge/worker.ts')
  return { code: file.text, inputs: Object.keys(result.metafile.inputs).map((path) => resolve(root, path)) }
}

const sourceFile = join(root, 'src/bridge/worker-source.js')
/** What `new Worker(new URL('../worker.js', import.meta.url))` in `src/bridge/` names: a file of `dist/` alone. */
const workerFile = join(root, 'src/worker.js')

/** Serves both forms of the worker from the sources, and reloads the page when one of them changes. */
export function comityWorkerSource(): Plugin {
  let minify = false
  let inputs = new Set<string>()
  return {
    name: 'comity-worker-source',
    enforce: 'pre',
    configResolved(config) {
      minify = config.command === 'build'
    },
    resolveId(source, importer) {
      const [path = '', query] = source.split('?')
      const suffix = query === undefined ? '' : `?${query}`
      if (path.endsWith('/worker-source.js') && importer?.startsWith(join(root, 'src'))) return sourceFile + suffix
      if (path === workerFile || path === '/src/worker.js') return workerFile + suffix
      return null
    },
    async load(id) {
      const [path] = id.split('?')
      if (path !== sourceFile && path !== workerFile) return null
      const worker = await bundleWorker({ minify })
      inputs = new Set(worker.inputs)
      for (const input of inputs) if (!input.includes('/node_modules/')) this.addWatchFile(input)
      return path === workerFile ? worker.code : `export default ${JSON.stringify(worker.code)}\n`
    },
    hotUpdate({ file, modules }) {
      if (!inputs.has(file)) return
      const { moduleGraph } = this.environment
      const served = [sourceFile, workerFile].flatMap((path) => [...(moduleGraph.getModulesByFile(path) ?? [])])
      return [...modules, ...served]
    },
  }
}
