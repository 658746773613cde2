/**
 * How patient this peer is (M5): its election time-out and heartbeat follow the round trips that it measures, and its own stalls. What the room was
 * founded with is the least; all times grow by one factor, so that they stay in proportion.
 */
import type { Timing } from '../machine/command.js'
import { votersOf } from '../raft/configuration.js'
import type { Configuration, PeerId } from '../raft/entry.js'
import { quorumValue } from '../raft/quorum.js'
import type { RaftTiming } from '../raft/state.js'

/** No minimum election time-out grows beyond this, ms, or a room would not notice a death. */
const patienceMax = 5_000
/** Patience grows when so many times as much is needed ... */
const growsAt = 1.2
/** ... and shrinks when so many times less is enough, and has been for so long, ms: it does not wander. */
const shrinksAt = 1.5
const shrinksAfter = 3_000

/** Stalls are remembered for so long, ms. */
const stallsCountFor = 10_000
/**
 * A minimum election time-out over the stalls that it is to bear: when its leader falls silent a heartbeat's third of it may be over, and
 * the first word after it has a way to go.
 */
const patienceOverStall = 2

/** How long this peer stands still at times, because its machine has too much to do. One alone may be an accident: the second longest counts. */
export class Stalls {
  #recent: { readonly at: number; readonly lasted: number }[] = []

  note(lasted: number, now: number): void {
    this.#recent = this.#recent.filter(({ at }) => now - at < stallsCountFor)
    this.#recent.push({ at: now, lasted })
  }

  /** What an election time-out needs that is to bear them, ms. */
  need(now: number): number {
    const lasted = this.#recent.filter(({ at }) => now - at < stallsCountFor).map((stall) => stall.lasted)
    return patienceOverStall * (lasted.sort((a, b) => b - a)[1] ?? 0)
  }
}

export class Pace {
  readonly #self: PeerId
  /** What an election needs over the link to a peer, ms; null if that is not known. */
  readonly #need: (peerId: PeerId) => number | null
  readonly stalls = new Stalls()
  /** The minimum election time-out over the room's own. */
  #factor = 1
  #shrinkingSince: number | null = null

  constructor(self: PeerId, need: (peerId: PeerId) => number | null) {
    this.#self = self
    this.#need = need
  }

  /** The times that this peer needs now, for its own links and its own stalls alone. */
  timing(floor: Timing, configuration: Configuration, now: number): RaftTiming {
    const needed = Math.max(this.#needed(configuration), this.stalls.need(now))
    this.#follow(Math.max(1, Math.min(patienceMax, needed) / floor.electionMin), now)
    return scaled(floor, this.#factor)
  }

  #follow(wanted: number, now: number): void {
    if (wanted * shrinksAt > this.#factor && wanted > 1) this.#shrinkingSince = null
    else this.#shrinkingSince ??= now
    if (wanted >= this.#factor * growsAt) this.#factor = wanted
    else if (this.#shrinkingSince !== null && now - this.#shrinkingSince >= shrinksAfter) this.#factor = wanted
  }

  /**
   * What its nearest quorum needs. A slow minority is waited for by nobody: it is more patient by itself, and nobody's heartbeats come less
   * often, nor its death unnoticed for longer, for its sake.
   */
  #needed(configuration: Configuration): number {
    const known = votersOf(configuration).flatMap((peerId) => this.#need(peerId) ?? [])
    const unknown = Math.max(0, ...known)
    const needs = (peerId: PeerId) => (peerId === this.#self ? 0 : (this.#need(peerId) ?? unknown))
    // The quorum value of the negative is the least time within which a quorum has answered.
    return configuration.voters.length === 0 ? unknown : -quorumValue(configuration, (peerId) => -needs(peerId))
  }
}

/** Whole ticks, in the proportions of the room's own times. */
export function scaled(floor: Timing, factor: number): RaftTiming {
  return {
    electionTicks: Math.round(floor.electionMin * factor),
    electionTicksMax: Math.round(floor.electionMax * factor),
    heartbeatTicks: Math.round(floor.heartbeat * factor),
    preVoteTicks: Math.round(floor.preVote * factor),
  }
}
