/** Helpers of the tests of groups: processes with many cores each, joined by ordered ways, with disks that are done at once, or when the test says so. */

import type { Entry, PeerId } from './entry.js'
import { type GroupId, type PeerMessage, RaftGroups, type RaftGroupsOptions } from './groups.js'
import type { Restored } from './log.js'
import type { Message, Snapshot } from './message.js'
import type { ReadState, Write } from './ready.js'
import type { RaftOptions } from './state.js'
import { dataOf, isDataOf, log, snapshotAt, timing, written } from './test-cluster.js'

/** What goes from one process to another. */
export type Letter =
  | { readonly id: GroupId; readonly message: Message }
  | { readonly id: null; readonly message: PeerMessage }

interface Queued {
  readonly id: GroupId
  readonly sequence: number
  readonly write: Write | null
  readonly messages: readonly Message[]
}

export interface ProcessesOptions {
  readonly peers: readonly PeerId[]
  readonly groups: number
  readonly learners?: readonly PeerId[]
  readonly seed?: number
  readonly options?: Partial<RaftGroupsOptions>
  readonly raft?: Partial<RaftOptions>
  /** What is written is durable after `finishWrite`. */
  readonly isDiskSlow?: boolean
}

export class Process {
  groups: RaftGroups
  epoch = 1
  isUp = true
  readonly disks = new Map<GroupId, Restored>()
  readonly reads: (ReadState & { readonly group: GroupId })[] = []
  queue: Queued[] = []
  /** Snapshots, in all lives and groups. */
  installed = 0

  constructor(
    readonly peerId: PeerId,
    readonly all: Processes,
  ) {
    const { peers, learners = [], groups } = all.options
    const voters = peers.filter((id) => !learners.includes(id))
    for (let id = 1; id <= groups; id++) {
      this.disks.set(id, {
        hardState: { term: 1, votedFor: null, promisedTo: null, commitIndex: 0 },
        snapshot: null,
        entries: log(voters, [1], learners),
      })
    }
    this.groups = this.boot()
  }

  boot(): RaftGroups {
    const { seed = 1, options, raft } = this.all.options
    const groups = new RaftGroups({ ...timing, ...options, peerId: this.peerId, epoch: this.epoch })
    for (const [id, restored] of this.disks)
      groups.add(id, { ...raft, seed: seed * 7919 + this.epoch * 977 + id, restored })
    return groups
  }

  /** Its memory is lost, its disk is not. */
  restart(): void {
    this.epoch++
    this.isUp = true
    this.queue = []
    this.groups = this.boot()
  }

  leads(): GroupId[] {
    return [...this.disks.keys()].filter((id) => this.groups.view(id)?.role === 'leader')
  }

  quiet(): GroupId[] {
    return [...this.disks.keys()].filter((id) => this.groups.status(id).quiet)
  }

  pump(): boolean {
    const ids = this.groups.readyGroups()
    for (const id of ids) this.#perform(id)
    for (const message of this.groups.takeBeats()) this.all.send({ id: null, message })
    return ids.length > 0
  }

  #perform(id: GroupId): void {
    const { groups, all } = this
    const { sequence, messages, write, messagesAfterWrite, committed, reads } = groups.ready(id)
    for (const message of messages) all.send({ id, message })
    this.queue.push({ id, sequence, write, messages: messagesAfterWrite })
    if (write?.snapshot) this.#install(write.snapshot)
    for (const entry of committed) all.onApplied?.(this, id, entry)
    const last = committed.at(-1)
    if (last !== undefined) groups.applied(id, last.index)
    for (const read of reads) this.reads.push({ ...read, group: id })
    while (this.queue.length > 0 && !(all.options.isDiskSlow && this.queue[0]?.write)) this.finishWrite()
  }

  #install({ meta, data }: Snapshot): void {
    if (!isDataOf(meta, data)) throw new Error(`${this.peerId} installs what nobody has sent: ${meta.index}`)
    this.installed++
  }

  /** A snapshot of all that is applied, if that is durable; so many entries before it are kept. */
  compact(id: GroupId, keep: number): void {
    const { groups, disks } = this
    const disk = disks.get(id)
    const { appliedIndex: index, stableIndex, configurationIndex, configuration, firstIndex } = groups.status(id)
    const term = groups.view(id)?.entryTerm(index) ?? null
    if (disk === undefined || term === null || index > stableIndex || index <= (disk.snapshot?.meta.index ?? 0)) return
    if (configurationIndex > index || this.queue.some((one) => one.id === id)) return
    const snapshot = snapshotAt({ term, index }, configuration, 0, dataOf({ term, index }, this.epoch % 3))
    const keepFrom = Math.max(firstIndex, index + 1 - keep)
    groups.compact(id, snapshot, keepFrom)
    disks.set(id, { ...disk, snapshot, entries: disk.entries.filter((entry) => entry.index >= keepFrom) })
  }

  finishWrite(): void {
    const done = this.queue.shift()
    if (done === undefined) return
    const { id, sequence, write, messages } = done
    const disk = this.disks.get(id)
    if (write !== null && disk !== undefined) this.disks.set(id, written(disk, write))
    this.groups.persisted(id, sequence)
    for (const message of messages) this.all.send({ id, message })
  }
}

export class Processes {
  readonly all = new Map<PeerId, Process>()
  letters: Letter[] = []
  /** All that was sent since it was last emptied, lost or not. */
  sent: Letter[] = []
  /** False loses a letter as it is sent. */
  filter: (letter: Letter) => boolean = () => true
  onApplied: ((process: Process, id: GroupId, entry: Entry) => void) | null = null

  constructor(readonly options: ProcessesOptions) {
    for (const peerId of options.peers) this.all.set(peerId, new Process(peerId, this))
  }

  at(peerId: PeerId): Process {
    const process = this.all.get(peerId)
    if (process === undefined) throw new Error(`no process ${peerId}`)
    return process
  }

  /** Those that run. */
  get up(): Process[] {
    return [...this.all.values()].filter(({ isUp }) => isUp)
  }

  send(letter: Letter): void {
    this.sent.push(letter)
    if (this.filter(letter)) this.letters.push(letter)
  }

  deliver({ id, message }: Letter): void {
    const process = this.all.get(message.to)
    if (!process?.isUp) return
    if (id === null) process.groups.receive(message)
    else process.groups.step(id, message)
  }

  /** What they have to say is on its way, and not there yet. */
  pumpAll(): void {
    for (const process of this.up) while (process.pump());
  }

  stabilize(): void {
    for (let round = 0; round < 10_000; round++) {
      let isBusy = false
      for (const process of this.up) {
        isBusy = process.pump() || isBusy
        while (process.queue.length > 0) process.finishWrite()
      }
      const { letters } = this
      if (letters.length === 0 && !isBusy) return
      this.letters = []
      for (const letter of letters) this.deliver(letter)
    }
    throw new Error('the processes do not come to rest')
  }

  run(ticks: number, step = 5): void {
    for (let passed = 0; passed < ticks; passed += step) {
      for (const process of this.up) process.groups.tick(step)
      this.stabilize()
    }
  }

  /** Until that holds. Gives the ticks that it took. */
  until(isTrue: () => boolean, patience = 5000): number {
    for (let passed = 0; passed <= patience; passed += 5) {
      if (isTrue()) return passed
      this.run(5)
    }
    throw new Error(`not within ${patience} ticks`)
  }

  /** That process leads that group. */
  lead(peerId: PeerId, id: GroupId): void {
    this.at(peerId).groups.use(id, (raft) => raft.campaign())
    this.stabilize()
  }

  isAllQuiet(): boolean {
    return this.up.every((process) => process.quiet().length === process.disks.size)
  }

  leaderOf(id: GroupId): PeerId | null {
    const leaders = this.up.filter(({ groups }) => groups.view(id)?.role === 'leader')
    const term = Math.max(...leaders.map(({ groups }) => groups.view(id)?.term ?? 0))
    return leaders.find(({ groups }) => groups.view(id)?.term === term)?.peerId ?? null
  }

  /** Nothing from one of `from` to one of `to` arrives. */
  cut(from: readonly PeerId[], to: readonly PeerId[]): void {
    const { filter } = this
    this.filter = (letter) => filter(letter) && !(from.includes(letter.message.from) && to.includes(letter.message.to))
  }

  heal(): void {
    this.filter = () => true
  }
}
