import { describe, expect, it } from 'vitest'
import type { Raft } from './raft.js'
import { acknowledge, bytes, core, drain, leader, log, only, T } from './test-cluster.js'

const leaseTicks = 100

/** A leader whose round was sent 20 ticks before b answered it. */
function holder(): Raft {
  const raft = leader({ leaseTicks })
  raft.tick(50)
  drain(raft)
  raft.tick(20)
  raft.step({ type: 'heartbeatReply', from: 'b', to: 'a', term: 2, round: raft.currentRound })
  return raft
}

const read = (raft: Raft) => {
  raft.read(1)
  return raft.ready().reads
}
const served = [{ id: 1, index: 2 }]

describe('[S65] a lease read', () => {
  it('[B15] is served without a round, as long as the lease counts from when its round was sent', () => {
    const raft = holder()
    expect(read(raft)).toEqual(served)
    raft.tick(79)
    expect(read(raft)).toEqual(served)
    raft.tick(1)
    expect(read(raft)).toEqual([])
  })

  it('at a follower takes one round trip', () => {
    const raft = holder()
    raft.step({ type: 'readIndex', from: 'c', to: 'a', term: 2, id: 7 })
    expect(only(drain(raft), 'readIndexReply')).toMatchObject([{ to: 'c', id: 7, index: 2, rejected: false }])
  })

  it('is off unless asked for', () => {
    const raft = leader()
    raft.tick(50)
    drain(raft)
    raft.step({ type: 'heartbeatReply', from: 'b', to: 'a', term: 2, round: raft.currentRound })
    expect(read(raft)).toEqual([])
  })

  it('after a sleep waits for a round: the lease has run out by the time that passed', () => {
    const raft = holder()
    raft.tick(60_000)
    expect(read(raft)).not.toEqual(served)
  })

  it('[B16][S62] is not served while leadership is handed over, and served again if nobody was told', () => {
    const raft = holder()
    raft.propose(0, [bytes('x')])
    drain(raft)
    raft.transferLeadership('b')
    expect(read(raft)).toEqual([])
    raft.reportUnreachable('b')
    raft.read(2)
    expect(raft.ready().reads).toEqual([{ id: 2, index: 2 }])
  })

  it('[B16] is never served again in the term in which somebody was told to take over: that word may come late', () => {
    const raft = holder()
    raft.transferLeadership('b')
    drain(raft)
    raft.tick(T)
    expect(raft.status()).toMatchObject({ role: 'leader', transferringTo: null })
    drain(raft)
    raft.tick(50)
    drain(raft)
    for (const from of ['b', 'c']) {
      raft.step({ type: 'heartbeatReply', from, to: 'a', term: 2, round: raft.currentRound })
    }
    drain(raft)
    expect(read(raft)).toEqual([])
  })

  it('[M2] is not served while a vote is promised', () => {
    const raft = leader({ leaseTicks, entries: log(['a', 'b'], [1]) }, ['b'])
    raft.tick(50)
    drain(raft)
    raft.step({ type: 'heartbeatReply', from: 'b', to: 'a', term: 2, round: raft.currentRound })
    expect(read(raft)).toEqual(served)
    raft.promiseVote()
    expect(read(raft)).toEqual([])
  })

  it('waits for what a follower may have acknowledged before this leader', () => {
    const raft = holder()
    raft.propose(0, [bytes('x')], 'b')
    drain(raft)
    expect(read(raft)).toEqual([])
    acknowledge(raft, 'b')
    raft.read(2)
    expect(raft.ready().reads).toContainEqual({ id: 2, index: 3 })
  })

  it('[B14] is not served before the term’s first commit', () => {
    const raft = core('a', { leaseTicks, entries: log(['a', 'b', 'c'], [1]) })
    raft.tick(2 * T)
    raft.campaign()
    drain(raft)
    for (const type of ['preVoteReply', 'voteReply'] as const) {
      raft.step({ type, from: 'b', to: 'a', term: 2, granted: true })
      drain(raft)
    }
    raft.tick(50)
    drain(raft)
    raft.step({ type: 'heartbeatReply', from: 'b', to: 'a', term: 2, round: raft.currentRound })
    expect([raft.role, read(raft)]).toEqual(['leader', []])
  })

  it('of a lone voter needs no lease', () => {
    const raft = leader({ leaseTicks, entries: log(['a'], [1]) }, [])
    expect(read(raft)).toEqual(served)
  })
})

it('[S15] with leases a restarted voter keeps out of elections for a time-out: it may have followed a leader a moment ago', () => {
  const vote = { type: 'vote', from: 'c', to: 'b', term: 2, last: { term: 1, index: 1 }, transfer: false } as const
  const raft = core('b', { leaseTicks })
  raft.step(vote)
  expect(drain(raft)).toEqual([])
  raft.tick(T - 1)
  raft.step(vote)
  expect(drain(raft)).toEqual([])
  raft.tick(1)
  raft.step(vote)
  expect(only(drain(raft), 'voteReply')).toMatchObject([{ granted: true }])
})

it('a lease that is no shorter than an election time-out is refused', () => {
  expect(() => core('a', { leaseTicks: T })).toThrow('shorter than an election time-out')
})
