import { describe, expect, it } from 'vitest'
import type { Message } from './message.js'
import type { Raft } from './raft.js'
import { acknowledge, bytes, type CoreOptions, configuration, drain, leader, log, only } from './test-cluster.js'

const newsTicks = 10
const others = ['b', 'c', 'l']

/** A leader of b and c, who vote, and l, who learns. All have heard of everything, and nobody has heard anything for a while. */
function group(limits: CoreOptions = {}, voters = ['a', 'b', 'c']): Raft {
  const learners = ['a', ...others].filter((peerId) => !voters.includes(peerId))
  const raft = leader({ newsTicks, entries: log(voters, [1], learners), ...limits }, others)
  raft.tick(newsTicks)
  drain(raft)
  return raft
}

/** An entry of its own that b acknowledges at once: what is said of it when it is committed. */
function commit(raft: Raft, proposer?: string): Message[] {
  raft.propose(0, [bytes('x')], proposer)
  drain(raft)
  acknowledge(raft, 'b')
  return drain(raft)
}

const told = (messages: readonly Message[]) => messages.map(({ to }) => to)

/** The same, and what was said before: to b, c and l. */
function busy(raft = group()): Raft {
  expect(told(commit(raft))).toEqual(others)
  return raft
}

describe('news of what is committed', () => {
  it('[S55] come at once to everybody after a while without any', () => {
    const raft = busy()
    raft.tick(newsTicks)
    expect(told(commit(raft))).toEqual(others)
  })

  it('[S55] wait for those that follow where nobody waits for them, and are one message then', () => {
    const raft = busy()
    expect([raft.ticksUntilDue(), ...told(commit(raft))]).toEqual([50 - newsTicks])
    raft.tick(4)
    expect([...told(commit(raft)), raft.ticksUntilDue()]).toEqual([newsTicks - 4])
    raft.tick(newsTicks - 5)
    expect(drain(raft)).toEqual([])
    raft.tick(1)
    const { lastIndex } = raft
    const entries = [{ index: lastIndex - 1 }, { index: lastIndex }]
    expect(drain(raft)).toMatchObject([{ type: 'append', to: 'l', commitIndex: lastIndex, entries }])
    // With the second entry the voters heard of the first commit.
    raft.tick(3)
    expect(drain(raft)).toEqual([])
    raft.tick(1)
    expect(drain(raft)).toMatchObject([
      { type: 'commit', to: 'b', last: { index: lastIndex } },
      { type: 'commit', to: 'c', last: { index: lastIndex } },
    ])
    expect(raft.ticksUntilDue()).toBeGreaterThan(newsTicks)
  })

  it('[S55] come with the entries that a voter has to acknowledge', () => {
    const raft = busy()
    commit(raft)
    const { commitIndex } = raft
    raft.propose(0, [bytes('x')])
    expect(only(drain(raft), 'append').map(({ to, commitIndex }) => [to, commitIndex])).toEqual([
      ['b', commitIndex],
      ['c', commitIndex],
    ])
  })

  it.each([
    ['who proposed it', (raft: Raft) => commit(raft, 'l')],
    [
      'whom the caller names',
      (raft: Raft) => {
        expect(commit(raft)).toEqual([])
        raft.tell('l')
        return drain(raft)
      },
    ],
    [
      'who reads (R1)',
      (raft: Raft) => {
        expect(commit(raft)).toEqual([])
        raft.step({ type: 'readIndex', from: 'l', to: 'a', term: raft.term, id: 1 })
        const { currentRound: round } = raft
        drain(raft)
        raft.step({ type: 'heartbeatReply', from: 'b', to: 'a', term: raft.term, round: round + 1 })
        return drain(raft).filter(({ type }) => type !== 'readIndexReply')
      },
    ],
  ])('[S55] come at once to %s', (_, act) => {
    const raft = busy()
    const { lastIndex } = raft
    expect(act(raft)).toMatchObject([{ type: 'append', to: 'l', commitIndex: lastIndex + 1, entries: [{}] }])
    // Once: it does not wait for the next ones.
    expect(commit(raft)).toEqual([])
  })

  it('[S55] come at once to who reads under the lease of its leader', () => {
    const raft = group({ leaseTicks: 100 })
    raft.tick(50)
    drain(raft)
    raft.step({ type: 'heartbeatReply', from: 'b', to: 'a', term: raft.term, round: raft.currentRound })
    busy(raft)
    expect(commit(raft)).toEqual([])
    raft.step({ type: 'readIndex', from: 'l', to: 'a', term: raft.term, id: 1 })
    expect(drain(raft)).toMatchObject([
      { type: 'readIndexReply', to: 'l', index: raft.commitIndex },
      { type: 'append', to: 'l', commitIndex: raft.commitIndex, entries: [{}] },
    ])
  })

  it('[S55][S61] come at once to everybody while leadership is handed over', () => {
    const raft = busy()
    raft.propose(0, [bytes('x')])
    drain(raft)
    raft.transferLeadership('b')
    acknowledge(raft, 'b')
    expect(told(drain(raft))).toEqual(['b', 'b', 'c', 'l'])
  })

  it('[S54] of the members come at once to everybody', () => {
    const raft = busy()
    raft.proposeConfiguration(0, configuration(['a', 'b', 'c'], ['l', 'm']))
    drain(raft)
    acknowledge(raft, 'b')
    expect(told(drain(raft))).toEqual(expect.arrayContaining(others))
  })

  it('[S55] wait nowhere when the leader alone has what is committed', () => {
    const raft = group({}, ['a'])
    for (let i = 0; i < 3; i += 1) {
      raft.propose(0, [bytes('x')])
      expect(told(only(drain(raft), 'append'))).toEqual(others)
    }
  })

  it('[S55] wait for nobody who has more to get than fits in its window', () => {
    const raft = busy(group({ maxInflightAppends: 1, maxAppendBytes: 1 }))
    const toLearner = () => only(drain(raft), 'append').filter(({ to }) => to === 'l')
    acknowledge(raft, 'l')
    for (let i = 0; i < 3; i += 1) commit(raft)
    raft.tick(newsTicks)
    for (let index = raft.commitIndex - 2; index <= raft.commitIndex; index += 1) {
      expect(toLearner()).toMatchObject([{ entries: [{ index }] }])
      acknowledge(raft, 'l', index)
    }
  })

  it('[M6] keep a group awake until everybody has heard', () => {
    const raft = busy()
    for (const peerId of others) acknowledge(raft, peerId)
    drain(raft)
    expect(raft.laggardsWhenIdle()).toEqual([])
    commit(raft)
    for (const peerId of others) acknowledge(raft, peerId)
    expect(drain(raft)).toEqual([])
    expect(raft.laggardsWhenIdle()).toBeNull()
    raft.tick(newsTicks)
    drain(raft)
    for (const peerId of others) acknowledge(raft, peerId)
    expect(raft.laggardsWhenIdle()).toEqual([])
  })

  it('come at once unless somebody has said otherwise', () => {
    const raft = leader({ entries: log(['a', 'b', 'c'], [1], ['l']) }, others)
    for (let i = 0; i < 3; i += 1) expect(told(commit(raft))).toEqual(others)
  })
})
