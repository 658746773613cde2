/**
 * The Raft core alone, in this process: nothing but the core is on the way, so this is what it costs; rooms are slower by
 * their links and disks.
 */
import { performance } from 'node:perf_hooks'
import { GCProfiler, getHeapStatistics } from 'node:v8'
import { type ClusterOptions, MemoryCluster, timing } from './raft-cluster.js'
import { measureElections } from './raft-elections.js'
import { MemoryProcesses } from './raft-groups.js'
import type { Part, Table } from './result.js'
import { median, percentile } from './samples.js'

const runs = 3
const runMs = 400
const depths = [1, 64, 1_024] as const
/** Of `TESTING.md`: etcd's Go core, three nodes, 64 B, noted when the design was made; and with every message encoded and decoded. */
const etcd = { plain: [231, 325, 534], encoded: [188, 257, 417] } as const

interface Load extends ClusterOptions {
  readonly outstanding: number
  readonly bytes: number
}

/** Proposes so that `outstanding` are under way at any time, each by itself, until `isOver`. Gives the commits. */
function drive({ outstanding, bytes, ...options }: Load, isOver: (committed: number) => boolean): number {
  const cluster = new MemoryCluster(options)
  const { leader } = cluster
  const data = [new Uint8Array(bytes)]
  let proposed = 0
  for (let turns = 1; ; turns += 1) {
    for (; proposed - leader.committed < outstanding; proposed += 1) {
      if (!leader.raft.propose(0, data).accepted) throw new Error('the core refused a proposal')
    }
    cluster.turn()
    // The clock is not read in every turn: at a depth of 1 it would be a part of what is measured.
    if (turns % 32 === 0 && isOver(leader.committed)) return leader.committed
  }
}

function commitsPerSecond(load: Load): number {
  const once = () => {
    const begun = performance.now()
    const committed = drive(load, () => performance.now() - begun >= runMs)
    return (committed / (performance.now() - begun)) * 1_000
  }
  once()
  return median(Array.from({ length: runs }, once))
}

/** What the collector took away and what is left, over the commits; the array of the disk and the log are part of it. */
function bytesPerCommit(load: Load): number {
  const used = () => getHeapStatistics().used_heap_size
  const profiler = new GCProfiler()
  const before = used()
  profiler.start()
  const committed = drive(load, (count) => count >= 100_000)
  const { statistics } = profiler.stop()
  let bytes = used() - before
  for (const { beforeGC, afterGC } of statistics)
    bytes += beforeGC.heapStatistics.usedHeapSize - afterGC.heapStatistics.usedHeapSize
  return bytes / committed
}

/** One heartbeat of every group, on all three peers, with the messages that it leads to. */
function idleGroups(groups: number): { readonly perRound: number; readonly perTick: number } {
  const clusters = Array.from({ length: groups }, (_, i) => new MemoryCluster({ nodes: 3, seed: 1 + i * 10 }))
  const timed = (run: () => void) => {
    const samples = Array.from({ length: 20 }, () => {
      const begun = performance.now()
      run()
      return performance.now() - begun
    })
    return median(samples)
  }
  const round = () => {
    for (const cluster of clusters) {
      cluster.tick(timing.heartbeatTicks)
      while (cluster.turn()) {}
    }
  }
  round()
  const perRound = timed(round)
  return { perRound, perTick: timed(() => clusters.forEach((cluster) => void cluster.tick(1))) }
}

/** The same groups at rest (RaftGroups): a tick of the three processes, and what they say in a heartbeat interval. */
function restingGroups(groups: number): { readonly perTick: number; readonly messages: number; readonly wake: number } {
  const processes = new MemoryProcesses(3, groups)
  processes.run(40 * timing.electionTicks)
  const { awake } = processes
  if (awake > 0) throw new Error(`${awake} cores are awake`)
  const before = processes.sent
  processes.run(100 * timing.heartbeatTicks)
  const messages = (processes.sent - before) / 100
  const samples = Array.from({ length: 200 }, () => {
    const begun = performance.now()
    processes.tick(1)
    return performance.now() - begun
  })
  const begun = performance.now()
  processes.loseFirst()
  return { perTick: median(samples), messages, wake: performance.now() - begun }
}

const thousands = (value: number) => `${Math.round(value / 1_000)}k`

function speedTable(): Table {
  const rows = [1, 3, 5, 7].flatMap((nodes) =>
    [64, 4_096].map((bytes) => [
      String(nodes),
      `${bytes} B`,
      ...depths.map((outstanding) => thousands(commitsPerSecond({ nodes, bytes, outstanding }))),
    ]),
  )
  return { head: ['nodes', 'payload', ...depths.map((depth) => `${depth} outstanding`)], rows }
}

function etcdTable(): Table {
  const row = (title: string, isEncoded: boolean, noted: readonly number[]) => [
    title,
    ...depths.flatMap((outstanding, i) => {
      const here = commitsPerSecond({ nodes: 3, bytes: 64, outstanding, isEncoded })
      return [thousands(here), (here / ((noted[i] ?? 1) * 1_000)).toFixed(2)]
    }),
  ]
  const head = ['three nodes, 64 B', ...depths.flatMap((depth) => [`${depth}`, 'x etcd, noted'])]
  return { head, rows: [row('plain', false, etcd.plain), row('encoded and decoded', true, etcd.encoded)] }
}

function electionTable(): Table {
  const rows = [1, 50].flatMap((delay) =>
    [3, 5].map((nodes) => {
      const { times, split } = measureElections(nodes, delay, 400)
      const ms = (value: number) => `${Math.round(value)} ms`
      const share = `${((split / times.length) * 100).toFixed(1)} %`
      return [
        `${delay} ms`,
        String(nodes),
        ms(median(times)),
        ms(percentile(times, 0.95)),
        ms(Math.max(...times)),
        share,
      ]
    }),
  )
  return { head: ['link, one way', 'nodes', 'p50', 'p95', 'worst', 'more than one term'], rows }
}

export function benchRaft(): Part {
  const { perRound, perTick } = idleGroups(1_000)
  const resting = restingGroups(1_000)
  const allocated = depths.map((outstanding) => bytesPerCommit({ nodes: 3, bytes: 64, outstanding }).toFixed(0))
  return {
    id: 'raft',
    title:
      'raft core in Node, in memory: commits per second; then elections after a crash of the leader, time-outs of 150 to 300 ms',
    rows: [],
    tables: [speedTable(), etcdTable(), electionTable()],
    notes: [
      `allocated per commit on three nodes together, 64 B, ${depths.join(', ')} outstanding: ${allocated.join(', ')} B`,
      `1,000 idle groups of three in this process: a tick of all ${perTick.toFixed(2)} ms, a heartbeat of all with its answers ${perRound.toFixed(1)} ms`,
      `1,000 groups at rest in three processes of RaftGroups: a tick of all ${resting.perTick.toFixed(4)} ms, ${resting.messages} messages in a heartbeat interval; one process dies: all groups lead and follow again in ${resting.wake.toFixed(0)} ms of work`,
      "etcd: its Go core as noted in the design on such a machine, for orientation, not this run's limit",
    ],
    problems: [],
  }
}
