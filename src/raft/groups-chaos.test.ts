import { it } from 'vitest'
import type { Entry, PeerId } from './entry.js'
import type { GroupId } from './groups.js'
import type { Raft } from './raft.js'
import { createRandom, nextUint32, type Random } from './random.js'
import { bytes, markOf, T, timing } from './test-cluster.js'
import { type Letter, type Process, Processes } from './test-groups.js'

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
        const { quiet, role, commitIndex, lastIndex, stableIndex, promisedTo, progress } = process.groups.status(id)
        const key = `${process.peerId}/${process.epoch}/${id}`
        if (!quiet) this.#wasQuiet.delete(key)
        else if (!this.#wasQuiet.has(key)) {
          this.#wasQuiet.add(key)
          if (role === 'leader') this.rests++
        }
        if (!quiet) continue
        must(role === 'leader' || role === 'follower', 'nobody campaigns at rest', key)
        must(commitIndex === lastIndex && stableIndex === lastIndex, 'nothing is open at rest', key)
        must(promisedTo === null, 'no vote is promised at rest', key)
        must(!progress.some(({ active, snapshot }) => active && snapshot !== null), 'no snapshot is on its way', key)
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
      const term = view.entryTerm(index)
      // What is only in its snapshot was committed when that was made.
      if (term === null && index <= view.appliedIndex) continue
      must(entry.mark.startsWith(`${term}/`), 'leader completeness', id, index, peerId)
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
      const [term, other] = [left.entryTerm(index), right.entryTerm(index)]
      if (term === null || other === null) return
      const isSame = term === other
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
  /** M2: votes that pages have sent with their last words; they may come at any time, and again. */
  readonly shownVotes: { readonly id: GroupId; readonly from: PeerId; readonly to: PeerId; readonly term: number }[] =
    []
  /** Leases of reads need clocks that go alike, and what their docstring forbids must not happen. */
  readonly hasLeases: boolean
  readonly isVoting: boolean

  constructor(readonly seed: number) {
    this.random = createRandom(seed, 'groups')
    const options = {
      idleTicks: [0, T, 2 * T][seed % 3] ?? T,
      // Liveness must not hang on it.
      recheckTicks: seed % 4 === 0 ? 1000 : Number.POSITIVE_INFINITY,
    }
    this.hasLeases = seed % 5 === 0
    this.isVoting = !this.hasLeases && seed % 3 === 0
    const peers = ['a', 'b', 'c', 'd', 'e'].slice(0, this.isVoting ? 2 : 2 + (seed % 4))
    const learners = peers.length === 4 ? ['d'] : []
    // Every snapshot comes in parts [S47].
    const raft = { maxChunkBytes: 7, maxInflightChunkBytes: 20, leaseTicks: this.hasLeases ? 120 : 0, newsTicks: 10 }
    const isDiskSlow = seed % 2 === 0
    this.processes = new Processes({ peers, learners, groups: groupCount, seed, options, raft, isDiskSlow })
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
    if (this.hasLeases) this.readWhereTwoLead()
    if (this.isVoting && this.below(30) === 0) this.useVotes(this.processes.leaderOf(id) ?? process.peerId, id)
    const dice = this.below(1000)
    if (dice < 540) this.deliverSome()
    else if (dice < 770) this.passTime(all)
    else if (dice < 945) for (let i = this.below(4); i >= 0; i--) process.finishWrite()
    else if (dice < 947) this.leaveBehind(other)
    else if (dice < 950) process.compact(id, this.below(3))
    else if (dice < 962) groups.use(id, (raft) => raft.propose(count, [bytes(`${count}`)]))
    else if (dice < 972) this.checker.read(process, id)
    else if (dice < 974) groups.use(id, (raft) => raft.transferLeadership(other))
    else if (dice < 976) groups.use(id, (raft) => raft.campaign())
    else if (dice < 977) groups.use(id, (raft) => raft.stepDown())
    else if (dice < 978) groups.use(id, (raft) => this.change(raft, other))
    else if (dice < 979) groups.use(id, (raft) => this.changeMany(raft))
    else if (dice < 981) groups.use(id, (raft) => raft.setPriority(this.below(3)))
    else if (dice < 984) groups.reportUnreachable(other)
    else if (dice < 986) this.say(process, id, other)
    else if (dice < 990) process.restart()
    else if (dice < 993) this.partition()
    else if (dice < 997) this.processes.heal()
    else if (!this.hasLeases) groups.tick(60_000)
    for (const one of all) one.pump()
  }

  /** The others go on without it, and forget what it needs. */
  leaveBehind(peerId: PeerId): void {
    const { processes } = this
    const others = [...processes.all.values()].filter((process) => process.peerId !== peerId)
    processes.cut([peerId], [...processes.all.keys()])
    processes.cut([...processes.all.keys()], [peerId])
    for (const id of ids) {
      const leader = processes.leaderOf(id)
      if (leader !== null)
        processes.at(leader).groups.use(id, (raft) => raft.propose(0, [bytes('more'), bytes('more')]))
    }
    for (let i = 0; i < 60; i++) {
      this.deliverSome()
      for (const process of others) process.finishWrite()
      for (const process of others) process.pump()
    }
    for (const id of ids) for (const process of others) process.compact(id, 0)
    if (this.below(2) === 0) processes.heal()
  }

  /** One of them has been deposed, and does not know it. */
  readWhereTwoLead(): void {
    for (const id of ids) {
      const leaders = this.processes.up.filter(({ groups }) => groups.view(id)?.role === 'leader')
      if (leaders.length > 1) for (const leader of leaders) this.checker.read(leader, id)
    }
  }

  passTime(all: readonly Process[]): void {
    const ticks = this.below(30)
    for (const { groups } of all) groups.tick(this.hasLeases ? ticks : this.below(30))
  }

  /** What may not be said where reads trust leases (M5). */
  say(process: Process, id: GroupId, other: PeerId): void {
    const { groups } = process
    if (this.hasLeases) return
    if (!this.isVoting) {
      groups.forgetLeader(other)
      return
    }
    for (let i = 0; i < 4; i++) this.useVotes(this.processes.leaderOf(id) ?? process.peerId, id)
  }

  /** M2: what a page does with the promised votes that it keeps. */
  useVotes(peerId: PeerId, id: GroupId): void {
    const process = this.processes.at(peerId)
    const { groups } = process
    const dice = this.below(10)
    if (dice < 5) groups.use(id, (raft) => raft.promiseVote())
    else if (dice < 6) groups.use(id, (raft) => raft.revokePromise())
    else if (dice < 8) {
      for (const one of ids) {
        const vote = groups.view(one)?.promisedVote
        if (vote) this.shownVotes.push({ ...vote, id: one, from: peerId })
      }
      process.restart()
    } else {
      const shown = this.shownVotes[this.below(this.shownVotes.length + 1)]
      if (shown) {
        const { groups: heir } = this.processes.at(shown.to)
        heir.use(shown.id, (raft) => raft.takePromisedVote(shown.from, shown.term))
      }
    }
    for (const one of this.processes.all.values()) one.pump()
    while (process.queue.length > 0 && this.below(4) > 0) process.finishWrite()
  }

  /** Through a joint configuration, as a rule; some are no members afterwards, and may not hear of it. */
  changeMany(raft: Raft): void {
    const voters: PeerId[] = []
    const learners: PeerId[] = []
    for (const peerId of this.processes.all.keys()) {
      const dice = this.below(5)
      if (dice < 3) voters.push(peerId)
      else if (dice === 3) learners.push(peerId)
    }
    raft.proposeConfiguration(0, { voters, learners, outgoing: [], learnersNext: [], incarnations: {} })
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
      this.processes.deliver(fate === 2 ? spoilt(letter) : letter)
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

  /** All are members of all groups; who is not is asked for. */
  isWhole(): boolean {
    const { processes } = this
    let isWhole = true
    for (const id of ids) {
      const leader = processes.leaderOf(id)
      const view = leader === null ? undefined : processes.at(leader).groups.view(id)
      if (leader === null || view === undefined) {
        isWhole = false
        continue
      }
      const { voters, learners, outgoing } = view.configuration
      const away = [...processes.all.keys()].filter((peerId) => !voters.includes(peerId) && !learners.includes(peerId))
      if (away.length === 0 && outgoing.length === 0) continue
      isWhole = false
      const next = { voters, learners: [...learners, ...away], outgoing: [], learnersNext: [], incarnations: {} }
      processes.at(leader).groups.use(id, (raft) => raft.proposeConfiguration(0, next))
    }
    return isWhole
  }

  /** Faults off: whatever slept through them comes to be led, and to rest, though nobody asks for it. */
  live(): void {
    const { processes, checker } = this
    processes.heal()
    // Pages destroy the votes that were not shown, and whoever was removed without knowing of it is taken in again.
    for (const { groups } of processes.up) for (const id of ids) groups.use(id, (raft) => raft.revokePromise())
    processes.until(() => this.isWhole(), 100 * timing.electionTicksMax)
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

/** One bit of a chunk is wrong. */
function spoilt(letter: Letter): Letter {
  if (letter.id === null || letter.message.type !== 'snapshot' || letter.message.data.length === 0) return letter
  const data = letter.message.data.map((byte, at) => (at === 0 ? byte ^ 1 : byte))
  return { ...letter, message: { ...letter.message, data } }
}

const seedsPerTest = 100

for (let first = 1; first <= 400; first += seedsPerTest) {
  const last = first + seedsPerTest - 1
  it(`[S70][S66] seeds ${first} to ${last}: several groups that rest and wake, safe under chaos, live after it`, () => {
    let rests = 0
    let installed = 0
    for (let seed = first; seed <= last; seed++) {
      try {
        const chaos = new Chaos(seed)
        chaos.run()
        rests += chaos.checker.rests
        for (const process of chaos.processes.all.values()) installed += process.installed
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error })
      }
    }
    must(rests > 10 * seedsPerTest, 'groups rest under chaos', rests)
    must(installed > seedsPerTest / 2, 'snapshots are installed under chaos', installed)
  }, 60_000)
}
