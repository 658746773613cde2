/**
 * Where a data channel cannot be transferred, the page carries its bytes: `relay` pumps between channel and port in the
 * page, `PortChannel` is the worker's end. A blocked page delays this link, a frozen one stops it: `webrtc-relayed`.
 *
 * Whoever ends it says so, and whoever hears that closes the port: closed by the speaker, it may drop what came before.
 *
 * On the port: an ArrayBuffer is one message of the channel. page -> worker also `open`, `close`, `lost`, and how many
 * bytes the channel has taken in all; worker -> page also `close`.
 */

import * as v from 'valibot'
import { bufferedHigh, bufferedLow, type Channel, type ChannelListener } from './channel.js'

const toWorkerSchema = v.union([
  v.instance(ArrayBuffer),
  v.picklist(['open', 'close', 'lost']),
  v.object({ taken: v.pipe(v.number(), v.safeInteger(), v.minValue(0)) }),
])
const toPageSchema = v.union([v.instance(ArrayBuffer), v.literal('close')])
type ToWorker = v.InferOutput<typeof toWorkerSchema>

/** In the page. The channel belongs to the pump from here on; call it in the task that created the channel. */
export function relay(channel: RTCDataChannel, port: MessagePort): void {
  new Pump(channel, port)
}

class Pump {
  readonly #channel: RTCDataChannel
  readonly #port: MessagePort
  /** Bytes that the worker has sent and the channel has accepted. */
  #accepted = 0
  #wasOpened = false
  #isClosed = false

  constructor(channel: RTCDataChannel, port: MessagePort) {
    this.#channel = channel
    this.#port = port
    channel.binaryType = 'arraybuffer'
    channel.bufferedAmountLowThreshold = bufferedLow
    channel.onopen = () => this.#open()
    channel.onmessage = (event: MessageEvent) => this.#fromChannel(event.data)
    channel.onbufferedamountlow = () => this.#tellTaken()
    channel.onclose = () => this.#close('close')
    port.onmessage = (event: MessageEvent) => this.#fromWorker(event.data)
    if (channel.readyState === 'open') this.#open()
  }

  #open(): void {
    if (this.#wasOpened) return
    this.#wasOpened = true
    this.#tell('open')
  }

  #fromChannel(data: unknown): void {
    this.#open()
    const bytes = data instanceof ArrayBuffer ? data : new ArrayBuffer(0)
    this.#tell(bytes, [bytes])
  }

  #fromWorker(data: unknown): void {
    const message = v.safeParse(toPageSchema, data)
    if (!message.success) return
    if (message.output === 'close') {
      this.#end()
      this.#port.close()
    } else if (!this.#isClosed) {
      this.#send(message.output)
    }
  }

  #send(bytes: ArrayBuffer): void {
    if (this.#channel.readyState === 'closing' || this.#channel.readyState === 'closed') return
    try {
      this.#channel.send(bytes)
    } catch {
      this.#close('lost')
      return
    }
    this.#accepted += bytes.byteLength
    // Up to the threshold nothing will call `bufferedamountlow`, so it counts as taken; above it the event will tell.
    if (this.#channel.bufferedAmount <= bufferedLow) this.#tellTaken()
  }

  #tellTaken(): void {
    this.#tell({ taken: this.#accepted })
  }

  #tell(message: ToWorker, transfer: Transferable[] = []): void {
    if (!this.#isClosed) this.#port.postMessage(message, transfer)
  }

  #close(word: 'close' | 'lost'): void {
    if (this.#isClosed) return
    this.#tell(word)
    this.#end()
  }

  #end(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#channel.close()
  }
}

/** In the worker: the channel at the other end of a port. */
export class PortChannel implements Channel {
  readonly #port: MessagePort
  #listener: ChannelListener | undefined
  #state: 'opening' | 'open' | 'closed' = 'opening'
  #sent = 0
  #taken = 0

  constructor(port: MessagePort) {
    this.#port = port
  }

  get isOpen(): boolean {
    return this.#state === 'open'
  }

  get buffered(): number {
    return this.#sent - this.#taken
  }

  attach(listener: ChannelListener): void {
    this.#listener = listener
    this.#port.onmessage = (event: MessageEvent) => this.#onMessage(event.data)
    // Where ports tell of their end: the page is gone without a word.
    this.#port.addEventListener('close', () => this.#onClose('lost'))
  }

  send(piece: Uint8Array<ArrayBuffer>): boolean {
    if (this.#state === 'closed') return false
    this.#sent += piece.byteLength
    this.#port.postMessage(piece.buffer, [piece.buffer])
    return true
  }

  close(): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#listener = undefined
    this.#port.postMessage('close')
  }

  #onMessage(data: unknown): void {
    const parsed = v.safeParse(toWorkerSchema, data)
    if (!parsed.success) return
    const message = parsed.output
    if (message === 'close' || message === 'lost') {
      this.#onClose(message === 'lost' ? 'lost' : 'remote')
      this.#port.close()
    } else if (this.#state === 'closed') return
    else if (message === 'open') this.#open()
    else if (message instanceof ArrayBuffer) this.#listener?.message(new Uint8Array(message))
    else this.#onTaken(message.taken)
  }

  #open(): void {
    if (this.#state !== 'opening') return
    this.#state = 'open'
    this.#listener?.opened()
  }

  #onTaken(taken: number): void {
    const before = this.buffered
    this.#taken = Math.min(this.#sent, Math.max(this.#taken, taken))
    if (before > bufferedLow && this.buffered <= bufferedLow) this.#listener?.drained()
    else if (before >= bufferedHigh && this.buffered < bufferedHigh) this.#listener?.drained()
  }

  #onClose(reason: 'remote' | 'lost'): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#listener?.closed(reason)
  }
}
