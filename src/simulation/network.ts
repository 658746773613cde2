import type { Lane, LinkListener, Network } from '../network/link.js'
import type { Prng } from './prng.js'
import type { Thread } from './thread.js'
import { type Conditions, type LinkEnd, Wire } from './wire.js'
import type { World } from './world.js'

/** Who is at a network: a life of a peer, on a thread, in a browser. */
export interface Station {
  readonly peerId: string
  readonly life: string
  readonly browser: string
  readonly thread: Thread
  /** It has no page, and so no data channels: only tabs of its own browser, and relays (L4, F4). */
  readonly isResident: boolean
}

/** What the links of a run are like. Times in ms. */
export interface Weather {
  /** Typical one-way delays: between tabs of one browser, and between browsers. */
  readonly tabDelay: number
  readonly remoteDelay: number
  /** How long two peers of different browsers need to connect. */
  readonly connect: number
  /** How long it takes at most until a link that broke is known to be broken. */
  readonly lostWithin: number
}

export const fairWeather: Weather = { tabDelay: 0.4, remoteDelay: 8, connect: 120, lostWithin: 3_000 }

/** Frames as a careless network would carry them: no link of ours is so bad, and the host must bear it all the same (F1). */
export interface Mischief {
  readonly drop: number
  readonly duplicate: number
  readonly reorder: number
  /** How often a frame of the same two peers from before, perhaps from an earlier life, comes again. */
  readonly replay: number
}

/** How many frames of each way are kept for replay: of the present life, and of those before. */
const archiveMax = 60
/** The last frames of a life are the most dangerous ones to hear again. */
const lastWords = 12

/** Frames that went one way, as a careless network may still have them. */
interface Archive {
  readonly lives: string
  readonly present: Uint8Array[]
  readonly past: readonly Uint8Array[]
}

/** All links of a simulation: who meets whom, and what happens on the way. */
export class Ether {
  readonly world: World
  readonly #prng: Prng
  readonly #weather: Weather
  readonly #networks = new Set<SimNetwork>()
  readonly #wires = new Map<string, Wire>()
  /** Directed pairs of peers between whom nothing goes. */
  readonly #blocked = new Set<string>()
  /** Pairs of browsers that never get a connection: NATs that no signaling helps with. */
  readonly #strangers = new Set<string>()
  readonly #archive = new Map<string, Archive>()
  #slow = new Map<string, number>()
  mischief: Mischief | null = null
  /** The next link to carry bulk, which is to say a snapshot, breaks under it. */
  bulkBreaks = false
  /** Browsers meet at the signaling server only. */
  signaling: () => boolean = () => true

  constructor(world: World, weather: Weather) {
    this.world = world
    this.#prng = world.prng.fork('ether')
    this.#weather = weather
  }

  join(station: Station): SimNetwork {
    const network = new SimNetwork(station, this)
    station.thread.onDeath(() => this.#died(network))
    return network
  }

  /** Bytes under way or held back, over all wires. */
  get load(): number {
    let load = 0
    for (const wire of this.#wires.values()) load += wire.load
    return load
  }

  /** Nothing goes from one peer to the other any more; what is sent is held, or the link dies of it. */
  block(from: string, to: string, isFatal: boolean): void {
    this.#blocked.add(`${from}>${to}`)
    if (isFatal) for (const wire of this.#between(from, to)) wire.break()
  }

  isBlocked(from: string, to: string): boolean {
    return this.#blocked.has(`${from}>${to}`)
  }

  unblock(from: string, to: string): void {
    if (!this.#blocked.delete(`${from}>${to}`)) return
    for (const wire of this.#between(from, to)) wire.flush()
    this.#meetAll()
  }

  /** From now on these two browsers get no link, and what they have is broken. Only `reconcile` heals that (F4). */
  estrange(a: string, b: string): void {
    this.#strangers.add(pairOf(a, b))
    for (const wire of this.#wires.values()) if (wire.spans(a, b)) wire.break()
  }

  /** They may connect again. */
  reconcile(a: string, b: string): void {
    if (this.#strangers.delete(pairOf(a, b))) this.#meetAll()
  }

  /** One link breaks, and comes back later. */
  breakLinks(a: string, b: string): void {
    for (const wire of this.#between(a, b)) wire.break()
  }

  slowDown(a: string, b: string, ms: number): void {
    this.#slow.set(pairOf(a, b), ms)
  }

  /** Fair weather everywhere. */
  heal(): void {
    this.mischief = null
    this.bulkBreaks = false
    this.#slow = new Map()
    for (const pair of [...this.#blocked]) {
      const [from = '', to = ''] = pair.split('>')
      this.unblock(from, to)
    }
  }

  /** The death watch of that browser says so: its end of the link is lost at once (L2). */
  peerGone(network: SimNetwork, peerId: string, life: string): void {
    for (const wire of this.#wires.values()) wire.gone(network, peerId, life)
  }

  /** A page's goodbye in the place of its worker: after it that end of the link is closed. */
  lastWord(network: SimNetwork, peerId: string, frame: Uint8Array | null, delay: number): void {
    for (const wire of this.#wires.values()) wire.lastWord(network, peerId, frame, delay)
  }

  listening(network: SimNetwork): void {
    // A new life is heard of by those who still hold a link to the one before.
    for (const wire of this.#wires.values()) wire.replaced(network.station)
    this.#networks.add(network)
    for (const other of this.#networks) this.#meet(network, other)
  }

  closed(network: SimNetwork): void {
    this.#networks.delete(network)
  }

  /** Whoever has no link tries again. */
  #meetAll(): void {
    const all = [...this.#networks]
    for (const [i, a] of all.entries()) for (const b of all.slice(i + 1)) this.#meet(a, b)
  }

  /** Two who listen will have a link after a while, if by then they are still there and reach each other. */
  #meet(a: SimNetwork, b: SimNetwork): void {
    if (a.station.peerId === b.station.peerId || this.#wires.has(keyOf(a, b))) return
    const sameBrowser = a.station.browser === b.station.browser
    if (!sameBrowser && (a.station.isResident || b.station.isResident)) return
    if (this.#strangers.has(pairOf(a.station.browser, b.station.browser))) return
    const delay = sameBrowser ? this.#prng.tail(2, 100) : this.#prng.tail(this.#weather.connect, 3_000)
    this.world.after(delay, `meet ${a.name} ${b.name}`, () => {
      if (!this.#networks.has(a) || !this.#networks.has(b) || this.#wires.has(keyOf(a, b))) return
      if (this.#strangers.has(pairOf(a.station.browser, b.station.browser))) return
      const apart =
        this.isBlocked(a.station.peerId, b.station.peerId) || this.isBlocked(b.station.peerId, a.station.peerId)
      if (apart) return
      if (sameBrowser || this.signaling()) this.#connect(a, b)
      else this.world.after(500, `retry ${a.name} ${b.name}`, () => this.#meet(a, b))
    })
  }

  #connect(a: SimNetwork, b: SimNetwork): void {
    const key = keyOf(a, b)
    const wire = new Wire(this.world, [a, b], this.#conditions(a.station, b.station), () => {
      this.#wires.delete(key)
      if (this.#networks.has(a) && this.#networks.has(b)) this.#meet(a, b)
    })
    this.#wires.set(key, wire)
    wire.open()
  }

  #conditions(a: Station, b: Station): Conditions {
    const kind = a.thread === b.thread ? 'memory' : a.browser === b.browser ? 'broadcast' : 'webrtc'
    const prng = this.#prng.fork(`${a.peerId}.${a.life} ${b.peerId}.${b.life} ${this.world.events}`)
    const { tabDelay, remoteDelay, lostWithin } = this.#weather
    const typical = kind === 'memory' ? 0.01 : kind === 'broadcast' ? tabDelay : remoteDelay
    const base = kind === 'webrtc' ? prng.between(0.3, 1) * typical : typical / 4
    return {
      kind,
      delay: () => base + prng.tail(typical / 3, typical * 20) + (this.#slow.get(pairOf(a.peerId, b.peerId)) ?? 0),
      lostAfter: () => (kind === 'webrtc' ? prng.between(10, lostWithin) : prng.between(0, 20)),
      isBlocked: (from, to) => this.isBlocked(from.peerId, to.peerId),
      breaksUnder: (lane) => this.#breaksUnder(lane),
      // Inside one worker nothing gets lost.
      disturb: kind === 'memory' ? null : (end, frame, deliver) => this.#disturb(prng, end, frame, deliver),
    }
  }

  #breaksUnder(lane: Lane): boolean {
    if (lane !== 'bulk' || !this.bulkBreaks) return false
    this.bulkBreaks = false
    this.world.coverage.hit('network link broken under a snapshot')
    return true
  }

  /** True: the mischief has taken care of the frame. */
  #disturb(prng: Prng, end: LinkEnd, frame: Uint8Array, deliver: (frame: Uint8Array, delay: number) => void): boolean {
    const { mischief } = this
    const archive = this.#archiveOf(end)
    if (archive.present.length >= archiveMax) archive.present.splice(prng.integer(0, archiveMax - 1), 1)
    archive.present.push(frame)
    if (!mischief) return false
    const { coverage } = this.world
    const again = archive.past.length > 0 && prng.chance(0.6) ? archive.past : archive.present
    if (prng.chance(mischief.replay)) {
      coverage.hit(again === archive.past ? 'network frame of an earlier life' : 'network frame again')
      deliver(prng.pick(again), prng.tail(50, 2_000))
    }
    if (prng.chance(mischief.drop)) {
      coverage.hit('network frame dropped')
      return true
    }
    if (prng.chance(mischief.duplicate)) {
      coverage.hit('network frame doubled')
      deliver(frame, prng.tail(20, 2_000))
    }
    if (!prng.chance(mischief.reorder)) return false
    coverage.hit('network frame overtaken')
    deliver(frame, prng.tail(10, 1_000))
    return true
  }

  #archiveOf({ from, to }: LinkEnd): Archive {
    const way = `${from.peerId}>${to.peerId}`
    const lives = `${from.life}>${to.life}`
    const known = this.#archive.get(way)
    if (known?.lives === lives) return known
    const past = known ? [...known.past, ...known.present.slice(-lastWords)].slice(-archiveMax) : []
    const archive = { lives, present: [], past }
    this.#archive.set(way, archive)
    return archive
  }

  #between(a: string, b: string): Wire[] {
    return [...this.#wires.values()].filter((wire) => wire.joins(a, b))
  }

  #died(network: SimNetwork): void {
    this.#networks.delete(network)
    for (const wire of [...this.#wires.values()]) wire.died(network)
  }
}

/** One host's access to the ether. */
export class SimNetwork implements Network {
  readonly station: Station
  readonly #ether: Ether
  readonly #links = new Set<LinkEnd>()
  #listener: LinkListener | null = null
  #isClosed = false

  constructor(station: Station, ether: Ether) {
    this.station = station
    this.#ether = ether
  }

  get name(): string {
    return `${this.station.peerId}.${this.station.life}`
  }

  get listener(): LinkListener | null {
    return this.#listener
  }

  get links(): Set<LinkEnd> {
    return this.#links
  }

  listen(listener: LinkListener): void {
    if (this.#listener || this.#isClosed) return
    this.#listener = listener
    this.#ether.listening(this)
  }

  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#ether.closed(this)
    for (const link of [...this.#links]) link.close('the network closes')
  }

  peerGone(peerId: string, life: string): void {
    this.#ether.peerGone(this, peerId, life)
  }
}

function keyOf(a: SimNetwork, b: SimNetwork): string {
  return a.name < b.name ? `${a.name}|${b.name}` : `${b.name}|${a.name}`
}

function pairOf(a: string, b: string): string {
  return a < b ? `${a}|${b}` : `${b}|${a}`
}
