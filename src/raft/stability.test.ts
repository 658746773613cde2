import { describe, expect, it } from 'vitest'
import { Cluster, command, core, drain, leader, log, only, T } from './test-cluster.js'

const beat = { type: 'heartbeat', from: 'a', to: 'b', term: 1, commitIndex: 0, round: 1, electionTicks: T } as const
const ask = { type: 'preVote', from: 'c', to: 'b', term: 2, last: { term: 1, index: 1 } } as const
const request = { type: 'vote', from: 'c', to: 'b', term: 2, last: { term: 1, index: 1 }, transfer: false } as const

describe('pre-vote, stickiness, check-quorum', () => {
  it('[S10] an isolated node raises no term in 1000 time-outs, and deposes nobody on return', () => {
    const cluster = new Cluster({ voters: ['a', 'b', 'c'] })
    const { raft, peerId } = cluster.elect()
    const away = ['a', 'b', 'c'].find((id) => id !== peerId) ?? ''
    cluster.isolate(away)
    for (let i = 0; i < 1000; i++) {
      cluster.raft(away).tick(cluster.raft(away).ticksUntilDue())
      drain(cluster.raft(away))
    }
    expect(cluster.raft(away).term).toBe(raft.term)
    cluster.heal()
    const { term } = raft
    cluster.run(10 * T)
    expect([cluster.leaders(), raft.term]).toEqual([[peerId], term])
    expect(cluster.raft(away).leader).toBe(peerId)
  })

  it('[S11] a stale log wins no pre-vote; a fresh one wins in one extra round', () => {
    const cluster = new Cluster({ voters: ['a', 'b', 'c'], entries: { c: log(['a', 'b', 'c'], [1, 1]) } })
    cluster.isolate('b')
    cluster.raft('a').campaign()
    cluster.stabilize()
    expect(cluster.raft('c').status()).toMatchObject({ role: 'leader', term: 2 })
    expect(cluster.raft('a').status()).toMatchObject({ role: 'follower', term: 2 })
  })

  it('[S12][B17] a lower term with the better log and a higher term with the older one still elect', () => {
    const cluster = new Cluster({ voters: ['a', 'b', 'c'], entries: { a: log(['a', 'b', 'c'], [1, 1, 1]) } })
    cluster.isolate('c')
    const away = cluster.raft('b')
    away.step({ type: 'voteReply', from: 'c', to: 'b', term: 5, granted: false })
    cluster.stabilize()
    expect([cluster.raft('a').term, away.term]).toEqual([1, 5])
    expect(cluster.elect().peerId).toBe('a')
  })

  it('[B17] a pre-candidate that is behind is refused with the higher term, even by a follower of a live leader', () => {
    const raft = core('b', { hardState: { term: 3 } })
    raft.step({ ...beat, term: 3 })
    drain(raft)
    raft.step(ask)
    expect(drain(raft)).toEqual([{ type: 'preVoteReply', from: 'b', to: 'c', term: 3, granted: false }])
  })

  it('[S13] a cut-off leader steps down within a time-out, the others elect', () => {
    const cluster = new Cluster({ voters: ['a', 'b', 'c', 'd', 'e'] })
    const { peerId } = cluster.elect()
    cluster.run(T)
    cluster.isolate(peerId)
    cluster.run(2 * T + 10)
    expect(cluster.raft(peerId).role).not.toBe('leader')
    const next = cluster.elect()
    expect(next.peerId).not.toBe(peerId)
  })

  it('[S14] check-quorum: voters that answer count, learners do not', () => {
    const entries = log(['a', 'b', 'c'], [1], ['l'])
    const raft = leader({ entries })
    raft.step({ type: 'heartbeatReply', from: 'b', to: 'a', term: 2, round: 0 })
    raft.tick(T)
    expect(raft.role).toBe('leader')
    raft.step({ type: 'heartbeatReply', from: 'c', to: 'a', term: 2, round: 0 })
    raft.tick(T)
    expect(raft.role).toBe('leader')
    raft.step({ type: 'heartbeatReply', from: 'l', to: 'a', term: 2, round: 0 })
    raft.tick(T)
    expect(raft.status()).toMatchObject({ role: 'follower', term: 2, leader: null, progress: [] })
  })

  it('[S15] within T of a live leader votes and pre-votes are ignored, unless it is a transfer', () => {
    const raft = core('b')
    raft.step(beat)
    drain(raft)
    raft.tick(T - 1)
    raft.step(ask)
    raft.step(request)
    expect(raft.hasReady()).toBe(false)
    expect(raft.term).toBe(1)
    raft.step({ ...request, transfer: true })
    expect(only(drain(raft), 'voteReply')).toMatchObject([{ term: 2, granted: true }])

    const later = core('b')
    later.step(beat)
    drain(later)
    later.tick(T)
    later.step(request)
    expect(only(drain(later), 'voteReply')).toMatchObject([{ term: 2, granted: true }])
  })

  it('[S16][B18] a node stuck at a higher term is freed: the leader meets its term and a new election includes it', () => {
    const cluster = new Cluster({ voters: ['a', 'b', 'c'] })
    const { peerId } = cluster.elect()
    const stuck = ['a', 'b', 'c'].find((id) => id !== peerId) ?? ''
    cluster.raft(stuck).step({ type: 'voteReply', from: 'x', to: stuck, term: 9, granted: false })
    cluster.run(60)
    expect(cluster.raft(peerId).term).toBeGreaterThanOrEqual(9)
    cluster.elect()
    cluster.run(T)
    expect(new Set([...cluster.nodes.values()].map((node) => node.raft.leader)).size).toBe(1)
  })

  it.each(['a', 'b', 'c'])('[S17] %s only sends, or only receives: a stable leader among the rest', (odd) => {
    for (const sends of [true, false]) {
      const cluster = new Cluster({ voters: ['a', 'b', 'c'] })
      cluster.elect()
      cluster.filter = ({ from, to }) => (sends ? to !== odd : from !== odd)
      cluster.run(10 * T)
      const { raft, peerId } = cluster.elect()
      const { term } = raft
      expect(peerId).not.toBe(odd)
      cluster.run(20 * T)
      expect([raft.role, raft.term]).toEqual(['leader', term])
    }
  })

  it('[S18][B30] a partial mesh with two nodes hanging off one neighbour keeps one stable leader', () => {
    const links = ['ab', 'ac', 'bc', 'cd', 'ce']
    const cluster = new Cluster({ voters: ['a', 'b', 'c', 'd', 'e'] })
    cluster.filter = ({ from, to }) => links.includes(from + to) || links.includes(to + from)
    cluster.run(40 * T)
    const { raft } = cluster.elect()
    const { term } = raft
    cluster.run(40 * T)
    expect([raft.role, raft.term]).toEqual(['leader', term])
  })

  it('[S19][M5] followers told that the leader is gone elect within a few ticks', () => {
    for (let seed = 1; seed <= 30; seed++) {
      const cluster = new Cluster({ voters: ['a', 'b', 'c'], seed })
      const { peerId } = cluster.elect()
      cluster.run(T)
      cluster.isolate(peerId)
      const rest = ['a', 'b', 'c'].filter((id) => id !== peerId)
      for (const id of rest) cluster.raft(id).forgetLeader()
      for (let tick = 0; tick < 12; tick++) {
        for (const id of rest) cluster.raft(id).tick(1)
        cluster.stabilize()
      }
      if (!cluster.leaders().some((id) => id !== peerId)) cluster.run(3 * T)
      expect(cluster.leaders().some((id) => id !== peerId)).toBe(true)
    }
  })

  it('[S19] a stale node that forgets the leader cannot win, nor can one whose peers still hear it', () => {
    const cluster = new Cluster({ voters: ['a', 'b', 'c'] })
    const { peerId, raft } = cluster.elect()
    const [stale = '', fresh = ''] = ['a', 'b', 'c'].filter((id) => id !== peerId)
    cluster.isolate(stale)
    raft.propose(0, [new Uint8Array(1)])
    cluster.stabilize()
    const { term } = raft
    cluster.isolate(peerId)
    cluster.raft(stale).forgetLeader()
    cluster.raft(stale).tick(20)
    cluster.stabilize()
    expect(cluster.raft(fresh).status()).toMatchObject({ term, leader: peerId })
    cluster.raft(fresh).forgetLeader()
    cluster.raft(stale).campaign()
    cluster.stabilize()
    expect(cluster.raft(stale).role).toBe('follower')
    expect(cluster.raft(fresh)).toMatchObject({ role: 'leader', term: term + 1 })
  })

  it('[S68][C3] however late, one tick is one heartbeat, one check, one election', () => {
    const raft = leader()
    for (const from of ['b', 'c']) raft.step({ type: 'heartbeatReply', from, to: 'a', term: 2, round: 0 })
    raft.tick(60_000)
    expect(drain(raft).map(({ type, to }) => [type, to])).toEqual([
      ['heartbeat', 'b'],
      ['heartbeat', 'c'],
    ])
    expect(raft.currentRound).toBe(1)
    const follower = core('b')
    follower.tick(600_000)
    expect(drain(follower).map(({ type }) => type)).toEqual(['preVote', 'preVote'])
    expect(follower.term).toBe(1)
  })

  it('[C3] the host sleeps exactly until the next timer', () => {
    const raft = leader()
    expect(raft.ticksUntilDue()).toBe(50)
    raft.tick(49)
    expect([raft.ticksUntilDue(), raft.hasReady()]).toEqual([1, false])
    raft.tick(1)
    expect(raft.hasReady()).toBe(true)
    const follower = core('b')
    follower.campaign()
    drain(follower)
    expect(follower.ticksUntilDue()).toBeGreaterThanOrEqual(100)
    expect(follower.ticksUntilDue()).toBeLessThan(200)
    follower.tick(follower.ticksUntilDue())
    expect(only(drain(follower), 'preVote')).toHaveLength(2)
  })

  it('[M5] followers adopt the leader’s election time-out, for elections and for stickiness', () => {
    const raft = core('b')
    raft.step({ ...beat, electionTicks: 10 * T })
    drain(raft)
    expect(raft.ticksUntilDue()).toBeGreaterThanOrEqual(10 * T)
    expect(raft.ticksUntilDue()).toBeLessThan(20 * T)
    raft.tick(10 * T - 1)
    raft.step(request)
    expect(raft.term).toBe(1)
  })

  it('a leader that steps down follows nobody at the same term', () => {
    const raft = leader()
    raft.stepDown()
    expect(raft.status()).toMatchObject({ role: 'follower', term: 2, leader: null, votedFor: 'a' })
    expect(raft.ticksUntilDue()).toBeGreaterThanOrEqual(T)
    expect(raft.hasReady()).toBe(false)
  })

  it('garbage of every shape, in every role, throws nothing', () => {
    const follower = core('b', { entries: [...log(['a', 'b', 'c'], [1]), command(1, 2)] })
    for (const raft of [follower, leader()]) {
      const { peerId: to } = raft.status()
      for (const term of [0, 1, 2, 3]) {
        for (const index of [0, 1, 2, 99]) {
          const address = { from: 'z', to, term }
          const id = { term, index }
          raft.step({ ...address, type: 'append', previous: id, entries: [command(9, 7)], commitIndex: 99 })
          raft.step({ ...address, type: 'appendReply', rejected: true, index, hint: id })
          raft.step({ ...address, type: 'appendReply', rejected: false, index })
          raft.step({ ...address, type: 'heartbeat', commitIndex: 99, round: 99, electionTicks: Number.NaN })
          raft.step({ ...address, type: 'heartbeatReply', round: 99 })
          raft.step({ ...address, type: 'readIndexReply', id: index, index, rejected: false })
          raft.step({ ...address, type: 'voteReply', granted: true })
          raft.step({ ...address, to: 'elsewhere', type: 'voteReply', granted: true })
          drain(raft)
        }
      }
      expect(raft.commitIndex).toBeLessThanOrEqual(raft.lastIndex)
    }
  })
})
