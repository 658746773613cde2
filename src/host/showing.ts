/** What the page is shown of the room: status, members, settings. */
import type { MachineEvent } from '../machine/outcome.js'
import { listSessions } from '../machine/session/view.js'
import { isVoter, votersOf } from '../raft/configuration.js'
import type { Entry } from '../raft/entry.js'
import type { Failure } from '../shared/failure.js'
import { elapsedAtMost, type Instant } from '../shared/instant.js'
import type { HostContext } from './context.js'
import type { HostStatus, MemberRecord } from './page.js'
import { nobodyAfter } from './recovery.js'

/** Without a leader, or one that has a quorum, for this long the room says that it has no quorum, ms ... */
const noQuorumAfter = 1_500
/** ... but not before so many election time-outs over this peer's links (M5): one election may fail. */
const noQuorumElections = 2
/** Round trips shown to the page are refreshed this often, ms. */
const refreshEvery = 1_000

export class Showing {
  readonly #context: HostContext
  readonly #isCertain: () => boolean
  #status: HostStatus | null = null
  #quorumSeenAt: Instant
  #wasReady = false
  #membersDirty = true
  #refreshedAt = Number.NEGATIVE_INFINITY
  #settingsShown: unknown = null

  /** `isCertain`: the session is open and its first echo has come. */
  constructor(context: HostContext, isCertain: () => boolean) {
    this.#context = context
    this.#isCertain = isCertain
    this.#quorumSeenAt = context.now
  }

  happened(entry: Entry, events: readonly MachineEvent[]): void {
    if (entry.type === 'configuration') this.#membersDirty = true
    for (const { type } of events) if (type === 'session.opened' || type === 'session.ended') this.#membersDirty = true
  }

  changed(): void {
    this.#membersDirty = true
  }

  refused(peerId: string, failure: Failure): void {
    this.#context.emit({ type: 'refused', peerId, failure })
  }

  tick(): void {
    const { monotonic } = this.#context.now
    // Nobody measures round trips in an idle room (M6).
    if (this.#context.isCalm || monotonic - this.#refreshedAt < refreshEvery) return
    this.#refreshedAt = monotonic
    this.#membersDirty = true
  }

  flush(): void {
    this.#showSettings()
    this.#showStatus()
    if (!this.#membersDirty) return
    this.#membersDirty = false
    this.#showMembers()
  }

  #showSettings(): void {
    const { settings } = this.#context.machine
    if (!settings || settings === this.#settingsShown) return
    this.#settingsShown = settings
    this.#context.emit({ type: 'settings', settings })
  }

  #showStatus(): void {
    const { raft, now } = this.#context
    if (raft.hasQuorum) this.#quorumSeenAt = now
    const phase = this.#phase()
    const { leader, term, role } = raft
    const missing = phase === 'no-quorum' ? this.#missing() : []
    const before = this.#status
    if (
      before &&
      before.phase === phase &&
      before.raftLeader === leader &&
      before.term === term &&
      before.role === role &&
      before.missing.join() === missing.join()
    ) {
      return
    }
    this.#status = { phase, raftLeader: leader, term, role, missing }
    this.#context.emit({ type: 'status', status: this.#status })
  }

  #phase(): HostStatus['phase'] {
    const { raft, now } = this.#context
    const certain = this.#isCertain()
    if (raft.hasQuorum) {
      if (certain) this.#wasReady = true
      return certain || this.#wasReady ? 'ready' : 'joining'
    }
    const member = raft.configuration.voters.length > 0
    const patience = Math.max(noQuorumAfter, noQuorumElections * this.#context.patience)
    if (elapsedAtMost(this.#quorumSeenAt, now) >= (member ? patience : nobodyAfter)) return 'no-quorum'
    return this.#wasReady ? (this.#status?.phase ?? 'ready') : 'joining'
  }

  /**
   * Voters that are not there, as far as this peer sees. Links outlive their other ends; but whoever has been asked for so long without a word
   * of it is why there is no quorum.
   */
  #missing(): string[] {
    const { raft, peers, self } = this.#context
    return votersOf(raft.configuration).filter(
      (peerId) => peerId !== self.peerId && !peers.isReachable(peerId, noQuorumAfter),
    )
  }

  #showMembers(): void {
    const { raft, peers, self, machine } = this.#context
    const { configuration } = raft
    const sessions = new Map(listSessions(machine).map((session) => [session.peerId, session]))
    const members = [...votersOf(configuration), ...configuration.learners].map((peerId): MemberRecord => {
      const session = sessions.get(peerId)
      const link = peerId === self.peerId ? null : peers.link(peerId)
      const isReachable = peers.isReachable(peerId)
      return {
        peerId,
        browserId: session?.browserId ?? peers.peer(peerId)?.browserId ?? '',
        role: isVoter(configuration, peerId) ? 'voter' : 'learner',
        connected: peerId === self.peerId || isReachable,
        link: isReachable && link ? link.kind : null,
        rtt: isReachable ? peers.rtt(peerId) : null,
        state: session?.state ?? null,
      }
    })
    this.#context.emit({ type: 'members', members })
  }
}
