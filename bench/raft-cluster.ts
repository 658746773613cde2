/** Cores in this process with nothing around them: messages by function call, disks that are arrays. */

import {
  decodeFrame,
  encodeFrame,
  type Frame,
  type Item,
  type KnownHead,
  noHead,
  protocolVersion,
} from '../src/host/frame.js'
import { readMessage, writeMessage } from '../src/host/message-codec.js'
import { type Configuration, type Entry, type Message, type PeerId, Raft } from '../src/raft/index.js'
import { readerOf, written } from '../src/shared/bytes.js'

/** As a host would: the log is cut every so often, behind a tail that is longer than any window here. */
const compactEvery = 10_000
const tail = 4_096

export const timing = { electionTicks: 150, electionTicksMax: 300, heartbeatTicks: 50, preVoteTicks: 100 }

export function configurationOf(nodes: number): Configuration {
  const voters = Array.from({ length: nodes }, (_, i) => `node-${i}`)
  return { voters, outgoing: [], learners: [], learnersNext: [], incarnations: {} }
}

export class MemoryNode {
  readonly raft: Raft
  inbox: Message[] = []
  committed = 0
  #disk: Entry[]
  readonly #configuration: Configuration
  #compactedAt = 0

  constructor(
    readonly peerId: PeerId,
    seed: number,
    configuration: Configuration,
  ) {
    const first: Entry = { type: 'configuration', term: 1, index: 1, time: 0, configuration }
    this.#configuration = configuration
    this.#disk = [first]
    this.raft = new Raft({
      ...timing,
      peerId,
      seed,
      // 1,024 proposals of 4 KiB are more than what a room lets wait.
      maxUncommittedBytes: 64 * 1024 * 1024,
      restored: {
        hardState: { term: 1, votedFor: null, promisedTo: null, commitIndex: 1 },
        snapshot: null,
        entries: [first],
      },
    })
  }

  /** The duties of a Ready in their order; the disk is done at once. */
  perform(send: (message: Message) => void): void {
    const { raft } = this
    while (raft.hasReady()) {
      const ready = raft.ready()
      for (const message of ready.messages) send(message)
      if (ready.write) for (const entry of ready.write.entries) this.#disk.push(entry)
      raft.persisted(ready.sequence)
      for (const message of ready.messagesAfterWrite) send(message)
      const last = ready.committed.at(-1)
      if (!last) continue
      for (const { type } of ready.committed) if (type === 'command') this.committed += 1
      raft.applied(last.index)
      if (last.index - this.#compactedAt >= compactEvery) this.#compact(last)
    }
  }

  #compact({ term, index, time }: Entry): void {
    this.#compactedAt = index
    const snapshot = { meta: { term, index, configuration: this.#configuration, time }, data: new Uint8Array() }
    this.raft.compact(snapshot, index - tail)
    this.#disk = this.#disk.filter((entry) => entry.index >= index - tail)
  }
}

/**
 * How a message gets across: as it is; encoded and decoded by itself, as the noted figures of others are; or in frames as hosts send
 * them, one for each peer and turn, with their heads.
 */
export type Transport = 'plain' | 'messages' | 'frames'

export interface ClusterOptions {
  readonly nodes: number
  readonly transport?: Transport
  readonly seed?: number
}

/** What a load is put on. */
export interface LoadedCluster {
  /** Commands that the leader has applied. */
  readonly committed: number
  propose(data: Uint8Array): void
  turn(): boolean
}

export class MemoryCluster implements LoadedCluster {
  readonly #nodes: ReadonlyMap<PeerId, MemoryNode>
  readonly leader: MemoryNode
  readonly #transport: Transport
  /** By sender and receiver. */
  readonly #wires = new Map<PeerId, Map<PeerId, Wire>>()

  constructor({ nodes, transport = 'plain', seed = 1 }: ClusterOptions) {
    const configuration = configurationOf(nodes)
    this.#nodes = new Map(
      configuration.voters.map((peerId, i) => [peerId, new MemoryNode(peerId, seed + i, configuration)] as const),
    )
    this.#transport = transport
    const [leader] = this.#nodes.values()
    if (!leader) throw new Error('no node')
    this.leader = leader
    leader.raft.campaign()
    while (!leader.raft.committedInTerm) this.turn()
  }

  get committed(): number {
    return this.leader.committed
  }

  propose(data: Uint8Array): void {
    if (!this.leader.raft.propose(0, [data]).accepted) throw new Error('the core refused a proposal')
  }

  tick(ticks: number): void {
    for (const { raft } of this.#nodes.values()) raft.tick(ticks)
  }

  /** Everyone performs what it has, then everyone hears what was said. False when there was nothing to hear. */
  turn(): boolean {
    for (const node of this.#nodes.values()) this.#perform(node)
    let isBusy = false
    for (const node of this.#nodes.values()) {
      const { inbox } = node
      if (inbox.length === 0) continue
      isBusy = true
      node.inbox = []
      for (const message of inbox) node.raft.step(message)
    }
    return isBusy
  }

  #perform(node: MemoryNode): void {
    const deliver = (message: Message) => this.#nodes.get(message.to)?.inbox.push(message)
    switch (this.#transport) {
      case 'plain':
        node.perform(deliver)
        break
      case 'messages':
        node.perform((message) => deliver(acrossAlone(message)))
        break
      case 'frames':
        node.perform((message) => this.#wire(message).queue(message))
        for (const wire of this.#wires.get(node.peerId)?.values() ?? []) wire.flush(deliver)
    }
  }

  #wire({ from, to }: Message): Wire {
    let wires = this.#wires.get(from)
    if (!wires) {
      wires = new Map()
      this.#wires.set(from, wires)
    }
    let wire = wires.get(to)
    if (!wire) {
      wire = new Wire(from, to)
      wires.set(to, wire)
    }
    return wire
  }
}

function acrossAlone(message: Message): Message {
  const bytes = written((writer) => writeMessage(writer, message))
  return readMessage(readerOf(bytes), message.from, message.to)
}

const incarnation = { counter: 3, nonce: '9b1deb4d-3b7d-4bad-9bdd-2b0d7b3dcb6d' }
const lineage = { roomId: '1b9d6bcd-bbfd-4b2d-9b5d-ab8dfbbd4bed', epoch: 0, forkId: '' }

/** The two ends of a link, with what one turn sends. */
class Wire {
  readonly #from: PeerId
  readonly #to: PeerId
  readonly #sent: KnownHead = noHead()
  readonly #received: KnownHead = noHead()
  #items: Item[] = []

  constructor(from: PeerId, to: PeerId) {
    this.#from = from
    this.#to = to
  }

  queue(message: Message): void {
    this.#items.push({ type: 'raft', group: 0, message })
  }

  flush(deliver: (message: Message) => void): void {
    if (this.#items.length === 0) return
    const decoded = decodeFrame(encodeFrame(this.#frame(), this.#sent), this.#received)
    if (!decoded.ok) throw new Error(`a frame that is ${decoded.reason}`)
    this.#items = []
    for (const item of decoded.frame.items) if (item.type === 'raft') deliver(item.message)
  }

  #frame(): Frame {
    const [from, to, items] = [this.#from, this.#to, this.#items]
    const version = protocolVersion
    return { version, lineage, from, fromIncarnation: incarnation, to, toIncarnation: incarnation, items }
  }
}
