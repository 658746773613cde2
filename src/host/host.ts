/**
 * One peer: the loop that drives a raft core, its machine, its disk and its links. The worker runs it, and so does the
 * simulator; it reads no clock, draws no random number and touches no browser API but through what it is given.
 *
 * Everything happens in turns. A turn begins with a look at the clocks (C3), takes one input, and ends when the core has
 * nothing more to say: messages leave, the disk writes, the page hears.
 */
import type { RoomSettings } from '../machine/command.js'
import { decodeInstruction } from '../machine/instruction.js'
import type { MachineState } from '../machine/machine.js'
import type { MachineEvent } from '../machine/outcome.js'
import { listSessions } from '../machine/session/view.js'
import { defaultSettings } from '../machine/settings.js'
import { storedSince } from '../machine/store/view.js'
import type { CarriedNetwork } from '../network/carried.js'
import type { DownReason, Lane, Link, Network } from '../network/link.js'
import { membersOf, votersOf } from '../raft/configuration.js'
import type { Entry, PeerId } from '../raft/entry.js'
import type { Message } from '../raft/message.js'
import { Raft } from '../raft/raft.js'
import type { Ready } from '../raft/ready.js'
import type { TransferResult } from '../raft/transfer.js'
import type { Failure } from '../shared/failure.js'
import { type Clock, elapsedAtMost, type Instant, type Timer } from '../shared/instant.js'
import { storageFailure } from '../shared/storage-fault.js'
import type { Lineage, Storage, StoredState } from '../storage/storage.js'
import { type Abilities, productAbilities } from './abilities.js'
import { Belonging, type Ending } from './belonging.js'
import { ClusterClock } from './cluster-clock.js'
import { Conditions } from './condition.js'
import type { HostContext } from './context.js'
import { countersSince } from './counter-losses.js'
import { Departures } from './departures.js'
import { Exchange } from './exchange.js'
import type { Item } from './frame.js'
import { GroupCommit } from './group-commit.js'
import { failureIn, HostFailure } from './host-failure.js'
import { Inheritance, type Losses, type Shared, sharedWith } from './inheritance.js'
import { Leadership } from './leadership.js'
import type { Answers, Call, CallType, HostEvent, Notice, Reply } from './page.js'
import { PageSide } from './page-side.js'
import { type Peer, Peers, type PeersListener, type Self } from './peers.js'
import { type Refusal, Refusals } from './refusals.js'
import { defaultSnapshotSizes, Replicated, type SnapshotSizes } from './replicated.js'
import { Reserve, type Standing } from './reserve.js'
import { Tempo, timingOf } from './tempo.js'

export interface HostOptions {
  readonly self: Self
  readonly storage: Storage
  /** What the storage held, or what was founded since. */
  readonly stored: StoredState
  /** The room that this peer means to join, when it is known before anyone of it is met. */
  readonly expectedRoomId: string | null
  readonly clock: Clock
  /**
   * Runs it once this thread has done what waits for it already. Frames and calls that have come by then are one turn: the busier a
   * thread is, the more of them go into one append, one write and one frame, and no timer waits for them.
   */
  readonly soon: (run: () => void) => void
  readonly networks: readonly Network[]
  /** Links through third peers, to those who cannot be reached otherwise (F4). None: such peers are not reached. */
  readonly relays?: CarriedNetwork
  /** All randomness of this peer's elections. */
  readonly seed: number
  readonly learnerOnly: boolean
  /** What the room gets if this peer founds it anew (N1). @default `defaultSettings` */
  readonly settings?: RoomSettings
  /** Ids of histories that this peer begins (N3): never the same one twice. */
  readonly randomText: () => string
  /** The highest token that this browser knows of histories of this room that have ended (T1). */
  readonly tokenFloor: number
  /** Of the page's last peer, whose history has ended (N3). */
  readonly shared?: Shared | null
  /** Its log ends with its tab: it votes only in a room whose founder keeps its own so. */
  readonly inMemory?: boolean
  /** First declared state, encoded. */
  readonly state: Uint8Array | null
  /** Other ones than in earnest: so that small rooms have snapshots too. */
  readonly snapshotSizes?: SnapshotSizes
  /** So long must nothing have been asked before the room slows down (M6), ms. @default 5,000 */
  readonly idleAfter?: number
  /** Other ones than the product's: code of another version. */
  readonly abilities?: Partial<Abilities>
  readonly emit: (event: HostEvent) => void
  readonly listener?: HostListener
}

/** What the surroundings of a host may want to know. */
export interface HostListener {
  /** The host now belongs to that room, durably or about to be. */
  joined?(lineage: Lineage): void
  /** It has founded the room anew: whatever this browser knew of the room before is out of reach (N1). */
  foundedAnew?(lineage: Lineage): void
  met?(peer: Peer): void
  /** Leadership goes to that peer, as the better one (S-4, M4). */
  handedOver?(to: PeerId): void
  /** A peer said goodbye. */
  parted?(peer: Pick<Peer, 'peerId' | 'incarnation'>): void
  /** Every entry that was applied, with the machine after it: for checkers. */
  applied?(entry: Entry, machine: MachineState): void
  stopped?(failure: Failure | null): void
}

/** The room's own group. */
const roomGroup = 0
/** The host wakes at least this often to see to retries, leases and membership, ms. */
const housekeepingEvery = 50
/** A gap in this host's own time, ms: whatever it believed before is old (PLATFORM, derived numbers). */
const pauseAfter = 1_000
const pingEvery = 1_000
/** Peers where nobody waits for what has been agreed hear of it at most so often, ms: shorter than anybody sees. */
const newsEvery = 10
/** Without a leader the next one is to know soon what an election takes over its links (M5). */
const pingEveryLeaderless = 200
/** What happens to nobody is seen to seldom (M6). */
const housekeepingEveryCalm = 1_000
const defaultIdleAfter = 5_000
/** Whoever comes so much later than it meant to, ms, was stopped: somebody may have spoken to it meanwhile ... */
const stalledFrom = 20
/** ... and is heard for so long, ms, before a time-out is believed. */
const hearsFirstFor = 10

export class Host {
  readonly #options: HostOptions
  readonly #abilities: Abilities
  readonly #refusals = new Refusals()
  readonly #raft: Raft
  readonly #peers: Peers
  readonly #commit: GroupCommit
  readonly #reserve = new Reserve()
  readonly #context: HostContext
  readonly #departures: Departures
  readonly #conditions: Conditions
  readonly #inheritance: Inheritance
  readonly #leadership: Leadership
  readonly #page: PageSide
  readonly #belonging: Belonging
  readonly #tempo: Tempo
  readonly #exchange: Exchange
  readonly #networks: readonly Network[]
  readonly #cluster: ClusterClock
  readonly #replicated: Replicated
  #settings: RoomSettings | null = null
  #now: Instant
  #ticked: number
  #housekeptAt: number
  #pingedAt = Number.NEGATIVE_INFINITY
  #timer: { readonly at: number; readonly timer: Timer } | null = null
  /** When it meant to come next; `Infinity` before it has said so. */
  #dueAt = Number.POSITIVE_INFINITY
  #hearing: Timer | null = null
  #known: { readonly term: number; readonly leader: PeerId | null; readonly leading: boolean } = {
    term: 0,
    leader: null,
    leading: false,
  }
  #inTurn = false
  /** Something has come and is not settled yet. */
  #isGathering = false
  #stopped = false
  /**
   * What waited for a leader, or for a configuration to be committed, does not wait for the next housekeeping too: above all
   * the locks of those who are gone, and the vote for the one who would be left (M2).
   */
  #hasWaiting = false
  #admitAskedAt = Number.NEGATIVE_INFINITY
  /** In an idle room echoes leave with a heartbeat: of which round the last ones did. */
  #echoedRound = 0
  #longestStall = 0
  pauses = 0

  constructor(options: HostOptions) {
    this.#options = options
    this.#abilities = { ...productAbilities, ...options.abilities }
    this.#now = options.clock.now()
    this.#ticked = this.#now.monotonic
    this.#housekeptAt = this.#now.monotonic
    const group = options.stored.groups.get(roomGroup)
    const snapshot = group?.snapshot ?? null
    const { snapshotSizes = defaultSnapshotSizes } = options
    const { chunkBytes } = snapshotSizes
    this.#replicated = new Replicated(snapshot, snapshotSizes, this.#abilities.canApply)
    const { lineage } = options.stored
    refuseLogOf(roomOf(group?.entries ?? []), lineage)
    const entries = group?.entries.filter((entry) => entry.index > this.#replicated.snapshotIndex) ?? []
    const timing = timingOf((this.machine.settings ?? defaultSettings).timing)
    this.#raft = new Raft({
      ...timing,
      peerId: options.self.peerId,
      seed: options.seed,
      newsTicks: newsEvery,
      maxChunkBytes: chunkBytes,
      maxInflightChunkBytes: 4 * chunkBytes,
      ...(lineage?.foundation && { foundation: lineage.foundation }),
      // The tail that was kept before the snapshot served slow followers; a restarted peer begins at its snapshot.
      ...(group && { restored: { hardState: group.hardState, snapshot, entries } }),
    })
    this.#cluster = new ClusterClock(this.#raft.lastTime, this.#now)
    const listener: PeersListener = {
      met: (peer) => this.#met(peer),
      unreachable: (peer, reason) => this.#unreachable(peer, reason),
      roomFound: (found) => this.#belonging.found(found),
      refused: (refusal) => this.#refused(refusal),
      dropped: (reason) => this.#refusals.count(reason),
      strangerMet: (stranger) => {
        this.#tempo.idle.touch()
        this.#belonging.metStranger(stranger)
      },
      claimed: (stranger, claim) => {
        this.#tempo.idle.touch()
        this.#belonging.claimed(stranger, claim)
      },
    }
    this.#peers = new Peers(options.self, lineage, () => this.#now.monotonic, listener, this.#abilities)
    this.#peers.noteIncarnations(this.#raft.configuration)
    this.#commit = new GroupCommit(options.storage, options.clock, {
      lingerFor: () => this.#reserve.lingerFor(this.#standing),
      written: (_group, first) => this.#reserve.written(this.#standing, this.#raft.commitIndex >= first),
      together: (run) => this.#turn(run),
      durable: (_group, ready) => this.#durable(ready),
      failed: (error) => this.fail(storageFailure(error, 'the log could not be written')),
    })
    this.#context = this.#createContext()
    this.#departures = new Departures(this.#context)
    this.#inheritance = new Inheritance(options.shared ?? null)
    this.#conditions = new Conditions(this.#context, () => this.#isLearnerOnly)
    this.#leadership = new Leadership(this.#context, this.#departures, this.#conditions, {
      withdrawVote: () => this.#page.withdrawVote(),
      handedOver: (to) => options.listener?.handedOver?.(to),
    })
    this.#exchange = new Exchange(this.#context, options.relays ?? null)
    this.#networks = options.relays ? [...options.networks, options.relays] : options.networks
    this.#page = new PageSide(this.#context, {
      state: options.state,
      tokenFloor: options.tokenFloor,
      metrics: () => this.#metrics(),
      recover: (reply) => this.#belonging.recovery.begin(reply),
      heir: () => this.#leadership.heir,
    })
    this.#belonging = this.#createBelonging()
    this.#tempo = new Tempo(this.#context, timing, {
      after: options.idleAfter ?? defaultIdleAfter,
      isWaiting: () => this.#page.isWaiting,
      woke: () => this.#leadership.leases.expectRequests(),
    })
  }

  /** Begins to live: links may come up, timers run. */
  start(): void {
    this.#options.storage.whenLost((fault) => this.fail(storageFailure(fault, 'the log is lost')))
    if (this.#stopped) return
    for (const network of this.#networks) {
      network.listen({
        up: (link) => this.#turn(() => this.#peers.up(link)),
        frame: (link, lane, frame) => this.#gather(() => this.#received(link, lane, frame)),
        down: (link, reason) => this.#turn(() => this.#peers.down(link, reason)),
        foreign: (peerId, version) => this.#turn(() => this.#foreign(peerId, version)),
      })
    }
    this.#turn(() => {
      this.#belonging.noticeSuccessor()
      const { lineage } = this.#belonging
      if (lineage) this.#entered(lineage)
      // A lone voter has nobody to wait for.
      const { voters, outgoing } = this.#raft.configuration
      if (voters.length === 1 && voters[0] === this.#options.self.peerId && outgoing.length === 0) this.#raft.campaign()
    })
  }

  /** A call of the page; answered once, unless the host stops first (then with its failure). */
  call<T extends CallType>(call: Extract<Call, { type: T }>, reply: (reply: Reply<Answers[T]>) => void): void {
    if (this.#stopped) reply({ ok: false, failure: { code: 'room-left', message: 'this peer has left the room' } })
    // What this peer answers by itself leads to nothing.
    else if (!isOfTheRoom(call as Call))
      this.#turn(() => this.#page.call(call as Call, reply as (reply: Reply<never>) => void))
    else
      this.#gather(() => {
        this.#tempo.idle.touch()
        this.#page.call(call as Call, reply as (reply: Reply<never>) => void)
      })
  }

  notice(notice: Notice): void {
    this.#turn(() => {
      if (notice.type === 'frame') this.#receivedLoose(notice.peerId, notice.frame)
      else if (notice.type === 'foreign') this.#foreign(notice.peerId, notice.version)
      else if (notice.type === 'condition') this.#conditions.changed(notice.condition)
      else if (notice.type === 'signal') this.#exchange.signal(notice.to, notice.text)
      else this.#page.notice(notice)
      // What waited for the promised vote to be destroyed may go on; and a page that stops hands over in this very turn.
      const isDecisive = notice.type === 'testament' || notice.type === 'condition'
      if (isDecisive && this.#leads) this.#leadership.tick()
    })
  }

  /** Someone holds both locks of that life: proof of its death (L2). No last word is waited for. */
  provenDead(peer: Pick<Peer, 'peerId' | 'incarnation'>): void {
    this.#turn(() => this.#departed(peer, 'death', 0))
  }

  /** Says goodbye on every link and stops. */
  leave(): void {
    if (this.#stopped) return
    this.#turn(() => this.#sayGoodbye())
    // What it says in closing goes over the other links, after the goodbyes.
    this.#turn(() => this.#options.relays?.close())
    this.#stop(null)
  }

  #sayGoodbye(): void {
    for (const { peerId } of this.#peers.all()) this.#peers.send(peerId, this.#page.goodbye(peerId))
  }

  /** Ends at once without a word, as a crash would. The disk keeps what it has. */
  kill(): void {
    this.#stop(null)
  }

  /**
   * Leader only: lets that voter lead, once it has the whole log; until then, or until an election time-out, nothing is
   * proposed (dissertation 3.10). For whoever knows better than this leader itself (`succession.ts`).
   */
  handOver(to: PeerId): TransferResult {
    let result: TransferResult = 'not-leader'
    this.#turn(() => {
      result = this.#raft.transferLeadership(to)
    })
    return result
  }

  get status(): ReturnType<Raft['status']> {
    return this.#raft.status()
  }

  /** Voters whom this host does not reach. */
  get unreachableVoters(): readonly PeerId[] {
    return votersOf(this.#raft.configuration).filter(
      (peerId) => peerId !== this.#options.self.peerId && !this.#peers.isReachable(peerId),
    )
  }

  /** Of a leader: to whom leadership goes if this peer leaves now (M1). */
  get heir(): PeerId | null {
    return this.#leadership.heir
  }

  get machine(): MachineState {
    return this.#replicated.machine
  }

  /** The history that this peer's core is in. */
  get lineage(): Lineage | null {
    return this.#belonging.written
  }

  /** For checkers: the term of an entry that is still in the log. */
  entryTerm(index: number): number | null {
    return this.#raft.entryTerm(index)
  }

  #turn(input: () => void): void {
    this.#dispatch(input, () => this.#settle())
  }

  /** What it leads to waits for those who stand in the same queue. */
  #gather(input: () => void): void {
    this.#dispatch(input, () => {
      if (this.#isGathering) return
      this.#isGathering = true
      this.#options.soon(() => {
        if (this.#isGathering) this.#turn(() => {})
      })
    })
  }

  /** C3: before any message, timer or call is looked at, both clocks are, and what ran out meanwhile is dropped. */
  #dispatch(input: () => void, then: () => void): void {
    if (this.#stopped) return
    if (this.#inTurn) {
      input()
      return
    }
    this.#inTurn = true
    try {
      this.#checkClocks()
      input()
      then()
    } catch (error) {
      this.fail(failureIn(error) ?? { code: 'storage', message: `this peer stopped itself: ${describe(error)}` })
    } finally {
      this.#inTurn = false
    }
  }

  #checkClocks(): void {
    const before = this.#now
    this.#now = this.#options.clock.now()
    const gap = elapsedAtMost(before, this.#now)
    if (gap > pauseAfter + this.#sleeps) this.pauses += 1
    // A wall clock that was set back would hold up every lease for as much: they begin anew instead.
    const setBack = before.wall - this.#now.wall
    if (Math.max(gap, setBack) > this.#gapOfLeader() && this.#leadership.leading) this.#leadership.paused(before)
    const ticks = Math.max(0, Math.floor(this.#now.monotonic - this.#ticked))
    this.#ticked += ticks
    if (this.#belonging.recovery.isStandingBy) return
    if (this.#hearsFirst()) this.#raft.stall(ticks)
    else this.#raft.tick(ticks)
  }

  /**
   * C3: after a stall, what waited at this host's door is heard before anybody is given up: its leader's heartbeats, its followers' answers.
   * Raft's safety does not look at time; leases and deadlines, which do, go by the clocks above.
   */
  #hearsFirst(): boolean {
    const late = this.#now.monotonic - this.#dueAt
    if (this.#hearing === null && late >= stalledFrom) {
      // What is longer is sleep, and says nothing of the next time.
      if (late < pauseAfter) this.#stalled(late)
      this.#hearing = this.#options.clock.after(hearsFirstFor, () => {
        this.#hearing = null
        this.#dueAt = Number.POSITIVE_INFINITY
        this.#turn(() => {})
      })
    }
    return this.#hearing !== null
  }

  #stalled(ms: number): void {
    this.#longestStall = Math.max(this.#longestStall, ms)
    this.#tempo.stalled(ms)
  }

  /** A leader that was away for a minimum election time-out may have been replaced; that it meant to sleep is no gap. */
  #gapOfLeader(): number {
    return (this.machine.settings ?? defaultSettings).timing.electionMin + this.#sleeps
  }

  /** For how much longer than when awake it sleeps of its own will. */
  get #sleeps(): number {
    return this.#housekeepingEvery - housekeepingEvery
  }

  get #housekeepingEvery(): number {
    return this.#tempo.idle.isCalm ? housekeepingEveryCalm : housekeepingEvery
  }

  #settle(): void {
    this.#isGathering = false
    this.#housekeep()
    do {
      while (this.#raft.hasReady()) {
        if (this.#tempo.idle.isOffering) this.#raft.offerRest()
        this.#take(this.#raft.ready())
      }
      this.#noticeLeader()
      this.#page.serve()
      if (this.#leads) this.#lead()
      this.#tempo.settle()
    } while (this.#raft.hasReady())
    this.#page.settle()
    // Who leads is answered by everybody; of the others nobody is heard while the room is idle.
    this.#peers.rest(this.#tempo.idle.isCalm && !this.#leadership.leading)
    this.#peers.flush()
    const { ending } = this.#belonging
    if (ending) this.#reset(ending)
    else this.#arm()
  }

  #lead(): void {
    const { currentRound } = this.#raft
    if (!this.#tempo.idle.isCalm || currentRound !== this.#echoedRound) this.#leadership.leases.release()
    this.#echoedRound = currentRound
    this.#leadership.answered()
    this.#leadership.fireDue()
    this.#belonging.meetings.answered()
    if (!this.#hasWaiting || !this.#raft.committedInTerm) return
    this.#hasWaiting = false
    this.#departures.tick()
    this.#leadership.tick()
  }

  #housekeep(): void {
    if (this.#now.monotonic - this.#housekeptAt < this.#housekeepingEvery) return
    this.#housekeptAt = this.#now.monotonic
    this.#askToBeAdmitted()
    this.#giveUpJoining()
    this.#departures.tick()
    if (this.#leads) this.#leadership.tick()
    this.#belonging.tick()
    this.#page.tick()
    this.#exchange.tick()
    if (this.#tempo.idle.isCalm) {
      if (this.#leadership.leading) this.#page.beat()
      return
    }
    if (this.#now.monotonic - this.#pingedAt < (this.#raft.leader === null ? pingEveryLeaderless : pingEvery)) return
    this.#pingedAt = this.#now.monotonic
    this.#conditions.tick()
    for (const { peerId } of this.#peers.all()) this.#ping(peerId)
    this.#peers.pingSilent()
  }

  #ping(peerId: PeerId): void {
    const time = this.#now.monotonic
    this.#tempo.trips.sent(peerId, 'ping', time, time)
    this.#peers.send(peerId, { type: 'ping', time })
  }

  #arm(): void {
    if (this.#hearing !== null) return
    const housekeeping = this.#housekeptAt + this.#housekeepingEvery - this.#now.monotonic
    const due = this.#leadership.leading ? (this.#leadership.dueIn ?? housekeeping) : housekeeping
    const wait = Math.max(1, Math.min(housekeeping, due, this.#raft.ticksUntilDue()))
    const at = this.#now.monotonic + wait
    if (this.#timer && this.#timer.at <= at && this.#timer.at > this.#now.monotonic) return
    this.#dueAt = at
    this.#timer?.timer.cancel()
    const timer = this.#options.clock.after(wait, () => {
      this.#timer = null
      this.#turn(() => {})
    })
    this.#timer = { at, timer }
  }

  /** The caller's duties of a Ready, in their order (src/raft/ready.ts). */
  #take(ready: Ready): void {
    for (const message of ready.messages) this.#sendRaft(message)
    const installed = ready.write?.snapshot
    const last = ready.write?.entries.at(-1)
    if (last && this.#raft.role !== 'leader') this.#cluster.stored(last.time, this.#now)
    if (installed) {
      this.#cluster.stored(installed.meta.time, this.#now)
      this.#replicated.install(installed)
      this.#belonging.noticeSuccessor()
      this.#checkRoom()
      this.#page.reconcile()
    }
    this.#commit.add(roomGroup, ready)
    for (const entry of ready.committed) this.#apply(entry)
    const lastApplied = ready.committed.at(-1)
    if (lastApplied) this.#raft.applied(lastApplied.index)
    if (lastApplied || installed) this.#peers.noteIncarnations(this.#raft.configuration)
    this.#inheritance.applied(this.machine.appliedIndex)
    this.#useSettings()
    this.#page.confirmed(ready.reads)
    if (lastApplied) this.#compact()
  }

  get #standing(): Standing {
    const { configuration, role, leader } = this.#raft
    return {
      isVoter: votersOf(configuration).includes(this.#options.self.peerId),
      isFollower: role === 'follower',
      leader,
    }
  }

  #durable(ready: Ready): void {
    this.#raft.persisted(ready.sequence)
    this.#belonging.persisted()
    for (const message of ready.messagesAfterWrite) this.#sendRaft(message)
  }

  #apply(entry: Entry): void {
    const applied = this.#replicated.apply(entry)
    this.#checkRoom()
    this.#options.listener?.applied?.(entry, this.machine)
    this.#belonging.noticeSuccessor()
    if (entry.type === 'configuration') this.#hasWaiting = true
    this.#page.applied(entry, applied)
    if (this.#leadership.leading) for (const event of applied.events) this.#tellWhoWaits(event)
  }

  /** Its proposer waits for an entry, and who is in one of its events (a lock's next holder); the others hear of it in time. */
  #tellWhoWaits(event: MachineEvent): void {
    if (!('session' in event)) return
    const peerId = 'peerId' in event ? event.peerId : this.machine.sessions.get(event.session)?.peerId
    if (peerId !== undefined) this.#raft.tell(peerId)
  }

  /** The log is this room's. F5: and whoever can must follow its machine. */
  #checkRoom(): void {
    const { roomId, version } = this.machine
    refuseLogOf(roomId, this.#belonging.lineage)
    if (roomId !== null) this.#peers.setRoomVersion(version)
  }

  #compact(): void {
    const compacted = this.#replicated.compact(this.#raft.stableIndex)
    if (!compacted) return
    this.#raft.compact(compacted.snapshot, compacted.keepFrom)
    this.#commit.addExtra({ compacted: { group: roomGroup, ...compacted } })
  }

  /** F5: durability is the founder's, from the moment that this peer knows it; of times see tempo.ts. */
  #useSettings(): void {
    const { settings } = this.machine
    if (!settings || settings === this.#settings) return
    this.#settings = settings
    this.#options.storage.setDurability(settings.durability)
    if (this.#options.inMemory) this.#conditions.roleKnown()
  }

  #noticeLeader(): void {
    const { term, leader, role } = this.#raft
    const leading = role === 'leader'
    const before = this.#known
    if (before.term === term && before.leader === leader && before.leading === leading) return
    this.#known = { term, leader, leading }
    if (leading && !(before.leading && before.term === term)) this.#beginToLead()
    if (!leading && before.leading) this.#leadership.end()
    if (leader !== null) this.#peers.setJoined()
    if (leader === null || (leader === before.leader && term === before.term)) return
    this.#departures.leaderChanged()
    this.#page.leaderChanged()
  }

  #beginToLead(): void {
    this.#hasWaiting = true
    this.#leadership.begin()
    this.#belonging.meetings.ledAnew()
  }

  #sendRaft(message: Parameters<Raft['step']>[0]): void {
    const lane: Lane = message.type === 'snapshot' ? 'bulk' : 'control'
    this.#tempo.sent(message)
    // The core is owed word of what was lost.
    if (!this.#peers.peer(message.to)) this.#raft.reportUnreachable(message.to)
    else this.#peers.send(message.to, { type: 'raft', group: roomGroup, message }, lane)
  }

  #received(link: Link, lane: Lane, data: Uint8Array): void {
    const received = this.#peers.receive(link, data)
    if (!received) return
    if (this.#departures.heard(received.peer)) this.#refusals.count('departure')
    for (const item of received.items) {
      this.#item(received.peer, item)
      this.#exchange.receive(received.peer, item, lane, link.kind === 'peer-relay')
    }
  }

  #receivedLoose(sender: PeerId, data: Uint8Array): void {
    const received = this.#peers.receiveLoose(sender, data)
    if (received) for (const item of received.items) this.#item(received.peer, item)
  }

  #item(peer: Peer, item: Item): void {
    switch (item.type) {
      case 'hello':
      case 'links':
      case 'signal':
      case 'relay':
        // Of the links, and dealt with there.
        break
      case 'raft':
        if (item.group !== roomGroup) break
        // M1: what a life says after its goodbye is void, above all that it leads.
        if (!this.#departures.isOver(peer) && !this.#belonging.isBetweenHistories) this.#step(item.message)
        break
      case 'submit':
        this.#tempo.idle.touch()
        if (this.#leads)
          for (let i = this.#leadership.submit(item.instructions, peer); i > 0; i--) this.#refusals.count('instruction')
        break
      case 'alive':
        if (this.#leads) this.#leadership.leases.alive(peer.peerId, item.session, item.monotonic, item.wall)
        break
      case 'echo':
        // S-5: what only a leader may say, and only about what this page has said.
        if (peer.peerId === this.#raft.leader) this.#page.echoed(item)
        break
      case 'admit':
        this.#tempo.idle.touch()
        if (this.#leads) this.#leadership.admit(peer, item.learnerOnly)
        break
      case 'goodbye':
        this.#departed(peer, 'goodbye', item.lastNumber, this.#belonging.isBetweenHistories ? undefined : item.heir)
        if (item.vote !== null) this.#takeVote(peer, item.vote)
        break
      case 'departed':
        if (this.#departures.isBelievable(item, item.proof, peer)) this.#departed(item, item.proof, item.lastNumber)
        else this.#refusals.count('departure')
        break
      case 'recover':
      case 'position':
      case 'lead':
        this.#belonging.recovery.item(peer.peerId, item)
        break
      case 'yield':
        this.#takeVote(peer, item.vote)
        break
      case 'condition':
        this.#conditions.told(peer, item)
        break
      case 'ping':
        this.#peers.send(peer.peerId, { type: 'pong', time: item.time })
        break
      case 'pong':
        this.#peers.noteRtt(peer.peerId, Math.max(0, this.#now.monotonic - item.time))
        this.#tempo.trips.answered(peer.peerId, 'ping', item.time, this.#now.monotonic)
        break
      case 'wake':
        this.#tempo.idle.asked()
        break
    }
  }

  #step(message: Message): void {
    const { idle } = this.#tempo
    if (message.type === 'heartbeat') {
      if (idle.heartbeat(message)) this.#page.beat()
      return
    }
    this.#raft.step(message)
    if (message.type === 'heartbeatReply') this.#tempo.replied(message)
    else if (message.type === 'readIndex') idle.touch()
  }

  #met(peer: Peer): void {
    this.#tempo.idle.touch()
    // What an election takes is known before one is due.
    this.#ping(peer.peerId)
    this.#conditions.met(peer.peerId)
    this.#options.listener?.met?.(peer)
    this.#exchange.met(peer.peerId)
    this.#page.membersChanged()
    if (peer.founded) this.#askToBeAdmitted(true)
  }

  #unreachable(peer: Peer, reason: DownReason): void {
    this.#exchange.unreachable(peer.peerId)
    this.#page.membersChanged()
    this.#tempo.idle.touch()
    this.#tempo.trips.forget(peer.peerId)
    this.#raft.reportUnreachable(peer.peerId)
    // A relay may still bring its heartbeats; but nobody waits for them as long as in an idle room.
    if (this.#raft.leader === peer.peerId) this.#raft.doubtLeader()
    // M5: the leader's channel was closed from its side. Its locks stay until it is proven gone: its page may live on.
    if (reason === 'remote' && this.#raft.leader === peer.peerId) this.#raft.forgetLeader()
  }

  #departed(
    peer: Pick<Peer, 'peerId' | 'incarnation'>,
    proof: 'goodbye' | 'death',
    lastNumber: number,
    heir: PeerId | null = null,
  ): void {
    if (!this.#departures.note(peer.peerId, peer.incarnation, proof, lastNumber)) return
    this.#tempo.idle.touch()
    if (proof === 'goodbye') this.#options.listener?.parted?.(peer)
    // A later life of it may lead by now.
    const here = this.#peers.peer(peer.peerId)
    if (this.#raft.leader === peer.peerId && (!here || this.#departures.isOver(here))) {
      this.#raft.forgetLeader(heir)
      this.#tellOfLeader({ type: 'departed', peerId: peer.peerId, incarnation: peer.incarnation, proof, lastNumber })
    }
    this.#departures.tick()
    if (this.#leads) this.#leadership.tick()
  }

  /** To those who cannot know that their leader is gone: a death is proven in one browser alone (L2), and a goodbye passes no relay (F4). */
  #tellOfLeader(departed: Extract<Item, { type: 'departed' }>): void {
    const { browserId } = this.#options.self
    for (const { peerId, ...other } of this.#peers.all()) {
      const isDead = departed.proof === 'death'
      const knows = isDead ? other.browserId === browserId : this.#exchange.isLinkedTo(peerId, departed.peerId)
      if (peerId !== departed.peerId && !knows) this.#peers.send(peerId, departed)
    }
  }

  /** N3: nor does a leader go on with the log that it has told of, even if it could now go on alone (M2). */
  get #leads(): boolean {
    return this.#leadership.leading && !this.#belonging.recovery.isStandingBy
  }

  /** M2. N3: whoever has told how far it has come does not lead where it came from: what it then agreed on nobody would have. */
  #takeVote({ peerId }: Peer, vote: number): void {
    if (!this.#belonging.isBetweenHistories) this.#raft.takePromisedVote(peerId, vote)
  }

  /** Whatever this peer was of its history, it is no more: it comes back as somebody new, who has promised nothing (B13). */
  #reset({ successor, partsAt }: Ending): void {
    const { machine: logged, tombstones } = this.#logged()
    const { tokenBase, appliedIndex } = logged
    const tokenFloor = Math.max(this.#options.tokenFloor, tokenBase + appliedIndex)
    const { roomId } = successor
    const { firstIndex } = this.#raft.status()
    const log = this.#raft.entriesAfter(firstIndex - 1)
    const lostSince = (index: number): Losses => {
      const counters = countersSince(index, logged, log, firstIndex)
      const own = { store: storedSince(logged, index), counters, ...tombstones.since(index, logged) }
      return this.#inheritance.with(own, index)
    }
    const lost = lostSince(partsAt)
    const shared = sharedWith(successor, partsAt, lostSince(1))
    this.#sayGoodbye()
    this.#peers.flush()
    const comesBack = { roomId, tokenFloor, shared }
    this.#options.emit({ type: 'reset', reset: { cause: 'merged', ...lost }, successor: comesBack })
    // What waits is asked again by the page where it can be, and else of unknown outcome: that is the page's to say.
    this.#end(null)
  }

  /** N3: what the page was on its way with is in no history that this peer knows. The page's own history has ended before. */
  #inherit(lineage: Lineage): void {
    const lost = this.#inheritance.entered(lineage)
    if (lost) this.#options.emit({ type: 'reset', reset: { cause: 'merged', ...lost }, successor: null })
  }

  /** What the whole log comes to. After a restart, or cut off, a peer may not know of how much of it others were told that it is agreed. */
  #logged(): ReturnType<Replicated['ahead']> {
    return this.#replicated.ahead(this.#raft.entriesAfter(this.machine.appliedIndex))
  }

  #entered(lineage: Lineage): void {
    this.#options.listener?.joined?.(lineage)
    this.#inherit(lineage)
    this.#conditions.entered()
    if (!this.#options.self.resident) this.#page.open()
    this.#askToBeAdmitted(true)
  }

  /**
   * Whoever is not in the configuration asks everyone it meets: the one that leads takes it in. So does who hears no leader:
   * it may have been removed, and would never be told.
   */
  #askToBeAdmitted(now = false): void {
    const { self } = this.#options
    const isMember = membersOf(this.#raft.configuration).includes(self.peerId)
    if (!this.#belonging.lineage || self.resident || (isMember && this.#raft.leader !== null)) return
    if (!now && this.#now.monotonic - this.#admitAskedAt < 4 * housekeepingEvery) return
    this.#admitAskedAt = this.#now.monotonic
    for (const { peerId, founded } of this.#peers.all())
      if (founded) this.#peers.send(peerId, { type: 'admit', learnerOnly: this.#isLearnerOnly })
  }

  get #isLearnerOnly(): boolean {
    const { learnerOnly, inMemory = false } = this.#options
    return learnerOnly || (inMemory && this.machine.settings?.storage !== 'memory')
  }

  /** Once per peer and while, whatever its retries. */
  #refused(refusal: Refusal): void {
    const failure = this.#refusals.note(refusal, this.#now)
    if (failure) this.#page.refused(refusal.peerId, failure)
  }

  /** Not even a link can be had: whether the room lives at the other end cannot be known, so it is believed to. */
  #foreign(peerId: PeerId, version: number): void {
    this.#refusals.count('version')
    this.#refused({ peerId, reason: 'version', message: `it links by version ${version} of a network`, joined: true })
  }

  /**
   * Whoever joins is the one to be refused: members of the room go on and only tell. It has met nobody of the room that it can speak with,
   * and somebody with whom it cannot: no waiting would change that.
   */
  #giveUpJoining(): void {
    if (this.#peers.joined || this.#options.self.resident) return
    const failure = this.#refusals.verdict(this.#now)
    if (failure && !this.#peers.all().some(({ joined }) => joined)) this.fail(failure)
  }

  /**
   * Something that it cannot go on without is gone: the page is told, and nothing more is promised. The goodbyes are the page's to
   * send (M1): only it knows when nothing is believed held any more. Its links stay until then, so that they arrive.
   */
  fail(failure: Failure): void {
    if (this.#stopped) return
    this.#page.fail(failure)
    this.#options.emit({ type: 'failed', failure })
    this.#stop(failure)
  }

  #stop(failure: Failure | null): void {
    if (this.#stopped) return
    const gone: Failure = failure ?? { code: 'room-left', message: 'this peer has left the room' }
    this.#belonging.recovery.fail({ ok: false, failure: gone })
    this.#page.fail(gone)
    this.#end(failure)
  }

  #end(failure: Failure | null): void {
    this.#stopped = true
    this.#timer?.timer.cancel()
    this.#hearing?.cancel()
    this.#commit.stop()
    if (failure === null || this.#options.self.resident) for (const network of this.#networks) network.close()
    this.#options.storage.close()
    this.#options.listener?.stopped?.(failure)
  }

  #createBelonging(): Belonging {
    const { stored, expectedRoomId, randomText, tokenFloor, inMemory, settings = defaultSettings } = this.#options
    return new Belonging(this.#context, {
      ...{ lineage: stored.lineage, expectedRoomId, randomText, tokenFloor },
      settings: inMemory ? { ...settings, storage: 'memory' } : settings,
      actions: {
        keep: (lineage, together) => {
          if (together) this.#commit.addToNext({ lineage })
          else this.#commit.addExtra({ lineage })
        },
        logged: () => this.#logged().machine,
        entered: (lineage) => this.#entered(lineage),
        timeBegins: () => this.#cluster.stored(0, this.#now),
        foundedAnew: (lineage) => this.#options.listener?.foundedAnew?.(lineage),
        turnedRound: (lineage) => this.#inherit(lineage),
        wentOver: (lineage) => {
          this.#inherit(lineage)
          this.#page.wentOver()
        },
        askToBeAdmitted: () => this.#askToBeAdmitted(true),
      },
    })
  }

  #createContext(): HostContext {
    const host = this
    return {
      self: this.#options.self,
      abilities: this.#abilities,
      raft: this.#raft,
      peers: this.#peers,
      get machine() {
        return host.machine
      },
      get now() {
        return host.#now
      },
      get clusterTime() {
        return Math.max(host.#cluster.at(host.#now), host.#raft.lastTime)
      },
      get isCalm() {
        return host.#tempo.idle.isCalm
      },
      get patience() {
        return host.#tempo.patience
      },
      emit: (event) => this.#options.emit(event),
      send: (to, item) => {
        if (to === this.#options.self.peerId) this.#item(this.#myself(), item)
        else this.#peers.send(to, item)
      },
      submit: (instructions) => this.#submit(instructions),
    }
  }

  #submit(instructions: readonly Uint8Array[]): boolean {
    if (this.#leadership.leading) return this.#leads && this.#leadership.propose(instructions)
    const { leader } = this.#raft
    if (leader === null || !this.#peers.peer(leader)) return false
    this.#peers.send(leader, { type: 'submit', instructions })
    return true
  }

  #myself(): Peer {
    return { ...this.#options.self, founded: true, joined: this.#peers.joined, canApply: this.#abilities.canApply }
  }

  #metrics() {
    const status = this.#raft.status()
    return {
      role: status.role,
      term: status.term,
      raftLeader: status.leader,
      commitIndex: status.commitIndex,
      appliedIndex: status.appliedIndex,
      lastLogIndex: status.lastIndex,
      firstLogIndex: status.firstIndex,
      snapshotIndex: this.#replicated.snapshotIndex,
      clusterTime: this.#context.clusterTime,
      voters: votersOf(status.configuration),
      learners: status.configuration.learners,
      sessions: listSessions(this.machine).length,
      framesSent: this.#peers.sent,
      framesReceived: this.#peers.received,
      framesDropped: this.#peers.dropped,
      refused: this.#refusals.counts,
      machineVersion: this.machine.version,
      bytesSent: this.#peers.bytesSent,
      bytesReceived: this.#peers.bytesReceived,
      writes: this.#commit.writes,
      writeMs: this.#commit.writeMs,
      pauses: this.pauses,
      longestStall: this.#longestStall,
    }
  }
}

/** The others are asked, or told: the rest this peer knows by itself. */
function isOfTheRoom(call: Call): boolean {
  return call.type !== 'metrics' && !('consistency' in call && call.consistency === 'local')
}

/** A log that was founded for another room is not this one's, whoever has put it here. */
function refuseLogOf(roomId: string | null, lineage: Lineage | null): void {
  if (roomId === null || lineage === null || roomId === lineage.roomId) return
  const message = `the log is that of the room ${roomId}, and this peer belongs to ${lineage.roomId}`
  throw new HostFailure({ code: 'storage', message })
}

/** Which room these entries found, if they begin with that: before anything of them is applied. */
function roomOf(entries: readonly Entry[]): string | null {
  const first = entries.find(({ type }) => type === 'command')
  const instruction = first?.type === 'command' ? decodeInstruction(first.data) : null
  return instruction?.type === 'found' ? instruction.roomId : null
}

function describe(error: unknown): string {
  return error instanceof Error ? `${error.name}: ${error.message}` : String(error)
}
