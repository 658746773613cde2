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
  elect,
  leader,
  log,
  only,
  settle,
  T,
} from './test-cluster.js'

const pair = ['a', 'b']

function leaderOfTwo(): Raft {
  return leader({ entries: log(pair, [1], ['l']) }, ['b'])
}

function promising(): Raft {
  const raft = leaderOfTwo()
  raft.promiseVote()
  drain(raft)
  return raft
}

/** b as it is when a has led it to index 3, all of it durable here. */
function followerOfTwo(): Raft {
  const raft = core('b', { entries: log(pair, [1], ['l']) })
  const previous = { term: 1, index: 1 }
  const entries = [command(2, 2), command(2, 3)]
  raft.step({ type: 'append', from: 'a', to: 'b', term: 2, previous, entries, commitIndex: 2 })
  drain(raft)
  return raft
}

describe('[M2] the leader of two voters', () => {
  it('promises its vote of the next term, to be shown once it is durable', () => {
    const raft = leaderOfTwo()
    expect(raft.promiseVote()).toBe(true)
    expect(raft.promisedVote).toBeNull()
    const ready = raft.ready()
    expect(ready.write?.hardState).toEqual({ term: 2, votedFor: 'a', promisedTo: 'b', commitIndex: 2 })
    expect(raft.promisedVote).toBeNull()
    raft.persisted(ready.sequence)
    expect(raft.promisedVote).toEqual({ to: 'b', term: 3 })
    expect(raft.promiseVote()).toBe(true)
    expect(raft.hasReady()).toBe(false)
    expect(raft.status()).toMatchObject({ role: 'leader', term: 2, promisedTo: 'b' })
  })

  it('still commits while the promise stands', () => {
    const raft = promising()
    raft.propose(0, [bytes('x')])
    drain(raft)
    acknowledge(raft, 'b')
    expect(raft.commitIndex).toBe(3)
  })

  it('promises nothing before both have all that is committed: its own term’s first entry, and this configuration', () => {
    const fresh = elect(core('a', { entries: log(pair, [1]) }), ['b'])
    expect(fresh.promiseVote()).toBe(false)
    const three = leader({ entries: log(['a', 'b', 'c'], [1]) })
    expect(three.promiseVote()).toBe(false)
    three.proposeConfiguration(0, configuration(pair))
    expect(three.promiseVote()).toBe(false)
    drain(three)
    acknowledge(three, 'b')
    expect(three.promiseVote()).toBe(true)
    expect(leader({ entries: log(['a'], [1]) }, []).promiseVote()).toBe(false)
    expect(core('b', { entries: log(pair, [1]) }).promiseVote()).toBe(false)
  })

  it('changes no configuration until the promise is revoked', () => {
    const raft = promising()
    for (const next of [configuration(['a']), configuration(pair), configuration([...pair, 'c'])])
      expect(raft.proposeConfiguration(0, next)).toEqual({ accepted: false, reason: 'promised', leader: 'a' })
    raft.revokePromise()
    expect(raft.promisedVote).toBeNull()
    expect(settle(raft).write?.hardState).toMatchObject({ promisedTo: null })
    expect(raft.proposeConfiguration(0, configuration(['a']))).toMatchObject({ accepted: true })
    drain(raft)
    expect(raft.commitIndex).toBe(3)
  })

  it('an earlier promise’s write does not make a later one durable', () => {
    const raft = leaderOfTwo()
    raft.promiseVote()
    const first = raft.ready()
    raft.revokePromise()
    const second = raft.ready()
    raft.promiseVote()
    const third = raft.ready()
    raft.persisted(first.sequence)
    expect(raft.promisedVote).toBeNull()
    raft.persisted(second.sequence)
    expect(raft.promisedVote).toBeNull()
    raft.persisted(third.sequence)
    expect(raft.promisedVote).toEqual({ to: 'b', term: 3 })
  })

  it('has cast the vote when it stops leading, for whatever reason, and when it starts again', () => {
    const stepped = promising()
    stepped.stepDown()
    expect(stepped.status()).toMatchObject({ role: 'follower', term: 3, votedFor: 'b', promisedTo: null })
    expect(settle(stepped).write?.hardState).toMatchObject({ term: 3, votedFor: 'b', promisedTo: null })

    const deposed = promising()
    deposed.step({ type: 'heartbeatReply', from: 'b', to: 'a', term: 3, round: 0 })
    expect(deposed.status()).toMatchObject({ role: 'follower', term: 3, votedFor: 'b' })

    const overtaken = promising()
    overtaken.step({ type: 'heartbeatReply', from: 'b', to: 'a', term: 9, round: 0 })
    expect(overtaken.status()).toMatchObject({ role: 'follower', term: 9, votedFor: null, promisedTo: null })

    const restarted = core('a', { entries: log(pair, [1]), hardState: { term: 2, votedFor: 'a', promisedTo: 'b' } })
    expect(restarted.status()).toMatchObject({ role: 'follower', term: 3, votedFor: 'b', promisedTo: null })
    restarted.step({ type: 'vote', from: 'c', to: 'a', term: 3, last: { term: 9, index: 9 }, transfer: false })
    expect(only(drain(restarted), 'voteReply')).toMatchObject([{ to: 'c', granted: false }])
    restarted.step({ type: 'vote', from: 'b', to: 'a', term: 3, last: { term: 9, index: 9 }, transfer: false })
    expect(only(drain(restarted), 'voteReply')).toMatchObject([{ to: 'b', granted: true }])
  })

  it('campaigns in the term after the one it has promised', () => {
    const raft = promising()
    raft.stepDown()
    elect(raft, ['b'])
    expect(raft.term).toBe(4)
  })

  it('goes on leading when it hears nobody, but knows that it has no quorum', () => {
    const raft = leaderOfTwo()
    expect(raft.hasQuorum).toBe(true)
    for (let i = 0; i < 5; i++) raft.tick(T)
    expect(raft.role).toBe('leader')
    expect(raft.hasQuorum).toBe(false)
    drain(raft)
    raft.step({ type: 'heartbeatReply', from: 'b', to: 'a', term: 2, round: raft.currentRound })
    expect(raft.hasQuorum).toBe(true)
  })

  it('steps down when others could be elected: of three voters, or while three may still be in force', () => {
    const raft = leader()
    raft.proposeConfiguration(0, configuration(pair))
    drain(raft)
    raft.tick(T)
    raft.tick(T)
    expect(raft.role).toBe('follower')
    expect(raft.hasQuorum).toBe(false)
  })
})

describe('[M2] the other is gone', () => {
  it('it is dropped by the leader alone, also while it was being taken in', () => {
    const raft = leader({ entries: log(['a'], [1]) }, [])
    raft.proposeConfiguration(0, configuration(pair))
    drain(raft)
    const before = raft.commitIndex
    expect(raft.proposeConfiguration(0, configuration([...pair, 'c']))).toMatchObject({ reason: 'pending-change' })
    expect(raft.proposeConfiguration(0, configuration(['a']))).toMatchObject({ accepted: true })
    drain(raft)
    expect(raft.commitIndex).toBe(before + 2)
    expect(raft.configuration.voters).toEqual(['a'])
  })

  it('[B1] not before the term’s first commit: a configuration that this leader never saw may be in force', () => {
    const raft = elect(core('a', { entries: log(pair, [1]) }), ['b'])
    expect(raft.proposeConfiguration(0, configuration(['a']))).toMatchObject({ reason: 'no-commit-in-term' })
  })

  it('not while three may be in force', () => {
    const raft = leader()
    raft.proposeConfiguration(0, configuration(pair))
    drain(raft)
    expect(raft.proposeConfiguration(0, configuration(['a']))).toMatchObject({ reason: 'pending-change' })
  })
})

describe('[M2] the successor', () => {
  it('leads with the vote that was left to it, and commits alone the configuration without the other', () => {
    const raft = followerOfTwo()
    raft.takePromisedVote('a', 3)
    const ready = raft.ready()
    expect(raft.role).toBe('candidate')
    expect(ready.write?.hardState).toMatchObject({ term: 3, votedFor: 'b' })
    raft.persisted(ready.sequence)
    expect(raft.role).toBe('leader')
    const next = settle(raft)
    expect(next.write?.entries).toEqual([configurationEntry(3, 4, configuration(['b'], ['l']))])
    expect(settle(raft).committed.map(({ index }) => index)).toEqual([3, 4])
    expect(raft.committedInTerm).toBe(true)
    expect(raft.configuration).toEqual(configuration(['b'], ['l']))
  })

  it('forgets the incarnation of who is gone (F2)', () => {
    const incarnations = { a: { counter: 1, nonce: 'x' }, b: { counter: 2, nonce: 'y' } }
    const raft = core('b', { entries: [configurationEntry(1, 1, { ...configuration(pair), incarnations })] })
    raft.takePromisedVote('a', 2)
    drain(raft)
    expect(raft.configuration.incarnations).toEqual({ b: { counter: 2, nonce: 'y' } })
  })

  it('counts its own vote only once it is durable', () => {
    const raft = followerOfTwo()
    raft.takePromisedVote('a', 3)
    raft.ready()
    expect(raft.role).toBe('candidate')
  })

  it('may be a candidate of that term already', () => {
    const raft = followerOfTwo()
    raft.forgetLeader()
    raft.tick(T)
    raft.step({ type: 'preVoteReply', from: 'a', to: 'b', term: 3, granted: true })
    drain(raft)
    expect(raft.status()).toMatchObject({ role: 'candidate', term: 3 })
    raft.takePromisedVote('a', 3)
    drain(raft)
    expect(raft.role).toBe('leader')
    expect(raft.configuration.voters).toEqual(['b'])
  })

  it.each<[string, (raft: Raft) => void]>([
    ['a vote of another term', (raft) => raft.takePromisedVote('a', 4)],
    ['a vote that comes late', (raft) => raft.takePromisedVote('a', 2)],
    ['a vote of somebody else', (raft) => raft.takePromisedVote('l', 3)],
    ['a vote of its own', (raft) => raft.takePromisedVote('b', 3)],
  ])('is not made by %s', (_, give) => {
    const raft = followerOfTwo()
    give(raft)
    drain(raft)
    expect(raft.status()).toMatchObject({ role: 'follower', term: 2, leader: 'a' })
  })

  it('is not made by an old vote that comes to a later candidacy', () => {
    const raft = followerOfTwo()
    raft.step({ type: 'heartbeatReply', from: 'a', to: 'b', term: 7, round: 0 })
    raft.campaign()
    raft.step({ type: 'preVoteReply', from: 'a', to: 'b', term: 8, granted: true })
    drain(raft)
    raft.takePromisedVote('a', 3)
    drain(raft)
    expect(raft.status()).toMatchObject({ role: 'candidate', term: 8 })
  })

  it('is not made by a vote where three vote', () => {
    const raft = core('b')
    raft.takePromisedVote('a', 2)
    expect(raft.status()).toMatchObject({ role: 'follower', term: 1 })
  })

  it('begins an ordinary term if its election was won without the vote', () => {
    const raft = elect(core('b', { entries: log(pair, [1]) }), ['a'])
    raft.takePromisedVote('a', raft.term)
    expect(raft.status()).toMatchObject({ role: 'leader', lastIndex: 2 })
    expect(raft.configuration.voters).toEqual(pair)
  })

  it('who comes back finds a room that did without it, and cannot win', () => {
    const cluster = new Cluster({ voters: pair })
    const first = cluster.elect()
    const gone = first.peerId
    const other = gone === 'a' ? 'b' : 'a'
    first.raft.promiseVote()
    cluster.stabilize()
    const vote = first.raft.promisedVote
    cluster.isolate(gone)
    first.crash()
    cluster.raft(other).takePromisedVote(gone, vote?.term ?? 0)
    cluster.stabilize()
    expect(cluster.raft(other).status()).toMatchObject({ role: 'leader', configuration: { voters: [other] } })
    expect(cluster.raft(gone).term).toBe(vote?.term)
    cluster.heal()
    cluster.run(2_000)
    expect(cluster.leaders()).toEqual([other])
  })
})
