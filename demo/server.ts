/**
 * `npm start`: serves the demo page from the sources, and a signaling server beside it that the page may stop and start.
 * The server knows nothing of the document: text and locks are the peers' alone.
 *
 * $PORT: where to begin looking for a free port (default 5173). $HOST: the address to listen on (default: this machine
 * only; a page from another machine would need https anyway, since browsers keep WebCrypto and Web Locks from http).
 */
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import { createServer as createTcpServer, isIP, type Server as TcpServer } from 'node:net'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { createServer as createViteServer, type Plugin, type ViteDevServer } from 'vite'
import { createSignalingServer, type SignalingServer } from '../src/signaling/index.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const signalingPath = '/signal'
const portDefault = 5173
const portTries = 20

/** The signaling server on an HTTP server that outlives it. Stops and starts are done one after the other. */
class SignalingSwitch {
  readonly #http: Server
  readonly #isLocal: boolean
  #current: SignalingServer | null = null
  #last: Promise<void> = Promise.resolve()

  /** `isLocal`: only pages of this machine, which have one of three origins, may connect. */
  constructor(http: Server, isLocal: boolean) {
    this.#http = http
    this.#isLocal = isLocal
  }

  get running(): boolean {
    return this.#current !== null
  }

  /** Once the HTTP server listens. */
  start(): Promise<void> {
    return this.#next(async () => {
      const options = { server: this.#http, path: signalingPath, ...(this.#isLocal && { origins: this.#ownOrigins() }) }
      this.#current ??= await createSignalingServer(options)
    })
  }

  stop(): Promise<void> {
    return this.#next(async () => {
      const current = this.#current
      this.#current = null
      await current?.close()
    })
  }

  #ownOrigins(): string[] {
    const address = this.#http.address()
    if (address === null || typeof address === 'string') throw new Error('the HTTP server listens on no port')
    return ['localhost', '127.0.0.1', '[::1]'].map((name) => `http://${name}:${address.port}`)
  }

  #next(step: () => Promise<void>): Promise<void> {
    const done = this.#last.then(step)
    this.#last = done.catch(() => {})
    return done
  }
}

/** The page must not reload under a person who is typing, and has no socket but its own to show. */
const withoutViteClient: Plugin = {
  name: 'without-vite-client',
  transformIndexHtml: {
    order: 'post',
    handler: (html) => html.replace(/<script type="module" src="\/@vite\/client"><\/script>/, ''),
  },
}

function startVite(): Promise<ViteDevServer> {
  return createViteServer({
    root,
    configFile: `${root}/vite.config.ts`,
    // Its own, so that a demo and a test run beside each other do not rewrite each other's dependencies.
    cacheDir: `${root}/node_modules/.vite/demo`,
    clearScreen: false,
    logLevel: 'warn',
    plugins: [withoutViteClient],
    server: { middlewareMode: true, hmr: false, ws: false, watch: null },
  })
}

function answer(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json', 'cache-control': 'no-store' })
  response.end(`${JSON.stringify(body)}\n`)
}

/**
 * A page of another site must not stop anything. Browsers send the origin with every POST; the host must be a name that
 * no stranger can point here (DNS rebinding).
 */
function isOwn({ headers }: IncomingMessage): boolean {
  const { host = '', origin } = headers
  const url = `http://${host}`
  if (!URL.canParse(url)) return false
  const { hostname } = new URL(url)
  const isSafeHost = hostname === 'localhost' || isIP(hostname.replace(/^\[|\]$/g, '')) !== 0
  const fetchSite = headers['sec-fetch-site']
  return isSafeHost && (origin === undefined || origin === url) && (fetchSite ?? 'same-origin') === 'same-origin'
}

function createListener(signaling: SignalingSwitch, vite: ViteDevServer): RequestListener {
  const steps = { '/signaling/stop': 'stop', '/signaling/start': 'start' } as const
  return (request, response) => {
    const { url = '/' } = request
    const pathname = url.replace(/\?.*/, '')
    if (pathname === '/signaling') {
      answer(response, 200, { running: signaling.running })
    } else if (pathname === '/signaling/stop' || pathname === '/signaling/start') {
      request.resume()
      if (request.method !== 'POST') answer(response, 405, { error: 'expected POST' })
      else if (!isOwn(request)) answer(response, 403, { error: 'only the demo page itself may do this' })
      else
        signaling[steps[pathname]]().then(
          () => answer(response, 200, { running: signaling.running }),
          (error: unknown) => answer(response, 500, { error: String(error) }),
        )
    } else if (pathname === signalingPath) {
      // Reached only when no signaling server takes the upgrade.
      answer(response, signaling.running ? 426 : 503, { error: 'a WebSocket of the signaling server, while it runs' })
    } else {
      if (pathname === '/') request.url = `/demo/index.html${url.slice(1)}`
      vite.middlewares(request, response)
    }
  }
}

/** Rejects with Node's own error. */
function listen(server: TcpServer, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ port, host }, () => {
      server.off('error', reject)
      resolve()
    })
  })
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : ''
}

/**
 * By default on both loopback addresses, since `localhost` may mean either: a second listener hands its sockets to the
 * one HTTP server. Resolves with what closes it.
 */
async function listenAt(http: Server, port: number, host: string | undefined): Promise<() => void> {
  await listen(http, port, host ?? '127.0.0.1')
  if (host !== undefined) return () => {}
  const second = createTcpServer((socket) => http.emit('connection', socket))
  try {
    await listen(second, port, '::1')
  } catch (error) {
    if (codeOf(error) === 'EADDRINUSE') {
      await new Promise((resolve) => http.close(resolve))
      throw error
    }
    // A machine without IPv6.
    return () => {}
  }
  return () => second.close()
}

async function listenOnFree(http: Server, first: number, host: string | undefined) {
  for (let port = first; ; port += 1) {
    try {
      return { port, closeSecond: await listenAt(http, port, host) }
    } catch (error) {
      if (codeOf(error) !== 'EADDRINUSE' || port - first >= portTries || port >= 65_535) throw error
    }
  }
}

function readPort(): number {
  const { PORT: port } = process.env
  if (!port) return portDefault
  if (!/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65_535) {
    throw new RangeError(`PORT: expected 1 to 65535, got ${JSON.stringify(port)}`)
  }
  return Number(port)
}

async function main(): Promise<void> {
  const host = process.env['HOST'] || undefined
  const first = readPort()
  const vite = await startVite()
  const http = createServer()
  const signaling = new SignalingSwitch(http, host === undefined)
  http.on('request', createListener(signaling, vite))
  const { port, closeSecond } = await listenOnFree(http, first, host).catch(async (error: unknown) => {
    await vite.close()
    throw error
  })
  await signaling.start()

  const stop = () => {
    // A second signal does not wait: its default action ends the process.
    process.removeAllListeners('SIGINT')
    process.removeAllListeners('SIGTERM')
    closeSecond()
    http.close()
    void Promise.allSettled([signaling.stop(), vite.close()]).then(() => http.closeAllConnections())
  }
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  const name = host === undefined || host === '0.0.0.0' || host === '::' ? 'localhost' : host
  process.stdout.write(
    `Comity demo: http://${isIP(name) === 6 ? `[${name}]` : name}:${port}/  (open it in three tabs)\n`,
  )
}

main().catch((error: unknown) => {
  process.stderr.write(`comity demo: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
})
