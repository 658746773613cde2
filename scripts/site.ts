/** Pages built as a user would build them, and served as files: no development server on the way. */
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join, resolve } from 'node:path'
import { build, type Plugin } from 'esbuild'
import { root } from './tree.js'
import { bundleWorker } from './worker-bundle.js'

/** In a build the worker as text is a file of `dist/bridge/`; here it is made from the sources, minified all the same. */
const workerSource: Plugin = {
  name: 'worker-source',
  setup({ onLoad, onResolve }) {
    onResolve({ filter: /\/worker-source\.js$/ }, () => ({ path: 'worker-source', namespace: 'worker-source' }))
    onLoad({ filter: /.*/, namespace: 'worker-source' }, async () => {
      const { code } = await bundleWorker({ minify: true })
      return { contents: `export default ${JSON.stringify(code)}`, loader: 'js' }
    })
  },
}

/** Bundles these scripts, each with its own file in that folder. */
export async function buildSite(folder: string, entryPoints: readonly string[]): Promise<void> {
  await build({
    absWorkingDir: root,
    entryPoints: [...entryPoints],
    outdir: folder,
    bundle: true,
    splitting: true,
    minify: true,
    format: 'esm',
    platform: 'browser',
    target: 'es2022',
    logLevel: 'error',
    plugins: [workerSource],
  })
}

export interface SiteOptions {
  readonly title: string
  /** The script of the page at `/`. */
  readonly script: string
  readonly headers?: Readonly<Record<string, string>>
  /** Awaited before a request is answered. */
  readonly before?: (path: string) => Promise<void>
  /** What is answered to a path that is no file; else 404. */
  readonly elsewhere?: string
}

export interface Site {
  readonly url: string
  close(): Promise<void>
}

interface Answer {
  readonly status: number
  readonly type: string
  readonly body: string | Buffer
}

/** Serves that folder's scripts and one page with one of them, on a free port of this machine. */
export async function serveSite(folder: string, options: SiteOptions): Promise<Site> {
  const server = createServer((request, response) => {
    void answer(folder, request.url ?? '/', options).then(({ status, type, body }) => {
      response.writeHead(status, { 'content-type': type, ...options.headers })
      response.end(body)
    })
  })
  await new Promise<void>((listening, failed) => {
    server.once('error', failed)
    server.listen(0, '127.0.0.1', listening)
  })
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/`,
    close: () =>
      new Promise((closed) => {
        server.close(() => closed())
        server.closeAllConnections()
      }),
  }
}

async function answer(folder: string, path: string, options: SiteOptions): Promise<Answer> {
  await options.before?.(path)
  if (path === '/') return { status: 200, type: 'text/html', body: pageOf(options) }
  const [, name] = /^\/([\w.-]+\.js)$/.exec(path) ?? []
  const body = name === undefined ? null : await readFile(join(resolve(folder), name)).catch(() => null)
  if (body) return { status: 200, type: 'text/javascript', body }
  if (name === undefined && options.elsewhere !== undefined)
    return { status: 200, type: 'text/html', body: options.elsewhere }
  return { status: 404, type: 'text/plain', body: 'not here' }
}

function pageOf({ title, script }: SiteOptions): string {
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <title>${title}</title>
    <link rel="icon" href="data:," />
    <script type="module" src="/${script}"></script>
  </head>
  <body></body>
</html>
`
}
