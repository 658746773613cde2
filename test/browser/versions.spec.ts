/** Tabs with code of other versions, beside those of today: what an update that is rolled out looks like. */
import type { Plugin } from 'esbuild'
import { bundleWorker } from '../../scripts/worker-bundle.js'
import { machineVersion } from '../../src/machine/version.js'
import { expect, type Tab, test, until } from './kit.js'

/** The worker as another version would build it: the same code, with other abilities. */
async function workerOf(abilities: string): Promise<string> {
  const otherAbilities: Plugin = {
    name: 'other-abilities',
    setup: ({ onLoad }) =>
      onLoad({ filter: /\/src\/host\/abilities\.ts$/ }, () => ({ contents: abilities, loader: 'ts' })),
  }
  const { code } = await bundleWorker({ minify: true, plugins: [otherAbilities] })
  return code
}

const imports = `
  import { machineVersion, versionNeeded } from '../machine/version.js'
  import { protocol } from './dialect.js'
  const [today] = protocol
`
/** Before the machine had a second version. */
const older = `${imports} export const productAbilities = { protocol, canApply: 1, versionNeeded }`
/** The next one: it speaks one version more, and can apply one more. */
const newer = `${imports} export const productAbilities = {
  protocol: [...protocol, { ...today, version: today.version + 1 }], canApply: machineVersion + 1, versionNeeded,
}`
/** From before anything that is spoken today. */
const ancient = `${imports} export const productAbilities = {
  protocol: [{ ...today, version: today.version - 1 }], canApply: 1, versionNeeded,
}`

async function install(tab: Tab, abilities: string): Promise<void> {
  const code = await workerOf(abilities)
  await tab.page.evaluate((code) => {
    window.kit.workerCode = code
  }, code)
}

async function machineOf(tab: Tab): Promise<number> {
  return (await tab.metrics()).machineVersion
}

/** One lock goes round, and what each writes under it the others read. */
async function work(tabs: readonly Tab[]): Promise<void> {
  for (const [i, tab] of tabs.entries()) {
    expect(await tab.acquire('doc', { timeout: 10_000 })).toMatchObject({ ok: true })
    expect(await tab.set('text', `of ${i}`)).toMatchObject({ ok: true })
    for (const other of tabs) expect(await other.get('text')).toBe(`of ${i}`)
    await tab.release('doc')
  }
}

for (const meeting of ['one browser', 'three browsers'] as const) {
  test.describe(`[F5] in ${meeting}`, () => {
    test('a tab of an older version and tabs of today share a room, whose machine rises when it has left', async ({
      meet,
    }) => {
      const meadow = await meet(meeting)
      const old = await meadow.open((tab) => install(tab, older))
      const tabs = [old, await meadow.open(), await meadow.open()]
      await work(tabs)
      for (const tab of tabs) expect(await machineOf(tab)).toBe(1)
      const young = tabs.slice(1)
      await old.close()
      for (const tab of young) await until('the machine raised', async () => (await machineOf(tab)) === machineVersion)
      await work(young)
    })

    test('a tab of a newer version does not take the room away from those of today', async ({ meet }) => {
      const meadow = await meet(meeting)
      const tabs = [await meadow.open(), await meadow.open((tab) => install(tab, newer)), await meadow.open()]
      await work(tabs)
      for (const tab of tabs) expect(await machineOf(tab)).toBe(machineVersion)
    })
  })
}

test('[F1] a tab that is too old is refused with an error of its type, and harms nobody', async ({ meet }) => {
  const meadow = await meet('three browsers')
  const tabs = [await meadow.open(), await meadow.open()]
  await expect(meadow.open((tab) => install(tab, ancient))).rejects.toThrow('IncompatiblePeerError')
  await work(tabs)
  for (const tab of tabs) expect([await tab.status(), await tab.failure()]).toEqual(['ready', null])
})
