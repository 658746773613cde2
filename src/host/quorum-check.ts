import { stepTowards } from '../raft/configuration.js'
import type { Configuration, PeerId } from '../raft/entry.js'
import { quorumValue } from '../raft/quorum.js'

/** As much of a leader's heartbeat rounds as the check needs. */
export interface Rounds {
  /** The newest one that has begun. */
  readonly current: number
  /** The newest one that this member has answered, 0 if none. */
  answeredBy(peerId: PeerId): number
  /** Begins one now, instead of a heartbeat interval later. */
  begin(): void
}

/**
 * Leader: nobody is counted on for what it said before it was needed. A member may be gone for good while its link still looks alive; a
 * configuration whose quorum needs it could neither be committed nor be taken back (M2, M3, M4). So a change of voters waits until as
 * many as have to commit under it have answered a round that began after this very change was decided.
 */
export class QuorumCheck {
  readonly #leader: PeerId
  #change: { readonly step: string; readonly round: number } | null = null

  constructor(leader: PeerId) {
    this.#leader = leader
  }

  /** A decision waits for answers. */
  get isOpen(): boolean {
    return this.#change !== null
  }

  /** To be asked for as long as the decision stands; another one begins anew. */
  passes(current: Configuration, next: Configuration, rounds: Rounds): boolean {
    const step = stepTowards(current, next)
    const voters = [current.voters, step.voters, step.outgoing].join(' | ')
    const isNew = this.#change?.step !== voters
    const round = isNew ? rounds.current + 1 : (this.#change?.round ?? 0)
    const answered = (peerId: PeerId) => (peerId === this.#leader ? round : rounds.answeredBy(peerId))
    if (step.voters.join() === current.voters.join() || quorumValue(step, answered) >= round) return true
    this.#change = { step: voters, round }
    if (isNew) rounds.begin()
    return false
  }

  /** No such decision any more, or what was answered is old. */
  restart(): void {
    this.#change = null
  }
}
