/** The page of the chaos as a build would have it, and answers that keep a page waiting. */
import { readFile } from 'node:fs/promises'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { buildSite } from '../../bench/site.js'

const html = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8" />
    <title>chaos</title>
    <link rel="icon" href="data:," />
    <script type="module" src="/chaos.js"></script>
  </head>
  <body></body>
</html>
`
const elsewhere = '<!doctype html><html lang="en"><head><title>elsewhere</title></head><body></body></html>'

export interface Site {
  readonly url: string
  close(): Promise<void>
}

/** Builds it into that folder and serves it on a free port. */
export async function openSite(folder: string): Promise<Site> {
  await buildSite(folder, ['test/browser-chaos/page/chaos.ts'])
  const server = createServer((request, response) => void answer(folder, request.url ?? '/', response))
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

async function answer(folder: string, url: string, response: ServerResponse): Promise<void> {
  // No loop in the page: it would take one of the machine's cores from the other tabs.
  const [, ms] = /^\/blocked-for\/(\d+)$/.exec(url) ?? []
  if (ms !== undefined) await setTimeout(Number(ms))
  const [, script] = /^\/([\w.-]+\.js)$/.exec(url) ?? []
  try {
    const type = script ? 'text/javascript' : 'text/html'
    const body = script ? await readFile(join(folder, script)) : url === '/' ? html : elsewhere
    response.writeHead(200, { 'content-type': type }).end(body)
  } catch {
    response.writeHead(404).end()
  }
}
