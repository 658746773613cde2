/**
 * Links inside one process, for tests of whatever stands above a link. Delivery is asynchronous through an injected
 * scheduler; order holds per lane whatever the scheduler does, and control overtakes bulk as it does on a wire.
 */

import type { DownReason, Lane, Link, LinkListener, Network } from './link.js'
import { frameBytesMax } from './link.js'

export interface MemoryHubOptions {
  /** Runs a delivery later, never inside the call. Default `queueMicrotask`. */
  readonly schedule?: (run: () => void) => void
}

/** The ether: every two of its networks that listen, and are not severed, have one link. */
export class MemoryHub {
  readonly #schedule: (run: () => void) => void
  readonly #networks = new Map<string, MemoryNetwork>()
  readonly #severed = new Set<string>()
  readonly #wires = new Map<string, Wire>()
  /** Pairs that are to be linked again as soon as both ends of their old link are down. */
  readonly #awaiting = new Set<string>()
  #wireCount = 0

  constructor(options: MemoryHubOptions = {}) {
    this.#schedule = options.schedule ?? ((run) => queueMicrotask(run))
  }

  /** A network for this peer. A later one of the same peer takes the place of the earlier, whose links are lost. */
  join(peerId: string): MemoryNetwork {
    this.#networks.get(peerId)?.vanish()
    const network = new MemoryNetwork(peerId, {
      listening: () => this.#onListening(peerId),
      ended: () => this.#networks.get(peerId) === network && this.#networks.delete(peerId),
    })
    this.#networks.set(peerId, network)
    return network
  }

  /** Breaks the connection of two peers: both ends hear `lost`, and they stay apart until `mend`. */
  sever(a: string, b: string): void {
    this.#severed.add(pairOf(a, b))
    this.#wires.get(pairOf(a, b))?.lose()
  }

  /** Lets two peers meet again, and links them if both listen and have no link. */
  mend(a: string, b: string): void {
    this.#severed.delete(pairOf(a, b))
    this.#connect(a, b)
  }

  #onListening(peerId: string): void {
    for (const other of this.#networks.keys()) this.#connect(peerId, other)
  }

  #connect(a: string, b: string): void {
    const pair = pairOf(a, b)
    const left = this.#networks.get(a)
    const right = this.#networks.get(b)
    if (a === b || !left?.listener || !right?.listener || this.#severed.has(pair)) return
    const old = this.#wires.get(pair)
    if (old) {
      if (old.isEnding) this.#awaiting.add(pair)
      return
    }
    this.#wireCount += 1
    const wire = new Wire(`${pair}:${this.#wireCount}`, this.#schedule, () => {
      this.#wires.delete(pair)
      if (this.#awaiting.delete(pair)) this.#connect(a, b)
    })
    this.#wires.set(pair, wire)
    wire.open(
      { network: left, peerId: b, listener: left.listener },
      { network: right, peerId: a, listener: right.listener },
    )
  }
}

export class MemoryNetwork implements Network {
  readonly peerId: string
  readonly #hub: { listening(): void; ended(): void }
  readonly #links = new Set<MemoryLink>()
  #listener: LinkListener | undefined
  #isClosed = false

  constructor(peerId: string, hub: { listening(): void; ended(): void }) {
    this.peerId = peerId
    this.#hub = hub
  }

  get listener(): LinkListener | undefined {
    return this.#isClosed ? undefined : this.#listener
  }

  /** Keeps account of the links of this network: called by them. */
  track(link: MemoryLink): void {
    this.#links.add(link)
  }

  forget(link: MemoryLink): void {
    this.#links.delete(link)
  }

  listen(listener: LinkListener): void {
    if (this.#listener || this.#isClosed) return
    this.#listener = listener
    this.#hub.listening()
  }

  close(): void {
    this.#stop((link) => link.close('the network closes'))
  }

  /** As a crash would have it: nobody is told in an orderly way, the other ends hear `lost`. */
  vanish(): void {
    this.#stop((link) => link.lose())
  }

  #stop(end: (link: MemoryLink) => void): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#hub.ended()
    for (const link of this.#links) end(link)
    this.#links.clear()
  }
}

interface End {
  readonly network: MemoryNetwork
  readonly peerId: string
  readonly listener: LinkListener
}

/** Two ends that hear of each other only through scheduled runs. */
class Wire {
  readonly #name: string
  readonly #schedule: (run: () => void) => void
  readonly #onEnd: () => void
  #ends: readonly [MemoryLink, MemoryLink] | undefined
  constructor(name: string, schedule: (run: () => void) => void, onEnd: () => void) {
    this.#name = name
    this.#schedule = schedule
    this.#onEnd = onEnd
  }

  /** At least one end is down or about to be. */
  get isEnding(): boolean {
    return this.#ends?.some((end) => end.isEnding) ?? false
  }

  open(left: End, right: End): void {
    const a: MemoryLink = new MemoryLink(`memory:${this.#name}:a`, left, this.#schedule, () => this.#onDown(b))
    const b: MemoryLink = new MemoryLink(`memory:${this.#name}:b`, right, this.#schedule, () => this.#onDown(a))
    a.join(b)
    b.join(a)
    this.#ends = [a, b]
  }

  lose(): void {
    for (const end of this.#ends ?? []) end.lose()
  }

  #onDown(other: MemoryLink): void {
    // The pair is free for a new link when both ends are down.
    if (other.isDown) this.#onEnd()
  }
}

class MemoryLink implements Link {
  readonly id: string
  readonly peerId: string
  readonly kind = 'memory'
  readonly #end: End
  readonly #schedule: (run: () => void) => void
  readonly #onDown: () => void
  readonly #inbox: Record<Lane, Uint8Array[]> = { control: [], bulk: [] }
  /** What the other end did last, heard after the frames that it sent before. */
  #pendingDown: DownReason | undefined
  #other: MemoryLink | undefined
  #state: 'opening' | 'up' | 'down' = 'opening'

  constructor(id: string, end: End, schedule: (run: () => void) => void, onDown: () => void) {
    this.id = id
    this.peerId = end.peerId
    this.#end = end
    this.#schedule = schedule
    this.#onDown = onDown
  }

  get isDown(): boolean {
    return this.#state === 'down'
  }

  get isEnding(): boolean {
    return this.isDown || this.#pendingDown !== undefined
  }

  join(other: MemoryLink): void {
    this.#other = other
    this.#end.network.track(this)
    this.#schedule(() => this.#rise())
  }

  send(lane: Lane, frame: Uint8Array): void {
    if (this.#state !== 'up') return
    if (frame.byteLength > frameBytesMax) {
      // Dropping one frame of an ordered lane would break its promise, so the link goes; not inside the sender's call.
      this.#schedule(() => this.lose())
      return
    }
    this.#other?.receive(lane, frame.slice())
  }

  buffered(lane: Lane): number {
    return this.#other?.waiting(lane) ?? 0
  }

  close(_reason: string): void {
    if (this.#state === 'down') return
    this.#other?.hearDown('remote')
    this.#fall('local')
  }

  /** Both ends hear `lost`. */
  lose(): void {
    if (this.#state === 'down') return
    this.#other?.hearDown('lost')
    this.hearDown('lost')
  }

  receive(lane: Lane, frame: Uint8Array): void {
    if (this.#state === 'down') return
    this.#inbox[lane].push(frame)
    this.#schedule(() => this.#deliver())
  }

  waiting(lane: Lane): number {
    return this.#inbox[lane].reduce((sum, frame) => sum + frame.byteLength, 0)
  }

  hearDown(reason: DownReason): void {
    if (this.#state === 'down') return
    this.#pendingDown ??= reason
    this.#schedule(() => this.#deliver())
  }

  #rise(): void {
    if (this.#state !== 'opening') return
    this.#state = 'up'
    this.#end.listener.up(this)
  }

  /** One thing per run. A frame sent before `up` was heard here waits for it. */
  #deliver(): void {
    this.#rise()
    if (this.#state !== 'up') return
    const lane = this.#inbox.control.length > 0 ? 'control' : 'bulk'
    const frame = this.#inbox[lane].shift()
    if (frame) this.#end.listener.frame(this, lane, frame)
    else if (this.#pendingDown) this.#fall(this.#pendingDown)
  }

  #fall(reason: DownReason): void {
    const wasUp = this.#state === 'up'
    this.#state = 'down'
    this.#inbox.control.length = 0
    this.#inbox.bulk.length = 0
    this.#end.network.forget(this)
    this.#onDown()
    if (wasUp) this.#end.listener.down(this, reason)
  }
}

function pairOf(a: string, b: string): string {
  return a < b ? `${a}|${b}` : `${b}|${a}`
}
