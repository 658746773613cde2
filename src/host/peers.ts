import type { DownReason, Lane, Link } from '../network/link.js'
import type { Configuration, Incarnation, PeerId } from '../raft/entry.js'
import type { Lineage } from '../storage/storage.js'
import {
  decodeFrame,
  encodeFrame,
  type Frame,
  type HelloItem,
  type Item,
  type KnownHead,
  noHead,
  protocolVersion,
  sameIncarnation,
  sameLineage,
} from './frame.js'
import type { Claim } from './histories.js'

/** Who this host is to others. */
export interface Self {
  readonly peerId: PeerId
  readonly incarnation: Incarnation
  readonly browserId: string
  /** A dead tab's node, kept by a survivor (L4). */
  readonly resident: boolean
}

/** A peer that has introduced itself over a link that is up. */
export interface Peer {
  readonly peerId: PeerId
  readonly incarnation: Incarnation
  readonly browserId: string
  /** It belongs to this host's room already (else it is waiting to be taken in). */
  readonly founded: boolean
  readonly resident: boolean
}

/** A peer of a room of this name whose history is another one (N2, N3): nothing that it says reaches the core. */
export interface Stranger extends Peer {
  readonly lineage: Lineage
}

export interface PeersListener {
  /** A peer has introduced itself, or again with something new. */
  met(peer: Peer): void
  /** The last link to it went down. */
  unreachable(peer: Peer, reason: DownReason): void
  /** It belongs to a room that this host could join, while this host belongs to none. */
  roomFound(lineage: Lineage): void
  /** A peer of another history has introduced itself, or a known one has gone over to another. */
  strangerMet(stranger: Stranger): void
  /** What a stranger says of its history. */
  claimed(stranger: Stranger, claim: Claim): void
  /** It speaks another version, or shows an incarnation that cannot be (F2). */
  refused(peerId: PeerId, reason: 'version' | 'incarnation'): void
}

interface Connection {
  readonly link: Link
  /** By the host's monotonic clock: a frame of that peer came over this very link. */
  heardAt: number
  peer: Peer | null
  /** Instead of `peer`: the other end belongs to another history. */
  stranger: Stranger | null
  /** What the other end last said of itself. */
  lineage: Lineage | null
  readonly sentHead: KnownHead
  readonly receivedHead: KnownHead
}

/** Smoothing of the round trip, as TCP does it (RFC 6298). */
const rttGain = 1 / 8
/**
 * Pings go once a second: who has left three unanswered is not counted on, whatever its link says. A crashed browser's data
 * channels stay open for a minute (PLATFORM 23).
 */
const unheardAfter = 3_500
/** How long after its last link went down a peer's goodbye is still taken, ms (M1). */
const goodbyeWithin = 5_000

/**
 * The links of a host: who is at their other ends, in which life, and what waits to be sent to whom. Everything of one
 * turn for one peer leaves as one frame per lane.
 */
export class Peers {
  readonly #self: Self
  readonly #now: () => number
  readonly #listener: PeersListener
  readonly #connections = new Map<Link, Connection>()
  readonly #outbox = new Map<PeerId, { control: Item[]; bulk: Item[] }>()
  /** The highest incarnation seen of each peer (F2). */
  readonly #highest = new Map<PeerId, Incarnation>()
  readonly #rtt = new Map<PeerId, number>()
  /** When each peer was last heard, by the host's monotonic clock. */
  readonly #heardAt = new Map<PeerId, number>()
  /** M6: since when nobody is expected to be heard. */
  #restingSince: number | null = null
  /** Whom the last link led to, and when it went down. */
  readonly #lost = new Map<PeerId, { readonly peer: Peer; readonly at: number }>()
  #lineage: Lineage | null
  sent = 0
  received = 0
  dropped = 0
  bytesSent = 0
  bytesReceived = 0

  /** `now`: the host's monotonic clock, as of the present turn. */
  constructor(self: Self, lineage: Lineage | null, now: () => number, listener: PeersListener) {
    this.#now = now
    this.#self = self
    this.#lineage = lineage
    this.#listener = listener
  }

  /** From now on this host belongs to that history, and says so on every link. */
  setLineage(lineage: Lineage): void {
    this.#lineage = lineage
    const met: Peer[] = []
    for (const connection of this.#connections.values()) {
      const { peer, stranger } = connection
      const other = peer ?? stranger
      if (other) this.#sort(connection, other)
      if (stranger && connection.peer) met.push(connection.peer)
      this.#greet(connection.link)
    }
    for (const peer of met) this.#listener.met(peer)
  }

  /** The incarnations that the room has agreed on count as seen. */
  noteIncarnations(configuration: Configuration): void {
    for (const [peerId, incarnation] of Object.entries(configuration.incarnations)) {
      const seen = this.#highest.get(peerId)
      if (!seen || incarnation.counter > seen.counter) this.#highest.set(peerId, incarnation)
    }
  }

  up(link: Link): void {
    this.#connections.set(link, {
      link,
      heardAt: this.#now(),
      peer: null,
      stranger: null,
      lineage: null,
      sentHead: noHead(),
      receivedHead: noHead(),
    })
    this.#greet(link)
  }

  down(link: Link, reason: DownReason): void {
    const connection = this.#connections.get(link)
    if (!connection) return
    this.#connections.delete(link)
    if (connection.peer) this.#lose(connection.peer, reason)
  }

  #lose(peer: Peer, reason: DownReason): void {
    const { peerId } = peer
    if (this.peer(peerId)) return
    this.#outbox.delete(peerId)
    this.#rtt.delete(peerId)
    this.#heardAt.delete(peerId)
    this.#lost.set(peerId, { peer, at: this.#now() })
    this.#listener.unreachable(peer, reason)
  }

  /** The items of a frame meant for this life from an introduced peer; hellos are dealt with here. Else nothing. */
  receive(link: Link, data: Uint8Array): { readonly peer: Peer; readonly items: readonly Item[] } | null {
    const connection = this.#connections.get(link)
    if (!connection) return null
    this.received += 1
    this.bytesReceived += data.byteLength
    const decoded = decodeFrame(data, connection.receivedHead)
    if (!decoded.ok) {
      this.dropped += 1
      if (decoded.reason === 'version') this.#listener.refused(link.peerId, 'version')
      link.close(decoded.reason === 'version' ? `version ${decoded.version}` : 'malformed frame')
      return null
    }
    const admitted = this.#admit(connection, decoded.frame)
    connection.heardAt = this.#now()
    if (connection.peer) this.#heardAt.set(connection.peer.peerId, this.#now())
    return admitted
  }

  /** The items of a frame that came past the links: by the page's own channel, in its last moment. Same checks. */
  receiveLoose(data: Uint8Array): { readonly peer: Peer; readonly items: readonly Item[] } | null {
    const decoded = decodeFrame(data)
    if (!decoded.ok) return null
    const { from } = decoded.frame
    // The links of a page that closes may be down before its goodbye has come all the way.
    const peer = this.peer(from) ?? this.#lately(from)
    return peer && this.#isForMe(decoded.frame, peer) ? { peer, items: decoded.frame.items } : null
  }

  #lately(peerId: PeerId): Peer | null {
    const lost = this.#lost.get(peerId)
    return lost && this.#now() - lost.at < goodbyeWithin ? lost.peer : null
  }

  /** It has a link, and was heard on it lately. */
  isReachable(peerId: PeerId): boolean {
    const heardAt = this.#heardAt.get(peerId)
    const now = this.#restingSince ?? this.#now()
    return this.#best(peerId) !== null && heardAt !== undefined && now - heardAt < unheardAfter
  }

  /** M6: while the room is idle its leader alone hears everybody. The others believe what they knew, and count anew after it. */
  rest(isResting: boolean): void {
    if (isResting === (this.#restingSince !== null)) return
    if (isResting) {
      this.#restingSince = this.#now()
      return
    }
    for (const connection of this.#connections.values()) if (this.#isFresh(connection)) connection.heardAt = this.#now()
    for (const peerId of this.#heardAt.keys()) if (this.isReachable(peerId)) this.#heardAt.set(peerId, this.#now())
    this.#restingSince = null
  }

  /** The same over a link of its own: nobody is in between. */
  isDirect(peerId: PeerId): boolean {
    for (const connection of this.#connections.values())
      if (connection.peer?.peerId === peerId && !isCarried(connection) && this.#isFresh(connection)) return true
    return false
  }

  /** Bytes that wait on the best link to that peer. */
  buffered(peerId: PeerId, lane: Lane): number {
    return this.#best(peerId)?.link.buffered(lane) ?? 0
  }

  /** Direct links of peers who are relayed meanwhile: they may be back on them. */
  pingSilent(): void {
    const ping: Item = { type: 'ping', time: this.#now() }
    for (const connection of this.#connections.values()) {
      const { peer, link } = connection
      if (!peer || isCarried(connection) || !isCarried(this.#best(peer.peerId))) continue
      this.#transmit(link, 'control', peer.incarnation, peer.peerId, [ping])
    }
  }

  /** Queues an item; it leaves with the turn. To a peer without a link it is lost, as on any network. */
  send(to: PeerId, item: Item, lane: Lane = 'control'): void {
    let items = this.#outbox.get(to)
    if (!items) {
      items = { control: [], bulk: [] }
      this.#outbox.set(to, items)
    }
    items[lane].push(item)
  }

  flush(): void {
    // What goes over a carried link comes back as items for whoever carries it (F4).
    while (this.#outbox.size > 0) {
      const outbox = [...this.#outbox]
      this.#outbox.clear()
      for (const [to, items] of outbox) {
        const connection = this.#best(to)
        for (const lane of ['control', 'bulk'] as const) {
          if (items[lane].length === 0) continue
          if (connection?.peer) this.#transmit(connection.link, lane, connection.peer.incarnation, to, items[lane])
        }
      }
    }
  }

  /** A frame with these items for that peer, as its present link would carry it: for the page's testament (M1). */
  frameFor(peer: Peer, items: readonly Item[]): Uint8Array {
    return encodeFrame(this.#frame(peer.peerId, peer.incarnation, items)).slice()
  }

  peer(peerId: PeerId): Peer | null {
    return this.#best(peerId)?.peer ?? null
  }

  link(peerId: PeerId): Link | null {
    return this.#best(peerId)?.link ?? null
  }

  /** Every introduced peer, once. */
  all(): readonly Peer[] {
    const peers = new Map<PeerId, Peer>()
    for (const { peer } of this.#connections.values()) if (peer) peers.set(peer.peerId, peer)
    return [...peers.values()]
  }

  /** Every introduced peer of another history, once. */
  strangers(): readonly Stranger[] {
    const strangers = new Map<PeerId, Stranger>()
    for (const { stranger } of this.#connections.values()) if (stranger) strangers.set(stranger.peerId, stranger)
    return [...strangers.values()]
  }

  /** At once: to peers of other histories little is said. */
  sendToStranger(to: PeerId, item: Extract<Item, { type: 'claim' }>): void {
    for (const { link, stranger } of this.#connections.values())
      if (stranger?.peerId === to) this.#transmit(link, 'control', stranger.incarnation, to, [item])
  }

  rtt(peerId: PeerId): number | null {
    return this.#rtt.get(peerId) ?? null
  }

  noteRtt(peerId: PeerId, ms: number): void {
    const before = this.#rtt.get(peerId)
    this.#rtt.set(peerId, before === undefined ? ms : before + (ms - before) * rttGain)
  }

  #greet(link: Link): void {
    const { browserId, resident } = this.#self
    const hello: HelloItem = { type: 'hello', browserId, founded: this.#lineage !== null, resident }
    this.#transmit(link, 'control', this.#lifeAt(link), link.peerId, [hello])
  }

  #lifeAt(link: Link): Incarnation | null {
    const connection = this.#connections.get(link)
    return (connection?.peer ?? connection?.stranger)?.incarnation ?? null
  }

  #transmit(link: Link, lane: Lane, toIncarnation: Incarnation | null, to: PeerId, items: readonly Item[]): void {
    const data = encodeFrame(this.#frame(to, toIncarnation, items), this.#connections.get(link)?.sentHead)
    this.sent += 1
    this.bytesSent += data.byteLength
    link.send(lane, data)
  }

  #frame(to: PeerId, toIncarnation: Incarnation | null, items: readonly Item[]): Frame {
    const { peerId, incarnation } = this.#self
    return {
      version: protocolVersion,
      lineage: this.#lineage,
      from: peerId,
      fromIncarnation: incarnation,
      to,
      toIncarnation,
      items,
    }
  }

  #admit(connection: Connection, frame: Frame): { readonly peer: Peer; readonly items: readonly Item[] } | null {
    if (frame.to !== this.#self.peerId || frame.from !== connection.link.peerId) return this.#drop()
    if (frame.toIncarnation && !sameIncarnation(frame.toIncarnation, this.#self.incarnation)) return this.#drop()
    const hello = frame.items.find((item) => item.type === 'hello')
    if (hello && !this.#meet(connection, frame, hello)) return null
    if (connection.stranger) return this.#hearStranger(connection.stranger, frame)
    const { peer } = connection
    if (!peer || !this.#isForMe(frame, peer)) return hello ? null : this.#drop()
    const items = hello ? frame.items.filter((item) => item.type !== 'hello') : frame.items
    return { peer, items }
  }

  #hearStranger(stranger: Stranger, { lineage, fromIncarnation, toIncarnation, items }: Frame): null {
    const isOfItsHistory = lineage !== null && sameLineage(lineage, stranger.lineage)
    if (!isOfItsHistory || !toIncarnation || !sameIncarnation(fromIncarnation, stranger.incarnation))
      return this.#drop()
    for (const item of items) if (item.type === 'claim') this.#listener.claimed(stranger, item.claim)
    return null
  }

  /** F1: this room, this life of the sender, this life of mine. */
  #isForMe(frame: Frame, peer: Peer): boolean {
    if (frame.from !== peer.peerId || !sameIncarnation(frame.fromIncarnation, peer.incarnation)) return false
    if (frame.to !== this.#self.peerId) return false
    if (!frame.toIncarnation || !sameIncarnation(frame.toIncarnation, this.#self.incarnation)) return false
    if (frame.lineage === null) return this.#lineage !== null
    return this.#lineage !== null && sameLineage(frame.lineage, this.#lineage)
  }

  #meet(connection: Connection, frame: Frame, hello: HelloItem): boolean {
    const { link } = connection
    if (!this.#isPlausible(frame.from, frame.fromIncarnation)) return this.#refuse(link, 'incarnation')
    const { browserId, founded, resident } = hello
    const peer = { peerId: frame.from, incarnation: frame.fromIncarnation, browserId, founded, resident }
    const isFirst = connection.peer === null && connection.stranger === null
    connection.lineage = frame.lineage
    this.#sort(connection, peer)
    // What a stranger shows says nothing of who is of this history.
    if (connection.peer) this.#highest.set(peer.peerId, peer.incarnation)
    this.#closeOlderLives(peer)
    // It could not address my life before it knew it: answer, so that it can.
    if (frame.toIncarnation === null || isFirst) this.#greet(link)
    if (frame.lineage && !this.#lineage) this.#listener.roomFound(frame.lineage)
    if (connection.stranger) this.#listener.strangerMet(connection.stranger)
    if (connection.peer) this.#listener.met(connection.peer)
    return connection.peer !== null
  }

  /** F1: of this history, or of another one. Who belongs to none is about to be taken in. */
  #sort(connection: Connection, { peerId, incarnation, browserId, founded, resident }: Peer): void {
    const { peer: before, lineage } = connection
    const peer = { peerId, incarnation, browserId, founded, resident }
    const isStrange = lineage !== null && this.#lineage !== null && !sameLineage(lineage, this.#lineage)
    connection.peer = isStrange ? null : peer
    connection.stranger = isStrange ? { ...peer, lineage } : null
    if (before && isStrange) this.#lose(before, 'lost')
  }

  /** F2: a lower incarnation, or the same counter with another nonce, is a copy or a restored backup. */
  #isPlausible(peerId: PeerId, incarnation: Incarnation): boolean {
    const seen = this.#highest.get(peerId)
    if (!seen || incarnation.counter > seen.counter) return true
    return sameIncarnation(seen, incarnation)
  }

  #refuse(link: Link, reason: 'incarnation'): false {
    this.dropped += 1
    this.#listener.refused(link.peerId, reason)
    link.close(reason)
    return false
  }

  #drop(): null {
    this.dropped += 1
    return null
  }

  #closeOlderLives(peer: Peer): void {
    for (const { link, peer: own, stranger } of this.#connections.values()) {
      const other = own ?? stranger
      if (other?.peerId === peer.peerId && other.incarnation.counter < peer.incarnation.counter)
        link.close('a later life came')
    }
  }

  /**
   * The newest introduced link: an older one may be dying unseen. Those that the page carries only when there is no other; one that
   * a third peer carries only when no other was heard lately (M5: it may bring the heartbeats that a dying one does not).
   */
  #best(peerId: PeerId): Connection | null {
    let best: Connection | null = null
    let carried: Connection | null = null
    for (const connection of this.#connections.values()) {
      if (connection.peer?.peerId !== peerId) continue
      if (isCarried(connection)) carried = connection
      else if (connection.link.kind !== 'webrtc-relayed' || !best || best.link.kind === 'webrtc-relayed')
        best = connection
    }
    if (!carried || !best) return best ?? carried
    return this.#isFresh(best) || !this.#isFresh(carried) ? best : carried
  }

  #isFresh({ heardAt }: Connection): boolean {
    return (this.#restingSince ?? this.#now()) - heardAt < unheardAfter
  }
}

function isCarried(connection: Connection | null): boolean {
  return connection?.link.kind === 'peer-relay'
}
