/** What only the leader does besides replicating: it stamps time, watches leases, and decides who votes. */
import type { Instruction } from '../machine/command.js'
import { nextDeadline } from '../machine/deadlines.js'
import { decodeInstruction, encodeInstruction } from '../machine/instruction.js'
import { findSessionOfPeer } from '../machine/session/view.js'
import { isPairWith, membersOf } from '../raft/configuration.js'
import type { Configuration, PeerId } from '../raft/entry.js'
import type { ProgressStatus, Status } from '../raft/ready.js'
import { elapsedAtLeast, elapsedAtMost, type Instant, postponed } from '../shared/instant.js'
import { type Candidate, nextConfiguration } from './autopilot.js'
import { CatchUp } from './catch-up.js'
import { type Condition, type Conditions, isUnfit } from './condition.js'
import type { HostContext } from './context.js'
import type { Departures } from './departures.js'
import { kickRound, Leases } from './leases.js'
import type { Peer } from './peers.js'
import { QuorumCheck } from './quorum-check.js'
import { readSubmission } from './submissions.js'
import { bestHeir, betterLeader, type Runner, Succession } from './succession.js'
import { Tenure } from './tenure.js'
import { VersionPilot } from './version-pilot.js'

/** A member with a link that has left so many heartbeats unanswered is not counted on: it may be frozen. */
const muteAfterRounds = 20
/** M4: who stays for so long, ms, is counted on. */
const settledAfter = 5_000

interface Admission {
  readonly learnerOnly: boolean
}

/** What a leader needs of its host. */
export interface LeadershipActions {
  /** M2: true once nobody can show the vote that this leader has promised. */
  withdrawVote(): boolean
  /** Leadership is on its way to that voter. */
  handedOver(to: PeerId): void
}

interface Read {
  readonly bytes: Uint8Array
  readonly instruction: Instruction | null
}

export class Leadership {
  readonly leases: Leases
  readonly #context: HostContext
  readonly #departures: Departures
  readonly #conditions: Conditions
  readonly #actions: LeadershipActions
  readonly #admissions = new Map<PeerId, Admission>()
  /** When each member was last reachable, as far as this leader knows. */
  readonly #seenAt = new Map<PeerId, Instant>()
  readonly #catchUp = new CatchUp()
  readonly #check: QuorumCheck
  readonly #succession = new Succession()
  /** M3: when this leader last decided to do without a silent voter; its election counts as one. */
  #silenceActedAt: Instant
  readonly #versions: VersionPilot
  /** The entry of the last `tick`: until it is applied the machine's deadlines say nothing new. */
  #tickedAt = 0
  #leading = false
  readonly #tenure = new Tenure()

  constructor(context: HostContext, departures: Departures, conditions: Conditions, actions: LeadershipActions) {
    this.#context = context
    this.#departures = departures
    this.#conditions = conditions
    this.#actions = actions
    this.#silenceActedAt = context.now
    this.leases = new Leases(context)
    this.#check = new QuorumCheck(context.self.peerId)
    this.#versions = new VersionPilot(context)
  }

  get leading(): boolean {
    return this.#leading
  }

  begin(): void {
    const { raft, now } = this.#context
    this.#leading = true
    this.#tickedAt = 0
    this.#catchUp.restart()
    this.#versions.restart()
    const before = this.#tenure.begin(raft.term, now)
    // S-5: or nobody's lease would ever end where a quorum goes away for a moment again and again.
    if (before) {
      this.#succession.restart(now)
      this.paused(before)
    } else this.#beNew()
  }

  end(): void {
    this.#leading = false
    this.#tenure.end(this.#context.now)
  }

  /**
   * This host's own time has a gap, from then until now (C3). It counts as a new leader if it was away for a lease or cannot tell for how long.
   * A shorter one is no silence of anybody, and no more: on a machine that stands still every few seconds nobody else would ever be given up.
   */
  paused(stoppedAt: Instant): void {
    const { now } = this.#context
    if (elapsedAtMost(stoppedAt, now) >= this.#lease || now.wall < stoppedAt.wall) {
      this.#beNew()
      return
    }
    for (const [peerId, seenAt] of this.#seenAt) this.#seenAt.set(peerId, postponed(seenAt, stoppedAt, now))
    this.#silenceActedAt = postponed(this.#silenceActedAt, stoppedAt, now)
    this.#check.restart()
    this.leases.resume(stoppedAt)
  }

  #beNew(): void {
    const { now } = this.#context
    this.#seenAt.clear()
    this.#silenceActedAt = now
    this.#succession.restart(now)
    this.#check.restart()
    this.leases.restart()
  }

  /** F5: who could not apply what stands in the log is not taken in. It asks again. */
  admit({ peerId, canApply }: Peer, learnerOnly: boolean): void {
    if (this.#versions.canFollow(canApply)) this.#admissions.set(peerId, { learnerOnly })
  }

  /** Appends this host's own instructions, in order. False when the core refuses: then they are sent again. */
  propose(instructions: readonly Uint8Array[]): boolean {
    const read = instructions.map((bytes) => ({ bytes, instruction: decodeInstruction(bytes) }))
    return this.#append(read, this.#context.self.peerId)
  }

  /** Appends what another peer may ask for, in order; it sends again what is not answered. Gives the number of those refused. */
  submit(instructions: readonly Uint8Array[], peer: Peer): number {
    const { machine } = this.#context
    const read = instructions.map((bytes) => ({ bytes, instruction: readSubmission(bytes, peer, machine) }))
    const allowed = read.filter(({ instruction }) => instruction !== null)
    if (allowed.length > 0) this.#append(allowed, peer.peerId)
    return read.length - allowed.length
  }

  #append(read: readonly Read[], proposer: PeerId): boolean {
    const { raft, clusterTime } = this.#context
    const bytes = read.map((one) => one.bytes)
    const result = raft.propose(clusterTime, bytes, proposer)
    if (!result.accepted) return false
    read.forEach(({ instruction }, i) => {
      if (instruction) this.#noteEnding(instruction, result.firstIndex + i)
    })
    return true
  }

  tick(): void {
    this.leases.tick()
    this.#raise()
    this.#pilot()
    this.#succeed()
  }

  /** C1, S-6: something in the machine is due by the cluster's time. */
  fireDue(): void {
    const { machine, clusterTime, raft } = this.#context
    const due = nextDeadline(machine)
    if (due === null || due > clusterTime || machine.appliedIndex < this.#tickedAt || !raft.committedInTerm) return
    if (this.propose([encodeInstruction({ type: 'tick', term: raft.term })])) this.#tickedAt = raft.lastIndex
  }

  /** In how many ms of cluster time something in the machine is due; null if nothing is, or if it is and only the next housekeeping helps. */
  get dueIn(): number | null {
    const { machine, clusterTime } = this.#context
    const due = nextDeadline(machine)
    return due === null || due <= clusterTime ? null : due - clusterTime
  }

  /** Answers may have come for which a change of voters waits. */
  answered(): void {
    // S-4: no housekeeping comes any more to a page that is about to stop.
    const isLast = this.#conditions.isFrozen
    if (isLast || this.#check.isOpen) this.#pilot()
    if (isLast) this.#succeed()
  }

  /** S-5: an entry that ends a session forbids its echoes from the moment it stands in the log. */
  #noteEnding(instruction: Instruction, index: number): void {
    const { machine } = this.#context
    switch (instruction.type) {
      case 'expire':
        this.leases.ending(instruction.session, index)
        break
      case 'close': {
        const session = findSessionOfPeer(machine, instruction.peerId)
        if (session) this.leases.ending(session.session, index)
        break
      }
      case 'open': {
        const session = findSessionOfPeer(machine, instruction.peerId)
        const { incarnation, attempt } = instruction
        const again = session?.incarnation.counter === incarnation.counter && session.attempt === attempt
        if (session && !again) this.leases.ending(session.session, index)
        break
      }
      default:
    }
  }

  /** F5. */
  #raise(): void {
    const { raft } = this.#context
    const version = this.#versions.next([...membersOf(raft.configuration), ...this.#admissions.keys()])
    if (version !== null && this.propose([encodeInstruction({ type: 'raise', version })]))
      this.#versions.raised(version)
  }

  #pilot(): void {
    const { raft, clusterTime, machine, self, peers, now } = this.#context
    const status = raft.status()
    if (!raft.committedInTerm) return
    const candidates = this.#candidates(status.progress)
    const next = nextConfiguration({
      leader: self.peerId,
      configuration: raft.configuration,
      candidates,
      votersMax: machine.settings?.limits.voters ?? 1,
      mayRemoveSilent: elapsedAtLeast(this.#silenceActedAt, now) > this.#lease,
    })
    // M2. Without a page of its own a resident has nobody who could leave a vote behind.
    if (!next && !self.resident) raft.promiseVote()
    const isDue = next !== null && this.#isPossible(next, status) && this.#actions.withdrawVote()
    if (!isDue) this.#check.restart()
    // The vote before the answers: its page may take long, and answers grow old.
    else if (this.#isConfirmed(next, status)) {
      if (!raft.proposeConfiguration(clusterTime, next).accepted) this.#check.restart()
      else if (removesSilent(status.configuration, next, candidates)) this.#silenceActedAt = now
    }
    for (const peerId of this.#admissions.keys()) if (!peers.peer(peerId)) this.#admissions.delete(peerId)
  }

  /** Leadership goes to who had better have it. A change of voters is ended first, unless this page stops now. */
  #succeed(): void {
    const { raft, self, now } = this.#context
    const status = raft.status()
    if (status.role !== 'leader' || status.transferringTo !== null || self.resident) return
    const candidates = this.#candidates(status.progress)
    const runners = status.configuration.voters.flatMap((peerId) => {
      const candidate = candidates.get(peerId)
      return candidate ? [this.#runner(candidate)] : []
    })
    const move = betterLeader(this.#runner(this.#myself()), runners)
    const isCalm = status.configurationIndex <= status.commitIndex && raft.committedInTerm
    if (move && move.urgency !== 'now' && !isCalm) return
    if (move?.urgency === 'now' && this.#owesVote(move.to)) return
    const to = this.#succession.next(move, now)
    if (to !== null && this.#handOver(to, move?.urgency === 'now')) this.#actions.handedOver(to)
  }

  /** M2: to be told to lead is of no use to one of two without the vote of the other, who will not be there to give it. */
  #owesVote(to: PeerId): boolean {
    const { raft, self } = this.#context
    return isPairWith(raft.configuration, self.peerId, to) && raft.promisedVote?.to !== to
  }

  /**
   * M2: one of two that stops could neither answer a call for its vote nor acknowledge what its successor appends. So it leaves the
   * vote that it has promised and is no voter from then on: one message, as in its last moment, but its session goes on.
   */
  #handOver(to: PeerId, stops: boolean): boolean {
    const { raft } = this.#context
    const vote = raft.promisedVote
    if (!stops || vote?.to !== to) return raft.transferLeadership(to) === 'started'
    this.#context.send(to, { type: 'yield', vote: vote.term })
    raft.stepDown()
    return true
  }

  /** Who takes over with this leader's last word (M1); null when nobody is known to be able to. */
  get heir(): PeerId | null {
    const { raft, peers } = this.#context
    if (raft.role !== 'leader') return null
    const { progress, configuration, transferringTo } = raft.status()
    if (transferringTo !== null) return transferringTo
    const candidates = this.#candidates(progress)
    const runners = configuration.voters.flatMap((peerId) => {
      // A last word passes no relay (F4). This one has no link to itself.
      const candidate = peers.isDirect(peerId) ? candidates.get(peerId) : undefined
      return candidate ? [this.#runner(candidate)] : []
    })
    return bestHeir(runners, new Set(progress.flatMap(({ peerId, inReserve }) => (inReserve ? [peerId] : []))))
  }

  #runner({ peerId, live, gone, caughtUp, settled, returned, ...fitness }: Candidate): Runner {
    return { peerId, ...fitness, ready: live && !gone && caughtUp, steady: settled || !returned }
  }

  get #lease(): number {
    return this.#context.machine.settings?.timing.lease ?? Number.POSITIVE_INFINITY
  }

  /** While a change is under way the core takes no other, but that the leader goes on alone (M2). */
  #isPossible({ voters }: Configuration, { configurationIndex, commitIndex }: Status): boolean {
    return configurationIndex <= commitIndex || (voters.length === 1 && voters[0] === this.#context.self.peerId)
  }

  #isConfirmed(next: Configuration, { configuration, progress }: Status): boolean {
    const { raft } = this.#context
    const rounds = new Map(progress.map(({ peerId, round }) => [peerId, round]))
    return this.#check.passes(configuration, next, {
      current: raft.currentRound,
      answeredBy: (peerId) => rounds.get(peerId) ?? 0,
      begin: () => raft.read(kickRound),
    })
  }

  #candidates(all: readonly ProgressStatus[]): Map<PeerId, Candidate> {
    const { raft, self } = this.#context
    const peers = [...new Set([...membersOf(raft.configuration), ...this.#admissions.keys()])].sort()
    const progress = new Map(all.map((entry) => [entry.peerId, entry]))
    const candidates = new Map<PeerId, Candidate>()
    for (const peerId of peers) {
      if (peerId === self.peerId) candidates.set(peerId, this.#myself())
      else candidates.set(peerId, this.#candidate(peerId, progress.get(peerId)))
    }
    return candidates
  }

  #myself(): Candidate {
    const { self } = this.#context
    const { peerId, incarnation, browserId, resident } = self
    return {
      peerId,
      incarnation,
      browserId,
      live: true,
      gone: resident,
      silent: false,
      learnerOnly: resident,
      caughtUp: true,
      ...fitnessOf(this.#conditions.own),
    }
  }

  #candidate(peerId: PeerId, progress: ProgressStatus | undefined): Candidate {
    const { peers, now, raft } = this.#context
    const condition = this.#conditions.of(peerId)
    const peer = peers.peer(peerId)
    const isReachable = peers.isReachable(peerId)
    if (isReachable || !this.#seenAt.has(peerId)) this.#seenAt.set(peerId, now)
    const silence = elapsedAtLeast(this.#seenAt.get(peerId) ?? now, now)
    const resident = peer?.resident === true
    return {
      peerId,
      incarnation: peer?.incarnation ?? null,
      browserId: peer?.browserId ?? null,
      live: isReachable && (progress === undefined || !this.#isMute(progress, raft.currentRound)),
      gone: resident || this.#departures.isGone(peerId),
      silent: silence > this.#lease,
      // What it says now before what it asked for when it did not know the room.
      learnerOnly: resident || (condition ?? this.#admissions.get(peerId))?.learnerOnly === true,
      caughtUp: this.#catchUp.keepsUp(peerId, progress, raft.commitIndex, this.#conditions.isFrozen),
      ...fitnessOf(condition),
    }
  }

  /** A link may outlive its other end by far: a member that has not answered this leader yet is not counted on either. */
  #isMute(progress: ProgressStatus, currentRound: number): boolean {
    return progress.round === 0 || currentRound - progress.round > muteAfterRounds
  }
}

/** Of whom nothing is known, nothing bad is known; but nobody counts on it who does not have to. */
function fitnessOf(condition: Condition | null): Fitness {
  if (!condition) return { ...unknown, unfit: false, settled: false, returned: true }
  const { visible, phone, frozen, rtt, stayed, fitFor } = condition
  const unfit = isUnfit(condition)
  return { unfit, settled: fitFor >= settledAfter, returned: fitFor < stayed, visible, phone, frozen, rtt, stayed }
}

const unknown = { visible: true, phone: false, frozen: false, rtt: null, stayed: 0 }

type Fitness = Pick<Candidate, 'unfit' | 'frozen' | 'settled' | 'returned' | 'visible' | 'phone' | 'rtt' | 'stayed'>

function removesSilent(
  before: Configuration,
  next: Configuration,
  candidates: ReadonlyMap<PeerId, Candidate>,
): boolean {
  const members = membersOf(next)
  return before.voters.some((peerId) => {
    const candidate = candidates.get(peerId)
    return !members.includes(peerId) && candidate?.silent === true && !candidate.gone
  })
}
