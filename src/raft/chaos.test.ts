import { it } from 'vitest'
import type { PeerId } from './entry.js'
import type { Message } from './message.js'
import type { Raft } from './raft.js'
import { Cluster, type TestNode } from './test-cluster.js'

/** Not `expect`: it would be most of the running time. */
function must(condition: boolean, ...what: readonly (string | number)[]): void {
  if (!condition) throw new Error(what.join(' '))
}

/** What must hold at every moment, whatever the network and the disks do. Dumb on purpose. */
class Checker {
  readonly leaderOf = new Map<number, PeerId>()
  readonly committed: string[] = []
  /** The term of the first node that applied each entry. */
  readonly committedIn: number[] = []
  readonly lastCommit = new Map<TestNode, { life: number; commit: number; term: number }>()
  readonly reads = new Map<string, number>()

  constructor(readonly cluster: Cluster) {
    cluster.onApplied = (node, index, mark) => {
      const known = this.committed[index]
      must(known === undefined || known === mark, 'state-machine safety', index, node.peerId)
      this.committed[index] = mark
      this.committedIn[index] ??= node.raft.term
    }
  }

  check(): void {
    for (const node of this.cluster.nodes.values()) {
      const { raft } = node
      if (raft.role === 'leader') this.#checkLeader(node)
      const before = this.lastCommit.get(node)
      if (before?.life === node.lives) {
        must(raft.commitIndex >= before.commit, 'the commit index never goes down', node.peerId)
        must(raft.term >= before.term, 'the term never goes down', node.peerId)
      }
      this.lastCommit.set(node, { life: node.lives, commit: raft.commitIndex, term: raft.term })
      this.#checkReads(node)
    }
  }

  #checkLeader({ peerId, raft }: TestNode): void {
    const known = this.leaderOf.get(raft.term)
    if (known === peerId) return
    must(known === undefined, 'election safety', raft.term, peerId)
    this.leaderOf.set(raft.term, peerId)
    for (let index = 1; index < this.committed.length; index++) {
      // Leader Completeness speaks of later terms: a late vote may elect in a term that is over.
      if ((this.committedIn[index] ?? 0) >= raft.term) continue
      const term = raft.entryTerm(index)
      const mark = this.committed[index]
      if (term === null || mark === undefined)
        must(index < raft.status().firstIndex, 'leader completeness', index, peerId)
      else must(mark.startsWith(`${term}/`), 'leader completeness', index, peerId)
    }
  }

  /** Log matching: equal at one place, equal at all places before it. */
  checkLogs(): void {
    const rafts = [...this.cluster.nodes.values()].map((node) => node.raft)
    for (const one of rafts) {
      for (const other of rafts) {
        let matched = false
        for (let index = Math.min(one.lastIndex, other.lastIndex); index > 0; index--) {
          const a = one.entryTerm(index)
          const b = other.entryTerm(index)
          if (a === null || b === null) break
          must(!matched || a === b, 'log matching', index)
          matched ||= a === b
        }
      }
    }
  }

  read(node: TestNode, id: number): void {
    const highest = Math.max(...[...this.cluster.nodes.values()].map(({ raft }) => raft.commitIndex))
    this.reads.set(`${node.peerId}/${node.lives}/${id}`, highest)
    node.raft.read(id)
  }

  #checkReads(node: TestNode): void {
    for (const { id, index } of node.reads.splice(0)) {
      const key = `${node.peerId}/${node.lives}/${id}`
      const atLeast = this.reads.get(key)
      must(atLeast !== undefined, 'a read is answered once', key)
      this.reads.delete(key)
      must(index === null || index >= (atLeast ?? 0), 'a read sees what was committed before it', key)
    }
  }

  /** Every read of a life that goes on was answered. */
  checkNoReadHangs(): void {
    for (const key of this.reads.keys()) {
      const [peerId, life] = key.split('/')
      must(this.cluster.node(peerId ?? '').lives !== Number(life), 'no read hangs', key)
    }
  }
}

/** `votes`: promised votes are used all the time. */
function act(cluster: Cluster, checker: Checker, count: number, votes: boolean): void {
  const nodes = [...cluster.nodes.values()]
  const node = nodes[cluster.below(nodes.length)]
  if (node === undefined) return
  // Every other seed is a rough one: what is rare elsewhere happens all the time.
  const rough = cluster.seed % 2 === 0 && cluster.below(12) === 0
  if (votes && cluster.below(6) === 0) {
    useVotes(cluster, nodes.find(({ raft }) => raft.role === 'leader') ?? node)
    return
  }
  // Two of two are needed for everything: without calm in between nobody would ever lead.
  if (votes && cluster.below(2) === 0) {
    deliverSome(cluster)
    node.finishWrite()
    node.pump()
    return
  }
  const dice = rough ? 955 + cluster.below(45) : cluster.below(1000)
  if (dice < 500) deliverSome(cluster)
  else if (dice < 700) passTime(node, cluster.below(40))
  else if (dice < 850) for (let i = cluster.below(3); i >= 0; i--) node.finishWrite()
  else if (dice < 940) {
    const data = Uint8Array.from(`${count}`, (digit) => digit.charCodeAt(0))
    node.raft.propose(
      count,
      Array.from({ length: 1 + cluster.below(3) }, () => data),
      nodes[cluster.below(nodes.length)]?.peerId,
    )
  } else if (dice < 953) checker.read(node, count)
  else if (dice < 955) node.raft.transferLeadership(nodes[cluster.below(nodes.length)]?.peerId ?? '')
  else if (dice < 970) changeConfiguration(cluster, node)
  else if (dice < 978) node.compact(cluster.below(4))
  else if (dice < 984) node.crash()
  else if (dice < 988) node.raft.forgetLeader()
  else if (dice < 989) node.raft.stepDown()
  else if (dice < 990) node.raft.setPriority(cluster.below(3))
  else if (dice < 994) node.raft.reportUnreachable(nodes[cluster.below(nodes.length)]?.peerId ?? '')
  else if (dice < 996) partition(cluster, nodes)
  else if (dice < 998) cluster.heal()
  else passTime(node, 60_000 + cluster.below(5))
  node.pump()
}

/** C3: now and then as somebody who stood still, and hears first. */
function passTime({ raft }: TestNode, ticks: number): void {
  if (ticks % 5 === 0) raft.stall(ticks)
  else raft.tick(ticks)
}

function deliverSome(cluster: Cluster): void {
  for (let i = cluster.below(4); i >= 0 && cluster.pool.length > 0; i--) {
    const at = cluster.below(3) === 0 ? cluster.below(cluster.pool.length) : 0
    const [message] = cluster.pool.splice(at, 1)
    const fate = cluster.below(20)
    if (message === undefined || fate === 0) continue
    if (fate === 1) cluster.pool.push(message)
    cluster.deliver(fate === 2 ? spoilt(message) : message)
    cluster.nodes.get(message.to)?.pump()
  }
}

/** One bit of a chunk is wrong. */
function spoilt(message: Message): Message {
  if (message.type !== 'snapshot' || message.data.length === 0) return message
  return { ...message, data: message.data.map((byte, at) => (at === 0 ? byte ^ 1 : byte)) }
}

function changeConfiguration(cluster: Cluster, { raft }: TestNode): void {
  if (cluster.below(3) === 0) {
    changeMany(cluster, raft)
    return
  }
  const { voters, learners } = raft.configuration
  const all = [...cluster.nodes.keys()]
  const peerId = all[cluster.below(all.length)] ?? ''
  const others = { voters: voters.filter((id) => id !== peerId), learners: learners.filter((id) => id !== peerId) }
  const next = { outgoing: [], learnersNext: [], incarnations: {} }
  if (voters.includes(peerId)) raft.proposeConfiguration(0, { ...next, ...others })
  else if (learners.includes(peerId)) {
    raft.proposeConfiguration(0, { ...next, voters: [...voters, peerId], learners: others.learners })
  } else raft.proposeConfiguration(0, { ...next, voters, learners: [...learners, peerId] })
}

/** Through a joint configuration, as a rule. */
function changeMany(cluster: Cluster, raft: Raft): void {
  const voters: PeerId[] = []
  const learners: PeerId[] = []
  for (const peerId of cluster.nodes.keys()) {
    const dice = cluster.below(4)
    if (dice < 2) voters.push(peerId)
    else if (dice === 2) learners.push(peerId)
  }
  raft.proposeConfiguration(0, { voters, learners, outgoing: [], learnersNext: [], incarnations: {} })
}

/** M2: what pages do with the promised votes that they keep. A vote that was shown may come at any time, and again. */
function useVotes(cluster: Cluster, node: TestNode): void {
  const { raft, peerId } = node
  const vote = raft.promisedVote
  const dice = cluster.below(100)
  if (dice < 50) raft.promiseVote()
  else if (dice < 65) changeConfiguration(cluster, node)
  else if (dice < 70) raft.revokePromise()
  else if (dice < 80 && vote) {
    cluster.shownVotes.push({ ...vote, from: peerId })
    node.crash()
  } else {
    const shown = cluster.shownVotes[cluster.below(cluster.shownVotes.length + 1)]
    if (shown) cluster.raft(shown.to).takePromisedVote(shown.from, shown.term)
  }
  for (const one of cluster.nodes.values()) one.pump()
}

function partition(cluster: Cluster, nodes: readonly TestNode[]): void {
  const side = new Set(nodes.filter(() => cluster.below(2) === 0).map((node) => node.peerId))
  const oneWay = cluster.below(3) === 0
  cluster.filter = ({ from, to }) => side.has(from) === side.has(to) || (oneWay && side.has(from))
}

function runSeed(seed: number, votes: boolean): void {
  const voters = ['a', 'b', 'c', 'd', 'e'].slice(0, votes ? 2 : 1 + (seed % 5))
  const small = { maxAppendBytes: 80, maxInflightAppends: 3, maxInflightBytes: 200, maxCommittedBytes: 100 }
  // Every snapshot comes in parts, so that every seed loses, repeats and reorders some [S47].
  const newsTicks = seed % 2 === 0 ? 0 : 10
  const options = { maxChunkBytes: 7, maxInflightChunkBytes: 20, newsTicks, ...(seed % 3 === 0 && small) }
  const cluster = new Cluster({ voters, newcomers: votes ? ['x'] : ['x', 'y'], seed, options })
  const checker = new Checker(cluster)
  for (let count = 0; count < 1200; count++) {
    act(cluster, checker, count, votes)
    checker.check()
    if (count % 300 === 299) checker.checkLogs()
  }
  // Faults off: there is a leader, and it can still commit.
  cluster.heal()
  for (let i = 0; i < 2; i++) {
    cluster.run(400)
    // Reads that the network lost are the host's to report. Leaders hear of nothing: what they send comes through by itself.
    for (const { raft } of cluster.nodes.values()) {
      if (raft.role === 'leader') continue
      for (const peerId of cluster.nodes.keys()) raft.reportUnreachable(peerId)
    }
  }
  cluster.elect()
  cluster.run(400)
  const leader = cluster.elect()
  const proposed = leader.raft.propose(0, [new Uint8Array(1)])
  cluster.run(200)
  checker.check()
  checker.checkLogs()
  checker.checkNoReadHangs()
  must(proposed.accepted, 'a leader takes proposals')
  must(leader.raft.configuration.outgoing.length === 0, 'a joint change comes to its end')
  for (const peerId of leader.raft.configuration.voters) {
    must(cluster.raft(peerId).commitIndex === leader.raft.commitIndex, 'every voter catches up', peerId)
  }
}

const seedsPerTest = 200

function runSeeds(first: number, votes = false): void {
  for (let seed = first; seed < first + seedsPerTest; seed++) {
    try {
      runSeed(seed, votes)
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error })
    }
  }
}

for (let first = 1; first <= 1200; first += seedsPerTest) {
  const last = first + seedsPerTest - 1
  it(`[S29][S39][S59] seeds ${first} to ${last}: safe under chaos, live after it`, () => runSeeds(first), 60_000)
}

it('[M2] two voters that promise, show and revoke their votes: safe under chaos, live after it', () => {
  for (let first = 5001; first <= 5801; first += seedsPerTest) runSeeds(first, true)
}, 60_000)
