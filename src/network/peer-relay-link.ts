/**
 * One end of a link that a third peer carries, once its keys are agreed. Each lane is numbered: what is missing ends the link,
 * what comes again is dropped (F4). No more than a window of each lane is on its way: what the other end has not acknowledged
 * waits here, and never at the relay.
 */
import { windowBytes } from './carried.js'
import { Joiner } from './framing.js'
import { type DownReason, frameBytesMax, type Lane, type Link, type LinkListener, pieceBytesMax } from './link.js'
import { nextLinkId } from './link-id.js'
import { Outbox } from './outbox.js'
import { readSealed, type SealedMessage, writeRelayMessage, writeSealed } from './peer-relay-message.js'
import type { Seal } from './peer-relay-seal.js'

/** Acknowledgements come in time for a window never to stand still. */
const ackEvery = windowBytes / 4

export interface PeerRelayLinkOptions {
  readonly peerId: string
  /** Who carries it. */
  readonly via: string
  /** This side asked for the link. */
  readonly isOpener: boolean
  readonly seal: Seal
  /** Monotonic, ms. */
  readonly now: number
  readonly listener: LinkListener
  readonly transmit: (lane: Lane, body: Uint8Array) => void
  /** Called before the listener hears `down`. */
  readonly onEnded: (link: PeerRelayLink, reason: DownReason) => void
}

export class PeerRelayLink implements Link {
  readonly id: string
  readonly peerId: string
  readonly kind = 'peer-relay'
  readonly via: string
  readonly isOpener: boolean
  readonly since: number
  readonly #options: PeerRelayLinkOptions
  readonly #lanes: Readonly<Record<Lane, RelayLane>>
  heardAt: number
  #state: 'opening' | 'up' | 'down' = 'opening'
  #isDoomed = false

  constructor(options: PeerRelayLinkOptions) {
    this.#options = options
    this.peerId = options.peerId
    this.via = options.via
    this.isOpener = options.isOpener
    this.since = options.now
    this.heardAt = options.now
    this.id = nextLinkId('peer-relay', options.peerId)
    this.#lanes = { control: new RelayLane(), bulk: new RelayLane() }
  }

  get tag(): Uint8Array {
    return this.#options.seal.tag
  }

  /** It could not keep a promise, and is to be ended by its network: not inside the call of whoever sent. */
  get isDoomed(): boolean {
    return this.#isDoomed
  }

  rise(): void {
    if (this.#state !== 'opening') return
    this.#state = 'up'
    this.#options.listener.up(this)
  }

  /** Proves to the other side that this one has the keys. */
  ready(): void {
    this.#transmit('control', { type: 'ready' })
  }

  send(lane: Lane, frame: Uint8Array): void {
    if (this.#state !== 'up' || this.#isDoomed) return
    // A copy: the sender's bytes may be a view on more.
    if (frame.byteLength <= frameBytesMax && this.#lanes[lane].outbox.add(frame.slice())) this.#pump(lane)
    else this.#isDoomed = true
  }

  buffered(lane: Lane): number {
    return this.#lanes[lane].outbox.bytes
  }

  close(_reason: string): void {
    this.end('local')
  }

  end(reason: DownReason): void {
    if (this.#state === 'down') return
    const wasUp = this.#state === 'up'
    if (reason !== 'remote') this.#transmit('control', { type: reason === 'local' ? 'close' : 'abort' })
    this.#state = 'down'
    for (const lane of ['control', 'bulk'] as const) this.#lanes[lane].outbox.clear()
    this.#options.onEnded(this, reason)
    if (wasUp) this.#options.listener.down(this, reason)
  }

  /** It is the next of its lane, and comes from the other end. */
  isNext(lane: Lane, number: number, sealed: Uint8Array): boolean {
    return number === this.#lanes[lane].received && this.#options.seal.open(lane, number, sealed) !== null
  }

  /** Anything may come. */
  receive(lane: Lane, number: number, sealed: Uint8Array, now: number): void {
    const state = this.#lanes[lane]
    // Again: of no use, and no reason to end anything (F4).
    if (this.#state === 'down' || number < state.received) return
    const plain = this.#options.seal.open(lane, number, sealed)
    if (!plain) return
    this.heardAt = now
    const message = number === state.received ? readSealed(plain) : null
    if (!message) {
      this.end('lost')
      return
    }
    state.received += 1
    this.#hear(lane, message)
  }

  #hear(lane: Lane, message: SealedMessage): void {
    switch (message.type) {
      case 'piece':
        this.#onPiece(lane, message.piece)
        break
      case 'ack':
        this.#lanes[message.lane].acknowledge(message.bytes)
        this.#pump(message.lane)
        break
      case 'ready':
        break
      case 'close':
        this.end('remote')
        break
      case 'abort':
        this.#onAbort()
        break
      default:
        message satisfies never
    }
  }

  #onPiece(lane: Lane, piece: Uint8Array): void {
    const state = this.#lanes[lane]
    state.takenBytes += piece.byteLength
    if (state.takenBytes - state.toldBytes >= ackEvery) {
      state.toldBytes = state.takenBytes
      this.#transmit('control', { type: 'ack', lane, bytes: state.takenBytes })
    }
    const joined = state.joiner.push(piece)
    if (joined.type === 'frame') this.#options.listener.frame(this, lane, joined.frame)
    else if (joined.type === 'refused') this.end('lost')
  }

  /** Told by the other end: no need to tell it. */
  #onAbort(): void {
    if (this.#state === 'down') return
    this.#state = 'down'
    this.#options.onEnded(this, 'lost')
    this.#options.listener.down(this, 'lost')
  }

  #pump(lane: Lane): void {
    const state = this.#lanes[lane]
    while (this.#state === 'up' && state.sentBytes - state.acknowledged < windowBytes) {
      const piece = state.outbox.next()
      if (!piece) return
      state.sentBytes += piece.byteLength
      this.#transmit(lane, { type: 'piece', piece })
    }
  }

  #transmit(lane: Lane, message: SealedMessage): void {
    const { seal, transmit } = this.#options
    const state = this.#lanes[lane]
    const number = state.sent
    state.sent += 1
    const sealed = seal.close(lane, number, writeSealed(message))
    transmit(lane, writeRelayMessage({ type: 'sealed', tag: seal.tag, number, sealed }))
  }
}

class RelayLane {
  readonly outbox = new Outbox(pieceBytesMax)
  readonly joiner = new Joiner()
  /** Messages of this side, and of the other one. */
  sent = 0
  received = 0
  sentBytes = 0
  acknowledged = 0
  takenBytes = 0
  toldBytes = 0

  acknowledge(bytes: number): void {
    this.acknowledged = Math.min(this.sentBytes, Math.max(this.acknowledged, bytes))
  }
}
