/**
 * Links over pairs of data channels, in the worker. The page negotiates and hands the channels over (webrtc.ts); from
 * then on nothing here depends on it unless the bytes are relayed.
 */

import { bufferedHigh, type Channel, RtcChannel } from './channel.js'
import { abortPiece, Joiner } from './framing.js'
import type { DownReason, Lane, Link, LinkKind, LinkListener, Network } from './link.js'
import { frameBytesMax, pieceBytesMax } from './link.js'
import { nextLinkId } from './link-id.js'
import { Outbox } from './outbox.js'
import { PortChannel } from './relay.js'
import { systemTimers, type Timers } from './timers.js'

/** How long the close of the bulk channel waits for that of the control channel, and for what was sent on it before. */
const lastWordsMs = 1_000
/** Events of all links that may wait for a listener. */
const earlyMax = 4_096

export interface DataChannelNetworkOptions {
  readonly timers?: Timers
  /** A link has ended, from whichever side: the page may close the connection (`MeshManager.closeConnection`). */
  readonly onEnded?: (connectionId: string) => void
}

/** A transferred RTCDataChannel, or the port of a relay. */
export type HandedChannel = RTCDataChannel | MessagePort

export class DataChannelNetwork implements Network {
  readonly #onEnded: (connectionId: string) => void
  readonly #timers: Timers
  readonly #links = new Map<string, DataChannelLink>()
  #listener: LinkListener | undefined
  /** What came before anybody listened. */
  #early: ((listener: LinkListener) => void)[] = []
  #isClosed = false

  constructor(options: DataChannelNetworkOptions = {}) {
    this.#onEnded = options.onEnded ?? (() => {})
    this.#timers = options.timers ?? systemTimers
  }

  listen(listener: LinkListener): void {
    if (this.#isClosed || this.#listener) return
    this.#listener = listener
    // Not inside the call of whoever begins to listen.
    queueMicrotask(() => {
      for (const tell of this.#early.splice(0)) tell(listener)
    })
  }

  /**
   * Takes the channels of a connection over, in the task in which they arrived: a message may be waiting in them (PLATFORM 5). The link
   * comes up when its control channel is open, and when somebody listens: a peer may connect while this one still finds out whether
   * it founds the room (N1).
   */
  add(peerId: string, connectionId: string, control: HandedChannel, bulk: HandedChannel, kind: LinkKind): void {
    const channels = { control: channelOf(control), bulk: channelOf(bulk) }
    if (this.#isClosed || this.#links.has(connectionId)) {
      channels.control.close()
      channels.bulk.close()
      return
    }
    const onEnded = () => {
      this.#links.delete(connectionId)
      this.#onEnded(connectionId)
    }
    const listener: LinkListener = {
      up: (link) => this.#tell(connectionId, (to) => to.up(link)),
      frame: (link, lane, frame) => {
        if (this.#listener && this.#early.length === 0) this.#listener.frame(link, lane, frame)
        else this.#tell(connectionId, (to) => to.frame(link, lane, frame))
      },
      down: (link, reason) => this.#tell(null, (to) => to.down(link, reason)),
    }
    const options = { peerId, kind, channels, listener, timers: this.#timers, onEnded }
    this.#links.set(connectionId, new DataChannelLink(options))
  }

  /** `connectionId`: null for the last that is told of a link. */
  #tell(connectionId: string | null, event: (listener: LinkListener) => void): void {
    if (this.#listener && this.#early.length === 0) event(this.#listener)
    else if (connectionId === null || this.#early.length < earlyMax) this.#early.push(event)
    // What is left out would break the order of its lane: the link is given up, and the peer dialed anew.
    else queueMicrotask(() => this.closeConnection(connectionId, 'lost'))
  }

  /** What the page knows of the connection. Idempotent; an unknown connection is one that ended here first. */
  closeConnection(connectionId: string, reason: DownReason): void {
    this.#links.get(connectionId)?.end(reason)
  }

  close(): void {
    this.#isClosed = true
    for (const link of [...this.#links.values()]) link.close('the network closes')
  }
}

function channelOf(channel: HandedChannel): Channel {
  return 'readyState' in channel ? new RtcChannel(channel) : new PortChannel(channel)
}

interface DataChannelLinkOptions {
  readonly peerId: string
  readonly kind: LinkKind
  readonly channels: Readonly<Record<Lane, Channel>>
  readonly listener: LinkListener
  readonly timers: Timers
  /** Called before the listener hears `down`. */
  readonly onEnded: () => void
}

export class DataChannelLink implements Link {
  readonly id: string
  readonly peerId: string
  readonly kind: LinkKind
  readonly #options: DataChannelLinkOptions
  readonly #lanes: Readonly<Record<Lane, ChannelLane>>
  #state: 'opening' | 'up' | 'down' = 'opening'
  #lastWords: { cancel(): void } | undefined

  /** Attaches to the channels before it returns. */
  constructor(options: DataChannelLinkOptions) {
    this.#options = options
    this.peerId = options.peerId
    this.kind = options.kind
    this.id = nextLinkId(options.kind, options.peerId)
    const lane = (name: Lane) =>
      new ChannelLane(options.channels[name], {
        opened: () => this.#onOpened(),
        frame: (frame) => this.#onFrame(name, frame),
        closed: (reason) => this.#onClosed(name, reason),
      })
    this.#lanes = { control: lane('control'), bulk: lane('bulk') }
  }

  send(lane: Lane, frame: Uint8Array): void {
    if (this.#state !== 'up') return
    const isTaken = frame.byteLength <= frameBytesMax && this.#lanes[lane].send(frame)
    // A frame left out would break the order of its lane, so the link goes: never inside the call of the sender.
    if (!isTaken) queueMicrotask(() => this.end('lost'))
  }

  buffered(lane: Lane): number {
    return this.#lanes[lane].buffered
  }

  close(_reason: string): void {
    this.end('local')
  }

  end(reason: DownReason): void {
    if (this.#state === 'down') return
    const wasUp = this.#state === 'up'
    this.#state = 'down'
    for (const lane of [this.#lanes.control, this.#lanes.bulk]) {
      // The other side sees a close either way: told first that the link was given up, it does not take it for a goodbye
      // (M1). On both lanes, since there is no order between them.
      if (reason === 'lost') lane.abort()
      lane.close()
    }
    this.#lastWords?.cancel()
    this.#options.onEnded()
    if (wasUp) this.#options.listener.down(this, reason)
  }

  /** Control is enough: bulk waits in its own lane until its channel opens. A frame of bulk may even be the first sign. */
  #onOpened(): void {
    if (this.#state !== 'opening') return
    this.#state = 'up'
    this.#options.listener.up(this)
  }

  #onClosed(lane: Lane, reason: 'remote' | 'lost'): void {
    if (lane === 'control' || reason === 'lost') this.end(reason)
    // There is no order between the channels: what was sent on control before the close may still be on its way.
    else this.#lastWords ??= this.#options.timers.after(lastWordsMs, () => this.end(reason))
  }

  #onFrame(lane: Lane, frame: Uint8Array): void {
    if (this.#state === 'up') this.#options.listener.frame(this, lane, frame)
  }
}

interface LaneListener {
  opened(): void
  frame(frame: Uint8Array): void
  closed(reason: 'remote' | 'lost'): void
}

/** One lane: its channel, what waits for it and what has come in part. */
class ChannelLane {
  readonly #channel: Channel
  readonly #listener: LaneListener
  readonly #outbox = new Outbox(pieceBytesMax)
  readonly #joiner = new Joiner()
  #isClosed = false

  constructor(channel: Channel, listener: LaneListener) {
    this.#channel = channel
    this.#listener = listener
    channel.attach({
      opened: () => this.#onOpened(),
      message: (piece) => this.#onPiece(piece),
      drained: () => this.#onDrained(),
      closed: (reason) => this.#listener.closed(reason),
    })
  }

  get buffered(): number {
    return this.#isClosed ? 0 : this.#outbox.bytes + this.#channel.buffered
  }

  /** False: this lane cannot keep its promise any more. */
  send(frame: Uint8Array): boolean {
    return this.#outbox.add(frame) && this.#pump()
  }

  abort(): void {
    try {
      if (this.#channel.isOpen) this.#channel.send(abortPiece())
    } catch {
      // It cannot take even this: the other side hears the close alone.
    }
  }

  close(): void {
    this.#isClosed = true
    this.#outbox.clear()
    this.#channel.close()
  }

  #onOpened(): void {
    this.#listener.opened()
    this.#onDrained()
  }

  #onDrained(): void {
    if (!this.#pump()) this.#listener.closed('lost')
  }

  #pump(): boolean {
    try {
      while (!this.#isClosed && this.#channel.isOpen && this.#channel.buffered < bufferedHigh) {
        const piece = this.#outbox.next()
        if (!piece) return true
        // Closing: its `close` is on the way and says more than we know.
        if (!this.#channel.send(piece)) return true
      }
      return true
    } catch {
      return false
    }
  }

  #onPiece(piece: Uint8Array): void {
    if (this.#isClosed) return
    const joined = this.#joiner.push(piece)
    if (joined.type === 'frame') this.#listener.frame(joined.frame)
    else if (joined.type === 'refused') this.#listener.closed('lost')
  }
}
