import { afterEach, describe, expect, it, vi } from 'vitest'
import type { PeerMessage } from './groups.js'
import { Raft, RaftGroups } from './index.js'
import { bytes, configuration, T, timing } from './test-cluster.js'
import { type Letter, Processes, type ProcessesOptions } from './test-groups.js'

const peers = ['a', 'b', 'c']
const heartbeat = timing.heartbeatTicks

/** Each process leads every third group, or `a` all of them; all at rest. */
function resting(options: Partial<ProcessesOptions> = {}, leader?: string): Processes {
  const processes = new Processes({ peers, groups: 3, ...options })
  const { groups } = processes.options
  for (let id = 1; id <= groups; id++) processes.lead(leader ?? peers[id % 3] ?? 'a', id)
  processes.until(() => processes.isAllQuiet())
  processes.run(T)
  processes.sent = []
  return processes
}

const ofGroups = (letters: readonly Letter[]) => letters.flatMap(({ id, message }) => (id === null ? [] : [message]))
const namesOf = (letters: readonly Letter[]) =>
  letters.map(({ message: { type, from, to } }) => `${type} ${from}${to}`).sort()

afterEach(() => void vi.restoreAllMocks())

describe('[S70] what idle groups cost', () => {
  it('[S70] 1,000 groups at rest on 3 peers: one beat and one answer per pair and heartbeat interval; no core is touched', () => {
    const processes = resting({ groups: 1000 })
    const touched = (['tick', 'step', 'hasReady', 'ready', 'ticksUntilDue', 'wake'] as const).map((name) =>
      vi.spyOn(Raft.prototype, name),
    )
    for (let interval = 0; interval < 20; interval++) {
      processes.sent = []
      processes.run(heartbeat)
      const pairs = ['ab', 'ac', 'ba', 'bc', 'ca', 'cb']
      const expected = [...pairs.map((pair) => `beat ${pair}`), ...pairs.map((pair) => `beatReply ${pair}`)]
      expect(namesOf(processes.sent), 'O(peers): nothing else is sent').toEqual(expected)
    }
    for (const spy of touched) expect(spy, 'a group at rest costs nothing').not.toHaveBeenCalled()
    for (const { groups } of processes.up) {
      expect(groups.ticksUntilDue(), 'the host sleeps until the next beat').toBeGreaterThan(0)
      expect(groups.ticksUntilDue()).toBeLessThanOrEqual(heartbeat)
    }
  }, 60_000)

  it('[S70] where one peer leads all, only it beats', () => {
    const processes = resting({ groups: 10 }, 'a')
    processes.run(heartbeat)
    expect(namesOf(processes.sent), 'one beat per led pair').toEqual([
      'beat ab',
      'beat ac',
      'beatReply ba',
      'beatReply ca',
    ])
  })

  it('[S70] time is told only to groups that are due', () => {
    const processes = resting({ groups: 50 })
    processes.at('b').groups.use(1, (raft) => raft.propose(0, [bytes('x')]))
    processes.stabilize()
    const ticked = vi.spyOn(Raft.prototype, 'tick')
    processes.run(heartbeat)
    expect(ticked.mock.calls.length, 'one group is awake on three peers').toBeLessThan(3 * 10)
    expect(ticked.mock.calls.length).toBeGreaterThan(0)
  })

  it('[S70] a group of one needs no beats', () => {
    const processes = new Processes({ peers: ['a'], groups: 5 })
    processes.until(() => processes.isAllQuiet())
    processes.sent = []
    processes.run(10 * T)
    expect([processes.sent, processes.isAllQuiet()]).toEqual([[], true])
    processes.at('a').groups.use(1, (raft) => raft.propose(0, [bytes('x')]))
    processes.stabilize()
    expect(processes.at('a').groups.status(1)).toMatchObject({ quiet: false, commitIndex: 3 })
  })

  it('[S70] at rest, everybody is said to be there and quiet', () => {
    const { groups } = resting({}, 'a').at('a')
    const { quiet, role, progress } = groups.status(1)
    expect({ quiet, role }).toEqual({ quiet: true, role: 'leader' })
    expect(
      progress.map(({ active }) => active),
      'who sleeps is not down',
    ).toEqual([true, true])
  })
})

describe('[S70] what wakes a group', () => {
  const wakes = (processes: Processes, id: number) => {
    const at = (peerId: string) => processes.at(peerId).groups
    for (const peerId of peers) {
      expect(at(peerId).status(id).quiet, `the group is awake on ${peerId}`).toBe(false)
      expect(at(peerId).status(id === 1 ? 2 : 1).quiet, 'another group sleeps on').toBe(true)
    }
    processes.until(() => processes.isAllQuiet())
    const terms = peers.map((peerId) => at(peerId).view(id)?.term)
    expect(terms, 'and rests again, under the same leader').toEqual([2, 2, 2])
  }

  it('[S70] a proposal at the leader', () => {
    const processes = resting({}, 'a')
    const { groups } = processes.at('a')
    expect(groups.use(1, (raft) => raft.propose(0, [bytes('x')]))).toMatchObject({ accepted: true })
    processes.stabilize()
    const commits = peers.map((peerId) => processes.at(peerId).groups.view(1)?.commitIndex)
    expect(commits, 'committed and told').toEqual([3, 3, 3])
    processes.run(heartbeat)
    wakes(processes, 1)
  })

  it('[S70] a proposal at a follower, which is told whom to ask, and tells its leader', () => {
    const processes = resting({}, 'a')
    const { groups } = processes.at('b')
    expect(groups.use(1, (raft) => raft.propose(0, [bytes('x')]))).toMatchObject({ reason: 'not-leader', leader: 'a' })
    processes.run(10)
    wakes(processes, 1)
    const campaigns = ofGroups(processes.sent).filter(({ type }) => type === 'preVote')
    expect(campaigns, 'nobody has to campaign for it').toEqual([])
  })

  it.each(['a', 'b'])('[S70][R1] a read at %s, answered by a round of its own', (peerId) => {
    const processes = resting({ raft: { leaseTicks: T - 1 } }, 'a')
    const process = processes.at(peerId)
    process.groups.use(2, (raft) => raft.read(7))
    processes.pumpAll()
    expect(process.reads, 'no read is served on the strength of beats').toEqual([])
    processes.stabilize()
    expect(process.reads).toEqual([{ group: 2, id: 7, index: 2 }])
    processes.run(10)
    wakes(processes, 2)
  })

  it('[S70][M6] at rest there are no lease reads, however young the lease is', () => {
    const processes = new Processes({ peers, groups: 1, raft: { leaseTicks: T - 1 } })
    processes.lead('a', 1)
    const { groups, reads } = processes.at('a')
    processes.until(() => groups.status(1).quiet)
    groups.use(1, (raft) => raft.read(1))
    processes.pumpAll()
    expect(reads, 'a round is begun for it').toEqual([])
    processes.stabilize()
    expect(reads).toEqual([{ group: 1, id: 1, index: 2 }])
  })

  it('[S70][B15] a lease does not outlast the rest, for hours of it count', () => {
    const processes = resting({ groups: 1, raft: { leaseTicks: T - 1 } }, 'a')
    processes.cut(['a'], ['b', 'c'])
    const { groups, reads } = processes.at('a')
    groups.use(1, (raft) => raft.read(1))
    processes.stabilize()
    expect(reads, 'not before a quorum has answered').toEqual([])
    processes.run(2 * T)
    expect(reads, 'the leader is deposed by itself').toEqual([{ group: 1, id: 1, index: null }])
  })

  it('[S70] a change of configuration, a transfer, a campaign, a new priority', () => {
    const processes = resting({}, 'a')
    const { groups } = processes.at('a')
    const next = configuration(['a', 'b'], ['c'])
    expect(groups.use(1, (raft) => raft.proposeConfiguration(0, next))).toMatchObject({ accepted: true })
    processes.stabilize()
    expect(processes.at('c').groups.view(1)?.configuration.learners).toEqual(['c'])
    expect(groups.use(2, (raft) => raft.transferLeadership('b'))).toBe('started')
    processes.stabilize()
    expect(processes.leaderOf(2), 'handed over').toBe('b')
    processes.at('c').groups.use(3, (raft) => raft.setPriority(5))
    processes.run(3 * heartbeat)
    const told = ofGroups(processes.sent).filter((one) => one.type === 'heartbeat' && one.heir === 'c')
    expect(told.length, 'who is fitter is known').toBeGreaterThan(0)
    processes.until(() => processes.isAllQuiet())
    expect(processes.leaderOf(3)).toBe('a')
  })

  it('[S70] the loss of a peer that is told: groups led here wake, and rest again without it', () => {
    const processes = resting({}, 'a')
    processes.at('c').isUp = false
    const { groups } = processes.at('a')
    groups.reportUnreachable('c')
    expect(
      [1, 2, 3].map((id) => groups.status(id).quiet),
      'awake',
    ).toEqual([false, false, false])
    processes.until(() => processes.isAllQuiet())
    groups.reportUnreachable('c')
    expect(groups.status(1).quiet, 'that it is still gone is no news').toBe(true)
    const active = groups.status(1).progress.map(({ peerId, active }) => [peerId, active])
    expect(active, 'who is gone is said to be').toEqual([
      ['b', true],
      ['c', false],
    ])
  })

  it('[S70][S19] forgetLeader: a quorum elects at once in every group, the leader alone cannot hold it', () => {
    const processes = resting({ groups: 100 }, 'a')
    processes.at('a').isUp = false
    for (const peerId of ['b', 'c']) processes.at(peerId).groups.forgetLeader('a')
    processes.run(T / 2)
    for (let id = 1; id <= 100; id++) expect(processes.leaderOf(id), 'elected without waiting').toBe('b')
  })

  it('[S70] hours of rest are no silence: who wakes does not campaign', () => {
    const processes = resting({ options: { recheckTicks: Number.POSITIVE_INFINITY } }, 'a')
    for (let i = 0; i < 2000; i++) processes.run(heartbeat, heartbeat)
    expect(processes.isAllQuiet()).toBe(true)
    processes.sent = []
    const { groups } = processes.at('b')
    const address = { from: 'c', to: 'b', term: 3, last: { term: 2, index: 2 } }
    groups.step(1, { type: 'preVote', ...address })
    groups.tick(0)
    processes.stabilize()
    const types = new Set(ofGroups(processes.sent).map(({ type }) => type))
    expect(types.has('preVote') || types.has('preVoteReply'), 'it sticks to its leader').toBe(false)
    expect(groups.view(1)).toMatchObject({ role: 'follower', leader: 'a', term: 2 })
  })

  it('[S70] a group rests for a while only: then a heartbeat says that all is well', () => {
    const processes = resting({ groups: 1, options: { recheckTicks: 1000 } }, 'a')
    processes.run(1500)
    const beats = ofGroups(processes.sent).filter(({ type }) => type === 'heartbeat')
    expect(beats.length, 'it woke').toBeGreaterThan(0)
    expect(beats.length, 'and went to rest again').toBeLessThan(40)
    const isCalm = ofGroups(processes.sent).every(({ type }) => type === 'heartbeat' || type === 'heartbeatReply')
    expect(isCalm, 'without elections').toBe(true)
  })
})

describe('[S70] going to rest', () => {
  it('[S70][M6] only once every live member has agreed with term and commit index; what is lost is asked again', () => {
    const processes = new Processes({ peers, groups: 1 })
    let lost = 0
    processes.filter = ({ message }) => {
      const isLost = message.type === 'heartbeat' && message.quiet === true && message.to === 'c' && lost < 3
      if (isLost) lost++
      return !isLost
    }
    processes.lead('a', 1)
    processes.until(() => processes.at('b').groups.status(1).quiet)
    expect(processes.at('a').groups.status(1).quiet, 'the leader waits for c').toBe(false)
    processes.until(() => processes.isAllQuiet())
    expect(lost).toBe(3)
    const campaigns = ofGroups(processes.sent).filter(({ type, from }) => type === 'preVote' && from !== 'a')
    expect(campaigns, 'and nobody campaigned').toEqual([])
  })

  it('[S70][M6] answers that agree are lost too: the leader asks again', () => {
    const processes = new Processes({ peers, groups: 1 })
    let lost = 0
    processes.filter = ({ message }) => !(message.type === 'heartbeatReply' && message.quiet && lost++ < 4)
    processes.lead('a', 1)
    processes.until(() => processes.isAllQuiet())
    expect(lost).toBeGreaterThan(4)
    expect(processes.at('a').groups.view(1)?.term).toBe(2)
  })

  it.each([
    ['an older commit index', { commitIndex: 1 }],
    ['an older term', { term: 1 }],
    ['a term that is not durable here', { term: 3 }],
  ])(
    '[S70] a follower to which %s is said does not agree: its answer is an ordinary one, which wakes the leader',
    (_, other) => {
      const processes = resting({ groups: 1 }, 'a')
      const { groups } = processes.at('b')
      const quiet = { type: 'heartbeat', from: 'a', to: 'b', term: 2, commitIndex: 2, quiet: true } as const
      groups.step(1, { ...quiet, round: 99, electionTicks: T, ...other })
      expect(groups.status(1).quiet, 'awake').toBe(false)
      processes.run(5)
      expect(processes.at('a').groups.status(1).quiet, 'the leader is told').toBe(false)
      const answers = ofGroups(processes.sent).filter((one) => one.type === 'heartbeatReply' && one.round === 99)
      expect(answers).toHaveLength(1)
      expect(answers[0]).not.toHaveProperty('quiet')
    },
  )

  it('[S70][tikv#19219] a follower that has not all does not rest, nor one whose disk is behind', () => {
    const groups = new RaftGroups({ ...timing, peerId: 'b', epoch: 1 })
    const processes = new Processes({ peers, groups: 1 })
    const restored = processes.at('b').disks.get(1)
    groups.add(1, { seed: 1, ...(restored && { restored }) })
    const from = { from: 'a', to: 'b', term: 1 } as const
    groups.receive({ type: 'beat', from: 'a', to: 'b', epoch: 1, electionTicks: T })
    const electionTicks = T
    const quiet = { type: 'heartbeat', ...from, round: 1, electionTicks, quiet: true } as const
    const previous = { term: 1, index: 1 }
    const entries = [{ type: 'noop', term: 1, index: 2, time: 0 }] as const
    groups.step(1, { type: 'append', ...from, previous, entries, commitIndex: 1 })
    groups.step(1, { ...quiet, commitIndex: 1 })
    expect(groups.status(1).quiet, 'it has more than is committed').toBe(false)
    groups.step(1, { ...quiet, commitIndex: 2 })
    expect(groups.status(1).quiet, 'its disk is behind').toBe(false)
    groups.persisted(1, groups.ready(1).sequence)
    groups.step(1, { ...quiet, commitIndex: 2 })
    expect(groups.status(1).quiet, 'now it has all').toBe(true)
    const answers = groups.ready(1).messages.filter(({ type }) => type === 'heartbeatReply')
    expect(answers).toMatchObject([{ quiet: true }])
  })

  it('[S70][M2] two voters: without the other nobody rests, nor while a vote is promised', () => {
    const processes = new Processes({ peers: ['a', 'b'], groups: 1 })
    processes.lead('a', 1)
    const { groups } = processes.at('a')
    expect(groups.use(1, (raft) => raft.promiseVote())).toBe(true)
    processes.run(10 * T)
    expect(groups.status(1).quiet, 'a promise keeps it awake').toBe(false)
    groups.use(1, (raft) => raft.revokePromise())
    processes.until(() => processes.isAllQuiet())
    processes.at('b').isUp = false
    processes.run(20 * T)
    expect(groups.status(1), 'it cannot be replaced, and waits for its quorum').toMatchObject({
      role: 'leader',
      quiet: false,
    })
  })

  it('[S70] nobody rests under a process whose beats it does not hear', () => {
    const processes = new Processes({ peers, groups: 2 })
    processes.filter = ({ message }) => message.type !== 'beat' || message.to !== 'b'
    processes.lead('a', 1)
    processes.lead('a', 2)
    processes.run(20 * T)
    expect(processes.at('b').quiet(), 'b stays awake').toEqual([])
    expect(processes.at('a').quiet(), 'and so does its leader').toEqual([])
    expect(processes.at('a').groups.view(1)?.term, 'and nobody campaigns').toBe(2)
    processes.heal()
    processes.until(() => processes.isAllQuiet())
  })

  it('[S70] a core that is not in groups answers as always, and its leader stays awake', () => {
    const raft = new Raft({ ...timing, peerId: 'b', seed: 1 })
    raft.step({
      ...{ type: 'heartbeat', from: 'a', to: 'b', term: 1, commitIndex: 0, round: 1, electionTicks: T, quiet: true },
      type: 'heartbeat',
    })
    const { sequence } = raft.ready()
    raft.persisted(sequence)
    raft.step({
      type: 'heartbeat',
      from: 'a',
      to: 'b',
      term: 1,
      commitIndex: 0,
      round: 2,
      electionTicks: T,
      quiet: true,
    })
    expect(raft.ready().messages).toEqual([{ type: 'heartbeatReply', from: 'b', to: 'a', term: 1, round: 2 }])
  })
})

describe('[S70] what happens to groups at rest', () => {
  it('[S70] the leader of 1,000 groups dies: each has a new one within two election time-outs, by turns', () => {
    const processes = resting({ groups: 1000 }, 'a')
    processes.at('a').isUp = false
    processes.run(T - heartbeat - 5)
    expect(ofGroups(processes.sent), 'nobody is in a hurry').toEqual([])
    const campaigns = new Map<number, number>()
    for (let at = 0; at < 2 * timing.electionTicksMax; at += 5) {
      processes.sent = []
      processes.run(5)
      campaigns.set(at, ofGroups(processes.sent).filter(({ type }) => type === 'preVote').length)
    }
    for (let id = 1; id <= 1000; id++) expect(processes.leaderOf(id), 'there is a new leader').not.toBeNull()
    const most = Math.max(...campaigns.values())
    expect(most, 'their time-outs are spread').toBeLessThan(500)
    processes.until(() => processes.isAllQuiet())
  }, 60_000)

  it('[S70][F2] a leader that restarts at once has forgotten its groups: another epoch wakes them, also those it does not campaign in', () => {
    const processes = resting({ groups: 20 }, 'a')
    // Its beats go on in the new life, for a group that it leads again.
    processes.at('a').restart()
    processes.lead('a', 1)
    processes.until(() => processes.at('a').groups.status(1).quiet)
    processes.run(2 * timing.electionTicksMax)
    for (let id = 1; id <= 20; id++) {
      const leader = processes.leaderOf(id)
      expect(leader, `group ${id} is led`).not.toBeNull()
      const led = peers.map((peerId) => processes.at(peerId).groups.view(id)?.leader)
      expect(led, 'and all know by whom').toEqual([leader, leader, leader])
    }
    processes.until(() => processes.isAllQuiet())
  })

  it('[S70][F2] an epoch alone wakes what followed the old one; an older one is nothing', () => {
    const processes = resting({ groups: 2 }, 'a')
    const { groups } = processes.at('b')
    const beat: PeerMessage = { type: 'beat', from: 'a', to: 'b', epoch: 2, electionTicks: T }
    groups.receive(beat)
    expect([1, 2].map((id) => groups.status(id).quiet)).toEqual([false, false])
    groups.takeBeats()
    groups.receive({ ...beat, epoch: 1 })
    expect(groups.takeBeats(), 'a beat of a life that is over has no answer').toEqual([])
  })

  it('[S70] a follower that restarts, a learner too, is led again', () => {
    const processes = new Processes({ peers: [...peers, 'l'], learners: ['l'], groups: 2 })
    for (const id of [1, 2]) processes.lead('a', id)
    processes.until(() => processes.isAllQuiet())
    processes.run(T)
    processes.at('l').restart()
    processes.at('l').groups.tick(0)
    processes.until(() => processes.at('l').groups.view(1)?.leader === 'a', 2 * T)
    processes.until(() => processes.isAllQuiet())
    expect(processes.at('a').groups.view(1)?.term).toBe(2)
  })

  it('[S70] a dead follower keeps nobody awake; it catches up when it is back', () => {
    const processes = resting({ groups: 10 }, 'a')
    const c = processes.at('c')
    c.isUp = false
    processes.until(() => !processes.at('a').groups.status(1).quiet)
    processes.until(() => processes.isAllQuiet())
    processes.at('a').groups.use(4, (raft) => raft.propose(0, [bytes('x')]))
    processes.until(() => processes.at('a').groups.status(4).commitIndex === 3)
    processes.until(() => processes.isAllQuiet())
    processes.sent = []
    processes.run(20 * T)
    expect(ofGroups(processes.sent), 'the dead one is remembered').toEqual([])
    c.restart()
    processes.until(() => c.groups.view(4)?.commitIndex === 3)
    processes.until(() => processes.isAllQuiet())
    for (let id = 1; id <= 10; id++) {
      expect(processes.at('a').groups.view(id), 'its return deposes nobody').toMatchObject({ role: 'leader', term: 2 })
    }
  })

  it('[S70] a learner that was cut off at rest comes back', () => {
    const processes = new Processes({ peers: [...peers, 'l'], learners: ['l'], groups: 1 })
    processes.lead('a', 1)
    processes.until(() => processes.isAllQuiet())
    processes.cut(['l'], peers)
    processes.cut(peers, ['l'])
    processes.until(() => !processes.at('a').groups.status(1).quiet)
    processes.until(() => processes.at('a').groups.status(1).quiet)
    processes.at('a').groups.use(1, (raft) => raft.propose(0, [bytes('x')]))
    processes.until(() => processes.at('a').groups.status(1).quiet)
    processes.heal()
    processes.until(() => processes.at('l').groups.view(1)?.commitIndex === 3, 4 * T)
  })

  it('[S70] a learner that was cut off before it rested says nothing by itself: its answer to a beat brings it back', () => {
    const processes = new Processes({ peers: [...peers, 'l'], learners: ['l'], groups: 2 })
    for (const id of [1, 2]) processes.lead('a', id)
    processes.cut(['l'], peers)
    processes.cut(peers, ['l'])
    const { groups } = processes.at('a')
    groups.use(1, (raft) => raft.propose(0, [bytes('x')]))
    processes.until(() => groups.status(1).quiet && groups.status(2).quiet)
    const learner = processes.at('l').groups
    expect([learner.status(1).quiet, learner.view(1)?.commitIndex], 'it is behind, and nobody waits for it').toEqual([
      false,
      2,
    ])
    processes.heal()
    processes.sent = []
    processes.until(() => learner.view(1)?.commitIndex === 3 && learner.view(2)?.leader === 'a', 2 * heartbeat)
    const [first] = ofGroups(processes.sent)
    expect(first, 'it has not followed at rest: it is the leader that speaks').toMatchObject({ from: 'a' })
    processes.until(() => processes.isAllQuiet())
    expect(groups.view(1)?.term).toBe(2)
  })

  it('[S70] a follower whose word that it woke was lost says it again with each beat: a learner has no other way', () => {
    const processes = new Processes({ peers: [...peers, 'l'], learners: ['l'], groups: 2 })
    for (const id of [1, 2]) processes.lead('a', id)
    processes.until(() => processes.isAllQuiet())
    processes.run(T)
    const { groups } = processes.at('l')
    let lost = 0
    processes.filter = ({ message }) => message.type !== 'heartbeatReply' || message.round > 0 || lost++ > 0
    groups.forgetLeader('a')
    processes.until(() => groups.view(1)?.leader === 'a' && groups.view(2)?.leader === 'a', 3 * heartbeat)
    expect(lost, 'the first was lost').toBeGreaterThan(1)
    processes.heal()
    processes.until(() => processes.isAllQuiet())
    expect(processes.at('a').groups.view(1)?.term).toBe(2)
  })

  it('[S70] some beats that are lost wake nobody', () => {
    const processes = resting({ groups: 5 }, 'a')
    let count = 0
    processes.filter = ({ message }) => message.type !== 'beat' || count++ % 3 > 0
    processes.run(20 * T)
    expect(ofGroups(processes.sent), 'an election time-out is longer than a beat').toEqual([])
  })

  it('[S70][S13] a leader that is cut off from its quorum steps down, the others elect', () => {
    const processes = resting({ groups: 10 }, 'a')
    processes.cut(['a'], ['b', 'c'])
    processes.cut(['b', 'c'], ['a'])
    processes.run(2 * T + 2 * heartbeat)
    expect(processes.at('a').leads(), 'it leads nothing any more').toEqual([])
    processes.run(timing.electionTicksMax)
    for (let id = 1; id <= 10; id++) expect(processes.leaderOf(id)).not.toBeNull()
    processes.heal()
    processes.until(() => processes.isAllQuiet())
  })

  it.each([
    ['to the leader', ['b', 'c'], ['a']],
    ['from the leader', ['a'], ['b', 'c']],
  ])('[S70][B30] one-way, nothing comes %s: it steps down and another one leads', (_, from, to) => {
    const processes = resting({ groups: 10 }, 'a')
    processes.cut(from, to)
    processes.run(4 * T + 2 * heartbeat)
    expect(processes.at('a').leads(), 'check-quorum holds').toEqual([])
    processes.heal()
    processes.until(() => processes.isAllQuiet())
    for (let id = 1; id <= 10; id++) expect(processes.leaderOf(id)).not.toBeNull()
  })

  it('[S70][C3] a process that slept for a minute: what came meanwhile is read before anybody is given up', () => {
    const processes = resting({ groups: 100 }, 'a')
    for (const sleeper of peers) {
      processes.sent = []
      processes.at(sleeper).groups.tick(60_000)
      for (const other of peers) if (other !== sleeper) processes.at(other).groups.tick(heartbeat)
      processes.stabilize()
      processes.run(2 * T)
      expect(ofGroups(processes.sent), `${sleeper} wakes nobody`).toEqual([])
    }
    processes.at('a').isUp = false
    const { groups } = processes.at('b')
    groups.tick(1000)
    expect(groups.readyGroups(), 'its own gap').toEqual([])
    groups.tick(1000)
    expect(groups.readyGroups(), 'somebody else is silent').toHaveLength(100)
  })

  it('[S70] a deposed leader that slept through it is told', () => {
    const processes = resting({ groups: 5 }, 'a')
    const { filter } = processes
    processes.cut(['a'], ['b', 'c'])
    processes.run(6 * T)
    processes.filter = filter
    processes.until(() => processes.isAllQuiet())
    for (let id = 1; id <= 5; id++) {
      const terms = new Set(peers.map((peerId) => processes.at(peerId).groups.view(id)?.term))
      expect(terms.size, 'all are of one term').toBe(1)
    }
  })

  it('[S70] garbage of every shape, at rest and awake, throws nothing and leads to nothing', () => {
    const processes = resting({ groups: 2 }, 'a')
    for (const to of ['a', 'b']) {
      const { groups } = processes.at(to)
      for (const from of ['a', 'c', 'z']) {
        for (const term of [0, 1, 2]) {
          for (const index of [0, 1, 2, 99]) {
            const address = { from, to, term }
            const id = { term, index }
            groups.step(1, { ...address, type: 'append', previous: id, entries: [], commitIndex: 99 })
            groups.step(1, { ...address, type: 'appendReply', rejected: true, index, hint: id })
            groups.step(1, {
              ...address,
              type: 'heartbeat',
              commitIndex: index,
              round: 9,
              electionTicks: T,
              quiet: true,
            })
            groups.step(2, { ...address, type: 'heartbeatReply', round: index, quiet: true })
            groups.step(2, { ...address, type: 'readIndex', id: index })
            groups.receive({ from, to, epoch: index, type: 'beat', electionTicks: Number.NaN })
            groups.receive({ from, to, epoch: index - 1, type: 'beatReply' })
            groups.tick(index)
          }
        }
      }
    }
    processes.stabilize()
    for (const process of processes.up) {
      // Epochs of garbage are above any that will come.
      process.epoch = 100
      process.restart()
    }
    processes.until(() => processes.isAllQuiet())
    for (const id of [1, 2]) {
      const commits = peers.map((peerId) => processes.at(peerId).groups.view(id)?.commitIndex)
      expect(new Set(commits).size, 'the group goes on as one').toBe(1)
    }
  })

  it('[S70] a group that woke and rested many times is due once, not once for each rest', () => {
    const processes = resting({ groups: 1, options: { idleTicks: 0, recheckTicks: 100_000 } }, 'a')
    for (let i = 0; i < 40; i++) {
      processes.at('a').groups.use(1, (raft) => raft.propose(0, [bytes('again')]))
      processes.until(() => processes.isAllQuiet())
      processes.run(4 * T)
    }
    // Nothing but time and beats from here on, until the last rest of b is about to be looked at again.
    const { groups } = processes.at('b')
    let due = 0
    for (let passed = 0; passed < 180_000; ) {
      groups.receive({ type: 'beat', from: 'a', to: 'b', epoch: 1, electionTicks: T })
      const step = groups.ticksUntilDue()
      if (step < T) due++
      groups.tick(Math.min(T - 1, step))
      passed += Math.max(1, Math.min(T - 1, step))
    }
    for (let passed = 0; passed < 25_000; passed += 10) {
      groups.receive({ type: 'beat', from: 'a', to: 'b', epoch: 1, electionTicks: T })
      if (groups.ticksUntilDue() < 10) due++
      groups.tick(10)
    }
    expect(groups.status(1).quiet, 'it is not due yet').toBe(true)
    expect(due, 'but for when it would have been, had it not gone to rest').toBeLessThanOrEqual(1)
  })

  it('[S70] other times are other times of idleness, if none were asked for', () => {
    const processes = resting({ groups: 1 }, 'a')
    const slow = { electionTicks: 8 * T, electionTicksMax: 16 * T, heartbeatTicks: 50, preVoteTicks: 100 }
    for (const peerId of peers) processes.at(peerId).groups.retime(slow)
    processes.run(15 * T)
    expect(processes.at('a').groups.status(1).quiet, 'two election time-outs have not passed').toBe(false)
    processes.until(() => processes.isAllQuiet(), 4 * T)
  })

  it('[S70] whoever speaks without being a member of anything is forgotten', () => {
    const processes = resting({ groups: 2 }, 'a')
    const { groups } = processes.at('b')
    for (let i = 0; i < 2000; i++) {
      const from = `stranger ${i}`
      groups.receive({ type: 'beat', from, to: 'b', epoch: 1, electionTicks: T })
      groups.step(1, { type: 'heartbeatReply', from: `${from}!`, to: 'b', term: 0, round: 1 })
      if (i % 5 === 0) groups.tick(0)
    }
    groups.tick(0)
    expect(groups.peerCount).toBeLessThan(200)
    processes.stabilize()
    processes.until(() => processes.isAllQuiet())
    processes.run(20 * T)
    expect(processes.isAllQuiet(), 'those who matter are known').toBe(true)
    expect(groups.view(1)).toMatchObject({ leader: 'a', term: 2 })
  })

  it('[S70] garbage wakes at most, and other times are taken by all', () => {
    const processes = resting({ groups: 2 }, 'a')
    const { groups } = processes.at('a')
    expect(groups.step(9, { type: 'timeoutNow', from: 'b', to: 'a', term: 2 }), 'no such group').toBe(false)
    groups.step(1, { type: 'timeoutNow', from: 'b', to: 'elsewhere', term: 2 })
    groups.receive({ type: 'beat', from: 'b', to: 'elsewhere', epoch: 5, electionTicks: T })
    groups.receive({ type: 'beat', from: 'b', to: 'a', epoch: Number.NaN, electionTicks: T })
    groups.step(1, { type: 'heartbeatReply', from: 'b', to: 'a', term: 2, round: 3, quiet: true })
    expect(groups.status(1).quiet, 'nothing of that is news').toBe(true)
    groups.retime({ electionTicks: 400, electionTicksMax: 800, heartbeatTicks: 100, preVoteTicks: 100 })
    processes.until(() => processes.isAllQuiet())
    processes.run(2000)
    expect(groups.view(1)).toMatchObject({ role: 'leader', term: 2 })
    processes.at('b').groups.remove(1)
    expect(processes.at('b').groups.view(1)).toBeUndefined()
  })
})
