/** The command line of the benchmark. */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { root } from '../scripts/tree.js'

export const placeNames = ['one-browser', 'three-browsers'] as const
export type PlaceName = (typeof placeNames)[number]

/** What is measured in a place, in this order. */
export const sectionNames = ['steady', 'contention', 'failover', 'hand-over', 'rejoin', 'joining', 'idle'] as const
export type SectionName = (typeof sectionNames)[number]

const names = ['raft', ...placeNames, ...sectionNames] as const

export interface BenchArguments {
  /** The Raft core, in Node alone. */
  readonly raft: boolean
  readonly places: readonly PlaceName[]
  readonly sections: readonly SectionName[]
  /** Of failover, hand-over, rejoining and joining; the numbers of all other samples follow from it. */
  readonly rounds: number
  /** How long an idle room is watched, s. */
  readonly seconds: number
  readonly out: string
}

const defaults = { rounds: 12, seconds: 20 } as const

export const usage = `usage: npm run bench -- [${names.join('] [')}] [--rounds ${defaults.rounds}] [--seconds ${defaults.seconds}] [--out FILE]`

/** All places, unless some are named; all sections, unless some are. Throws with the usage in its message. */
export function readArguments(args: readonly string[]): BenchArguments {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { rounds: { type: 'string' }, seconds: { type: 'string' }, out: { type: 'string' } },
  })
  for (const name of positionals) {
    if (names.some((known) => known === name)) continue
    throw new Error(`there is no part ${JSON.stringify(name)}\n${usage}`)
  }
  const places = placeNames.filter((name) => positionals.includes(name))
  const sections = sectionNames.filter((name) => positionals.includes(name))
  const onlyRaft = positionals.length > 0 && places.length === 0 && sections.length === 0
  return {
    raft: positionals.length === 0 || positionals.includes('raft'),
    places: places.length > 0 || onlyRaft ? places : placeNames,
    sections: sections.length > 0 ? sections : sectionNames,
    rounds: wholeNumber('rounds', values.rounds),
    seconds: wholeNumber('seconds', values.seconds),
    out: values.out ?? join(root, 'bench/results/latest.json'),
  }
}

function wholeNumber(name: keyof typeof defaults, given: string | undefined): number {
  const number = Number(given ?? defaults[name])
  if (Number.isInteger(number) && number >= 1) return number
  throw new Error(`--${name}: expected a whole number from 1\n${usage}`)
}
