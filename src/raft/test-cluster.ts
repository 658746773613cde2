/** Helpers for the core's tests only: small cores to order, and a network of them with disks that lose what is not durable. */
import { crc32 } from './checksum.js'
import type { Configuration, Entry, EntryId, PeerId } from './entry.js'
import type { Restored } from './log.js'
import type { Message, MessageOf, Snapshot } from './message.js'
import { Raft } from './raft.js'
import { createRandom, nextUint32, type Random } from './random.js'
import type { HardState, ReadState, Ready, Write } from './ready.js'
import type { RaftOptions } from './state.js'

export const T = 150

export function configuration(voters: readonly PeerId[], learners: readonly PeerId[] = []): Configuration {
  return { voters, outgoing: [], learners, learnersNext: [], incarnations: {} }
}

export function command(term: number, index: number, text = ''): Entry {
  return { type: 'command', term, index, time: 0, data: bytes(text) }
}

export function bytes(text: string): Uint8Array {
  return Uint8Array.from(text, (character) => character.charCodeAt(0))
}

export function configurationEntry(term: number, index: number, next: Configuration): Entry {
  return { type: 'configuration', term, index, time: 0, configuration: next }
}

export function noop(term: number, index: number): Entry {
  return { type: 'noop', term, index, time: 0 }
}

/** A log whose first entry is the configuration, followed by commands of the given terms. */
export function log(voters: readonly PeerId[], terms: readonly number[], learners: readonly PeerId[] = []): Entry[] {
  const first = configurationEntry(terms[0] ?? 1, 1, configuration(voters, learners))
  return [first, ...terms.slice(1).map((term, i) => command(term, i + 2))]
}

export function snapshotAt(id: EntryId, next: Configuration, time = 0, data: Uint8Array = new Uint8Array()): Snapshot {
  return { meta: { ...id, configuration: next, time }, data }
}

/** Up to 50 bytes that no other entry has. `variant`: peers may encode the same state in different ways. */
export function dataOf({ term, index }: EntryId, variant = 0): Uint8Array<ArrayBuffer> {
  const random = createRandom(index * 64 + term, `${variant}`)
  return Uint8Array.from({ length: (index * 7 + variant * 13) % 51 }, () => nextUint32(random) & 255)
}

/** Whether these are the bytes of one of its variants, and of nothing else. */
export function isDataOf(id: EntryId, data: Uint8Array): boolean {
  return variants.some((variant) => `${dataOf(id, variant)}` === `${data}`)
}

const variants = [0, 1, 2]

/** The part of a snapshot from `offset` on; all of it, if nothing else is said. */
export function chunkOf(
  { meta, data }: Snapshot,
  head: { readonly from: PeerId; readonly to: PeerId; readonly term: number },
  offset = 0,
  bytes = data.length,
): MessageOf<'snapshot'> {
  const part = data.subarray(offset, offset + bytes)
  return { type: 'snapshot', ...head, meta, size: data.length, checksum: crc32(data), offset, data: part }
}

export interface CoreOptions extends Partial<RaftOptions> {
  readonly entries?: readonly Entry[]
  readonly hardState?: Partial<HardState>
  readonly snapshot?: Snapshot
}

/** A core that was just restored: by default a, b and c are voters, at term 1. */
export function core(peerId: PeerId, options: CoreOptions = {}): Raft {
  const entries = options.entries ?? log(['a', 'b', 'c'], [1])
  const hardState = {
    term: entries.at(-1)?.term ?? options.snapshot?.meta.term ?? 0,
    votedFor: null,
    promisedTo: null,
    commitIndex: 0,
    ...options.hardState,
  }
  const restored: Restored = { hardState, snapshot: options.snapshot ?? null, entries }
  return new Raft({ ...timing, seed: 1, restored, ...options, peerId })
}

export const timing = { electionTicks: T, electionTicksMax: 2 * T, heartbeatTicks: 50, preVoteTicks: 100 }

/** Takes a Ready and does all its duties at once, except sending. */
export function settle(raft: Raft): Ready {
  const ready = raft.ready()
  raft.persisted(ready.sequence)
  const last = ready.committed.at(-1)
  if (last !== undefined) raft.applied(last.index)
  return ready
}

/** Takes Readys until there are none, and gives all that was said. */
export function drain(raft: Raft): Message[] {
  const messages: Message[] = []
  while (raft.hasReady()) {
    const ready = settle(raft)
    messages.push(...ready.messages, ...ready.messagesAfterWrite)
  }
  return messages
}

export function only<K extends Message['type']>(messages: readonly Message[], type: K): MessageOf<K>[] {
  return messages.filter((message): message is MessageOf<K> => message.type === type)
}

/** Elects `raft` with the votes of `voters`; what it then sends is dropped. Its first entry is durable here only. */
export function elect(raft: Raft, voters: readonly PeerId[]): Raft {
  const { peerId } = raft.status()
  raft.campaign()
  drain(raft)
  for (const from of voters) {
    raft.step({ type: 'preVoteReply', from, to: peerId, term: raft.term + 1, granted: true })
  }
  drain(raft)
  for (const from of voters) raft.step({ type: 'voteReply', from, to: peerId, term: raft.term, granted: true })
  drain(raft)
  if (raft.role !== 'leader') throw new Error(`${peerId} is ${raft.role}`)
  return raft
}

export function acknowledge(raft: Raft, from: PeerId, index = raft.lastIndex): void {
  raft.step({ type: 'appendReply', from, to: raft.status().peerId, term: raft.term, rejected: false, index })
}

/** A leader a of a, b and c whose first entry is committed and known to the others. */
export function leader(options: CoreOptions = {}, others: readonly PeerId[] = ['b', 'c']): Raft {
  const raft = elect(core('a', options), others)
  for (const peerId of others) acknowledge(raft, peerId)
  drain(raft)
  for (const peerId of others) acknowledge(raft, peerId)
  drain(raft)
  return raft
}

interface Queued {
  readonly sequence: number
  readonly write: Write | null
  readonly messages: readonly Message[]
}

/** One peer: its core, its disk, and what its disk has not finished yet. */
export class TestNode {
  raft: Raft
  durable: Restored
  queue: Queued[] = []
  /** Index and content of everything applied in this life. */
  applied: { readonly index: number; readonly mark: string }[] = []
  reads: ReadState[] = []
  lives = 1
  /** Snapshots, in all lives. */
  installed = 0

  constructor(
    readonly peerId: PeerId,
    restored: Restored,
    readonly options: Partial<RaftOptions>,
    readonly cluster: Cluster,
  ) {
    this.durable = restored
    this.raft = this.#boot()
  }

  #boot(): Raft {
    const seed = this.cluster.seed * 1000 + this.lives
    return new Raft({ ...timing, ...this.options, peerId: this.peerId, seed, restored: this.durable })
  }

  /** Everything that its disk had not finished is lost. */
  crash(): void {
    this.queue = []
    this.applied = []
    this.lives++
    this.raft = this.#boot()
  }

  /** Takes what the core has; the disk's part waits in the queue. */
  pump(): void {
    while (this.raft.hasReady()) {
      const ready = this.raft.ready()
      for (const message of ready.messages) this.cluster.send(message)
      this.queue.push({ sequence: ready.sequence, write: ready.write, messages: ready.messagesAfterWrite })
      if (ready.write?.snapshot) this.#install(ready.write.snapshot)
      for (const entry of ready.committed) {
        const mark = markOf(entry)
        this.applied.push({ index: entry.index, mark })
        this.cluster.onApplied?.(this, entry.index, mark)
        this.raft.applied(entry.index)
      }
      this.reads.push(...ready.reads)
      // A Ready without a write whose predecessors are durable is durable.
      if (ready.write === null && this.queue.length === 1) this.finishWrite()
    }
  }

  #install({ meta, data }: Snapshot): void {
    if (!isDataOf(meta, data)) throw new Error(`${this.peerId} installs what nobody has sent: ${meta.index}`)
    this.applied = []
    this.installed++
  }

  finishWrite(): void {
    const done = this.queue.shift()
    if (done === undefined) return
    if (done.write !== null) this.durable = written(this.durable, done.write)
    this.raft.persisted(done.sequence)
    for (const message of done.messages) this.cluster.send(message)
  }

  compact(keep: number): void {
    const index = this.raft.appliedIndex
    const term = this.raft.entryTerm(index)
    const { status } = { status: this.raft.status() }
    if (term === null || index > status.stableIndex || index <= (this.durable.snapshot?.meta.index ?? 0)) return
    if (status.configurationIndex > index || this.queue.length > 0) return
    const id = { term, index }
    const snapshot = snapshotAt(id, this.raft.configuration, 0, dataOf(id, this.lives % variants.length))
    const keepFrom = Math.max(status.firstIndex, index + 1 - keep)
    this.raft.compact(snapshot, keepFrom)
    const entries = this.durable.entries.filter((entry) => entry.index >= keepFrom)
    this.durable = { ...this.durable, snapshot, entries }
  }
}

export function markOf(entry: Entry): string {
  return `${entry.term}/${entry.type}/${entry.type === 'command' ? String.fromCharCode(...entry.data) : ''}`
}

/** What a disk holds after one more write: all of it or nothing. */
export function written(before: Restored, write: Write): Restored {
  const snapshot = write.snapshot ?? before.snapshot
  const from = write.entries[0]?.index ?? Number.POSITIVE_INFINITY
  const kept = write.snapshot ? [] : before.entries.filter((entry) => entry.index < from)
  return { hardState: write.hardState ?? before.hardState, snapshot, entries: [...kept, ...write.entries] }
}

export interface ClusterOptions {
  readonly voters: readonly PeerId[]
  readonly learners?: readonly PeerId[]
  /** Members to be: they begin with nothing. */
  readonly newcomers?: readonly PeerId[]
  readonly seed?: number
  readonly options?: Partial<RaftOptions>
  /** Logs other than the founding one. */
  readonly entries?: Readonly<Record<PeerId, readonly Entry[]>>
}

export class Cluster {
  readonly nodes = new Map<PeerId, TestNode>()
  readonly seed: number
  readonly random: Random
  pool: Message[] = []
  /** False drops a message as it is sent. */
  filter: (message: Message) => boolean = () => true
  /** M2: votes that pages have sent with their last words. */
  readonly shownVotes: { readonly from: PeerId; readonly to: PeerId; readonly term: number }[] = []
  onApplied: ((node: TestNode, index: number, mark: string) => void) | null = null
  sent = 0

  constructor({ voters, learners = [], newcomers = [], seed = 1, options = {}, entries = {} }: ClusterOptions) {
    this.seed = seed
    this.random = createRandom(seed, 'cluster')
    for (const peerId of [...voters, ...learners]) {
      const founded = entries[peerId] ?? log(voters, [1], learners)
      const term = founded.at(-1)?.term ?? 0
      const restored = {
        hardState: { term, votedFor: null, promisedTo: null, commitIndex: 0 },
        snapshot: null,
        entries: founded,
      }
      this.nodes.set(peerId, new TestNode(peerId, restored, options, this))
    }
    for (const peerId of newcomers) {
      const nothing = {
        hardState: { term: 0, votedFor: null, promisedTo: null, commitIndex: 0 },
        snapshot: null,
        entries: [],
      }
      this.nodes.set(peerId, new TestNode(peerId, nothing, options, this))
    }
  }

  node(peerId: PeerId): TestNode {
    const node = this.nodes.get(peerId)
    if (node === undefined) throw new Error(`no node ${peerId}`)
    return node
  }

  raft(peerId: PeerId): Raft {
    return this.node(peerId).raft
  }

  send(message: Message): void {
    this.sent++
    if (this.filter(message)) this.pool.push(message)
  }

  deliver(message: Message): void {
    this.nodes.get(message.to)?.raft.step(message)
  }

  /** Delivers and writes until nothing moves. */
  stabilize(): void {
    for (let round = 0; round < 10_000; round++) {
      for (const node of this.nodes.values()) {
        node.pump()
        while (node.queue.length > 0) node.finishWrite()
      }
      const pool = this.pool
      if (pool.length === 0 && ![...this.nodes.values()].some((node) => node.raft.hasReady())) return
      this.pool = []
      for (const message of pool) this.deliver(message)
    }
    throw new Error('the cluster does not come to rest')
  }

  /** Time passes for all, 5 ticks at a time, with a perfect network. */
  run(ticks: number): void {
    for (let passed = 0; passed < ticks; passed += 5) {
      for (const node of this.nodes.values()) node.raft.tick(5)
      this.stabilize()
    }
  }

  leaders(): PeerId[] {
    return [...this.nodes.values()].filter((node) => node.raft.role === 'leader').map((node) => node.peerId)
  }

  /** Runs until there is a leader that has committed in its term. */
  elect(ticks = 5000): TestNode {
    for (let passed = 0; passed < ticks; passed += 5) {
      this.run(5)
      const found = [...this.nodes.values()].find((node) => node.raft.committedInTerm)
      if (found !== undefined) return found
    }
    throw new Error(`no leader within ${ticks} ticks (seed ${this.seed})`)
  }

  isolate(...peerIds: readonly PeerId[]): void {
    this.filter = (message) => !peerIds.includes(message.from) && !peerIds.includes(message.to)
  }

  heal(): void {
    this.filter = () => true
  }

  below(bound: number): number {
    return nextUint32(this.random) % bound
  }
}

/** Lets the two talk, with nobody else and no time in between, until neither has anything to say. */
export function converse(leading: Raft, follower: Raft): void {
  leading.read(0)
  for (let rounds = 0; rounds < 100; rounds++) {
    const there = drain(leading).filter(({ to }) => to === follower.status().peerId)
    for (const message of there) follower.step(message)
    const back = drain(follower)
    for (const message of back) leading.step(message)
    if (there.length + back.length === 0) return
  }
  throw new Error('they never stop talking')
}
