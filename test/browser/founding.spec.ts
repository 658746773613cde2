import type { Browser, BrowserContext } from '@playwright/test'
import { createSignalingServer } from '../../src/signaling/index.js'
import { expect, openTab, type Tab, test, until } from './kit.js'

/** That many tabs in each browser, with their pages loaded and nobody in the room. */
async function waiting(browser: Browser, baseURL: string | undefined, counts: readonly number[]) {
  const contexts: BrowserContext[] = []
  const tabs: Tab[] = []
  for (const count of counts) {
    const context = await browser.newContext(baseURL === undefined ? {} : { baseURL })
    contexts.push(context)
    for (let i = 0; i < count; i++) tabs.push(await openTab(context))
  }
  const close = async () => {
    for (const context of contexts) await context.close()
  }
  return { tabs, close }
}

/** Everybody is a member of it, sees what each of the others has written, and no write took the place of another one. */
async function isOneRoom(tabs: readonly Tab[]): Promise<void> {
  for (const [i, tab] of tabs.entries()) expect((await tab.set(`key ${i}`, `of ${i}`)).ok).toBe(true)
  for (const tab of tabs) {
    for (const i of tabs.keys()) expect(await tab.get(`key ${i}`)).toBe(`of ${i}`)
    const members = async () => {
      const { voters, learners } = await tab.metrics()
      return voters.length + learners.length
    }
    await until(`${tabs.length} members`, async () => (await members()) === tabs.length)
  }
  const revisions = await Promise.all(
    [...tabs.keys()].map((i) =>
      tabs[0]?.page.evaluate(async (key) => (await window.kit.room.store.get(key))?.revision, `key ${i}`),
    ),
  )
  expect(new Set(revisions).size).toBe(tabs.length)
}

test.describe('[N1] all arrive at once in an empty room, and found it once', () => {
  for (const count of [2, 5, 10]) {
    test(`${count} tabs of one browser`, async ({ browser, baseURL }, info) => {
      const { tabs, close } = await waiting(browser, baseURL, [count])
      await Promise.all(tabs.map((tab) => tab.join(`empty ${info.testId}`)))
      await isOneRoom(tabs)
      await close()
    })
  }

  for (const counts of [
    [1, 1],
    [1, 1, 1, 1, 1],
    [3, 1, 2, 4],
  ]) {
    test(`browsers with ${counts.join(', ')} tabs, over a server`, async ({ browser, baseURL }, info) => {
      const server = await createSignalingServer({ port: 0, host: '127.0.0.1' })
      const { tabs, close } = await waiting(browser, baseURL, counts)
      await Promise.all(tabs.map((tab) => tab.join(`empty ${info.testId}`, { signaling: server.url })))
      await isOneRoom(tabs)
      await close()
      await server.close()
    })
  }

  test('five browsers, and the server restarts while they arrive', async ({ browser, baseURL }, info) => {
    const server = await createSignalingServer({ port: 0, host: '127.0.0.1' })
    const port = Number(new URL(server.url).port)
    const { tabs, close } = await waiting(browser, baseURL, [1, 1, 1, 1, 1])
    const [first, ...others] = tabs
    if (!first) throw new Error('five tabs')
    const join = (tab: Tab) => tab.join(`empty ${info.testId}`, { signaling: server.url })
    const early = [first, ...others.slice(0, 2)].map(join)
    await until('somebody has arrived', async () => server.metrics().peers > 0)
    await server.close()
    const again = await createSignalingServer({ port, host: '127.0.0.1' })
    await Promise.all([...early, ...others.slice(2).map(join)])
    await isOneRoom(tabs)
    await close()
    await again.close()
  })
})
