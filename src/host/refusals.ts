/**
 * What was not let in: counted by reason, told to the page as an error (not for every retry of the same peer), and judged: whoever
 * would join a room of which it only meets members that it cannot speak with has failed, instead of waiting for ever.
 */
import type { PeerId } from '../raft/entry.js'
import type { Failure } from '../shared/failure.js'
import { elapsedAtLeast, type Instant } from '../shared/instant.js'

/** Why a peer is not let in. */
export type RefusalReason = 'version' | 'incarnation'

/** Why a frame, or a part of one, was refused and changed nothing. */
export type DropReason =
  | RefusalReason
  /** Bytes that are no frame. */
  | 'malformed'
  /** From or to somebody else than the two ends of its link. */
  | 'misaddressed'
  /** Of another life, another room, another version than agreed, or from somebody who has not introduced itself (F1). */
  | 'stale'
  /** An instruction that is none, that only a leader gives, or that speaks for another peer. */
  | 'instruction'
  /** Of a peer that cannot be gone: this very one, or one that has come back in a later life. */
  | 'departure'

export interface Refusal {
  readonly peerId: PeerId
  readonly reason: RefusalReason
  /** What was expected and what came. */
  readonly message: string
  /** The room lives where it is, as far as can be known of it. */
  readonly joined: boolean
}

/** The same peer is refused again at each of its attempts: one error in so long is enough, ms. */
const toldAgainAfter = 60_000
const toldMax = 64
/** Peers of the room that it can speak with may take as long to connect, ms. */
const joinedWithin = 5_000

export class Refusals {
  readonly #counts: Record<DropReason, number> = {
    version: 0,
    incarnation: 0,
    malformed: 0,
    misaddressed: 0,
    stale: 0,
    instruction: 0,
    departure: 0,
  }
  readonly #told = new Map<string, Instant>()
  #incompatible: { readonly failure: Failure; readonly since: Instant } | null = null

  get counts(): Readonly<Record<DropReason, number>> {
    return { ...this.#counts }
  }

  count(reason: DropReason): void {
    this.#counts[reason] += 1
  }

  /** What to tell the page of it, null when it has heard that already. */
  note(refusal: Refusal, now: Instant): Failure | null {
    const failure = failureOf(refusal)
    if (refusal.reason === 'version' && refusal.joined) this.#incompatible ??= { failure, since: now }
    const key = `${refusal.reason} ${refusal.peerId}`
    const before = this.#told.get(key)
    if (before && elapsedAtLeast(before, now) < toldAgainAfter) return null
    this.#told.delete(key)
    this.#told.set(key, now)
    const [oldest] = this.#told.keys()
    if (this.#told.size > toldMax && oldest !== undefined) this.#told.delete(oldest)
    return failure
  }

  /** Why whoever is still joining will not get in, if it has met nobody of the room that it can speak with. */
  verdict(now: Instant): Failure | null {
    const known = this.#incompatible
    return known && elapsedAtLeast(known.since, now) >= joinedWithin ? known.failure : null
  }
}

function failureOf({ peerId, reason, message }: Refusal): Failure {
  const code = reason === 'version' ? 'incompatible-peer' : 'room-auth'
  return { code, message: `this peer and ${peerId} cannot share the room: ${message}`, details: { peerId, reason } }
}
