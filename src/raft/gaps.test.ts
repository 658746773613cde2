/** What the mutants of `test/mutations` showed to be untested. */
import { describe, expect, it } from 'vitest'
import type { EntryId } from './entry.js'
import { acknowledge, bytes, command, configuration, core, drain, elect, leader, log, only, T } from './test-cluster.js'

const three = ['a', 'b', 'c']
/** Where the log of a core that was just restored ends. */
const last: EntryId = { term: 1, index: 1 }

describe('elections', () => {
  it('[S4][B5] a vote in a term that is durable already is written too', () => {
    const raft = core('b')
    raft.step({ type: 'voteReply', from: 'a', to: 'b', term: 2, granted: false })
    drain(raft)
    raft.step({ type: 'vote', from: 'c', to: 'b', term: 2, last, transfer: false })
    const ready = raft.ready()
    expect(ready.write?.hardState).toMatchObject({ term: 2, votedFor: 'c' })
    expect(only(ready.messagesAfterWrite, 'voteReply')).toMatchObject([{ to: 'c', granted: true }])
  })

  it('[S9] a vote of its own that became durable late does not count in a later election', () => {
    const raft = core('a', { entries: log(['a'], [1]) })
    raft.campaign()
    const first = raft.ready()
    raft.tick(2 * T)
    const second = raft.ready()
    expect([first.write?.hardState?.term, second.write?.hardState?.term]).toEqual([2, 3])
    raft.persisted(first.sequence)
    expect(raft.role).toBe('candidate')
    raft.persisted(second.sequence)
    expect(raft).toMatchObject({ role: 'leader', term: 3 })
  })

  it('[S7] a pre-candidate waits for its own, shorter time, drawn anew for each attempt', () => {
    const raft = core('a')
    const draws = Array.from({ length: 20 }, () => {
      raft.campaign()
      return raft.ticksUntilDue()
    })
    for (const due of draws) {
      expect(due).toBeGreaterThanOrEqual(100)
      expect(due).toBeLessThan(200)
    }
    expect(new Set(draws).size).toBeGreaterThan(5)
  })

  it('[S19][M5] whoever knows that the leader is gone grants a pre-vote at once', () => {
    const raft = core('b')
    const preVote = { type: 'preVote', from: 'c', to: 'b', term: 2, last } as const
    raft.step({ type: 'heartbeat', from: 'a', to: 'b', term: 1, commitIndex: 0, round: 1, electionTicks: T })
    drain(raft)
    raft.step(preVote)
    expect(only(drain(raft), 'preVoteReply')).toEqual([])
    raft.forgetLeader()
    raft.step(preVote)
    expect(only(drain(raft), 'preVoteReply')).toMatchObject([{ to: 'c', granted: true }])
  })
})

it('[S29] a late acknowledgement takes no earlier one back', () => {
  const raft = leader()
  raft.propose(0, [bytes('x')])
  const { sequence } = raft.ready()
  acknowledge(raft, 'b', 3)
  acknowledge(raft, 'b', 2)
  expect(raft.status().progress).toMatchObject([{ peerId: 'b', matchIndex: 3 }, { peerId: 'c' }])
  raft.persisted(sequence)
  expect(raft.commitIndex).toBe(3)
})

it('[S41][B8] what was durable and is cut is durable no more, before its successor is', () => {
  const raft = core('b', { entries: log(three, [1, 1, 1]) })
  expect(raft.stableIndex).toBe(3)
  const entries = [command(2, 2), command(2, 3)]
  raft.step({ type: 'append', from: 'c', to: 'b', term: 2, previous: last, entries, commitIndex: 0 })
  expect(raft.stableIndex).toBe(1)
  const ready = raft.ready()
  expect(ready.write?.entries).toEqual(entries)
  raft.persisted(ready.sequence)
  expect(raft.stableIndex).toBe(3)
})

describe('membership', () => {
  it('[S54][B19] a leader that removes itself stays until that is committed, whatever is committed before', () => {
    const raft = leader()
    raft.propose(0, [bytes('x')])
    raft.proposeConfiguration(0, configuration(['b', 'c']))
    drain(raft)
    for (const from of ['b', 'c']) acknowledge(raft, from, 3)
    expect(raft).toMatchObject({ role: 'leader', commitIndex: 3 })
    for (const from of ['b', 'c']) acknowledge(raft, from, 4)
    expect(raft).toMatchObject({ role: 'follower', commitIndex: 4 })
  })

  it('[S53][B11] a joint change stays until it is committed, whatever is committed before', () => {
    const raft = leader()
    raft.propose(0, [bytes('x')])
    raft.proposeConfiguration(0, configuration(['a', 'd', 'e']))
    drain(raft)
    for (const from of ['b', 'd']) acknowledge(raft, from, 3)
    expect(raft).toMatchObject({ commitIndex: 3, lastIndex: 4, configuration: { outgoing: three } })
    for (const from of ['b', 'd']) acknowledge(raft, from, 4)
    expect(raft).toMatchObject({ commitIndex: 4, lastIndex: 5, configuration: { outgoing: [] } })
  })

  it('[S14] a newcomer counts as heard until the next check-quorum, also when another voter is silent', () => {
    const raft = leader()
    raft.tick(T)
    raft.step({ type: 'heartbeatReply', from: 'b', to: 'a', term: 2, round: 0 })
    raft.proposeConfiguration(0, configuration([...three, 'd']))
    raft.tick(T)
    expect(raft.role).toBe('leader')
    raft.step({ type: 'heartbeatReply', from: 'b', to: 'a', term: 2, round: 0 })
    raft.tick(T)
    expect(raft.role).toBe('follower')
  })
})

it('[S63][B14][R1] no round confirms a read before the term’s first commit, a periodic one neither', () => {
  const raft = elect(core('a'), ['b'])
  raft.read(1)
  raft.tick(50)
  drain(raft)
  raft.step({ type: 'heartbeatReply', from: 'b', to: 'a', term: 2, round: raft.currentRound })
  acknowledge(raft, 'b')
  expect(raft).toMatchObject({ confirmedRound: 1, committedInTerm: true })
  expect(raft.ready().reads).toEqual([])
  raft.step({ type: 'heartbeatReply', from: 'b', to: 'a', term: 2, round: raft.currentRound })
  expect(raft.ready().reads).toEqual([{ id: 1, index: 2 }])
})

it('[S62][B16] a round that is confirmed while leadership is handed over brings no lease', () => {
  const raft = leader({ leaseTicks: 100 })
  raft.transferLeadership('b')
  raft.tick(50)
  drain(raft)
  raft.step({ type: 'heartbeatReply', from: 'c', to: 'a', term: 2, round: raft.currentRound })
  expect(raft.confirmedRound).toBe(1)
  raft.read(1)
  expect(raft.ready().reads).toEqual([])
})

it('[S23][B7] what was durable at the leader of an earlier term makes no pair with the entries of this one', () => {
  const raft = core('b')
  const append = (from: string, term: number, index: number) => {
    const entries = [command(term, 2), command(term, 3)].slice(0, index - 1)
    raft.step({ type: 'append', from, to: 'b', term, previous: last, entries, commitIndex: 0 })
  }
  append('a', 2, 3)
  raft.ready()
  raft.step({ type: 'stable', from: 'a', to: 'b', term: 2, index: 3 })
  append('c', 3, 2)
  drain(raft)
  expect(raft).toMatchObject({ stableIndex: 2, commitIndex: 0 })
  raft.step({ type: 'stable', from: 'c', to: 'b', term: 3, index: 2 })
  expect(raft.commitIndex).toBe(2)
})

it('[S33][B7] a leader tells only what is durable, not what it has handed out for writing', () => {
  const raft = leader()
  raft.propose(0, [bytes('x')], 'b')
  const { sequence } = raft.ready()
  raft.propose(0, [bytes('y')], 'b')
  raft.ready()
  raft.persisted(sequence)
  expect(only(raft.ready().messages, 'stable')).toMatchObject([{ to: 'b', index: 3 }])
})

describe('two voters', () => {
  const entries = log(['a', 'b'], [1])

  it('[M2] a leader promises nothing before its own term’s first commit, though its configuration is committed', () => {
    const raft = elect(core('a', { entries, hardState: { commitIndex: 1 } }), ['b'])
    expect(raft.promiseVote()).toBe(false)
    acknowledge(raft, 'b')
    expect(raft.promiseVote()).toBe(true)
  })

  it('[M2] a successor that came too late begins later terms like everybody', () => {
    const raft = core('b', { entries })
    raft.takePromisedVote('a', 2)
    raft.step({ type: 'voteReply', from: 'a', to: 'b', term: 3, granted: false })
    drain(raft)
    expect(raft.role).toBe('follower')
    elect(raft, ['a'])
    expect(raft.configuration.voters).toEqual(['a', 'b'])
  })
})

it('[S43] terms never fall along a log, also behind a committed entry that an append was not compared with', () => {
  const raft = core('b', { entries: log(['a', 'b', 'c'], [1, 2]), hardState: { commitIndex: 2 } })
  const previous = { term: 1, index: 2 }
  raft.step({ type: 'append', from: 'a', to: 'b', term: 2, previous, entries: [command(1, 3)], commitIndex: 0 })
  expect(raft.lastIndex).toBe(2)
  raft.step({ type: 'append', from: 'a', to: 'b', term: 2, previous, entries: [command(2, 3)], commitIndex: 0 })
  expect(raft.lastIndex).toBe(3)
})

describe('[C3] a caller that stood still', () => {
  const beat = { type: 'heartbeat', from: 'a', to: 'b', term: 1, commitIndex: 0, round: 1, electionTicks: T } as const

  it('follower: its leader is heard before it is given up, and given up if it is not', () => {
    const raft = core('b')
    raft.step(beat)
    drain(raft)
    raft.stall(100 * T)
    expect(raft.status()).toMatchObject({ role: 'follower', leader: 'a' })
    raft.step({ ...beat, round: 2 })
    raft.tick(T - 1)
    expect(raft.status()).toMatchObject({ role: 'follower', leader: 'a' })
    raft.stall(100 * T)
    raft.tick(0)
    expect(raft.role).toBe('preCandidate')
  })

  it('follower: who asks meanwhile for its vote gets it, for all that it knows', () => {
    const raft = core('b')
    raft.step(beat)
    raft.stall(100 * T)
    drain(raft)
    raft.step({ type: 'preVote', from: 'c', to: 'b', term: 2, last })
    expect(only(drain(raft), 'preVoteReply')).toMatchObject([{ to: 'c', granted: true }])
  })

  it('leader: it speaks at once, hears its followers, and resigns only if there was nobody to hear', () => {
    const raft = leader()
    raft.tick(T)
    drain(raft)
    raft.stall(100 * T)
    const [round] = only(drain(raft), 'heartbeat').map((message) => message.round)
    expect(round).toBeGreaterThan(0)
    raft.step({ type: 'heartbeatReply', from: 'b', to: 'a', term: raft.term, round: round ?? 0 })
    raft.tick(0)
    expect(raft.role).toBe('leader')
    raft.stall(100 * T)
    raft.tick(0)
    expect(raft.role).toBe('follower')
  })
})
