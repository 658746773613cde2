/**
 * What a data channel link needs of a channel, so that it is the same whether the worker owns the RTCDataChannel or its
 * page relays one (relay.ts).
 */

export interface ChannelListener {
  /** At most once, and before the first message. */
  opened(): void
  message(piece: Uint8Array): void
  /** It may take more: it opened, or what was buffered has fallen to `bufferedLow`. */
  drained(): void
  /** At most once, never for a close from this side. `lost`: it broke; `remote`: the other side closed it. */
  closed(reason: 'remote' | 'lost'): void
}

export interface Channel {
  /** Takes what is sent. */
  readonly isOpen: boolean
  /** Bytes sent and not yet on the network. */
  readonly buffered: number
  /** To be called in the task in which the channel came: it may have messages already (PLATFORM 5). */
  attach(listener: ChannelListener): void
  /** Throws when the channel cannot take the piece; false when it is not open any more. */
  send(piece: Uint8Array<ArrayBuffer>): boolean
  close(): void
}

/** Where bulk waits, and where it goes on (PLATFORM 32: Chromium refuses at 16 MiB). */
export const bufferedHigh = 1024 * 1024
export const bufferedLow = 256 * 1024

/** An RTCDataChannel of this thread, transferred or not. */
export class RtcChannel implements Channel {
  readonly #channel: RTCDataChannel
  #listener: ChannelListener | undefined
  #wasOpened = false
  #wasClosed = false

  constructor(channel: RTCDataChannel) {
    this.#channel = channel
    channel.binaryType = 'arraybuffer'
    channel.bufferedAmountLowThreshold = bufferedLow
  }

  get isOpen(): boolean {
    return !this.#wasClosed && this.#channel.readyState === 'open'
  }

  get buffered(): number {
    return this.#channel.bufferedAmount
  }

  attach(listener: ChannelListener): void {
    this.#listener = listener
    const channel = this.#channel
    channel.onopen = () => {
      this.#open()
      this.#listener?.drained()
    }
    channel.onmessage = (event: MessageEvent) => this.#onMessage(event.data)
    channel.onbufferedamountlow = () => this.#listener?.drained()
    channel.onclose = () => this.#onClose()
    // Nothing on `error`: an orderly close by the other side comes as "User-Initiated Abort" and then `close` (PLATFORM 22).
    // Firefox hands over channels that are open already (PLATFORM 5); one that is closed will not say so again.
    if (channel.readyState === 'open') queueMicrotask(() => this.#open())
    else if (channel.readyState === 'closed') queueMicrotask(() => this.#onClose())
  }

  send(piece: Uint8Array<ArrayBuffer>): boolean {
    if (this.#channel.readyState === 'closing' || this.#channel.readyState === 'closed') return false
    this.#channel.send(piece)
    return true
  }

  close(): void {
    this.#wasClosed = true
    this.#listener = undefined
    this.#channel.close()
  }

  #open(): void {
    if (this.#wasOpened || this.#wasClosed) return
    this.#wasOpened = true
    this.#listener?.opened()
  }

  #onMessage(data: unknown): void {
    // The other side has it open, even if the `open` of this one is still to come (PLATFORM 5, w3c/webrtc-pc#3058). What
    // is sent meanwhile waits for that event, since the channel would throw.
    this.#open()
    // A text is nothing that a link sends: an empty piece, which every joiner refuses.
    this.#listener?.message(data instanceof ArrayBuffer ? new Uint8Array(data) : new Uint8Array(0))
  }

  #onClose(): void {
    if (this.#wasClosed) return
    this.#wasClosed = true
    this.#listener?.closed('remote')
  }
}
