/**
 * What the leader knows of the sessions' pages: when it last heard from each, what it may echo, and whose time has run
 * out. Only a leader keeps it; a new one, unless nobody led between (`Tenure`), starts afresh with full leases (S-5).
 */
import type { SessionId } from '../machine/command.js'
import { encodeInstruction } from '../machine/instruction.js'
import { findSession, listSessions, pendingExpiry } from '../machine/session/view.js'
import type { PeerId } from '../raft/entry.js'
import { elapsedAtLeast, type Instant, postponed } from '../shared/instant.js'
import type { HostContext } from './context.js'

interface Heard {
  readonly from: PeerId
  readonly session: SessionId
  readonly monotonic: number
  readonly wall: number
  /** The first heartbeat round that begins after this was heard. */
  readonly round: number
}

export class Leases {
  readonly #context: HostContext
  readonly #heardAt = new Map<SessionId, Instant>()
  /** Sessions that have been echoed in this term, and since the room was idle: the first echo is worth a round of its own. */
  readonly #echoed = new Set<SessionId>()
  #waiting: Heard[] = []
  /** The end of these sessions stands in the log, up to which index: no echo until it is applied (S-5). */
  readonly #ending = new Map<SessionId, number>()

  constructor(context: HostContext) {
    this.#context = context
  }

  /** How many sessions it knows something of. */
  get known(): number {
    return new Set([...this.#heardAt.keys(), ...this.#echoed, ...this.#ending.keys()]).size
  }

  /** This host was elected, or cannot vouch for its own past (C3): everybody gets a full lease from now. */
  restart(): void {
    this.#heardAt.clear()
    this.#echoed.clear()
    for (const { session } of listSessions(this.#context.machine)) this.#heardAt.set(session, this.#context.now)
    this.#waiting = []
  }

  /** This host stood still from then until now (C3): that was no silence, and nothing is echoed before a quorum answers again. */
  resume(stoppedAt: Instant): void {
    const { now } = this.#context
    for (const [session, since] of this.#heardAt) this.#heardAt.set(session, postponed(since, stoppedAt, now))
    this.#echoed.clear()
    this.#waiting = []
  }

  /** A page was alive at that time of its own clocks. Its echo waits for a quorum that answers a round begun after now. */
  alive(from: PeerId, session: SessionId, monotonic: number, wall: number): void {
    const { raft, machine, now } = this.#context
    if (findSession(machine, session)?.peerId !== from) return
    this.#heardAt.set(session, now)
    // The oldest stays if its round has begun: across slow links the page speaks again before any round is answered.
    const oldest = this.#waiting.find((heard) => heard.session === session && heard.round <= raft.currentRound)
    this.#waiting = this.#waiting.filter((heard) => heard.session !== session || heard === oldest)
    this.#waiting.push({ from, session, monotonic, wall, round: raft.currentRound + 1 })
    if (!this.#echoed.has(session)) raft.read(kickRound)
  }

  /** M6: the room was idle, and somebody is about to ask for something: the next echo of each is worth a round again. */
  expectRequests(): void {
    this.#echoed.clear()
  }

  /** An instruction that ends this session was appended. */
  ending(session: SessionId, index: number): void {
    this.#ending.set(session, index)
  }

  /** Sends the echoes that a quorum now stands behind (S-5). */
  release(): void {
    const { raft, machine, clusterTime } = this.#context
    if (this.#waiting.length === 0 || !raft.committedInTerm || machine.appliedIndex < raft.commitIndex) return
    const due = this.#waiting.filter((heard) => heard.round <= raft.confirmedRound)
    if (due.length === 0) return
    this.#waiting = this.#waiting.filter((heard) => heard.round > raft.confirmedRound)
    for (const { from, session, monotonic, wall } of due) {
      if (!findSession(machine, session) || this.#isEnding(session)) continue
      this.#echoed.add(session)
      this.#context.send(from, { type: 'echo', session, monotonic, wall, clusterTime, commitIndex: raft.commitIndex })
    }
  }

  /** Proposes the end of what has been silent for too long. Takes away, so counts the smaller elapsed time (C2). */
  tick(): void {
    const { raft, machine, now } = this.#context
    if (!raft.committedInTerm) return
    const expiries: { session: SessionId; instruction: Uint8Array }[] = []
    for (const { session } of listSessions(machine)) {
      if (this.#isEnding(session)) continue
      const silence = Math.floor(elapsedAtLeast(this.#since(session), now))
      if (!pendingExpiry(machine, session, silence)) continue
      const instruction = encodeInstruction({ type: 'expire', session, silence, term: raft.term })
      expiries.push({ session, instruction })
    }
    if (expiries.length > 0) this.#context.submit(expiries.map(({ instruction }) => instruction))
    this.#forgetEnded()
  }

  /** A leader may stay for as long as tabs come and go. */
  #forgetEnded(): void {
    const { machine } = this.#context
    for (const sessions of [this.#heardAt, this.#echoed])
      for (const session of sessions.keys()) if (!findSession(machine, session)) sessions.delete(session)
    for (const session of this.#ending.keys()) this.#isEnding(session)
  }

  /** One that this leader has not heard of yet counts from when it first sees it. */
  #since(session: SessionId): Instant {
    const since = this.#heardAt.get(session) ?? this.#context.now
    this.#heardAt.set(session, since)
    return since
  }

  #isEnding(session: SessionId): boolean {
    const index = this.#ending.get(session)
    if (index === undefined) return false
    if (this.#context.machine.appliedIndex < index) return true
    this.#ending.delete(session)
    return false
  }
}

/** The id of reads that exist only to begin a heartbeat round. */
export const kickRound = 0
