/**
 * With which peers of other browsers this one should be connected. Voters with all, learners with voters: the rest of a full mesh
 * carries nothing. Who is not a member yet has to find the one that leads, so it goes to everyone, and everyone to it.
 */
import type { MemberRecord } from '../host/page.js'

/** A connection that is not needed any more stays for this long: the next change of members may need it again, ms. */
export const keepMs = 5_000
/** Who asks for a connection that this side does not need has a reason: it may not reach the voters. It is kept for so long, ms. */
export const askedMs = 60_000

export interface Want {
  readonly peerId: string
  /** Kept, or answered, but never dialed. */
  readonly isPassive: boolean
}

export interface Surroundings {
  readonly self: string
  /** Of other browsers only, but for `self`. */
  readonly members: readonly Pick<MemberRecord, 'peerId' | 'role' | 'connected' | 'link'>[]
  /** Whom signaling shows. */
  readonly visible: Iterable<string>
}

export class Topology {
  /** When a connection that was needed was so last. */
  readonly #neededAt = new Map<string, number>()
  readonly #askedAt = new Map<string, number>()

  /** That peer wants a connection which this side may not need. */
  asked(peerId: string, now: number): void {
    this.#askedAt.set(peerId, now)
  }

  /** The most important first; and in how many ms to look again, null if nothing changes by itself. */
  wanted(
    surroundings: Surroundings,
    now: number,
  ): { readonly peers: readonly Want[]; readonly againIn: number | null } {
    const { self, members, visible } = surroundings
    const needed = neededOf(surroundings)
    for (const peerId of needed) this.#neededAt.set(peerId, now)
    const known = new Set([...visible, ...members.map(({ peerId }) => peerId)])
    known.delete(self)
    const passive: string[] = []
    let againIn = Number.POSITIVE_INFINITY
    for (const peerId of known) {
      if (needed.has(peerId)) continue
      const until = Math.max(
        (this.#neededAt.get(peerId) ?? -keepMs) + keepMs,
        (this.#askedAt.get(peerId) ?? -askedMs) + askedMs,
      )
      if (until <= now) continue
      passive.push(peerId)
      againIn = Math.min(againIn, until - now)
    }
    for (const noted of [this.#neededAt, this.#askedAt])
      for (const peerId of [...noted.keys()]) if (!known.has(peerId)) noted.delete(peerId)
    const wants = [...needed].map((peerId) => ({ peerId, isPassive: false }))
    return {
      peers: [...wants, ...passive.map((peerId) => ({ peerId, isPassive: true }))],
      againIn: againIn === Number.POSITIVE_INFINITY ? null : againIn,
    }
  }
}

function neededOf({ self, members, visible }: Surroundings): Set<string> {
  const own = members.find(({ peerId }) => peerId === self)
  const others = members.filter(({ peerId }) => peerId !== self)
  const voters = others.filter(({ role }) => role === 'voter')
  const needed = new Set(voters.map(({ peerId }) => peerId))
  const known = new Set(members.map(({ peerId }) => peerId))
  for (const peerId of visible) if (peerId !== self && !known.has(peerId)) needed.add(peerId)
  // A learner that some voter cannot be reached from goes by whoever is there (F4).
  const reachesVoters = voters.every(({ connected, link }) => connected && link !== 'peer-relay')
  if (own?.role !== 'learner' || !reachesVoters) for (const { peerId } of others) needed.add(peerId)
  return needed
}
