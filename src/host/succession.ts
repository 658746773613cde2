/**
 * Who had better lead, and when it is worth a change: leadership goes where the page is seen, and does not wander. `betterLeader` is a pure
 * function of what the leader knows; `Succession` adds the patience.
 */
import type { PeerId } from '../raft/entry.js'
import { elapsedAtLeast, type Instant } from '../shared/instant.js'

export interface Runner {
  readonly peerId: PeerId
  readonly visible: boolean
  readonly phone: boolean
  readonly frozen: boolean
  /** It may stop at any moment without a word (M4). */
  readonly unfit: boolean
  /** What its commits would wait for, ms; null when not known. */
  readonly rtt: number | null
  readonly stayed: number
  /** It votes, is reachable, and its log has kept up: a transfer takes one round trip. */
  readonly ready: boolean
  /** It was never unfit in this life, or has been fit for long enough again (M4). */
  readonly steady: boolean
}

/**
 * - `now`: this leader stops with this very turn.
 * - `soon`: it may stop at any moment.
 * - `in time`: it would be better, and nothing hurts meanwhile.
 */
export type Urgency = 'now' | 'soon' | 'in time'

export interface Move {
  readonly to: PeerId
  readonly urgency: Urgency
}

/** A leader is clearly farther away from the voters when its commits wait for twice as long ... */
const rttFactor = 2
/** ... and for so much longer, ms: less than this no user sees, and less is noise of one link. */
const rttDifference = 50

/** What is better must have been better for so long, ms: a window is hidden and shown again within seconds. */
const patience = 10_000
/** A leader leads for so long before a mere improvement moves it, ms: one lease and more, so that each has full leases to give. */
const restful = 60_000
/** A transfer that did not come about is tried again after so long, ms: nothing is proposed during one (S61). */
const retryAfter: Readonly<Record<Urgency, number>> = { now: 1_000, soon: 5_000, 'in time': restful }

/** Null when this leader is as good as any. */
export function betterLeader(leader: Runner, voters: readonly Runner[]): Move | null {
  const others = voters.filter(({ peerId, ready }) => ready && peerId !== leader.peerId).sort(byFitness)
  if (leader.frozen)
    return moveTo(
      others.find(({ frozen }) => !frozen),
      'now',
    )
  const fit = others.filter(({ unfit, steady }) => !unfit && steady)
  if (leader.unfit) return moveTo(fit[0], 'soon')
  return moveTo(
    fit.find((other) => isClearlyBetter(leader, other)),
    'in time',
  )
}

/**
 * Of those who could take over now, the fittest; null when there is nobody. `inReserve`: whose logs may be behind by what has just been
 * committed, so that they could not win at this moment.
 */
export function bestHeir(voters: readonly Runner[], inReserve: ReadonlySet<PeerId> = new Set()): PeerId | null {
  const ready = voters.filter((runner) => runner.ready && !runner.frozen)
  const rank = ({ peerId, steady, unfit }: Runner) =>
    4 * Number(!steady) + 2 * Number(unfit) + Number(inReserve.has(peerId))
  return ready.sort((a, b) => rank(a) - rank(b) || byFitness(a, b))[0]?.peerId ?? null
}

function moveTo(runner: Runner | undefined, urgency: Urgency): Move | null {
  return runner ? { to: runner.peerId, urgency } : null
}

/** A phone is never better than a hidden window of a desktop: that runs on (PLATFORM 11), and the phone will be put away. */
function isClearlyBetter(leader: Runner, other: Runner): boolean {
  if (other.phone && !leader.phone) return false
  if (leader.visible && !other.visible) return false
  if (!leader.visible && other.visible) return true
  if (leader.rtt === null || other.rtt === null) return false
  return leader.rtt >= rttFactor * other.rtt && leader.rtt - other.rtt >= rttDifference
}

/** The best first: fit, of a desktop, visible, near, here for long. */
export function byFitness(a: Fitness, b: Fitness): number {
  return (
    Number(a.unfit) - Number(b.unfit) ||
    Number(b.visible) - Number(a.visible) ||
    Number(a.phone) - Number(b.phone) ||
    distanceOf(a) - distanceOf(b) ||
    b.stayed - a.stayed ||
    (a.peerId < b.peerId ? -1 : 1)
  )
}

type Fitness = Pick<Runner, 'peerId' | 'unfit' | 'visible' | 'phone' | 'rtt' | 'stayed'>

/** Round trips within one step of 100 ms are alike. */
function distanceOf({ rtt }: Fitness): number {
  return Math.floor((rtt ?? 0) / 100)
}

export class Succession {
  #ledSince: Instant | null = null
  #betterSince: Instant | null = null
  #tried: { readonly at: Instant; readonly urgency: Urgency } | null = null

  /** Leadership begins, or this host cannot vouch for its own past (C3). */
  restart(now: Instant): void {
    this.#ledSince = now
    this.#betterSince = null
    this.#tried = null
  }

  /** To be asked with every look at the members. To whom leadership goes now. */
  next(move: Move | null, now: Instant): PeerId | null {
    if (move?.urgency !== 'in time') this.#betterSince = null
    if (!move) return null
    const { urgency, to } = move
    const tried = this.#tried
    const isAgain = tried !== null && (tried.urgency === urgency || urgency === 'in time')
    if (isAgain && elapsedAtLeast(tried.at, now) < retryAfter[urgency]) return null
    if (urgency === 'in time' && !this.#isWorthIt(now)) return null
    this.#tried = { at: now, urgency }
    return to
  }

  #isWorthIt(now: Instant): boolean {
    this.#betterSince ??= now
    if (elapsedAtLeast(this.#betterSince, now) < patience) return false
    return this.#ledSince !== null && elapsedAtLeast(this.#ledSince, now) >= restful
  }
}
