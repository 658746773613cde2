/**
 * The Raft core alone, in this process: nothing but the core is on the way, so this is what it costs; rooms are slower by
 * their links and disks.
 */
import { performance } from 'node:perf_hooks'
import { GCProfiler, getHeapStatistics } from 'node:v8'
import type { RaftTiming } from '../src/raft/index.js'
import { type LoadedCluster, MemoryCluster, type Transport, timing } from './raft-cluster.js'
import { adapted, measureElections } from './raft-elections.js'
import { MemoryProcesses } from './raft-groups.js'
import { PortCluster } from './raft-port.js'
import type { Part, Table } from './result.js'
import { median, percentile } from './samples.js'

const runs = 3
const runMs = 400
const depths = [1, 64, 1_024] as const
/**
 * Noted when the design was made, on one machine, in thousands: etcd's Go core, three nodes, 64 B; the same with every message
 * encoded and decoded; and its TypeScript port, which runs here too, so that what counts is by how much each is ahead of the port.
 */
const noted = { plain: [231, 325, 534], encoded: [188, 257, 417], port: [83, 117, 123] } as const

interface Load {
  readonly cluster: () => LoadedCluster
  readonly outstanding: number
  readonly bytes: number
}

const ours =
  (nodes: number, transport: Transport = 'plain') =>
  () =>
    new MemoryCluster({ nodes, transport })

/** Proposes so that `outstanding` are under way at any time, each by itself, until `isOver`. Gives the commits. */
function drive(load: Load, isOver: (committed: number) => boolean): number {
  const cluster = load.cluster()
  const data = new Uint8Array(load.bytes)
  let proposed = 0
  for (let turns = 1; ; turns += 1) {
    for (; proposed - cluster.committed < load.outstanding; proposed += 1) cluster.propose(data)
    cluster.turn()
    // The clock is not read in every turn: at a depth of 1 it would be a part of what is measured.
    if (turns % 32 === 0 && isOver(cluster.committed)) return cluster.committed
  }
}

function commitsPerSecondOnce(load: Load): number {
  const begun = performance.now()
  const committed = drive(load, () => performance.now() - begun >= runMs)
  return (committed / (performance.now() - begun)) * 1_000
}

function commitsPerSecond(load: Load): number {
  commitsPerSecondOnce(load)
  return median(Array.from({ length: runs }, () => commitsPerSecondOnce(load)))
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
      ...depths.map((outstanding) => thousands(commitsPerSecond({ cluster: ours(nodes), bytes, outstanding }))),
    ]),
  )
  return { head: ['nodes', 'payload', ...depths.map((depth) => `${depth} outstanding`)], rows }
}

/** The runs of all rows take turns, so that a noisy moment is everybody's. */
function comparedTable(): Table {
  const candidates = [
    { title: 'plain', cluster: ours(3), goal: noted.plain },
    { title: 'every message encoded and decoded', cluster: ours(3, 'messages'), goal: noted.encoded },
    { title: 'in frames, as hosts send them', cluster: ours(3, 'frames'), goal: noted.encoded },
    { title: "etcd's TypeScript port, plain", cluster: () => new PortCluster(3), goal: noted.port },
  ]
  const cells: string[][] = candidates.map(({ title }) => [title])
  depths.forEach((outstanding, column) => {
    const samples = candidates.map((): number[] => [])
    for (let run = 0; run <= runs; run += 1) {
      candidates.forEach(({ cluster }, i) => {
        const once = commitsPerSecondOnce({ cluster, bytes: 64, outstanding })
        // The first ones warm up.
        if (run > 0) samples[i]?.push(once)
      })
    }
    const port = median(samples[candidates.length - 1] ?? [])
    candidates.forEach(({ goal }, i) => {
      const here = median(samples[i] ?? [])
      const ahead = (goal[column] ?? 1) / (noted.port[column] ?? 1)
      cells[i]?.push(thousands(here), `${(here / port).toFixed(1)} (${ahead.toFixed(1)})`)
    })
  })
  return { head: ['three nodes, 64 B', ...depths.flatMap((depth) => [`${depth}`, 'x port (etcd)'])], rows: cells }
}

function electionTable(): Table {
  const rows = [1, 50, 200].flatMap((delay) =>
    [3, 5].flatMap((nodes) => {
      // By the room's own times nothing is ever elected over the slowest links.
      const usual = delay <= 50 ? [electionRow(nodes, delay, timing)] : []
      return [...usual, ...(delay > 1 ? [electionRow(nodes, delay, adapted(nodes, delay))] : [])]
    }),
  )
  return { head: ['link, one way', 'nodes', 'time-outs', 'p50', 'p95', 'worst', 'more than one term'], rows }
}

function electionRow(nodes: number, delay: number, own: RaftTiming): string[] {
  const { times, split } = measureElections(nodes, delay, 400, own)
  const ms = (value: number) => `${Math.round(value)} ms`
  const share = `${((split / times.length) * 100).toFixed(1)} %`
  const timeouts = `${own.electionTicks} to ${own.electionTicksMax} ms`
  const spread = [ms(median(times)), ms(percentile(times, 0.95)), ms(Math.max(...times))]
  return [`${delay} ms`, String(nodes), timeouts, ...spread, share]
}

export function benchRaft(): Part {
  const { perRound, perTick } = idleGroups(1_000)
  const resting = restingGroups(1_000)
  const allocated = depths.map((outstanding) => bytesPerCommit({ cluster: ours(3), bytes: 64, outstanding }).toFixed(0))
  return {
    id: 'raft',
    title:
      'raft core in Node, in memory: commits per second; then elections after a crash of the leader, by time-outs of 150 to 300 ms and by those that follow the links (M5)',
    rows: [],
    tables: [speedTable(), comparedTable(), electionTable()],
    notes: [
      `allocated per commit on three nodes together, 64 B, ${depths.join(', ')} outstanding: ${allocated.join(', ')} B`,
      `1,000 idle groups of three in this process: a tick of all ${perTick.toFixed(2)} ms, a heartbeat of all with its answers ${perRound.toFixed(1)} ms`,
      `1,000 groups at rest in three processes of RaftGroups: a tick of all ${resting.perTick.toFixed(4)} ms, ${resting.messages} messages in a heartbeat interval; one process dies: all groups lead and follow again in ${resting.wake.toFixed(0)} ms of work`,
      'x port (etcd): ahead of the port in this run, and by how much the Go core, encoded where we are, was noted ahead of it',
    ],
    problems: [],
  }
}
