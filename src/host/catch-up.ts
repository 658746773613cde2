import type { PeerId } from '../raft/entry.js'
import type { ProgressStatus } from '../raft/ready.js'

/** A learner votes only after it has kept up for this many heartbeat rounds (dissertation 4.2.1, M4). */
const roundsToPromote = 3
/** ... never further behind the commit index than this many entries: about what one append carries. */
const lagMax = 64

/** Leader: which learners would hold nothing up if they voted. One that falls back begins anew (S56). */
export class CatchUp {
  /** Since which round each of them has kept up without a break. */
  readonly #since = new Map<PeerId, number>()

  /**
   * To be asked with every look at the members: what happens between two looks is not seen. `isLastLook`: this leader stops before any more
   * rounds; so it is enough to have the log now (S-4).
   */
  keepsUp(peerId: PeerId, progress: ProgressStatus | undefined, commitIndex: number, isLastLook: boolean): boolean {
    if (progress?.state !== 'replicate' || commitIndex - progress.matchIndex > lagMax) {
      this.#since.delete(peerId)
      return false
    }
    const since = this.#since.get(peerId) ?? progress.round
    this.#since.set(peerId, since)
    return isLastLook || progress.round - since >= roundsToPromote
  }

  /** Leadership begins: rounds are counted anew. */
  restart(): void {
    this.#since.clear()
  }
}
