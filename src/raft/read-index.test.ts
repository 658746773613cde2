import { describe, expect, it } from 'vitest'
import type { Raft } from './raft.js'
import { acknowledge, bytes, Cluster, core, drain, elect, leader, log, only, settle, T } from './test-cluster.js'

function answer(raft: Raft, from: string, round: number): void {
  raft.step({ type: 'heartbeatReply', from, to: 'a', term: raft.term, round })
}

function follower(): Raft {
  const raft = core('b')
  raft.step({ type: 'heartbeat', from: 'a', to: 'b', term: 1, commitIndex: 0, round: 1, electionTicks: T })
  drain(raft)
  return raft
}

describe('reads at the leader', () => {
  it('[S63][B14][R1] wait for the term’s first commit, then for a round', () => {
    const raft = elect(core('a'), ['b'])
    raft.read(1)
    expect(raft.hasReady()).toBe(false)
    acknowledge(raft, 'b')
    const ready = settle(raft)
    expect(only(ready.messages, 'heartbeat').map(({ to, round }) => [to, round])).toEqual([
      ['b', 1],
      ['c', 1],
    ])
    expect(ready.reads).toEqual([])
    answer(raft, 'c', 1)
    expect(raft.ready().reads).toEqual([{ id: 1, index: 2 }])
  })

  it('[S63] are confirmed only by a round that began after them; one round serves all reads of a turn', () => {
    const raft = leader()
    raft.tick(50)
    drain(raft)
    raft.read(1)
    raft.read(2)
    raft.step({ type: 'readIndex', from: 'c', to: 'a', term: 2, id: 1 })
    const ready = settle(raft)
    expect(ready.reads).toEqual([])
    expect(only(ready.messages, 'heartbeat').map(({ round }) => round)).toEqual([2, 2])
    answer(raft, 'b', 1)
    expect([raft.confirmedRound, raft.hasReady()]).toEqual([1, false])
    answer(raft, 'b', 2)
    expect(raft.ready()).toMatchObject({
      messages: [{ type: 'readIndexReply', to: 'c', id: 1, index: 2, rejected: false }],
      reads: [
        { id: 1, index: 2 },
        { id: 2, index: 2 },
      ],
    })
  })

  it('[S63] the same id asked twice is answered twice, each with an index of its own', () => {
    const raft = leader()
    raft.read(7)
    drain(raft)
    raft.propose(0, [bytes('x')])
    drain(raft)
    acknowledge(raft, 'b')
    raft.read(7)
    const { reads } = settle(raft)
    expect(reads).toEqual([])
    answer(raft, 'c', 2)
    expect(raft.ready().reads).toEqual([
      { id: 7, index: 2 },
      { id: 7, index: 3 },
    ])
  })

  it('[S63][B28] fail when leadership is lost, for whoever asked', () => {
    const raft = leader()
    raft.read(1)
    drain(raft)
    raft.read(2)
    raft.step({ type: 'readIndex', from: 'c', to: 'a', term: 2, id: 5 })
    raft.stepDown()
    const ready = raft.ready()
    expect(ready.reads).toEqual([
      { id: 1, index: null },
      { id: 2, index: null },
    ])
    expect(ready.messagesAfterWrite).toMatchObject([{ type: 'readIndexReply', to: 'c', id: 5, rejected: true }])
  })

  it('[R1] a lone voter is its own quorum, learners or not', () => {
    const raft = leader({ entries: log(['a'], [1], ['l']) }, [])
    raft.read(1)
    expect(raft.ready().reads).toEqual([{ id: 1, index: 2 }])
    expect([raft.currentRound, raft.confirmedRound]).toEqual([1, 1])
  })

  it('[S-5] rounds: counted per term, confirmed by a quorum of voters, never going down', () => {
    const raft = leader({ entries: log(['a', 'b', 'c'], [1], ['l']) })
    expect([raft.currentRound, raft.confirmedRound]).toEqual([0, 0])
    for (let i = 0; i < 3; i++) {
      raft.tick(50)
      drain(raft)
      answer(raft, 'l', raft.currentRound)
    }
    expect([raft.currentRound, raft.confirmedRound]).toEqual([3, 0])
    answer(raft, 'b', 2)
    answer(raft, 'b', 1)
    answer(raft, 'c', 9)
    expect(raft.confirmedRound).toBe(2)
    expect(raft.status().progress.map(({ peerId, round }) => [peerId, round])).toEqual([
      ['b', 2],
      ['c', 0],
      ['l', 3],
    ])
    raft.stepDown()
    expect([raft.currentRound, raft.confirmedRound]).toEqual([0, 0])
  })
})

describe('reads at a follower', () => {
  it('[S64] go to the leader and come back with an index to wait for', () => {
    const raft = follower()
    raft.read(3)
    const [request] = only(drain(raft), 'readIndex')
    expect(request).toMatchObject({ to: 'a', term: 1 })
    const reply = {
      type: 'readIndexReply',
      from: 'a',
      to: 'b',
      term: 1,
      id: request?.id ?? 0,
      rejected: false,
    } as const
    raft.step({ ...reply, index: 4 })
    raft.step({ ...reply, index: 9 })
    expect(raft.ready().reads).toEqual([{ id: 3, index: 4 }])
    expect(raft.hasReady()).toBe(false)
  })

  it('[S64] an index from a deposed leader is never accepted', () => {
    const raft = follower()
    raft.read(3)
    const [request] = only(drain(raft), 'readIndex')
    raft.step({ type: 'heartbeat', from: 'c', to: 'b', term: 2, commitIndex: 0, round: 1, electionTicks: T })
    expect(raft.ready().reads).toEqual([{ id: 3, index: null }])
    const late = {
      type: 'readIndexReply',
      from: 'a',
      to: 'b',
      id: request?.id ?? 0,
      index: 4,
      rejected: false,
    } as const
    raft.step({ ...late, term: 1 })
    raft.step({ ...late, term: 2 })
    expect(raft.ready().reads).toEqual([])
  })

  it('are answered by a leader that was given up meanwhile, as long as the term is the same', () => {
    const raft = follower()
    raft.read(3)
    const [request] = only(drain(raft), 'readIndex')
    raft.tick(2 * T)
    drain(raft)
    expect(raft.status()).toMatchObject({ role: 'preCandidate', leader: null, term: 1 })
    const reply = { type: 'readIndexReply', from: 'a', to: 'b', term: 1, id: request?.id ?? 0 } as const
    raft.step({ ...reply, from: 'c', index: 9, rejected: false })
    raft.step({ ...reply, index: 4, rejected: false })
    expect(raft.ready().reads).toEqual([{ id: 3, index: 4 }])
  })

  it('[S64] wire ids differ between lives, so that a late answer to an earlier life answers nothing', () => {
    const ids = [1, 2].map((seed) => {
      const raft = core('b', { seed })
      raft.step({ type: 'heartbeat', from: 'a', to: 'b', term: 1, commitIndex: 0, round: 1, electionTicks: T })
      raft.read(1)
      return only(drain(raft), 'readIndex')[0]?.id
    })
    expect(ids[0]).not.toBe(ids[1])
  })

  it('[S63][B28] fail at once without a leader, after many election time-outs without an answer, on a broken connection, on a refusal', () => {
    const raft = core('b')
    raft.read(1)
    expect(raft.ready().reads).toEqual([{ id: 1, index: null }])

    const waiting = follower()
    waiting.read(2)
    drain(waiting)
    for (let i = 1; i < 32 * T; i += 1) {
      waiting.tick(1)
      waiting.step({ type: 'heartbeat', from: 'a', to: 'b', term: 1, commitIndex: 0, round: i + 1, electionTicks: T })
      expect(waiting.ready().reads).toEqual([])
    }
    expect(waiting.ticksUntilDue()).toBe(1)
    waiting.tick(1)
    expect(waiting.ready().reads).toEqual([{ id: 2, index: null }])

    const cutOff = follower()
    cutOff.read(4)
    drain(cutOff)
    cutOff.reportUnreachable('c')
    expect(cutOff.ready().reads).toEqual([])
    cutOff.reportUnreachable('a')
    expect(cutOff.ready().reads).toEqual([{ id: 4, index: null }])

    const refused = follower()
    refused.read(3)
    const [request] = only(drain(refused), 'readIndex')
    const id = request?.id ?? 0
    refused.step({ type: 'readIndexReply', from: 'a', to: 'b', term: 1, id, index: 0, rejected: true })
    expect(refused.ready().reads).toEqual([{ id: 3, index: null }])
  })

  it('[B28] a peer that does not lead refuses at once, a stale asker learns the term', () => {
    const raft = core('b', { hardState: { term: 3 } })
    raft.step({ type: 'readIndex', from: 'c', to: 'b', term: 3, id: 1 })
    raft.step({ type: 'readIndex', from: 'c', to: 'b', term: 2, id: 2 })
    expect(drain(raft)).toMatchObject([
      { type: 'readIndexReply', term: 3, id: 1, rejected: true },
      { type: 'readIndexReply', term: 3, id: 2, rejected: true },
    ])
  })

  it('[S63][S64] every peer of a healthy cluster reads what was committed before', () => {
    const cluster = new Cluster({ voters: ['a', 'b', 'c'], learners: ['l'] })
    const { raft } = cluster.elect()
    cluster.run(T)
    raft.propose(0, [bytes('x')])
    cluster.stabilize()
    for (const node of cluster.nodes.values()) node.raft.read(1)
    cluster.stabilize()
    for (const node of cluster.nodes.values()) expect(node.reads).toEqual([{ id: 1, index: raft.commitIndex }])
  })
})
