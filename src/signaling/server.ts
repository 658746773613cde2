/**
 * The signaling server: HTTP, the WebSocket handshake, and the life of the listening socket. What is said over the
 * connections is `service.ts`. Its trust in clients is nil: every bound of `limits.ts` is enforced before anything is
 * remembered (PLATFORM, Security practice 6).
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import { WebSocketServer } from 'ws'
import { completeLimits, type SignalingLimits } from './limits.js'
import { settleMsDefault, waitMsMax } from './protocol.js'
import { type Authorize, handshakeRefusals, type SignalingMetrics } from './public.js'
import { closeTimeoutMs, SignalingService } from './service.js'

export const signalingPortDefault = 4444

export interface SignalingServerOptions {
  /** Default 4444; 0 takes any free port. */
  port?: number
  /** Default: every address of this machine. */
  host?: string
  /**
   * An HTTP server of your own to attach to, instead of `port` and `host`. It is not closed by `close()`, and `/healthz`
   * and `/metrics` are left to it.
   */
  server?: Server | HttpsServer
  /** Where connections are taken. Default: every path, or `/signal` on a server of your own. */
  path?: string
  /**
   * Origins of the pages that may connect, as in `https://example.org`. Default: all. Clients that are not browsers send
   * no origin and are let in: this list protects users from foreign pages, `authorize` protects rooms.
   */
  origins?: readonly string[]
  limits?: Partial<SignalingLimits>
  /**
   * Called for each client that wants to enter `room`. Only `true` lets it in; a hook that throws makes it come again
   * later. With a room secret `room` is a hash of the name.
   */
  authorize?: Authorize
  /** How long after its start the server registers no new room id, in ms (N1). Default 2 000. */
  settleMs?: number
  /** Behind a proxy of your own: take the client's address from the last entry of `X-Forwarded-For`. Default false. */
  trustProxy?: boolean
}

export interface SignalingServer {
  /** Openable from this machine, as in `ws://localhost:4444`. */
  readonly url: string
  /** Ends all connections and frees the port: another server may listen on it at once. Idempotent. */
  close(): Promise<void>
  metrics(): SignalingMetrics
}

/** A frame up to this much over the limit is still told why it is refused; beyond, ws closes with 1009 by itself. */
const payloadFactor = 2
/** A client that has not sent its HTTP headers by then is cut. */
const headersMs = 10_000
/** Sockets beyond the WebSocket connections: for `/healthz`, `/metrics` and handshakes. */
const httpSocketsMax = 256

/**
 * Starts a signaling server. Resolves when it listens; rejects with Node's own error (`EADDRINUSE`, `EACCES`) if it
 * cannot. Throws TypeError or RangeError for bad options, as a rejection.
 */
export async function createSignalingServer(options: SignalingServerOptions = {}): Promise<SignalingServer> {
  const server = new WebSocketSignalingServer(options)
  await server.listen()
  return server
}

class WebSocketSignalingServer implements SignalingServer {
  readonly #http: Server | HttpsServer
  readonly #attached: boolean
  readonly #path: string | undefined
  readonly #port: number
  readonly #host: string | undefined
  readonly #origins: ReadonlySet<string> | undefined
  readonly #trustProxy: boolean
  readonly #limits: SignalingLimits
  readonly #service: SignalingService
  readonly #sockets: WebSocketServer
  readonly #onUpgrade = (request: IncomingMessage, socket: Duplex, head: Buffer) => this.#upgrade(request, socket, head)
  #closing: Promise<void> | null = null
  /** As last seen: it can still be read after the server has closed. */
  #url: string | undefined

  constructor(options: SignalingServerOptions) {
    const { server, port = signalingPortDefault, settleMs = settleMsDefault } = options
    if (!Number.isInteger(port) || port < 0 || port > 65_535) {
      throw new RangeError(`port: expected an integer from 0 to 65535, got ${port}`)
    }
    if (!(settleMs >= 0 && settleMs <= waitMsMax)) {
      throw new RangeError(`settleMs: expected 0 to ${waitMsMax}, got ${settleMs}`)
    }
    this.#path = parsePath(options.path ?? (server ? '/signal' : undefined))
    this.#origins = parseOrigins(options.origins)
    this.#trustProxy = options.trustProxy ?? false
    this.#limits = completeLimits(options.limits)
    this.#port = port
    this.#host = options.host
    this.#attached = server !== undefined
    this.#http = server ?? this.#createHttp()
    const settings = {
      noServer: true,
      clientTracking: false,
      maxPayload: this.#limits.frameBytes * payloadFactor,
      // Compressed frames would let 64 KiB on the wire become megabytes of work.
      perMessageDeflate: false,
      closeTimeout: closeTimeoutMs,
    }
    this.#sockets = new WebSocketServer(settings)
    this.#service = new SignalingService({ limits: this.#limits, settleMs, authorize: options.authorize })
  }

  get url(): string {
    const address = this.#http.address()
    if (address === null || typeof address === 'string') {
      if (this.#url === undefined) throw new Error('url: the HTTP server listens on no port yet')
      return this.#url
    }
    // Tells https servers apart without loading node:tls.
    const scheme = 'setSecureContext' in this.#http ? 'wss' : 'ws'
    this.#url = `${scheme}://${urlHost(address)}:${address.port}${this.#path ?? ''}`
    return this.#url
  }

  async listen(): Promise<void> {
    this.#http.on('upgrade', this.#onUpgrade)
    if (this.#attached) return
    try {
      await new Promise<void>((resolve, reject) => {
        this.#http.once('error', reject)
        this.#http.listen({ port: this.#port, ...(this.#host === undefined ? {} : { host: this.#host }) }, () => {
          this.#http.off('error', reject)
          resolve()
        })
      })
    } catch (error) {
      await this.#service.close()
      throw error
    }
    // Accepting may fail later (no file descriptors left): that connection is lost, the server goes on.
    this.#http.on('error', () => {})
  }

  close(): Promise<void> {
    this.#closing ??= this.#shutDown()
    return this.#closing
  }

  metrics(): SignalingMetrics {
    return this.#service.metrics()
  }

  async #shutDown(): Promise<void> {
    if (this.#http.listening) this.#url = this.url
    this.#http.off('upgrade', this.#onUpgrade)
    const ended = this.#attached ? null : new Promise<void>((resolve) => this.#http.close(() => resolve()))
    await this.#service.close()
    if (!this.#attached) this.#http.closeAllConnections()
    await ended
  }

  #createHttp(): Server {
    const http = createServer((request, response) => this.#onRequest(request, response))
    http.headersTimeout = headersMs
    http.requestTimeout = headersMs
    http.maxConnections = this.#limits.connections + httpSocketsMax
    return http
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    const answer = (status: number, text: string, headers: Record<string, string> = {}) => {
      response.writeHead(status, {
        'content-type': 'text/plain; charset=utf-8',
        'cache-control': 'no-store',
        ...headers,
      })
      response.end(request.method === 'HEAD' ? undefined : text)
    }
    // A body is never read: without this the socket would stay busy with it.
    request.resume()
    const path = pathOf(request)
    if (path !== '/healthz' && path !== '/metrics') {
      answer(426, 'This is a Comity signaling server: connect by WebSocket.\n', { upgrade: 'websocket' })
    } else if (request.method !== 'GET' && request.method !== 'HEAD') {
      answer(405, 'method not allowed\n', { allow: 'GET, HEAD' })
    } else {
      answer(200, path === '/healthz' ? 'ok\n' : formatMetrics(this.metrics()))
    }
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    if (this.#path !== undefined && pathOf(request) !== this.#path) {
      // On a server of the user's own another listener may be waiting for this path.
      if (this.#http.listenerCount('upgrade') === 1) refuseHandshake(socket, 404, 'not found')
      return
    }
    const address = this.#addressOf(request)
    const origin = request.headers.origin
    const isForeign = this.#origins && origin !== undefined && !this.#origins.has(origin)
    const reason = isForeign ? 'origin' : this.#service.fullFor(address)
    if (reason !== null) {
      this.#service.refused(reason)
      refuseHandshake(socket, handshakeRefusals[reason], reason)
      return
    }
    this.#sockets.handleUpgrade(request, socket, head, (webSocket) => {
      this.#service.accept(webSocket, { url: request.url ?? '/', headers: request.headers, address })
    })
  }

  #addressOf(request: IncomingMessage): string {
    const forwarded = this.#trustProxy ? String(request.headers['x-forwarded-for'] ?? '') : ''
    // The last entry is the one that our own proxy wrote; those before are the client's word.
    const last = forwarded.split(',').at(-1)?.trim()
    return last || (request.socket.remoteAddress ?? 'unknown')
  }
}

function refuseHandshake(socket: Duplex, status: number, reason: string): void {
  socket.on('error', () => {})
  const head = `HTTP/1.1 ${status} Refused\r\nConnection: close\r\nContent-Type: text/plain\r\n`
  socket.end(`${head}Content-Length: ${reason.length}\r\n\r\n${reason}`, () => socket.destroy())
}

function pathOf(request: IncomingMessage): string {
  const url = request.url ?? '/'
  const end = url.search(/[?#]/)
  return end === -1 ? url : url.slice(0, end)
}

/** An address that listens everywhere cannot be opened itself; `localhost` can. */
function urlHost({ address, family }: AddressInfo): string {
  if (address === '::' || address === '0.0.0.0') return 'localhost'
  return family === 'IPv6' ? `[${address}]` : address
}

function parsePath(path: string | undefined): string | undefined {
  if (path === undefined || (path.startsWith('/') && !/[?#\s]/.test(path))) return path
  throw new TypeError(`path: expected a path that starts with '/', got ${JSON.stringify(path)}`)
}

function parseOrigins(origins: readonly string[] | undefined): ReadonlySet<string> | undefined {
  if (origins === undefined || origins.includes('*')) return undefined
  return new Set(origins.map(parseOrigin))
}

/** As browsers send it: no path, lower case, no default port. `null` is the origin of a page from a file. */
function parseOrigin(origin: string): string {
  if (origin === 'null') return origin
  const url = URL.canParse(origin) ? new URL(origin) : undefined
  if (url && url.origin !== 'null') return url.origin
  throw new TypeError(`origins: expected an origin as in 'https://example.org', got ${JSON.stringify(origin)}`)
}

/** The text format that Prometheus reads. */
function formatMetrics({ refused, ...counters }: SignalingMetrics): string {
  const lines = Object.entries(counters).map(([name, value]) => `comity_signaling_${name} ${value}`)
  for (const [reason, count] of Object.entries(refused)) {
    lines.push(`comity_signaling_refused{reason="${reason}"} ${count}`)
  }
  return `${lines.join('\n')}\n`
}
