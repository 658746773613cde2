import { describe, expect, it } from 'vitest'
import type { PeerId } from './entry.js'
import { entryOverheadBytes } from './entry-bytes.js'
import type { Raft } from './raft.js'
import { acknowledge, bytes, core, drain, elect, leader, log, only } from './test-cluster.js'

const one = new Uint8Array(100 - entryOverheadBytes)

function propose(raft: Raft, count: number): void {
  for (let i = 0; i < count; i++) raft.propose(0, [one])
}

function appendsTo(raft: Raft, peerId: PeerId): number[] {
  return only(drain(raft), 'append')
    .filter(({ to }) => to === peerId)
    .map(({ entries }) => entries.length)
}

function beat(raft: Raft, from: PeerId): void {
  raft.step({ type: 'heartbeatReply', from, to: 'a', term: raft.term, round: raft.currentRound })
}

function progressOf(raft: Raft, peerId: PeerId) {
  return raft.status().progress.find((one) => one.peerId === peerId)
}

describe('flow control', () => {
  it('[S30] appends are cut by bytes, and the window of messages is never exceeded', () => {
    const raft = leader({ maxAppendBytes: 250, maxInflightAppends: 3 })
    propose(raft, 20)
    expect(appendsTo(raft, 'b')).toEqual([2, 2, 2])
    propose(raft, 1)
    expect(appendsTo(raft, 'b')).toEqual([])
    acknowledge(raft, 'b', 4)
    expect(appendsTo(raft, 'b')).toEqual([2])
    acknowledge(raft, 'b', 10)
    expect(appendsTo(raft, 'b')).toEqual([2, 2, 2])
  })

  it('[S30] the window of bytes is never exceeded; one oversized entry goes alone', () => {
    const raft = leader({ maxAppendBytes: 250, maxInflightBytes: 350 })
    propose(raft, 6)
    expect(appendsTo(raft, 'b')).toEqual([2, 1])
    raft.propose(0, [new Uint8Array(1000)])
    acknowledge(raft, 'b', 5)
    expect(appendsTo(raft, 'b')).toEqual([2, 1])
    acknowledge(raft, 'b', 8)
    expect(appendsTo(raft, 'b')).toEqual([1])
    expect(progressOf(raft, 'b')?.nextIndex).toBe(10)
  })

  it('[S30] a refusal empties the window and probes', () => {
    const raft = leader({ maxInflightAppends: 2 })
    propose(raft, 1)
    drain(raft)
    propose(raft, 1)
    drain(raft)
    const hint = { term: 2, index: 2 }
    raft.step({ type: 'appendReply', from: 'b', to: 'a', term: 2, rejected: true, index: 3, hint })
    expect(progressOf(raft, 'b')).toMatchObject({ state: 'probe', nextIndex: 3 })
    expect(appendsTo(raft, 'b')).toEqual([2])
    // The next refusal of the same broken pipeline says nothing new.
    raft.step({ type: 'appendReply', from: 'b', to: 'a', term: 2, rejected: true, index: 4, hint })
    expect(appendsTo(raft, 'b')).toEqual([])
    acknowledge(raft, 'b', 4)
    expect(progressOf(raft, 'b')).toMatchObject({ state: 'replicate', matchIndex: 4, nextIndex: 5 })
  })

  it('[S31][B27] a follower that lost a whole window recovers with the next heartbeat, without a proposal', () => {
    const raft = leader({ maxAppendBytes: 100, maxInflightAppends: 3 })
    propose(raft, 5)
    expect(appendsTo(raft, 'b')).toEqual([1, 1, 1])
    beat(raft, 'b')
    expect(appendsTo(raft, 'b')).toEqual([0])
    const hint = { term: 2, index: 2 }
    raft.step({ type: 'appendReply', from: 'b', to: 'a', term: 2, rejected: true, index: 5, hint })
    expect(appendsTo(raft, 'b')).toEqual([1])
    acknowledge(raft, 'b', 3)
    expect(appendsTo(raft, 'b')).toEqual([1, 1, 1])
  })

  it('[S31] who has acknowledged something since the last beat is at work, and asked only when nothing more comes', () => {
    const raft = leader()
    propose(raft, 1)
    beat(raft, 'b')
    expect(appendsTo(raft, 'b'), 'what it acknowledged before').toEqual([1])
    propose(raft, 1)
    acknowledge(raft, 'b', 3)
    expect(appendsTo(raft, 'b')).toEqual([1])
    beat(raft, 'b')
    expect(appendsTo(raft, 'b'), 'the second may have been lost').toEqual([])
    beat(raft, 'b')
    expect(appendsTo(raft, 'b')).toEqual([0])
  })

  it('[S32] a caught-up follower that is probed returns to the pipeline after a heartbeat reply', () => {
    const raft = leader()
    raft.reportUnreachable('b')
    expect(progressOf(raft, 'b')).toMatchObject({ state: 'probe', matchIndex: 2 })
    propose(raft, 1)
    expect(appendsTo(raft, 'b'), 'nothing until it answers').toEqual([])
    acknowledge(raft, 'c')
    beat(raft, 'b')
    expect(appendsTo(raft, 'b')).toEqual([1])
    acknowledge(raft, 'b')
    expect(progressOf(raft, 'b')?.state).toBe('replicate')
    raft.reportUnreachable('b')
    beat(raft, 'b')
    expect(appendsTo(raft, 'b'), 'empty').toEqual([0])
    acknowledge(raft, 'b')
    expect(progressOf(raft, 'b')?.state).toBe('replicate')
  })

  it('[S31] a lost probe is sent again after a heartbeat reply', () => {
    const raft = elect(core('a'), ['c'])
    beat(raft, 'b')
    expect(appendsTo(raft, 'b')).toEqual([1])
    propose(raft, 1)
    expect(appendsTo(raft, 'b')).toEqual([])
    beat(raft, 'b')
    expect(appendsTo(raft, 'b')).toEqual([2])
  })

  it('[S34][B25] proposals above the cap are refused; a large one is taken when nothing is before it', () => {
    const raft = leader({ maxUncommittedBytes: 250 })
    const full = { accepted: false, reason: 'uncommitted-full', leader: 'a' }
    expect(raft.propose(0, [new Uint8Array(1000)])).toMatchObject({ accepted: true })
    expect(raft.propose(0, [one])).toEqual(full)
    drain(raft)
    acknowledge(raft, 'b')
    expect(raft.propose(0, [one, one])).toMatchObject({ accepted: true })
    expect(raft.propose(0, [one])).toEqual(full)
    expect(raft.propose(0, [new Uint8Array(250 - 200 - entryOverheadBytes)])).toMatchObject({ accepted: true })
    expect(raft.propose(0, [new Uint8Array(0)]), 'an empty one is not free').toEqual(full)
  })

  it('[S34][B25] a new leader counts exactly what it took over', () => {
    const entries = log(['a', 'b', 'c'], [1, 1, 1]).map((entry) => (entry.index > 1 ? { ...entry, data: one } : entry))
    const raft = elect(core('a', { entries, maxUncommittedBytes: 350 }), ['b'])
    expect(raft.propose(0, [one])).toMatchObject({ accepted: true })
    expect(raft.propose(0, [one])).toMatchObject({ accepted: false })
    drain(raft)
    acknowledge(raft, 'b')
    expect(raft.commitIndex).toBe(5)
    expect(raft.propose(0, [one, one, one])).toMatchObject({ accepted: true })
    expect(raft.propose(0, [bytes('xxxxxxxxxxxxxxxxxxx')])).toMatchObject({ accepted: false })
  })

  it('[S37] a follower whose window is full learns the commit index with the next heartbeat at the latest', () => {
    const raft = leader({ maxInflightAppends: 1 })
    propose(raft, 1)
    drain(raft)
    propose(raft, 1)
    drain(raft)
    acknowledge(raft, 'c', 3)
    expect(raft.commitIndex).toBe(3)
    expect(appendsTo(raft, 'b')).toEqual([])
    acknowledge(raft, 'b', 3)
    const [next] = only(drain(raft), 'append').filter(({ to }) => to === 'b')
    expect(next).toMatchObject({ commitIndex: 3, previous: { index: 3 } })
  })
})

it('[S30][S34] every limit is a whole number from 1', () => {
  const names = ['maxAppendBytes', 'maxInflightAppends', 'maxInflightBytes', 'maxUncommittedBytes', 'maxCommittedBytes']
  for (const name of names) {
    for (const limit of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => core('a', { [name]: limit }), `${name} ${limit}`).toThrow(`${name} is a whole number from 1`)
    }
    expect(() => core('a', { [name]: 1 })).not.toThrow()
  }
})
