/** The pages of the benchmark, built as a user would build them and served as files: no development server on the way. */
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join, resolve } from 'node:path'
import { build, type Plugin } from 'esbuild'
import { root } from '../scripts/tree.js'
import { bundleWorker } from '../scripts/worker-bundle.js'

const html = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <title>bench</title>
    <link rel="icon" href="data:," />
    <script type="module" src="/page.js"></script>
  </head>
  <body></body>
</html>
`

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

const benchPages = ['bench/page/page.ts', 'bench/page/probe-worker.ts']

export async function buildSite(folder: string, entryPoints: readonly string[] = benchPages): Promise<void> {
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

export interface Site {
  readonly url: string
  close(): Promise<void>
}

export async function serveSite(folder: string): Promise<Site> {
  const server = createServer((request, response) => {
    void answer(request.url ?? '/').then(({ status, type, body }) => {
      // Isolated, so that the browser lets its clocks be read to 5 µs and not to 100.
      response.writeHead(status, {
        'content-type': type,
        'cross-origin-opener-policy': 'same-origin',
        'cross-origin-embedder-policy': 'require-corp',
      })
      response.end(body)
    })
  })

  async function answer(url: string): Promise<{ status: number; type: string; body: string | Buffer }> {
    if (url === '/') return { status: 200, type: 'text/html', body: html }
    const [, name] = /^\/([\w.-]+\.js)$/.exec(url) ?? []
    if (name === undefined) return { status: 404, type: 'text/plain', body: 'not here' }
    try {
      return { status: 200, type: 'text/javascript', body: await readFile(join(resolve(folder), name)) }
    } catch {
      return { status: 404, type: 'text/plain', body: 'not here' }
    }
  }

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
