import { describe, expect, it } from 'vitest'
import { recoverRestored } from './restored.js'
import {
  acknowledge,
  bytes,
  Cluster,
  configuration,
  drain,
  leader,
  log,
  only,
  T,
  type TestNode,
} from './test-cluster.js'

const three = ['a', 'b', 'c']
const five = [...three, 'd', 'e']

describe('[S67] a fixed quorum is well, the rest is broken for ever', () => {
  it.each([
    [
      'silent',
      (broken: readonly string[]) => (from: string, to: string) => !broken.includes(from) && !broken.includes(to),
    ],
    ['able to send only', (broken: readonly string[]) => (_: string, to: string) => !broken.includes(to)],
    ['able to hear only', (broken: readonly string[]) => (from: string) => !broken.includes(from)],
  ])('%s: there is progress within a few time-outs, and the leader stays', (_, rule) => {
    const cluster = new Cluster({ voters: five })
    const first = cluster.elect()
    const broken = [first.peerId, ...five.filter((peerId) => peerId !== first.peerId).slice(0, 1)]
    const passes = rule(broken)
    cluster.filter = ({ from, to }) => passes(from, to)
    cluster.run(8 * T)
    const well = five.filter((peerId) => !broken.includes(peerId))
    const [next] = cluster.leaders().filter((peerId) => well.includes(peerId))
    expect(next).toBeDefined()
    const { term } = cluster.raft(next ?? '')
    cluster.raft(next ?? '').propose(0, [bytes('x')])
    cluster.run(40 * T)
    expect(cluster.raft(next ?? '')).toMatchObject({ role: 'leader', term })
    for (const peerId of well) expect(cluster.raft(peerId).commitIndex).toBe(cluster.raft(next ?? '').lastIndex)
  })
})

describe('[S68] timers', () => {
  /** Each node’s time comes in lumps of its own size. */
  function clamped(cluster: Cluster, lumps: readonly number[], ticks: number): number {
    let elections = 0
    let known = ''
    for (let passed = 0; passed < ticks; passed += 250) {
      ;[...cluster.nodes.values()].forEach((node, i) => {
        const lump = lumps[i] ?? 250
        if (passed % lump === 0) node.raft.tick(lump)
      })
      cluster.stabilize()
      const now = cluster.leaders().join()
      if (now !== known) elections += 1
      known = now
    }
    return elections
  }

  it('clamped to a second or a minute cost availability, never safety', () => {
    const cluster = new Cluster({ voters: three })
    cluster.elect()
    clamped(cluster, [1_000, 60_000, 1_000], 300_000)
    cluster.run(10 * T)
    const leader = cluster.elect()
    leader.raft.propose(0, [bytes('x')])
    cluster.run(T)
    for (const node of cluster.nodes.values()) expect(node.raft.commitIndex).toBe(leader.raft.lastIndex)
  })

  it('a follower that was frozen for ten minutes and wakes to a burst disturbs nobody', () => {
    const cluster = new Cluster({ voters: three })
    const first = cluster.elect()
    const frozen = [...cluster.nodes.values()].find((node) => node !== first)
    if (!frozen) throw new Error('three nodes')
    const held = holdBack(cluster, frozen)
    const others = [...cluster.nodes.values()].filter((node) => node !== frozen)
    for (let passed = 0; passed < 600_000; passed += 50) {
      for (const node of others) node.raft.tick(50)
      cluster.stabilize()
    }
    const { term } = first.raft
    frozen.raft.tick(600_000)
    for (const message of held.splice(0)) frozen.raft.step(message)
    cluster.heal()
    cluster.run(10 * T)
    expect(cluster.leaders()).toEqual([first.peerId])
    expect(first.raft.term).toBe(term)
  })
})

/** What is sent to that node waits, as in a frozen page. */
function holdBack(cluster: Cluster, node: TestNode) {
  const held: Parameters<TestNode['raft']['step']>[0][] = []
  cluster.filter = (message) => {
    if (message.to !== node.peerId) return message.from !== node.peerId
    held.push(message)
    return false
  }
  return held
}

describe('[S69] leaving', () => {
  it('three to one by plan keeps serving', () => {
    const cluster = new Cluster({ voters: three })
    const last = cluster.elect()
    const others = three.filter((peerId) => peerId !== last.peerId)
    for (const gone of others) {
      const { voters } = last.raft.configuration
      expect(last.raft.proposeConfiguration(0, configuration(voters.filter((id) => id !== gone)))).toMatchObject({
        accepted: true,
      })
      cluster.run(T)
      cluster.isolate(...others.slice(0, others.indexOf(gone) + 1))
    }
    last.raft.propose(0, [bytes('x')])
    cluster.run(T)
    expect(last.raft).toMatchObject({ role: 'leader', commitIndex: last.raft.lastIndex })
  })

  it('three to one by crash stops, and says so; recovered by an explicit act it goes on with what it has', () => {
    const cluster = new Cluster({ voters: three })
    const last = cluster.elect()
    last.raft.propose(0, [bytes('kept')])
    cluster.run(T)
    const kept = last.raft.commitIndex
    cluster.isolate(...three.filter((peerId) => peerId !== last.peerId))
    cluster.run(4 * T)
    expect([last.raft.role, last.raft.hasQuorum]).not.toContain(true)
    expect(last.raft.propose(0, [bytes('lost')]).accepted).toBe(false)
    last.durable = recoverRestored(last.durable, last.peerId, configuration([last.peerId]))
    last.crash()
    last.raft.campaign()
    cluster.run(T)
    expect(last.raft).toMatchObject({ role: 'leader', committedInTerm: true })
    expect(last.raft.commitIndex).toBeGreaterThan(kept)
    expect(last.applied.map(({ mark }) => mark)).toContainEqual(expect.stringContaining('kept'))
  })
})

describe('[S51] a snapshot under way', () => {
  it('holds up neither heartbeats nor the appends to others', () => {
    const raft = leader({ entries: log(three, [1, 1, 1, 1]) })
    raft.step({ type: 'heartbeatReply', from: 'c', to: 'a', term: 2, round: 0 })
    const { appliedIndex } = raft
    const meta = { term: 2, index: appliedIndex, configuration: configuration([...three, 'd']), time: 0 }
    raft.compact({ meta: { ...meta, configuration: configuration(three) }, data: new Uint8Array(8) }, appliedIndex + 1)
    raft.proposeConfiguration(0, configuration(three, ['d']))
    drain(raft)
    raft.step({
      type: 'appendReply',
      from: 'd',
      to: 'a',
      term: 2,
      rejected: true,
      index: raft.lastIndex - 1,
      hint: { term: 0, index: 0 },
    })
    expect(only(drain(raft), 'snapshot').map(({ to }) => to)).toEqual(['d'])
    for (let i = 0; i < 20; i++) {
      raft.tick(50)
      raft.propose(0, [bytes('x')])
      const messages = drain(raft)
      expect(only(messages, 'heartbeat').map(({ to }) => to)).toContain('d')
      expect(only(messages, 'append').map(({ to }) => to)).toEqual(expect.arrayContaining(['b', 'c']))
      for (const from of i % 2 === 0 ? ['b', 'c'] : ['c', 'b']) {
        acknowledge(raft, from)
        raft.step({ type: 'heartbeatReply', from, to: 'a', term: 2, round: raft.currentRound })
      }
    }
    expect(raft).toMatchObject({ role: 'leader', commitIndex: raft.lastIndex })
  })
})
