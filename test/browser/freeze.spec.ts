import { createSignalingServer } from '../../src/signaling/index.js'
import { type HideableTab, HideableTabs } from './hideable.js'
import { test as base, expect, until } from './kit.js'

/** Tabs of one room, in so many browsers. The first one has founded it and leads. */
type Open = (tabsOfBrowsers: readonly number[], voters: number) => Promise<HideableTab[]>

/** Nobody's election time-out runs out while a test waits: whoever leads next was handed it. */
const timing = { electionMin: 60_000, electionMax: 120_000 }

const test = base.extend<{ open: Open }>({
  open: async ({ browser, baseURL }, use, info) => {
    const all = await HideableTabs.of(browser)
    const signaling = await createSignalingServer({ port: 0, host: '127.0.0.1', settleMs: 0 })
    await use(async (tabsOfBrowsers, voters) => {
      const tabs: HideableTab[] = []
      for (const count of tabsOfBrowsers) {
        const context = await all.newContext()
        for (let i = 0; i < count; i += 1) {
          const tab = await all.open(context, `${baseURL}/test/browser/pages/room.html`)
          await tab.join(`test ${info.testId}`, {
            timing,
            ...(tabsOfBrowsers.length > 1 && { signaling: signaling.url }),
          })
          tabs.push(tab)
        }
      }
      for (const tab of tabs) {
        await until(`${voters} voters`, async () => (await tab.evaluate(voterCount)) === voters)
        // Who is handed the lead asks the others for their votes, and nobody's time-out lets it ask again.
        await until('links', async () => (await tab.evaluate(connectedCount)) === tabs.length)
      }
      return tabs
    })
    await all.close()
    await signaling.close()
  },
})

const voterCount = 'kit.room.metrics().then(({ voters }) => voters.length)'
const connectedCount = 'kit.room.members.current.filter(({ connected }) => connected).length'
const term = 'kit.room.metrics().then(({ term }) => term)'
const leader = 'kit.room.leader'
const isSet = `kit.outcome(() => kit.room.store.set('text', 'agreed meanwhile')).then(({ ok }) => ok)`
const text = `kit.room.store.get('text').then((record) => record?.value)`
const state = `kit.lock('paragraph').state`

/** No tool hides a page for longer without freezing it. */
const hide = `
  Object.defineProperty(document, 'visibilityState', { value: 'hidden', configurable: true })
  document.dispatchEvent(new Event('visibilitychange'))`

/** What the page's own listeners read of its lock, in the first line of each; the library's were there before. */
const watch = `
  globalThis.seen = []
  for (const type of ['freeze', 'resume'])
    document.addEventListener(type, () => seen.push(type + ' ' + kit.lock('paragraph').state))`

for (const [title, tabsOfBrowsers] of [
  ['three tabs of one browser', [3]],
  ['three browsers', [1, 1, 1]],
] as const) {
  test(`${title}: [S-4] a frozen leader has handed over, and is unsure of its lock when it resumes`, async ({
    open,
  }) => {
    const [first, second, third] = await open(tabsOfBrowsers, 3)
    if (!first || !second || !third) throw new Error('three tabs')
    expect(await first.evaluate(leader)).toBe(first.peerId)
    await first.evaluate(`kit.acquire('paragraph', { lease: 30_000 })`)
    await until('the lock', async () => (await first.evaluate(state)) === 'held')
    await first.evaluate(watch)
    const before = Number(await first.evaluate(term))
    await first.become('frozen')
    await until('another leader', async () => {
      const [one, other] = [await second.evaluate(leader), await third.evaluate(leader)]
      return one === other && one !== first.peerId && one !== null
    })
    expect(await second.evaluate(term)).toBe(before + 1)
    expect(await second.evaluate(isSet)).toBe(true)
    await first.become('active')
    await until('certainty', async () => (await first.evaluate(state)) === 'held')
    expect(await first.evaluate('seen')).toEqual(['freeze unsure', 'resume unsure'])
    expect(await first.evaluate(text)).toBe('agreed meanwhile')
    expect(await first.evaluate(term)).toBe(before + 1)
  })
}

test('two browsers: [S-4][M2] the other one goes on alone while the leader is frozen, and is joined by it again', async ({
  open,
}) => {
  const [first, second] = await open([1, 1], 2)
  if (!first || !second) throw new Error('two tabs')
  expect(await first.evaluate(leader)).toBe(first.peerId)
  const before = Number(await first.evaluate(term))
  await first.become('frozen')
  await until('the other one leads', async () => (await second.evaluate(leader)) === second.peerId)
  expect(await second.evaluate(term)).toBe(before + 1)
  expect(await second.evaluate(voterCount)).toBe(1)
  expect(await second.evaluate(isSet)).toBe(true)
  await first.become('active')
  expect(await first.evaluate(text)).toBe('agreed meanwhile')
  await until('two voters again', async () => (await second.evaluate(voterCount)) === 2)
})

for (const [title, isHiddenBefore] of [
  ['hidden before', true],
  ['seen until then', false],
] as const) {
  test(`two tabs of one browser: [S-4][M4] the one that votes, ${title}, is frozen, and the other goes on`, async ({
    open,
  }) => {
    const [first, second] = await open([2], 1)
    if (!first || !second) throw new Error('two tabs')
    expect(await first.evaluate(leader)).toBe(first.peerId)
    if (isHiddenBefore) {
      await first.evaluate(hide)
      await until('both vote', async () => (await second.evaluate(voterCount)) === 2)
    }
    await first.become('frozen')
    await until('the other one leads', async () => (await second.evaluate(leader)) === second.peerId)
    expect(await second.evaluate(isSet)).toBe(true)
    expect(await second.evaluate(voterCount)).toBe(1)
    await first.become('active')
    expect(await first.evaluate(text)).toBe('agreed meanwhile')
  })
}

test('[S-4] a frozen holder loses its lock to the lease, and is unsure of it before it hears so', async ({ open }) => {
  const [, holder, next] = await open([3], 3)
  if (!holder || !next) throw new Error('three tabs')
  await holder.evaluate(`kit.acquire('paragraph', { lease: 2_000 })`)
  await holder.evaluate(watch)
  await holder.become('frozen')
  expect(await next.evaluate(`kit.acquire('paragraph', { timeout: 15_000 }).then(({ ok }) => ok)`)).toBe(true)
  await holder.become('active')
  await until('the loss', async () => (await holder.evaluate(state)) === 'lost')
  expect(await holder.evaluate('seen')).toEqual(['freeze unsure', 'resume unsure'])
  expect(await holder.evaluate(`kit.lock('paragraph').signal.reason.reason`)).toBe('frozen')
})
