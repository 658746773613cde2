/** A peer that takes nothing, or takes it slowly, is its own affair. */
import { expect, it } from 'vitest'
import type { SimTab } from '../../src/simulation/tab.js'
import { Story } from './story.js'

/** Ten writes, one after the other, and how long they took. */
async function write(story: Story, tab: SimTab, text: string): Promise<number> {
  const from = story.now
  for (let i = 0; i < 10; i += 1) await story.settle(tab.page.room.store.set(`key ${i}`, text + i))
  return story.now - from
}

it('one that takes nothing, and one that takes it late, hold up nobody, and catch up afterwards', async () => {
  const story = new Story('stuck', { registrar: true })
  const tabs = await story.open(1, 1, 1, 1, 1)
  const leader = story.leaderOf(tabs)
  const [healthy, other, stuck, slow] = tabs.filter((tab) => tab !== leader)
  if (!healthy || !other || !stuck || !slow) throw new Error('five tabs')
  const usual = await write(story, healthy, 'before')
  for (const tab of tabs.filter((tab) => tab !== stuck))
    story.sim.ether.block(story.peerOf(tab), story.peerOf(stuck), false)
  for (const tab of tabs.filter((tab) => tab !== slow))
    story.sim.ether.slowDown(story.peerOf(tab), story.peerOf(slow), 1_500)
  const { elections } = story.sim.raft
  const text = 'x'.repeat(20_000)
  expect(await write(story, healthy, text)).toBeLessThan(3 * usual + 500)
  const last = 'y'.repeat(20_000)
  expect(await write(story, leader, last)).toBeLessThan(3 * usual + 500)
  expect(story.leaderOf(tabs)).toBe(leader)
  expect(story.sim.raft.elections).toBe(elections)
  story.heal()
  for (const tab of [stuck, slow]) {
    await story.until(() => tab.page.room.status === 'ready', 20_000, `${tab.name} ready`)
    const read = await story.settle(tab.page.room.store.get('key 9'), 20_000)
    expect(read?.value).toBe(`${last}9`)
  }
}, 60_000)
