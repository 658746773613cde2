/** The command line of the benchmark. */
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { root } from '../scripts/tree.js'

export const partNames = ['raft', 'one-browser', 'three-browsers'] as const
export type PartName = (typeof partNames)[number]

export interface BenchArguments {
  readonly parts: readonly PartName[]
  /** Of failover and of joining; the numbers of all other samples follow from it. */
  readonly rounds: number
  readonly out: string
}

const roundsDefault = 12

export const usage = `usage: npm run bench -- [${partNames.join('] [')}] [--rounds ${roundsDefault}] [--out FILE]`

/** Throws with the usage in its message. */
export function readArguments(args: readonly string[]): BenchArguments {
  const { values, positionals } = parseArgs({
    args: [...args],
    allowPositionals: true,
    options: { rounds: { type: 'string' }, out: { type: 'string' } },
  })
  const rounds = Number(values.rounds ?? roundsDefault)
  if (!Number.isInteger(rounds) || rounds < 1) throw new Error(`--rounds: expected a whole number from 1\n${usage}`)
  return {
    parts: positionals.length === 0 ? partNames : positionals.map(partOf),
    rounds,
    out: values.out ?? join(root, 'bench/results/latest.json'),
  }
}

function partOf(name: string): PartName {
  const part = partNames.find((known) => known === name)
  if (part === undefined) throw new Error(`there is no part ${JSON.stringify(name)}\n${usage}`)
  return part
}
