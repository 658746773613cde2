import type { DownReason, Lane, Link } from '../network/link.js'
import type { Configuration, Incarnation, PeerId } from '../raft/entry.js'
import type { Lineage } from '../storage/storage.js'
import { type Abilities, productAbilities } from './abilities.js'
import { agreedVersion, describeRange, dialectOf, rangeOf, type VersionRange } from './dialect.js'
import {
  decodeFrame,
  encodeFrame,
  type Frame,
  type Item,
  type KnownHead,
  noHead,
  sameIncarnation,
  sameLineage,
} from './frame.js'
import { greetingVersion, type HelloItem } from './greeting.js'
import type { Claim } from './histories.js'
import type { DropReason, Refusal, RefusalReason } from './refusals.js'

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
  /** It has heard the room's leader in this life, or led it. */
  readonly joined: boolean
  readonly resident: boolean
  /** F5: the highest version of the machine that it can apply. */
  readonly canApply: number
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
  /** It speaks no version that is known here, or shows an incarnation that cannot be (F2). */
  refused(refusal: Refusal): void
  /** A frame was refused: counted, and nothing else. */
  dropped(reason: DropReason): void
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
  /** What both ends speak from their greetings on. */
  version: number
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
/** Of how many peers the highest incarnation is remembered: whoever invents ids makes this host forget strangers, and nothing else. */
const rememberedMax = 1_024
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
  readonly #abilities: Abilities
  readonly #speaks: VersionRange
  readonly #connections = new Map<Link, Connection>()
  readonly #outbox = new Map<PeerId, { control: Item[]; bulk: Item[] }>()
  /** The highest incarnation seen of each peer (F2). */
  readonly #highest = new Map<PeerId, Incarnation>()
  readonly #rtt = new Map<PeerId, number>()
  /** When each peer was last heard, by the host's monotonic clock. */
  readonly #heardAt = new Map<PeerId, number>()
  /** Whom the last link led to, and when it went down. */
  readonly #lost = new Map<PeerId, { readonly peer: Peer; readonly at: number }>()
  #lineage: Lineage | null
  /** M6: since when nobody is expected to be heard. */
  #restingSince: number | null = null
  #roomVersion = 1
  #joined = false
  sent = 0
  received = 0
  dropped = 0
  bytesSent = 0
  bytesReceived = 0

  /** `now`: the host's monotonic clock, as of the present turn. */
  constructor(
    self: Self,
    lineage: Lineage | null,
    now: () => number,
    listener: PeersListener,
    abilities: Abilities = productAbilities,
  ) {
    this.#abilities = abilities
    this.#speaks = rangeOf(abilities.protocol)
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

  /** In this life: from then on this host is of the room, and not on its way there. */
  get joined(): boolean {
    return this.#joined
  }

  /** There is a leader, and this host has heard it. */
  setJoined(): void {
    if (this.#joined) return
    this.#joined = true
    for (const { link } of this.#connections.values()) this.#greet(link)
  }

  /** F5: the room's machine has that version now. Who cannot follow learns of it by the greeting, and is let go. */
  setRoomVersion(version: number): void {
    if (version === this.#roomVersion) return
    this.#roomVersion = version
    for (const connection of [...this.#connections.values()]) {
      const { link, peer } = connection
      this.#greet(link)
      if (peer && peer.canApply < version) this.#refuse(connection, 'version', cannotApply(peer, version), peer.joined)
    }
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
      version: 0,
      sentHead: noHead(),
      receivedHead: noHead(),
    })
    this.#greet(link)
  }

  down(link: Link, reason: DownReason): void {
    const connection = this.#connections.get(link)
    if (!connection) return
    this.#connections.delete(link)
    this.#part(connection, reason)
  }

  #part(connection: Connection, reason: DownReason): void {
    const { peer } = connection
    connection.peer = null
    connection.stranger = null
    if (peer) this.#lose(peer, reason)
  }

  #lose(peer: Peer, reason: DownReason): void {
    if (this.peer(peer.peerId)) return
    this.#outbox.delete(peer.peerId)
    this.#rtt.delete(peer.peerId)
    this.#heardAt.delete(peer.peerId)
    const at = this.#now()
    for (const [peerId, lost] of this.#lost) if (at - lost.at >= goodbyeWithin) this.#lost.delete(peerId)
    this.#lost.set(peer.peerId, { peer, at })
    this.#listener.unreachable(peer, reason)
  }

  /** The items of a frame meant for this life from an introduced peer; hellos are dealt with here. Else nothing. */
  receive(link: Link, data: Uint8Array): { readonly peer: Peer; readonly items: readonly Item[] } | null {
    const connection = this.#connections.get(link)
    if (!connection) return null
    this.received += 1
    this.bytesReceived += data.byteLength
    const decoded = decodeFrame(data, connection.receivedHead, this.#abilities.protocol)
    if (!decoded.ok) {
      if (decoded.reason === 'version') {
        const { version } = decoded
        // Not after a greeting: it is older than greetings are, and may well be in the room.
        this.#refuse(connection, 'version', this.#cannotSpeak({ oldest: version, newest: version }), true)
        link.close('version')
      } else {
        this.#drop('malformed')
        link.close('malformed frame')
      }
      return null
    }
    const admitted = this.#admit(connection, decoded.frame)
    connection.heardAt = this.#now()
    if (connection.peer) this.#heardAt.set(connection.peer.peerId, this.#now())
    return admitted
  }

  /** The items of a frame that came past the links: by the page's own channel to that peer, in its last moment. Same checks. */
  receiveLoose(sender: PeerId, data: Uint8Array): { readonly peer: Peer; readonly items: readonly Item[] } | null {
    const decoded = decodeFrame(data, noHead(), this.#abilities.protocol)
    if (!decoded.ok) return this.#drop('malformed')
    const { from } = decoded.frame
    if (from !== sender) return this.#drop('misaddressed')
    // The links of a page that closes may be down before its goodbye has come all the way.
    const peer = this.peer(from) ?? this.#lately(from)
    return peer && this.#isForMe(decoded.frame, peer) ? { peer, items: decoded.frame.items } : this.#drop('stale')
  }

  #lately(peerId: PeerId): Peer | null {
    const lost = this.#lost.get(peerId)
    return lost && this.#now() - lost.at < goodbyeWithin ? lost.peer : null
  }

  /** It has a link, and was heard on it lately, or within so many ms. */
  isReachable(peerId: PeerId, within = unheardAfter): boolean {
    const heardAt = this.#heardAt.get(peerId)
    const now = this.#restingSince ?? this.#now()
    return this.#best(peerId) !== null && heardAt !== undefined && now - heardAt < within
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
      const { peer } = connection
      if (!peer || isCarried(connection) || !isCarried(this.#best(peer.peerId))) continue
      this.#say(connection, peer, 'control', [ping])
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
          if (connection?.peer) this.#say(connection, connection.peer, lane, items[lane])
        }
      }
    }
  }

  /** A frame with these items for that peer, as its present link would carry it: for the page's testament (M1). */
  frameFor(peer: Peer, items: readonly Item[]): Uint8Array {
    const version = this.#best(peer.peerId)?.version ?? this.#speaks.newest
    const frame = this.#frame(version, peer.peerId, peer.incarnation, items)
    return encodeFrame(frame, noHead(), this.#abilities.protocol).slice()
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
    for (const connection of this.#connections.values())
      if (connection.stranger?.peerId === to) this.#say(connection, connection.stranger, 'control', [item])
  }

  rtt(peerId: PeerId): number | null {
    return this.#rtt.get(peerId) ?? null
  }

  noteRtt(peerId: PeerId, ms: number): void {
    const before = this.#rtt.get(peerId)
    this.#rtt.set(peerId, before === undefined ? ms : before + (ms - before) * rttGain)
  }

  #greet(link: Link): void {
    const connection = this.#connections.get(link)
    if (!connection) return
    const { browserId, resident } = this.#self
    const hello: HelloItem = {
      type: 'hello',
      speaks: this.#speaks,
      browserId,
      founded: this.#lineage !== null,
      joined: this.#joined,
      resident,
      canApply: this.#abilities.canApply,
      roomVersion: this.#roomVersion,
    }
    const toIncarnation = (connection.peer ?? connection.stranger)?.incarnation ?? null
    this.#transmit(connection, 'control', this.#frame(greetingVersion, link.peerId, toIncarnation, [hello]))
  }

  /** What the other end would not understand is not for it. */
  #say(connection: Connection, peer: Peer, lane: Lane, items: readonly Item[]): void {
    const dialect = dialectOf(this.#abilities.protocol, connection.version)
    const known = items.every((item) => dialect?.knows(item)) ? items : items.filter((item) => dialect?.knows(item))
    if (known.length === 0) return
    this.#transmit(connection, lane, this.#frame(connection.version, peer.peerId, peer.incarnation, known))
  }

  #transmit({ link, sentHead }: Connection, lane: Lane, frame: Frame): void {
    const data = encodeFrame(frame, sentHead, this.#abilities.protocol)
    this.sent += 1
    this.bytesSent += data.byteLength
    link.send(lane, data)
  }

  #frame(version: number, to: PeerId, toIncarnation: Incarnation | null, items: readonly Item[]): Frame {
    const { peerId, incarnation } = this.#self
    return { version, lineage: this.#lineage, from: peerId, fromIncarnation: incarnation, to, toIncarnation, items }
  }

  #admit(connection: Connection, frame: Frame): { readonly peer: Peer; readonly items: readonly Item[] } | null {
    if (frame.to !== this.#self.peerId || frame.from !== connection.link.peerId) return this.#drop('misaddressed')
    if (frame.toIncarnation && !sameIncarnation(frame.toIncarnation, this.#self.incarnation)) return this.#drop('stale')
    if (frame.version === greetingVersion) {
      const [hello] = frame.items
      if (hello?.type === 'hello') this.#meet(connection, frame, hello)
      return null
    }
    if (connection.stranger) return this.#hearStranger(connection.stranger, connection.version, frame)
    const { peer, version } = connection
    if (!peer || frame.version !== version || !this.#isForMe(frame, peer)) return this.#drop('stale')
    return { peer, items: frame.items }
  }

  #hearStranger(stranger: Stranger, version: number, frame: Frame): null {
    const { lineage, fromIncarnation, toIncarnation, items } = frame
    const isOfItsHistory = lineage !== null && sameLineage(lineage, stranger.lineage) && frame.version === version
    if (!isOfItsHistory || !toIncarnation || !sameIncarnation(fromIncarnation, stranger.incarnation))
      return this.#drop('stale')
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

  #meet(connection: Connection, frame: Frame, hello: HelloItem): void {
    const { link } = connection
    const before = connection.peer ?? connection.stranger
    // A link is of one life at each end: an earlier one on it is but an echo of a frame.
    if (before && frame.fromIncarnation.counter < before.incarnation.counter) {
      this.#drop('stale')
      return
    }
    const problem = this.#problemOf(frame, hello)
    if (problem) {
      this.#refuse(connection, problem[0], problem[1], hello.joined)
      return
    }
    connection.version = agreedVersion(this.#speaks, hello.speaks) ?? 0
    const again = before && sameIncarnation(before.incarnation, frame.fromIncarnation) ? before : null
    const knewMe = frame.toIncarnation !== null
    const peer = {
      peerId: frame.from,
      incarnation: frame.fromIncarnation,
      browserId: hello.browserId,
      // A greeting may come again: nobody who has a room loses it within a life.
      founded: hello.founded || again?.founded === true,
      joined: hello.joined || again?.joined === true,
      resident: hello.resident,
      canApply: hello.canApply,
    }
    connection.lineage = frame.lineage ?? (again ? connection.lineage : null)
    this.#sort(connection, peer)
    // What a stranger shows says nothing of who is of this history.
    if (connection.peer) this.#remember(peer)
    this.#closeOlderLives(peer)
    // It could not address my life before it knew it: answer, so that it can.
    if (!knewMe || !before) this.#greet(link)
    if (frame.lineage && !this.#lineage) this.#listener.roomFound(frame.lineage)
    if (connection.stranger) this.#listener.strangerMet(connection.stranger)
    if (connection.peer) this.#listener.met(connection.peer)
  }

  /** F1: of this history, or of another one. Who belongs to none is about to be taken in. */
  #sort(connection: Connection, { lineage: _, ...peer }: Peer & { readonly lineage?: Lineage }): void {
    const { peer: before, lineage } = connection
    const isStrange = this.#isStrange(lineage)
    connection.peer = isStrange ? null : peer
    connection.stranger = isStrange && lineage ? { ...peer, lineage } : null
    if (before && isStrange) this.#lose(before, 'lost')
  }

  #isStrange(lineage: Lineage | null): boolean {
    return lineage !== null && this.#lineage !== null && !sameLineage(lineage, this.#lineage)
  }

  /** Put to the end; whoever is a member is noted again with each configuration. */
  #remember({ peerId, incarnation }: Peer): void {
    this.#highest.delete(peerId)
    this.#highest.set(peerId, incarnation)
    const [oldest] = this.#highest.keys()
    if (this.#highest.size > rememberedMax && oldest !== undefined) this.#highest.delete(oldest)
  }

  #problemOf(frame: Frame, hello: HelloItem): readonly [RefusalReason, string] | null {
    const { speaks } = hello
    if (agreedVersion(this.#speaks, speaks) === null) return ['version', this.#cannotSpeak(speaks)]
    if (!this.#isPlausible(frame.from, frame.fromIncarnation))
      return ['incarnation', `it shows life ${frame.fromIncarnation.counter}, and another one has been seen (F2)`]
    // Which of two histories goes on is settled first.
    const problem = this.#isStrange(frame.lineage) ? null : this.#machineProblem(hello)
    return problem === null ? null : ['version', problem]
  }

  /** F5: of a room's log a peer can apply everything or nothing. */
  #machineProblem({ canApply, roomVersion }: HelloItem): string | null {
    if (canApply < this.#roomVersion) return cannotApply({ canApply }, this.#roomVersion)
    if (roomVersion <= this.#abilities.canApply) return null
    return `this peer applies machine version ${this.#abilities.canApply}, and its room has ${roomVersion} (F5)`
  }

  #cannotSpeak(theirs: VersionRange): string {
    return `it speaks protocol version ${describeRange(theirs)}, and this peer ${describeRange(this.#speaks)}`
  }

  /** F2: a lower incarnation, or the same counter with another nonce, is a copy or a restored backup. */
  #isPlausible(peerId: PeerId, incarnation: Incarnation): boolean {
    const seen = this.#highest.get(peerId)
    if (!seen || incarnation.counter > seen.counter) return true
    return sameIncarnation(seen, incarnation)
  }

  /**
   * A link to a peer of another version stays, and nothing is said on it: both know, and a link that is closed is dialed again, for as
   * long as both of them are there.
   */
  #refuse(connection: Connection, reason: RefusalReason, message: string, joined: boolean): void {
    const { link } = connection
    this.#drop(reason)
    this.#listener.refused({ peerId: link.peerId, reason, message, joined })
    if (reason === 'version') this.#part(connection, 'local')
    else link.close(reason)
  }

  #drop(reason: DropReason): null {
    this.dropped += 1
    this.#listener.dropped(reason)
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

function cannotApply({ canApply }: Pick<Peer, 'canApply'>, roomVersion: number): string {
  return `it applies machine version ${canApply}, and the room has ${roomVersion} (F5)`
}
