/** `room.locks` in the place of `navigator.locks`, for code that knows nothing of rooms. */
import { expect, type Page, test } from '@playwright/test'

async function open(page: Page, room: string): Promise<void> {
  await page.goto('/test/browser/pages/web-locks.html')
  await page.waitForFunction(() => 'locksPage' in window)
  await page.evaluate((room) => window.locksPage.join(room), room)
}

async function failed(page: Page, which: 'browser' | 'room'): Promise<string[]> {
  const results = await page.evaluate((which) => window.locksPage.suite(which), which)
  expect(results.length).toBeGreaterThan(40)
  return results.flatMap(({ test, failure }) =>
    failure === null ? [] : [which === 'room' ? `${test}: ${failure}` : test],
  )
}

test('what the public suite asserts holds for a room of one tab, as for the browser', async ({ page }, info) => {
  await open(page, `suite ${info.testId}`)
  expect(await failed(page, 'room')).toEqual([])
  // Otherwise it would assert something else than the suite does. Chromium orders a snapshot by names, where the suite wants the order of events.
  expect(await failed(page, 'browser')).toEqual([
    'query*: query-ordering: requests in the order made, over all names',
    'query*: query-ordering: locks in the order granted, also when stolen',
  ])
})

test('what the public suite asserts holds in a room of three tabs, in one that follows', async ({ context }, info) => {
  const pages: Page[] = []
  for (let i = 0; i < 3; i += 1) {
    const page = await context.newPage()
    await open(page, `suite ${info.testId}`)
    pages.push(page)
  }
  const [leads, follows] = pages
  if (!leads || !follows) throw new Error('three pages')
  await expect
    .poll(() => follows.evaluate(async () => (await window.locksPage.room.metrics()).voters.length), {
      timeout: 20_000,
    })
    .toBe(3)
  const isLed = await follows.evaluate(() => window.locksPage.room.leader !== window.locksPage.room.peerId)
  expect(isLed).toBe(true)
  expect(await failed(follows, 'room')).toEqual([])
  expect(await leads.evaluate(async () => (await window.locksPage.room.locks.query()).held)).toEqual([])
})

test('with the room in the place of the browser, the library still finds the browser', async ({ page }, info) => {
  await open(page, `suite ${info.testId}`)
  const held = await page.evaluate(async (name) => {
    const { room, comity } = window.locksPage
    Object.defineProperty(navigator, 'locks', { value: room.locks, configurable: true })
    const other = await comity.join(name)
    const granted = await other.locks.request('a', () => room.locks.query())
    await other.leave()
    return granted.held.map(({ name }) => name)
  }, `another ${info.testId}`)
  expect(held).toEqual([])
})
