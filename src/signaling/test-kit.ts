/** For the tests of this folder: sockets and events with bounded waits, and a client on a clock of its own. */
import { WebSocket } from 'ws'
import type { ChannelPlatform, WebSocketLike } from './channel.js'
import { SignalingClient, type SignalingClientOptions, type SignalingEvent } from './client.js'
import { type ClientMessage, parseServerMessage, type ServerMessage, signalingVersion } from './protocol.js'
import { createSignalingServer, type SignalingServer, type SignalingServerOptions } from './server.js'

const waitMs = 5_000

export function within<T>(promise: Promise<T>, what: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`waited ${waitMs} ms for ${what}`)), waitMs)
    promise.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

/** What came, and who waits for what is to come. */
export class Inbox<T> {
  readonly all: T[] = []
  readonly #waiting = new Set<() => void>()
  #taken = new Set<T>()

  push(item: T): void {
    this.all.push(item)
    for (const check of [...this.#waiting]) check()
  }

  /** The first item not taken before that fits. */
  take<S extends T>(fits: (item: T) => item is S, what: string): Promise<S> {
    return within(
      new Promise<S>((resolve) => {
        const check = () => {
          const item = this.all.find((candidate): candidate is S => !this.#taken.has(candidate) && fits(candidate))
          if (item === undefined) return
          this.#taken.add(item)
          this.#waiting.delete(check)
          resolve(item)
        }
        this.#waiting.add(check)
        check()
      }),
      `${what}, got ${JSON.stringify(this.all).slice(0, 500)}`,
    )
  }
}

/** A client without manners: sends what it is told. */
export class RawClient {
  readonly socket: WebSocket
  readonly inbox = new Inbox<ServerMessage>()
  readonly closed: Promise<{ code: number; reason: string }>
  readonly opened: Promise<void>

  constructor(url: string, headers: Record<string, string> = {}) {
    this.socket = new WebSocket(url, { headers })
    this.opened = new Promise((resolve, reject) => {
      this.socket.on('open', resolve)
      this.socket.on('error', reject)
    })
    this.opened.catch(() => {})
    this.closed = new Promise((resolve) => {
      this.socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }))
    })
    this.socket.on('message', (data) => {
      const parsed = parseServerMessage(data.toString())
      if (!parsed.ok) throw new Error(`the server sent ${data.toString()}: ${parsed.reason}`)
      this.inbox.push(parsed.message)
    })
  }

  send(message: ClientMessage): void {
    this.socket.send(JSON.stringify(message))
  }

  take<T extends ServerMessage['type']>(type: T): Promise<Extract<ServerMessage, { type: T }>> {
    const fits = (message: ServerMessage): message is Extract<ServerMessage, { type: T }> => message.type === type
    return this.inbox.take(fits, type)
  }

  /** Resolves after everything sent before has been handled. */
  async settle(): Promise<void> {
    this.send({ type: 'ping' })
    await this.take('pong')
  }

  close(): Promise<{ code: number; reason: string }> {
    this.socket.close()
    return within(this.closed, 'the close')
  }
}

export function enterMessage(
  room: string,
  peerId: string,
  more: Partial<Extract<ClientMessage, { type: 'enter' }>> = {},
): ClientMessage {
  return { type: 'enter', version: signalingVersion, room, peerId, browserId: `browser of ${peerId}`, ...more }
}

/** Servers and clients that a test has made; `dispose` ends them all. */
export class Bench {
  readonly #disposals: (() => unknown)[] = []

  async server(options: SignalingServerOptions = {}): Promise<SignalingServer> {
    const server = await createSignalingServer({ port: 0, host: '127.0.0.1', settleMs: 0, ...options })
    this.#disposals.push(() => server.close())
    return server
  }

  async raw(url: string, headers?: Record<string, string>): Promise<RawClient> {
    const client = new RawClient(url, headers)
    this.#disposals.push(() => client.socket.terminate())
    await within(client.opened, 'the connection')
    return client
  }

  /** Connected and in the room. */
  async entered(url: string, room: string, peerId: string, more?: Parameters<typeof enterMessage>[2]) {
    const client = await this.raw(url)
    client.send(enterMessage(room, peerId, more))
    const answer = await client.take('entered')
    return Object.assign(client, { answer })
  }

  client(urls: string[], peerId: string, more: Partial<SignalingClientOptions> = {}): TestClient {
    const client = new TestClient(urls, peerId, more)
    this.#disposals.push(() => client.close())
    client.connect()
    return client
  }

  async dispose(): Promise<void> {
    for (const dispose of this.#disposals.splice(0).reverse()) await dispose()
  }
}

export class TestClient extends SignalingClient {
  readonly events: Inbox<SignalingEvent>

  constructor(urls: string[], peerId: string, more: Partial<SignalingClientOptions> = {}) {
    const events = new Inbox<SignalingEvent>()
    super({
      urls,
      room: 'room',
      peerId,
      browserId: `browser of ${peerId}`,
      createSocket: (url) => new WebSocket(url),
      onEvent: (event) => events.push(event),
      ...more,
    })
    this.events = events
  }

  take<T extends SignalingEvent['type']>(type: T): Promise<Extract<SignalingEvent, { type: T }>> {
    const fits = (event: SignalingEvent): event is Extract<SignalingEvent, { type: T }> => event.type === type
    return this.events.take(fits, type)
  }
}

/** A platform whose time moves by hand and whose sockets do what the test says. */
export class FakePlatform implements ChannelPlatform {
  readonly sockets: FakeSocket[] = []
  readonly #timers = new Set<{ at: number; run: () => void }>()
  #now = 0
  chance = 1

  readonly random = () => this.chance
  readonly now = () => this.#now
  readonly createSocket = (url: string) => {
    const socket = new FakeSocket(url, this.#now)
    this.sockets.push(socket)
    return socket
  }
  readonly setTimer = (run: () => void, ms: number) => {
    const timer = { at: this.#now + ms, run }
    this.#timers.add(timer)
    return () => {
      this.#timers.delete(timer)
    }
  }

  get timers(): number {
    return this.#timers.size
  }

  get last(): FakeSocket {
    const socket = this.sockets.at(-1)
    if (!socket) throw new Error('no socket was made')
    return socket
  }

  advance(ms: number): void {
    const end = this.#now + ms
    for (;;) {
      const due = [...this.#timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0]
      if (!due) break
      this.#timers.delete(due)
      this.#now = due.at
      due.run()
    }
    this.#now = end
  }
}

type Listener = (event: { code: number; reason: string; data: unknown }) => void

export class FakeSocket implements WebSocketLike {
  readonly sent: ClientMessage[] = []
  closedWith: number | undefined
  readonly #listeners = new Map<string, Listener>()

  constructor(
    readonly url: string,
    readonly dialedAt: number,
  ) {}

  addEventListener(type: string, listener: Listener): void {
    this.#listeners.set(type, listener)
  }

  send(data: string): void {
    this.sent.push(JSON.parse(data))
  }

  close(code?: number): void {
    this.closedWith = code
  }

  open(): void {
    this.#fire('open', {})
  }

  receive(message: ServerMessage): void {
    this.receiveText(JSON.stringify(message))
  }

  receiveText(data: unknown): void {
    this.#fire('message', { data })
  }

  fail(code = 1006): void {
    this.#fire('error', {})
    this.#fire('close', { code, reason: '' })
  }

  /** Open and in an empty room. */
  enter(roomId: string | null = null, serverId = 's1'): void {
    this.open()
    this.receive({ type: 'entered', serverId, peers: [], roomId })
  }

  #fire(type: string, event: { code?: number; reason?: string; data?: unknown }): void {
    this.#listeners.get(type)?.({ code: 0, reason: '', data: undefined, ...event })
  }
}

/** sfc32: small, seeded, and good enough for fuzzing. */
export function createRandom(seed: number): () => number {
  let [a, b, c, counter] = [0x9e3779b9, 0x243f6a88, seed | 0, 1]
  const next = () => {
    const sum = (((a + b) | 0) + counter) | 0
    counter = (counter + 1) | 0
    a = b ^ (b >>> 9)
    b = (c + (c << 3)) | 0
    c = ((c << 21) | (c >>> 11)) + sum
    return (sum >>> 0) / 2 ** 32
  }
  for (let round = 0; round < 15; round += 1) next()
  return next
}
