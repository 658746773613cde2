/** What the page is shown of the room: status, members, settings, and the testament it keeps for its last moment (M1). */
import type { MachineEvent } from '../machine/outcome.js'
import { listSessions } from '../machine/session/view.js'
import type { Entry } from '../raft/entry.js'
import { elapsedAtMost, type Instant } from '../shared/instant.js'
import type { HostContext } from './context.js'
import type { Item } from './frame.js'
import type { Goodbye, HostStatus, MemberRecord } from './page.js'

/** Without a leader for this long the room says that it has no quorum, ms: several elections at the default timing. */
const noQuorumAfter = 1_500
/** Round trips shown to the page are refreshed this often, ms. */
const refreshEvery = 1_000

interface Asked {
  /** The session is open and its first echo has come. */
  readonly certain: boolean
  readonly goodbye: Extract<Item, { type: 'goodbye' }>
}

export class Showing {
  readonly #context: HostContext
  readonly #ask: () => Asked
  #status: HostStatus | null = null
  #leaderSeenAt: Instant
  #wasReady = false
  #membersDirty = true
  #refreshedAt = Number.NEGATIVE_INFINITY
  #settingsShown: unknown = null
  #testament = ''

  constructor(context: HostContext, ask: () => Asked) {
    this.#context = context
    this.#ask = ask
    this.#leaderSeenAt = context.now
  }

  happened(entry: Entry, events: readonly MachineEvent[]): void {
    if (entry.type === 'configuration') this.#membersDirty = true
    for (const { type } of events) if (type === 'session.opened' || type === 'session.ended') this.#membersDirty = true
  }

  changed(): void {
    this.#membersDirty = true
  }

  refused(peerId: string, reason: 'version' | 'other-room' | 'incarnation'): void {
    this.#context.emit({ type: 'refused', peerId, reason })
  }

  tick(): void {
    const { monotonic } = this.#context.now
    if (monotonic - this.#refreshedAt >= refreshEvery) {
      this.#refreshedAt = monotonic
      this.#membersDirty = true
    }
    this.#showTestament()
  }

  flush(): void {
    this.#showSettings()
    this.#showStatus()
    if (!this.#membersDirty) return
    this.#membersDirty = false
    this.#showMembers()
    this.#showTestament()
  }

  #showSettings(): void {
    const { settings } = this.#context.machine
    if (!settings || settings === this.#settingsShown) return
    this.#settingsShown = settings
    this.#context.emit({ type: 'settings', settings })
  }

  #showStatus(): void {
    const { raft, now } = this.#context
    if (raft.leader !== null) this.#leaderSeenAt = now
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
    const { certain } = this.#ask()
    if (raft.leader !== null) {
      if (certain) this.#wasReady = true
      return certain || this.#wasReady ? 'ready' : 'joining'
    }
    const member = raft.configuration.voters.length > 0
    if (member && elapsedAtMost(this.#leaderSeenAt, now) >= noQuorumAfter) return 'no-quorum'
    return this.#wasReady ? (this.#status?.phase ?? 'ready') : 'joining'
  }

  /** Voters that are not there, as far as this peer sees. */
  #missing(): string[] {
    const { raft, peers, self } = this.#context
    return raft.configuration.voters.filter((peerId) => peerId !== self.peerId && !peers.isReachable(peerId))
  }

  #showMembers(): void {
    const { raft, peers, self, machine } = this.#context
    const { voters, learners } = raft.configuration
    const sessions = new Map(listSessions(machine).map((session) => [session.peerId, session]))
    const members = [...voters, ...learners].map((peerId): MemberRecord => {
      const session = sessions.get(peerId)
      const link = peerId === self.peerId ? null : peers.link(peerId)
      const isReachable = peers.isReachable(peerId)
      return {
        peerId,
        browserId: session?.browserId ?? peers.peer(peerId)?.browserId ?? '',
        role: voters.includes(peerId) ? 'voter' : 'learner',
        connected: peerId === self.peerId || isReachable,
        link: isReachable && link ? link.kind : null,
        rtt: isReachable ? peers.rtt(peerId) : null,
        state: session?.state ?? null,
      }
    })
    this.#context.emit({ type: 'members', members })
  }

  #showTestament(): void {
    const { peers } = this.#context
    const { goodbye } = this.#ask()
    const all = peers.all()
    const key = `${goodbye.session} ${goodbye.lastNumber} ${all.map(({ peerId, incarnation }) => `${peerId}.${incarnation.counter}`).join()}`
    if (key === this.#testament) return
    this.#testament = key
    const goodbyes = all.flatMap((peer): Goodbye[] => {
      const link = peers.link(peer.peerId)
      if (!link) return []
      return [
        { peerId: peer.peerId, incarnation: peer.incarnation, link: link.kind, frame: peers.frameFor(peer, [goodbye]) },
      ]
    })
    this.#context.emit({ type: 'testament', goodbyes })
  }
}
