import { describe, expect, it } from 'vitest'
import { core, drain, leader, only, T } from './test-cluster.js'

const beat = { type: 'heartbeat', from: 'a', to: 'b', term: 1, commitIndex: 0, round: 1, electionTicks: T } as const
const request = { type: 'preVote', from: 'c', to: 'b', term: 2, last: { term: 1, index: 1 } } as const
const slow = { electionTicks: 8 * T, electionTicksMax: 16 * T, heartbeatTicks: 400, preVoteTicks: 800 }
const usual = { electionTicks: T, electionTicksMax: 2 * T, heartbeatTicks: 50, preVoteTicks: 100 }

/** A follower of `a`, which asks for that patience. */
function follower(electionTicks: number) {
  const raft = core('b')
  raft.step({ ...beat, electionTicks })
  drain(raft)
  return raft
}

describe('times that change', () => {
  it('[M5] a follower over slower links is more patient than its leader asks for, and still sticks to it no longer', () => {
    const raft = follower(T)
    raft.retime(slow)
    expect(raft.ticksUntilDue()).toBeGreaterThanOrEqual(8 * T)
    raft.tick(4 * T)
    expect(only(drain(raft), 'preVote')).toEqual([])
    raft.step(request)
    expect(drain(raft)).toMatchObject([{ type: 'preVoteReply', granted: true }])
    raft.retime(usual)
    expect(raft.ticksUntilDue()).toBeLessThan(2 * T)
  })

  it('[M5][M6] a candidate goes by its own time-outs, whatever the leader that it gave up had asked for', () => {
    const raft = follower(20 * T)
    raft.tick(raft.ticksUntilDue())
    drain(raft)
    raft.step({ type: 'preVoteReply', from: 'c', to: 'b', term: 2, granted: true })
    expect(only(drain(raft), 'vote')).toHaveLength(2)
    expect(raft.ticksUntilDue()).toBeLessThan(2 * T)
  })

  it('[M5][M6] the leader is gone for good: turns are taken by awake time', () => {
    const raft = follower(20 * T)
    raft.forgetLeader()
    expect(raft.ticksUntilDue()).toBeLessThanOrEqual(1 + T / 3)
  })

  it('[M5] a new leader is judged by the own time-out until it names another', () => {
    const raft = follower(20 * T)
    raft.step({
      type: 'append',
      from: 'c',
      to: 'b',
      term: 2,
      previous: { term: 1, index: 1 },
      entries: [],
      commitIndex: 1,
    })
    expect(raft.ticksUntilDue()).toBeLessThan(2 * T)
  })

  it('[M6] a doubted leader has one awake time-out to speak, from now on', () => {
    const raft = follower(20 * T)
    raft.tick(10 * T)
    expect(raft.doubtLeader()).toBe(true)
    expect(raft.ticksUntilDue()).toBeGreaterThanOrEqual(T)
    expect(raft.ticksUntilDue()).toBeLessThan(2 * T)
    raft.step(request)
    expect(drain(raft), 'it is still believed').toEqual([])
    expect(raft.doubtLeader(), 'once is enough').toBe(false)
    raft.tick(raft.ticksUntilDue())
    expect(only(drain(raft), 'preVote')).toHaveLength(2)
  })

  it('[M6] one that has been silent for its own time-out gets no other one: nobody is refused for its sake', () => {
    const raft = follower(20 * T)
    raft.tick(20 * T)
    expect(raft.doubtLeader()).toBe(true)
    raft.step(request)
    expect(only(drain(raft), 'preVoteReply')).toMatchObject([{ granted: true }])
    expect(raft.ticksUntilDue()).toBeLessThan(2 * T)
  })

  it('[M6] what a doubted leader says counts again', () => {
    const raft = follower(20 * T)
    raft.doubtLeader()
    raft.step({ ...beat, round: 2, electionTicks: 20 * T })
    expect(raft.ticksUntilDue()).toBeGreaterThanOrEqual(20 * T)
  })

  it('[M6] there is nobody to doubt for a leader, a candidate, and one whose leader is awake', () => {
    expect(leader().doubtLeader()).toBe(false)
    expect(follower(T).doubtLeader()).toBe(false)
    const candidate = core('b')
    candidate.campaign()
    expect(candidate.doubtLeader()).toBe(false)
  })

  it('[M6] a leader that speeds up gives its followers the whole time-out to answer', () => {
    const raft = leader()
    raft.retime(slow)
    for (const from of ['b', 'c']) raft.step({ type: 'heartbeatReply', from, to: 'a', term: 2, round: 0 })
    raft.tick(8 * T)
    raft.tick(2 * T)
    raft.retime(usual)
    raft.tick(1)
    expect(raft.role).toBe('leader')
    raft.tick(T)
    expect(raft.role, 'and no longer').toBe('follower')
  })

  it('[M5] a leader that was slow and leads no more is as quick as the others', () => {
    const raft = leader()
    raft.retime(slow)
    raft.stepDown()
    raft.retime(usual)
    expect(raft.ticksUntilDue()).toBeLessThan(2 * T)
  })

  it('[M5] no time-out is shorter than a lease of reads', () => {
    const raft = core('a', { ...slow, leaseTicks: 4 * T })
    expect(() => raft.retime(usual)).toThrow('lease of reads')
    expect(() => raft.retime({ ...slow, electionTicks: 5 * T })).not.toThrow()
  })

  it('[C3] a sleeper of a minute makes one check, which elects nobody, and follows again with the first thing it hears', () => {
    const raft = follower(T)
    raft.tick(60_000)
    expect(only(drain(raft), 'preVote').map(({ term }) => term)).toEqual([2, 2])
    expect(raft.term).toBe(1)
    raft.step({ ...beat, round: 2 })
    raft.step({ type: 'preVoteReply', from: 'c', to: 'b', term: 2, granted: true })
    drain(raft)
    expect(raft.status()).toMatchObject({ role: 'follower', leader: 'a', term: 1 })
  })
})
