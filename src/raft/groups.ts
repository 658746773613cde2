import { assert } from './assert.js'
import { membersOf } from './configuration.js'
import type { PeerId } from './entry.js'
import type { Message, MessageOf, Snapshot } from './message.js'
import { Raft } from './raft.js'
import type { Ready, Status } from './ready.js'
import { Schedule, type Scheduled, unscheduled } from './schedule.js'
import type { RaftOptions, RaftTiming } from './state.js'

export type GroupId = number

/** What processes say to each other for all their groups together. Like every message it may be lost, late, doubled. */
export type PeerMessage = {
  readonly from: PeerId
  readonly to: PeerId
  /** Of the sender's life. */
  readonly epoch: number
} & (
  | {
      readonly type: 'beat'
      /** The sender's minimum election time-out: for how long the groups that it leads quietly wait for the next beat. */
      readonly electionTicks: number
    }
  | { readonly type: 'beatReply' }
)

export interface RaftGroupsOptions extends RaftTiming {
  readonly peerId: PeerId
  /** A whole number from 1 that is higher in each life of this peer (F2): by it the others see that it has forgotten what it led. */
  readonly epoch: number
  /** So long has a group been idle before it rests, and so long does it stay awake once it woke. @default two election time-outs */
  readonly idleTicks?: number
  /** So long does a group rest at most: then it says by one heartbeat that all is well (TiKV hibernates for 5 min). @default 2,000 election time-outs */
  readonly recheckTicks?: number
}

/** The timing is the same for all groups of a process. */
export type GroupOptions = Omit<RaftOptions, 'peerId' | keyof RaftTiming>

/** What can be asked of a group without waking it. */
export type RaftView = Pick<
  Raft,
  | 'appliedIndex'
  | 'commitIndex'
  | 'committedInTerm'
  | 'configuration'
  | 'confirmedRound'
  | 'currentRound'
  | 'entryTerm'
  | 'hasQuorum'
  | 'lastIndex'
  | 'lastTime'
  | 'leader'
  | 'promisedVote'
  | 'role'
  | 'stableIndex'
  | 'term'
>

export interface GroupStatus extends Status {
  /** It rests: no timers, no messages of its own. Its members count as active while their processes answer. */
  readonly quiet: boolean
}

/** A leader's question whether all agree to rest. */
interface Offer {
  /** Answers to earlier rounds agree to an earlier offer. */
  readonly round: number
  readonly members: readonly PeerId[]
  laggards: ReadonlySet<PeerId>
  readonly agreed: Set<PeerId>
}

/**
 * Invariants: `offer` is there while a leader asks or rests; `followed` exactly while a follower rests; `mode` says which. Only awake
 * groups are ticked.
 */
interface Group extends Scheduled {
  readonly id: GroupId
  readonly raft: Raft
  mode: 'awake' | 'leading' | 'following'
  /** On the clock of all groups: so far the core has been told of the time. */
  tickedAt: number
  /** When something was last asked of it, or it woke. */
  activeAt: number
  restingSince: number
  offer: Offer | null
  followed: PeerId | null
  /** Whom it followed at rest until it woke; that one has said nothing in this group since, and may believe that it rests. */
  strayOf: PeerId | null
  /** Of a resting follower: its election time-out as drawn. */
  patience: number
}

interface Peer {
  readonly peerId: PeerId
  /** 0 until the first beat or answer. */
  epoch: number
  /** When anything came from it: a laggard that speaks is back. */
  heardAt: number
  /** When it last answered a beat, and that it has not for an election time-out. */
  repliedAt: number
  isLate: boolean
  /** When its last beat came, how long the next may take, and that it took longer. */
  beatAt: number
  beatTicks: number
  isSuspect: boolean
  /** Groups led here, at rest or about to be, of which it is a member: they are why it gets beats. */
  readonly led: Set<Group>
  /** Groups at rest here that it leads. */
  readonly followed: Set<Group>
  /** Awake here, and perhaps not there: it is told again with each of its beats. */
  readonly strays: Set<Group>
}

/** More of them than this, and than those who are none, are forgotten. */
const strangersMax = 64

/**
 * The cores of one process, by group, for hosts with many groups between the same peers. Time costs what is due, not what is there: an
 * idle group rests (quiesces), and one `beat` per heartbeat interval and pair of processes stands for the heartbeats of all of them.
 *
 * **How.** A leader whose group has been idle, with nothing uncommitted, unwritten or waited for, tags its heartbeats `quiet`. A follower with
 * the same term, last entry and commit index agrees in its answer and rests; the leader rests once everybody has agreed (M6), save
 * laggards: members whose whole process is silent, without whom there is a quorum. A lost question or answer is repeated with the next
 * heartbeat. A beat is a heartbeat for all groups at rest of which its sender is the leader: without beats for an election time-out
 * their own time-outs, as they were drawn, decide when they campaign. Whatever is asked of a group, or comes for it, wakes it; a
 * follower that wakes tells its leader, again with each beat until that has spoken; a leader that wakes sends a heartbeat, which wakes all.
 *
 * **Why it is safe.** Resting is not ticking, and no rule of Raft's safety looks at time: terms, votes, logs and commit indices change only
 * in the cores, by the same messages as ever. What looks at time is kept on the side of care: a lease ends when a group goes to rest,
 * a read always wakes the group and waits for a round of its own, and no beat confirms a round; a follower that rests keeps to its
 * leader at least as long as its own clock would have told it to. What can go wrong is a group that sleeps too long or wakes too often.
 *
 * **Why it is live.** Beats tell of the leader's process, and the leader speaks for its groups: if it has stopped leading a group it is awake in
 * it, so that its own heartbeats, campaign or new leader wake the rest. A new life of it shows another epoch: what followed
 * its old life at rest wakes. A member that leaves beats unanswered for an election time-out wakes the groups led here, whose
 * check-quorum then begins anew: a leader that is cut off steps down within two election time-outs of the last answer. What all
 * that misses ends with `recheckTicks`.
 *
 * **Leases** (`leaseTicks`) hold only in groups that are awake (M6). The duties of `Ready` are unchanged; those of the caller here:
 * 1. call `tick` with the time that has passed before the messages of the turn; sleep `ticksUntilDue()`;
 * 2. give messages of groups to `step`, those of processes to `receive`; reach a core only through this class;
 * 3. then, for each of `readyGroups()`, take `ready(id)` and do its duties; then send `takeBeats()`: on the same ordered way as the groups'
 *    messages, in one frame per peer. Report disks with `persisted(id, ...)`, machines with `applied(id, ...)`;
 * 4. tell of broken connections with `reportUnreachable(peerId)`, of leaders known to be gone with `forgetLeader(peerId)` (M5), once each for
 *    all groups;
 * 5. give each life of a peer a higher `epoch`, and let no message of an earlier life in (F1, F2);
 * 6. a group that this peer leads is handed over, or stepped down from, before it is removed: beats go on for the others;
 * 7. report no disk and no machine of a group that was removed: one that is added under its id counts its Readys from 1 again. Tell the
 *    core of a peer that its group has removed that it is to be removed too: one that does not know campaigns, and keeps the group awake.
 */
export class RaftGroups {
  readonly #peerId: PeerId
  readonly #epoch: number
  readonly #options: Pick<RaftGroupsOptions, 'idleTicks' | 'recheckTicks'>
  #timing: RaftTiming
  #clock = 0
  #beatDue = 0
  #beats: PeerMessage[] = []
  readonly #groups = new Map<GroupId, Group>()
  readonly #peers = new Map<PeerId, Peer>()
  /** So many peers are worth a look at who of them is a stranger. */
  #peersMax = strangersMax
  readonly #schedule = new Schedule<Group>()
  /** Something happened to them since they last had nothing to do. */
  readonly #touched = new Set<Group>()

  constructor(options: RaftGroupsOptions) {
    const { peerId, epoch, electionTicks, electionTicksMax, heartbeatTicks, preVoteTicks } = options
    assert(Number.isSafeInteger(epoch) && epoch >= 1, 'an epoch is a whole number from 1')
    this.#peerId = peerId
    this.#epoch = epoch
    this.#timing = { electionTicks, electionTicksMax, heartbeatTicks, preVoteTicks }
    this.#options = options
  }

  get size(): number {
    return this.#groups.size
  }

  get #idleTicks(): number {
    return this.#options.idleTicks ?? 2 * this.#timing.electionTicks
  }

  get #recheckTicks(): number {
    return this.#options.recheckTicks ?? 2_000 * this.#timing.electionTicks
  }

  /** Processes that something is known of. */
  get peerCount(): number {
    return this.#peers.size
  }

  /** A core of this peer for that group; its options are those of `Raft`. It begins awake. */
  add(id: GroupId, options: GroupOptions): void {
    assert(!this.#groups.has(id), 'a group has one core')
    const raft = new Raft({ ...options, ...this.#timing, peerId: this.#peerId })
    const group: Group = {
      id,
      raft,
      mode: 'awake',
      tickedAt: this.#clock,
      ...unscheduled(),
      activeAt: this.#clock,
      restingSince: 0,
      offer: null,
      followed: null,
      strayOf: null,
      patience: 0,
    }
    this.#groups.set(id, group)
    this.#settle(group)
  }

  /** The core is dropped with all that no Ready has carried. */
  remove(id: GroupId): void {
    const group = this.#groups.get(id)
    if (group === undefined) return
    this.#rouse(group)
    this.#withdraw(group)
    this.#stray(group, null)
    this.#groups.delete(id)
    this.#touched.delete(group)
    this.#schedule.delete(group)
  }

  /** Undefined for a group that is not here. */
  view(id: GroupId): RaftView | undefined {
    return this.#groups.get(id)?.raft
  }

  /** A fresh copy for hosts, checkers and humans. Wakes nothing. */
  status(id: GroupId): GroupStatus {
    const { raft, mode, offer } = this.#group(id)
    const status = raft.status()
    if (mode !== 'leading') return { ...status, quiet: mode === 'following' }
    // The core has forgotten whom it heard; the beats have not (tikv/tikv#10017).
    const isActive = (peerId: PeerId) => !offer?.laggards.has(peerId)
    const progress = status.progress.map((one) => ({ ...one, active: isActive(one.peerId) }))
    return { ...status, progress, quiet: true }
  }

  /**
   * Any input of that core: a proposal, a change of configuration, a read, a transfer, a campaign, a priority. A group at rest wakes,
   * and the other members with it. `input` keeps no reference to the core.
   */
  use<T>(id: GroupId, input: (raft: Raft) => T): T {
    const group = this.#group(id)
    const { followed } = group
    this.#rouse(group)
    const result = input(group.raft)
    this.#disturb(group)
    if (followed !== null) group.raft.nudge(followed)
    return result
  }

  /** A message for that group came. False if the group is not here. */
  step(id: GroupId, message: Message): boolean {
    const group = this.#groups.get(id)
    if (group === undefined) return false
    if (message.to !== this.#peerId || message.from === this.#peerId) return true
    const sender = this.#hear(message.from)
    if (group.mode === 'leading' && isRepeatedAgreement(group, message)) return true
    const { followed } = group
    this.#rouse(group)
    if (group.strayOf === message.from) this.#stray(group, null)
    const { raft } = group
    if (asksForRest(message) && this.#isBeating(sender)) {
      if (raft.stepQuiet(message)) {
        this.#touched.add(group)
        this.#follow(group, sender)
        return true
      }
    } else raft.step(message)
    if (message.type === 'heartbeatReply') this.#count(group, message)
    else if (message.type !== 'heartbeat') this.#disturb(group)
    if (followed !== null && followed !== message.from) raft.nudge(followed)
    this.#settle(group)
    return true
  }

  /** A beat, or the answer to one. */
  receive(message: PeerMessage): void {
    const { from, to, epoch } = message
    if (to !== this.#peerId || from === this.#peerId || !(epoch >= 1)) return
    const peer = this.#peer(from)
    if (epoch < peer.epoch) return
    // Another life: it has forgotten whom it led, and whom it followed.
    if (epoch > peer.epoch && peer.epoch > 0) this.#wakeAll(peer)
    peer.epoch = epoch
    this.#hear(from)
    if (message.type === 'beatReply') {
      peer.repliedAt = this.#clock
      peer.isLate = false
      return
    }
    const { electionTicks } = message
    peer.beatAt = this.#clock
    peer.isSuspect = false
    if (electionTicks >= 1 && electionTicks < 2 ** 31) peer.beatTicks = electionTicks
    this.#beats.push({ type: 'beatReply', from: this.#peerId, to: from, epoch: this.#epoch })
    for (const group of [...peer.strays]) this.#callHome(group, from)
  }

  /** As `Raft.persisted`. Wakes nothing: the disk is not a client. */
  persisted(id: GroupId, sequence: number): void {
    const group = this.#group(id)
    group.raft.persisted(sequence)
    this.#settle(group)
  }

  /** As `Raft.applied`. Wakes nothing. */
  applied(id: GroupId, index: number): void {
    this.#group(id).raft.applied(index)
  }

  /** As `Raft.compact`. Wakes nothing. */
  compact(id: GroupId, snapshot: Snapshot, keepFrom: number): void {
    this.#group(id).raft.compact(snapshot, keepFrom)
  }

  /**
   * Time has passed, for all groups and peers. Costs the groups that are due and the peers. However late it comes, each timer fires at
   * most once (C3), and a silence that may be this process's own gap wakes nobody before the next turn: what came meanwhile is read first.
   */
  tick(ticks: number): void {
    assert(ticks >= 0 && ticks < Number.POSITIVE_INFINITY, 'time goes forward')
    this.#clock += ticks
    if (this.#peers.size >= this.#peersMax) this.#forgetStrangers()
    for (const peer of this.#peers.values()) this.#watch(peer, ticks)
    const due: Group[] = []
    while (this.#schedule.next <= this.#clock) {
      const group = this.#schedule.pop()
      if (group === undefined) break
      if (this.#dueOf(group) <= this.#clock) due.push(group)
      else this.#plan(group)
    }
    for (const group of due) this.#run(group)
    if (this.#clock < this.#beatDue) return
    for (const peer of this.#peers.values()) if (peer.led.size > 0) this.#beat(peer)
    this.#beatDue = this.#clock + this.#timing.heartbeatTicks
  }

  /** Ticks until `tick` has something to do. */
  ticksUntilDue(): number {
    let due = this.#schedule.next
    for (const peer of this.#peers.values()) {
      if (peer.led.size > 0) {
        due = Math.min(due, this.#beatDue)
        if (!peer.isLate) due = Math.min(due, peer.repliedAt + this.#timing.electionTicks)
      }
      if (peer.followed.size > 0 && !peer.isSuspect) due = Math.min(due, peer.beatAt + peer.beatTicks)
    }
    return Math.max(0, due - this.#clock)
  }

  /** Groups with something to do. Costs those that something has happened to. */
  readyGroups(): GroupId[] {
    const ready: GroupId[] = []
    for (const group of this.#touched) {
      if (group.raft.hasReady()) ready.push(group.id)
      else this.#touched.delete(group)
    }
    return ready
  }

  /** As `Raft.ready`. */
  ready(id: GroupId): Ready {
    return this.#group(id).raft.ready()
  }

  /** To be sent after the messages of the groups. What it gives is not given again. */
  takeBeats(): PeerMessage[] {
    const beats = this.#beats
    this.#beats = []
    return beats
  }

  /** Other times from now on, for all groups. */
  retime(timing: RaftTiming): void {
    const { electionTicks, electionTicksMax, heartbeatTicks, preVoteTicks } = timing
    this.#timing = { electionTicks, electionTicksMax, heartbeatTicks, preVoteTicks }
    this.#beatDue = this.#clock
    for (const group of this.#groups.values()) {
      // Followers learn a leader's time-out from its heartbeats.
      if (group.mode === 'leading') this.#rouse(group)
      group.raft.retime(this.#timing)
      this.#settle(group)
    }
  }

  /** That peer is gone for good (M5): in every group that it led an election is due at once, by turns. */
  forgetLeader(peerId: PeerId): void {
    for (const group of this.#groups.values()) {
      if (group.raft.leader !== peerId) continue
      this.#rouse(group)
      group.raft.forgetLeader()
      this.#settle(group)
    }
  }

  /**
   * Messages to that peer were lost, or its connection is down. Groups that are led here without knowing of it wake; what it leads goes on
   * as long as its beats come.
   */
  reportUnreachable(peerId: PeerId): void {
    const peer = this.#peer(peerId)
    for (const group of [...peer.led]) {
      if (group.mode === 'leading' && !group.offer?.laggards.has(peerId)) this.#rouse(group)
    }
    for (const group of this.#groups.values()) {
      if (group.mode === 'following') continue
      group.raft.reportUnreachable(peerId)
      this.#settle(group)
    }
  }

  #group(id: GroupId): Group {
    const group = this.#groups.get(id)
    assert(group !== undefined, `group ${id} is not here`)
    return group
  }

  #peer(peerId: PeerId): Peer {
    const known = this.#peers.get(peerId)
    if (known !== undefined) return known
    const never = Number.NEGATIVE_INFINITY
    const peer: Peer = {
      peerId,
      epoch: 0,
      heardAt: never,
      repliedAt: never,
      isLate: true,
      beatAt: never,
      beatTicks: this.#timing.electionTicks,
      isSuspect: true,
      led: new Set(),
      followed: new Set(),
      strays: new Set(),
    }
    this.#peers.set(peerId, peer)
    return peer
  }

  /** Whoever has ever said a word is known, and guests come and go: those are kept that groups here have to do with. */
  #forgetStrangers(): void {
    const members = new Set<PeerId>()
    for (const { raft } of this.#groups.values())
      for (const peerId of membersOf(raft.configuration)) members.add(peerId)
    for (const { peerId, led, followed, strays } of this.#peers.values()) {
      if (!members.has(peerId) && led.size + followed.size + strays.size === 0) this.#peers.delete(peerId)
    }
    this.#peersMax = this.#peers.size + Math.max(this.#peers.size, strangersMax)
  }

  /** The return of a laggard wakes the groups that rest without it. */
  #hear(peerId: PeerId): Peer {
    const peer = this.#peer(peerId)
    const isBack = this.#isSilent(peer)
    peer.heardAt = this.#clock
    if (!isBack) return peer
    for (const group of [...peer.led]) {
      if (group.mode === 'leading' && group.offer?.laggards.has(peerId)) this.#rouse(group)
    }
    return peer
  }

  #isSilent({ heardAt }: Peer): boolean {
    return this.#clock - heardAt >= this.#timing.electionTicks
  }

  /** Its life is known, and goes on: only then does a group rest under it. */
  #isBeating({ epoch, beatAt, beatTicks }: Peer): boolean {
    return epoch > 0 && this.#clock - beatAt < beatTicks
  }

  #beat({ peerId: to }: Peer): void {
    const { electionTicks } = this.#timing
    this.#beats.push({ type: 'beat', from: this.#peerId, to, epoch: this.#epoch, electionTicks })
  }

  #stray(group: Group, leader: PeerId | null): void {
    if (group.strayOf !== null) this.#peer(group.strayOf).strays.delete(group)
    group.strayOf = leader
    if (leader !== null) this.#peer(leader).strays.add(group)
  }

  /** The word that it is awake may have been lost; a learner has no other way to be heard. */
  #callHome(group: Group, leader: PeerId): void {
    const { raft } = group
    raft.nudge(leader)
    this.#touched.add(group)
    // Led by another one, who speaks for the group.
    if (raft.leader !== null && raft.leader !== leader) this.#stray(group, null)
  }

  /** Beats that do not come, and answers to beats that do not. */
  #watch(peer: Peer, ticks: number): void {
    const { electionTicks } = this.#timing
    const before = this.#clock - ticks
    const isGap = ticks >= electionTicks
    if (peer.led.size > 0 && !peer.isLate && this.#clock - peer.repliedAt >= electionTicks) {
      // In a gap of its own time nobody else was silent: the answers may be waiting to be read (C3).
      if (isGap && before - peer.repliedAt < electionTicks) peer.repliedAt = this.#clock - electionTicks
      else this.#missReplies(peer)
    }
    if (peer.isSuspect || this.#clock - peer.beatAt < peer.beatTicks) return
    if (isGap && before - peer.beatAt < peer.beatTicks) peer.beatAt = this.#clock - peer.beatTicks + 1
    peer.isSuspect = true
    for (const group of peer.followed) this.#plan(group)
  }

  #missReplies(peer: Peer): void {
    peer.isLate = true
    for (const group of [...peer.led]) {
      if (group.mode === 'leading' && !group.offer?.laggards.has(peer.peerId)) this.#rouse(group)
    }
  }

  #wakeAll(peer: Peer): void {
    for (const group of [...peer.followed, ...peer.led]) {
      group.offer?.agreed.delete(peer.peerId)
      if (group.mode !== 'awake') this.#rouse(group)
    }
  }

  /** Brings the core's clock up to date, and wakes it if it rests. */
  #rouse(group: Group): void {
    const ticks = this.#clock - group.tickedAt
    if (group.mode === 'awake') {
      if (ticks > 0) group.raft.tick(ticks)
      group.tickedAt = this.#clock
      return
    }
    let silence = 0
    if (group.followed !== null) {
      const peer = this.#peer(group.followed)
      silence = this.#clock - heardOf(group, peer)
      peer.followed.delete(group)
      this.#stray(group, peer.peerId)
    }
    group.followed = null
    group.mode = 'awake'
    group.activeAt = this.#clock
    group.tickedAt = this.#clock
    group.raft.wake(ticks, silence)
    this.#withdraw(group)
    this.#settle(group)
  }

  /** Something was asked of the group: it is not idle. */
  #disturb(group: Group): void {
    group.activeAt = this.#clock
    this.#withdraw(group)
    this.#settle(group)
  }

  /** After everything that happens to a group. */
  #settle(group: Group): void {
    this.#touched.add(group)
    if (group.offer !== null && group.raft.role !== 'leader') this.#withdraw(group)
    this.#plan(group)
  }

  #plan(group: Group): void {
    const due = this.#dueOf(group)
    // Put off lazily: with each heartbeat that a follower hears it is due later.
    if (due < group.dueAt) this.#schedule.set(group, due)
  }

  #dueOf(group: Group): number {
    if (group.mode === 'awake') return group.tickedAt + group.raft.ticksUntilDue()
    // Groups that went to rest together do not wake together.
    const recheck = group.restingSince + Math.floor(this.#recheckTicks * (1 + (group.id % 16) / 16))
    if (group.followed === null) return recheck
    const peer = this.#peer(group.followed)
    const giveUp = peer.isSuspect ? heardOf(group, peer) + group.patience : Number.POSITIVE_INFINITY
    // The leader rechecks first.
    return Math.min(giveUp, recheck + this.#recheckTicks)
  }

  #run(group: Group): void {
    const { raft, followed } = group
    const round = raft.currentRound
    this.#rouse(group)
    // A core that has just woken may be due at once.
    if (raft.currentRound === round) raft.tick(0)
    if (raft.role === 'leader' && raft.currentRound > round) this.#considerRest(group)
    if (followed !== null && raft.leader === followed) raft.nudge(followed)
    this.#settle(group)
  }

  /** A heartbeat round has just begun. */
  #considerRest(group: Group): void {
    const { raft } = group
    const laggards = this.#clock - group.activeAt < this.#idleTicks ? null : raft.laggardsAtRest()
    if (laggards === null || laggards.some((peerId) => !this.#isSilent(this.#peer(peerId)))) {
      this.#withdraw(group)
      return
    }
    raft.offerRest()
    if (group.offer !== null) group.offer.laggards = new Set(laggards)
    else this.#offer(group, laggards)
    this.#tryRest(group)
  }

  #offer(group: Group, laggards: readonly PeerId[]): void {
    const { raft } = group
    const members = membersOf(raft.configuration).filter((peerId) => peerId !== this.#peerId)
    group.offer = { round: raft.currentRound, members, laggards: new Set(laggards), agreed: new Set() }
    for (const peerId of members) {
      const peer = this.#peer(peerId)
      if (peer.led.size === 0) {
        peer.repliedAt = this.#clock
        peer.isLate = false
        // Nobody agrees before it has heard a beat.
        this.#beat(peer)
      }
      peer.led.add(group)
    }
  }

  #withdraw(group: Group): void {
    for (const peerId of group.offer?.members ?? []) this.#peer(peerId).led.delete(group)
    group.offer = null
  }

  /** An answer to a heartbeat. One that does not agree may be from a follower that has woken since it did. */
  #count(group: Group, { from, term, round, quiet }: MessageOf<'heartbeatReply'>): void {
    const { offer, raft } = group
    if (offer === null || raft.role !== 'leader' || term !== raft.term) return
    if (quiet !== true) offer.agreed.delete(from)
    else if (round >= offer.round) {
      offer.agreed.add(from)
      this.#tryRest(group)
    }
  }

  #tryRest(group: Group): void {
    const { offer, raft } = group
    if (offer === null || raft.role !== 'leader') return
    for (const peerId of offer.members) {
      const peer = this.#peer(peerId)
      const isHere = peer.epoch > 0 && !peer.isLate && offer.agreed.has(peerId)
      if (offer.laggards.has(peerId) ? !this.#isSilent(peer) : !isHere) return
    }
    // Whoever has agreed is no laggard in the core's eyes.
    if (raft.laggardsAtRest()?.every((peerId) => offer.laggards.has(peerId)) !== true) return
    raft.rest()
    group.mode = 'leading'
    group.restingSince = this.#clock
    this.#plan(group)
  }

  #follow(group: Group, leader: Peer): void {
    this.#withdraw(group)
    this.#stray(group, null)
    group.mode = 'following'
    group.followed = leader.peerId
    group.restingSince = this.#clock
    // It has just heard its leader: the whole time-out is before it.
    group.patience = group.raft.ticksUntilDue()
    leader.followed.add(group)
    this.#plan(group)
  }
}

/** Known to be led: a beat came, or the group went to rest. */
function heardOf({ restingSince }: Group, { beatAt }: Peer): number {
  return Math.max(beatAt, restingSince)
}

function asksForRest(message: Message): message is MessageOf<'heartbeat'> {
  return message.type === 'heartbeat' && message.quiet === true
}

/** A late copy of what this leader rests by. */
function isRepeatedAgreement({ raft, offer }: Group, message: Message): boolean {
  if (message.type !== 'heartbeatReply' || message.quiet !== true || message.term > raft.term) return false
  return !offer?.laggards.has(message.from)
}
