import { describe, expect, it } from 'vitest'
import type { Configuration, PeerId } from './entry.js'
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
  T,
} from './test-cluster.js'

const three = ['a', 'b', 'c']
const refused = (reason: string) => ({ accepted: false, reason, leader: 'a' })

describe('changes', () => {
  it('[S52][B1] are refused before the term’s first commit', () => {
    const raft = elect(core('a'), ['b'])
    expect(raft.proposeConfiguration(0, configuration([...three, 'd']))).toEqual(refused('no-commit-in-term'))
    acknowledge(raft, 'b')
    expect(raft.committedInTerm).toBe(true)
    expect(raft.proposeConfiguration(0, configuration([...three, 'd']))).toMatchObject({ accepted: true })
  })

  it('[S52] are refused while one is pending', () => {
    const raft = leader()
    raft.proposeConfiguration(0, configuration(three, ['l']))
    expect(raft.proposeConfiguration(0, configuration(three))).toEqual(refused('pending-change'))
    drain(raft)
    acknowledge(raft, 'b')
    expect(raft.proposeConfiguration(0, configuration(three))).toMatchObject({ accepted: true })
  })

  it('[S52] at a follower are refused with the leader’s name', () => {
    const reply = core('b').proposeConfiguration(0, configuration(three))
    expect(reply).toEqual({ accepted: false, reason: 'not-leader', leader: null })
  })

  it('[S52][B22] are in force at once: the new member is sent to, the new quorum counts', () => {
    const raft = leader()
    const next = configuration([...three, 'd'])
    expect(raft.proposeConfiguration(7, next)).toEqual({ accepted: true, firstIndex: 3, lastIndex: 3 })
    const ready = raft.ready()
    expect(ready.write?.entries).toEqual([{ ...configurationEntry(2, 3, next), time: 7 }])
    expect(only(ready.messages, 'append').map(({ to }) => to)).toEqual(['b', 'c', 'd'])
    raft.persisted(ready.sequence)
    acknowledge(raft, 'b')
    expect(raft.commitIndex).toBe(2)
    acknowledge(raft, 'c')
    expect(raft.commitIndex).toBe(3)
  })

  it('[S58][B31] never remove the last voter, and contradict nothing', () => {
    const two = leader({ entries: log(['a', 'b'], [1]) }, ['b'])
    expect(two.proposeConfiguration(0, configuration([]))).toEqual(refused('no-voters'))
    expect(two.proposeConfiguration(0, configuration(['a', 'b'], ['b']))).toEqual(refused('contradictory'))
    const joint = { ...configuration(['a', 'b']), outgoing: ['a'] }
    expect(two.proposeConfiguration(0, joint)).toEqual(refused('contradictory'))
    const half = { ...configuration(['a', 'b']), learnersNext: ['c'] }
    expect(two.proposeConfiguration(0, half)).toEqual(refused('contradictory'))
    expect(two.lastIndex).toBe(2)
    // Two voters, one of them going: its own acknowledgement is no longer needed.
    expect(two.proposeConfiguration(0, configuration(['a']))).toMatchObject({ accepted: true })
    drain(two)
    expect(two.commitIndex).toBe(3)
  })

  it('[S58] are idempotent, put members in order, and may swap learners and incarnations freely', () => {
    const raft = leader()
    const incarnations = { a: { counter: 2, nonce: 'n' } }
    const next = { ...configuration(['c', 'a', 'b', 'a'], ['z', 'l']), incarnations }
    expect(raft.proposeConfiguration(0, next)).toMatchObject({ accepted: true })
    const ordered: Configuration = { ...configuration(three, ['l', 'z']), incarnations }
    expect(raft.configuration).toEqual(ordered)
    drain(raft)
    acknowledge(raft, 'b')
    expect(raft.proposeConfiguration(0, ordered)).toMatchObject({ accepted: true })
    expect(raft.configuration).toEqual(ordered)
  })

  it('a newcomer does not cost the leader its check-quorum', () => {
    const raft = leader()
    raft.proposeConfiguration(0, configuration([...three, 'd']))
    drain(raft)
    raft.step({ type: 'heartbeatReply', from: 'b', to: 'a', term: 2, round: 1 })
    raft.tick(T)
    expect(raft.role).toBe('leader')
    raft.tick(T)
    expect(raft.role).toBe('follower')
  })

  it('[S52] the interleaving of raft-dev 2015 commits nothing twice', () => {
    // a appends {a,b,c,d,e} minus one; deposed before it commits; b must commit in its term before it changes anything.
    const raft = core('b')
    const next = configuration([...three, 'd'])
    const previous = { term: 1, index: 1 }
    const entries = [configurationEntry(2, 2, next)]
    raft.step({ type: 'append', from: 'a', to: 'b', term: 2, previous, entries, commitIndex: 0 })
    drain(raft)
    elect(raft, ['c', 'd'])
    expect(raft.proposeConfiguration(0, configuration(['a', 'b', 'c']))).toMatchObject({ reason: 'no-commit-in-term' })
    acknowledge(raft, 'c')
    expect(raft.commitIndex, 'quorum of the uncommitted configuration').toBe(0)
    acknowledge(raft, 'd')
    expect(raft.commitIndex).toBe(3)
  })
})

describe('removal', () => {
  it('[S54][B12][B19] a leader removes itself: does not count itself, tells the commit, steps down, campaigns no more', () => {
    const raft = leader()
    raft.proposeConfiguration(0, configuration(['b', 'c']))
    drain(raft)
    acknowledge(raft, 'b')
    expect([raft.role, raft.commitIndex]).toEqual(['leader', 2])
    acknowledge(raft, 'c')
    expect(raft.status()).toMatchObject({ role: 'follower', commitIndex: 3, leader: null, term: 2 })
    const last = { term: 2, index: 3 }
    expect(only(raft.ready().messages, 'commit')).toMatchObject([
      { to: 'b', last },
      { to: 'c', last },
    ])
    raft.tick(4 * T)
    raft.campaign()
    expect([raft.role, raft.ticksUntilDue()]).toEqual(['follower', Number.POSITIVE_INFINITY])
  })

  it('[S54] a leader that demotes itself does the same, and goes on as a learner', () => {
    const cluster = new Cluster({ voters: three })
    const { raft, peerId } = cluster.elect()
    raft.proposeConfiguration(
      0,
      configuration(
        three.filter((id) => id !== peerId),
        [peerId],
      ),
    )
    cluster.stabilize()
    expect(raft.role).toBe('follower')
    const next = cluster.elect()
    cluster.run(T)
    expect(next.peerId).not.toBe(peerId)
    expect(raft.commitIndex).toBe(next.raft.lastIndex)
  })

  it('[S54] one whose removal is not known to be committed may still win, if only its log can (dissertation 4.2.2)', () => {
    const cluster = new Cluster({ voters: ['a', 'b'] })
    const raft = elect(cluster.raft('a'), ['b'])
    cluster.raft('b').step({ type: 'voteReply', from: 'a', to: 'b', term: raft.term, granted: false })
    cluster.node('a').pump()
    cluster.run(60)
    cluster.isolate('b')
    expect(raft.proposeConfiguration(0, configuration(['b']))).toMatchObject({ accepted: true })
    cluster.stabilize()
    raft.stepDown()
    cluster.heal()
    cluster.run(10 * T)
    expect(cluster.leaders()).toEqual(['b'])
    expect(cluster.raft('b').configuration.voters).toEqual(['b'])
  })

  it('[S57] a removed member is told so, then left alone', () => {
    const cluster = new Cluster({ voters: ['a', 'b', 'c', 'd'] })
    const raft = elect(cluster.raft('a'), ['b', 'c', 'd'])
    cluster.run(60)
    raft.proposeConfiguration(0, configuration(three))
    cluster.stabilize()
    expect(cluster.raft('d').status()).toMatchObject({ configuration: { voters: three } })
    expect(cluster.raft('d').commitIndex).toBe(raft.commitIndex)
    expect(raft.status().progress.map(({ peerId }) => peerId)).toEqual(['b', 'c'])
  })

  it('[S57] a removed member that is gone is dropped with the next check-quorum', () => {
    const raft = leader()
    raft.proposeConfiguration(0, configuration(['a', 'b']))
    drain(raft)
    acknowledge(raft, 'b')
    drain(raft)
    expect(raft.status().progress.map(({ peerId }) => peerId)).toEqual(['b', 'c'])
    for (let i = 0; i < 2; i++) {
      raft.tick(T)
      drain(raft)
      raft.step({ type: 'heartbeatReply', from: 'b', to: 'a', term: 2, round: raft.currentRound })
    }
    expect(raft.status().progress.map(({ peerId }) => peerId)).toEqual(['b'])
  })

  it('[S57][B23] a removed member with an old configuration deposes nobody, whatever term it has', () => {
    const cluster = new Cluster({ voters: ['a', 'b', 'c', 'd'] })
    const raft = elect(cluster.raft('a'), ['b', 'c', 'd'])
    cluster.run(60)
    cluster.isolate('d')
    raft.proposeConfiguration(0, configuration(three))
    cluster.run(3 * T)
    const { term } = raft
    cluster.raft('d').step({ type: 'voteReply', from: 'x', to: 'd', term: term + 5, granted: false })
    cluster.heal()
    cluster.run(20 * T)
    expect([raft.role, raft.term]).toEqual(['leader', term])
    const address = { from: 'd', to: 'a', term: term + 9 } as const
    raft.step({ ...address, type: 'appendReply', rejected: false, index: 0 })
    raft.step({ ...address, type: 'heartbeatReply', round: 0 })
    raft.step({ ...address, type: 'vote', last: { term: 9, index: 9 }, transfer: false })
    expect([raft.role, raft.term]).toEqual(['leader', term])
  })
})

describe('learners', () => {
  it('[S55] are never counted', () => {
    const raft = leader({ entries: log(['a', 'b', 'c'], [1], ['l', 'm']) })
    raft.propose(0, [new Uint8Array(1)])
    for (const from of ['l', 'm']) acknowledge(raft, from)
    expect(raft.commitIndex).toBe(2)
  })

  it('[S55] get what is committed in the message that tells so', () => {
    const raft = leader({ entries: log(['a', 'b', 'c'], [1], ['l', 'm']) })
    for (const from of ['l', 'm']) acknowledge(raft, from)
    drain(raft)
    raft.propose(0, [new Uint8Array(1)])
    expect(only(drain(raft), 'append').map(({ to }) => to)).toEqual(['b', 'c'])
    acknowledge(raft, 'b', 3)
    const told = drain(raft).filter(({ to }) => to === 'l' || to === 'm')
    expect(told).toMatchObject(
      ['l', 'm'].map((to) => ({ type: 'append', to, commitIndex: 3, entries: [{ index: 3 }] })),
    )
    expect(told).toHaveLength(2)
  })

  it('[S55] that are made voters get what is not committed at once', () => {
    const raft = leader({ entries: log(['a', 'b', 'c'], [1], ['l']) })
    acknowledge(raft, 'l')
    raft.propose(0, [new Uint8Array(1)])
    drain(raft)
    raft.proposeConfiguration(0, configuration(['a', 'b', 'c', 'l']))
    expect(
      only(drain(raft), 'append')
        .find(({ to }) => to === 'l')
        ?.entries.map(({ index }) => index),
    ).toEqual([3, 4])
  })

  it('[S55][B21] vote when asked by a candidate that knows a newer configuration', () => {
    const learner = core('l', { entries: log(['a'], [1], ['l']) })
    const stranger = core('n', { entries: [], hardState: { term: 0 } })
    for (const raft of [learner, stranger]) {
      const { peerId: to } = raft.status()
      const last = { term: 1, index: 2 }
      raft.step({ type: 'preVote', from: 'c', to, term: 2, last })
      raft.step({ type: 'vote', from: 'c', to, term: 2, last, transfer: false })
      const messages = drain(raft)
      expect(only(messages, 'preVoteReply')).toMatchObject([{ granted: true }])
      expect(only(messages, 'voteReply')).toMatchObject([{ granted: true }])
    }
  })

  it('[S55] stickiness of a learner ends with the silence of its leader', () => {
    const learner = core('l', { entries: log(['a'], [1], ['l']) })
    learner.step({ type: 'heartbeat', from: 'a', to: 'l', term: 1, commitIndex: 0, round: 1, electionTicks: T })
    drain(learner)
    learner.tick(learner.ticksUntilDue())
    expect([learner.role, learner.leader]).toEqual(['follower', null])
  })

  it('[S55] catch up from nothing and are promoted', () => {
    const cluster = new Cluster({ voters: ['a'], newcomers: ['b', 'c'] })
    const { raft } = cluster.elect()
    for (let i = 0; i < 50; i++) raft.propose(i, [new Uint8Array(1)])
    const change = (voters: PeerId[], learners: PeerId[]) => {
      expect(raft.proposeConfiguration(0, configuration(voters, learners))).toMatchObject({ accepted: true })
      cluster.run(60)
    }
    change(['a'], ['b'])
    expect(cluster.raft('b').commitIndex).toBe(raft.commitIndex)
    change(['a', 'b'], ['c'])
    change(['a', 'b', 'c'], [])
    cluster.isolate('a')
    cluster.run(4 * T)
    expect(cluster.leaders().some((id) => id !== 'a')).toBe(true)
  })
})

it('[B10] an uncommitted configuration survives a restart, and goes with its entry', () => {
  const next = configuration([...three, 'd'])
  const raft = core('b', { entries: [...log(three, [1]), configurationEntry(1, 2, next)] })
  expect(raft.status()).toMatchObject({ configuration: next, configurationIndex: 2, commitIndex: 0 })
  const previous = { term: 1, index: 1 }
  raft.step({ type: 'append', from: 'c', to: 'b', term: 2, previous, entries: [command(2, 2)], commitIndex: 0 })
  expect(raft.status()).toMatchObject({ configuration: { voters: three }, configurationIndex: 1 })
})
