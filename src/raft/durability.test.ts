import { describe, expect, it } from 'vitest'
import { crc32 } from './checksum.js'
import type { Entry } from './entry.js'
import type { Raft } from './raft.js'
import {
  acknowledge,
  bytes,
  Cluster,
  command,
  configuration,
  core,
  drain,
  elect,
  leader,
  log,
  only,
  settle,
  snapshotAt,
  T,
} from './test-cluster.js'

const three = ['a', 'b', 'c']

function append(raft: Raft, term: number, previous: readonly [number, number], entries: readonly Entry[]): void {
  const [previousTerm, index] = previous
  const from = term % 2 === 0 ? 'a' : 'c'
  raft.step({ type: 'append', from, to: 'b', term, previous: { term: previousTerm, index }, entries, commitIndex: 0 })
}

describe('what is durable', () => {
  it('[S33][B7] a leader counts its own disk only when it is done, and may commit without it', () => {
    const raft = leader()
    raft.propose(0, [bytes('x')])
    const { sequence } = raft.ready()
    acknowledge(raft, 'b')
    expect(raft.commitIndex).toBe(2)
    acknowledge(raft, 'c')
    expect(raft.status()).toMatchObject({ commitIndex: 3, stableIndex: 2 })
    expect(raft.ready().committed).toHaveLength(1)
    raft.persisted(sequence)
    expect(raft.status()).toMatchObject({ commitIndex: 3, stableIndex: 3 })
  })

  it('[S33][B7] a lone voter waits for its own disk', () => {
    const raft = leader({ entries: log(['a'], [1]) }, [])
    raft.propose(0, [bytes('x')])
    const ready = raft.ready()
    expect([ready.committed, raft.commitIndex]).toEqual([[], 2])
    raft.persisted(ready.sequence)
    expect(raft.ready().committed).toHaveLength(1)
  })

  it('[S39][S42][B5] nothing that speaks of term, vote or entries leaves before its write; later Readys wait in line', () => {
    const raft = core('b')
    append(raft, 2, [1, 1], [command(2, 2)])
    const first = raft.ready()
    expect(first.messages).toEqual([])
    expect(first.write).toEqual({
      hardState: { term: 2, votedFor: null, promisedTo: null, commitIndex: 0 },
      entries: [command(2, 2)],
    })
    expect(first.messagesAfterWrite).toMatchObject([{ type: 'appendReply', index: 2 }])
    append(raft, 2, [1, 1], [command(2, 2)])
    raft.step({ type: 'heartbeat', from: 'a', to: 'b', term: 2, commitIndex: 0, round: 1, electionTicks: T })
    const second = raft.ready()
    expect(second).toMatchObject({ messages: [], write: null })
    expect(second.messagesAfterWrite.map(({ type }) => type)).toEqual(['appendReply', 'heartbeatReply'])
    raft.persisted(first.sequence)
    raft.step({ type: 'heartbeat', from: 'a', to: 'b', term: 2, commitIndex: 0, round: 2, electionTicks: T })
    expect(raft.ready().messages, 'a slow disk must not look like a dead peer').toMatchObject([{ round: 2 }])
  })

  it('a Ready that is out does not change when more is said', () => {
    const raft = leader()
    raft.propose(0, [bytes('x')])
    const ready = raft.ready()
    const copy = structuredClone(ready)
    raft.step({ type: 'readIndex', from: 'b', to: 'a', term: 1, id: 1 })
    append(raft, 3, [1, 1], [])
    raft.read(1)
    raft.ready()
    expect(ready).toEqual(copy)
  })

  it('[S40][B6] the term goes with, or before, the entries of that term', () => {
    const raft = core('b')
    append(raft, 5, [1, 1], [command(5, 2)])
    expect(raft.ready().write).toMatchObject({ hardState: { term: 5 }, entries: [{ term: 5 }] })
    append(raft, 5, [5, 2], [command(5, 3)])
    expect(raft.ready().write).toMatchObject({ hardState: { term: 5 }, entries: [{ index: 3 }] })
  })

  it('[S41][B8] a late completion does not vouch for other entries at the same indices', () => {
    const raft = core('b')
    append(raft, 2, [1, 1], [command(2, 2), command(2, 3)])
    const old = raft.ready()
    append(raft, 3, [1, 1], [command(3, 2), command(3, 3), command(3, 4)])
    const next = raft.ready()
    expect(next.write?.entries.map(({ term, index }) => [term, index])).toEqual([
      [3, 2],
      [3, 3],
      [3, 4],
    ])
    raft.persisted(old.sequence)
    expect(raft.status().stableIndex).toBe(1)
    raft.persisted(next.sequence)
    expect(raft.status().stableIndex).toBe(4)
    raft.persisted(old.sequence)
    expect(raft.status().stableIndex).toBe(4)
  })

  it('[S41][B8] a write that was overtaken by a cut and a shorter log counts only as far as the cut', () => {
    const raft = core('b')
    append(raft, 2, [1, 1], [command(2, 2)])
    const kept = raft.ready()
    append(raft, 2, [2, 2], [command(2, 3), command(2, 4)])
    const cut = raft.ready()
    append(raft, 3, [2, 2], [command(3, 3)])
    raft.persisted(cut.sequence)
    expect(kept.sequence).toBeLessThan(cut.sequence)
    expect(raft.status()).toMatchObject({ stableIndex: 2, lastIndex: 3 })
  })

  it('[S43] each role restarts as a follower with its term, vote, log and configuration', () => {
    const cluster = new Cluster({ voters: three, learners: ['l'] })
    const { raft, peerId } = cluster.elect()
    raft.propose(3, [bytes('x')])
    cluster.run(100)
    const before = new Map([...cluster.nodes.values()].map((node) => [node.peerId, node.raft.status()]))
    for (const node of cluster.nodes.values()) {
      node.crash()
      const { term, votedFor, lastIndex, configuration } = before.get(node.peerId) ?? raft.status()
      expect(node.raft.status()).toMatchObject({ role: 'follower', term, votedFor, lastIndex, configuration })
      expect(node.raft.lastTime).toBe(3)
    }
    expect(cluster.raft(peerId).role).toBe('follower')
    const next = cluster.elect()
    cluster.run(100)
    for (const node of cluster.nodes.values()) {
      expect(node.raft.commitIndex).toBe(next.raft.lastIndex)
      expect(node.applied.map(({ index }) => index)).toEqual([1, 2, 3, 4])
    }
  })

  it('[S43] what was committed is handed out again, from the snapshot on', () => {
    const raft = core('b', { entries: log(three, [1, 1, 1]), hardState: { commitIndex: 2 } })
    expect(raft.hasReady()).toBe(true)
    expect(settle(raft)).toMatchObject({ write: null, committed: [{ index: 1 }, { index: 2 }] })
    expect(raft.appliedIndex).toBe(2)
    expect(raft.hasReady()).toBe(false)
  })

  it('[S43] a log that ends before what it committed is refused', () => {
    expect(() => core('b', { hardState: { commitIndex: 2 } })).toThrow('the stored log ends at 1, and 2 was committed')
  })

  it('[S39] crashes between any two steps of elections and appends lose nothing acknowledged', () => {
    for (let seed = 1; seed <= 40; seed++) {
      const cluster = new Cluster({ voters: three, seed })
      const { raft } = cluster.elect()
      const result = raft.propose(0, [bytes('kept')])
      cluster.stabilize()
      expect(result).toMatchObject({ accepted: true, lastIndex: raft.commitIndex })
      const index = raft.commitIndex
      for (const node of cluster.nodes.values()) node.crash()
      // Writes and messages in random order, with a crash somewhere.
      for (let i = 0; i < 60; i++) {
        for (const node of cluster.nodes.values()) {
          node.raft.tick(cluster.below(60))
          node.pump()
          if (cluster.below(2) === 0) node.finishWrite()
          if (cluster.below(30) === 0) node.crash()
        }
        for (const message of cluster.pool.splice(0)) cluster.deliver(message)
      }
      const next = cluster.elect()
      expect(next.applied.find((one) => one.index === index)?.mark).toContain('kept')
    }
  })
})

it('[S38] appends and commits go on while application lags; each entry is handed out once', () => {
  const raft = leader()
  const handed: number[] = []
  for (let i = 0; i < 5; i++) {
    raft.propose(0, [bytes('x')])
    raft.persisted(raft.ready().sequence)
    acknowledge(raft, 'b')
    handed.push(...raft.ready().committed.map(({ index }) => index))
  }
  expect(handed).toEqual([3, 4, 5, 6, 7])
  expect(raft.appliedIndex).toBe(2)
  raft.applied(5)
  raft.applied(4)
  expect(raft.appliedIndex).toBe(5)
  expect(() => raft.applied(8)).toThrow('only what was handed out is applied')
})

describe('[S38] what is committed is handed out page by page', () => {
  /** Each command counts 132 bytes, the configuration 1,024. */
  const entries = [...log(three, [1]), ...[2, 3, 4, 5, 6].map((index) => command(1, index, 'x'.repeat(100)))]

  it.each([
    [1, [1, 1, 1, 1, 1, 1]],
    [300, [1, 2, 2, 1]],
    [1_024 + 2 * 132, [3, 3]],
    [10_000, [6]],
  ])('pages of %i bytes', (maxCommittedBytes, pages) => {
    const raft = core('a', { entries, hardState: { commitIndex: 6 }, maxCommittedBytes })
    const handed: number[][] = []
    while (raft.hasReady()) handed.push(settle(raft).committed.map(({ index }) => index))
    expect(handed.map(({ length }) => length)).toEqual(pages)
    expect(handed.flat()).toEqual([1, 2, 3, 4, 5, 6])
    expect(raft.appliedIndex).toBe(6)
  })

  it('and commits go on between the pages; a snapshot takes the place of those that are left', () => {
    const raft = core('b', { entries, hardState: { commitIndex: 3 }, maxCommittedBytes: 1 })
    expect(settle(raft).committed).toMatchObject([{ index: 1 }])
    raft.step({ type: 'heartbeat', from: 'a', to: 'b', term: 1, commitIndex: 6, round: 1, electionTicks: T })
    expect(settle(raft).committed).toMatchObject([{ index: 2 }])
    expect(() => raft.applied(3)).toThrow('only what was handed out is applied')
    const { meta, data } = snapshotAt({ term: 1, index: 9 }, configuration(three))
    const chunk = { meta, size: data.length, checksum: crc32(data), offset: 0, data }
    raft.step({ type: 'snapshot', from: 'a', to: 'b', term: 1, ...chunk })
    expect(settle(raft)).toMatchObject({ write: { snapshot: { meta: { index: 9 } } }, committed: [] })
    expect([raft.hasReady(), raft.appliedIndex]).toEqual([false, 9])
  })
})

it('[B9] acknowledgements beyond the log are not believed', () => {
  const raft = elect(core('a'), ['b'])
  acknowledge(raft, 'b', 99)
  expect(raft.commitIndex).toBe(0)
  expect(only(drain(raft), 'append')).toEqual([])
})

describe('[S45] a disk that has lost its last transactions, as `durability: relaxed` allows after a power cut', () => {
  /** Leader and one follower commit an entry; then that follower's disk falls back to where it was before. */
  function fallenBack() {
    const cluster = new Cluster({ voters: three })
    const { peerId, raft } = cluster.elect()
    cluster.run(100)
    const [pair = '', other = ''] = three.filter((id) => id !== peerId)
    const node = cluster.node(pair)
    const before = node.durable
    cluster.filter = ({ from, to }) => from !== other && to !== other
    raft.propose(0, [bytes('kept?')])
    cluster.stabilize()
    const index = raft.lastIndex
    expect(raft.commitIndex).toBe(index)
    node.durable = before
    node.crash()
    return { cluster, raft, node, index, peerId, pair, other }
  }

  it('an older state that is whole cannot be told from a true one, and can lose what was acknowledged: hence `strict`', () => {
    const { cluster, node, index, peerId, other } = fallenBack()
    cluster.filter = ({ from, to }) => from !== peerId && to !== peerId
    cluster.run(6 * T)
    const next = [node, cluster.node(other)].find(({ raft }) => raft.role === 'leader')
    expect(next?.applied.find((one) => one.index === index)?.mark, 'another entry took its place').not.toContain(
      'kept?',
    )
  })

  it('as long as the others have it nothing is lost: the one that fell back waits, and gets it from the next leader', () => {
    const { cluster, raft, node, index, other } = fallenBack()
    cluster.filter = () => true
    cluster.run(2 * T)
    expect(cluster.raft(other).commitIndex).toBe(index)
    expect(node.raft.lastIndex, 'what it acknowledged is not sent to it again by whoever was told').toBeLessThan(index)
    raft.transferLeadership(other)
    cluster.run(2 * T)
    expect(cluster.raft(other).role).toBe('leader')
    expect(node.applied.find((one) => one.index === index)?.mark).toContain('kept?')
  })

  it('a state whose parts are of different times is refused: a commit index beyond the log, a term older than its entries', () => {
    const entries = log(three, [1, 1, 2])
    expect(() => core('a', { entries, hardState: { term: 2, commitIndex: 4 } })).toThrow(
      'the stored log ends at 3, and 4 was committed',
    )
    expect(() => core('a', { entries, hardState: { term: 1 } })).toThrow('term')
  })
})
