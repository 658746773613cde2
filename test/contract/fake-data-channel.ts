/**
 * Two RTCDataChannels in Node, with the habits of Chromium that a link depends on: opens later, bounded messages and send
 * queue (PLATFORM 30, 32), an `error` before an orderly `close` by the other side (PLATFORM 22).
 */

const messageBytesMax = 262_144
const queueBytesMax = 16 * 1024 * 1024

export class FakeDataChannel {
  binaryType = 'blob'
  readyState: RTCDataChannelState = 'connecting'
  bufferedAmount = 0
  bufferedAmountLowThreshold = 0
  onopen: (() => void) | null = null
  onmessage: ((event: { data: unknown }) => void) | null = null
  onclose: (() => void) | null = null
  onerror: (() => void) | null = null
  onbufferedamountlow: (() => void) | null = null
  #other: FakeDataChannel | undefined
  #queue: ArrayBuffer[] = []
  #isPumping = false

  static pair(): [FakeDataChannel, FakeDataChannel] {
    const a = new FakeDataChannel()
    const b = new FakeDataChannel()
    a.#other = b
    b.#other = a
    // Unequal, so that a message can come before `open` (PLATFORM 5).
    setTimeout(() => a.#open(), 1)
    setTimeout(() => b.#open(), 5)
    return [a, b]
  }

  /** As the code under test has it. */
  get rtc(): RTCDataChannel {
    return this as unknown as RTCDataChannel
  }

  send(data: ArrayBuffer | Uint8Array): void {
    if (this.readyState !== 'open') throw new DOMException('not open', 'InvalidStateError')
    const bytes = data instanceof ArrayBuffer ? data.slice(0) : data.slice().buffer
    if (!(bytes instanceof ArrayBuffer)) throw new TypeError('not an ArrayBuffer')
    if (bytes.byteLength > messageBytesMax) throw new TypeError('message too large')
    if (this.bufferedAmount + bytes.byteLength > queueBytesMax) throw new DOMException('queue full', 'OperationError')
    this.bufferedAmount += bytes.byteLength
    this.#queue.push(bytes)
    this.#pump()
  }

  close(): void {
    if (this.readyState === 'closing' || this.readyState === 'closed') return
    this.readyState = 'closing'
    this.#pump()
  }

  #open(): void {
    if (this.readyState !== 'connecting') return
    this.readyState = 'open'
    this.onopen?.()
  }

  #pump(): void {
    if (this.#isPumping) return
    this.#isPumping = true
    setImmediate(() => {
      this.#isPumping = false
      const bytes = this.#queue.shift()
      if (bytes) {
        const before = this.bufferedAmount
        this.bufferedAmount -= bytes.byteLength
        if (this.#other?.readyState !== 'closed') this.#other?.onmessage?.({ data: bytes })
        const low = this.bufferedAmountLowThreshold
        if (before > low && this.bufferedAmount <= low) this.onbufferedamountlow?.()
        this.#pump()
      } else if (this.readyState === 'closing') {
        this.readyState = 'closed'
        this.#other?.onRemoteClose()
      }
    })
  }

  onRemoteClose(): void {
    if (this.readyState === 'closed') return
    this.readyState = 'closed'
    this.onerror?.()
    this.onclose?.()
  }
}
