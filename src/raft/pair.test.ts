import { describe, expect, it } from 'vitest'
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
  leader,
  log,
  only,
  T,
} from './test-cluster.js'

const three = ['a', 'b', 'c']

/** b with entries of term 2 up to index 3 in its log, whose write is under way. */
function receiving(voters: readonly string[] = three, learners: readonly string[] = []): { raft: Raft; write: number } {
  const raft = core('b', { entries: log(voters, [1], learners) })
  const previous = { term: 1, index: 1 }
  const entries = [command(2, 2), command(2, 3)]
  raft.step({ type: 'append', from: 'a', to: 'b', term: 2, previous, entries, commitIndex: 0 })
  return { raft, write: raft.ready().sequence }
}

const stable = (index: number, term = 2) => ({ type: 'stable', from: 'a', to: 'b', term, index }) as const

describe('a follower that is one half of a quorum of two', () => {
  it('knows of a commit when the entry is durable here and there, whichever comes last', () => {
    const late = receiving()
    late.raft.step(stable(3))
    expect(late.raft.commitIndex).toBe(0)
    late.raft.persisted(late.write)
    expect(late.raft.commitIndex).toBe(3)

    const early = receiving()
    early.raft.persisted(early.write)
    expect(early.raft.commitIndex).toBe(0)
    early.raft.step(stable(2))
    expect(early.raft.commitIndex).toBe(2)
    early.raft.step(stable(1))
    expect(early.raft.commitIndex).toBe(2)
  })

  it.each([
    ['of two voters', ['a', 'b'], 3],
    ['of three', three, 3],
    ['of four it is not', [...three, 'd'], 0],
    ['of five it is not', [...three, 'd', 'e'], 0],
    ['of three it is not, if it does not vote', ['a', 'c', 'd'], 0],
    ['of three it is not, if the leader does not vote', ['b', 'c', 'd'], 0],
  ])('%s', (_, voters, commit) => {
    const { raft, write } = receiving(voters)
    raft.persisted(write)
    raft.step(stable(3))
    expect(raft.commitIndex).toBe(commit)
  })

  it('[S24] counts entries of this term only', () => {
    const raft = core('b', { entries: [...log(three, [1]), command(1, 2)] })
    raft.step({ type: 'heartbeat', from: 'a', to: 'b', term: 2, commitIndex: 0, round: 1, electionTicks: T })
    raft.step(stable(3))
    drain(raft)
    expect(raft.commitIndex).toBe(0)
  })

  it('forgets it with the term: who has voted in another one has no part in this commit', () => {
    const { raft, write } = receiving()
    raft.step(stable(3))
    raft.tick(2 * T)
    raft.step({ type: 'vote', from: 'c', to: 'b', term: 3, last: { term: 9, index: 9 }, transfer: false })
    raft.persisted(write)
    expect(raft.commitIndex).toBe(0)
    raft.step(stable(3))
    expect(raft.commitIndex).toBe(0)
  })

  it('counts nothing while a joint change runs', () => {
    const joint = { ...configuration(three), outgoing: ['a', 'b', 'd'] }
    const raft = core('b', { entries: [configurationEntry(1, 1, joint)] })
    const previous = { term: 1, index: 1 }
    raft.step({ type: 'append', from: 'a', to: 'b', term: 2, previous, entries: [command(2, 2)], commitIndex: 0 })
    drain(raft)
    raft.step(stable(2))
    expect(raft.commitIndex).toBe(0)
  })
})

describe('the leader', () => {
  it('says what is durable here to whoever waits for it, once, and leaves the commit to it', () => {
    const raft = leader()
    raft.propose(0, [bytes('x')], 'b')
    const ready = raft.ready()
    expect(only(ready.messages, 'stable')).toEqual([])
    raft.persisted(ready.sequence)
    expect(only(drain(raft), 'stable')).toMatchObject([{ to: 'b', index: 3 }])
    acknowledge(raft, 'b', 3)
    expect(only(drain(raft), 'commit')).toMatchObject([{ to: 'c', last: { index: 3 } }])
    raft.propose(0, [bytes('y')], 'b')
    const next = raft.ready()
    acknowledge(raft, 'c', 4)
    raft.persisted(next.sequence)
    expect(raft.commitIndex).toBe(4)
    const messages = drain(raft)
    expect(only(messages, 'stable')).toEqual([])
    expect(only(messages, 'commit').map(({ to }) => to)).toEqual(['b', 'c'])
  })

  it('says nothing where nobody waits', () => {
    const raft = leader()
    raft.propose(0, [bytes('x')])
    raft.propose(0, [bytes('y')], 'nobody')
    expect(only(drain(raft), 'stable')).toEqual([])
  })

  it('tells the commit after all when what it told may be lost', () => {
    const raft = leader()
    raft.propose(0, [bytes('x')], 'b')
    drain(raft)
    raft.reportUnreachable('b')
    raft.step({ type: 'heartbeatReply', from: 'b', to: 'a', term: 2, round: 0 })
    drain(raft)
    acknowledge(raft, 'b', 3)
    expect(only(drain(raft), 'commit').map(({ to }) => to)).toEqual(['b', 'c'])
  })

  it('says nothing to five', () => {
    const five = ['a', 'b', 'c', 'd', 'e']
    const raft = leader({ entries: log(five, [1]) }, ['b', 'c', 'd', 'e'])
    raft.propose(0, [bytes('x')], 'b')
    expect(only(drain(raft), 'stable')).toEqual([])
  })

  it('[S63] reads what a follower may have acknowledged before it knows of the commit itself', () => {
    const raft = leader()
    raft.propose(0, [bytes('x')], 'b')
    drain(raft)
    raft.read(1)
    drain(raft)
    raft.step({ type: 'heartbeatReply', from: 'b', to: 'a', term: 2, round: raft.currentRound })
    expect(raft.ready().reads).toEqual([])
    acknowledge(raft, 'c')
    expect(raft.ready().reads).toEqual([{ id: 1, index: 3 }])
  })

  it('[B28] a read of what is never committed fails when it stops leading', () => {
    const raft = leader()
    raft.propose(0, [bytes('x')], 'b')
    drain(raft)
    raft.read(1)
    drain(raft)
    raft.step({ type: 'heartbeatReply', from: 'b', to: 'a', term: 2, round: raft.currentRound })
    raft.stepDown()
    expect(raft.ready().reads).toEqual([{ id: 1, index: null }])
  })
})

it('a proposal of a follower is committed there after one round trip', () => {
  const cluster = new Cluster({ voters: three })
  const first = cluster.elect()
  const other = [...cluster.nodes.values()].find((node) => node !== first)
  if (!other) throw new Error('three nodes')
  first.raft.propose(0, [bytes('x')], other.peerId)
  // The leader hears nothing more: what it sends is enough.
  cluster.filter = ({ to }) => to !== first.peerId
  cluster.stabilize()
  expect(other.raft.commitIndex).toBe(first.raft.lastIndex)
  expect(first.raft.commitIndex).toBe(first.raft.lastIndex - 1)
})
