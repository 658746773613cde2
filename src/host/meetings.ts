/**
 * Peers of other histories of this room (N2, N3). Whoever can speak for its history tells them what it has come to, and whoever can decide for
 * its own ends it by rule. One with a quorum ends by an entry, so that all its members end it alike; a peer without one goes alone.
 */
import { encodeInstruction } from '../machine/instruction.js'
import type { MachineState } from '../machine/machine.js'
import type { EntryId } from '../raft/entry.js'
import { elapsedAtMost, type Instant } from '../shared/instant.js'
import type { Lineage } from '../storage/storage.js'
import type { HostContext } from './context.js'
import { type Claim, type History, isSettled, partsAt, yieldsTo } from './histories.js'
import { kickRound } from './leases.js'
import type { Stranger } from './peers.js'

/** How often strangers are told again, ms. */
const tellEvery = 1_000
/** Without a quorum for this long a peer decides for itself, ms: several elections. */
const aloneAfter = 2_000

export interface MeetingsActions {
  /** This peer leaves its history for that one, by itself: what comes before that index they have in common. */
  leaveFor(lineage: Lineage, partsAt: number): void
  /** What this peer's whole log comes to, committed or not. */
  logged(): MachineState
}

export class Meetings {
  readonly #context: HostContext
  readonly #lineage: () => Lineage | null
  readonly #actions: MeetingsActions
  #quorumSeenAt: Instant
  #toldAt: Instant | null = null
  /** The heartbeat round that has to be answered before this leader may speak. */
  #round: number | null = null
  /** The entry by which this leader has begun to end its history. */
  #ending: EntryId | null = null

  constructor(context: HostContext, lineage: () => Lineage | null, actions: MeetingsActions) {
    this.#context = context
    this.#lineage = lineage
    this.#actions = actions
    this.#quorumSeenAt = context.now
  }

  /** Somebody new has come: it is not kept waiting. */
  met(): void {
    this.#toldAt = null
  }

  tick(): void {
    const { raft, peers, now } = this.#context
    if (raft.hasQuorum) this.#quorumSeenAt = now
    if (peers.strangers().length === 0) return
    if (this.#toldAt && elapsedAtMost(this.#toldAt, now) < tellEvery) return
    this.#toldAt = now
    if (raft.committedInTerm && raft.hasQuorum) {
      if (this.#isEnding) return
      this.#round = raft.currentRound + 1
      raft.read(kickRound)
    } else if (this.#isAlone) this.#tell(false)
  }

  /** Leader: a quorum may have answered. */
  answered(): void {
    const { raft, machine } = this.#context
    if (this.#round === null || raft.confirmedRound < this.#round || machine.appliedIndex < raft.commitIndex) return
    this.#round = null
    if (raft.committedInTerm && !this.#isEnding) this.#tell(true)
  }

  /** Rounds are counted anew with each leadership. */
  ledAnew(): void {
    this.#round = null
  }

  heard({ lineage }: Stranger, claim: Claim): void {
    const { raft } = this.#context
    const mine = this.#lineage()
    if (!mine || this.#context.machine.successor) return
    const other: History = { lineage, claim }
    if (raft.committedInTerm && raft.hasQuorum) {
      const own: History = { lineage: mine, claim: this.#claim(true) }
      if (!this.#isEnding && yieldsTo(own, other)) this.#end(own, other)
      return
    }
    if (!this.#isAlone) return
    const own: History = { lineage: mine, claim: this.#claim(false, this.#actions.logged()) }
    if (yieldsTo(own, other)) this.#actions.leaveFor(lineage, this.#partsAt(own, other))
  }

  #partsAt(own: History, other: History): number {
    const { raft } = this.#context
    return partsAt(own, other, (index) => raft.entryTerm(index))
  }

  /** N2, N3: nobody is told to come to a history that may be over by then. */
  get #isEnding(): boolean {
    const { raft, machine } = this.#context
    return this.#ending !== null && this.#ending.term === raft.term && this.#ending.index > machine.appliedIndex
  }

  get #isAlone(): boolean {
    return elapsedAtMost(this.#quorumSeenAt, this.#context.now) >= aloneAfter
  }

  #end(own: History, other: History): void {
    const { roomId, epoch, forkId, foundation } = other.lineage
    const { raft, machine } = this.#context
    // F5: to the first version of the machine an entry with it is garbage.
    const parting = machine.version >= 2 ? { partsAt: this.#partsAt(own, other) } : {}
    const to = { roomId, epoch, forkId, foundation: foundation ?? null, ...parting }
    // What is agreed on before that entry is told to the other one too, which may end for its sake.
    const lastCommand = isSettled(own, other) ? null : own.claim.lastCommand.index
    if (this.#context.submit([encodeInstruction({ type: 'yield', to, lastCommand })]))
      this.#ending = { term: raft.term, index: raft.lastIndex }
  }

  #tell(hasQuorum: boolean): void {
    const { peers } = this.#context
    const claim = this.#claim(hasQuorum)
    for (const { peerId } of peers.strangers()) peers.sendToStranger(peerId, { type: 'claim', claim })
  }

  #claim(hasQuorum: boolean, machine: MachineState = this.#context.machine): Claim {
    const { foundedAt, lastCommand, branches } = machine
    return { hasQuorum, foundedAt, lastCommand, branches }
  }
}
