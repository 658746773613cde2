/**
 * Links between two peers who cannot connect, through a third one who is linked with both (F4): a quorum needs connectivity,
 * not direct links. The third peer carries sealed bodies over one hop and knows nothing of the link; when it goes, or says that
 * it is no longer linked with the other end, the link is `lost`, never `remote`, and another relay is tried.
 *
 * Meeting: `open` with a nonce and a key; `accept` with the same and an echo; then both have the keys of this one link. The side
 * that opened it sends `ready`: only what opens under these keys brings the link up on the other side, so that an `open` that
 * is repeated ends nothing. If both open at once, the smaller id's counts.
 */
import type { Incarnation } from '../raft/entry.js'
import type { CarriedNetwork, Carrier } from './carried.js'
import type { DownReason, Lane, LinkListener } from './link.js'
import { PeerRelayLink } from './peer-relay-link.js'
import { type Introduction, type RelayMessage, readRelayMessage, writeRelayMessage } from './peer-relay-message.js'
import { isEqual, type Party, RelayIdentity } from './peer-relay-seal.js'

/** How long a pair may take to connect by itself before it is relayed, ms. */
export const patienceMs = 2_000
/** The same for a dead tab's node (L4), which connects to tabs of its own browser alone, at once; who is elsewhere it reaches by them only. */
export const residentPatienceMs = 50
/** An `open` that is not answered by then is tried by another relay, ms. */
export const openWithinMs = 1_500
/** A direct link that has been up for this long has taken over: the relayed one ends. So does one that nobody wants any more. */
export const supersededAfterMs = 5_000
/** Pings go once a second: this many ms without any, and the route is dead. */
export const unheardMs = 10_000
/** The other side may not know yet that its relay is linked with this one. */
const youngMs = 1_000
/** Of one peer, `open` is heard so often: an answer costs a key agreement. */
const answerEveryMs = 200
/** Far above what a room has. */
const remotesMax = 64

export interface PeerRelayOptions {
  readonly peerId: string
  readonly incarnation: Incarnation
  /** 32 random bytes, new in every life. */
  readonly secret: Uint8Array
  /** What it misses for so long it looks for through others, ms. @default `patienceMs` */
  readonly patience?: number
}

interface Remote {
  readonly peerId: string
  /** Asked for, and not answered yet. */
  opening: { readonly via: string; readonly nonce: Uint8Array; readonly at: number } | null
  /** Answered, and not proven yet. */
  answering: PeerRelayLink | null
  answeredAt: number
  current: PeerRelayLink | null
  /** Since when nothing leads to it that should. */
  missingSince: number | null
  directSince: number | null
  unwantedSince: number | null
  lastVia: string | null
}

export class PeerRelayNetwork implements CarriedNetwork {
  readonly #options: PeerRelayOptions
  readonly #identity: RelayIdentity
  readonly #remotes = new Map<string, Remote>()
  #carrier: Carrier | null = null
  #listener: LinkListener | null = null
  #isClosed = false

  constructor(options: PeerRelayOptions) {
    this.#options = options
    this.#identity = new RelayIdentity(options.secret)
  }

  get #patience(): number {
    return this.#options.patience ?? patienceMs
  }

  carry(carrier: Carrier): void {
    this.#carrier ??= carrier
  }

  listen(listener: LinkListener): void {
    this.#listener ??= listener
  }

  close(): void {
    if (this.#isClosed) return
    for (const { current } of [...this.#remotes.values()]) current?.close('the network closes')
    this.#remotes.clear()
    this.#isClosed = true
  }

  tick(): void {
    const carrier = this.#carrier
    if (!carrier || this.#isClosed) return
    const wanted = new Set(carrier.wanted())
    for (const peerId of wanted) {
      if (!carrier.isLinked(peerId)) this.#miss(carrier, this.#remote(peerId))
    }
    for (const remote of [...this.#remotes.values()]) this.#review(carrier, remote, wanted.has(remote.peerId))
    this.routesChanged()
  }

  routesChanged(): void {
    const carrier = this.#carrier
    if (!carrier) return
    for (const { peerId, current } of [...this.#remotes.values()]) {
      if (!current) continue
      const isYoung = carrier.now - current.since < youngMs
      if (isYoung ? !carrier.isDirect(current.via) : !carrier.routesTo(peerId).includes(current.via))
        current.end('lost')
    }
  }

  receive(via: string, from: string, lane: Lane, body: Uint8Array): void {
    const message = readRelayMessage(body)
    if (!message || this.#isClosed || !this.#carrier || from === this.#options.peerId || from === via) return
    if (message.type === 'open') this.#onOpen(this.#carrier, via, from, message)
    else if (message.type === 'accept') this.#onAccept(this.#carrier, via, from, message)
    else this.#onSealed(this.#carrier, via, from, lane, message)
  }

  #miss(carrier: Carrier, remote: Remote | null): void {
    if (!remote) return
    const { now } = carrier
    remote.missingSince ??= now
    if (remote.opening && now - remote.opening.at >= openWithinMs) remote.opening = null
    if (remote.opening || remote.answering || now - remote.missingSince < this.#patience) return
    const via = nextRoute(carrier.routesTo(remote.peerId), remote.lastVia)
    if (via === null) return
    const nonce = this.#identity.newNonce()
    remote.opening = { via, nonce, at: now }
    remote.lastVia = via
    carrier.send(via, remote.peerId, 'control', writeRelayMessage({ type: 'open', ...this.#introduction(nonce) }))
  }

  #review(carrier: Carrier, remote: Remote, isWanted: boolean): void {
    const { now } = carrier
    const { peerId, current, answering } = remote
    if (!isWanted || carrier.isLinked(peerId)) remote.missingSince = null
    remote.directSince = carrier.isDirect(peerId) ? (remote.directSince ?? now) : null
    remote.unwantedSince = isWanted ? null : (remote.unwantedSince ?? now)
    if (answering && now - answering.since >= openWithinMs) remote.answering = null
    if (!isWanted) remote.opening = null
    if (current && this.#isOver(current, remote, now)) current.end('lost')
    else if (!current && !remote.answering && !remote.opening && !isWanted) this.#remotes.delete(peerId)
  }

  #isOver(link: PeerRelayLink, { directSince, unwantedSince }: Remote, now: number): boolean {
    if (link.isDoomed || now - link.heardAt >= unheardMs) return true
    // Whoever did not ask for it may not know why it is wanted.
    const since = link.isOpener ? (unwantedSince ?? directSince) : directSince
    return since !== null && now - since >= supersededAfterMs
  }

  #onOpen(carrier: Carrier, via: string, from: string, message: RelayMessage & { readonly type: 'open' }): void {
    const { now } = carrier
    const remote = this.#remote(from)
    if (!remote || now - remote.answeredAt < answerEveryMs) return
    if (remote.opening && this.#options.peerId < from) return
    const nonce = this.#identity.newNonce()
    const link = this.#link(carrier, via, from, nonce, message, false)
    if (!link) return
    remote.opening = null
    remote.answeredAt = now
    remote.answering = link
    const accept = writeRelayMessage({ type: 'accept', ...this.#introduction(nonce), echo: message.nonce })
    carrier.send(via, from, 'control', accept)
  }

  #onAccept(carrier: Carrier, via: string, from: string, message: RelayMessage & { readonly type: 'accept' }): void {
    const remote = this.#remotes.get(from)
    const opening = remote?.opening
    if (!remote || opening?.via !== via || !isEqual(opening.nonce, message.echo)) return
    const link = this.#link(carrier, via, from, opening.nonce, message, true)
    if (!link) return
    remote.opening = null
    link.ready()
    this.#promote(remote, link)
    link.rise()
  }

  #onSealed(
    carrier: Carrier,
    via: string,
    from: string,
    lane: Lane,
    { tag, number, sealed }: RelayMessage & { readonly type: 'sealed' },
  ): void {
    const remote = this.#remotes.get(from)
    if (!remote) return
    const { current, answering } = remote
    if (current?.via === via && isEqual(current.tag, tag)) current.receive(lane, number, sealed, carrier.now)
    else if (answering?.via === via && isEqual(answering.tag, tag)) {
      // Only who has the keys brings it up, and ends the one before.
      if (!answering.isNext(lane, number, sealed)) return
      this.#promote(remote, answering)
      answering.receive(lane, number, sealed, carrier.now)
    }
  }

  /** The newer link counts; the one before ends after it is there, so that the peer is not unreachable in between. */
  #promote(remote: Remote, link: PeerRelayLink): void {
    const before = remote.current
    remote.answering = null
    remote.current = link
    link.rise()
    before?.end('lost')
  }

  #link(
    carrier: Carrier,
    via: string,
    peerId: string,
    nonce: Uint8Array,
    theirs: Introduction,
    isOpener: boolean,
  ): PeerRelayLink | null {
    const listener = this.#listener
    const mine: Party = { peerId: this.#options.peerId, ...this.#introduction(nonce) }
    const seal = this.#identity.seal(mine, { peerId, ...theirs })
    if (!seal || !listener) return null
    const transmit = (lane: Lane, body: Uint8Array) => carrier.send(via, peerId, lane, body)
    const onEnded = (link: PeerRelayLink, reason: DownReason) => this.#ended(link, reason)
    return new PeerRelayLink({ peerId, via, isOpener, seal, now: carrier.now, listener, transmit, onEnded })
  }

  #ended(link: PeerRelayLink, reason: DownReason): void {
    const remote = this.#remotes.get(link.peerId)
    if (remote?.current !== link) return
    remote.current = null
    // Who was relayed before needs no proof that it has to be.
    if (reason === 'lost' && this.#carrier) remote.missingSince = this.#carrier.now - patienceMs
  }

  #introduction(nonce: Uint8Array): Introduction {
    return { incarnation: this.#options.incarnation, publicKey: this.#identity.publicKey, nonce }
  }

  /** Null: there are too many. */
  #remote(peerId: string): Remote | null {
    const known = this.#remotes.get(peerId)
    if (known) return known
    if (this.#remotes.size >= remotesMax) return null
    const remote: Remote = {
      peerId,
      opening: null,
      answering: null,
      answeredAt: Number.NEGATIVE_INFINITY,
      current: null,
      missingSince: null,
      directSince: null,
      unwantedSince: null,
      lastVia: null,
    }
    this.#remotes.set(peerId, remote)
    return remote
  }
}

/** The best first, and after one that led nowhere the next. */
function nextRoute(routes: readonly string[], last: string | null): string | null {
  if (last === null) return routes[0] ?? null
  const at = routes.indexOf(last)
  return routes[(at + 1) % Math.max(1, routes.length)] ?? null
}
