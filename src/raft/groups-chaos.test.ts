import { it } from 'vitest'
import type { Entry, PeerId } from './entry.js'
import type { GroupId } from './groups.js'
import type { Raft } from './raft.js'
import { createRandom, nextUint32, type Random } from './random.js'
import { bytes, markOf, T, timing } from './test-cluster.js'
import { type Process, Processes } from './test-groups.js'

const groupCount = 4
const ids = Array.from({ length: groupCount }, (_, i) => i + 1)

/** Not `expect`: it would be most of the running time. */
function must(condition: boolean, ...what: readonly (string | number)[]): void {
  if (!condition) throw new Error(what.join(' '))
}

/** What must hold in each group at every moment, whether it rests or not. */
class Checker {
  readonly #leaderOf = new Map<string, PeerId>()
  readonly #committed = new Map<GroupId, { mark: string; term: number }[]>(ids.map((id) => [id, []]))
  readonly #before = new Map<string, { commit: number; term: number }>()
  readonly #reads = new Map<string, number>()
  #readCount = 0
  rests = 0
  readonly #wasQuiet = new Set<string>()

  constructor(readonly processes: Processes) {
    processes.onApplied = (process, id, entry) => this.#onApplied(process, id, entry)
  }

  #onApplied({ groups, peerId }: Process, id: GroupId, entry: Entry): void {
    const committed = this.#committed.get(id) ?? []
    const known = committed[entry.index]
    const mark = markOf(entry)
    must(known === undefined || known.mark === mark, 'state-machine safety', id, entry.index, peerId)
    committed[entry.index] ??= { mark, term: groups.view(id)?.term ?? 0 }
  }

  check(): void {
    for (const process of this.processes.all.values()) {
      for (const id of ids) {
        const view = process.groups.view(id)
        const key = `${process.peerId}/${process.epoch}/${id}`
        if (view === undefined) continue
        const { term, commitIndex: commit } = view
        const before = this.#before.get(key)
        must(commit >= (before?.commit ?? 0), 'the commit index never goes down', key)
        must(term >= (before?.term ?? 0), 'the term never goes down', key)
        if (before === undefined || before.commit !== commit || before.term !== term)
          this.#before.set(key, { commit, term })
        if (view.role === 'leader') this.#checkLeader(process, id)
      }
      this.#checkReads(process)
    }
  }

  /** A group at rest on its leader: what it rests by. */
  checkRest(): void {
    for (const process of this.processes.up) {
      for (const id of ids) {
        const { quiet, role, commitIndex, lastIndex, stableIndex } = process.groups.status(id)
        const key = `${process.peerId}/${process.epoch}/${id}`
        if (!quiet) this.#wasQuiet.delete(key)
        else if (!this.#wasQuiet.has(key)) {
          this.#wasQuiet.add(key)
          if (role === 'leader') this.rests++
        }
        if (!quiet) continue
        must(role === 'leader' || role === 'follower', 'nobody campaigns at rest', key)
        must(commitIndex === lastIndex && stableIndex === lastIndex, 'nothing is open at rest', key)
      }
    }
  }

  #checkLeader({ peerId, groups }: Process, id: GroupId): void {
    const view = groups.view(id)
    if (view === undefined) return
    const key = `${id}/${view.term}`
    const known = this.#leaderOf.get(key)
    if (known === peerId) return
    must(known === undefined, 'election safety', key, peerId)
    this.#leaderOf.set(key, peerId)
    for (const [index, entry] of (this.#committed.get(id) ?? []).entries()) {
      if (entry === undefined || entry.term >= view.term) continue
      must(entry.mark.startsWith(`${view.entryTerm(index)}/`), 'leader completeness', id, index, peerId)
    }
  }

  /** Log matching: equal at one place, equal at all places before it. */
  checkLogs(): void {
    const all = [...this.processes.all.values()]
    for (const id of ids) {
      for (const one of all) for (const other of all) this.#compare(one, other, id)
    }
  }

  #compare(one: Process, other: Process, id: GroupId): void {
    const [left, right] = [one.groups.view(id), other.groups.view(id)]
    if (left === undefined || right === undefined) return
    let matched = false
    for (let index = Math.min(left.lastIndex, right.lastIndex); index > 0; index--) {
      const isSame = left.entryTerm(index) === right.entryTerm(index)
      must(!matched || isSame, 'log matching', id, index)
      matched ||= isSame
    }
  }

  read(process: Process, id: GroupId): void {
    const commits = [...this.processes.all.values()].map(({ groups }) => groups.view(id)?.commitIndex ?? 0)
    const number = this.#readCount++
    this.#reads.set(`${process.peerId}/${process.epoch}/${id}/${number}`, Math.max(...commits))
    process.groups.use(id, (raft) => raft.read(number))
  }

  #checkReads({ peerId, epoch, reads }: Process): void {
    for (const { group, id, index } of reads.splice(0)) {
      const key = `${peerId}/${epoch}/${group}/${id}`
      const atLeast = this.#reads.get(key)
      must(atLeast !== undefined, 'a read is answered once', key)
      this.#reads.delete(key)
      must(index === null || index >= (atLeast ?? 0), 'a read sees what was committed before it', key)
    }
  }

  checkNoReadHangs(): void {
    for (const key of this.#reads.keys()) {
      const [peerId = '', epoch] = key.split('/')
      must(this.processes.at(peerId).epoch !== Number(epoch), 'no read hangs', key)
    }
  }
}

class Chaos {
  readonly random: Random
  readonly processes: Processes
  readonly checker: Checker

  constructor(readonly seed: number) {
    this.random = createRandom(seed, 'groups')
    const options = {
      idleTicks: [0, T, 2 * T][seed % 3] ?? T,
      // Liveness must not hang on it.
      recheckTicks: seed % 4 === 0 ? 1000 : Number.POSITIVE_INFINITY,
    }
    const peers = ['a', 'b', 'c', 'd', 'e'].slice(0, 2 + (seed % 4))
    const learners = peers.length === 4 ? ['d'] : []
    this.processes = new Processes({ peers, learners, groups: groupCount, seed, options, isDiskSlow: seed % 2 === 0 })
    this.checker = new Checker(this.processes)
  }

  below(bound: number): number {
    return nextUint32(this.random) % bound
  }

  pick<T>(all: readonly T[], other: T): T {
    return all[this.below(all.length)] ?? other
  }

  /** Most of the time nothing is asked: or nothing would ever rest. */
  act(count: number): void {
    const all = [...this.processes.all.values()]
    const process = all[this.below(all.length)]
    if (process === undefined) return
    const { groups } = process
    const id = this.pick(ids, 1)
    const other = this.pick([...this.processes.all.keys()], 'a')
    const dice = this.below(1000)
    if (dice < 540) this.deliverSome()
    else if (dice < 770) for (const one of all) one.groups.tick(this.below(30))
    else if (dice < 950) for (let i = this.below(4); i >= 0; i--) process.finishWrite()
    else if (dice < 962) groups.use(id, (raft) => raft.propose(count, [bytes(`${count}`)]))
    else if (dice < 972) this.checker.read(process, id)
    else if (dice < 974) groups.use(id, (raft) => raft.transferLeadership(other))
    else if (dice < 976) groups.use(id, (raft) => raft.campaign())
    else if (dice < 977) groups.use(id, (raft) => raft.stepDown())
    else if (dice < 979) groups.use(id, (raft) => this.change(raft, other))
    else if (dice < 981) groups.use(id, (raft) => raft.setPriority(this.below(3)))
    else if (dice < 984) groups.reportUnreachable(other)
    else if (dice < 986) groups.forgetLeader(other)
    else if (dice < 990) process.restart()
    else if (dice < 993) this.partition()
    else if (dice < 997) this.processes.heal()
    else groups.tick(60_000)
    for (const one of all) one.pump()
  }

  /** A voter becomes a learner, and back. */
  change(raft: Raft, peerId: PeerId): void {
    const { voters, learners } = raft.configuration
    const others = {
      voters: voters.filter((one) => one !== peerId),
      learners: learners.filter((one) => one !== peerId),
    }
    const next = { outgoing: [], learnersNext: [], incarnations: {} }
    if (voters.includes(peerId)) {
      raft.proposeConfiguration(0, { ...next, voters: others.voters, learners: [...others.learners, peerId] })
    } else raft.proposeConfiguration(0, { ...next, voters: [...voters, peerId], learners: others.learners })
  }

  deliverSome(): void {
    const { letters } = this.processes
    for (let i = this.below(12); i >= 0 && letters.length > 0; i--) {
      const at = this.below(4) === 0 ? this.below(letters.length) : 0
      const [letter] = letters.splice(at, 1)
      const fate = this.below(40)
      if (letter === undefined || fate === 0) continue
      if (fate === 1) letters.push(letter)
      this.processes.deliver(letter)
    }
  }

  partition(): void {
    const peers = [...this.processes.all.keys()]
    const side = peers.filter(() => this.below(2) === 0)
    const rest = peers.filter((peerId) => !side.includes(peerId))
    this.processes.cut(side, rest)
    if (this.below(3) > 0) this.processes.cut(rest, side)
  }

  run(): void {
    for (let count = 0; count < 1200; count++) {
      this.act(count)
      this.checker.check()
      if (count % 5 === 0) this.checker.checkRest()
      if (count % 300 === 299) this.checker.checkLogs()
    }
    this.live()
  }

  /** Faults off: whatever slept through them comes to be led, and to rest, though nobody asks for it. */
  live(): void {
    const { processes, checker } = this
    processes.heal()
    processes.until(() => processes.isAllQuiet(), 60 * timing.electionTicksMax)
    for (const id of ids) {
      const leader = processes.leaderOf(id)
      must(leader !== null, 'a group that rests is led', id)
      for (const { peerId, groups } of processes.up) must(groups.view(id)?.leader === leader, 'by one', id, peerId)
      const proposed = processes.at(leader ?? '').groups.use(id, (raft) => raft.propose(0, [bytes('end')]))
      must(proposed.accepted, 'a leader takes proposals', id)
      for (const process of processes.up) checker.read(process, id)
    }
    processes.run(2 * T)
    checker.check()
    for (const id of ids) {
      const commits = processes.up.map(({ groups }) => groups.view(id)?.commitIndex)
      must(new Set(commits).size === 1, 'everybody catches up', id, commits.join(' '))
    }
    checker.checkLogs()
    checker.checkNoReadHangs()
  }
}

const seedsPerTest = 100

for (let first = 1; first <= 400; first += seedsPerTest) {
  const last = first + seedsPerTest - 1
  it(`[S70][S66] seeds ${first} to ${last}: several groups that rest and wake, safe under chaos, live after it`, () => {
    let rests = 0
    for (let seed = first; seed <= last; seed++) {
      try {
        const chaos = new Chaos(seed)
        chaos.run()
        rests += chaos.checker.rests
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error })
      }
    }
    must(rests > 10 * seedsPerTest, 'groups rest under chaos', rests)
  }, 60_000)
}
