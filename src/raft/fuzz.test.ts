/**
 * One core against everything: any well-formed message and any input in any order, most of which no correct room would ever
 * see. Whatever comes, the core keeps its own promises: see `Subject`. What a room keeps together is for `chaos.test.ts`.
 */
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { campaign } from './candidate.js'
import { onPersisted, takeReady } from './durability.js'
import type { Configuration, Entry, EntryId, PeerId } from './entry.js'
import type { Restored } from './log.js'
import type { Message, MessageOf } from './message.js'
import { Raft } from './raft.js'
import type { HardState, Ready, Role, SnapshotStatus, Write } from './ready.js'
import { createState, type RaftOptions, type RaftState } from './state.js'
import { step } from './step.js'
import {
  bytes,
  chunkOf,
  command,
  configuration,
  configurationEntry,
  dataOf,
  isDataOf,
  noop,
  snapshotAt,
  timing,
} from './test-cluster.js'
import { tick } from './tick.js'

/** Not `expect`: it would be most of the running time. */
function must(condition: boolean, ...what: readonly unknown[]): void {
  if (!condition) throw new Error(what.join(' '))
}

const me = 'c'
const ids = ['a', 'b', 'c', 'd', 'e', 'x', 'y'] as const
const farTerm = 2 ** 20
/** Far beyond every log, and far from where doubles stop counting. */
const farIndex = 2 ** 40

// Numbers are drawn relative to what the core has, so that near misses are as frequent as hits.

type Anchor = 'zero' | 'base' | 'applied' | 'stable' | 'commit' | 'last' | 'far'
interface Spot {
  readonly at: Anchor
  readonly by: number
}
interface Id {
  readonly spot: Spot
  /** As the core's own log has it there, or one more or less. */
  readonly termBy: number
}

const near = fc.constantFrom(0, 0, 0, 0, 1, 1, -1, -2, 2, 3)
const spot: fc.Arbitrary<Spot> = fc.record({
  at: fc.constantFrom<Anchor[]>('zero', 'base', 'applied', 'stable', 'commit', 'commit', 'last', 'last', 'last', 'far'),
  by: near,
})
const id: fc.Arbitrary<Id> = fc.record({ spot, termBy: fc.constantFrom(0, 0, 0, 0, 0, 1, -1, farTerm) })
const termBy = fc.constantFrom(0, 0, 0, 0, 0, 0, 1, 1, 1, -1, -1, 2, 3, -5, farTerm, farTerm + 1, 2 ** 52)
const peer = fc.constantFrom<PeerId[]>(...ids)
const someone = fc.constantFrom<PeerId[]>('a', 'b', 'd', 'a', 'b', 'd', 'e', 'x', me)

const set = (maxLength: number) => fc.uniqueArray(peer, { maxLength }).map((peers) => peers.sort())
/** Anything goes: unsorted, overlapping, joint, of nobody. */
const anyConfiguration: fc.Arbitrary<Configuration> = fc.oneof(
  { weight: 3, arbitrary: fc.tuple(set(5), set(2)).map(([voters, learners]) => configuration(voters, learners)) },
  {
    weight: 1,
    arbitrary: fc.record({
      voters: fc.array(peer, { maxLength: 5 }),
      outgoing: fc.oneof(fc.constant([]), set(5)),
      learners: set(3),
      learnersNext: set(2),
      incarnations: fc.dictionary(peer, fc.record({ counter: fc.nat(3), nonce: fc.constantFrom('', 'n') })),
    }),
  },
)

interface EntryDraft {
  readonly kind: Entry['type']
  /** How much its term is above the one before it. */
  readonly rise: number
  /** Not 0: there is a gap or a repetition before it. */
  readonly skip: number
  readonly configuration: Configuration
}
const entryDraft: fc.Arbitrary<EntryDraft> = fc.record({
  kind: fc.constantFrom('command', 'command', 'command', 'noop', 'configuration'),
  rise: fc.constantFrom(0, 0, 0, 0, 0, 1, 1, -1, farTerm),
  skip: fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, -1),
  configuration: anyConfiguration,
})

interface MessageDraft {
  readonly do: 'message'
  readonly type: Message['type']
  readonly from: PeerId
  readonly to: PeerId
  readonly termBy: number
  readonly id: Id
  readonly one: Spot
  readonly round: number
  readonly yes: boolean
  readonly rarely: boolean
  readonly entries: readonly EntryDraft[]
  readonly configuration: Configuration
}

/** A draft whose numbers are found. */
interface Drawn {
  readonly id: EntryId
  readonly index: number
  readonly round: number
  readonly yes: boolean
  readonly rarely: boolean
  readonly entries: readonly Entry[]
  readonly configuration: Configuration
  /** What the core is sending to the message's sender. */
  readonly sending: SnapshotStatus | null
}

type Body<T> = T extends Message ? Omit<T, 'from' | 'to' | 'term' | 'type'> : never

/** A whole snapshot, or a part of it; not `isSound`: what says of itself that it is something else, and can never be whole. */
function chunkBody(
  id: EntryId,
  next: Configuration,
  round: number,
  isSound: boolean,
  isHuge: boolean,
): Body<MessageOf<'snapshot'>> {
  const all = dataOf(id)
  const [offset, length] = [[0, all.length] as const, [0, 7] as const, [7, 7] as const, [10, 50] as const][
    round % 4
  ] ?? [0, 0]
  const { meta, size, checksum, data } = chunkOf(
    snapshotAt(id, next, round, all),
    { from: 'a', to: me, term: 0 },
    offset,
    length,
  )
  if (isSound) return { meta, size, checksum, offset, data }
  if (isHuge) return { meta, size: farIndex, checksum, offset, data }
  const wrong = [
    { size, checksum: checksum ^ 1 },
    { size: Math.max(0, size - 1), checksum },
  ][round % 2] ?? { size, checksum }
  return { meta, ...wrong, offset: round % 3 === 0 ? farIndex : offset, data }
}

const electionTicks = [1, 50, 150, 600_000]
const bodies: { readonly [K in Message['type']]: (drawn: Drawn) => Body<MessageOf<K>> } = {
  preVote: ({ id }) => ({ last: id }),
  preVoteReply: ({ yes }) => ({ granted: yes }),
  vote: ({ id, rarely }) => ({ last: id, transfer: rarely }),
  voteReply: ({ yes }) => ({ granted: yes }),
  append: ({ id, entries, index }) => ({ previous: id, entries, commitIndex: index }),
  commit: ({ id }) => ({ last: id }),
  stable: ({ index }) => ({ index }),
  appendReply: ({ rarely, id, index }) =>
    rarely ? { rejected: true, index, hint: id } : { rejected: false, index: id.index },
  heartbeat: ({ index, round, rarely }) => ({
    commitIndex: index,
    round,
    electionTicks: electionTicks[round % electionTicks.length] ?? 150,
    ...(rarely && { heir: ids[round % ids.length] ?? me }),
    ...(round % 3 === 0 && { quiet: !rarely }),
  }),
  heartbeatReply: ({ round, rarely, yes }) => ({ round, ...(rarely && { priority: round, quiet: yes }) }),
  timeoutNow: () => ({}),
  snapshot: ({ id, configuration, round, yes, rarely }) => chunkBody(id, configuration, round, yes, rarely),
  snapshotReply: ({ id, sending, round, rarely }) => ({
    snapshot: sending !== null && !rarely ? { term: sending.term, index: sending.index } : id,
    offset: [0, 1, 7, 14, sending?.size ?? 50, farIndex][round % 6] ?? 0,
  }),
  readIndex: ({ round }) => ({ id: round }),
  readIndexReply: ({ round, index, rarely }) => ({ id: round, index, rejected: rarely }),
}
const types = Object.keys(bodies) as Message['type'][]

const message: fc.Arbitrary<MessageDraft> = fc.record({
  do: fc.constant('message' as const),
  type: fc.constantFrom(...types, 'append', 'append', 'append', 'appendReply', 'appendReply', 'heartbeat', 'snapshot'),
  from: someone,
  to: fc.constantFrom(me, me, me, me, me, me, me, me, me, me, me, me, 'a', 'x'),
  termBy,
  id,
  one: spot,
  round: fc.oneof(fc.nat(8), fc.nat(2 ** 40)),
  yes: fc.nat(4).map((n) => n > 0),
  rarely: fc.nat(4).map((n) => n === 0),
  entries: fc.array(entryDraft, { maxLength: 4 }),
  configuration: anyConfiguration,
})

type Plain =
  | ('read' | 'campaign' | 'forget' | 'stepDown' | 'promise' | 'revoke' | 'retime')
  | ('restart' | 'win' | 'acknowledge' | 'lag' | 'hold')

type Input =
  | MessageDraft
  | { readonly do: 'tick' | 'stall' | 'finish' | 'old' | 'propose' | 'compact' | 'priority'; readonly n: number }
  | { readonly do: 'configure'; readonly configuration: Configuration }
  | { readonly do: 'take'; readonly from: PeerId; readonly termBy: number }
  | { readonly do: 'unreachable' | 'transfer'; readonly peerId: PeerId }
  | { readonly do: Plain }

const input: fc.Arbitrary<Input> = fc.oneof(
  { weight: 24, arbitrary: message },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constantFrom('tick', 'tick', 'stall'), n: fc.constantFrom(0, 1, 50, 150, 300, 1e6) }),
  },
  {
    weight: 7,
    arbitrary: fc.record({
      do: fc.constantFrom('finish', 'finish', 'finish', 'old', 'propose', 'propose', 'compact', 'priority'),
      n: fc.nat(4),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('configure' as const), configuration: anyConfiguration }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('take' as const), from: someone, termBy }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom('unreachable', 'transfer'),
      peerId: someone,
    }),
  },
  {
    weight: 9,
    arbitrary: fc.record({
      do: fc.constantFrom(
        ...(['read', 'read', 'campaign', 'forget', 'stepDown', 'promise', 'promise', 'revoke', 'retime'] as const),
        ...(['restart', 'win', 'win', 'acknowledge', 'acknowledge', 'lag', 'hold'] as const),
      ),
    }),
  },
)

// Where it begins.

interface Start {
  readonly voters: number
  readonly isLearner: boolean
  /** Rises of the terms after the first entry; null: a newborn. */
  readonly rises: readonly number[] | null
  readonly snapshot: boolean
  readonly small: boolean
  /** Nobody is ahead in terms, so that whoever leads goes on. */
  readonly calm: boolean
  readonly role: Role
}
const start: fc.Arbitrary<Start> = fc.record({
  voters: fc.constantFrom(1, 2, 2, 2, 3, 3, 4, 5),
  isLearner: fc.nat(6).map((n) => n === 0),
  rises: fc.option(fc.array(fc.constantFrom(0, 0, 1, 2), { maxLength: 6 }), { freq: 6 }),
  snapshot: fc.boolean(),
  small: fc.boolean(),
  calm: fc.boolean(),
  role: fc.constantFrom('follower', 'preCandidate', 'candidate', 'leader'),
})

const smallLimits = {
  maxChunkBytes: 7,
  maxInflightChunkBytes: 14,
  maxSnapshotBytes: 40,
  maxAppendBytes: 80,
  maxCommittedBytes: 100,
  maxInflightAppends: 2,
  maxInflightBytes: 200,
  maxUncommittedBytes: 300,
  newsTicks: 10,
}

function restoredOf({ voters, isLearner, rises, snapshot }: Start): Restored | undefined {
  if (rises === null) return undefined
  const others = ['a', 'b', 'd', 'e'].slice(0, isLearner ? voters : voters - 1)
  const members = isLearner ? configuration(others, [me]) : configuration([...others, me].sort())
  const entries: Entry[] = snapshot ? [] : [configurationEntry(1, 1, members)]
  let term = 1
  for (const rise of rises) {
    term += rise
    entries.push(command(term, entries.length + (snapshot ? 6 : 1), 'old'))
  }
  return {
    hardState: { term, votedFor: null, promisedTo: null, commitIndex: 0 },
    snapshot: snapshot ? snapshotAt({ term: 1, index: 5 }, members) : null,
    entries,
  }
}

interface Queued {
  readonly ready: Ready
  /** A vote or an acknowledgement may only leave when what it promises is on the disk. */
  readonly messages: readonly Message[]
}

/** The core, its host's duties, and what must be true after each of them. Dumb on purpose. */
class Subject {
  raft: Raft
  durable: Restored
  readonly queue: Queued[] = []
  /** Of this life: term of everything that was handed out, by index. */
  readonly handedOut = new Map<number, number>()
  readonly openReads = new Set<number>()
  readonly story: string[] = []
  /** What kinds of things happened, to know what was tried at all. */
  onSeen: ((what: string) => void) | null = null
  handedUpTo = 0
  sequence = 0
  reads = 0
  seed = 1
  #before = { term: 0, commit: 0, applied: 0, last: 0, lastTerm: 0 }
  /** Somebody has sent two different logs in one term: what was acknowledged before is void, and nobody can help it. */
  #isContradicted = false
  #isHeld = false

  constructor(readonly first: Start) {
    this.durable = restoredOf(first) ?? { hardState: newborn, snapshot: null, entries: [] }
    this.raft = this.#boot(first.rises === null ? {} : { restored: this.durable })
    this.#settle()
    if (first.role === 'preCandidate') this.run({ do: 'campaign' })
    else if (first.role === 'candidate') this.#win(false)
    else if (first.role === 'leader') this.run({ do: 'win' })
  }

  #boot(options: Partial<RaftOptions>): Raft {
    const limits = this.first.small ? smallLimits : {}
    this.handedUpTo = this.durable.snapshot?.meta.index ?? 0
    this.sequence = 0
    this.handedOut.clear()
    this.openReads.clear()
    this.#isContradicted = false
    this.queue.length = 0
    const raft = new Raft({ ...timing, ...limits, ...options, peerId: me, seed: this.seed++ })
    this.#before = { term: raft.term, commit: raft.commitIndex, applied: raft.appliedIndex, last: 0, lastTerm: 0 }
    return raft
  }

  run(input: Input): void {
    this.story.push(JSON.stringify(input))
    this.#perform(input)
    this.check()
    if (!this.#isHeld) this.#pump()
    this.check()
  }

  // One line for each input: it is only long.
  #perform(input: Input): void {
    const { raft } = this
    switch (input.do) {
      case 'message':
        this.step(messageOf(this.first.calm ? { ...input, termBy: Math.min(0, input.termBy) } : input, raft))
        break
      case 'tick':
        raft.tick(input.n)
        break
      case 'stall':
        raft.stall(input.n)
        break
      case 'finish':
        for (let i = 0; i <= input.n; i++) this.#finish()
        break
      case 'old':
        raft.persisted(Math.max(0, this.sequence - this.queue.length - input.n))
        break
      case 'propose':
        raft.propose(input.n, Array<Uint8Array>(input.n).fill(bytes('new!')), ids[input.n])
        break
      case 'compact':
        this.#compact(input.n)
        break
      case 'priority':
        raft.setPriority(input.n)
        break
      case 'configure':
        raft.proposeConfiguration(0, input.configuration)
        break
      case 'take':
        raft.takePromisedVote(input.from, Math.max(0, raft.term + input.termBy))
        break
      case 'unreachable':
        raft.reportUnreachable(input.peerId)
        break
      case 'transfer':
        raft.transferLeadership(input.peerId)
        break
      default:
        this.#performPlain(input.do)
    }
  }

  #performPlain(what: Plain): void {
    const { raft } = this
    switch (what) {
      case 'read':
        this.openReads.add(++this.reads)
        raft.read(this.reads)
        break
      case 'campaign':
        raft.campaign()
        break
      case 'forget':
        raft.forgetLeader()
        break
      case 'stepDown':
        raft.stepDown()
        break
      case 'promise':
        raft.promiseVote()
        break
      case 'revoke':
        raft.revokePromise()
        break
      case 'retime':
        raft.retime({ electionTicks: 60, electionTicksMax: 200, heartbeatTicks: 7, preVoteTicks: 1 })
        break
      case 'restart':
        this.raft = this.#boot({ restored: this.durable })
        break
      case 'win':
        this.#win(true)
        break
      case 'acknowledge':
        this.#acknowledge()
        break
      case 'lag':
        this.#lag()
        break
      case 'hold':
        // The next turns are one: their Ready is taken later.
        this.#isHeld = !this.#isHeld
        break
      default:
        what satisfies never
    }
  }

  step(message: Message): void {
    this.story.push(JSON.stringify(message))
    const before = this.onSeen && this.#digest()
    if (message.type === 'heartbeat' && message.quiet) this.raft.stepQuiet(message)
    else this.raft.step(message)
    if (before !== null && before !== this.#digest()) this.onSeen?.(`changed by ${message.type}`)
  }

  /** What can be seen of it from outside, except messages. */
  #digest(): string {
    const { raft } = this
    return JSON.stringify([raft.status(), raft.hasQuorum, raft.confirmedRound, raft.ticksUntilDue(), raft.hasReady()])
  }

  /** Everybody who can vote does, for this core; `wholly`: up to the end. */
  #win(wholly: boolean): void {
    this.#settle()
    this.raft.campaign()
    this.#settle()
    const voters = [...this.raft.configuration.voters, ...this.raft.configuration.outgoing]
    for (const from of voters) {
      if (this.raft.role !== 'preCandidate') break
      this.step({ type: 'preVoteReply', from, to: me, term: this.raft.term + 1, granted: true })
    }
    if (!wholly) return
    this.#settle()
    for (const from of voters) {
      if (this.raft.role !== 'candidate') break
      this.step({ type: 'voteReply', from, to: me, term: this.raft.term, granted: true })
    }
  }

  /** As followers do it when everything has come to them. */
  #acknowledge(): void {
    this.#settle()
    const { raft } = this
    for (const from of raft.configuration.voters) {
      const addressed = { from, to: me, term: raft.term }
      this.step({ type: 'heartbeatReply', ...addressed, round: raft.currentRound })
      this.step({ type: 'appendReply', ...addressed, rejected: false, index: raft.lastIndex })
    }
    this.#settle()
  }

  /** Followers that have nothing: what is compacted comes to them as a snapshot. */
  #lag(): void {
    this.#compact(0)
    for (const { peerId, nextIndex } of this.raft.status().progress) {
      const reply = { type: 'appendReply', from: peerId, to: me, term: this.raft.term, rejected: true } as const
      this.step({ ...reply, index: nextIndex - 1, hint: { term: 0, index: 0 } })
    }
    this.#settle()
  }

  #settle(): void {
    this.#pump()
    while (this.queue.length > 0) {
      this.#finish()
      this.#pump()
    }
  }

  /** Duties 1, 3 and 4; 2 waits in the queue. */
  #pump(): void {
    for (let turns = 0; this.raft.hasReady(); turns++) {
      must(turns < 8, 'the core comes to rest')
      const ready = this.raft.ready()
      must(ready.sequence === ++this.sequence, 'Readys are numbered')
      this.#checkSaid([...ready.messages, ...ready.messagesAfterWrite])
      this.queue.push({ ready, messages: ready.messagesAfterWrite })
      if (ready.write?.snapshot) {
        const { meta, data } = ready.write.snapshot
        must(meta.index > this.handedUpTo, 'a snapshot leads ahead')
        must(isDataOf(meta, data), 'a snapshot has the bytes that were sent')
        this.handedUpTo = meta.index
        this.onSeen?.(`installs ${data.length > 7 ? 'much' : 'little'}`)
      }
      for (const entry of ready.committed) this.#apply(entry)
      for (const { id, index } of ready.reads) {
        must(this.openReads.delete(id), 'a read is answered once, and only if it was asked', id)
        must(index === null || index >= 0, 'a read is answered by an index')
      }
      // A Ready without a write whose predecessors are durable is durable.
      if (ready.write === null && this.queue.length === 1) this.#finish()
    }
  }

  #apply(entry: Entry): void {
    must(entry.index === ++this.handedUpTo, 'entries are handed out once, without a gap', entry.index)
    this.handedOut.set(entry.index, entry.term)
    this.raft.applied(entry.index)
  }

  #finish(): void {
    const next = this.queue.shift()
    if (next === undefined) return
    const { write, sequence } = next.ready
    if (write !== null) this.durable = written(this.durable, write)
    this.raft.persisted(sequence)
    for (const message of next.messages) this.#checkPromise(message)
  }

  /** As a host does it: everything written, and the configuration in force is part of what the snapshot covers. */
  #compact(keep: number): void {
    this.#settle()
    const { raft } = this
    const { appliedIndex: index } = raft
    const { configurationIndex, firstIndex, stableIndex } = raft.status()
    const term = raft.entryTerm(index)
    if (term === null || index > stableIndex || configurationIndex > index) return
    if (index <= (this.durable.snapshot?.meta.index ?? 0)) return
    const snapshot = snapshotAt({ term, index }, raft.configuration, 0, dataOf({ term, index }, 1))
    const keepFrom = Math.max(firstIndex, index + 1 - keep)
    raft.compact(snapshot, keepFrom)
    const entries = this.durable.entries.filter((entry) => entry.index >= keepFrom)
    this.durable = { ...this.durable, snapshot, entries }
  }

  #checkSaid(messages: readonly Message[]): void {
    must(messages.length <= 600, 'what one turn says is bounded', messages.length)
    for (const message of messages) {
      this.onSeen?.(`says ${message.type}`)
      must(message.from === me && message.to !== me, 'it speaks for itself, to others')
      const ahead = message.type === 'preVote' || (message.type === 'preVoteReply' && message.granted)
      // A granted pre-vote repeats what it was asked, which may be any term that is let in.
      must(ahead || message.term <= this.raft.term, 'it speaks of no term that it is not in')
    }
  }

  #checkPromise(message: Message): void {
    const { hardState, snapshot, entries } = this.durable
    if (message.type === 'voteReply' && message.granted) {
      // A promised vote is one too: a restart begins in its term (M2).
      const { promisedTo } = hardState
      const [term, votedFor] = promisedTo ? [hardState.term + 1, promisedTo] : [hardState.term, hardState.votedFor]
      const isKept = term > message.term || (term === message.term && votedFor === message.to)
      must(isKept, 'a vote is durable before it is given')
    } else if (message.type === 'vote') {
      must(hardState.term >= message.term, 'a candidacy is durable before it is known')
    } else if (message.type === 'appendReply' && !message.rejected && message.term === hardState.term) {
      const last = entries.at(-1)?.index ?? snapshot?.meta.index ?? 0
      must(this.#isContradicted || message.index <= last, 'what is acknowledged is durable', message.index, last)
    }
  }

  check(): void {
    const { raft } = this
    const before = this.#before
    const { term, commitIndex: commit, appliedIndex: applied, lastIndex: last } = raft
    const { lastTerm, firstIndex, progress } = raft.status()
    must(term >= before.term, 'the term never goes down', before.term, term)
    must(commit >= before.commit, 'the commit index never goes down', before.commit, commit)
    must(applied >= before.applied, 'the applied index never goes down')
    must(applied <= commit && commit <= last, 'applied <= commit <= last', applied, commit, last)
    must(raft.stableIndex <= last, 'stable <= last', raft.stableIndex, last)
    must(firstIndex - 1 <= applied, 'what is not applied is in the log')
    must(lastTerm <= term, 'the log is of no term to come', lastTerm, term)
    for (let index = firstIndex; index <= last; index++) {
      must((raft.entryTerm(index - 1) ?? 0) <= (raft.entryTerm(index) ?? 0), 'terms never fall along a log', index)
    }
    if (before.last > 0 && term === before.term && before.last >= firstIndex) {
      if (last < before.last || raft.entryTerm(before.last) !== before.lastTerm) this.#isContradicted = true
    }
    for (const [index, own] of this.handedOut) {
      must((raft.entryTerm(index) ?? own) === own, 'what was handed out stays', index)
    }
    this.onSeen?.(`is ${raft.role}`)
    if (raft.promisedVote !== null) this.onSeen?.('promised')
    for (const { state, matchIndex, nextIndex } of progress) {
      this.onSeen?.(`has ${state}`)
      must(matchIndex < nextIndex && nextIndex <= last + 1, 'match < next <= last + 1', matchIndex, nextIndex)
    }
    const due = raft.ticksUntilDue()
    must(due >= 0, 'something is due at a time', due)
    must(raft.role === 'leader' || raft.confirmedRound === 0, 'only a leader has rounds')
    must(raft.promisedVote === null || raft.role === 'leader', 'only a leader has a promise to leave behind')
    this.#before = { term, commit, applied, last, lastTerm }
  }

  /** No read hangs, whatever was said before it (B28). */
  end(): void {
    if (this.#isHeld) this.run({ do: 'hold' })
    this.run({ do: 'stepDown' })
    this.run({ do: 'tick', n: 1e9 })
    this.#settle()
    must(this.openReads.size === 0, 'every read is answered', ...this.openReads)
  }
}

/** More for a long search: `FUZZ_RUNS=40000`. */
const runs = Number(process.env['FUZZ_RUNS'] ?? 600)
const newborn: HardState = { term: 0, votedFor: null, promisedTo: null, commitIndex: 0 }

/** What a disk holds after one more write. */
function written(before: Restored, write: Write): Restored {
  const snapshot = write.snapshot ?? before.snapshot
  const from = write.entries[0]?.index ?? Number.POSITIVE_INFINITY
  const kept = write.snapshot ? [] : before.entries.filter((entry) => entry.index < from)
  return { hardState: write.hardState ?? before.hardState, snapshot, entries: [...kept, ...write.entries] }
}

function natural(n: number): number {
  return Math.min(Math.max(0, n), Number.MAX_SAFE_INTEGER)
}

function indexAt({ at, by }: Spot, raft: Raft): number {
  const status = raft.status()
  const anchors: Readonly<Record<Anchor, number>> = {
    zero: 0,
    base: status.firstIndex - 1,
    applied: status.appliedIndex,
    stable: status.stableIndex,
    commit: status.commitIndex,
    last: status.lastIndex,
    far: farIndex,
  }
  return natural(anchors[at] + by)
}

function idAt({ spot, termBy }: Id, raft: Raft): EntryId {
  const index = indexAt(spot, raft)
  return { index, term: natural((raft.entryTerm(index) ?? raft.term) + termBy) }
}

function messageOf(draft: MessageDraft, raft: Raft): Message {
  const { type, from, to } = draft
  const id = idAt(draft.id, raft)
  // What is granted before an election names the term to come.
  const term = natural(raft.term + draft.termBy + (type === 'preVoteReply' && draft.yes ? 1 : 0))
  let previous: EntryId = id
  const entries = draft.entries.map((entry): Entry => {
    previous = { index: natural(previous.index + 1 + entry.skip), term: natural(previous.term + entry.rise) }
    if (entry.kind === 'noop') return noop(previous.term, previous.index)
    if (entry.kind === 'command') return command(previous.term, previous.index, 'sent')
    return configurationEntry(previous.term, previous.index, entry.configuration)
  })
  const sending = raft.status().progress.find(({ peerId }) => peerId === from)?.snapshot ?? null
  const drawn: Drawn = { ...draft, id, entries, index: indexAt(draft.one, raft), sending }
  return { type, from, to, term, ...bodies[type](drawn) } as Message
}

function play(start: Start, inputs: readonly Input[]): Subject {
  const subject = new Subject(start)
  try {
    for (const input of inputs) subject.run(input)
    subject.end()
  } catch (error) {
    throw new Error(`${String(error)} after\n${subject.story.join('\n')}`, { cause: error })
  }
  return subject
}

describe('a core against everything that is well-formed', () => {
  it('keeps its promises and never throws, and every read is answered once [B28]', () => {
    fc.assert(
      fc.property(start, fc.array(input, { maxLength: 60, size: 'max' }), (start, inputs) => {
        play(start, inputs)
      }),
      { numRuns: runs },
    )
  })

  it('the runs are worth their name: every role is held, every message changes something, every answer is given', () => {
    const seen = new Set<string>()
    const inputs = fc.array(input, { minLength: 30, maxLength: 60 })
    for (const [first, rest] of fc.sample(fc.tuple(start, inputs), { numRuns: 300, seed: 1 })) {
      const subject = new Subject(first)
      subject.onSeen = (what) => seen.add(what)
      for (const input of rest) subject.run(input)
    }
    const said = types.flatMap((type) => (type === 'stable' || type === 'timeoutNow' ? [] : [`says ${type}`]))
    const changed = types.map((type) => `changed by ${type}`)
    const roles = ['follower', 'preCandidate', 'candidate', 'leader'].map((role) => `is ${role}`)
    const states = ['probe', 'replicate', 'snapshot'].map((state) => `has ${state}`)
    const installed = ['installs little', 'installs much']
    const wanted = [...said, ...changed, ...roles, ...states, ...installed, 'promised']
    expect(wanted.filter((what) => !seen.has(what))).toEqual([])
  })
})

const founded: Start = {
  ...{ voters: 3, isLearner: false, rises: [1], snapshot: false, small: false, calm: false },
  role: 'follower',
}
const members = configuration(['a', 'b', me])
const from = { from: 'a', to: me } as const
const snapshotOf = (term: number, id: EntryId): Message => {
  return chunkOf(snapshotAt(id, members), { ...from, term })
}
const appendOf = (term: number, previous: EntryId, ...entries: readonly Entry[]): Message => {
  return { type: 'append', ...from, term, previous, entries, commitIndex: 0 }
}

describe('what no correct core can send never comes to the disk, where a restart would refuse it', () => {
  it.each<[string, Start, readonly Message[]]>([
    ['a snapshot of a term to come', founded, [snapshotOf(2, { term: 3, index: 9 })]],
    ['a snapshot that ends at no entry', { ...founded, rises: null }, [snapshotOf(0, { term: 0, index: 1 })]],
    ['an entry of no term', { ...founded, rises: null }, [appendOf(0, { term: 0, index: 0 }, noop(0, 1))]],
    [
      'an entry that is older than what is committed before it',
      founded,
      [
        { type: 'heartbeat', ...from, term: 2, commitIndex: 2, round: 1, electionTicks: 150 },
        appendOf(2, { term: 1, index: 2 }, noop(1, 3)),
      ],
    ],
  ])('%s', (_what, start, messages) => {
    const subject = new Subject(start)
    for (const message of messages) {
      subject.step(message)
      subject.run({ do: 'tick', n: 0 })
      subject.run({ do: 'finish', n: 4 })
    }
    subject.run({ do: 'restart' })
  })
})

it('a snapshot at the end of the safe integers is not taken', () => {
  // Whoever leads from there numbers its entries past them, and counts for ever when it commits.
  const subject = new Subject(founded)
  subject.step(snapshotOf(2, { term: 2, index: Number.MAX_SAFE_INTEGER }))
  expect(subject.raft.commitIndex).toBeLessThan(Number.MAX_SAFE_INTEGER)
})

describe('memory', () => {
  const candidate = (): RaftState => {
    const restored = restoredOf(founded)
    return createState({ ...timing, peerId: me, seed: 1, ...(restored && { restored }) })
  }
  const strangers = Array.from({ length: 1000 }, (_, i) => `stranger-${i}`)

  it('a follower keeps nothing of whoever asks it for anything', () => {
    const state = candidate()
    const size = JSON.stringify(state).length
    for (const from of strangers) {
      for (const type of ['preVote', 'vote', 'readIndex', 'heartbeatReply', 'appendReply'] as const) {
        const drawn = { id: { term: 1, index: 1 }, index: 1, round: 1, yes: true, rarely: false }
        const body = bodies[type]({ ...drawn, entries: [], configuration: members, sending: null })
        step(state, { type, from, to: me, term: state.term, ...body } as Message)
      }
      takeReady(state)
    }
    expect(JSON.stringify(state).length).toBeLessThan(size + 500)
  })

  it('a candidate keeps no answers of strangers', () => {
    const state = candidate()
    campaign(state)
    for (const from of strangers) {
      step(state, { type: 'preVoteReply', from, to: me, term: state.term + 1, granted: true })
    }
    expect(state.votes.size).toBeLessThanOrEqual(3)
  })

  it('a leader that cannot confirm reads forgets those that their askers have given up', () => {
    const restored = restoredOf({ ...founded, voters: 2 })
    const state = createState({ ...timing, peerId: me, seed: 1, ...(restored && { restored }) })
    const turn = () => onPersisted(state, takeReady(state).sequence)
    campaign(state)
    step(state, { type: 'preVoteReply', from: 'a', to: me, term: state.term + 1, granted: true })
    turn()
    step(state, { type: 'voteReply', from: 'a', to: me, term: state.term, granted: true })
    turn()
    step(state, { type: 'appendReply', from: 'a', to: me, term: state.term, rejected: false, index: 3 })
    turn()
    expect(state).toMatchObject({ role: 'leader', log: { commit: 3 } })
    // Now a is gone, so that this one of two waits for it, and somebody asks again and again, an hour long.
    for (let id = 0; id < 1000; id++) {
      tick(state, 3600)
      step(state, { type: 'readIndex', from: 'x', to: me, term: state.term, id })
      turn()
    }
    expect(state.leading?.confirmingReads.length).toBeLessThan(100)
  })
})
