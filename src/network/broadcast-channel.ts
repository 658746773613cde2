/**
 * Links between the tabs of one browser, worker to worker, without WebRTC: they work offline and while a page is blocked.
 * A worker-side channel does not keep its page out of the back/forward cache (later probes).
 *
 * Meeting: `hello` to all; whoever hears it opens the channel of the pair and answers; both say `welcome` there. From its
 * welcome on a side's messages are numbered from 0. A side that has said and heard a welcome has the link.
 * There is no close event: goodbyes are messages, and the host's death watch calls `peerGone` (L2).
 */

import { BroadcastLink, type LinkEnd } from './broadcast-link.js'
import {
  type Address,
  type AnyHello,
  addressOf,
  type BroadcastPort,
  type CreateChannel,
  type Goodbye,
  goodbyeMessage,
  type HelloMessage,
  helloMessage,
  openChannel,
  type PairMessage,
  pairChannelName,
  parseForeignHello,
  parseHello,
  parsePairMessage,
  sharedChannelName,
} from './broadcast-message.js'
import type { DownReason, Link, LinkListener, Network } from './link.js'
import { systemTimers, type Timers } from './timers.js'

export interface BroadcastNetworkOptions {
  /** What tells rooms of this origin apart. */
  readonly room: string
  readonly peerId: string
  /** The incarnation, as a text that no other life of any peer has. */
  readonly life: string
  readonly createChannel?: CreateChannel
  readonly timers?: Timers
}

/** A bound on what garbage of other scripts may open. The mesh cap is far below (PLATFORM 29). */
export const acquaintancesMax = 64
/** Lives of one peer that are known to be over: a late message of theirs must not bring them back. */
const buriedLivesMax = 8

export class BroadcastNetwork implements Network {
  readonly #options: BroadcastNetworkOptions
  readonly #createChannel: CreateChannel
  readonly #timers: Timers
  readonly #acquaintances = new Map<string, Acquaintance>()
  /** Lives that speak another version, and know it. */
  readonly #foreign = new Set<string>()
  readonly #buried = new Map<string, string[]>()
  #listener: LinkListener | undefined
  #shared: BroadcastPort | undefined
  #isClosed = false

  constructor(options: BroadcastNetworkOptions) {
    this.#options = options
    this.#createChannel = options.createChannel ?? openChannel
    this.#timers = options.timers ?? systemTimers
  }

  listen(listener: LinkListener): void {
    if (this.#listener || this.#isClosed) return
    this.#listener = listener
    this.#shared = this.#createChannel(sharedChannelName(this.#options.room))
    this.#shared.onmessage = ({ data }) => {
      const foreign = parseForeignHello(data)
      if (foreign) this.#onForeign(foreign)
      else this.#onHello(parseHello(data))
    }
    this.hello()
  }

  /** Asks everybody with whom there is no link for one: after a pause, or after a link was closed. */
  hello(): void {
    this.#shared?.postMessage(helloMessage(this.#options.peerId, this.#options.life))
  }

  /** The host knows that this life is over: its link is lost at once, and it cannot come back. */
  peerGone(peerId: string, life: string): void {
    this.#bury(peerId, life)
    const acquaintance = this.#acquaintances.get(peerId)
    if (acquaintance?.life === life) acquaintance.leave('lost')
  }

  /** The goodbye that the page is to post for this link (M1), or undefined when it is not one of this network or is down. */
  goodbye(link: Link, payload?: Uint8Array): Goodbye | undefined {
    const acquaintance = this.#acquaintances.get(link.peerId)
    if (!acquaintance || acquaintance.link !== link) return undefined
    const { room, peerId: from, life } = this.#options
    const address = { room, from, life, to: acquaintance.peerId, toLife: acquaintance.life }
    return goodbyeMessage(payload ? { ...address, payload } : address)
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    // Each on the channel of its pair, so that it comes after the last frame and not before.
    for (const acquaintance of [...this.#acquaintances.values()]) acquaintance.sayGoodbye()
    this.#shared?.close()
    this.#shared = undefined
  }

  #onHello(hello: HelloMessage | undefined): void {
    const { peerId, life } = this.#options
    if (!hello || this.#isClosed || hello.from === peerId) return
    if (hello.type === 'answer' && (hello.to !== peerId || hello.toLife !== life)) return
    const acquaintance = this.#meet(hello.from, hello.life)
    if (!acquaintance || acquaintance.link) return
    if (hello.type === 'answer') acquaintance.welcome()
    else acquaintance.answer()
  }

  /** A tab with older or newer code, which does not know of this one yet if it is the later to come: once it is told. */
  #onForeign({ from, life, v }: AnyHello): void {
    const whom = `${from} ${life}`
    if (this.#isClosed || from === this.#options.peerId || this.#foreign.has(whom)) return
    if (this.#foreign.size >= acquaintancesMax) return
    this.#foreign.add(whom)
    this.hello()
    this.#listener?.foreign?.(from, v)
  }

  /** The channel of the pair is open when this returns: an answer may be sent. */
  #meet(peerId: string, life: string): Acquaintance | undefined {
    if (this.#buried.get(peerId)?.includes(life)) return undefined
    const known = this.#acquaintances.get(peerId)
    if (known?.life === life) return known
    if (known) {
      this.#bury(peerId, known.life)
      known.leave('lost')
    }
    if (!this.#listener || this.#isClosed || this.#acquaintances.size >= acquaintancesMax) return undefined
    const acquaintance = this.#open(peerId, life, this.#listener)
    this.#acquaintances.set(peerId, acquaintance)
    return acquaintance
  }

  #open(peerId: string, life: string, listener: LinkListener): Acquaintance {
    const { room, peerId: from, life: fromLife } = this.#options
    const channel = this.#createChannel(pairChannelName(room, from, peerId))
    const acquaintance = new Acquaintance({
      address: addressOf(from, fromLife, peerId, life),
      channel,
      listener,
      timers: this.#timers,
      answer: () => this.#shared?.postMessage({ ...addressOf(from, fromLife, peerId, life), type: 'answer' }),
      left: () => {
        if (this.#acquaintances.get(peerId) === acquaintance) this.#acquaintances.delete(peerId)
      },
    })
    channel.onmessage = (event) => this.#onPairMessage(peerId, parsePairMessage(event.data))
    return acquaintance
  }

  #onPairMessage(peerId: string, message: PairMessage | undefined): void {
    const { peerId: me, life } = this.#options
    if (!message || message.from !== peerId || message.to !== me || message.toLife !== life) return
    // Only a welcome can bring a new life of a known peer; everything else of a life that is not the present one is late.
    const acquaintance = message.type === 'welcome' ? this.#meet(peerId, message.life) : this.#acquaintances.get(peerId)
    if (acquaintance?.life !== message.life) return
    if (message.type === 'goodbye') this.#bury(peerId, message.life)
    acquaintance.hear(message)
  }

  #bury(peerId: string, life: string): void {
    const lives = this.#buried.get(peerId) ?? []
    if (lives.includes(life)) return
    if (!this.#buried.has(peerId) && this.#buried.size >= acquaintancesMax * 4) {
      const [oldest] = this.#buried.keys()
      if (oldest !== undefined) this.#buried.delete(oldest)
    }
    this.#buried.set(peerId, [...lives, life].slice(-buriedLivesMax))
  }
}

interface AcquaintanceOptions {
  readonly address: Address
  readonly channel: BroadcastPort
  readonly listener: LinkListener
  readonly timers: Timers
  readonly answer: () => void
  readonly left: () => void
}

/** How often a meeting that came to nothing is tried again, and how long it waits: 0.1 s, 0.2 s, ... 3.2 s. */
const retriesMax = 6
const retryMsMin = 100

/** One life of another peer, and the way to a link with it. */
class Acquaintance {
  readonly #options: AcquaintanceOptions
  #link: BroadcastLink | undefined
  /** Since the last link, if any: only who said a welcome may number, only who heard one may count. */
  #saidWelcome = false
  #heardWelcome = false
  #retry: { cancel(): void } | undefined
  #retries = 0
  #hasLeft = false

  constructor(options: AcquaintanceOptions) {
    this.#options = options
    this.#retryLater()
  }

  get peerId(): string {
    return this.#options.address.to
  }

  get life(): string {
    return this.#options.address.toLife
  }

  get link(): BroadcastLink | undefined {
    return this.#link
  }

  answer(): void {
    this.#options.answer()
  }

  welcome(): void {
    this.#saidWelcome = true
    this.#post({ ...this.#options.address, type: 'welcome', heard: this.#heardWelcome })
    this.#linkIfMet()
  }

  hear(message: PairMessage): void {
    switch (message.type) {
      case 'welcome':
        this.#onWelcome(message.heard)
        return
      case 'reset':
        this.#onReset()
        return
      case 'bye':
        this.leave('remote')
        return
      case 'goodbye':
        if (message.payload) this.#link?.endWith(message.payload)
        this.leave('remote')
        return
      default:
        // Without a link: frames of one that this side has ended already.
        this.#link?.hear(message)
    }
  }

  /** Ends this acquaintance; its link, if any, is down for the given reason. */
  leave(reason: DownReason): void {
    if (this.#hasLeft) return
    this.#hasLeft = true
    this.#retry?.cancel()
    this.#options.left()
    this.#link?.end(reason)
    this.#options.channel.onmessage = null
    this.#options.channel.close()
  }

  sayGoodbye(): void {
    this.#post({ ...this.#options.address, type: 'goodbye' })
    this.leave('local')
  }

  #onWelcome(heard: boolean): void {
    if (this.#link) {
      if (heard) return
      // It says that it never heard ours, or has begun anew without our knowing. In the first case nothing was counted.
      if (this.#link.received === 0) {
        this.welcome()
        return
      }
      this.#link.end('lost')
    }
    this.#heardWelcome = true
    if (this.#saidWelcome) this.#linkIfMet()
    else this.welcome()
  }

  #onReset(): void {
    this.#saidWelcome = false
    this.#heardWelcome = false
    this.#retryLater()
    this.#link?.end('lost')
  }

  #linkIfMet(): void {
    if (this.#link || this.#hasLeft || !this.#saidWelcome || !this.#heardWelcome) return
    this.#retry?.cancel()
    this.#retries = 0
    const { address, listener } = this.#options
    const link = new BroadcastLink({
      address,
      listener,
      post: (message) => this.#options.channel.postMessage(message),
      ended: (end) => this.#onLinkEnd(end),
    })
    this.#link = link
    listener.up(link)
  }

  #onLinkEnd(end: LinkEnd): void {
    this.#link = undefined
    this.#saidWelcome = false
    this.#heardWelcome = false
    if (end === 'closed') {
      this.#post({ ...this.#options.address, type: 'bye' })
      this.leave('local')
    } else if (end === 'broken') {
      // Both ends start again from nothing; a moment later, so that a fault that stays does not become a storm.
      this.#post({ ...this.#options.address, type: 'reset' })
      this.#retryLater(() => this.welcome())
    }
  }

  #retryLater(run: () => void = () => (this.#saidWelcome ? this.welcome() : this.answer())): void {
    this.#retry?.cancel()
    this.#retry = this.#options.timers.after(retryMsMin * 2 ** this.#retries, () => {
      this.#retries += 1
      if (this.#retries > retriesMax) {
        this.leave('lost')
        return
      }
      this.#retryLater()
      run()
    })
  }

  #post(message: PairMessage): void {
    try {
      this.#options.channel.postMessage(message)
    } catch {
      // The channel is closed: whoever it was for learns of it by the death watch.
    }
  }
}
