import { describe, expect, it } from 'vitest'
import { Cluster, core, drain, elect, leader, log, only, settle, T } from './test-cluster.js'

const names = ['a', 'b', 'c', 'd', 'e', 'f', 'g']

describe('elections', () => {
  it.each([1, 2, 3, 5, 7])('[S1] %i cold voters get exactly one leader within bounded ticks', (count) => {
    for (let seed = 1; seed <= 20; seed++) {
      const cluster = new Cluster({ voters: names.slice(0, count), seed })
      for (const node of cluster.nodes.values()) expect(node.raft.role).toBe('follower')
      const { raft } = cluster.elect(8 * T)
      cluster.run(T)
      expect(cluster.leaders()).toEqual([raft.status().peerId])
      for (const node of cluster.nodes.values()) expect(node.raft.leader).toBe(raft.leader)
    }
  })

  it('[S2] a higher term makes a follower of everybody and clears the vote', () => {
    const follower = core('b', { hardState: { votedFor: 'a' } })
    const candidate = core('b')
    candidate.campaign()
    candidate.step({ type: 'preVoteReply', from: 'a', to: 'b', term: 2, granted: true })
    expect(candidate.role).toBe('candidate')
    const cases = [follower, candidate, leader()]
    for (const raft of cases) {
      const { peerId } = raft.status()
      raft.step({ type: 'appendReply', from: 'c', to: peerId, term: 9, rejected: false, index: 0 })
      expect(raft.status()).toMatchObject({ role: 'follower', term: 9, votedFor: null, leader: null })
      expect(raft.ready().write?.hardState).toMatchObject({ term: 9, votedFor: null })
    }
  })

  it('[S3][B18] lower-term messages change nothing; a sender that could be stuck learns the term', () => {
    const raft = core('b', { hardState: { term: 5 } })
    const before = raft.status()
    const previous = { term: 1, index: 1 }
    const address = { from: 'a', to: 'b', term: 4 } as const
    const electionTicks = T
    raft.step({ ...address, type: 'append', previous, entries: [], commitIndex: 1 })
    raft.step({ ...address, type: 'heartbeat', commitIndex: 1, round: 3, electionTicks })
    raft.step({ ...address, type: 'vote', last: { term: 9, index: 9 }, transfer: false })
    raft.step({ ...address, type: 'preVote', last: { term: 9, index: 9 } })
    raft.step({ ...address, type: 'voteReply', granted: true })
    raft.step({ ...address, type: 'appendReply', rejected: false, index: 1 })
    expect(raft.status()).toEqual(before)
    const ready = raft.ready()
    const back = { from: 'b', to: 'a', term: 5 }
    expect(ready).toEqual({
      sequence: 1,
      messages: [],
      write: null,
      messagesAfterWrite: [
        { ...back, type: 'appendReply', rejected: true, index: 1, hint: { term: 1, index: 1 } },
        { ...back, type: 'heartbeatReply', round: 3 },
        { ...back, type: 'voteReply', granted: false },
        { ...back, type: 'preVoteReply', granted: false },
      ],
      committed: [],
      reads: [],
    })
  })

  it('[F1] a term more than 2^20 ahead is dropped', () => {
    const raft = core('b')
    raft.step({ type: 'voteReply', from: 'a', to: 'b', term: 1 + 2 ** 20 + 1, granted: false })
    expect(raft.term).toBe(1)
    expect(raft.hasReady()).toBe(false)
    raft.step({ type: 'voteReply', from: 'a', to: 'b', term: 1 + 2 ** 20, granted: false })
    expect(raft.term).toBe(1 + 2 ** 20)
  })

  it('[S4][B5] one vote per term: written before it is said, kept over a restart', () => {
    const raft = core('b')
    raft.step({ type: 'vote', from: 'a', to: 'b', term: 2, last: { term: 1, index: 1 }, transfer: false })
    const ready = raft.ready()
    const hardState = { term: 2, votedFor: 'a', promisedTo: null, commitIndex: 0 }
    expect(ready).toEqual({
      sequence: 1,
      messages: [],
      write: { hardState, entries: [] },
      messagesAfterWrite: [{ type: 'voteReply', from: 'b', to: 'a', term: 2, granted: true }],
      committed: [],
      reads: [],
    })
    const again = core('b', { hardState })
    again.step({ type: 'vote', from: 'c', to: 'b', term: 2, last: { term: 1, index: 1 }, transfer: false })
    expect(only(drain(again), 'voteReply')).toMatchObject([{ to: 'c', granted: false }])
    again.step({ type: 'vote', from: 'a', to: 'b', term: 2, last: { term: 1, index: 1 }, transfer: false })
    expect(only(drain(again), 'voteReply')).toMatchObject([{ to: 'a', granted: true }])
  })

  it.each([
    [{ term: 3, index: 2 }, true],
    [{ term: 2, index: 3 }, true],
    [{ term: 2, index: 4 }, true],
    [{ term: 2, index: 2 }, false],
    [{ term: 1, index: 9 }, false],
  ])('[S5] against a log that ends at 2/3, a candidate with %o: %s', (last, granted) => {
    const raft = core('b', { entries: log(['a', 'b', 'c'], [1, 2, 2]) })
    raft.step({ type: 'preVote', from: 'a', to: 'b', term: 4, last })
    raft.step({ type: 'vote', from: 'a', to: 'b', term: 4, last, transfer: false })
    const messages = drain(raft)
    expect(only(messages, 'preVoteReply')).toMatchObject([{ granted, term: granted ? 4 : 2 }])
    expect(only(messages, 'voteReply')).toMatchObject([{ granted, term: 4 }])
  })

  it('[S6] a repeated request is granted again, a second one in the term is not', () => {
    const raft = core('b')
    for (const from of ['a', 'a', 'c']) {
      raft.step({ type: 'vote', from, to: 'b', term: 2, last: { term: 1, index: 1 }, transfer: false })
    }
    expect(only(drain(raft), 'voteReply').map(({ to, granted }) => [to, granted])).toEqual([
      ['a', true],
      ['a', true],
      ['c', false],
    ])
  })

  it('[S7] time-outs are uniform in [T, 2T) and drawn anew for each election', () => {
    const counts = [0, 0, 0, 0, 0]
    for (let seed = 0; seed < 2000; seed++) {
      const due = core('a', { seed }).ticksUntilDue()
      expect(due).toBeGreaterThanOrEqual(T)
      expect(due).toBeLessThan(2 * T)
      const bucket = Math.floor((due - T) / (T / 5))
      counts[bucket] = (counts[bucket] ?? 0) + 1
    }
    for (const count of counts) expect(Math.abs(count - 400)).toBeLessThan(80)
    const alike = new Set(names.map((name) => core(name, { entries: log(names, [1]) }).ticksUntilDue()))
    expect(alike.size, 'one seed, several peers').toBeGreaterThan(3)
  })

  it('[S7] seven cold voters rarely need more than one election', () => {
    let more = 0
    for (let seed = 0; seed < 100; seed++) if (new Cluster({ voters: names, seed }).elect().raft.term > 2) more++
    expect(more).toBeLessThan(20)
  })

  it('[S8] two candidates of one term: nobody wins, the next election does; a candidate concedes to a leader', () => {
    const cluster = new Cluster({ voters: ['a', 'b', 'c', 'd'] })
    for (const peerId of ['a', 'b']) cluster.raft(peerId).campaign()
    cluster.stabilize()
    cluster.elect()
    expect(cluster.leaders()).toHaveLength(1)

    const raft = core('a')
    raft.campaign()
    raft.step({ type: 'preVoteReply', from: 'b', to: 'a', term: 2, granted: true })
    expect(raft.role).toBe('candidate')
    raft.step({ type: 'heartbeat', from: 'b', to: 'a', term: 2, commitIndex: 0, round: 1, electionTicks: T })
    expect(raft.status()).toMatchObject({ role: 'follower', leader: 'b', term: 2, votedFor: 'a' })
  })

  it('[S9] a late durable self-vote and late votes of an old term elect nobody', () => {
    const raft = core('a')
    raft.campaign()
    raft.step({ type: 'preVoteReply', from: 'b', to: 'a', term: 2, granted: true })
    const { sequence } = raft.ready()
    raft.step({ type: 'voteReply', from: 'c', to: 'a', term: 3, granted: false })
    raft.persisted(sequence)
    raft.step({ type: 'voteReply', from: 'b', to: 'a', term: 2, granted: true })
    expect(raft.status()).toMatchObject({ role: 'follower', term: 3 })
  })

  it('[B5] a candidate asks, and counts its own vote, only when its vote is durable', () => {
    const raft = core('a')
    raft.campaign()
    expect(raft.ready()).toEqual({
      sequence: 1,
      messages: ['b', 'c'].map((to) => ({ type: 'preVote', from: 'a', to, term: 2, last: { term: 1, index: 1 } })),
      write: null,
      messagesAfterWrite: [],
      committed: [],
      reads: [],
    })
    raft.step({ type: 'preVoteReply', from: 'c', to: 'a', term: 2, granted: true })
    const ready = raft.ready()
    const last = { term: 1, index: 1 }
    expect(ready.messages).toEqual([])
    expect(ready.write).toEqual({
      hardState: { term: 2, votedFor: 'a', promisedTo: null, commitIndex: 0 },
      entries: [],
    })
    expect(ready.messagesAfterWrite).toEqual(
      ['b', 'c'].map((to) => ({ type: 'vote', from: 'a', to, term: 2, last, transfer: false })),
    )
    raft.step({ type: 'voteReply', from: 'b', to: 'a', term: 2, granted: true })
    expect(raft.role).toBe('candidate')
    raft.persisted(ready.sequence)
    expect(raft.role).toBe('leader')
  })

  it('[S21][B7] a lone voter elects itself without a message, and commits when its own disk has it', () => {
    const raft = core('a', { entries: log(['a'], [1]) })
    raft.tick(raft.ticksUntilDue())
    const vote = raft.ready()
    expect(vote).toMatchObject({
      messages: [],
      messagesAfterWrite: [],
      write: { hardState: { term: 2, votedFor: 'a' } },
    })
    expect(raft.role).toBe('candidate')
    raft.persisted(vote.sequence)
    const first = raft.ready()
    expect(first).toMatchObject({
      messages: [],
      write: { entries: [{ type: 'noop', term: 2, index: 2 }] },
      committed: [],
    })
    expect(raft.commitIndex).toBe(0)
    raft.persisted(first.sequence)
    expect(raft.ready().committed.map((entry) => entry.index)).toEqual([1, 2])
  })

  it('[S21][S55] a learner and a newborn never campaign; nothing is due for them', () => {
    const learner = core('l', { entries: log(['a'], [1], ['l']) })
    const newborn = core('n', { entries: [], hardState: { term: 0 } })
    for (const raft of [learner, newborn]) {
      expect(raft.ticksUntilDue()).toBe(Number.POSITIVE_INFINITY)
      raft.tick(10 * T)
      raft.campaign()
      raft.forgetLeader()
      raft.tick(10 * T)
      expect(raft.role).toBe('follower')
      expect(raft.hasReady()).toBe(false)
    }
  })

  describe('[M1] a leader that goes names who is next', () => {
    const beat = { type: 'heartbeat', from: 'a', to: 'b', term: 1, round: 1, commitIndex: 1, electionTicks: T } as const
    const follower = (peerId = 'b') => {
      const raft = core(peerId, { entries: log(['a', 'b', 'c', 'd'], [1]) })
      raft.step({ ...beat, to: peerId })
      drain(raft)
      return raft
    }

    it('that one asks for votes at once, and nobody refuses it who still follows the one that has gone', () => {
      const heir = follower()
      heir.forgetLeader('b')
      const [vote] = only(drain(heir), 'vote').filter(({ to }) => to === 'c')
      if (!vote) throw new Error('no vote is asked for')
      expect(vote).toMatchObject({ term: 2, transfer: true })
      const other = follower('c')
      other.step(vote)
      expect(only(drain(other), 'voteReply')).toMatchObject([{ granted: true, term: 2 }])
    })

    it('the others give it a time-out, and then come by turns, whoever it was', () => {
      const dues = ['b', 'c', 'd'].map((peerId) => {
        const raft = follower(peerId)
        raft.forgetLeader('e')
        return raft.ticksUntilDue()
      })
      expect(dues).toEqual([T, (4 * T) / 3, (5 * T) / 3].map((due) => 1 + Math.ceil(due)))
    })

    it('nobody inherits who leads, asks for votes already, follows nobody, or does not vote', () => {
      const leading = leader()
      leading.forgetLeader('a')
      expect(leading.role).toBe('leader')
      const candidate = follower()
      candidate.campaign()
      candidate.forgetLeader('b')
      expect(candidate.role).toBe('preCandidate')
      const lost = core('b')
      lost.forgetLeader('b')
      expect(lost.role).toBe('follower')
      const learner = core('l', { entries: log(['a'], [1], ['l']) })
      learner.step({ ...beat, to: 'l' })
      learner.forgetLeader('l')
      expect(learner.status()).toMatchObject({ role: 'follower', leader: null })
    })
  })

  it('[S24] the first entry of a term is a no-op with the time of the last entry, and commits what came before', () => {
    const entries = log(['a', 'b', 'c'], [1, 1])
    const raft = elect(core('a', { entries: [...entries, { ...noopAt77, term: 1, index: 3 }] }), ['b'])
    expect(raft.lastTime).toBe(77)
    expect(raft.commitIndex).toBe(0)
    raft.step({ type: 'appendReply', from: 'b', to: 'a', term: 2, rejected: false, index: 4 })
    expect(settle(raft).committed.map(({ index, type }) => [index, type])).toEqual([
      [1, 'configuration'],
      [2, 'command'],
      [3, 'noop'],
      [4, 'noop'],
    ])
  })
})

const noopAt77 = { type: 'noop', time: 77 } as const
