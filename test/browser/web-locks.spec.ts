/** `room.locks` beside the browser's own `navigator.locks`, in one page: what they answer must be equal. */
import { test as base, expect, type Page } from '@playwright/test'
import { scenarios } from './pages/web-locks/index.js'

const test = base.extend<object, { bench: Page }>({
  /** One page for all scenarios: each uses names of its own. */
  bench: [
    async ({ browser }, use, info) => {
      const context = await browser.newContext({ baseURL: `http://127.0.0.1:${process.env['COMITY_TEST_PORT']}` })
      const page = await context.newPage()
      await page.goto('/test/browser/pages/web-locks.html')
      await page.waitForFunction(() => 'locksPage' in window)
      await page.evaluate((room) => window.locksPage.join(room), `web locks ${info.workerIndex}`)
      await use(page)
      await context.close()
    },
    { scope: 'worker' },
  ],
})

for (const [group, all] of Object.entries(scenarios)) {
  test.describe(group, () => {
    all.forEach(({ title }, index) => {
      test(title, async ({ bench }) => {
        const run = (which: 'browser' | 'room') =>
          bench.evaluate(({ group, index, which }) => window.locksPage.run(group, index, which), {
            group,
            index,
            which,
          })
        const expected = await run('browser')
        expect(await run('room')).toEqual(expected)
      })
    })
  })
}
