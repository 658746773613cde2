/**
 * The audit of PROTOCOL.md: every rule has a test whose title begins with its id, and a planted bug that does the obvious. Kept by machine, so
 * that no table of it can rot.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { plantedBugs } from '../simulation/planted.js'
import { mutants } from './mutants.js'
import { roomMutants } from './room-mutants.js'

/** Of what is built. S-7 comes with `maxHold` and the grace of a revoke, R2 with ballots and barriers. */
const rules = [
  ...['F1', 'F2', 'F3', 'F4', 'F5', 'L1', 'L2', 'L3', 'L4', 'C1', 'C2', 'C3'],
  ...['S-1', 'S-2', 'S-3', 'S-4', 'S-5', 'S-6', 'S-8', 'S-9', 'S-10', 'T1', 'T2'],
  ...['M1', 'M2', 'M3', 'M4', 'M5', 'M6', 'N1', 'N2', 'N3', 'R1'],
]

const root = fileURLToPath(new URL('../..', import.meta.url))

/** Ids of rules that begin the titles of tests, and the files in which they do. */
function titledFiles(): Map<string, Set<string>> {
  const titled = new Map<string, Set<string>>()
  for (const folder of ['src', 'test'])
    for (const name of readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })) {
      if (!/\.(test|spec)\.ts$|-cases\.ts$/.test(name)) continue
      const file = `${folder}/${name}`
      for (const id of idsIn(file)) titled.set(id, (titled.get(id) ?? new Set()).add(file))
    }
  return titled
}

/** Who keeps a contract has its cases. */
const contracts = { describeStorageContract: 'storage-cases.ts', describeLinkContract: 'link-cases.ts' }

function idsIn(file: string): string[] {
  const source = readFileSync(join(root, file), 'utf8')
  const kept = Object.entries(contracts).filter(([call]) => source.includes(`${call}(`))
  return [...idsOfTitles(source), ...kept.flatMap(([, cases]) => idsIn(`test/contract/${cases}`))]
}

/** `it('[M1] ...')`, also where the title stands on a line of its own, or stands for several: `[F4][M1]`, `[N1, N2]`. */
function idsOfTitles(source: string): string[] {
  const titles = source.match(/['"`](?:\$\{\w+\}: |\.\.\. )?(?:\[[A-Z0-9 ,-]+\])+ /g) ?? []
  return titles.flatMap((title) => title.match(/\b(?:S-)?[A-Z]?\d+\b/g) ?? [])
}

describe('every rule of the protocol', () => {
  const titled = titledFiles()

  it.each(rules)('%s has a test that says so in its title', (rule) => {
    expect([...(titled.get(rule) ?? [])]).not.toEqual([])
  })

  it.each(rules)('%s has a planted bug that does the obvious', (rule) => {
    const cited = [...mutants, ...roomMutants].filter(({ cites }) => cites.includes(rule))
    const planted = plantedBugs.filter((bug) => bug.rule.split(' ').includes(rule))
    expect([...cited, ...planted].map(({ name }) => name)).not.toEqual([])
  })
})

describe('a mutant', () => {
  const titled = titledFiles()
  const all = [...mutants.map((mutant) => ({ ...mutant, file: `raft/${mutant.file}` })), ...roomMutants]

  it.each(all.map((mutant) => [mutant.name, mutant] as const))('replaces one place: %s', (_name, { file, find }) => {
    expect(readFileSync(join(root, 'src', file), 'utf8').split(find)).toHaveLength(2)
  })

  // What breaks the public contract alone has no rule.
  const ofRules = roomMutants.filter(({ cites }) => !cites.includes('API'))
  it.each(ofRules.map((mutant) => [mutant.name, mutant] as const))(
    'is to be seen by a test of its rule: %s',
    (_name, { cites, tests }) => {
      const carried = cites.filter((id) => tests.files.some((file) => titled.get(id)?.has(file)))
      expect(carried).not.toEqual([])
    },
  )
})
