// Runs a TypeScript program on the Node that is there (20 cannot strip types):
//   node scripts/run.mjs <file.ts> [arguments]
// esbuild bundles the program's own files and leaves packages to Node. It then runs in this very process, so that
// standard streams, signals and the exit code are its own. A program that needs a second process forks this script.
import { rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import process from 'node:process'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { build, stop } from 'esbuild'

const entry = process.argv[2]
if (entry === undefined) {
  console.error('usage: node scripts/run.mjs <file.ts> [arguments]')
  process.exit(2)
}

// Below node_modules, because that is where Node looks for packages; with the process id, because two may run at once.
const cache = fileURLToPath(new URL('../node_modules/.cache/comity/', import.meta.url))
const out = join(cache, `${basename(entry, '.ts')}.${process.pid}.mjs`)

/** The bundle lies elsewhere, so every file is told the address that it was written at. */
const ownAddress = {
  name: 'own-address',
  /** @param {import('esbuild').PluginBuild} build */
  setup(build) {
    build.onLoad({ filter: /\.ts$/ }, async ({ path }) => {
      const source = await readFile(path, 'utf8')
      const contents = source
        .replaceAll('import.meta.url', JSON.stringify(pathToFileURL(path).href))
        .replaceAll('import.meta.dirname', JSON.stringify(dirname(path)))
        .replaceAll('import.meta.filename', JSON.stringify(path))
      return { contents, loader: 'ts' }
    })
  },
}

try {
  await build({
    entryPoints: [resolve(entry)],
    outfile: out,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    // Exists only in a build and in Vite: a program in Node starts no browser worker.
    external: ['*/worker-source.js'],
    sourcemap: 'inline',
    logLevel: 'error',
    plugins: [ownAddress],
  })
} catch {
  // esbuild has printed where and why.
  process.exit(1)
} finally {
  await stop()
}

process.on('exit', () => rmSync(out, { force: true }))
process.setSourceMapsEnabled(true)
process.argv.splice(1, 2, resolve(entry))
await import(pathToFileURL(out).href)
