import { describe, expect, it } from 'vitest'
import type { Entry } from './entry.js'
import type { Message } from './message.js'
import type { Raft } from './raft.js'
import {
  acknowledge,
  bytes,
  Cluster,
  command,
  configuration,
  configurationEntry,
  core,
  drain,
  elect,
  leader,
  log,
  noop,
  only,
  settle,
  T,
} from './test-cluster.js'

const three = ['a', 'b', 'c']

function append(raft: Raft, previous: readonly [number, number], entries: readonly Entry[], commitIndex = 0, term = 9) {
  const [previousTerm, index] = previous
  const { peerId: to } = raft.status()
  raft.step({ type: 'append', from: 'c', to, term, previous: { term: previousTerm, index }, entries, commitIndex })
}

function terms(raft: Raft): (number | null)[] {
  return Array.from({ length: raft.lastIndex }, (_, i) => raft.entryTerm(i + 1))
}

describe('log repair', () => {
  const figure7: Record<string, number[]> = {
    a: [1, 1, 1, 4, 4, 5, 5, 6, 6],
    b: [1, 1, 1, 4],
    c: [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
    d: [1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
    e: [1, 1, 1, 4, 4, 4, 4],
    f: [1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
  }

  it.each(Object.keys(figure7))('[S22] Figure 7, follower %s comes to the leader’s log', (name) => {
    const voters = ['follower', 'leader', 'other']
    const best = log(voters, [1, 1, 1, 4, 4, 5, 5, 6, 6, 6])
    const entries = { leader: best, other: best, follower: log(voters, figure7[name] ?? []) }
    const cluster = new Cluster({ voters, entries })
    // In the figure it leads in term 8: it has seen the 7 of follower d.
    cluster.raft('leader').step({ type: 'voteReply', from: 'other', to: 'leader', term: 7, granted: false })
    elect(cluster.raft('leader'), ['other'])
    cluster.run(200)
    expect(terms(cluster.raft('follower'))).toEqual(terms(cluster.raft('leader')))
    expect(cluster.raft('follower').commitIndex).toBe(11)
  })

  it('[S23][B2] Figure 8: an old-term entry on a majority is not committed until one of this term is', () => {
    const raft = elect(core('a', { entries: log(three, [1, 2]), hardState: { term: 4 } }), ['b'])
    acknowledge(raft, 'b', 2)
    expect(raft.commitIndex).toBe(0)
    acknowledge(raft, 'b', 3)
    expect(raft.commitIndex).toBe(3)
  })

  it('[S25][B3] a follower commits min(leader commit, last matched index of that append)', () => {
    const raft = core('b', { entries: log(three, [1, 1, 1, 1]) })
    append(raft, [1, 1], [command(1, 2)], 4)
    expect(raft.commitIndex).toBe(2)
    append(raft, [1, 3], [], 9)
    expect(raft.commitIndex).toBe(3)
    expect(settle(raft)).toEqual({
      sequence: 1,
      messages: [],
      write: { hardState: { term: 9, votedFor: null, promisedTo: null, commitIndex: 3 }, entries: [] },
      messagesAfterWrite: [{ type: 'appendReply', from: 'b', to: 'c', term: 9, rejected: false, index: 3 }],
      committed: log(three, [1, 1, 1]),
      reads: [],
    })
  })

  it('[S25][B3] a heartbeat tells min(match, commit), so it commits nothing unverified', () => {
    const raft = leader()
    raft.propose(0, [bytes('x')])
    drain(raft)
    acknowledge(raft, 'b')
    expect(raft.commitIndex).toBe(3)
    raft.tick(50)
    const beats = only(drain(raft), 'heartbeat')
    expect(beats.map(({ to, commitIndex }) => [to, commitIndex])).toEqual([
      ['b', 3],
      ['c', 2],
    ])
    const amnesiac = core('b')
    const beyond = { commitIndex: 7, round: 1, electionTicks: T }
    amnesiac.step({ type: 'heartbeat', from: 'a', to: 'b', term: 1, ...beyond })
    expect(amnesiac.commitIndex).toBe(0)
  })

  it('[S26][B4] a late append whose entries are all there cuts nothing', () => {
    const raft = core('b', { entries: log(three, [1, 1, 1, 1]) })
    append(raft, [1, 1], [command(1, 2)])
    expect(raft.lastIndex).toBe(4)
    const ready = settle(raft)
    expect(ready.write?.entries).toEqual([])
    expect(only(ready.messagesAfterWrite, 'appendReply')).toMatchObject([{ rejected: false, index: 2 }])
  })

  it('[S27][B10][B22] a conflict cuts exactly from there on, and takes its configuration with it', () => {
    const five = configuration(['a', 'b', 'c', 'd'])
    const entries = [...log(three, [1, 1]), configurationEntry(1, 3, five), command(1, 4)]
    const raft = core('b', { entries })
    expect(raft.status()).toMatchObject({ configuration: { voters: ['a', 'b', 'c', 'd'] }, configurationIndex: 3 })
    append(raft, [1, 1], [command(1, 2), command(2, 3)], 0, 2)
    expect(raft.status()).toMatchObject({ configuration: { voters: three }, configurationIndex: 1, lastIndex: 3 })
    expect(settle(raft).write?.entries).toEqual([command(2, 3)])
    append(raft, [2, 3], [configurationEntry(2, 4, five)], 0, 2)
    expect(raft.configuration).toEqual(five)
  })

  it('[S28][B29] a tail of 10,000 entries over 10 terms is repaired in a few round trips', () => {
    const tail = (shift: number) => [
      1,
      ...Array.from({ length: 10_000 }, (_, i) => 2 + 2 * Math.floor(i / 1000) + shift),
    ]
    const entries = { a: log(three, [...tail(1), 30]), b: log(three, tail(0)), c: log(three, [1]) }
    const cluster = new Cluster({
      voters: three,
      entries,
      options: { maxAppendBytes: 2 ** 20, maxInflightBytes: 2 ** 22 },
    })
    const raft = elect(cluster.raft('a'), ['c'])
    cluster.filter = ({ from, to }) => from !== 'c' && to !== 'c'
    acknowledge(raft, 'b', 0)
    let rejections = 0
    const { filter } = cluster
    cluster.filter = (message) => {
      if (message.type === 'appendReply' && message.rejected) rejections++
      return filter(message)
    }
    raft.tick(50)
    cluster.stabilize()
    raft.tick(50)
    cluster.stabilize()
    expect(cluster.raft('b').lastIndex).toBe(raft.lastIndex)
    expect(rejections).toBeLessThanOrEqual(12)
  })

  it('[S28] both sides skip a whole term at once', () => {
    const follower = core('b', { entries: log(three, [1, 2, 2, 2, 4, 4, 4]) })
    append(follower, [3, 6], [])
    expect(only(drain(follower), 'appendReply')).toEqual([
      { type: 'appendReply', from: 'b', to: 'c', term: 9, rejected: true, index: 6, hint: { term: 2, index: 4 } },
    ])
    const raft = elect(core('a', { entries: log(three, [1, 3, 3, 3, 3, 3]) }), ['c'])
    const hint = { term: 2, index: 4 }
    raft.step({ type: 'appendReply', from: 'b', to: 'a', term: 4, rejected: true, index: 6, hint })
    const probe = only(drain(raft), 'append')
    expect(probe).toMatchObject([{ to: 'b', previous: { term: 1, index: 1 } }])
  })

  it('a malformed append is not heard', () => {
    const raft = core('b')
    append(raft, [1, 1], [command(1, 3)])
    append(raft, [1, 1], [command(2, 2), command(1, 3)])
    append(raft, [1, 1], [command(10, 2)])
    expect([raft.lastIndex, only(drain(raft), 'appendReply')]).toEqual([1, []])
  })

  it('[S29] logs converge and acknowledged indices never go down at 30 % loss, duplication and reordering', () => {
    const cluster = new Cluster({ voters: three, seed: 29 })
    const { raft, peerId } = cluster.elect()
    const matched = new Map<string, number>()
    cluster.filter = () => cluster.below(10) >= 3
    for (let i = 0; i < 300; i++) {
      raft.propose(0, [bytes(`${i}`)])
      for (const node of cluster.nodes.values()) node.raft.tick(2)
      if (cluster.pool.length > 1 && i % 2 === 0) cluster.pool.reverse()
      cluster.pool.push(...cluster.pool.filter(() => cluster.below(10) < 3))
      cluster.stabilize()
      for (const { peerId: other, matchIndex } of raft.status().progress) {
        expect(matchIndex).toBeGreaterThanOrEqual(matched.get(other) ?? 0)
        matched.set(other, matchIndex)
      }
    }
    cluster.heal()
    cluster.run(300)
    const last = cluster.raft(peerId).lastIndex
    for (const node of cluster.nodes.values()) expect(node.raft.commitIndex).toBe(last)
  })

  it('[S35] a follower refuses a proposal with the leader’s name, or with none when it knows none', () => {
    const raft = core('b')
    expect(raft.propose(0, [bytes('x')])).toEqual({ accepted: false, reason: 'not-leader', leader: null })
    raft.step({ type: 'heartbeat', from: 'a', to: 'b', term: 1, commitIndex: 0, round: 1, electionTicks: T })
    expect(raft.propose(0, [bytes('x')])).toEqual({ accepted: false, reason: 'not-leader', leader: 'a' })
    expect(raft.lastIndex).toBe(1)
  })
})

describe('one proposal', () => {
  it('[S37] goes out before it is durable, and its commit index in the Ready in which it moves', () => {
    const raft = leader()
    expect(raft.propose(5, [bytes('x'), bytes('y')])).toEqual({ accepted: true, firstIndex: 3, lastIndex: 4 })
    const entries = [
      { ...command(2, 3, 'x'), time: 5 },
      { ...command(2, 4, 'y'), time: 5 },
    ]
    const sent = (to: string): Message => {
      const previous = { term: 2, index: 2 }
      return { type: 'append', from: 'a', to, term: 2, previous, entries, commitIndex: 2 }
    }
    const ready = raft.ready()
    expect(ready).toEqual({
      sequence: ready.sequence,
      messages: [sent('b'), sent('c')],
      write: { hardState: { term: 2, votedFor: 'a', promisedTo: null, commitIndex: 2 }, entries },
      messagesAfterWrite: [],
      committed: [],
      reads: [],
    })
    raft.persisted(ready.sequence)
    acknowledge(raft, 'b')
    const told = (to: string): Message => {
      return { type: 'commit', from: 'a', to, term: 2, last: { term: 2, index: 4 } }
    }
    expect(raft.ready()).toEqual({
      sequence: ready.sequence + 1,
      messages: [told('b'), told('c')],
      write: null,
      messagesAfterWrite: [],
      committed: entries,
      reads: [],
    })
    expect(raft.hasReady()).toBe(false)
  })

  it('[S37] the news of a commit is for whoever has that very entry, and is not answered', () => {
    const entries = [...log(['a', 'b', 'c'], [1]), command(1, 2), command(1, 3)]
    const told = (term: number, index: number, by = 1) => {
      const raft = core('b', { entries })
      raft.step({ type: 'commit', from: 'a', to: 'b', term: by, last: { term, index } })
      const { commitIndex, leader } = raft.status()
      return { commitIndex, leader, answers: drain(raft).length }
    }
    expect(told(1, 2)).toEqual({ commitIndex: 2, leader: 'a', answers: 0 })
    expect(told(1, 2, 4)).toEqual({ commitIndex: 2, leader: 'a', answers: 0 })
    // Not this entry, not here, of a deposed leader.
    expect(told(2, 3, 2).commitIndex).toBe(0)
    expect(told(1, 4).commitIndex).toBe(0)
    expect(told(1, 2, 0)).toEqual({ commitIndex: 0, leader: null, answers: 0 })
  })

  it('[C1] time in the log never goes back', () => {
    const raft = leader()
    raft.propose(9, [bytes('x')])
    raft.propose(4, [bytes('y')])
    expect(raft.lastTime).toBe(9)
  })

  it('what arrives in one turn is one append', () => {
    const raft = leader()
    for (let i = 0; i < 100; i++) raft.propose(0, [bytes('x')])
    expect(only(drain(raft), 'append').map(({ to, entries }) => [to, entries.length])).toEqual([
      ['b', 100],
      ['c', 100],
    ])
  })
})

it('the initial probe of a new term asks after the entry before the no-op', () => {
  const raft = core('a')
  raft.campaign()
  drain(raft)
  raft.step({ type: 'preVoteReply', from: 'b', to: 'a', term: 2, granted: true })
  drain(raft)
  raft.step({ type: 'voteReply', from: 'b', to: 'a', term: 2, granted: true })
  const previous = { term: 1, index: 1 }
  const body = { type: 'append', from: 'a', term: 2, previous, entries: [noop(2, 2)], commitIndex: 0 } as const
  expect(raft.ready().messages).toEqual([
    { ...body, to: 'b' },
    { ...body, to: 'c' },
  ])
})
