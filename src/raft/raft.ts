import { assert } from './assert.js'
import { campaign, inherit, takePromisedVote } from './candidate.js'
import { hasReady, onPersisted, takeReady } from './durability.js'
import { type Configuration, type Entry, type EntryId, type Incarnation, noEntry, type PeerId } from './entry.js'
import { doubtLeader, forgetLeader, retime } from './follower.js'
import { fork, joinFork } from './fork.js'
import { stepDown } from './leader.js'
import { compactLog, configurationOf, entriesBetween, lastIndex, lastTime, termAt } from './log.js'
import type { Message, MessageOf, Snapshot } from './message.js'
import { awaitNews } from './news.js'
import { promiseVote, revokePromise } from './promise.js'
import { type ProposeResult, propose, proposeConfiguration } from './proposal.js'
import { failReadsOf, requestRead } from './read-index.js'
import type { Ready, Role, Status } from './ready.js'
import { reportUnreachable } from './reply.js'
import { laggardsAtRest, laggardsWhenIdle, nudge, offerRest, rest, stepQuiet, wake } from './rest.js'
import { createState, hasCommittedInTerm, type RaftOptions, type RaftState, type RaftTiming } from './state.js'
import { statusOf } from './status.js'
import { step } from './step.js'
import { stall, tick, ticksUntilDue } from './tick.js'
import { type TransferResult, transferLeadership } from './transfer.js'

/**
 * The Raft core of one peer: a pure state machine. It reads no clock, draws no outside randomness, awaits nothing and
 * does not know what a command means. Call an input, then take the `Ready` and do its numbered duties. The same inputs
 * in the same order give the same outputs. It throws only when its own invariants, or the caller's duties, are broken:
 * then the peer must stop.
 */
export class Raft {
  readonly #state: RaftState

  /** Begins as a follower of nobody with what was durable; what is committed is handed out again from the snapshot on. */
  constructor(options: RaftOptions) {
    checkTiming(options)
    checkLimits(options)
    const { leaseTicks = 0, newsTicks = 0 } = options
    assert(
      leaseTicks >= 0 && leaseTicks < options.electionTicks,
      'a lease of reads is shorter than an election time-out',
    )
    assert(newsTicks >= 0 && newsTicks < Number.POSITIVE_INFINITY, 'news come in the end')
    this.#state = createState(options)
  }

  /**
   * Time has passed, in ticks (ms, in our host). Each timer fires at most once, however long it was (C3). Call it before
   * `step`, so that what a message means is judged by the time at which it is read.
   */
  tick(ticks: number): void {
    tick(this.#state, ticks)
  }

  /**
   * The same for a caller that did not run for so long (C3): what was said to it meanwhile waits, and comes before any time-out of this core
   * fires, with the next `tick`. Else a process that stood still would depose a leader whose heartbeats lie in its queue.
   */
  stall(ticks: number): void {
    stall(this.#state, ticks)
  }

  /** Ticks until `tick` has something to do; `Infinity` if nothing will be due. Changes with every input. */
  ticksUntilDue(): number {
    return ticksUntilDue(this.#state)
  }

  /**
   * Other times from now on (PROTOCOL F5, M5). Of a leader they are everybody's; of a follower, what its own links need: it waits for its
   * leader's time-out or its own, whichever is longer, and campaigns by its own. An election that is due keeps its time.
   */
  retime(timing: RaftTiming): void {
    checkTiming(timing)
    // Whoever has not heard of the new time-out yet keeps to the old one: a lease counts the smaller of both (M5).
    assert(this.#state.leaseTicks < timing.electionTicks, 'a lease of reads is shorter than any election time-out')
    retime(this.#state, timing)
  }

  /**
   * M6: somebody waits in vain for an answer of a leader that has slowed down. It gets this peer's own time-out to speak. False: there
   * is nothing to doubt.
   */
  doubtLeader(): boolean {
    return doubtLeader(this.#state)
  }

  /** A message came. Late, repeated, reordered and foreign ones do no harm. */
  step(message: Message): void {
    step(this.#state, message)
  }

  /**
   * Leader only: appends one command for each element, all or none. `time` is cluster time (C1), raised to the last entry's.
   * `proposer`: who waits for it, if that is another member: it learns of the commit the shortest way.
   */
  propose(time: number, data: readonly Uint8Array[], proposer: PeerId = this.#state.peerId): ProposeResult {
    return propose(this.#state, time, data, proposer)
  }

  /**
   * Leader only: changes the members to these, by one step if the voters differ by one at most (dissertation 4.1), else through a joint
   * configuration (4.3), which this or a later leader leaves by itself. The first step is in force from now on, and to be
   * counted on once its entry is committed.
   */
  proposeConfiguration(time: number, next: Configuration): ProposeResult {
    return proposeConfiguration(this.#state, time, next)
  }

  /**
   * A linearizable read (R1). A later Ready has exactly one `ReadState` for each call: serve it once that index is
   * applied, or ask again if it is null.
   */
  read(id: number): void {
    requestRead(this.#state, id)
  }

  /**
   * Follower only: the leader is known to be gone (M5). An election is due at once, by turns; `heir`: whom the leader has left its place
   * to, with its last word (M1). That one asks for votes as if it had been told to lead.
   */
  forgetLeader(heir: PeerId | null = null): void {
    if (heir === null || heir !== this.#state.peerId || !inherit(this.#state)) forgetLeader(this.#state, heir)
  }

  /** Begins a pre-vote now, if this peer is a voter and does not lead. */
  campaign(): void {
    campaign(this.#state)
  }

  /**
   * Leader of two voters only (M2): gives its vote of the next term to the other one, to be shown by it once this peer is gone. True
   * when the promise stands; `promisedVote` tells when it is durable. Until it is revoked no configuration is appended, and a
   * leader that steps down enters that term.
   */
  promiseVote(): boolean {
    return promiseVote(this.#state)
  }

  /** Whoever kept the promised vote for this peer has destroyed it: it will never be shown. */
  revokePromise(): void {
    revokePromise(this.#state)
  }

  /** The vote to leave behind, once it is durable. */
  get promisedVote(): { readonly to: PeerId; readonly term: number } | null {
    const { promise, term } = this.#state
    return promise?.isDurable ? { to: promise.to, term: term + 1 } : null
  }

  /** The leader has gone for good and left its vote of that term to this peer (M2). Too late, or not for this one: no harm. */
  takePromisedVote(from: PeerId, term: number): void {
    takePromisedVote(this.#state, from, term)
  }

  /**
   * Begins another history with this log, of which this peer is the only voter, and leads it in that term (PROTOCOL N3): for a group whose
   * quorum is gone for good, on the word of somebody who accepts the loss. The term is above all that any peer with a part in it has seen;
   * messages of the two histories must never meet (F1). Returns its first entry: the `foundation` of whoever takes part.
   */
  fork(term: number): EntryId {
    fork(this.#state, term)
    this.#state.foundation = { term, index: lastIndex(this.#state.log) }
    return this.#state.foundation
  }

  /** Begins a history of its own with an empty log (PROTOCOL N1): of this peer, in that life. Nobody else has a part in it. */
  found(term: number, incarnation: Incarnation): EntryId {
    assert(this.lastIndex === 0, 'a founding begins with an empty log')
    fork(this.#state, term, incarnation)
    this.#state.foundation = noEntry
    return { term, index: this.lastIndex }
  }

  /**
   * This log is the beginning of another one's history from now on (N3): see `RaftOptions.foundation`. Its leader is unknown. An empty log of a
   * peer that has promised nothing may be that of any history.
   */
  joinFork(foundation: EntryId): void {
    joinFork(this.#state, foundation)
  }

  /** Leader only: lets that voter lead, once it has the whole log. Given up after an election time-out (S61). */
  transferLeadership(to: PeerId): TransferResult {
    return transferLeadership(this.#state, to)
  }

  /** How fit this peer is to lead, a whole number from 0: less fit ones let it campaign first, for one time-out. */
  setPriority(priority: number): void {
    assert(Number.isSafeInteger(priority) && priority >= 0, 'a priority is a whole number')
    this.#state.priority = priority
  }

  /** Leader only: follower of nobody in the same term, or in the one whose vote it has promised (a gap in its own time, trouble with its disk). */
  stepDown(): void {
    stepDown(this.#state)
  }

  /** Every write up to this Ready is durable, in order. */
  persisted(sequence: number): void {
    onPersisted(this.#state, sequence)
  }

  /** The machine has executed everything up to `index`. */
  applied(index: number): void {
    const { log } = this.#state
    assert(index <= log.applying, 'only what was handed out is applied')
    log.applied = Math.max(log.applied, index)
  }

  /**
   * The caller has a snapshot of its machine at `snapshot.meta.index`, which is applied and durable in the log. Entries
   * below `keepFrom` are dropped; the rest is a tail for slow followers. Ignored if a newer snapshot is here already.
   */
  compact(snapshot: Snapshot, keepFrom: number): void {
    compactLog(this.#state.log, snapshot, keepFrom)
  }

  /**
   * Leader only: somebody at that member waits for what has been committed, other than for a proposal or a read of its own: it hears with the
   * next Ready (`newsTicks`).
   */
  tell(peerId: PeerId): void {
    if (this.#state.leading !== null) awaitNews(this.#state.leading, peerId)
  }

  /** Messages to this peer were lost, or its connection is down. */
  reportUnreachable(peerId: PeerId): void {
    if (this.#state.leading !== null) reportUnreachable(this.#state.leading, peerId)
    else failReadsOf(this.#state, peerId)
  }

  /** For whoever lets groups rest (`RaftGroups`, or a host that slows down), as the six below. Leader: who would be left behind if the group rested, or null if it cannot. */
  laggardsAtRest(): PeerId[] | null {
    return laggardsAtRest(this.#state)
  }

  /** The same for a leader whose group slows down only, and goes on ticking: it may have promised its vote. */
  laggardsWhenIdle(): PeerId[] | null {
    return laggardsWhenIdle(this.#state)
  }

  /** Leader: the heartbeats that no Ready has carried yet ask for a rest. */
  offerRest(): void {
    offerRest(this.#state)
  }

  /** A heartbeat that asks for a rest. True if this follower has agreed: its caller may stop calling `tick`. */
  stepQuiet(message: MessageOf<'heartbeat'>): boolean {
    return stepQuiet(this.#state, message)
  }

  /** Leader: all have agreed; `tick` is not called until `wake`. */
  rest(): void {
    rest(this.#state)
  }

  /** `tick` is called again, after so many ticks at rest; a follower's leader was last known to live `silence` ticks ago. */
  wake(ticks: number, silence: number): void {
    wake(this.#state, ticks, silence)
  }

  /** Tells whoever led while this peer rested that it is awake, and in which term. */
  nudge(leader: PeerId): void {
    nudge(this.#state, leader)
  }

  hasReady(): boolean {
    return hasReady(this.#state)
  }

  /** Takes what is to be done; see `Ready` for the duties. What it carries is not given again. */
  ready(): Ready {
    return takeReady(this.#state)
  }

  /** A fresh copy for hosts, checkers and humans. */
  status(): Status {
    return statusOf(this.#state)
  }

  get role(): Role {
    return this.#state.role
  }

  get term(): number {
    return this.#state.term
  }

  get leader(): PeerId | null {
    return this.#state.leader
  }

  get commitIndex(): number {
    return this.#state.log.commit
  }

  get appliedIndex(): number {
    return this.#state.log.applied
  }

  /** Durable here up to this index. */
  get stableIndex(): number {
    return this.#state.log.stable
  }

  get lastIndex(): number {
    return lastIndex(this.#state.log)
  }

  /** Cluster time of the last entry. */
  get lastTime(): number {
    return lastTime(this.#state.log)
  }

  /** The one in force: the newest in the log, committed or not. */
  get configuration(): Configuration {
    return configurationOf(this.#state.log)
  }

  /** Null for what is compacted or not there. */
  entryTerm(index: number): number | null {
    return termAt(this.#state.log, index)
  }

  /** All that is in the log above `index`, committed or not; nothing if that is compacted. */
  entriesAfter(index: number): readonly Entry[] {
    const { log } = this.#state
    return index < log.base.index ? [] : entriesBetween(log, index + 1, lastIndex(log))
  }

  /** Leader: number of the newest heartbeat round begun in this term (periodic, or for reads); else 0. */
  get currentRound(): number {
    return this.#state.leading?.round ?? 0
  }

  /**
   * Leader: the highest round that a quorum has acknowledged (a lone voter's at once); else 0. It still led when that
   * round began (S-5).
   */
  get confirmedRound(): number {
    return this.#state.leading?.confirmedRound ?? 0
  }

  /** Leader: a quorum was heard at the last check of it. Follower: it knows its leader. */
  get hasQuorum(): boolean {
    return this.#state.leading?.hasQuorum ?? this.#state.leader !== null
  }

  /** Leader: an entry of its own term is committed. */
  get committedInTerm(): boolean {
    return this.#state.leading !== null && hasCommittedInTerm(this.#state)
  }
}

function checkTiming({ electionTicks, electionTicksMax, heartbeatTicks, preVoteTicks }: RaftTiming): void {
  assert(electionTicks >= 1, 'an election time-out is at least one tick')
  assert(electionTicksMax > electionTicks, 'time-outs have a spread, or every vote splits')
  assert(heartbeatTicks >= 1 && heartbeatTicks < electionTicks, 'heartbeats beat the time-out')
  assert(preVoteTicks >= 1, 'a pre-vote lasts at least one tick')
}

function checkLimits(options: RaftOptions): void {
  const { maxAppendBytes, maxInflightAppends, maxInflightBytes, maxUncommittedBytes, maxCommittedBytes } = options
  const { maxChunkBytes, maxInflightChunkBytes, maxSnapshotBytes } = options
  const sending = { maxAppendBytes, maxInflightAppends, maxInflightBytes, maxChunkBytes, maxInflightChunkBytes }
  const limits = { ...sending, maxUncommittedBytes, maxCommittedBytes, maxSnapshotBytes }
  for (const [name, limit = 1] of Object.entries(limits)) {
    assert(Number.isSafeInteger(limit) && limit >= 1, `${name} is a whole number from 1`)
  }
}
