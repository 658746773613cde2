/**
 * `npm run bench [-- raft one-browser three-browsers] [--rounds N] [--out FILE]`: what the library costs, beside
 * what the machine itself gives in the same run. See README.md here for what is measured and how to read it.
 */
import { mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { ensureChromium } from '../scripts/chromium.js'
import { root } from '../scripts/tree.js'
import { type BenchArguments, type PartName, readArguments } from './arguments.js'
import { benchFailover } from './failover.js'
import { benchJoining } from './joining.js'
import { openPlace, type Place } from './place.js'
import { benchRaft } from './raft.js'
import { isMet, printMachine, printPart } from './report.js'
import type { Machine, Part } from './result.js'
import { BenchRoom } from './room.js'
import { median, summarize } from './samples.js'
import { buildSite, type Site, serveSite } from './site.js'
import { benchSteady } from './steady.js'
import { reasonOf } from './waiting.js'

const titles: Record<Place['id'], string> = {
  'one-browser': 'three tabs of one browser: BroadcastChannel, one profile on disk',
  'three-browsers': 'three browsers with a tab each: WebRTC, three processes with a profile on disk each',
}

/** Below `node_modules`, which is on the disk that the repository is on; `/tmp` often is not on any. */
const cache = join(root, 'node_modules/.cache/comity')

async function main(args: BenchArguments): Promise<void> {
  const begun = new Date()
  const browser = args.parts.some((part) => part !== 'raft') ? ensureChromium() : null
  mkdirSync(cache, { recursive: true })
  const folder = mkdtempSync(join(cache, 'bench-'))
  // Also when a signal ends this process.
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  const machine = describeMachine(browser?.version ?? null, folder)
  printMachine(machine)

  const parts: Part[] = []
  let site: Site | null = null
  try {
    for (const name of args.parts) {
      if (name !== 'raft' && !site) {
        const files = join(folder, 'site')
        await buildSite(files)
        site = await serveSite(files)
      }
      const part = await benchPart(name, args.rounds, { folder, executablePath: browser?.path ?? '', url: site?.url })
      parts.push(part)
      printPart(part)
    }
  } finally {
    await site?.close()
  }
  machine.load.end = load()
  write(args, begun, machine, parts)
  console.log(`\n${((Date.now() - begun.getTime()) / 1_000).toFixed(0)} s; load ${machine.load.end}; ${args.out}`)
  if (parts.some(({ problems }) => problems.length > 0)) process.exitCode = 1
}

interface Surroundings {
  readonly folder: string
  readonly executablePath: string
  readonly url: string | undefined
}

/** Never rejects: what went wrong is part of the result, and the next part runs all the same. */
async function benchPart(name: PartName, rounds: number, { url = '', ...surroundings }: Surroundings): Promise<Part> {
  if (name === 'raft') return benchRaft()
  let part: Part = { id: name, title: titles[name], rows: [], notes: [], problems: [] }
  const add = (more: Partial<Part>) => {
    part = {
      ...part,
      rows: [...part.rows, ...(more.rows ?? [])],
      notes: [...part.notes, ...(more.notes ?? [])],
      problems: [...part.problems, ...(more.problems ?? [])],
    }
  }
  let place: Place | null = null
  try {
    place = await openPlace({ id: name, url, ...surroundings })
    const room = await BenchRoom.open(place)
    try {
      add(await benchSteady(place, room, { sequential: rounds * 20, handOvers: rounds * 5 }))
    } finally {
      await room.close()
    }
    add(await benchFailover(place, rounds))
    add(await benchJoining(place, rounds))
  } catch (error) {
    add({ problems: [reasonOf(error)] })
  } finally {
    await place?.close()
  }
  return part
}

function write({ out, rounds }: BenchArguments, begun: Date, machine: Machine, parts: readonly Part[]): void {
  const round = (value: number) => Math.round(value * 1_000) / 1_000
  const result = {
    begun: begun.toISOString(),
    machine,
    rounds,
    parts: parts.map(({ rows, ...part }) => ({
      ...part,
      rows: rows.map(({ samples, limit, aim, ...row }) => ({
        ...row,
        unit: 'ms',
        ...Object.fromEntries(Object.entries(summarize(samples)).map(([key, value]) => [key, round(value)])),
        ...(limit && { limit: { ...limit, ratio: round(median(samples) / limit.ms) } }),
        ...(aim && { aim: { ...aim, isMet: isMet(median(samples), aim, limit) } }),
        samples: samples.map(round),
      })),
    })),
  }
  mkdirSync(dirname(out), { recursive: true })
  writeFileSync(out, `${JSON.stringify(result, null, 1)}\n`)
}

function describeMachine(chromium: string | null, folder: string): Machine {
  const all = cpus()
  return {
    cpus: all.length,
    cpu: all[0]?.model.trim() ?? 'unknown',
    platform: `${process.platform} ${process.arch}`,
    node: process.versions.node,
    chromium,
    disk: fileSystem(folder),
    load: { begin: load(), end: Number.NaN },
  }
}

/** A profile in memory would make writes look free: so the result says what it was. */
function fileSystem(folder: string): string {
  const { type } = statfsSync(folder)
  const known: Record<number, string> = { 61267: 'ext4', 16914836: 'tmpfs', 2435016766: 'btrfs', 1481003842: 'xfs' }
  return known[type] ?? `file system ${type.toString(16)}`
}

function load(): number {
  return Math.round((loadavg()[0] ?? 0) * 100) / 100
}

try {
  await main(readArguments(process.argv.slice(2)))
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 2
}
