/** What only the leader does besides replicating: it stamps time, watches leases, and decides who votes. */
import type { Instruction } from '../machine/command.js'
import { decodeInstruction, encodeInstruction } from '../machine/instruction.js'
import { findSessionOfPeer } from '../machine/session/view.js'
import { membersOf } from '../raft/configuration.js'
import type { Configuration, PeerId } from '../raft/entry.js'
import type { ProgressStatus, Status } from '../raft/ready.js'
import { elapsedAtLeast, type Instant } from '../shared/instant.js'
import { type Candidate, nextConfiguration } from './autopilot.js'
import { CatchUp } from './catch-up.js'
import type { HostContext } from './context.js'
import type { Departures } from './departures.js'
import { kickRound, Leases } from './leases.js'
import type { Peer } from './peers.js'
import { QuorumCheck } from './quorum-check.js'
import { readSubmission } from './submissions.js'
import { VersionPilot } from './version-pilot.js'

/** A member with a link that has left so many heartbeats unanswered is not counted on: it may be frozen. */
const muteAfterRounds = 20

interface Admission {
  readonly learnerOnly: boolean
}

interface Read {
  readonly bytes: Uint8Array
  readonly instruction: Instruction | null
}

export class Leadership {
  readonly leases: Leases
  readonly #context: HostContext
  readonly #departures: Departures
  readonly #withdrawVote: () => boolean
  readonly #admissions = new Map<PeerId, Admission>()
  /** When each member was last reachable, as far as this leader knows. */
  readonly #seenAt = new Map<PeerId, Instant>()
  readonly #catchUp = new CatchUp()
  readonly #check: QuorumCheck
  readonly #versions: VersionPilot
  #leading = false

  /** `withdrawVote` (M2): true once nobody can show the vote that this leader has promised. */
  constructor(context: HostContext, departures: Departures, withdrawVote: () => boolean) {
    this.#context = context
    this.#departures = departures
    this.#withdrawVote = withdrawVote
    this.leases = new Leases(context)
    this.#check = new QuorumCheck(context.self.peerId)
    this.#versions = new VersionPilot(context)
  }

  get leading(): boolean {
    return this.#leading
  }

  begin(): void {
    this.#leading = true
    this.#seenAt.clear()
    this.#catchUp.restart()
    this.#check.restart()
    this.leases.restart()
    this.#versions.restart()
  }

  end(): void {
    this.#leading = false
  }

  /** This host's own time has a gap (C3): it counts as a new leader. */
  paused(): void {
    this.#seenAt.clear()
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
  }

  /** Answers may have come for which a change of voters waits. */
  answered(): void {
    if (this.#check.isOpen) this.#pilot()
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
    const { raft, clusterTime, machine, self, peers } = this.#context
    const status = raft.status()
    if (!raft.committedInTerm) return
    const candidates = this.#candidates(status.progress)
    const next = nextConfiguration({
      leader: self.peerId,
      configuration: raft.configuration,
      candidates,
      votersMax: machine.settings?.limits.voters ?? 1,
    })
    // M2. Without a page of its own a resident has nobody who could leave a vote behind.
    if (!next && !self.resident) raft.promiseVote()
    const isDue = next !== null && this.#isPossible(next, status) && this.#withdrawVote()
    if (!isDue) this.#check.restart()
    // The vote before the answers: its page may take long, and answers grow old.
    else if (this.#isConfirmed(next, status) && !raft.proposeConfiguration(clusterTime, next).accepted)
      this.#check.restart()
    for (const peerId of this.#admissions.keys()) if (!peers.peer(peerId)) this.#admissions.delete(peerId)
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
    }
  }

  #candidate(peerId: PeerId, progress: ProgressStatus | undefined): Candidate {
    const { peers, now, machine, raft } = this.#context
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
      silent: silence > (machine.settings?.timing.lease ?? Number.POSITIVE_INFINITY),
      learnerOnly: resident || this.#admissions.get(peerId)?.learnerOnly === true,
      caughtUp: this.#catchUp.keepsUp(peerId, progress, raft.commitIndex),
    }
  }

  /** A link may outlive its other end by far: a member that has not answered this leader yet is not counted on either. */
  #isMute(progress: ProgressStatus, currentRound: number): boolean {
    return progress.round === 0 || currentRound - progress.round > muteAfterRounds
  }
}
