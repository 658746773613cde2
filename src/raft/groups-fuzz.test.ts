/**
 * One process of groups against everything: any well-formed message of any group and any beat, in any order and from anybody. What rests
 * must have a reason to; what is awake must be what a core is that never heard of groups.
 */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Entry, PeerId } from './entry.js'
import {
  type GroupId,
  type GroupOptions,
  type GroupStatus,
  type PeerMessage,
  RaftGroups,
  type RaftGroupsOptions,
} from './groups.js'
import type { Restored } from './log.js'
import type { Message, Snapshot } from './message.js'
import { Raft } from './raft.js'
import type { Ready } from './ready.js'
import type { RaftTiming } from './state.js'
import {
  bytes,
  chunkOf,
  command,
  configuration,
  configurationEntry,
  dataOf,
  log,
  snapshotAt,
  T,
  timing,
} from './test-cluster.js'

/** Not `expect`: it would be most of the running time. */
function must(condition: boolean, ...what: readonly unknown[]): void {
  if (!condition) throw new Error(what.map((one) => JSON.stringify(one)).join(' '))
}

const me = 'c'
const groupIds = [1, 2, 3]
const peer = fc.constantFrom<PeerId[]>('a', 'a', 'a', 'b', 'b', 'd', 'x', me)

/** What a message says is drawn relative to what the core has, so that near misses are as frequent as hits. */
interface Draft {
  readonly from: PeerId
  readonly termBy: number
  readonly indexBy: number
  readonly lastTermBy: number
  readonly round: number
  readonly yes: boolean
  readonly quiet: boolean
}

const draft: fc.Arbitrary<Draft> = fc.record({
  from: peer,
  termBy: fc.constantFrom(0, 0, 0, 0, 0, 1, 1, -1, 2, 2 ** 20, 2 ** 40),
  indexBy: fc.constantFrom(0, 0, 0, 0, 1, -1, 2, -2, 2 ** 40),
  lastTermBy: fc.constantFrom(0, 0, 0, 0, -1, 1),
  round: fc.constantFrom(0, 0, 0, 1, -1, 2 ** 40),
  yes: fc.nat(3).map((n) => n > 0),
  quiet: fc.boolean(),
})

type Make = (draft: Draft, status: GroupStatus, round: number) => Message

function body(
  kind: (draft: Draft, index: number, lastTerm: number, round: number) => object,
  type: Message['type'],
): Make {
  return (one, status, current) => {
    const index = Math.max(0, status.lastIndex + one.indexBy)
    const lastTerm = Math.max(0, status.lastTerm + one.lastTermBy)
    const term = Math.max(0, status.term + one.termBy)
    const said = kind(one, index, lastTerm, Math.max(0, current + one.round))
    return { type, from: one.from, to: me, term, ...said } as Message
  }
}

const entriesAfter = (index: number, term: number, { yes, quiet }: Draft): Entry[] => {
  if (quiet) return []
  if (yes) return [command(Math.max(1, term), index + 1, 'new')]
  return [configurationEntry(Math.max(1, term), index + 1, configuration(['a', 'b', me], ['d']))]
}

const makes: readonly Make[] = [
  body((_, index, term) => ({ last: { term, index } }), 'preVote'),
  body(({ yes }) => ({ granted: yes }), 'preVoteReply'),
  body(({ quiet }, index, term) => ({ last: { term, index }, transfer: quiet }), 'vote'),
  body(({ yes }) => ({ granted: yes }), 'voteReply'),
  body(
    (one, index, term) => ({ previous: { term, index }, entries: entriesAfter(index, term, one), commitIndex: index }),
    'append',
  ),
  body((_, index, term) => ({ last: { term, index } }), 'commit'),
  body((_, index) => ({ index }), 'stable'),
  body((_, index) => ({ rejected: false, index }), 'appendReply'),
  body((_, index, term) => ({ rejected: true, index, hint: { term, index } }), 'appendReply'),
  body(({ quiet }, commitIndex, _, round) => ({ commitIndex, round, electionTicks: quiet ? T : 2 * T }), 'heartbeat'),
  body(({ quiet }, commitIndex, _, round) => ({ commitIndex, round, electionTicks: T, quiet }), 'heartbeat'),
  body(({ quiet }, _, __, round) => ({ round, quiet }), 'heartbeatReply'),
  body(() => ({}), 'timeoutNow'),
  body(({ yes, quiet }, index, term) => {
    const id = { term: Math.max(1, term), index: Math.max(1, index) }
    const whole = snapshotAt(id, configuration(['a', 'b', me]), 0, dataOf(id))
    const {
      type: _,
      from: __,
      to: ___,
      term: ____,
      ...rest
    } = chunkOf(whole, { from: 'a', to: me, term: 0 }, 0, yes ? 50 : 3)
    return quiet ? { ...rest, checksum: rest.checksum ^ 1 } : rest
  }, 'snapshot'),
  body((_, index, term) => ({ snapshot: { term, index }, offset: index % 7 }), 'snapshotReply'),
  body(({ round }) => ({ id: Math.max(0, round) }), 'readIndex'),
  body(({ round, yes }, index) => ({ id: Math.max(0, round), index, rejected: yes }), 'readIndexReply'),
]

type Plain = 'read' | 'propose' | 'campaign' | 'stepDown' | 'promise' | 'revoke' | 'priority' | 'compact' | 'finish'
type Ours = {
  readonly do: Plain | 'win' | 'agree' | 'follow' | 'gone' | 'remove'
  readonly id: GroupId
  readonly from: PeerId
}
type Input =
  | { readonly do: 'message'; readonly id: GroupId; readonly make: number; readonly draft: Draft }
  | { readonly do: 'beat' | 'reply'; readonly from: PeerId; readonly epoch: number; readonly ticks: number }
  | { readonly do: 'tick' | 'beats'; readonly ticks: number }
  | { readonly do: 'unreachable' | 'forget' | 'retime'; readonly from: PeerId }
  | Ours

const plains: readonly Plain[] = [
  'read',
  'propose',
  'campaign',
  'stepDown',
  'promise',
  'revoke',
  'priority',
  'compact',
  'finish',
]
const group = fc.constantFrom(...groupIds)
const ours = (...what: readonly Ours['do'][]) => fc.record({ do: fc.constantFrom(...what), id: group, from: peer })
const message = fc.record({
  do: fc.constant('message' as const),
  id: group,
  make: fc.nat(makes.length - 1),
  draft,
})
const time = fc.record({ do: fc.constant('tick' as const), ticks: fc.constantFrom(0, 1, 10, 50, 50, 150, 300, 1e6) })

/** What a core without groups can be asked too. */
const plainInput: fc.Arbitrary<Input> = fc.oneof(
  { weight: 8, arbitrary: message },
  { weight: 4, arbitrary: time },
  { weight: 3, arbitrary: ours(...plains, 'win', 'win') },
)
const anyInput: fc.Arbitrary<Input> = fc.oneof(
  { weight: 5, arbitrary: message },
  { weight: 3, arbitrary: time },
  { weight: 2, arbitrary: ours(...plains, 'gone', 'remove') },
  { weight: 5, arbitrary: ours('win', 'agree', 'agree', 'follow', 'follow') },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('beats' as const), ticks: fc.constantFrom(20, 100, 400) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom('beat', 'reply'),
      from: fc.oneof(
        peer,
        fc.nat().map((n) => `guest ${n}`),
      ),
      epoch: fc.constantFrom(1, 1, 1, 1, 2, 0, -1, Number.NaN),
      ticks: fc.constantFrom(T, T, 1, 0, Number.NaN, 2 ** 40),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('unreachable', 'forget', 'retime'), from: peer }) },
)

const restored: Restored = {
  hardState: { term: 1, votedFor: null, promisedTo: null, commitIndex: 0 },
  snapshot: null,
  entries: log(['a', 'b', me], [1], ['d']),
}
const pairOfVoters: Restored = { ...restored, entries: log(['a', me], [1]) }
const optionsOf = (id: GroupId) => ({
  seed: id,
  restored: id === 2 ? pairOfVoters : restored,
  leaseTicks: id === 3 ? 100 : 0,
  newsTicks: id === 1 ? 10 : 0,
})

/** What the subject asks of its groups. */
type Cores = Pick<RaftGroups, Exclude<keyof RaftGroups, 'size' | 'peerCount'>> & { readonly peerCount: number }

/** The same groups as cores that have never heard of each other: all are told of all time, and nothing ever rests. */
class Apart implements Cores {
  readonly #rafts = new Map<GroupId, Raft>()
  readonly peerCount = 0

  add(id: GroupId, options: GroupOptions): void {
    this.#rafts.set(id, new Raft({ ...timing, ...options, peerId: me }))
  }
  remove(id: GroupId): void {
    this.#rafts.delete(id)
  }
  #raft(id: GroupId): Raft {
    const raft = this.#rafts.get(id)
    if (raft === undefined) throw new Error(`no group ${id}`)
    return raft
  }
  view(id: GroupId): Raft {
    return this.#raft(id)
  }
  status(id: GroupId): GroupStatus {
    return { ...this.#raft(id).status(), quiet: false }
  }
  use<R>(id: GroupId, input: (raft: Raft) => R): R {
    return input(this.#raft(id))
  }
  step(id: GroupId, one: Message): boolean {
    this.#raft(id).step(one)
    return true
  }
  receive(): void {}
  persisted(id: GroupId, sequence: number): void {
    this.#raft(id).persisted(sequence)
  }
  applied(id: GroupId, index: number): void {
    this.#raft(id).applied(index)
  }
  compact(id: GroupId, snapshot: Snapshot, keepFrom: number): void {
    this.#raft(id).compact(snapshot, keepFrom)
  }
  tick(ticks: number): void {
    for (const raft of this.#rafts.values()) raft.tick(ticks)
  }
  ticksUntilDue(): number {
    return Math.min(...[...this.#rafts.values()].map((raft) => raft.ticksUntilDue()))
  }
  readyGroups(): GroupId[] {
    return groupIds.filter((id) => this.#rafts.get(id)?.hasReady())
  }
  ready(id: GroupId): Ready {
    return this.#raft(id).ready()
  }
  takeBeats(): PeerMessage[] {
    return []
  }
  retime(next: RaftTiming): void {
    for (const raft of this.#rafts.values()) raft.retime(next)
  }
  forgetLeader(peerId: PeerId): void {
    for (const raft of this.#rafts.values()) if (raft.leader === peerId) raft.forgetLeader()
  }
  reportUnreachable(peerId: PeerId): void {
    for (const raft of this.#rafts.values()) raft.reportUnreachable(peerId)
  }
}

class Subject {
  readonly groups: Cores
  readonly queue: { readonly id: GroupId; readonly ready: Ready }[] = []
  readonly openReads = new Set<string>()
  readonly said: [GroupId, Message][] = []
  beats: PeerMessage[] = []
  reads = 0
  readonly rests = { leader: 0, follower: 0 }
  /** A read that was asked just now, of a group at rest: nobody can have confirmed it yet. */
  asked = ''

  constructor(groups: Cores) {
    this.groups = groups
    for (const id of groupIds) this.groups.add(id, optionsOf(id))
    this.pump()
  }

  run(input: Input): void {
    this.#perform(input)
    this.pump()
    this.asked = ''
    this.check()
  }

  #perform(input: Input): void {
    const { groups } = this
    switch (input.do) {
      case 'message':
        this.step(input.id, makes[input.make]?.(input.draft, groups.status(input.id), this.#round(input.id)))
        break
      case 'beat':
        groups.receive({ type: 'beat', from: input.from, to: me, epoch: input.epoch, electionTicks: input.ticks })
        break
      case 'reply':
        groups.receive({ type: 'beatReply', from: input.from, to: me, epoch: input.epoch })
        break
      case 'tick':
        groups.tick(input.ticks)
        break
      case 'beats':
        this.#beats(input.ticks)
        break
      case 'unreachable':
        groups.reportUnreachable(input.from)
        break
      case 'forget':
        groups.forgetLeader(input.from)
        break
      case 'retime':
        groups.retime({ ...timing, electionTicks: input.from === 'a' ? T : T + 10 })
        break
      default:
        this.ours(input)
    }
  }

  ours({ do: what, id, from }: Ours): void {
    const { groups } = this
    const status = groups.status(id)
    if (what === 'win') this.#win(id)
    else if (what === 'agree') this.#agree(id)
    else if (what === 'follow') this.#follow(id, from === me ? 'a' : from)
    else if (what === 'finish') while (this.queue.length > 0) this.#finish()
    else if (what === 'read') {
      const key = `${id} ${++this.reads}`
      this.openReads.add(key)
      if (status.quiet && status.configuration.voters.length > 1) this.asked = key
      groups.use(id, (raft) => raft.read(this.reads))
      must(!groups.status(id).quiet, 'a read wakes its group')
    } else if (what === 'compact') {
      const { appliedIndex: index, stableIndex } = status
      const term = groups.view(id)?.entryTerm(index) ?? null
      if (term === null || index > stableIndex || index === 0) return
      groups.compact(id, snapshotAt({ term, index }, status.configuration), Math.max(status.firstIndex, index))
    } else if (what === 'remove') {
      groups.remove(id)
      for (const key of this.openReads) if (key.startsWith(`${id} `)) this.openReads.delete(key)
      this.queue.splice(0, this.queue.length, ...this.queue.filter((one) => one.id !== id))
      groups.add(id, optionsOf(id))
    } else if (what === 'gone') groups.use(id, (raft) => raft.takePromisedVote(from, raft.term + 1))
    else groups.use(id, (raft) => ask(raft, what))
  }

  saidOf(id: GroupId): Message[] {
    return this.said.flatMap(([from, one]) => (from === id ? [one] : []))
  }

  #round(id: GroupId): number {
    return this.groups.view(id)?.currentRound ?? 0
  }

  step(id: GroupId, one: Message | undefined): void {
    if (one !== undefined) this.groups.step(id, one)
  }

  /** Other processes live, and this one hears them. */
  #beats(ticks: number): void {
    for (let passed = 0; passed < ticks; passed += 20) {
      this.groups.tick(20)
      this.pump()
      for (const from of ['a', 'b', 'd', 'x']) {
        this.groups.receive({ type: 'beatReply', from, to: me, epoch: 1 })
        this.groups.receive({ type: 'beat', from, to: me, epoch: 1, electionTicks: T })
      }
    }
  }

  #win(id: GroupId): void {
    const { groups } = this
    groups.use(id, (raft) => raft.campaign())
    for (const type of ['preVoteReply', 'voteReply'] as const) {
      this.pump()
      this.ours({ do: 'finish', id, from: me })
      const term = (groups.view(id)?.term ?? 0) + (type === 'preVoteReply' ? 1 : 0)
      for (const from of ['a', 'b']) this.step(id, { type, from, to: me, term, granted: true })
    }
  }

  /** All others do as this leader would like. */
  #agree(id: GroupId): void {
    if (this.groups.status(id).role !== 'leader') this.#win(id)
    for (let i = 0; i < 8; i++) {
      this.ours({ do: 'finish', id, from: me })
      const { role, term, lastIndex: index, progress } = this.groups.status(id)
      if (role !== 'leader') return
      for (const { peerId: from, matchIndex } of progress) {
        const head = { from, to: me, term }
        if (matchIndex < index) this.step(id, { type: 'appendReply', ...head, rejected: false, index })
        this.step(id, { type: 'heartbeatReply', ...head, round: this.#round(id), quiet: true })
      }
      this.#beats(60)
    }
  }

  /** It has a leader that would like it to rest. */
  #follow(id: GroupId, from: PeerId): void {
    const { groups } = this
    this.ours({ do: 'finish', id, from: me })
    const { lastIndex: index, lastTerm, term: before, role } = groups.status(id)
    const term = role === 'leader' ? before + 1 : before
    const head = { from, to: me, term }
    this.step(id, { type: 'append', ...head, previous: { term: lastTerm, index }, entries: [], commitIndex: index })
    this.pump()
    this.ours({ do: 'finish', id, from: me })
    groups.receive({ type: 'beat', from, to: me, epoch: 1, electionTicks: T })
    this.step(id, { type: 'heartbeat', ...head, commitIndex: index, round: 1, electionTicks: T, quiet: true })
  }

  pump(): void {
    const { groups } = this
    for (let rounds = 0; ; rounds++) {
      const ids = groups.readyGroups()
      if (ids.length === 0) break
      must(rounds < 100, 'it comes to an end')
      for (const id of ids) this.#take(id)
    }
    this.beats = groups.takeBeats()
    for (let rounds = 0; groups.ticksUntilDue() === 0; rounds++) {
      must(rounds < 20, 'what is due does not stay due')
      groups.tick(0)
      for (const id of groups.readyGroups()) this.#take(id)
      groups.takeBeats()
    }
  }

  #take(id: GroupId): void {
    const ready = this.groups.ready(id)
    for (const one of ready.messages) this.said.push([id, one])
    for (const read of ready.reads) {
      const key = `${id} ${read.id}`
      must(this.openReads.delete(key), 'a read is answered once')
      must(key !== this.asked || read.index === null, 'no read at rest without a round', key)
    }
    const last = ready.committed.at(-1)
    if (last !== undefined) this.groups.applied(id, last.index)
    this.queue.push({ id, ready })
    while (this.queue.length > 0 && this.queue[0]?.ready.write === null) this.#finish()
  }

  #finish(): void {
    const done = this.queue.shift()
    if (done === undefined) return
    this.groups.persisted(done.id, done.ready.sequence)
    for (const one of done.ready.messagesAfterWrite) this.said.push([done.id, one])
  }

  check(): void {
    const { groups } = this
    must(groups.ticksUntilDue() >= 0, 'a time that can be waited for', groups.ticksUntilDue())
    must(groups.peerCount < 200, 'strangers are forgotten')
    for (const id of groupIds) {
      const { quiet, role, leader, commitIndex, lastIndex, stableIndex, promisedTo, transferringTo } = groups.status(id)
      if (!quiet) continue
      this.rests[role === 'leader' ? 'leader' : 'follower']++
      must(role === 'leader' || (role === 'follower' && leader !== null), 'who rests is led')
      must(commitIndex === lastIndex && stableIndex === lastIndex, 'nothing is open at rest')
      must(promisedTo === null && transferringTo === null, 'nothing is on its way at rest')
    }
  }

  /** All of them are awake, and time passes: whatever was asked is answered. */
  end(): void {
    for (const id of groupIds) this.groups.use(id, () => undefined)
    for (let i = 0; i < 120; i++) {
      this.groups.tick(T)
      this.pump()
      this.ours({ do: 'finish', id: 1, from: me })
      this.pump()
    }
    must(this.openReads.size === 0, 'no read hangs', [...this.openReads])
  }
}

function ask(raft: Raft, what: Exclude<Plain, 'read' | 'compact' | 'finish'>): void {
  if (what === 'propose') raft.propose(0, [bytes('new')], 'a')
  else if (what === 'promise') raft.promiseVote()
  else if (what === 'revoke') raft.revokePromise()
  else if (what === 'priority') raft.setPriority(1)
  else raft[what]()
}

const together = (options: Partial<RaftGroupsOptions>) =>
  new RaftGroups({ ...timing, ...options, peerId: me, epoch: 1 })

describe('[S70] whatever comes', () => {
  it('[S70] nothing throws, spins or piles up, what rests has a reason to, and no read hangs', () => {
    const rests = { leader: 0, follower: 0 }
    const idleTicks = fc.constantFrom(0, T)
    const recheckTicks = fc.constantFrom(400, 1e9)
    fc.assert(
      fc.property(
        fc.array(anyInput, { maxLength: 60, size: 'max' }),
        idleTicks,
        recheckTicks,
        (inputs, idle, recheck) => {
          const subject = new Subject(together({ idleTicks: idle, recheckTicks: recheck }))
          for (const one of inputs) subject.run(one)
          subject.end()
          rests.leader += subject.rests.leader
          rests.follower += subject.rests.follower
        },
      ),
      { numRuns: 600 },
    )
    expect(Math.min(rests.leader, rests.follower), 'groups rest among all that').toBeGreaterThan(200)
  }, 60_000)

  it('[S70] groups that never rest are the cores that they consist of: the same words, at the same times', () => {
    let words = 0
    fc.assert(
      fc.property(fc.array(plainInput, { maxLength: 80, size: 'max' }), (inputs) => {
        const [one, other] = [new Subject(together({ idleTicks: Number.POSITIVE_INFINITY })), new Subject(new Apart())]
        for (const input of inputs) {
          one.run(input)
          other.run(input)
          for (const id of groupIds) {
            expect(one.groups.status(id)).toEqual(other.groups.status(id))
            expect(one.saidOf(id)).toEqual(other.saidOf(id))
          }
          words += one.said.length
          one.said.length = other.said.length = 0
        }
      }),
      { numRuns: 200 },
    )
    expect(words).toBeGreaterThan(5000)
  }, 60_000)
})
