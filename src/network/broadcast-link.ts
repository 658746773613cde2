/**
 * One link between two tabs over the BroadcastChannel of the pair. Messages are numbered in each direction: a gap ends
 * the link, since a channel tells nothing of what it dropped (PLATFORM 42). Knows nothing of how the two met.
 */

import type { Address, NumberedMessage, PairMessage } from './broadcast-message.js'
import { Joiner } from './framing.js'
import type { DownReason, Lane, Link, LinkListener } from './link.js'
import { frameBytesMax } from './link.js'
import { nextLinkId } from './link-id.js'
import { Outbox } from './outbox.js'

/**
 * A bulk frame goes in pieces, and the next piece only when the last was taken: a BroadcastChannel has no buffer that
 * could be watched, and control is to wait behind one piece at most.
 */
export const broadcastPieceBytesMax = 256 * 1024

export interface BroadcastLinkOptions {
  readonly address: Address
  readonly listener: LinkListener
  readonly post: (message: PairMessage) => void
  /** Called before the listener hears `down`. */
  readonly ended: (end: LinkEnd) => void
}

/** `closed`: by this side. `broken`: this side found it out of step, or cannot send. `told`: the other side or the host's death watch. */
export type LinkEnd = 'closed' | 'broken' | 'told'

export class BroadcastLink implements Link {
  readonly id: string
  readonly peerId: string
  readonly kind = 'broadcast'
  readonly #options: BroadcastLinkOptions
  readonly #joiner = new Joiner({ pieceBytesMax: broadcastPieceBytesMax })
  readonly #outbox = new Outbox(broadcastPieceBytesMax)
  #isDown = false
  #sent = 0
  #received = 0
  /** A piece that waits for the ones before it to be taken. */
  #held: Uint8Array<ArrayBuffer> | undefined
  #untakenBytes = 0

  constructor(options: BroadcastLinkOptions) {
    this.#options = options
    this.peerId = options.address.to
    this.id = nextLinkId('broadcast', this.peerId)
  }

  /** Messages heard on this link so far. */
  get received(): number {
    return this.#received
  }

  send(lane: Lane, frame: Uint8Array): void {
    if (this.#isDown) return
    if (frame.byteLength > frameBytesMax) this.#breakLater()
    else if (lane === 'control') this.#post('control', owned(frame))
    else if (this.#outbox.add(frame)) this.#pump()
    else this.#breakLater()
  }

  buffered(lane: Lane): number {
    if (lane === 'control') return 0
    return this.#outbox.bytes + (this.#held?.byteLength ?? 0) + this.#untakenBytes
  }

  close(_reason: string): void {
    if (!this.#isDown) this.#end('closed', 'local')
  }

  /** The other side said so, or somebody who knows of its death. */
  end(reason: DownReason): void {
    if (!this.#isDown) this.#end('told', reason)
  }

  /** The page's goodbye: not numbered, since the page does not know how far its worker came. */
  endWith(payload: Uint8Array): void {
    if (this.#isDown) return
    if (payload.byteLength <= frameBytesMax) this.#options.listener.frame(this, 'control', payload)
    this.end('remote')
  }

  hear(message: NumberedMessage): void {
    if (this.#isDown) return
    if (message.sequence !== this.#received) {
      this.#end('broken', 'lost')
      return
    }
    this.#received += 1
    switch (message.type) {
      case 'control':
        this.#onControl(message.bytes)
        return
      case 'bulk':
        this.#onBulk(message.bytes)
        return
      case 'took':
        this.#untakenBytes = Math.max(0, this.#untakenBytes - message.count)
        this.#pump()
    }
  }

  #onControl(frame: Uint8Array): void {
    if (frame.byteLength > frameBytesMax) this.#end('broken', 'lost')
    else this.#options.listener.frame(this, 'control', frame)
  }

  #onBulk(piece: Uint8Array): void {
    const count = piece.byteLength
    const joined = this.#joiner.push(piece)
    if (joined.type === 'refused') {
      this.#end('broken', 'lost')
      return
    }
    this.#post('took', count)
    if (joined.type === 'frame' && !this.#isDown) this.#options.listener.frame(this, 'bulk', joined.frame)
  }

  #pump(): void {
    while (!this.#isDown) {
      const piece = this.#held ?? this.#outbox.next()
      this.#held = piece
      if (!piece) return
      if (this.#untakenBytes > 0 && this.#untakenBytes + piece.byteLength > broadcastPieceBytesMax) return
      this.#held = undefined
      this.#untakenBytes += piece.byteLength
      this.#post('bulk', piece)
    }
  }

  #post(type: 'control' | 'bulk', bytes: Uint8Array<ArrayBuffer>): void
  #post(type: 'took', count: number): void
  #post(type: NumberedMessage['type'], content: Uint8Array<ArrayBuffer> | number): void {
    const numbered = { ...this.#options.address, sequence: this.#sent }
    this.#sent += 1
    try {
      if (typeof content === 'number') this.#options.post({ ...numbered, type: 'took', count: content })
      else this.#options.post({ ...numbered, type: type === 'bulk' ? 'bulk' : 'control', bytes: content })
    } catch {
      // Out of memory, or the channel was closed under us: what was to be said is missing, so the link is over.
      this.#breakLater()
    }
  }

  /** Never inside the caller's `send`, who does not expect to hear `down` there. */
  #breakLater(): void {
    queueMicrotask(() => {
      if (!this.#isDown) this.#end('broken', 'lost')
    })
  }

  #end(end: LinkEnd, reason: DownReason): void {
    this.#isDown = true
    this.#outbox.clear()
    this.#held = undefined
    this.#options.ended(end)
    this.#options.listener.down(this, reason)
  }
}

/** A view would be cloned with the whole buffer behind it. */
function owned(frame: Uint8Array): Uint8Array<ArrayBuffer> {
  const { buffer } = frame
  const isWhole = buffer instanceof ArrayBuffer && buffer.byteLength === frame.byteLength
  return isWhole ? new Uint8Array(buffer) : new Uint8Array(frame)
}
