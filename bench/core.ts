/**
 * Commits per second of the raft core alone: three nodes in this process, messages by function call, a disk that is an
 * array. Nothing but the core is on the way, so this is what it costs; rooms are slower by their links and disks.
 */
import { performance } from 'node:perf_hooks'
import { type Configuration, type Entry, type Message, type PeerId, Raft } from '../src/raft/index.js'
import type { CoreRow, Part } from './result.js'

const commandBytes = 64
const runs = 5
const runMs = 700
/** As a host would: the log is cut every so often, behind a tail that is longer than any window here. */
const compactEvery = 10_000
const tail = 4_096

/** Of `TESTING.md`: etcd's Go core, messages not encoded. */
const depths = [
  { outstanding: 1, etcd: 231_000 },
  { outstanding: 64, etcd: 325_000 },
  { outstanding: 1_024, etcd: 534_000 },
]

const configuration: Configuration = {
  voters: ['a', 'b', 'c'],
  outgoing: [],
  learners: [],
  learnersNext: [],
  incarnations: {},
}
const first: Entry = { type: 'configuration', term: 1, index: 1, time: 0, configuration }

class MemoryNode {
  readonly raft: Raft
  inbox: Message[] = []
  committed = 0
  disk: Entry[] = [first]
  #compactedAt = 0

  constructor(peerId: PeerId, seed: number) {
    this.raft = new Raft({
      peerId,
      seed,
      electionTicks: 150,
      electionTicksMax: 300,
      heartbeatTicks: 50,
      preVoteTicks: 100,
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
      if (ready.write) for (const entry of ready.write.entries) this.disk.push(entry)
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
    const snapshot = { meta: { term, index, configuration, time }, data: new Uint8Array() }
    this.raft.compact(snapshot, index - tail)
    this.disk = this.disk.filter((entry) => entry.index >= index - tail)
  }
}

class MemoryCluster {
  readonly #nodes = new Map(configuration.voters.map((peerId, i) => [peerId, new MemoryNode(peerId, i + 1)] as const))
  readonly leader: MemoryNode

  constructor() {
    const [leader] = this.#nodes.values()
    if (!leader) throw new Error('no node')
    this.leader = leader
    leader.raft.campaign()
    while (!leader.raft.committedInTerm) this.turn()
  }

  /** Everyone performs what it has, then everyone hears what was said. */
  turn(): void {
    for (const node of this.#nodes.values()) node.perform((message) => this.#nodes.get(message.to)?.inbox.push(message))
    for (const node of this.#nodes.values()) {
      const { inbox } = node
      if (inbox.length === 0) continue
      node.inbox = []
      for (const message of inbox) node.raft.step(message)
    }
  }
}

/** Commits per second with so many proposals under way at any time, each proposed by itself. */
function measure(outstanding: number, ms: number): number {
  const cluster = new MemoryCluster()
  const { leader } = cluster
  const data = [new Uint8Array(commandBytes)]
  let proposed = 0
  let turns = 0
  const begun = performance.now()
  for (;;) {
    for (; proposed - leader.committed < outstanding; proposed += 1) {
      if (!leader.raft.propose(0, data).accepted) throw new Error('the core refused a proposal')
    }
    cluster.turn()
    // The clock is not read in every turn: at a depth of 1 it would be a part of what is measured.
    turns += 1
    if (turns % 32 !== 0) continue
    const elapsed = performance.now() - begun
    if (elapsed >= ms) return (leader.committed / elapsed) * 1_000
  }
}

export function benchCore(): Part {
  const core = depths.map(({ outstanding, etcd }): CoreRow => {
    measure(outstanding, runMs)
    return { outstanding, etcd, runs: Array.from({ length: runs }, () => measure(outstanding, runMs)) }
  })
  return {
    id: 'core',
    title: 'raft core in Node: three nodes in memory, 64 B commands, commits per second',
    rows: [],
    core,
    notes: [
      "etcd: its Go core, three nodes in one process, as noted in the design; for orientation, not this run's limit.",
    ],
    problems: [],
  }
}
