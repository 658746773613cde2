import type { PeerId } from '../raft/entry.js'

/** Nobody waits for what a learner acknowledges, ms. */
const learnerLingers = 50
/** So long a commit waits at most for a voter that took itself to be in reserve, ms. */
const reserveLingers = 20
/** The others have shown so often in a row that they are enough. */
const unneededInARow = 3

/** Who this peer is in its group at the moment. */
export interface Standing {
  readonly isVoter: boolean
  readonly isFollower: boolean
  readonly leader: PeerId | null
}

/**
 * How much hurry this peer's writes are in. A commit takes the leader and the quicker half of its voters: what the others acknowledge comes
 * too late to count, and may as well be written with what comes next. A follower sees by itself which of them it is. Of each entry only
 * as many can find that they were not needed as the commit could do without, so that never all of them linger for long; and who is waited
 * for after all has at most two such writes before it hurries again.
 */
export class Reserve {
  #leader: PeerId | null = null
  #unneeded = 0

  /** A write of entries has become durable here. `isCommitted`: this peer had heard by then that the first of them is, without it. */
  written({ isVoter, leader }: Standing, isCommitted: boolean): void {
    if (leader !== this.#leader) this.#unneeded = 0
    this.#leader = leader
    this.#unneeded = isVoter && isCommitted ? this.#unneeded + 1 : 0
  }

  /** For so long may entries wait for others to be written with, ms. */
  lingerFor({ isVoter, isFollower, leader }: Standing): number {
    if (!isVoter) return learnerLingers
    // Under another leader others are quick.
    return isFollower && leader === this.#leader && this.#unneeded >= unneededInARow ? reserveLingers : 0
  }
}
