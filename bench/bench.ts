/**
 * `npm run bench [-- PARTS] [--rounds N] [--seconds S] [--out FILE]`: what the library costs, beside what the machine itself
 * gives in the same run. See README.md here for what is measured and how to read it.
 */
import { mkdirSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { dirname, join } from 'node:path'
import process from 'node:process'
import { ensureChromium } from '../scripts/chromium.js'
import type { Site } from '../scripts/site.js'
import { root } from '../scripts/tree.js'
import { type BenchArguments, type PlaceName, readArguments } from './arguments.js'
import { benchContention } from './contention.js'
import { benchFailover } from './failover.js'
import { benchHolder } from './holder.js'
import { benchIdle } from './idle.js'
import { benchJoining } from './joining.js'
import { openPlace, type Place } from './place.js'
import { benchRaft } from './raft.js'
import { benchRejoin } from './rejoin.js'
import { isMet, printMachine, printPart } from './report.js'
import type { Machine, Part } from './result.js'
import { BenchRoom } from './room.js'
import { median, summarize } from './samples.js'
import { openSite } from './site.js'
import { benchSteady } from './steady.js'
import { reasonOf } from './waiting.js'

const titles: Record<PlaceName, string> = {
  'one-browser': 'three tabs of one browser: BroadcastChannel, one profile on disk',
  'three-browsers': 'three browsers with a tab each: WebRTC, three processes with a profile on disk each',
}

/** Below `node_modules`, which is on the disk that the repository is on; `/tmp` often is not on any. */
const cache = join(root, 'node_modules/.cache/comity')

async function main(args: BenchArguments): Promise<void> {
  const begun = new Date()
  const browser = args.places.length > 0 ? ensureChromium() : null
  mkdirSync(cache, { recursive: true })
  const folder = mkdtempSync(join(cache, 'bench-'))
  // Also when a signal ends this process.
  process.on('exit', () => rmSync(folder, { recursive: true, force: true }))
  const machine = describeMachine(browser?.version ?? null, folder)
  printMachine(machine)

  const parts: Part[] = []
  const add = (part: Part) => {
    parts.push(part)
    printPart(part)
  }
  let site: Site | null = null
  try {
    if (args.raft) add(await benchRaft())
    if (browser) {
      site = await openSite(join(folder, 'site'))
      const surroundings = { folder, executablePath: browser.path, url: site.url }
      for (const name of args.places) add(await benchPlace(name, args, surroundings))
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
  readonly url: string
}

type Section = (place: Place) => Promise<Partial<Part>>

/** Never rejects: what went wrong is part of the result, and the next part runs all the same. */
async function benchPlace(id: PlaceName, args: BenchArguments, surroundings: Surroundings): Promise<Part> {
  const { rounds, seconds } = args
  const wants = (section: BenchArguments['sections'][number]) => args.sections.includes(section)
  let part: Part = { id, title: titles[id], rows: [], tables: [], notes: [], problems: [] }
  const add = ({ rows = [], tables = [], notes = [], problems = [] }: Partial<Part>) => {
    part = {
      ...part,
      rows: [...part.rows, ...rows],
      tables: [...(part.tables ?? []), ...tables],
      notes: [...part.notes, ...notes],
      problems: [...part.problems, ...problems],
    }
  }
  const run = async (plain: boolean, sections: readonly (Section | false)[]) => {
    const wanted = sections.filter((section) => section !== false)
    if (wanted.length === 0) return
    let place: Place | null = null
    try {
      place = await openPlace({ id, plain, ...surroundings })
      for (const section of wanted) add(await section(place))
    } catch (error) {
      add({ problems: [reasonOf(error)] })
    } finally {
      await place?.close()
    }
  }
  await run(false, [
    wants('steady') && ((place) => steady(place, rounds)),
    wants('contention') && ((place) => benchContention(place, rounds)),
    wants('failover') && ((place) => benchFailover(place, rounds, ['close', 'crash'])),
    wants('hand-over') && ((place) => benchHolder(place, rounds)),
    wants('rejoin') && ((place) => benchRejoin(place, rounds)),
    wants('joining') && ((place) => benchJoining(place, rounds)),
  ])
  await run(true, [
    wants('failover') && ((place) => benchFailover(place, rounds, ['freeze'])),
    wants('idle') && ((place) => benchIdle(place, seconds)),
  ])
  return part
}

async function steady(place: Place, rounds: number): Promise<Partial<Part>> {
  const room = await BenchRoom.open(place)
  try {
    return await benchSteady(place, room, { sequential: rounds * 20, handOvers: rounds * 5 })
  } finally {
    await room.close()
  }
}

function write({ out, rounds, seconds }: BenchArguments, begun: Date, machine: Machine, parts: readonly Part[]): void {
  const round = (value: number) => Math.round(value * 1_000) / 1_000
  const result = {
    begun: begun.toISOString(),
    machine,
    rounds,
    seconds,
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
  await main(readArguments())
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exitCode = 2
}
