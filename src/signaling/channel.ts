/**
 * The client's connection to one signaling server: dials, enters the room, notices death, dials again for ever. It knows
 * its own server only; what several of them mean together is the client's business (N1). Runs in a page: no Node here.
 */
import { Outbox } from './outbox.js'
import {
  backOffMaxMs,
  type ClientMessage,
  closeCodes,
  type Parsed,
  parseServerMessage,
  type Refusal,
  type ServerMessage,
  signalingVersion,
} from './protocol.js'

/** What is used of a WebSocket; the browser's and the one of the `ws` package both fit. */
export interface WebSocketLike {
  send(data: string): void
  close(code?: number, reason?: string): void
  addEventListener(type: 'open' | 'error', listener: () => void): void
  addEventListener(type: 'message', listener: (event: { data: unknown }) => void): void
  addEventListener(type: 'close', listener: (event: { code: number; reason: string }) => void): void
}

/** Where sockets, time and chance come from. */
export interface ChannelPlatform {
  createSocket(url: string): WebSocketLike
  /** From 0 to below 1. */
  random(): number
  /** Ms on a clock that never goes back. */
  now(): number
  /** Returns what cancels it. */
  setTimer(run: () => void, ms: number): () => void
}

export interface ChannelIdentity {
  readonly room: string
  readonly peerId: string
  readonly browserId: string
  readonly incarnation?: number | undefined
  readonly token?: (() => string | Promise<string>) | undefined
}

export interface ChannelListener {
  /** Entered the room: `peers` and `heldId` are right. */
  up(channel: Channel): void
  /** Is down, with whom it saw, or could not come up (null). Dials again unless `stopped`. */
  down(lostPeers: readonly string[] | null): void
  /** The server answered a `register`, or what it has answered with `wait` may be asked again. */
  registration(): void
  peerEntered(channel: Channel, peer: { peerId: string; browserId: string }, isNew: boolean): void
  peerLeft(channel: Channel, peerId: string): void
  signal(from: string, data: string): void
}

/** The first back-off; each failure doubles it, up to `backOffMaxMs`. */
export const backOffMinMs = 100
/** A dial that has not entered its room by then has failed: behind a dead network a socket stays silent for minutes. */
export const dialMs = 5_000
/** A page cannot see the server's pings. It asks by itself: this often, and it waits this long for the answer. */
export const pingMs = 20_000
export const pongMs = 5_000
/** A connection that lasted this long ends a series of failures; one that breaks at once continues it. */
export const stableMs = 1_000

/** The refusals that a client acts upon; all others only make it come again. */
const refused = { unauthorized: 'unauthorized', replaced: 'replaced' } as const satisfies Record<string, Refusal>

type State = 'idle' | 'dialing' | 'up' | 'waiting' | 'stopped'

export class Channel {
  readonly url: string
  readonly #identity: ChannelIdentity
  readonly #platform: ChannelPlatform
  readonly #listener: ChannelListener
  readonly #outbox: Outbox
  readonly #peers = new Map<string, string>()
  #state: State = 'idle'
  /** Null unless dialing or up. Events of any other socket are of the past and are dropped. */
  #socket: WebSocketLike | null = null
  /** Numbers the dials, so that a token that comes late opens nothing. */
  #dialNumber = 0
  /** One timer, by state: dialing: its time-out; up: next ping, or the missing pong; waiting: next dial. */
  #cancelTimer = () => {}
  #cancelWait = () => {}
  /** From a ping until anything comes. A kick meanwhile must not put the deadline off. */
  #awaitsPong = false
  #upSince = 0
  #failures = 0
  #lastFailure = 'not tried yet'
  #serverId: string | undefined
  #heldId: string | null = null
  /** The `register` that is under way, also while the server lets it wait. */
  #asked: { existing: boolean } | null = null

  constructor(
    url: string,
    options: { identity: ChannelIdentity; platform: ChannelPlatform; listener: ChannelListener },
  ) {
    this.url = url
    this.#identity = options.identity
    this.#platform = options.platform
    this.#listener = options.listener
    this.#outbox = new Outbox({
      now: () => this.#platform.now(),
      setTimer: (run, ms) => this.#platform.setTimer(run, ms),
      send: (frame) => this.#write(frame),
    })
  }

  get up(): boolean {
    return this.#state === 'up'
  }

  /** Refused for good: dialing again would not help. */
  get stopped(): boolean {
    return this.#state === 'stopped'
  }

  /** Failures since the last connection that lasted. */
  get failures(): number {
    return this.#failures
  }

  get lastFailure(): string {
    return this.#lastFailure
  }

  /** peerId to browserId, of the others in the room; empty while down. */
  get peers(): ReadonlyMap<string, string> {
    return this.#peers
  }

  /** The room's id at this server; null if it has none, and while down. */
  get heldId(): string | null {
    return this.#heldId
  }

  /** Whether the server may be asked: it is up, holds no id, and nothing as strong is under way. */
  canRegister(existing: boolean): boolean {
    return this.up && this.#heldId === null && (this.#asked === null || (existing && !this.#asked.existing))
  }

  get registering(): boolean {
    return this.#asked !== null
  }

  connect(): void {
    if (this.#state === 'idle') this.#dial()
  }

  /** The page has reason to believe that the network is back, or was gone: dial now, or ask whether the socket lives. */
  kick(): void {
    if (this.#state === 'waiting') this.#dial()
    else if (this.#state === 'up' && !this.#awaitsPong) this.#ping()
  }

  register(roomId: string, existing: boolean): void {
    this.#cancelWait()
    this.#asked = { existing }
    this.#send({ type: 'register', roomId, existing })
  }

  /** False if it was not even queued. */
  signal(to: string, data: string): boolean {
    return this.up && this.#send({ type: 'signal', to, data })
  }

  /** Idempotent and silent: the listener hears nothing more. */
  close(): void {
    if (this.#state === 'up') this.#write(JSON.stringify({ type: 'leave' } satisfies ClientMessage))
    this.#drop('stopped')
  }

  #dial(): void {
    this.#state = 'dialing'
    this.#arm(dialMs, () => this.#fail(`did not answer within ${dialMs} ms`))
    this.#dialNumber += 1
    const dial = this.#dialNumber
    const { token } = this.#identity
    if (!token) {
      this.#open(undefined)
      return
    }
    // Asked for at each dial: tokens are short-lived.
    Promise.resolve()
      .then(token)
      .then(
        (value) => {
          if (dial === this.#dialNumber && this.#state === 'dialing') this.#open(value)
        },
        (error: unknown) => {
          if (dial === this.#dialNumber && this.#state === 'dialing') this.#fail(`no token: ${String(error)}`)
        },
      )
  }

  #open(token: string | undefined): void {
    let socket: WebSocketLike
    try {
      // Throws where the page may not use this URL (mixed content, CSP).
      socket = this.#platform.createSocket(this.url)
    } catch (error) {
      this.#fail(String(error))
      return
    }
    this.#socket = socket
    socket.addEventListener('open', () => {
      if (socket === this.#socket) this.#enter(token)
    })
    socket.addEventListener('message', ({ data }) => {
      if (socket === this.#socket) this.#onFrame(data)
    })
    socket.addEventListener('close', ({ code, reason }) => {
      if (socket === this.#socket) this.#fail(`closed with ${code}${reason ? ` (${reason})` : ''}`)
    })
    // Says nothing in a browser, and `close` follows; without a listener the ws package would throw.
    socket.addEventListener('error', () => {})
  }

  #enter(token: string | undefined): void {
    const { room, peerId, browserId, incarnation } = this.#identity
    this.#outbox.reset()
    this.#send({
      type: 'enter',
      version: signalingVersion,
      room,
      peerId,
      browserId,
      ...(incarnation === undefined ? {} : { incarnation }),
      ...(this.#serverId === undefined ? {} : { lastServerId: this.#serverId }),
      ...(token === undefined ? {} : { token }),
    })
  }

  #onFrame(data: unknown): void {
    const parsed: Parsed<ServerMessage> =
      typeof data === 'string'
        ? parseServerMessage(data)
        : { ok: false, code: 'malformed', reason: 'expected a text frame' }
    if (!parsed.ok) {
      this.#fail(`sent a malformed frame: ${parsed.reason}`)
      return
    }
    const { message } = parsed
    // Whatever comes proves that the server lives.
    if (this.#state === 'up') this.#expectSilence()
    if (message.type === 'error') this.#onError(message.code, message.message)
    else if (message.type === 'entered') this.#onEntered(message)
    else if (this.#state === 'up') this.#onMessage(message)
    else this.#fail(`sent ${message.type} before entered`)
  }

  #onEntered(message: Extract<ServerMessage, { type: 'entered' }>): void {
    if (this.#state !== 'dialing') {
      this.#fail('sent entered twice')
      return
    }
    this.#state = 'up'
    this.#upSince = this.#platform.now()
    this.#serverId = message.serverId
    this.#heldId = message.roomId
    for (const { peerId, browserId } of message.peers) {
      if (peerId !== this.#identity.peerId) this.#peers.set(peerId, browserId)
    }
    this.#expectSilence()
    this.#listener.up(this)
  }

  #onMessage(message: Exclude<ServerMessage, { type: 'error' | 'entered' }>): void {
    switch (message.type) {
      case 'registered':
        this.#endWait()
        this.#heldId = message.roomId
        this.#listener.registration()
        break
      case 'wait':
        this.#cancelWait = this.#platform.setTimer(() => {
          this.#endWait()
          this.#listener.registration()
        }, message.ms)
        break
      case 'peer-entered': {
        const { peerId, browserId } = message
        if (peerId === this.#identity.peerId) break
        const isNew = !this.#peers.has(peerId)
        this.#peers.set(peerId, browserId)
        this.#listener.peerEntered(this, { peerId, browserId }, isNew)
        break
      }
      case 'peer-left':
        if (this.#peers.delete(message.peerId)) this.#listener.peerLeft(this, message.peerId)
        break
      case 'signal':
        this.#listener.signal(message.from, message.data)
        break
      case 'pong':
    }
  }

  #onError(code: string, text: string): void {
    this.#lastFailure = `${code}: ${text}`
    if (code === refused.unauthorized) {
      this.#listener.down(this.#drop('stopped'))
      return
    }
    // Another connection of this very peer: coming back fast would only push that one out again, and so on.
    this.#fail(this.#lastFailure, code === refused.replaced ? backOffMaxMs : undefined)
  }

  #expectSilence(): void {
    this.#awaitsPong = false
    this.#arm(pingMs, () => this.#ping())
  }

  #ping(): void {
    this.#awaitsPong = true
    this.#arm(pongMs, () => this.#fail(`did not answer a ping within ${pongMs} ms`))
    // Past the outbox: what waits there would make a living server look dead.
    this.#write(JSON.stringify({ type: 'ping' } satisfies ClientMessage))
  }

  /** The socket is of no more use: waits and dials again. */
  #fail(reason: string, delayMs?: number): void {
    if (this.up && this.#platform.now() - this.#upSince >= stableMs) this.#failures = 0
    this.#lastFailure = reason
    const lostPeers = this.#drop('waiting')
    // Full jitter: the peers of a room that lost its server do not come back in step.
    const backOffMs = Math.min(backOffMaxMs, backOffMinMs * 2 ** this.#failures)
    this.#failures += 1
    this.#arm(delayMs ?? this.#platform.random() * backOffMs, () => this.#dial())
    this.#listener.down(lostPeers)
  }

  /** Returns whom this channel saw, or null if it was not up. */
  #drop(state: State): string[] | null {
    const lostPeers = this.up ? [...this.#peers.keys()] : null
    const socket = this.#socket
    this.#state = state
    this.#socket = null
    this.#cancelTimer()
    this.#endWait()
    this.#outbox.reset()
    this.#peers.clear()
    this.#heldId = null
    socket?.close(closeCodes.normal)
    return lostPeers
  }

  #endWait(): void {
    this.#cancelWait()
    this.#asked = null
  }

  #arm(ms: number, run: () => void): void {
    this.#cancelTimer()
    this.#cancelTimer = this.#platform.setTimer(run, ms)
  }

  #send(message: ClientMessage): boolean {
    return this.#outbox.push(JSON.stringify(message))
  }

  #write(frame: string): void {
    try {
      this.#socket?.send(frame)
    } catch {
      // Not open any more: its close event follows, or has come.
    }
  }
}
