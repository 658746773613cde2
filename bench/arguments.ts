/** The command line of the benchmark. */
import { join } from 'node:path'
import { readOptions } from '../scripts/command-line.js'
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

const usage = `npm run bench -- [${names.join('] [')}] [--rounds 12] [--seconds 20] [--out FILE]`

/** All places, unless some are named; all sections, unless some are. A wrong one ends the process. */
export function readArguments(): BenchArguments {
  const { values, names: positionals } = readOptions({
    usage,
    options: {
      rounds: { type: 'string', default: '12' },
      seconds: { type: 'string', default: '20' },
      out: { type: 'string', default: join(root, 'bench/results/latest.json') },
    },
    numbers: ['rounds', 'seconds'],
    names,
  })
  const places = placeNames.filter((name) => positionals.includes(name))
  const sections = sectionNames.filter((name) => positionals.includes(name))
  const onlyRaft = positionals.length > 0 && places.length === 0 && sections.length === 0
  return {
    raft: positionals.length === 0 || positionals.includes('raft'),
    places: places.length > 0 || onlyRaft ? places : placeNames,
    sections: sections.length > 0 ? sections : sectionNames,
    rounds: Number(values.rounds),
    seconds: Number(values.seconds),
    out: values.out,
  }
}
