/** Cores in this process with nothing around them: messages by function call, disks that are arrays. */
import { type Configuration, type Entry, type Message, type PeerId, Raft } from '../src/raft/index.js'
import { decode, encode } from '../src/shared/codec.js'

/** As a host would: the log is cut every so often, behind a tail that is longer than any window here. */
const compactEvery = 10_000
const tail = 4_096

export const timing = { electionTicks: 150, electionTicksMax: 300, heartbeatTicks: 50, preVoteTicks: 100 }

export function configurationOf(nodes: number): Configuration {
  const voters = Array.from({ length: nodes }, (_, i) => `node ${i}`)
  return { voters, outgoing: [], learners: [], learnersNext: [], incarnations: {} }
}

export class MemoryNode {
  readonly raft: Raft
  inbox: Message[] = []
  committed = 0
  #disk: Entry[]
  readonly #configuration: Configuration
  #compactedAt = 0

  constructor(peerId: PeerId, seed: number, configuration: Configuration) {
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

export interface ClusterOptions {
  readonly nodes: number
  /** Every message is encoded and decoded on its way, by the codec of the frames. */
  readonly isEncoded?: boolean
  readonly seed?: number
}

export class MemoryCluster {
  readonly #nodes: ReadonlyMap<PeerId, MemoryNode>
  readonly leader: MemoryNode
  readonly #isEncoded: boolean

  constructor({ nodes, isEncoded = false, seed = 1 }: ClusterOptions) {
    const configuration = configurationOf(nodes)
    this.#nodes = new Map(
      configuration.voters.map((peerId, i) => [peerId, new MemoryNode(peerId, seed + i, configuration)] as const),
    )
    this.#isEncoded = isEncoded
    const [leader] = this.#nodes.values()
    if (!leader) throw new Error('no node')
    this.leader = leader
    leader.raft.campaign()
    while (!leader.raft.committedInTerm) this.turn()
  }

  tick(ticks: number): void {
    for (const { raft } of this.#nodes.values()) raft.tick(ticks)
  }

  /** Everyone performs what it has, then everyone hears what was said. False when there was nothing to hear. */
  turn(): boolean {
    const send = (message: Message) => {
      this.#nodes.get(message.to)?.inbox.push(this.#isEncoded ? (decode(encode(message)) as Message) : message)
    }
    for (const node of this.#nodes.values()) node.perform(send)
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
}
