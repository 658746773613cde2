/**
 * What peers do for each other where two of them have no link: they pass on signals, so that the two get one without a server,
 * and the sealed bodies of a link between them (F4). One hop: what came over a carried link, or does not come from whom it names, is
 * not passed on. But for the nodes of dead tabs (L4): they reach the tabs of their own browser alone, so that two of them in two
 * browsers have two tabs in between. Nothing is passed on a third time.
 */
import type { CarriedNetwork, Carrier } from '../network/carried.js'
import { windowBytes } from '../network/carried.js'
import { signalTextMax } from '../network/limits.js'
import type { Lane } from '../network/link.js'
import { membersOf, votersOf } from '../raft/configuration.js'
import type { PeerId } from '../raft/entry.js'
import type { HostContext } from './context.js'
import type { Item } from './frame.js'
import { Neighbours } from './neighbours.js'
import type { Peer } from './peers.js'

/** Of signals that one peer sends to or through this one: at once, and per ms after that. A redial is 10 to 20 KB. */
const signalBytesBurst = 1024 * 1024
const signalBytesPerMs = 128
/** What a relay holds of one pair, direction and lane: more than its two ends would ever have on their way. */
export const relayHoldMax = 2 * windowBytes

type Signal = Extract<Item, { type: 'signal' }>
type Relay = Extract<Item, { type: 'relay' }>

export class Exchange implements Carrier {
  readonly #context: HostContext
  readonly #network: CarriedNetwork | null
  readonly #neighbours: Neighbours
  readonly #allowances = new Map<PeerId, { bytes: number; at: number }>()
  /** Bytes passed on for each pair, direction and lane since nothing waited on that link. */
  readonly #held = new Map<string, number>()

  constructor(context: HostContext, network: CarriedNetwork | null) {
    this.#context = context
    this.#network = network
    this.#neighbours = new Neighbours(context)
    network?.carry(this)
  }

  get now(): number {
    return this.#context.now.monotonic
  }

  /** From this host's page, for the mesh of another one. */
  signal(to: PeerId, text: string): void {
    const { peers, self } = this.#context
    if (text.length > signalTextMax || to === self.peerId) return
    const via = peers.isDirect(to) ? to : this.routesTo(to)[0]
    if (via !== undefined) peers.send(via, { type: 'signal', from: self.peerId, to, text })
  }

  /** `carried`: it came over a link that a third peer carries. */
  receive(peer: Peer, item: Item, lane: Lane, carried: boolean): void {
    if (carried) return
    switch (item.type) {
      case 'links':
        this.#neighbours.note(peer.peerId, item.peerIds)
        this.#network?.routesChanged()
        break
      case 'signal':
        this.#onSignal(peer, item)
        break
      case 'relay':
        this.#onRelay(peer, item, lane)
        break
      default:
    }
  }

  met(peerId: PeerId): void {
    this.#neighbours.met(peerId)
  }

  unreachable(peerId: PeerId): void {
    this.#neighbours.forget(peerId)
    this.#allowances.delete(peerId)
    for (const key of [...this.#held.keys()]) if (key.split('>').includes(peerId)) this.#held.delete(key)
    this.#network?.routesChanged()
  }

  tick(): void {
    this.#neighbours.tick()
    this.#network?.tick()
  }

  send(via: PeerId, to: PeerId, lane: Lane, body: Uint8Array): void {
    const { peers, self } = this.#context
    if (peers.isDirect(via)) peers.send(via, { type: 'relay', from: self.peerId, to, body }, lane)
  }

  routesTo(peerId: PeerId): readonly PeerId[] {
    return this.#neighbours.routesTo(peerId)
  }

  isLinked(peerId: PeerId): boolean {
    return this.#context.peers.isReachable(peerId)
  }

  isDirect(peerId: PeerId): boolean {
    return this.#context.peers.isDirect(peerId)
  }

  /** That one has told of a link of its own to the other. */
  isLinkedTo(peerId: PeerId, other: PeerId): boolean {
    return this.#neighbours.isLinked(peerId, other)
  }

  /**
   * Voters with all, learners with voters. Who is not yet a member looks for whoever leads; so does who hears no leader: it may have been
   * removed, by one that was nobody when it was a member.
   */
  wanted(): readonly PeerId[] {
    const { raft, self } = this.#context
    const members = membersOf(raft.configuration)
    const voters = votersOf(raft.configuration)
    const isLed = raft.leader !== null && members.includes(self.peerId)
    const own = voters.includes(self.peerId) ? members : voters
    const wanted = isLed ? own : [...own, ...this.#neighbours.known]
    return [...new Set(wanted)].filter((peerId) => peerId !== self.peerId)
  }

  #onSignal(peer: Peer, { from, to, text }: Signal): void {
    const { peers, self } = this.#context
    if (!this.#allows(peer.peerId, text.length)) return
    if (to === self.peerId) this.#context.emit({ type: 'signal', from, text })
    else if (from === peer.peerId && peers.isDirect(to)) peers.send(to, { type: 'signal', from, to, text })
  }

  #allows(peerId: PeerId, bytes: number): boolean {
    const before = this.#allowances.get(peerId) ?? { bytes: signalBytesBurst, at: this.now }
    const left = Math.min(signalBytesBurst, before.bytes + (this.now - before.at) * signalBytesPerMs) - bytes
    if (left < 0) return false
    this.#allowances.set(peerId, { bytes: left, at: this.now })
    return true
  }

  #onRelay(peer: Peer, item: Relay, lane: Lane): void {
    const { peers, self } = this.#context
    const { from, to, body } = item
    if (to === self.peerId) {
      this.#network?.receive(peer.peerId, from, lane, body)
      return
    }
    const next = this.#nextHop(peer, from, to)
    if (next !== null && this.#holds(from, to, next, lane, body.byteLength)) peers.send(next, item, lane)
  }

  /** L4: the first hop of two is a resident's own, and the last one is straight to whom it is for. */
  #nextHop(sender: Peer, from: PeerId, to: PeerId): PeerId | null {
    const isOwn = from === sender.peerId
    if (this.#context.peers.isDirect(to)) return isOwn || this.#neighbours.isLinked(sender.peerId, from) ? to : null
    return isOwn && sender.resident ? (this.routesTo(to)[0] ?? null) : null
  }

  /** False: too much of that pair waits here already. What is left out ends their link, and they begin anew. */
  #holds(from: PeerId, to: PeerId, next: PeerId, lane: Lane, bytes: number): boolean {
    const key = `${from}>${to}>${lane}`
    const waiting = this.#context.peers.buffered(next, lane)
    const held = waiting === 0 ? 0 : (this.#held.get(key) ?? 0)
    if (Math.min(held, waiting) + bytes > relayHoldMax) return false
    this.#held.set(key, held + bytes)
    return true
  }
}
