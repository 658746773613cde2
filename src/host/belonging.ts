/**
 * Which history of the room this peer belongs to: how it comes into one, goes over to a fork with its log, and what it leaves behind when
 * its own has ended (N1 to N3). `Recovery` and `Meetings` decide; here stands what follows.
 */
import { encodeInstruction } from '../machine/instruction.js'
import type { MachineState } from '../machine/machine.js'
import { noEntry } from '../raft/entry.js'
import { elapsedAtMost, type Instant } from '../shared/instant.js'
import type { Lineage } from '../storage/storage.js'
import type { HostContext } from './context.js'
import type { Claim } from './histories.js'
import { Meetings } from './meetings.js'
import type { Stranger } from './peers.js'
import { Recovery } from './recovery.js'

/** A peer without a room waits that long for the one that it was told of before it takes another, ms (N2). */
const expectedWithin = 3_000

export interface BelongingOptions {
  /** As it was stored. */
  readonly lineage: Lineage | null
  readonly expectedRoomId: string | null
  /** Ids of histories that this peer begins (N3): never the same one twice. */
  readonly randomText: () => string
  readonly actions: BelongingActions
}

export interface BelongingActions {
  /** Makes that durable: before anything that comes after it, or `together` with what the core writes next. */
  keep(lineage: Lineage, together: boolean): void
  /** What the whole log comes to, committed or not. */
  logged(): MachineState
  /** This peer belongs to a room for the first time. */
  entered(lineage: Lineage): void
  /** It goes on in a fork, with its session and its locks. */
  wentOver(): void
  askToBeAdmitted(): void
}

export class Belonging {
  readonly recovery: Recovery
  readonly meetings: Meetings
  readonly #context: HostContext
  readonly #options: BelongingOptions
  #lineage: Lineage | null
  /** The history that this peer begins: nobody hears of it before it is durable. */
  #forking: Lineage | null = null
  /** Met instead of the room that was expected: taken when nobody of that one comes. */
  #unexpected: { readonly lineage: Lineage; readonly since: Instant } | null = null
  #successor: Lineage | null = null

  constructor(context: HostContext, options: BelongingOptions) {
    this.#context = context
    this.#options = options
    this.#lineage = options.lineage
    const { randomText, actions } = options
    this.recovery = new Recovery(context, () => this.#lineage, {
      fork: (forkId, term, members) => this.#fork(forkId, term, members),
      randomText,
    })
    this.meetings = new Meetings(context, () => this.#lineage, {
      leaveFor: (lineage) => this.#leaveFor(lineage),
      logged: () => actions.logged(),
    })
  }

  /** As others are told. */
  get lineage(): Lineage | null {
    return this.#lineage
  }

  /** Whose entries this peer's core writes now, also while nobody else is told. */
  get written(): Lineage | null {
    return this.#forking ?? this.#lineage
  }

  /** This peer's history is over for it: that one goes on. */
  get successor(): Lineage | null {
    return this.#successor
  }

  /** N3: what of the old history is on its way has no part in the new one. */
  get isBetweenHistories(): boolean {
    return this.#forking !== null || this.recovery.isStandingBy
  }

  /** N1: a peer without a room takes over the lineage of the first that has it, and says so durably before anything else. */
  found(lineage: Lineage): void {
    const { expectedRoomId, actions } = this.#options
    if (this.#lineage) return
    const isOther = expectedRoomId !== null && expectedRoomId !== lineage.roomId
    if (isOther && !this.#hasWaitedFor(lineage)) return
    this.#lineage = lineage
    actions.keep(lineage, false)
    this.#context.peers.setLineage(lineage)
    actions.entered(lineage)
  }

  tick(): void {
    if (!this.#lineage && this.#unexpected) this.found(this.#unexpected.lineage)
    this.recovery.tick()
    this.meetings.tick()
  }

  /** Something has become durable. */
  persisted(): void {
    const lineage = this.#forking
    if (!lineage?.foundation || this.#context.raft.stableIndex < lineage.foundation.index) return
    this.#forking = null
    this.#goOver(lineage)
  }

  /** N2, N3: a history that has ended is told of whatever way this peer learns of it: by its log, or by a snapshot. */
  noticeSuccessor(): void {
    const { successor } = this.#context.machine
    if (!successor) return
    const { foundation, ...lineage } = successor
    this.#successor ??= foundation ? { ...lineage, foundation } : lineage
  }

  /** N3: one of those who are left leads the history that this peer may have agreed to. */
  metStranger({ lineage }: Stranger): void {
    this.meetings.met()
    const { raft } = this.#context
    const mine = this.#lineage
    const { foundation } = lineage
    if (!mine || !foundation || !this.recovery.hasAgreedTo(lineage)) return
    if (lineage.roomId !== mine.roomId || lineage.epoch !== mine.epoch + 1 || foundation.term <= raft.term) return
    raft.joinFork(foundation)
    this.#options.actions.keep(lineage, false)
    this.#goOver(lineage)
    this.#options.actions.askToBeAdmitted()
  }

  claimed(stranger: Stranger, claim: Claim): void {
    this.meetings.heard(stranger, claim)
  }

  /** N3: this peer has the best log of those who are left. The entries and whose they are become durable together. */
  #fork(forkId: string, term: number, members: number): void {
    if (!this.#lineage) return
    const { raft, now, clusterTime } = this.#context
    const { roomId, epoch } = this.#lineage
    const previousTerm = raft.entryTerm(raft.lastIndex) ?? 0
    const foundation = { ...raft.fork(term), previousTerm, members }
    this.#forking = { roomId, epoch: epoch + 1, forkId, foundation }
    this.#options.actions.keep(this.#forking, true)
    const seconds = Math.floor(now.wall / 1_000)
    raft.propose(clusterTime, [encodeInstruction({ type: 'fork', epoch: epoch + 1, forkId, seconds, members })])
  }

  #goOver(lineage: Lineage): void {
    this.#lineage = lineage
    this.recovery.ended()
    this.#context.peers.setLineage(lineage)
    this.#options.actions.wentOver()
  }

  #leaveFor(lineage: Lineage): void {
    const { raft, peers } = this.#context
    if (raft.lastIndex > 0 || raft.term > 0) {
      this.#successor = lineage
      return
    }
    // It was on its way in, and has promised nothing to anybody: it turns round.
    this.#lineage = lineage
    this.#options.actions.keep(lineage, false)
    raft.joinFork(lineage.foundation ?? noEntry)
    peers.setLineage(lineage)
    this.#options.actions.askToBeAdmitted()
  }

  /** N2: a server, or this browser, may still name a room that has gone over to another one. */
  #hasWaitedFor(lineage: Lineage): boolean {
    const { now } = this.#context
    this.#unexpected ??= { lineage, since: now }
    return elapsedAtMost(this.#unexpected.since, now) >= expectedWithin
  }
}
