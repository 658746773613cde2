import { findFirefox } from '../../scripts/firefox.js'
import { FirefoxTab, launchFirefox, type MixedTab } from './firefox.js'
import { test as base, expect, type Meadow, until } from './kit.js'

const firefox = findFirefox()

interface Fixtures {
  /** Opens a tab of Firefox, in a process and profile of the test. */
  openFirefox: (meadow: Meadow) => Promise<FirefoxTab>
}

const test = base.extend<Fixtures>({
  openFirefox: async ({ baseURL }, use) => {
    const browser = await launchFirefox(firefox?.path ?? '')
    await use(async (meadow) => {
      const tab = await FirefoxTab.open(browser, `${baseURL}/test/browser/pages/room.html`)
      await tab.join(meadow.room, meadow.options)
      return tab
    })
    await browser.close()
  },
})

test.skip(firefox === null, 'NO FIREFOX on this machine: apt-get install firefox-esr, or set FIREFOX_PATH')

const voters = async (tab: MixedTab) => (await tab.metrics()).voters.length

async function readyAll(tabs: readonly MixedTab[], count: number): Promise<void> {
  for (const tab of tabs) {
    await until('ready', async () => (await tab.status()) === 'ready')
    await until(`${count} voters`, async () => (await voters(tab)) === count)
  }
}

/** From each to the next, all the way around. */
async function handAround(tabs: readonly MixedTab[]): Promise<void> {
  const [first] = tabs
  const tokens: number[] = []
  expect((await first?.acquire('paragraph'))?.ok).toBe(true)
  for (const [i, tab] of tabs.entries()) {
    const next = tabs[(i + 1) % tabs.length]
    const granted = next?.acquire('paragraph', { timeout: 10_000 }, `turn ${i}`)
    await tab.release(i === 0 ? 'paragraph' : `turn ${i - 1}`)
    const outcome = await granted
    expect(outcome?.ok).toBe(true)
    if (outcome?.ok) tokens.push(Number(outcome.value))
  }
  await first?.release(`turn ${tabs.length - 1}`)
  expect(tokens).toEqual([...tokens].sort((a, b) => a - b))
}

test('two Chromiums and a Firefox: a lock goes around, text is read by all, and the Firefox tab is closed', async ({
  meet,
  openFirefox,
}) => {
  const meadow = await meet('three browsers')
  const chromium = await meadow.open()
  const fox = await openFirefox(meadow)
  const other = await meadow.open()
  const tabs = [chromium, fox, other]
  await readyAll(tabs, 3)
  expect((await fox.links()).filter((link) => link !== null)).toEqual(['webrtc', 'webrtc'])
  await handAround(tabs)
  for (const [i, tab] of tabs.entries()) expect((await tab.set(`text ${i}`, `written by ${i}`)).ok).toBe(true)
  for (const tab of tabs) for (const i of tabs.keys()) expect(await tab.get(`text ${i}`)).toBe(`written by ${i}`)

  expect((await fox.acquire('paragraph')).ok).toBe(true)
  const granted = chromium.acquire('paragraph', { timeout: 15_000 })
  await fox.close()
  // At once by its goodbye, or when its lease ends: half of Firefox's goodbyes are lost.
  expect((await granted).ok).toBe(true)
  expect((await other.set('text', 'goes on')).ok).toBe(true)
  expect(await chromium.get('text')).toBe('goes on')
})

test('a Firefox that founded the room leads two Chromiums, and its end is survived', async ({ meet, openFirefox }) => {
  const meadow = await meet('three browsers')
  const fox = await openFirefox(meadow)
  const chromiums = [await meadow.open(), await meadow.open()]
  await readyAll([fox, ...chromiums], 3)
  const { leader } = await meadow.split([fox, ...chromiums])
  expect(leader.peerId).toBe(fox.peerId)
  await handAround([fox, ...chromiums])
  expect((await fox.set('text', 'agreed under a Firefox')).ok).toBe(true)
  await fox.close()
  await meadow.split(chromiums)
  for (const tab of chromiums) {
    expect(await tab.get('text')).toBe('agreed under a Firefox')
    expect((await tab.set('text', 'agreed under a Firefox')).ok).toBe(true)
  }
})

test('[M2] a Chromium and a Firefox are two voters, and either goes on when the other is closed', async ({
  meet,
  openFirefox,
}) => {
  const meadow = await meet('three browsers')
  const chromium = await meadow.open()
  const fox = await openFirefox(meadow)
  await readyAll([chromium, fox], 2)
  await handAround([fox, chromium])
  expect((await fox.set('text', 'by two')).ok).toBe(true)
  await chromium.close()
  await until('alone', async () => (await voters(fox)) === 1)
  expect(await fox.get('text')).toBe('by two')
  const again = await meadow.open()
  await readyAll([again, fox], 2)
  expect(await again.get('text')).toBe('by two')
})

test('three tabs of one Firefox need no server: a lock goes around, and either may be closed', async ({
  meet,
  openFirefox,
}) => {
  const meadow = await meet('one browser')
  const tabs = [await openFirefox(meadow), await openFirefox(meadow), await openFirefox(meadow)]
  await readyAll(tabs, 3)
  await handAround(tabs)
  const { leader, others } = await meadow.split(tabs)
  const [next] = others
  expect((await leader.acquire('paragraph')).ok).toBe(true)
  const granted = next?.acquire('paragraph', { timeout: 15_000 })
  await leader.close()
  expect((await granted)?.ok).toBe(true)
  await meadow.split(others)
})
