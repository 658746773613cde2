/**
 * A page's side of signaling: one channel per configured server, seen as one. It carries opaque strings between peers and
 * the founding of a room (N1); it knows neither WebRTC nor what a room is. Importing it touches no global (SSR).
 */
import type { Failure } from '../shared/failure.js'
import { Channel, type ChannelListener, type ChannelPlatform, type WebSocketLike } from './channel.js'
import { decide, leading } from './majority.js'
import { dataBytesMax, isSignalData, type SignalingPeer } from './protocol.js'

export type { WebSocketLike } from './channel.js'
export type { SignalingPeer } from './protocol.js'
export { parseSignalingUrls } from './urls.js'

export interface SignalingClientOptions {
  /** From `parseSignalingUrls`; at least one. */
  urls: readonly string[]
  room: string
  peerId: string
  browserId: string
  /** F2. A connection of a lower one never pushes out one of a higher one. */
  incarnation?: number
  /** Asked at each dial. */
  token?: () => string | Promise<string>
  /** In order, never after `close()`. It may call any method. */
  onEvent: (event: SignalingEvent) => void
  /** Default: the platform's `WebSocket`, looked up when the client is made. */
  createSocket?: (url: string) => WebSocketLike
  random?: () => number
  now?: () => number
  /** Returns what cancels the timer. */
  setTimer?: (run: () => void, ms: number) => () => void
}

export type SignalingEvent =
  /** The first server is reached, also after `down`: `peers` is the whole list, `roomId` what a majority holds. */
  | { type: 'up'; peers: SignalingPeer[]; roomId: string | null }
  /** No server is reached. Links between peers live on; who is there is unknown until the next `up`. */
  | { type: 'down' }
  /** Comes again for a known peer that has come back on a new connection. */
  | { type: 'peer-entered'; peerId: string; browserId: string }
  /** No server that is reached sees this peer: its links may still live. */
  | { type: 'peer-left'; peerId: string }
  | { type: 'signal'; from: string; data: string }
  /** `signaling`: not reached at first; it goes on trying. `room-auth`: refused by every server; it has given up. */
  | { type: 'failed'; failure: Failure }

/** The first retries: so many dials of every server, or so long. */
export const firstDials = 4
export const firstDialsMs = 3_000

/** What `register` rejects with. */
export class SignalingFailure extends Error {
  override readonly name = 'SignalingFailure'
  readonly failure: Failure

  constructor(failure: Failure) {
    super(failure.message)
    this.failure = failure
  }
}

const closedMessage = 'the signaling client is closed'

interface Registration {
  roomId: string
  existing: boolean
  /** Null once it is settled. */
  waiting: { promise: Promise<string>; resolve(winner: string): void; reject(error: SignalingFailure): void } | null
}

export class SignalingClient {
  readonly #platform: ChannelPlatform
  readonly #channels: readonly Channel[]
  readonly #onEvent: (event: SignalingEvent) => void
  #state: 'idle' | 'open' | 'closed' = 'idle'
  /** Whether `up` was the last word, rather than `down`. */
  #isUp = false
  /** No `signaling` failure after the first success, and none twice. */
  #triesFirst = true
  #cancelFirstTimer = () => {}
  #registration: Registration | null = null

  constructor(options: SignalingClientOptions) {
    if (options.urls.length === 0) throw new TypeError('urls: expected at least one signaling URL')
    this.#onEvent = options.onEvent
    this.#platform = createPlatform(options)
    const listener: ChannelListener = {
      up: (channel) => this.#onUp(channel),
      down: (lostPeers) => this.#onDown(lostPeers),
      registration: () => this.#pursueRegistration(),
      peerEntered: (channel, peer, isNew) => {
        // Several servers see the same peer come; one of them is enough to tell.
        if (isNew && this.#isSeen(peer.peerId, channel)) return
        this.#emit({ type: 'peer-entered', ...peer })
      },
      peerLeft: (channel, peerId) => {
        if (!this.#isSeen(peerId, channel)) this.#emit({ type: 'peer-left', peerId })
      },
      signal: (from, data) => this.#emit({ type: 'signal', from, data }),
    }
    const settings = { identity: options, platform: this.#platform, listener }
    this.#channels = options.urls.map((url) => new Channel(url, settings))
  }

  /** Idempotent. A closed client stays closed. */
  connect(): void {
    if (this.#state !== 'idle') return
    this.#state = 'open'
    this.#cancelFirstTimer = this.#platform.setTimer(() => this.#failFirst(), firstDialsMs)
    for (const channel of this.#channels) channel.connect()
  }

  /** For `online`, `visibilitychange` to visible, and `pageshow`: dials now, and asks sockets whether they live. */
  kick(): void {
    if (this.#state !== 'open') return
    for (const channel of this.#channels) channel.kick()
  }

  /** Whether any server is reached. */
  get up(): boolean {
    return this.#isUp
  }

  /**
   * N1: registers the id of a room that this peer has founded (`existing: false`), or carries because it was founded
   * before. Resolves with the id that a majority of the configured servers holds, which is the winner's and may be
   * another one. Waits as long as it takes; rejects with SignalingFailure when the client is closed, when so many servers
   * refused this peer that no majority is left, or when it is called again for another room id. The winner is registered
   * again, as existing, wherever a server has forgotten it.
   */
  register(roomId: string, existing: boolean): Promise<string> {
    if (this.#state === 'closed') return Promise.reject(refusedCall(closedMessage))
    const before = this.#registration
    if (before?.waiting && before.roomId === roomId) {
      before.existing ||= existing
      const { promise } = before.waiting
      this.#pursueRegistration()
      return promise
    }
    before?.waiting?.reject(refusedCall(`register(${before.roomId}) was superseded by register(${roomId})`))
    let resolve: (winner: string) => void = () => {}
    let reject: (error: SignalingFailure) => void = () => {}
    const promise = new Promise<string>((onWinner, onFailure) => {
      resolve = onWinner
      reject = onFailure
    })
    this.#registration = { roomId, existing, waiting: { promise, resolve, reject } }
    this.#pursueRegistration()
    return promise
  }

  /**
   * Sends opaque text to a peer of the room, through any server that sees it. False if none does or too much waits
   * already; true promises nothing. Throws RangeError beyond `dataBytesMax` of UTF-8.
   */
  signal(to: string, data: string): boolean {
    if (!isSignalData(data))
      throw new RangeError(`data: expected at most ${dataBytesMax} bytes, got ${data.length} or more`)
    return this.#channels.some((channel) => channel.peers.has(to) && channel.signal(to, data))
  }

  /** Leaves the room and ends everything; no event comes any more. Idempotent, and fit for `pagehide`. */
  close(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#isUp = false
    this.#cancelFirstTimer()
    for (const channel of this.#channels) channel.close()
    this.#rejectRegistration({ code: 'signaling', message: closedMessage })
    this.#registration = null
  }

  #onUp(channel: Channel): void {
    this.#triesFirst = false
    this.#cancelFirstTimer()
    if (this.#isUp) {
      for (const [peerId, browserId] of channel.peers) {
        if (!this.#isSeen(peerId, channel)) this.#emit({ type: 'peer-entered', peerId, browserId })
      }
    } else {
      this.#isUp = true
      const peers = [...channel.peers].map(([peerId, browserId]) => ({ peerId, browserId }))
      this.#emit({ type: 'up', peers, roomId: decide(this.#heldIds()) })
    }
    this.#pursueRegistration()
  }

  #onDown(lostPeers: readonly string[] | null): void {
    if (lostPeers && this.#channels.some(({ up }) => up)) {
      for (const peerId of lostPeers) {
        if (!this.#isSeen(peerId)) this.#emit({ type: 'peer-left', peerId })
      }
    } else if (lostPeers) {
      this.#isUp = false
      this.#emit({ type: 'down' })
    }
    const stopped = this.#channels.filter((channel) => channel.stopped).length
    if (stopped >= this.#channels.length / 2) this.#rejectRegistration(this.#authFailure())
    if (stopped === this.#channels.length) {
      this.#triesFirst = false
      this.#cancelFirstTimer()
      this.#emit({ type: 'failed', failure: this.#authFailure() })
    } else if (this.#channels.every((channel) => channel.stopped || channel.failures >= firstDials)) {
      this.#failFirst()
    }
    this.#pursueRegistration()
  }

  /** The room was not reached at first. Whoever waits for it may stop waiting; the channels go on. */
  #failFirst(): void {
    if (!this.#triesFirst) return
    this.#triesFirst = false
    this.#cancelFirstTimer()
    this.#emit({ type: 'failed', failure: this.#failure('signaling', 'expected a signaling server to answer') })
  }

  /**
   * Takes the founding one step further. A new id goes to one server first, and what that one answers to the others:
   * founders that race then carry the same id to all, where each carrying its own could leave none with a majority.
   */
  #pursueRegistration(): void {
    const registration = this.#registration
    if (!registration) return
    const winner = decide(this.#heldIds())
    if (winner !== null && registration.waiting) {
      const { waiting } = registration
      registration.roomId = winner
      registration.existing = true
      registration.waiting = null
      waiting.resolve(winner)
    }
    const { existing } = registration
    const candidate = existing ? registration.roomId : (leading(this.#heldIds()) ?? registration.roomId)
    const isFirstStep = !existing && leading(this.#heldIds()) === null
    if (isFirstStep && this.#channels.some((channel) => channel.registering)) return
    const ready = this.#channels.filter((channel) => channel.canRegister(existing))
    for (const channel of isFirstStep ? ready.slice(0, 1) : ready) channel.register(candidate, existing)
  }

  #rejectRegistration(failure: Failure): void {
    const waiting = this.#registration?.waiting
    if (!waiting) return
    this.#registration = null
    waiting.reject(new SignalingFailure(failure))
  }

  #heldIds(): (string | null)[] {
    return this.#channels.map((channel) => channel.heldId)
  }

  #isSeen(peerId: string, except?: Channel): boolean {
    return this.#channels.some((channel) => channel !== except && channel.peers.has(peerId))
  }

  #authFailure(): Failure {
    return this.#failure('room-auth', 'expected the signaling server to let this peer in')
  }

  #failure(code: 'signaling' | 'room-auth', expected: string): Failure {
    const servers = this.#channels.map(({ url, lastFailure }) => ({ url, reason: lastFailure }))
    const got = servers.map(({ url, reason }) => `${url} ${reason}`).join('; ')
    return { code, message: `${expected}, got: ${got}`, details: { servers } }
  }

  #emit(event: SignalingEvent): void {
    if (this.#state === 'open') this.#onEvent(event)
  }
}

function refusedCall(message: string): SignalingFailure {
  return new SignalingFailure({ code: 'signaling', message })
}

/** Reads the globals when a client is made, not when this file is imported. */
function createPlatform(options: SignalingClientOptions): ChannelPlatform {
  return {
    createSocket: options.createSocket ?? nativeSockets(),
    random: options.random ?? Math.random,
    now: options.now ?? (() => performance.now()),
    setTimer:
      options.setTimer ??
      ((run, ms) => {
        const timer = setTimeout(run, ms)
        return () => clearTimeout(timer)
      }),
  }
}

function nativeSockets(): (url: string) => WebSocketLike {
  const { WebSocket } = globalThis
  if (typeof WebSocket !== 'function')
    throw new TypeError('createSocket: expected one, since this platform has no WebSocket')
  return (url) => new WebSocket(url)
}
