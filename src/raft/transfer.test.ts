import { describe, expect, it } from 'vitest'
import type { Raft } from './raft.js'
import { acknowledge, bytes, Cluster, configuration, core, drain, leader, log, only, T } from './test-cluster.js'

const three = ['a', 'b', 'c']
const told = (raft: Raft) => only(drain(raft), 'timeoutNow').map(({ to }) => to)
const refusal = { accepted: false, reason: 'transferring', leader: 'a' }

describe('[S61] a transfer', () => {
  it('to one that has the whole log begins at once, and nothing is proposed meanwhile', () => {
    const raft = leader()
    expect(raft.transferLeadership('b')).toBe('started')
    expect(told(raft)).toEqual(['b'])
    expect(raft.status().transferringTo).toBe('b')
    expect(raft.propose(0, [bytes('x')])).toEqual(refusal)
    expect(raft.proposeConfiguration(0, configuration(['a', 'b']))).toEqual(refusal)
  })

  it('to one that lags waits for it, and tells it once', () => {
    const raft = leader()
    raft.propose(0, [bytes('x')])
    drain(raft)
    raft.transferLeadership('b')
    expect(told(raft)).toEqual([])
    acknowledge(raft, 'c')
    expect(told(raft)).toEqual([])
    acknowledge(raft, 'b')
    acknowledge(raft, 'b')
    expect(told(raft)).toEqual(['b'])
  })

  it('is given up after an election time-out, and proposals are taken again', () => {
    const raft = leader()
    raft.transferLeadership('b')
    drain(raft)
    expect(raft.ticksUntilDue()).toBeLessThanOrEqual(T)
    raft.tick(T - 1)
    expect(raft.status().transferringTo).toBe('b')
    raft.tick(1)
    expect(raft.status()).toMatchObject({ role: 'leader', transferringTo: null })
    expect(raft.propose(0, [bytes('x')])).toMatchObject({ accepted: true })
  })

  it('is given up at once when its target cannot be reached', () => {
    const raft = leader()
    raft.transferLeadership('b')
    raft.reportUnreachable('c')
    expect(raft.status().transferringTo).toBe('b')
    raft.reportUnreachable('b')
    expect(raft.status().transferringTo).toBeNull()
  })

  it.each([
    ['itself', 'a'],
    ['a learner', 'l'],
    ['somebody unknown', 'x'],
  ])('to %s is refused', (_, to) => {
    const raft = leader({ entries: log(three, [1], ['l']) })
    expect(raft.transferLeadership(to)).toBe('not-voter')
    expect(raft.status().transferringTo).toBeNull()
  })

  it('to one that is being removed is refused, and a follower hands nothing over', () => {
    const raft = leader()
    raft.proposeConfiguration(0, configuration(['a', 'c']))
    expect(raft.transferLeadership('b')).toBe('not-voter')
    expect(core('b').transferLeadership('a')).toBe('not-leader')
  })
})

describe('[S62] during a transfer', () => {
  it('a second one replaces the first, the same again changes nothing', () => {
    const raft = leader()
    raft.transferLeadership('b')
    raft.tick(T - 1)
    expect(told(raft)).toEqual(['b'])
    expect([raft.transferLeadership('b'), told(raft)]).toEqual(['started', []])
    expect([raft.transferLeadership('c'), told(raft)]).toEqual(['started', ['c']])
    raft.tick(1)
    expect(raft.status().transferringTo).toBe('c')
  })

  it('a higher term ends it with the lead', () => {
    const raft = leader()
    raft.transferLeadership('b')
    drain(raft)
    raft.step({ type: 'vote', from: 'b', to: 'a', term: 3, last: { term: 2, index: 2 }, transfer: true })
    expect(raft.status()).toMatchObject({ role: 'follower', term: 3, votedFor: 'b', transferringTo: null })
  })

  it('[S63] reads go on: a quorum confirms each', () => {
    const raft = leader()
    raft.transferLeadership('b')
    raft.read(1)
    drain(raft)
    raft.step({ type: 'heartbeatReply', from: 'c', to: 'a', term: 2, round: raft.currentRound })
    expect(raft.ready().reads).toEqual([{ id: 1, index: 2 }])
  })
})

describe('[B24] its target', () => {
  const now = { type: 'timeoutNow', from: 'a', to: 'b', term: 1 } as const

  it('campaigns without a pre-vote, and is not refused for the old leader’s sake (S15)', () => {
    const raft = core('b')
    raft.step({ type: 'heartbeat', from: 'a', to: 'b', term: 1, commitIndex: 0, round: 1, electionTicks: T })
    drain(raft)
    raft.step(now)
    const votes = only(drain(raft), 'vote')
    expect(votes.map(({ to, term, transfer }) => [to, term, transfer])).toEqual([
      ['a', 2, true],
      ['c', 2, true],
    ])
  })

  it.each([
    ['who is not its leader', { from: 'c' }],
    ['of another term', { term: 0 }],
  ])('does nothing when told by one %s', (_, other) => {
    const raft = core('b')
    raft.step({ type: 'heartbeat', from: 'a', to: 'b', term: 1, commitIndex: 0, round: 1, electionTicks: T })
    drain(raft)
    raft.step({ ...now, ...other })
    expect(raft.status()).toMatchObject({ role: 'follower', term: 1, leader: 'a' })
  })

  it('that does not vote does nothing', () => {
    const raft = core('b', { entries: log(['a', 'c'], [1], ['b']) })
    raft.step({ type: 'heartbeat', from: 'a', to: 'b', term: 1, commitIndex: 0, round: 1, electionTicks: T })
    raft.step(now)
    expect(raft.role).toBe('follower')
  })
})

it('[S61] in a cluster it takes no time-out, and loses nothing', () => {
  const cluster = new Cluster({ voters: three })
  const first = cluster.elect()
  const [to = ''] = three.filter((peerId) => peerId !== first.peerId)
  first.raft.propose(0, [bytes('x')])
  const last = first.raft.lastIndex
  first.raft.transferLeadership(to)
  cluster.stabilize()
  expect(cluster.leaders()).toEqual([to])
  expect(cluster.raft(to).commitIndex).toBeGreaterThan(last)
})

describe('[S20] priorities', () => {
  function fitCluster(priorities: Readonly<Record<string, number>>): Cluster {
    const cluster = new Cluster({ voters: ['a', 'b', 'c', 'd', 'e'] })
    for (const [peerId, priority] of Object.entries(priorities)) cluster.raft(peerId).setPriority(priority)
    const first = cluster.elect()
    cluster.run(500)
    expect(cluster.leaders()).toEqual([first.peerId])
    return cluster
  }

  it('the fittest of those who are left leads next', () => {
    for (const fittest of ['a', 'c', 'e']) {
      const cluster = fitCluster({ a: 1, b: 2, c: 3, d: 1, e: 2, [fittest]: 9 })
      const [first = ''] = cluster.leaders()
      if (first === fittest) continue
      cluster.isolate(first)
      cluster.run(1_500)
      expect(cluster.leaders().filter((peerId) => peerId !== first)).toEqual([fittest])
    }
  })

  it('also at once, when the leader is known to be gone', () => {
    const cluster = fitCluster({ e: 5, d: 4 })
    const [first = ''] = cluster.leaders()
    const heir = first === 'e' ? 'd' : 'e'
    cluster.isolate(first)
    for (const node of cluster.nodes.values()) if (node.peerId !== first) node.raft.forgetLeader()
    cluster.run(20)
    expect(cluster.leaders()).toContain(heir)
  })

  it('with the fittest dead too, another one leads, a time-out later', () => {
    const cluster = fitCluster({ e: 5, d: 4 })
    const [first = ''] = cluster.leaders()
    const heir = first === 'e' ? 'd' : 'e'
    cluster.isolate(first, heir)
    cluster.run(4 * T)
    const [second] = cluster.leaders().filter((peerId) => peerId !== first)
    expect(second).toBeDefined()
    expect(second).not.toBe(heir)
  })

  it('equal ones are nobody’s heirs', () => {
    const raft = leader()
    raft.tick(50)
    expect(only(drain(raft), 'heartbeat').map(({ heir }) => heir)).toEqual([undefined, undefined])
    for (const [from, priority] of [
      ['b', 1],
      ['c', 2],
    ] as const)
      raft.step({ type: 'heartbeatReply', from, to: 'a', term: 2, round: 1, priority })
    raft.tick(50)
    expect(only(drain(raft), 'heartbeat').map(({ heir }) => heir)).toEqual(['c', 'c'])
  })

  it.each([-1, 0.5, Number.NaN])('%d is none', (priority) => {
    expect(() => core('a').setPriority(priority)).toThrow('whole number')
  })
})
