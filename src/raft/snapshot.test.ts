import { describe, expect, it } from 'vitest'
import type { Configuration } from './entry.js'
import {
  acknowledge,
  bytes,
  Cluster,
  chunkOf,
  command,
  configuration,
  core,
  drain,
  elect,
  leader,
  log,
  only,
  settle,
  snapshotAt,
  T,
} from './test-cluster.js'

const three = ['a', 'b', 'c']
const voters = configuration(three)

/** Leader a with a log 1..12, compacted up to 10 with a tail from 8 on, follower b having nothing yet. */
function compacted() {
  const entries = log(three, [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1])
  const raft = elect(core('a', { entries }), ['c'])
  acknowledge(raft, 'c')
  drain(raft)
  raft.compact(snapshotAt({ term: 1, index: 10 }, voters), 8)
  return raft
}

function progressOfB(raft: ReturnType<typeof compacted>) {
  return raft.status().progress.find(({ peerId }) => peerId === 'b')
}

function refuseAll(raft: ReturnType<typeof compacted>) {
  const hint = { term: 0, index: 0 }
  raft.step({ type: 'appendReply', from: 'b', to: 'a', term: 2, rejected: true, index: 11, hint })
}

describe('snapshots', () => {
  it('[S46] a follower behind the first index gets the snapshot, then the log goes on at the one after it', () => {
    const raft = compacted()
    expect(raft.status()).toMatchObject({ firstIndex: 8, lastIndex: 12 })
    refuseAll(raft)
    const { messages } = settle(raft)
    const snapshot = snapshotAt({ term: 1, index: 10 }, voters)
    expect(messages).toEqual([chunkOf(snapshot, { from: 'a', to: 'b', term: 2 })])
    raft.propose(0, [bytes('x')])
    expect(only(drain(raft), 'append').map(({ to }) => to)).toEqual(['c'])
    raft.step({ type: 'appendReply', from: 'b', to: 'a', term: 2, rejected: false, index: 10 })
    expect(progressOfB(raft)?.state).toBe('replicate')
    expect(only(drain(raft), 'append')).toMatchObject([
      { to: 'b', previous: { index: 10 }, entries: [{ index: 11 }, { index: 12 }, { index: 13 }] },
    ])
  })

  it('[S46] the follower replaces its log, writes the snapshot, and acknowledges when it is durable', () => {
    const raft = core('b', { entries: log(three, [1, 1]) })
    const next = configuration(three, ['l'])
    const snapshot = snapshotAt({ term: 2, index: 9 }, next, 77)
    raft.step(chunkOf(snapshot, { from: 'a', to: 'b', term: 3 }))
    raft.step({
      ...{ type: 'append', from: 'a', to: 'b', term: 3, previous: { term: 2, index: 9 } },
      ...{ entries: [command(3, 10)], commitIndex: 10 },
    })
    const hardState = { term: 3, votedFor: null, promisedTo: null, commitIndex: 10 }
    expect(raft.ready()).toEqual({
      sequence: 1,
      messages: [],
      write: { hardState, snapshot, entries: [command(3, 10)] },
      messagesAfterWrite: [{ type: 'appendReply', from: 'b', to: 'a', term: 3, rejected: false, index: 10 }],
      committed: [command(3, 10)],
      reads: [],
    })
    expect(raft.status()).toMatchObject({ firstIndex: 10, lastIndex: 10, appliedIndex: 9, stableIndex: 0 })
    expect(raft.configuration).toEqual(next)
    raft.persisted(1)
    expect(raft.status().stableIndex).toBe(10)
  })

  it('[S48][B26] a snapshot or its acknowledgement that was lost is asked for again, if nothing moves between two heartbeats', () => {
    const raft = compacted()
    const heartbeatReply = { type: 'heartbeatReply', from: 'b', to: 'a', term: 2, round: 0 } as const
    refuseAll(raft)
    drain(raft)
    raft.step(heartbeatReply)
    expect(drain(raft)).toEqual([])
    for (let i = 0; i < 3; i++) {
      raft.step(heartbeatReply)
      expect(drain(raft)).toMatchObject([{ type: 'snapshot', to: 'b', meta: { index: 10 } }])
    }
    acknowledge(raft, 'b', 10)
    expect(progressOfB(raft)).toMatchObject({ state: 'replicate', matchIndex: 10 })
  })

  it('[S48][B26] a follower that got there by itself leaves the snapshot state, also below the snapshot', () => {
    const raft = compacted()
    refuseAll(raft)
    drain(raft)
    raft.step({ type: 'appendReply', from: 'b', to: 'a', term: 2, rejected: false, index: 7 })
    expect(progressOfB(raft)).toMatchObject({ state: 'replicate', matchIndex: 7 })
  })

  it('[S48] a snapshot at or below the commit index is acknowledged and not installed', () => {
    const raft = core('b', { entries: log(three, [1, 1, 1]), hardState: { commitIndex: 3 } })
    drain(raft)
    for (const index of [2, 3]) {
      raft.step(chunkOf(snapshotAt({ term: 1, index }, voters), { from: 'a', to: 'b', term: 1 }))
      const ready = settle(raft)
      expect([ready.write, ready.committed]).toEqual([null, []])
      expect(ready.messagesAfterWrite).toMatchObject([{ type: 'appendReply', rejected: false, index: 3 }])
    }
    expect(raft.status()).toMatchObject({ firstIndex: 1, lastIndex: 3, appliedIndex: 3 })
  })

  it('[S48] a snapshot that ends at an entry of the log only commits up to there', () => {
    const raft = core('b', { entries: log(three, [1, 1, 1]) })
    raft.step(chunkOf(snapshotAt({ term: 1, index: 2 }, voters), { from: 'a', to: 'b', term: 1 }))
    expect(raft.status()).toMatchObject({ commitIndex: 2, lastIndex: 3 })
    expect(settle(raft)).toMatchObject({ write: null, committed: [{ index: 1 }, { index: 2 }] })
  })

  it('[S49] configuration, joint or not, and learners come with the snapshot, also after a restart', () => {
    const joint: Configuration = {
      ...{ voters: ['b', 'c'], outgoing: ['a', 'b'], learners: ['l'], learnersNext: ['a'] },
      incarnations: { b: { counter: 3, nonce: 'n' } },
    }
    const snapshot = snapshotAt({ term: 2, index: 9 }, joint)
    const raft = core('l', { entries: log(three, [1], ['l']) })
    raft.step(chunkOf(snapshot, { from: 'a', to: 'l', term: 2 }))
    expect(raft.status()).toMatchObject({ configuration: joint, configurationIndex: 9 })
    const again = core('b', { snapshot, entries: [], hardState: { term: 2 } })
    expect(again.configuration).toEqual(joint)
    again.campaign()
    expect(only(drain(again), 'preVote').map(({ to }) => to)).toEqual(['a', 'c'])
    for (const from of ['a', 'c']) again.step({ type: 'preVoteReply', from, to: 'b', term: 3, granted: true })
    drain(again)
    again.step({ type: 'voteReply', from: 'c', to: 'b', term: 3, granted: true })
    expect(again.role, 'the incoming majority alone elects nobody').toBe('candidate')
    again.step({ type: 'voteReply', from: 'a', to: 'b', term: 3, granted: true })
    expect(again.role).toBe('leader')
    drain(again)
    acknowledge(again, 'c')
    expect(again.commitIndex).toBe(9)
    acknowledge(again, 'a')
    expect(again.commitIndex).toBe(10)
  })

  it('[S49] a learner becomes a voter by snapshot', () => {
    const raft = core('l', { entries: log(three, [1], ['l']) })
    const snapshot = snapshotAt({ term: 1, index: 5 }, configuration([...three, 'l']))
    raft.step(chunkOf(snapshot, { from: 'a', to: 'l', term: 1 }))
    drain(raft)
    raft.tick(2 * T)
    expect(raft.role).toBe('preCandidate')
  })
})

describe('compaction', () => {
  it('[S50] keeps the tail it is told to, from which slow followers are served without a snapshot', () => {
    const raft = compacted()
    const hint = { term: 1, index: 7 }
    raft.step({ type: 'appendReply', from: 'b', to: 'a', term: 2, rejected: true, index: 11, hint })
    expect(drain(raft)).toMatchObject([{ type: 'append', to: 'b', previous: { index: 7 } }])
  })

  it('[S50] never goes beyond what is applied, durable, or covered by the snapshot', () => {
    const raft = leader()
    raft.propose(0, [bytes('x')])
    const ready = raft.ready()
    acknowledge(raft, 'b')
    acknowledge(raft, 'c')
    raft.ready()
    const at3 = snapshotAt({ term: 2, index: 3 }, voters)
    expect(() => raft.compact(at3, 3)).toThrow('applied and durable')
    raft.applied(3)
    expect(() => raft.compact(at3, 3)).toThrow('applied and durable')
    raft.persisted(ready.sequence)
    expect(() => raft.compact(at3, 5)).toThrow('what a snapshot does not cover is kept')
    expect(() => raft.compact(snapshotAt({ term: 1, index: 3 }, voters), 3)).toThrow('names the entry')
    raft.compact(at3, 4)
    expect(raft.status()).toMatchObject({ firstIndex: 4, lastIndex: 3, commitIndex: 3 })
    raft.compact(snapshotAt({ term: 2, index: 2 }, voters), 2)
    expect(raft.status().firstIndex, 'an older one is ignored').toBe(4)
    expect([raft.entryTerm(2), raft.entryTerm(3), raft.entryTerm(4)]).toEqual([null, 2, null])
  })

  it('[S50] goes on while entries are appended and applied; laggards get what they need', () => {
    const cluster = new Cluster({ voters: three, options: { maxAppendBytes: 200 } })
    const { raft, peerId } = cluster.elect()
    const slow = three.find((id) => id !== peerId) ?? ''
    for (let i = 0; i < 200; i++) {
      if (i === 20) cluster.isolate(slow)
      if (i === 150) cluster.heal()
      raft.propose(0, [bytes(`${i}`)])
      cluster.run(5)
      if (i % 10 === 0) for (const node of cluster.nodes.values()) node.compact(5)
    }
    cluster.run(300)
    expect(cluster.raft(slow).appliedIndex).toBe(raft.lastIndex)
    expect(cluster.raft(slow).status().firstIndex).toBeGreaterThan(20)
    for (const node of cluster.nodes.values()) node.crash()
    cluster.elect()
    cluster.run(200)
    expect(cluster.raft(slow).commitIndex).toBe(cluster.raft(peerId).lastIndex)
  })

  it('[S43][S50] a kept tail comes back after a restart, its first entry serving as the base', () => {
    const snapshot = snapshotAt({ term: 1, index: 4 }, voters, 40)
    const entries = [3, 4, 5, 6].map((index) => command(1, index))
    const raft = core('a', { snapshot, entries, hardState: { commitIndex: 5 } })
    expect(raft.status()).toMatchObject({ firstIndex: 4, lastIndex: 6, commitIndex: 5, appliedIndex: 4 })
    expect(settle(raft).committed.map(({ index }) => index)).toEqual([5])
    const bare = core('a', { snapshot, entries: [] })
    expect(bare.status()).toMatchObject({ firstIndex: 5, lastIndex: 4, lastTerm: 1 })
    expect(bare.lastTime).toBe(40)
  })
})
