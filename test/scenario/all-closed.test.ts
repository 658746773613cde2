/** All tabs of a room's only browser go at once, and one comes back: nobody saw the others die, and their locks last longer than anybody waits. */
import { expect, it } from 'vitest'
import { Story, withLease } from './story.js'

it.each([4, 33, 64, 85, 91, 112])('[L2][L4] whoever comes back has the locks of all of them (%i)', async (n) => {
  const story = new Story(`three closed ${n}`, withLease(600_000))
  const tabs = await story.open(3)
  await story.until(() => story.sim.leader?.host.status.configuration.voters.length === 3, 10_000, 'three voters')
  const [a, b] = tabs
  if (!a || !b) throw new Error('three tabs')
  const { token } = await story.acquire(a, 'paragraph 1')
  await story.settle(a.page.room.store.set('p1', 1))
  await story.settle(b.page.room.store.set('p2', 1))
  for (const tab of tabs) {
    if (n % 3 === 0) tab.crash()
    else tab.close()
  }
  await story.pass(300)
  const alone = story.sim.openTab(a.browser)
  await story.until(() => alone.page.room.status === 'ready', 20_000, 'ready')
  expect((await story.acquire(alone, 'paragraph 1')).token).toBeGreaterThan(token)
  expect((await story.settle(alone.page.room.store.get('p2')))?.value).toBe(1)
})
