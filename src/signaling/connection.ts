/**
 * The server's end of one WebSocket: reads frames, refuses bad ones, bounds what waits to be sent. It knows its own
 * connection only: nothing that one client sends can throw here or be noticed by another. What a message means is the
 * service's business.
 */
import type { RawData, WebSocket } from 'ws'
import { TokenBucket } from './bucket.js'
import type { SignalingLimits } from './limits.js'
import {
  type ClientMessage,
  closeCodes,
  type Enter,
  parseClientMessage,
  type Refusal,
  refusals,
  type ServerMessage,
} from './protocol.js'
import type { Room, RoomMember } from './rooms.js'

export interface Member extends RoomMember {
  readonly connection: Connection
}

/** Where a connection sits once it has entered. */
export interface Seat {
  readonly room: Room<Member>
  readonly member: Member
}

/** What a browser sent with its handshake. */
export interface Handshake {
  readonly url: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly address: string
}

export type SeatedMessage = Exclude<ClientMessage, { type: 'enter' | 'leave' | 'ping' }>

export interface ConnectionListener {
  frameReceived(): void
  /** Comes at most once per connection. The listener answers with `seat` or `refuse`, now or later. */
  enter(connection: Connection, message: Enter): void
  message(connection: Connection, seat: Seat, message: SeatedMessage): void
  refused(reason: Refusal): void
  /** The connection gave up its seat: it is closing, or gone. Comes at most once. */
  left(seat: Seat): void
  /** The socket has ended. Comes exactly once, and last. */
  closed(connection: Connection): void
}

type State =
  | { name: 'new' }
  /** `enter` has come and is not yet answered. */
  | { name: 'entering' }
  | { name: 'seated'; seat: Seat }
  /** The close frame is on its way; whatever still comes is ignored. */
  | { name: 'closing' }

export class Connection {
  readonly handshake: Handshake
  readonly #socket: WebSocket
  readonly #limits: SignalingLimits
  readonly #listener: ConnectionListener
  readonly #bucket: TokenBucket
  readonly #enterTimer: NodeJS.Timeout
  #state: State = { name: 'new' }
  /** False from a ping until its pong. */
  #alive = true

  constructor(
    socket: WebSocket,
    handshake: Handshake,
    options: { limits: SignalingLimits; listener: ConnectionListener },
  ) {
    const { limits, listener } = options
    this.handshake = handshake
    this.#socket = socket
    this.#limits = limits
    this.#listener = listener
    this.#bucket = new TokenBucket({
      perSecond: limits.messagesPerSecond,
      burst: limits.messagesBurst,
      now: performance.now(),
    })
    this.#enterTimer = setTimeout(() => this.refuse('idle', 'entered no room in time'), limits.enterMs)
    this.#enterTimer.unref()
    socket.on('message', (data, isBinary) => this.#onFrame(data, isBinary))
    // The ws library answers pings by itself; a flood of them costs like any other.
    socket.on('ping', () => this.#withinRate())
    socket.on('pong', () => {
      this.#alive = true
      this.#withinRate()
    })
    // Protocol errors (bad UTF-8, a frame beyond maxPayload): ws closes the socket with the right code by itself.
    socket.on('error', (error: Error & { code?: string }) => this.#onSocketError(error))
    socket.on('close', () => this.#onClose())
  }

  /** False once a refusal or a close has begun. */
  get open(): boolean {
    return this.#state.name !== 'closing'
  }

  seat(seat: Seat): void {
    if (this.#state.name !== 'entering') return
    clearTimeout(this.#enterTimer)
    this.#state = { name: 'seated', seat }
  }

  send(message: ServerMessage): void {
    if (!this.open) return
    const text = JSON.stringify(message)
    if (this.#socket.bufferedAmount + text.length > this.#limits.bufferedBytes) {
      this.refuse('slow', 'did not read what was sent')
      return
    }
    this.#socket.send(text)
  }

  /** Tells why, closes with the code of that reason, and gives up the seat at once. */
  refuse(reason: Refusal, message: string): void {
    if (!this.open) return
    this.#listener.refused(reason)
    // To who does not read, one more frame would only wait as well.
    if (reason !== 'slow') this.#socket.send(JSON.stringify({ type: 'error', code: reason, message }))
    this.close(refusals[reason], reason)
  }

  close(code: number, reason: string): void {
    if (!this.open) return
    this.#giveUp()
    // ws cuts the socket itself if the other side does not answer within `closeTimeout`.
    this.#socket.close(code, reason)
  }

  /** Called every `pingMs`: cuts a connection that did not answer the last ping (PLATFORM 18: bfcache tells nobody). */
  ping(): void {
    if (!this.#alive) {
      this.#giveUp()
      this.#socket.terminate()
      return
    }
    this.#alive = false
    if (this.#socket.readyState === this.#socket.OPEN) this.#socket.ping()
  }

  terminate(): void {
    this.#socket.terminate()
  }

  #onFrame(data: RawData, isBinary: boolean): void {
    if (!this.open) return
    this.#listener.frameReceived()
    if (!this.#withinRate()) return
    const bytes = Array.isArray(data) ? Buffer.concat(data) : data
    if (isBinary) {
      this.refuse('malformed', 'expected a text frame')
    } else if (bytes.byteLength > this.#limits.frameBytes) {
      this.refuse('too-large', `expected a frame of at most ${this.#limits.frameBytes} bytes`)
    } else {
      const parsed = parseClientMessage(bytes.toString())
      if (parsed.ok) this.#onMessage(parsed.message)
      else this.refuse(parsed.code, parsed.reason)
    }
  }

  #onMessage(message: ClientMessage): void {
    switch (message.type) {
      case 'enter':
        this.#onEnter(message)
        break
      case 'leave':
        this.close(closeCodes.normal, 'left')
        break
      case 'ping':
        this.send({ type: 'pong' })
        break
      default:
        if (this.#state.name === 'seated') this.#listener.message(this, this.#state.seat, message)
        else this.refuse('not-entered', `expected enter before ${message.type}`)
    }
  }

  #onEnter(message: Enter): void {
    if (this.#state.name !== 'new') {
      this.refuse('already-entered', 'expected one enter per connection')
      return
    }
    this.#state = { name: 'entering' }
    this.#listener.enter(this, message)
  }

  #withinRate(): boolean {
    if (this.#bucket.take(performance.now())) return true
    this.refuse('rate', `expected at most ${this.#limits.messagesPerSecond} frames a second`)
    return false
  }

  #onSocketError(error: Error & { code?: string }): void {
    if (!this.open) return
    this.#listener.refused(error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH' ? 'too-large' : 'malformed')
    this.#giveUp()
  }

  #onClose(): void {
    this.#giveUp()
    this.#listener.closed(this)
  }

  /** Idempotent. The room hears of it when the close begins, not when the socket has ended. */
  #giveUp(): void {
    if (this.#state.name === 'closing') return
    const seat = this.#state.name === 'seated' ? this.#state.seat : null
    this.#state = { name: 'closing' }
    clearTimeout(this.#enterTimer)
    if (seat) this.#listener.left(seat)
  }
}
