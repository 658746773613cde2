import { describe, expect, it } from 'vitest'
import { destinationOf, stepTowards } from './configuration.js'
import type { Configuration, Entry } from './entry.js'
import type { Raft } from './raft.js'
import { createRandom, nextUint32 } from './random.js'
import {
  acknowledge,
  Cluster,
  command,
  configuration,
  configurationEntry,
  core,
  drain,
  elect,
  leader,
  log,
  only,
  snapshotAt,
  T,
} from './test-cluster.js'

const three = ['a', 'b', 'c']

/** a, b, c on their way to a, d, e: the joint entry is at index 3, and the leader a has it durable. */
function changing(next: Configuration = configuration(['a', 'd', 'e'])): Raft {
  const raft = leader()
  expect(raft.proposeConfiguration(0, next)).toEqual({ accepted: true, firstIndex: 3, lastIndex: 3 })
  drain(raft)
  return raft
}

describe('[S53] many members at once', () => {
  it('go through a configuration of both', () => {
    const raft = changing(configuration(['a', 'd', 'e'], ['b', 'l']))
    expect(raft.configuration).toEqual({
      ...configuration(['a', 'd', 'e'], ['l']),
      outgoing: three,
      learnersNext: ['b'],
    })
    expect(raft.proposeConfiguration(0, configuration(three))).toMatchObject({ reason: 'pending-change' })
  })

  it('[B11] commit by both majorities only, and then the old one is left by itself', () => {
    const raft = changing(configuration(['a', 'd', 'e'], ['b']))
    acknowledge(raft, 'd')
    expect(raft.commitIndex).toBe(2)
    acknowledge(raft, 'e')
    expect(raft.commitIndex).toBe(2)
    acknowledge(raft, 'b')
    expect(raft.commitIndex).toBe(3)
    expect(raft.configuration).toEqual(configuration(['a', 'd', 'e'], ['b']))
    expect(raft.lastIndex).toBe(4)
    drain(raft)
    acknowledge(raft, 'b')
    acknowledge(raft, 'c')
    expect(raft.commitIndex).toBe(3)
    acknowledge(raft, 'd')
    expect(raft.commitIndex).toBe(4)
  })

  it('elect by both majorities only', () => {
    const entries = [
      ...log(three, [1]),
      configurationEntry(1, 2, { ...configuration(['a', 'd', 'e']), outgoing: three }),
    ]
    const votes = (granted: readonly string[]) => {
      const raft = core('a', { entries })
      raft.campaign()
      drain(raft)
      for (const type of ['preVoteReply', 'voteReply'] as const) {
        const term = type === 'preVoteReply' ? raft.term + 1 : raft.term
        for (const from of granted) raft.step({ type, from, to: 'a', term, granted: true })
        drain(raft)
      }
      return raft.role
    }
    expect([votes(['b', 'c']), votes(['d', 'e'])]).toEqual(['preCandidate', 'preCandidate'])
    expect([votes(['b', 'd']), votes(['c', 'e'])]).toEqual(['leader', 'leader'])
  })

  it('[B20] are finished by whoever leads next', () => {
    const joint = { ...configuration(['a', 'd', 'e']), outgoing: three }
    const entries: Entry[] = [...log(three, [1]), configurationEntry(1, 2, joint)]
    const raft = elect(core('b', { entries, hardState: { commitIndex: 2 } }), ['c', 'a', 'd'])
    expect(raft.configuration).toEqual(joint)
    for (const from of ['a', 'c', 'd']) acknowledge(raft, from)
    expect(raft.commitIndex).toBe(3)
    expect(raft.configuration).toEqual(configuration(['a', 'd', 'e']))
    expect(raft.lastIndex).toBe(4)
  })

  it('[B20] ... also when the joint configuration came in a snapshot, learners and all', () => {
    const joint = { ...configuration(['a', 'd', 'e'], ['l']), outgoing: three, learnersNext: ['b'] }
    const raft = elect(
      core('a', { entries: [], snapshot: snapshotAt({ term: 1, index: 9 }, joint), hardState: { term: 1 } }),
      [...['b', 'd']],
    )
    for (const from of ['b', 'd']) acknowledge(raft, from)
    expect(raft.configuration).toEqual(configuration(['a', 'd', 'e'], ['b', 'l']))
  })

  it('[B10][S27] are undone with the entry that is cut', () => {
    const raft = core('b')
    const joint = { ...configuration(['b', 'd', 'e']), outgoing: three }
    const previous = { term: 1, index: 1 }
    const body = { type: 'append', to: 'b', previous, commitIndex: 0 } as const
    raft.step({ ...body, from: 'a', term: 2, entries: [configurationEntry(2, 2, joint)] })
    expect(raft.configuration).toEqual(joint)
    raft.step({ ...body, from: 'c', term: 3, entries: [command(3, 2)] })
    expect(raft.configuration).toEqual(configuration(three))
  })

  it('reach their newcomers and bring them up in a cluster', () => {
    const cluster = new Cluster({ voters: three, newcomers: ['d', 'e', 'f'] })
    const first = cluster.elect()
    const next = configuration(['d', 'e', 'f'])
    expect(first.raft.proposeConfiguration(0, next)).toMatchObject({ accepted: true })
    cluster.run(2_000)
    const [now] = cluster.leaders()
    expect(next.voters).toContain(now)
    for (const peerId of next.voters) expect(cluster.raft(peerId).configuration).toEqual(next)
  })
})

describe('[S54][B19] a leader that is not part of what comes', () => {
  it('leads to the end, without counting itself in the new majority, then steps down', () => {
    const raft = changing(configuration(['b', 'd', 'e']))
    for (const from of ['b', 'd']) acknowledge(raft, from)
    expect(raft.commitIndex).toBe(3)
    expect([raft.role, raft.lastIndex]).toEqual(['leader', 4])
    drain(raft)
    acknowledge(raft, 'd')
    expect([raft.role, raft.commitIndex]).toEqual(['leader', 3])
    acknowledge(raft, 'b')
    expect([raft.role, raft.commitIndex]).toEqual(['follower', 4])
    expect(only(drain(raft), 'commit').map(({ to }) => to)).toEqual(expect.arrayContaining(['b', 'd']))
    raft.tick(4 * T)
    expect(raft.role).toBe('follower')
  })
})

it('[F2] incarnations of both are kept on the way, and only of those who stay in the end', () => {
  const life = (counter: number) => ({ counter, nonce: 'n' })
  const from = { ...configuration(three), incarnations: { a: life(1), b: life(1), c: life(1) } }
  const to = { ...configuration(['a', 'd'], ['b']), incarnations: { a: life(2), b: life(1), d: life(1) } }
  const joint = stepTowards(from, to)
  expect(joint.incarnations).toEqual({ a: life(2), b: life(1), c: life(1), d: life(1) })
  expect(destinationOf(joint)).toEqual(to)
})

it('[S59] any change ends where it was meant to, by one step or by two', () => {
  const random = createRandom(3, 'joint')
  const draw = (from: readonly string[], atLeast: number) => {
    const chosen = from.filter(() => nextUint32(random) % 2 === 0)
    return chosen.length >= atLeast ? chosen : from.slice(0, atLeast)
  }
  const all = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
  for (let round = 0; round < 2_000; round++) {
    const [before, voters] = [draw(all, 1), draw(all, 1)]
    const next = configuration(
      voters,
      draw(all, 0).filter((peerId) => !voters.includes(peerId)),
    )
    const step = stepTowards(configuration(before), next)
    const end = step.outgoing.length === 0 ? step : destinationOf(step)
    expect(end).toEqual(next)
    if (step.outgoing.length > 0) {
      expect(step.outgoing).toEqual(before)
      expect(step.learners.some((peerId) => before.includes(peerId) || voters.includes(peerId))).toBe(false)
    } else
      expect(new Set([...before, ...voters]).size - before.filter((id) => voters.includes(id)).length).toBeLessThan(2)
  }
})
