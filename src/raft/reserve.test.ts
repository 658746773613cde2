import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Raft } from './raft.js'
import { reserveWaits } from './reserve.js'
import { acknowledge, bytes, Cluster, configuration, core, drain, leader, log, only, T } from './test-cluster.js'

const three = ['a', 'b', 'c']
const five = [...three, 'd', 'e']

function propose(raft: Raft, by?: string): string[] {
  raft.propose(0, [bytes('x')], by)
  return appended(raft)
}

/** To whom entries go now. */
function appended(raft: Raft): string[] {
  return only(drain(raft), 'append').flatMap(({ to, entries }) => (entries.length > 0 ? [to] : []))
}

/** Commands that are committed with the acknowledgement of these; the others come when it is done. */
function work(raft: Raft, commands: number, needed: readonly string[], late: readonly string[]): void {
  for (let i = 0; i < commands; i += 1) {
    propose(raft)
    for (const from of [...needed, ...late]) {
      acknowledge(raft, from)
      drain(raft)
    }
  }
}

/** b is quicker than c, and has been for eight commits. */
function busy(): Raft {
  const raft = leader()
  work(raft, 8, ['b'], ['c'])
  return raft
}

describe('a voter in reserve', () => {
  it('[S55] is one without which eight commits in a row came about', () => {
    // The first is the leader's own, of its term.
    const raft = leader()
    work(raft, 6, ['b'], ['c'])
    expect(propose(raft)).toEqual(['b', 'c'])
    acknowledge(raft, 'b')
    drain(raft)
    expect(propose(raft)).toEqual(['b'])
    expect(raft.status().progress.map(({ peerId, inReserve }) => [peerId, inReserve])).toEqual([
      ['b', false],
      ['c', true],
    ])
  })

  it('[S55] is one no more once a commit has needed it', () => {
    const raft = leader()
    work(raft, 7, ['b'], ['c'])
    work(raft, 1, ['c'], ['b'])
    work(raft, 7, ['b'], ['c'])
    expect(propose(raft)).toEqual(['b', 'c'])
  })

  it('[S55] gets entries and the word that they are committed in one message', () => {
    const raft = busy()
    expect(propose(raft)).toEqual(['b'])
    const { lastIndex } = raft
    acknowledge(raft, 'b')
    const told = drain(raft).filter(({ to }) => to === 'c')
    expect(told).toMatchObject([{ type: 'append', commitIndex: lastIndex, entries: [{ index: lastIndex }] }])
    expect(told).toHaveLength(1)
  })

  it('[S55] gets what the others are not done with in time, and is waited for again', () => {
    const raft = busy()
    propose(raft)
    expect(raft.ticksUntilDue()).toBe(reserveWaits)
    raft.tick(reserveWaits - 1)
    expect([appended(raft), raft.ticksUntilDue()]).toEqual([[], 1])
    raft.tick(1)
    expect(appended(raft)).toEqual(['c'])
    acknowledge(raft, 'c')
    expect(raft.commitIndex).toBe(raft.lastIndex)
    drain(raft)
    expect(propose(raft)).toEqual(['b', 'c'])
  })

  it('[S55] waits anew for each commit', () => {
    const raft = busy()
    for (let i = 0; i < 5; i += 1) {
      expect(propose(raft)).toEqual(['b'])
      raft.tick(reserveWaits - 1)
      acknowledge(raft, 'b')
      expect(appended(raft)).toEqual(['c'])
    }
  })

  it('[S55] is called as soon as another one cannot be reached', () => {
    const raft = busy()
    propose(raft)
    raft.reportUnreachable('b')
    expect(appended(raft)).toEqual(['c'])
  })

  it('[S55][S61] has everything before it is told to lead', () => {
    const raft = busy()
    propose(raft)
    raft.transferLeadership('c')
    expect(appended(raft)).toEqual(['c'])
    acknowledge(raft, 'c')
    expect(only(drain(raft), 'timeoutNow').map(({ to }) => to)).toEqual(['c'])
  })

  it('[S55] has everything once nothing is committed any more: whoever leads next may be any of them', () => {
    const raft = busy()
    raft.tick(50)
    drain(raft)
    expect(raft.status().progress.some(({ inReserve }) => inReserve)).toBe(true)
    raft.tick(50)
    drain(raft)
    expect(raft.status().progress.some(({ inReserve }) => inReserve)).toBe(false)
    expect(propose(raft)).toEqual(['b', 'c'])
  })

  it('[S55] is waited for again in another configuration', () => {
    const raft = busy()
    raft.proposeConfiguration(0, configuration(three, ['l']))
    expect(appended(raft)).toEqual(['b', 'c', 'l'])
  })

  it('[S55] hears nothing of what is durable at the leader when it has proposed something', () => {
    const raft = busy()
    raft.propose(0, [bytes('x')], 'c')
    expect(drain(raft).filter(({ to }) => to === 'c')).toEqual([])
  })

  it('[S55] is one of so many that those who are left are a quorum', () => {
    let most = 0
    const stretch = fc.record({
      quick: fc.shuffledSubarray(['b', 'c', 'd', 'e']),
      turns: fc.integer({ min: 1, max: 12 }),
    })
    fc.assert(
      fc.property(fc.array(stretch, { maxLength: 12 }), (stretches) => {
        const raft = leader({ entries: log(five, [1]) }, five.slice(1))
        for (const quick of stretches.flatMap(({ quick, turns }) => Array<string[]>(turns).fill(quick))) {
          propose(raft)
          for (const from of quick) {
            acknowledge(raft, from)
            drain(raft)
          }
          const inReserve = raft.status().progress.filter((progress) => progress.inReserve)
          expect(inReserve.length).toBeLessThanOrEqual(2)
          most = Math.max(most, inReserve.length)
        }
      }),
      { numRuns: 300 },
    )
    expect(most).toBe(2)
  })
})

describe('a candidate that misses something', () => {
  const stale = log(three, [1])
  const fresh = log(three, [1, 1])

  it('[S11] makes the one of three voters who has it ask for votes at once', () => {
    const cluster = new Cluster({ voters: three, entries: { a: stale, b: stale, c: fresh } })
    cluster.isolate('b')
    cluster.raft('a').campaign()
    cluster.stabilize()
    expect(cluster.raft('c').status()).toMatchObject({ role: 'leader', term: 2 })
  })

  it('[S11] ... of five nobody, for there may be two of them', () => {
    const longer = log(five, [1, 1])
    const cluster = new Cluster({ voters: five, entries: { c: longer, d: longer, e: longer } })
    cluster.raft('a').campaign()
    cluster.stabilize()
    expect(cluster.leaders()).toEqual([])
    expect(cluster.raft('c').role).toBe('follower')
  })

  it('[S11][S15] ... nobody who still hears the leader', () => {
    const cluster = new Cluster({ voters: three })
    const { peerId, raft } = cluster.elect()
    const [behind = '', other = ''] = three.filter((id) => id !== peerId)
    cluster.isolate(behind)
    raft.propose(0, [bytes('x')])
    cluster.stabilize()
    cluster.heal()
    cluster.raft(behind).campaign()
    cluster.stabilize()
    expect([cluster.leaders(), cluster.raft(other).role]).toEqual([[peerId], 'follower'])
  })

  it('[S11][S15] ... nobody who hears a leader of a later term', () => {
    const raft = core('b', { entries: log(three, [1, 1]) })
    raft.step({ type: 'heartbeat', from: 'c', to: 'b', term: 2, commitIndex: 0, round: 1, electionTicks: T })
    drain(raft)
    raft.step({ type: 'preVote', from: 'a', to: 'b', term: 2, last: { term: 1, index: 1 } })
    expect(drain(raft)).toMatchObject([{ type: 'preVoteReply', granted: false, term: 2 }])
  })

  it('[M1][S11] makes way when it was named heir', () => {
    const cluster = new Cluster({ voters: three })
    const { peerId, raft } = cluster.elect()
    const [heir = '', other = ''] = three.filter((id) => id !== peerId)
    cluster.isolate(heir)
    raft.propose(0, [bytes('x')])
    cluster.stabilize()
    cluster.heal()
    cluster.isolate(peerId)
    for (const id of [heir, other]) cluster.raft(id).forgetLeader(heir)
    cluster.stabilize()
    expect(cluster.raft(other).role).toBe('leader')
  })
})
