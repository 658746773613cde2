/**
 * Which history of the room this peer belongs to: how it comes into one, goes over to a fork with its log, and what it leaves behind when
 * its own has ended (N1 to N3). `Recovery` and `Meetings` decide; here stands what follows.
 */
import type { RoomSettings } from '../machine/command.js'
import { encodeInstruction, tokensPerSecond } from '../machine/instruction.js'
import type { MachineState } from '../machine/machine.js'
import { tokenBaseMax } from '../machine/token-base.js'
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

/** Twice what a room rises by for a peer that comes over to it: another one may have done so before the room was gone (T1). */
const tokensBeyond = 2 ** 33

/** This peer's history is over for it. */
export interface Ending {
  /** The one that goes on. */
  readonly successor: Lineage
  /** The first index that is not in that one too. */
  readonly partsAt: number
}

export interface BelongingOptions {
  /** As it was stored. */
  readonly lineage: Lineage | null
  readonly expectedRoomId: string | null
  /** Ids of histories that this peer begins (N3): never the same one twice. */
  readonly randomText: () => string
  /** What the room gets if this peer founds it anew. */
  readonly settings: RoomSettings
  /** The highest token that this browser knows of histories of this room that have ended (T1). */
  readonly tokenFloor: number
  readonly actions: BelongingActions
}

export interface BelongingActions {
  /** Makes that durable: before anything that comes after it, or `together` with what the core writes next. */
  keep(lineage: Lineage, together: boolean): void
  /** What the whole log comes to, committed or not. */
  logged(): MachineState
  /** This peer belongs to a room for the first time. */
  entered(lineage: Lineage): void
  /** On its way into one history it learned that this has ended for another one, which it is in now. */
  turnedRound(lineage: Lineage): void
  /** Cluster time is 0 now (C1). */
  timeBegins(): void
  /** ... of which it is all: this browser knows no other one of that name any more. */
  foundedAnew(lineage: Lineage): void
  /** It goes on in a fork, with its session and its locks. */
  wentOver(lineage: Lineage): void
  askToBeAdmitted(): void
}

export class Belonging {
  readonly recovery: Recovery
  readonly meetings: Meetings
  readonly #context: HostContext
  readonly #options: BelongingOptions
  #lineage: Lineage | null
  /** The history that this peer begins: nobody hears of it before it is durable. */
  #forking: { readonly lineage: Lineage; readonly index: number } | null = null
  /** Met instead of the room that was expected: taken when nobody of that one comes. */
  #unexpected: { readonly lineage: Lineage; readonly since: Instant } | null = null
  #ending: Ending | null = null

  constructor(context: HostContext, options: BelongingOptions) {
    this.#context = context
    this.#options = options
    this.#lineage = options.lineage
    const { randomText, actions } = options
    this.recovery = new Recovery(context, () => this.#lineage, {
      fork: (forkId, term, members) => this.#fork(forkId, term, members),
      foundAnew: (term) => this.#foundAnew(term),
      randomText,
    })
    this.meetings = new Meetings(context, () => this.#lineage, {
      leaveFor: (lineage, partsAt) => this.#leaveFor(lineage, partsAt),
      logged: () => actions.logged(),
    })
  }

  /** As others are told. */
  get lineage(): Lineage | null {
    return this.#lineage
  }

  /** Whose entries this peer's core writes now, also while nobody else is told. */
  get written(): Lineage | null {
    return this.#forking?.lineage ?? this.#lineage
  }

  get ending(): Ending | null {
    return this.#ending
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
    const forking = this.#forking
    if (!forking || this.#context.raft.stableIndex < forking.index) return
    this.#forking = null
    if (forking.lineage.foundation) this.#goOver(forking.lineage)
    else this.#begin(forking.lineage)
  }

  /** N2, N3: a history that has ended is told of whatever way this peer learns of it: by its log, or by a snapshot. */
  noticeSuccessor(): void {
    const { successor } = this.#context.machine
    if (!successor) return
    const { roomId, epoch, forkId, foundation, partsAt = 1 } = successor
    this.#ending ??= { successor: { roomId, epoch, forkId, ...(foundation && { foundation }) }, partsAt }
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
    const lineage = { roomId, epoch: epoch + 1, forkId, foundation }
    this.#forking = { lineage, index: foundation.index }
    this.#options.actions.keep(lineage, true)
    const seconds = Math.floor(now.wall / 1_000)
    raft.propose(clusterTime, [encodeInstruction({ type: 'fork', epoch: epoch + 1, forkId, seconds, members })])
  }

  /**
   * N1, N2: the room that this peer was on its way to is gone, with all who had it. If they come back after all, two foundings meet: theirs is
   * the elder. Nothing that was agreed on is given up by that, and whoever knows of higher tokens brings them with its session (T1).
   */
  #foundAnew(term: number): void {
    const { raft, self, now } = this.#context
    const { settings, randomText, tokenFloor, actions } = this.#options
    const lineage = { roomId: randomText(), epoch: 0, forkId: '' }
    const { index } = raft.found(term, self.incarnation)
    this.#forking = { lineage, index }
    actions.keep(lineage, true)
    const bySeconds = Math.floor(now.wall / 1_000) * tokensPerSecond
    const tokenBase = Math.min(tokenBaseMax, Math.max(bySeconds, tokenFloor > 0 ? tokenFloor + tokensBeyond : 0))
    // C1: its time is its own.
    actions.timeBegins()
    raft.propose(0, [encodeInstruction({ type: 'found', roomId: lineage.roomId, tokenBase, settings })])
  }

  #begin(lineage: Lineage): void {
    this.#lineage = lineage
    this.recovery.ended()
    this.#context.peers.setLineage(lineage)
    this.#options.actions.foundedAnew(lineage)
    this.#options.actions.entered(lineage)
  }

  #goOver(lineage: Lineage): void {
    this.#lineage = lineage
    this.recovery.ended()
    this.#context.peers.setLineage(lineage)
    this.#options.actions.wentOver(lineage)
  }

  #leaveFor(lineage: Lineage, partsAt: number): void {
    const { raft, peers } = this.#context
    if (raft.lastIndex > 0 || raft.term > 0) {
      this.#ending = { successor: lineage, partsAt }
      return
    }
    // It was on its way in, and has promised nothing to anybody: it turns round.
    this.#lineage = lineage
    this.#options.actions.keep(lineage, false)
    raft.joinFork(lineage.foundation ?? noEntry)
    peers.setLineage(lineage)
    this.#options.actions.turnedRound(lineage)
    this.#options.actions.askToBeAdmitted()
  }

  /** N2: a server, or this browser, may still name a room that has gone over to another one. */
  #hasWaitedFor(lineage: Lineage): boolean {
    const { now } = this.#context
    this.#unexpected ??= { lineage, since: now }
    return elapsedAtMost(this.#unexpected.since, now) >= expectedWithin
  }
}
