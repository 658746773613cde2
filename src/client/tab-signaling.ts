/** Signaling between tabs of one browser without a server, for `links: 'webrtc'`. */
import { unreachable } from '../shared/assert.js'

type TabMessage =
  | { readonly type: 'here'; readonly from: string; readonly answer: boolean }
  | { readonly type: 'signal'; readonly from: string; readonly to: string; readonly data: string }

export interface TabSignalingEvents {
  entered(peerId: string): void
  signal(from: string, data: string): void
}

export class TabSignaling {
  readonly #channel: BroadcastChannel
  readonly #peerId: string
  readonly #events: TabSignalingEvents
  readonly #seen = new Set<string>()

  constructor(room: string, peerId: string, events: TabSignalingEvents) {
    this.#peerId = peerId
    this.#events = events
    this.#channel = new BroadcastChannel(`comity:signal:${room}`)
    this.#channel.onmessage = ({ data }) => this.#receive(data)
    this.#post({ type: 'here', from: peerId, answer: true })
  }

  /** False when that peer is no tab of this browser, as far as is known. */
  send(to: string, data: string): boolean {
    if (!this.#seen.has(to)) return false
    this.#post({ type: 'signal', from: this.#peerId, to, data })
    return true
  }

  close(): void {
    this.#channel.onmessage = null
    this.#channel.close()
  }

  #receive(data: unknown): void {
    const message = parse(data)
    if (!message || message.from === this.#peerId) return
    switch (message.type) {
      case 'here':
        this.#meet(message.from)
        if (message.answer) this.#post({ type: 'here', from: this.#peerId, answer: false })
        break
      case 'signal':
        if (message.to !== this.#peerId) break
        this.#meet(message.from)
        this.#events.signal(message.from, message.data)
        break
      default:
        unreachable(message)
    }
  }

  #meet(peerId: string): void {
    this.#seen.add(peerId)
    this.#events.entered(peerId)
  }

  #post(message: TabMessage): void {
    this.#channel.postMessage(message)
  }
}

/** Any script of the origin can post here. */
function parse(data: unknown): TabMessage | null {
  if (typeof data !== 'object' || data === null) return null
  const { type, from, to, data: text, answer } = data as Record<string, unknown>
  if (typeof from !== 'string' || from.length > 64) return null
  if (type === 'here') return { type, from, answer: answer === true }
  if (type === 'signal' && typeof to === 'string' && typeof text === 'string') return { type, from, to, data: text }
  return null
}
