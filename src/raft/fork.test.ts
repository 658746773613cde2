import { describe, expect, it } from 'vitest'
import { converse, core, drain, elect, log, only, settle, T } from './test-cluster.js'

describe('[N3] fork', () => {
  it('leads alone in a term of its own, and keeps what was not committed', () => {
    const raft = core('c', { entries: log(['a', 'b', 'c'], [1, 1, 2]), hardState: { term: 4, commitIndex: 2 } })
    const foundation = raft.fork(6)
    expect(foundation).toEqual({ term: 6, index: 4 })
    const ready = settle(raft)
    expect(ready.messages).toEqual([])
    expect(ready.write?.hardState).toMatchObject({ term: 6, votedFor: 'c' })
    drain(raft)
    expect(raft.status()).toMatchObject({ role: 'leader', term: 6, commitIndex: 4 })
    expect(raft.configuration).toMatchObject({ voters: ['c'], outgoing: [], learners: [] })
    expect(raft.propose(0, [new Uint8Array()]).accepted).toBe(true)
  })

  it('a leader that has lost its quorum may do it too, and its reads fail', () => {
    const raft = elect(core('a'), ['b'])
    raft.read(7)
    raft.fork(raft.term + 1)
    expect(settle(raft).reads).toEqual([{ id: 7, index: null }])
    expect(raft.role).toBe('leader')
  })

  it('is refused in a term that others may have seen', () => {
    const raft = core('c', { hardState: { term: 4 } })
    expect(() => raft.fork(4)).toThrow('a term of its own')
  })

  it('whose log has not come to its first entry does not campaign, though it votes in the history before', () => {
    const raft = core('a', { entries: log(['a', 'b', 'c'], [1, 1]), hardState: { term: 2 } })
    raft.joinFork({ term: 6, index: 4 })
    raft.tick(10 * T)
    raft.campaign()
    expect(drain(raft)).toEqual([])
    expect(raft.role).toBe('follower')
  })

  it('... nor after a restart, but follows the one that leads it, and cuts what that one does not have', () => {
    const restored = { entries: log(['a', 'b', 'c'], [1, 1, 1, 1]), hardState: { term: 2 } }
    const raft = core('a', { ...restored, foundation: { term: 6, index: 4 } })
    raft.campaign()
    expect(drain(raft)).toEqual([])
    const forked = core('c', { entries: log(['a', 'b', 'c'], [1, 1, 2]), hardState: { term: 4 } })
    forked.fork(6)
    drain(forked)
    expect(forked.proposeConfiguration(0, { ...forked.configuration, learners: ['a'] }).accepted).toBe(true)
    converse(forked, raft)
    expect(raft.configuration).toMatchObject({ voters: ['c'], learners: ['a'] })
    expect(raft.entryTerm(3)).toBe(2)
    expect(raft.lastIndex).toBe(forked.lastIndex)
  })

  it('once it votes in the new history it may lead it', () => {
    const raft = core('a', { foundation: { term: 6, index: 4 } })
    const forked = core('c', { entries: log(['a', 'b', 'c'], [1, 1, 2]), hardState: { term: 4 } })
    forked.fork(6)
    drain(forked)
    const learners = { ...forked.configuration, learners: ['a'] }
    expect(forked.proposeConfiguration(0, learners).accepted).toBe(true)
    converse(forked, raft)
    expect(forked.proposeConfiguration(0, { ...learners, voters: ['a', 'c'], learners: [] }).accepted).toBe(true)
    converse(forked, raft)
    raft.campaign()
    expect(only(drain(raft), 'preVote')).toHaveLength(1)
  })

  it('a log that went on elsewhere has no part in it', () => {
    const raft = core('a', { hardState: { term: 6 } })
    expect(() => raft.joinFork({ term: 6, index: 4 })).toThrow('went on elsewhere')
  })
})
