/** The times by which this peer lives: as its links need them (M5), and slower while nothing happens (M6). */
import type { Timing } from '../machine/command.js'
import { defaultSettings } from '../machine/settings.js'
import type { PeerId } from '../raft/entry.js'
import type { Message, MessageOf } from '../raft/message.js'
import type { RaftTiming } from '../raft/state.js'
import type { HostContext } from './context.js'
import { Idle, type IdleOptions } from './idle.js'
import { kickRound } from './leases.js'
import { Pace, scaled } from './pace.js'
import { RoundTrips } from './round-trips.js'

/** The needs of links are looked at that often, ms. */
const paceEvery = 50

export class Tempo {
  readonly idle: Idle
  readonly trips = new RoundTrips()
  readonly #context: HostContext
  readonly #pace: Pace
  #awake: RaftTiming
  #applied: RaftTiming
  #pacedAt = Number.NEGATIVE_INFINITY
  /** A leader's longer time-out: which, and the first round that tells of it. */
  #announced: { readonly electionTicks: number; readonly round: number } | null = null
  #followed: { readonly leader: PeerId | null; readonly term: number } = { leader: null, term: 0 }

  /** `applied`: what the core was made with. */
  constructor(context: HostContext, applied: RaftTiming, options: IdleOptions) {
    this.#context = context
    this.#awake = applied
    this.#applied = applied
    this.#pace = new Pace(context.self.peerId, (peerId) => this.trips.need(peerId))
    this.idle = new Idle(context, options)
  }

  /** See `HostContext.patience`. */
  get patience(): number {
    const { leader } = this.#context.raft
    return Math.max(this.#awake.electionTicksMax, (leader === null ? null : this.trips.need(leader)) ?? 0)
  }

  sent(message: Message): void {
    if (message.type === 'heartbeat') this.trips.sent(message.to, 'beat', message.round, this.#now)
  }

  replied(message: MessageOf<'heartbeatReply'>): void {
    this.trips.answered(message.from, 'beat', message.round, this.#now)
    this.idle.replied(message)
  }

  /** This host came later than it meant to, ms. */
  stalled(lasted: number): void {
    this.#pace.stalls.note(lasted, this.#now)
  }

  /** At the end of each turn, before what the core has to say is sent. */
  settle(): void {
    const { raft } = this.#context
    const { leader, term } = raft
    if (leader !== this.#followed.leader || term !== this.#followed.term) {
      this.#followed = { leader, term }
      this.#announced = null
      this.idle.leaderChanged()
    }
    if (this.#now - this.#pacedAt >= paceEvery) {
      this.#pacedAt = this.#now
      this.#awake = this.#pace.timing(this.#timing, raft.configuration, this.#now)
    }
    this.idle.review(this.#awake.electionTicksMax)
    this.#apply(this.idle.timing(this.#awake, this.#timing.lease))
  }

  get #now(): number {
    return this.#context.now.monotonic
  }

  /** F5: the room's own times are the least. */
  get #timing(): Timing {
    return (this.#context.machine.settings ?? defaultSettings).timing
  }

  #apply(wanted: RaftTiming): void {
    const { raft } = this.#context
    const before = this.#applied
    const next = raft.role === 'leader' ? this.#announce(wanted) : wanted
    if (isSame(before, next)) return
    this.#applied = next
    raft.retime(next)
    const isFaster = next.electionTicks < before.electionTicks || next.heartbeatTicks < before.heartbeatTicks
    if (raft.role === 'leader' && isFaster) raft.read(kickRound)
  }

  /** A leader's heartbeats come less often only once a quorum knows that it may take longer. Of an idle room all know (M6). */
  #announce(wanted: RaftTiming): RaftTiming {
    const { raft } = this.#context
    const { electionTicks } = wanted
    const { heartbeatTicks } = this.#applied
    if (this.idle.isOffering || wanted.heartbeatTicks <= heartbeatTicks) return wanted
    if (this.#announced?.electionTicks !== electionTicks)
      this.#announced = { electionTicks, round: raft.currentRound + 1 }
    return raft.confirmedRound >= this.#announced.round ? wanted : { ...wanted, heartbeatTicks }
  }
}

/** As the room was founded. */
export function timingOf(timing: Timing): RaftTiming {
  return scaled(timing, 1)
}

function isSame(a: RaftTiming, b: RaftTiming): boolean {
  return (
    a.electionTicks === b.electionTicks &&
    a.electionTicksMax === b.electionTicksMax &&
    a.heartbeatTicks === b.heartbeatTicks &&
    a.preVoteTicks === b.preVoteTicks
  )
}
