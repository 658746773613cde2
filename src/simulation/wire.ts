import { type DownReason, frameBytesMax, type Lane, type Link, type LinkKind } from '../network/link.js'
import { coverFrame } from './branches.js'
import type { SimNetwork, Station } from './network.js'
import type { World } from './world.js'

/** What one wire is like. */
export interface Conditions {
  readonly kind: LinkKind
  /** Of one frame, one way, ms. */
  readonly delay: () => number
  /** How long an end needs to see that the link has broken, ms. */
  readonly lostAfter: () => number
  readonly isBlocked: (from: Station, to: Station) => boolean
  /** Asked of each frame that is about to leave. */
  readonly breaksUnder: (lane: Lane) => boolean
  /** Adversary: true if it has dealt with the frame itself. */
  readonly disturb:
    | ((end: LinkEnd, frame: Uint8Array, deliver: (frame: Uint8Array, delay: number) => void) => boolean)
    | null
}

/** A bulk lane carries so many bytes in a ms: a large snapshot takes its time. */
const bulkBytesPerMs = 500

/** A link with its two ends. Each end hears of the other only through events of the world. */
export class Wire {
  readonly #ends: readonly [LinkEnd, LinkEnd]
  readonly #onEnd: () => void
  #isOver = false

  constructor(world: World, [a, b]: readonly [SimNetwork, SimNetwork], conditions: Conditions, onEnd: () => void) {
    this.#onEnd = onEnd
    this.#ends = [new LinkEnd(world, a, b, conditions), new LinkEnd(world, b, a, conditions)]
    const [left, right] = this.#ends
    left.join(right, () => this.#onDown())
    right.join(left, () => this.#onDown())
  }

  get load(): number {
    return this.#ends[0].load + this.#ends[1].load
  }

  open(): void {
    for (const end of this.#ends) end.open()
  }

  joins(a: string, b: string): boolean {
    const [{ from, to }] = this.#ends
    return (from.peerId === a && to.peerId === b) || (from.peerId === b && to.peerId === a)
  }

  spans(a: string, b: string): boolean {
    const [{ from, to }] = this.#ends
    return (from.browser === a && to.browser === b) || (from.browser === b && to.browser === a)
  }

  /** It dies unseen: what is under way is gone, and each end finds out in its own time. */
  break(): void {
    for (const end of this.#ends) end.break()
  }

  /** What a partition held back goes on its way. */
  flush(): void {
    for (const end of this.#ends) end.flush()
  }

  gone(network: SimNetwork, peerId: string, life: string): void {
    for (const end of this.#ends)
      if (end.isOf(network) && end.to.peerId === peerId && end.to.life === life) end.fall('lost')
  }

  lastWord(network: SimNetwork, peerId: string, frame: Uint8Array | null, delay: number): void {
    const [a, b] = this.#ends
    if (a.isOf(network) && a.to.peerId === peerId) b.lastWord(frame, delay)
    else if (b.isOf(network) && b.to.peerId === peerId) a.lastWord(frame, delay)
  }

  /** Tabs of one browser hear of a new life of a peer at once. */
  replaced(station: Station): void {
    for (const end of this.#ends) {
      if (end.to.peerId === station.peerId && end.to.life !== station.life && end.from.browser === station.browser)
        end.hear('lost', 1)
    }
  }

  /** A thread is gone: nobody tells the other end. BroadcastChannel has no sign of it at all, WebRTC times out. */
  died(network: SimNetwork): void {
    if (!this.#ends.some((end) => end.isOf(network))) return
    for (const end of this.#ends) {
      if (end.isOf(network)) end.vanish()
      else if (end.kind === 'webrtc') end.break()
    }
  }

  #onDown(): void {
    if (this.#isOver || !this.#ends.every((end) => end.isDown)) return
    this.#isOver = true
    this.#onEnd()
  }
}

/** One end of a link, as its host has it. */
export class LinkEnd implements Link {
  readonly id: string
  readonly kind: LinkKind
  readonly from: Station
  readonly to: Station
  readonly #world: World
  readonly #network: SimNetwork
  readonly #conditions: Conditions
  /** When the last frame of each lane will have arrived. */
  readonly #busyUntil: Record<Lane, number> = { control: 0, bulk: 0 }
  readonly #buffered: Record<Lane, number> = { control: 0, bulk: 0 }
  #held: { readonly lane: Lane; readonly frame: Uint8Array }[] = []
  #other: LinkEnd | null = null
  #onDown: () => void = () => {}
  #state: 'opening' | 'up' | 'down' = 'opening'
  #isBroken = false
  load = 0

  constructor(world: World, network: SimNetwork, other: SimNetwork, conditions: Conditions) {
    this.#world = world
    this.#network = network
    this.#conditions = conditions
    this.from = network.station
    this.to = other.station
    this.kind = conditions.kind
    this.id = `${network.name}>${other.name}:${world.events}`
  }

  get peerId(): string {
    return this.to.peerId
  }

  get isDown(): boolean {
    return this.#state === 'down'
  }

  isOf(network: SimNetwork): boolean {
    return this.#network === network
  }

  join(other: LinkEnd, onDown: () => void): void {
    this.#other = other
    this.#onDown = onDown
    this.#network.links.add(this)
  }

  open(): void {
    this.from.thread.post(this.#conditions.delay(), `up ${this.to.peerId}`, () => this.#rise())
  }

  send(lane: Lane, frame: Uint8Array): void {
    if (this.#state !== 'up') return
    if (frame.byteLength > frameBytesMax) {
      this.#world.after(0, `${this.id} too large`, () => this.break())
      return
    }
    const copy = frame.slice()
    coverFrame(this.#world.coverage, copy)
    if (this.#conditions.breaksUnder(lane)) {
      this.break()
      this.#other?.break()
      return
    }
    const disturbed = this.#conditions.disturb?.(this, copy, (data, delay) => this.#deliver(lane, data, delay))
    if (disturbed) return
    if (this.#conditions.isBlocked(this.from, this.to)) {
      this.#world.coverage.hit('network frame held back')
      this.#held.push({ lane, frame: copy })
    } else this.#transmit(lane, copy)
  }

  buffered(lane: Lane): number {
    return this.#buffered[lane]
  }

  close(reason: string): void {
    if (this.#state === 'down') return
    this.#world.note(`${this.from.peerId} closes its link to ${this.to.peerId}: ${reason}`)
    const after = Math.max(this.#busyUntil.control, this.#busyUntil.bulk) - this.#world.now
    if (!this.#isBroken && !this.#conditions.isBlocked(this.from, this.to))
      this.#other?.hear('remote', Math.max(0, after) + 0.01)
    else this.#other?.hear('lost', this.#conditions.lostAfter())
    this.fall('local')
  }

  /** This end will hear that, unless it is down by then. */
  hear(reason: DownReason, delay: number): void {
    if (this.#state === 'down') return
    this.from.thread.post(delay, `down ${this.to.peerId} ${reason}`, () => this.fall(reason))
  }

  /** The other page has said goodbye: with a frame of its own, or only by closing. */
  lastWord(frame: Uint8Array | null, delay: number): void {
    this.from.thread.post(delay, `last word of ${this.to.peerId}`, () => {
      if (frame) this.receive('control', frame)
      this.fall('remote')
    })
  }

  /** Nothing goes out of this end any more, and it will find out. */
  break(): void {
    if (this.#state === 'down' || this.#isBroken) return
    this.#isBroken = true
    this.#held = []
    this.hear('lost', this.#conditions.lostAfter())
  }

  /** Its thread is gone. */
  vanish(): void {
    this.#isBroken = true
    this.#state = 'down'
    this.#network.links.delete(this)
    this.#onDown()
  }

  flush(): void {
    const held = this.#held
    this.#held = []
    for (const { lane, frame } of held) this.#transmit(lane, frame)
  }

  fall(reason: DownReason): void {
    if (this.#state === 'down') return
    const wasUp = this.#state === 'up'
    this.#state = 'down'
    this.#held = []
    this.#network.links.delete(this)
    this.#onDown()
    if (wasUp) this.#network.listener?.down(this, reason)
    // Whatever the reason: no end stays up for ever when the other is gone.
    if (reason === 'lost') this.#other?.hear('lost', this.#conditions.lostAfter())
  }

  #transmit(lane: Lane, frame: Uint8Array): void {
    const { now } = this.#world
    const travel = this.#conditions.delay() + (lane === 'bulk' ? frame.byteLength / bulkBytesPerMs : 0)
    this.#busyUntil[lane] = Math.max(this.#busyUntil[lane], now + travel)
    this.#buffered[lane] += frame.byteLength
    this.#deliver(lane, frame, this.#busyUntil[lane] - now, () => {
      this.#buffered[lane] -= frame.byteLength
    })
  }

  #deliver(lane: Lane, frame: Uint8Array, delay: number, arrived: () => void = () => {}): void {
    this.load += 1
    const label = `frame ${this.from.peerId}>${this.to.peerId} ${frame.byteLength}`
    this.#world.after(delay, label, () => {
      this.load -= 1
      arrived()
      if (this.#isBroken) this.#world.coverage.hit('network frame lost with its link')
      else this.to.thread.post(0, label, () => this.#other?.receive(lane, frame))
    })
  }

  receive(lane: Lane, frame: Uint8Array): void {
    if (this.#state === 'opening') this.#rise()
    if (this.#state === 'up') this.#network.listener?.frame(this, lane, frame)
  }

  #rise(): void {
    if (this.#state !== 'opening') return
    this.#state = 'up'
    this.#network.listener?.up(this)
  }
}
