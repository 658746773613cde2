/**
 * A room that is idle slows down (M6): nothing is held, waited for, proposed or read, everybody has all of the log, and every member that is
 * there has said so to its leader. Heartbeats then come seldom, the echoes and the pages' answers ride on them, and nobody pings. The first
 * thing that is asked ends it: the leader speaks at once. Who asks and hears nothing for an awake time-out asks the voters,
 * and so does who knows that it has no leader. A silent death that nobody minds is noticed within five beats (1.25 leases at most) and a round.
 */
import { nextDeadline } from '../machine/deadlines.js'
import type { PeerId } from '../raft/entry.js'
import type { MessageOf } from '../raft/message.js'
import type { RaftTiming } from '../raft/state.js'
import type { HostContext } from './context.js'

/** Between two heartbeats of an idle room, ms ... */
const beatEvery = 1_000
/** ... and for each that hears them, so that the leader too sends no more than two messages a second ... */
const beatEveryPerFollower = 500
/** ... but so often within a session's lease, since pages are heard with them. */
const beatsPerLease = 4
/** A silent death is noticed after two missed beats, and a half for those who are late. */
const beatsToElection = 2.5
/** Whoever does not agree within that time has a reason, ms. */
const agreeWithin = 2_000

export interface IdleOptions {
  /** Nothing was asked for so long, ms. */
  readonly after: number
  /** This peer's own page waits for something. */
  readonly isWaiting: () => boolean
  /** A leader is awake again: what it says next is said at once. */
  readonly woke: () => void
}

interface Offer {
  readonly round: number
  readonly since: number
  readonly members: readonly PeerId[]
  readonly agreed: Set<PeerId>
}

export class Idle {
  readonly #context: HostContext
  readonly #options: IdleOptions
  /** Of a leader. Invariant: there is an offer unless it is `awake`. */
  #mode: 'awake' | 'offering' | 'idle' = 'awake'
  #offer: Offer | null = null
  /** Of a follower: the leader with whom it has agreed. */
  #agreedWith: PeerId | null = null
  #activeAt: number
  #lastIndex = 0
  /** Of a follower: since when its page waits and no leader that is awake has been heard. */
  #waitingSince: number | null = null
  /** The leader last spoke as that of an idle room: those who follow it do so for long. */
  #isIdle = false

  constructor(context: HostContext, options: IdleOptions) {
    this.#context = context
    this.#options = options
    this.#activeAt = context.now.monotonic
  }

  /** Nothing is expected of anybody before the next heartbeat. */
  get isCalm(): boolean {
    const { raft } = this.#context
    if (raft.role === 'leader') return this.#mode === 'idle'
    return this.#agreedWith !== null && raft.leader === this.#agreedWith
  }

  /** The leader's heartbeats ask whether all agree, or tell that it is so. */
  get isOffering(): boolean {
    return this.#mode !== 'awake' && this.#context.raft.role === 'leader'
  }

  /** Something was asked, or has come: the room is not idle, and will not be for a while. */
  touch(): void {
    this.#activeAt = this.#context.now.monotonic
    this.#agreedWith = null
    this.#wake()
  }

  /** Leadership changed hands: whatever was agreed was agreed with another one. */
  leaderChanged(): void {
    this.#activeAt = this.#context.now.monotonic
    this.#agreedWith = null
    this.#waitingSince = null
    this.#wake()
    // The others may not know what this peer knows, and would refuse it their votes for as long as they follow.
    if (this.#isIdle && this.#context.raft.leader === null) this.#askAll()
    this.#isIdle = false
  }

  /** The leader's beat comes: true if all is quiet here too. */
  heartbeat(message: MessageOf<'heartbeat'>): boolean {
    const { raft } = this.#context
    this.#isIdle = message.quiet === true
    if (!this.#isIdle) this.#waitingSince = null
    const agrees = this.#isIdle && !this.#options.isWaiting()
    const agreed = agrees && raft.stepQuiet(message)
    if (!agrees) raft.step(message)
    this.#agreedWith = agreed ? message.from : null
    return agreed
  }

  /** A member answers: who is new, or does not agree any more, has a reason. */
  replied({ from, quiet, round }: MessageOf<'heartbeatReply'>): void {
    if (this.#offer === null) return
    if (quiet === true && round >= this.#offer.round) this.#offer.agreed.add(from)
    else if (this.#mode === 'idle' || !this.#offer.members.includes(from)) this.touch()
  }

  /** Somebody waits for the leader in vain. Whoever leads is awake from now on; the others judge it by their own time-out, and tell it. */
  asked(): void {
    const { raft, send } = this.#context
    const { leader, role } = raft
    if (role === 'leader') this.touch()
    // M5: one that is awake has its own reasons to ask for more patience.
    else if (leader !== null && this.#isIdle && raft.doubtLeader()) {
      this.#agreedWith = null
      send(leader, { type: 'wake' })
    }
  }

  /** To be called at the end of each turn; `patience`: the awake time-out at its longest. */
  review(patience: number): void {
    if (this.#context.raft.role === 'leader') this.#reviewLeader()
    else this.#reviewWaiting(patience)
  }

  /** What the leader demands of its followers while it asks, and while the room is idle. */
  timing(awake: RaftTiming, lease: number): RaftTiming {
    if (!this.isOffering) return awake
    const followers = this.#offer?.members.length ?? 0
    const wanted = Math.max(beatEvery, followers * beatEveryPerFollower)
    const beat = Math.max(awake.heartbeatTicks, Math.min(wanted, Math.floor(lease / beatsPerLease)))
    const electionTicks = Math.max(awake.electionTicks, Math.round(beat * beatsToElection))
    const electionTicksMax = Math.round((electionTicks * awake.electionTicksMax) / awake.electionTicks)
    // Patience before silence: who has not agreed yet still lives by the shorter time-out.
    const heartbeatTicks = this.#mode === 'idle' ? beat : awake.heartbeatTicks
    return { ...awake, electionTicks, electionTicksMax, heartbeatTicks }
  }

  #reviewLeader(): void {
    const { raft, now, peers } = this.#context
    if (raft.lastIndex !== this.#lastIndex || this.#isBusy()) {
      this.#lastIndex = raft.lastIndex
      this.touch()
    }
    if (this.#mode === 'awake' && now.monotonic - this.#activeAt < this.#options.after) return
    const laggards = raft.laggardsWhenIdle()
    const members = this.#offer?.members ?? []
    const isSettled =
      laggards !== null && !laggards.some((peerId) => peers.isReachable(peerId) || members.includes(peerId))
    if (!isSettled) this.touch()
    else if (this.#offer === null) this.#ask(laggards)
    else if (this.#mode === 'offering') this.#conclude(this.#offer)
  }

  #ask(laggards: readonly PeerId[]): void {
    const { raft, now } = this.#context
    const { progress } = raft.status()
    const members = progress.flatMap(({ peerId }) => (laggards.includes(peerId) ? [] : [peerId]))
    this.#offer = { round: raft.currentRound + 1, since: now.monotonic, members, agreed: new Set() }
    this.#mode = members.length === 0 ? 'idle' : 'offering'
  }

  #conclude({ members, agreed, since }: Offer): void {
    if (members.every((peerId) => agreed.has(peerId))) this.#mode = 'idle'
    else if (this.#context.now.monotonic - since >= agreeWithin) this.touch()
  }

  /** The machine is the leader's own: what others wait for is in it, or on its way. */
  #isBusy(): boolean {
    const { machine } = this.#context
    const { locks, semaphores } = machine
    const isUsed = locks.resources.size > 0 || semaphores.bySession.size > 0
    return isUsed || nextDeadline(machine) !== null || this.#options.isWaiting()
  }

  /** Whoever has no leader asks too: the others may follow one that has died (M6). */
  #reviewWaiting(patience: number): void {
    const { raft, now } = this.#context
    if (!this.#options.isWaiting()) {
      this.#waitingSince = null
      return
    }
    this.#waitingSince ??= now.monotonic
    if (now.monotonic - this.#waitingSince < patience) return
    this.#waitingSince = now.monotonic
    if (raft.leader === null || (this.#isIdle && raft.doubtLeader())) this.#askAll()
  }

  #askAll(): void {
    const { self, peers, send } = this.#context
    for (const { peerId } of peers.all()) if (peerId !== self.peerId) send(peerId, { type: 'wake' })
  }

  #wake(): void {
    if (this.#mode === 'awake') return
    this.#mode = 'awake'
    this.#offer = null
    this.#options.woke()
  }
}
