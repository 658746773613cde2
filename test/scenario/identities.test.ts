import { expect, it } from 'vitest'
import { Story } from './story.js'

it('[L1] tabs that are opened and closed leave no more than a few identities behind, and none that votes is forgotten', async () => {
  const story = new Story('many identities')
  const tabs = await story.open(14)
  const [kept, ...others] = tabs
  const browser = kept?.browser
  if (!kept || !browser) throw new Error('tabs')
  await story.settle(kept.page.room.store.set('key', 'kept'))
  expect(browser.disks.size).toBe(14)
  for (const tab of others) {
    tab.close()
    await story.pass(200)
  }
  await story.pass(5_000)
  expect(story.sim.leader?.host.status.configuration).toMatchObject({ voters: [story.peerOf(kept)], learners: [] })
  expect(browser.disks.size, 'a tab may be opened again').toBe(14)
  await story.pass(1_300_000)
  expect(browser.disks.size).toBe(9)
  expect(browser.disks.has(story.peerOf(kept))).toBe(true)
  // Those that are kept serve tabs to come.
  const again = story.sim.openTab(browser)
  await story.until(() => again.page.room.status === 'ready', 5_000, 'a tab')
  expect(browser.disks.size).toBe(9)
  expect((await story.settle(again.page.room.store.get('key')))?.value).toBe('kept')
})
