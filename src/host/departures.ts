/** Peers that have gone for good in that life: they said goodbye (M1), or someone holds both their locks (L2). */
import { encodeInstruction } from '../machine/instruction.js'
import { findSessionOfPeer } from '../machine/session/view.js'
import { membersOf } from '../raft/configuration.js'
import type { Incarnation, PeerId } from '../raft/entry.js'
import { elapsedAtLeast, elapsedAtMost, type Instant } from '../shared/instant.js'
import type { HostContext } from './context.js'
import { sameIncarnation } from './frame.js'
import type { Peer } from './peers.js'

/** How often a departure is told again while its traces are still there, ms. */
const repeatAfter = 300

/** A departure that leaves no traces is forgotten after that, ms. */
const keptFor = 60_000

/** What the dead have sent may be under way for so long, ms. */
const lateFor = 1_500

type Life = Pick<Peer, 'peerId' | 'incarnation'>

interface Departure {
  readonly incarnation: Incarnation
  readonly proof: 'goodbye' | 'death'
  /** Commands up to this number count if they come within a heartbeat (M1). */
  readonly lastNumber: number
  readonly since: Instant
  toldAt: Instant | null
}

export class Departures {
  readonly #context: HostContext
  readonly #gone = new Map<PeerId, Departure>()

  constructor(context: HostContext) {
    this.#context = context
  }

  /**
   * What another peer reports. This one is here, whatever is said of it; and of strangers nothing is kept. Death is proven by two locks of
   * the browser (L2), so only its other tabs can know.
   */
  isBelievable({ peerId, incarnation }: Life, proof: Departure['proof'], by: Peer): boolean {
    const { self, peers, raft, machine } = this.#context
    if (peerId === self.peerId) return incarnation.counter < self.incarnation.counter
    const peer = peers.peer(peerId)
    const session = findSessionOfPeer(machine, peerId)
    if (!peer && !session && !membersOf(raft.configuration).includes(peerId)) return false
    const browserId = peer?.browserId ?? session?.browserId ?? by.browserId
    return proof === 'goodbye' || browserId === by.browserId
  }

  /**
   * That life speaks, long after somebody has reported its death: the report was wrong. True when that was news. Nobody speaks after its
   * own goodbye.
   */
  heard({ peerId, incarnation }: Life): boolean {
    const gone = this.#gone.get(peerId)
    if (gone?.proof !== 'death' || !sameIncarnation(gone.incarnation, incarnation)) return false
    return elapsedAtLeast(gone.since, this.#context.now) > lateFor && this.#gone.delete(peerId)
  }

  /** True when that was news. */
  note(peerId: PeerId, incarnation: Incarnation, proof: 'goodbye' | 'death', lastNumber: number): boolean {
    const known = this.#gone.get(peerId)
    if (known && known.incarnation.counter >= incarnation.counter) return false
    // Kept also when a later life is here: that may be a node that was reopened (L4), which opens no session of its own, so that the earlier
    // one's has to end by this. A peer that has just begun may not have applied yet that there is one.
    const isNews = !this.#isBack(peerId, incarnation) || this.#hasSession(peerId, incarnation)
    this.#gone.set(peerId, { incarnation, proof, lastNumber, since: this.#context.now, toldAt: null })
    return isNews
  }

  isGone(peerId: PeerId): boolean {
    const gone = this.#gone.get(peerId)
    if (!gone || this.#isBack(peerId, gone.incarnation)) return false
    const member = this.#context.raft.configuration.incarnations[peerId]
    return !member || member.counter <= gone.incarnation.counter
  }

  /** That very life, or a later one, has said goodbye or is proven dead. */
  isOver({ peerId, incarnation }: { readonly peerId: PeerId; readonly incarnation: Incarnation }): boolean {
    const gone = this.#gone.get(peerId)
    return gone !== undefined && gone.incarnation.counter >= incarnation.counter
  }

  /** A new leader has not been told, or may have forgotten. */
  leaderChanged(): void {
    for (const gone of this.#gone.values()) gone.toldAt = null
  }

  tick(): void {
    const { raft, now } = this.#context
    for (const [peerId, gone] of this.#gone) {
      if (!this.#leavesTraces(peerId, gone)) {
        if (elapsedAtLeast(gone.since, now) > keptFor) this.#gone.delete(peerId)
        continue
      }
      if (gone.toldAt && elapsedAtMost(gone.toldAt, now) < repeatAfter) continue
      if (raft.role === 'leader') this.#close(peerId, gone)
      else if (raft.leader !== null) this.#tell(raft.leader, peerId, gone)
    }
  }

  #leavesTraces(peerId: PeerId, gone: Departure): boolean {
    if (membersOf(this.#context.raft.configuration).includes(peerId) && this.isGone(peerId)) return true
    return this.#hasSession(peerId, gone.incarnation)
  }

  /** A later life of that peer is here. */
  #isBack(peerId: PeerId, { counter }: Incarnation): boolean {
    const { self, peers } = this.#context
    const here = peerId === self.peerId ? self : peers.peer(peerId)
    return here !== null && here.incarnation.counter > counter
  }

  /** That life or an earlier one has a session still. */
  #hasSession(peerId: PeerId, { counter }: Incarnation): boolean {
    const session = findSessionOfPeer(this.#context.machine, peerId)
    return session !== null && session.incarnation.counter <= counter
  }

  /** The locks of the gone are free at once. The configuration is the autopilot's work. */
  #close(peerId: PeerId, gone: Departure): void {
    const { machine, now, raft } = this.#context
    const session = findSessionOfPeer(machine, peerId)
    if (!session || session.incarnation.counter > gone.incarnation.counter) return
    const outstanding = gone.lastNumber > session.lastNumber
    if (outstanding && elapsedAtLeast(gone.since, now) < (machine.settings?.timing.heartbeat ?? 0)) return
    if (!raft.committedInTerm) return
    gone.toldAt = now
    const close = { type: 'close', peerId, incarnation: gone.incarnation } as const
    // Whoever is proven dead may have done something last of which nobody knows: its locks end uncleanly (F5: if the room can say so).
    const isUnclean = gone.proof === 'death' && machine.version >= 2
    this.#context.submit([encodeInstruction(isUnclean ? { ...close, proof: 'death' } : close)])
  }

  #tell(leader: PeerId, peerId: PeerId, gone: Departure): void {
    if (leader === peerId && !this.#isBack(peerId, gone.incarnation)) return
    gone.toldAt = this.#context.now
    const { incarnation, proof, lastNumber } = gone
    this.#context.send(leader, { type: 'departed', peerId, incarnation, proof, lastNumber })
  }
}
