/** `room.locks` in the place of `navigator.locks`, for code that knows nothing of rooms. */
import { expect, type Page, test } from '@playwright/test'

async function open(page: Page, room: string): Promise<void> {
  await page.goto('/test/browser/pages/web-locks.html')
  await page.waitForFunction(() => 'locksPage' in window)
  await page.evaluate((room) => window.locksPage.join(room), room)
}

test('what the public suite asserts holds for the room, as for the browser', async ({ page }, info) => {
  await open(page, `suite ${info.testId}`)
  const failed = async (which: 'browser' | 'room') => {
    const results = await page.evaluate((which) => window.locksPage.suite(which), which)
    expect(results.length).toBeGreaterThan(40)
    return results.filter(({ failure }) => failure !== null)
  }
  expect(await failed('room')).toEqual([])
  // Otherwise it would assert something else than the suite does. Chromium orders a snapshot by names, where the suite wants the order of events.
  expect((await failed('browser')).map(({ test }) => test)).toEqual([
    'query*: query-ordering: requests in the order made, over all names',
    'query*: query-ordering: locks in the order granted, also when stolen',
  ])
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
