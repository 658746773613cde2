import type { PeerId } from '../raft/entry.js'
import type { HostContext } from './context.js'

/**
 * Leader: when the room's machine may be raised (F5), and who can still come in. Counted are all members and all who have asked to
 * be: one that is away may come back with the code that it had, so nothing is raised before it is back or out.
 */
export class VersionPilot {
  readonly #context: HostContext
  /** The highest version that this leader has put into its log in this term. */
  #raisedTo = 0

  constructor(context: HostContext) {
    this.#context = context
  }

  restart(): void {
    this.#raisedTo = 0
  }

  /** Whether a peer that can apply this version understands all that stands in this leader's log, and what it will put there. */
  canFollow(canApply: number): boolean {
    const { raft, machine, abilities } = this.#context
    // What an earlier leader has raised is known once it is applied.
    const isKnown = raft.committedInTerm && raft.appliedIndex >= raft.commitIndex
    return canApply >= (isKnown ? Math.max(machine.version, this.#raisedTo) : abilities.canApply)
  }

  /** To which version the machine is to be raised now, or null. */
  next(members: readonly PeerId[]): number | null {
    const { raft, machine, abilities, peers, self } = this.#context
    if (!raft.committedInTerm || raft.appliedIndex < raft.commitIndex || machine.roomId === null) return null
    const others = members.filter((peerId) => peerId !== self.peerId)
    const canAll = Math.min(abilities.canApply, ...others.map((peerId) => peers.peer(peerId)?.canApply ?? 0))
    return canAll > Math.max(machine.version, this.#raisedTo) ? canAll : null
  }

  raised(version: number): void {
    this.#raisedTo = version
  }
}
