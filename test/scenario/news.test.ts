/** What is agreed is told at once to who waits for it, and to the others by and by. */
import { expect, it } from 'vitest'
import type { SimTab } from '../../src/simulation/tab.js'
import { Story } from './story.js'

/** Four tabs on quick disks: one that leads, and two of the others vote. */
async function quickRoom(seed: string) {
  const story = new Story(seed, { registrar: true })
  const tabs = await story.open(4)
  for (const tab of tabs) {
    const disk = tab.browser.disks.get(tab.page.peerId)
    if (disk) disk.condition.writeMs = 0.1
  }
  const leader = story.leaderOf(tabs)
  const others = tabs.filter((tab) => tab !== leader)
  const { learners } = story.hostOf(leader).host.status.configuration
  const learner = others.find((tab) => learners.includes(tab.page.peerId))
  if (!learner) throw new Error('all vote')
  let writes = 0
  const write = async (times: number) => {
    for (let i = 0; i < times; i += 1) await story.settle(leader.page.room.store.set('key', writes++))
  }
  return { story, leader, others, learner, write }
}

it('[S55] in a busy room who waits for nothing hears of several writes at once, and of the last one in time', async () => {
  const { story, leader, others, learner, write } = await quickRoom('a busy writer')
  const heard = async () => (await story.settle(learner.page.room.metrics())).framesReceived
  const before = await heard()
  await write(200)
  const doneAt = story.now
  expect((await heard()) - before).toBeLessThan(50)
  const appliedBy = (tab: SimTab) => story.hostOf(tab).host.status.appliedIndex
  const last = appliedBy(leader)
  await story.until(() => others.every((tab) => appliedBy(tab) === last))
  // Ten, and the way.
  expect(story.now - doneAt).toBeLessThan(15)
})

it('[S55] ... and who waits for a lock has it at once', async () => {
  const { story, leader, others, write } = await quickRoom('a busy queue')
  const took: number[] = []
  for (const tab of others.flatMap((other) => Array<SimTab>(10).fill(other))) {
    const held = await story.acquire(leader, 'doc')
    const asked = story.ask(tab, 'doc')
    await story.pass(200)
    await write(10)
    const releasedAt = story.now
    const released = story.watch(held.release())
    await story.until(() => asked.at !== null && released.at !== null)
    took.push((asked.at ?? Number.NaN) - releasedAt)
    await story.settle(asked.value?.release() ?? Promise.reject(asked.error))
  }
  // A commit, without the ten ms after which it would have heard of it anyway.
  expect(Math.max(...took)).toBeLessThan(5)
})
