/** A voter that the others do without writes seldom, and at once again when they cannot. */
import { expect, it } from 'vitest'
import type { SimTab } from '../../src/simulation/tab.js'
import { Story, type Watched } from './story.js'

function diskOf(tab: SimTab) {
  const disk = tab.browser.disks.get(tab.page.peerId)
  if (!disk) throw new Error('no disk')
  return disk
}

/** A leader, a follower with a quick disk, and one with a slow one that has seen that nobody waits for it. */
async function roomWithReserve(seed: string) {
  const story = new Story(seed, { registrar: true })
  const tabs = await story.open(1, 1, 1)
  await story.until(() => story.sim.leader?.host.status.configuration.voters.length === 3, 10_000, 'three voters')
  const leader = story.leaderOf(tabs)
  const [quick, slow] = tabs.filter((tab) => tab !== leader)
  if (!quick || !slow) throw new Error('three tabs')
  for (const tab of [leader, quick]) diskOf(tab).condition.writeMs = 0.1
  diskOf(slow).condition.stallMs = 12
  const holdAndRelease = async (times: number) => {
    for (let i = 0; i < times; i += 1) await story.settle((await story.acquire(leader, 'doc')).release())
  }
  await holdAndRelease(30)
  const writesOf = async (tab: SimTab) => (await story.settle(tab.page.room.metrics())).writes
  const writtenBy = async (tab: SimTab, run: () => Promise<void>) => {
    const before = await writesOf(tab)
    await run()
    return (await writesOf(tab)) - before
  }
  const lock = async () => {
    const begun = story.now
    const held = await story.acquire(leader, 'doc')
    const took = story.now - begun
    await story.settle(held.release())
    return took
  }
  return { story, leader, quick, slow, holdAndRelease, writtenBy, lock }
}

it('a voter whose acknowledgement always comes too late writes what comes together', async () => {
  const { quick, slow, holdAndRelease, writtenBy } = await roomWithReserve('a slow disk')
  let late = 0
  const inTime = await writtenBy(quick, async () => {
    late = await writtenBy(slow, () => holdAndRelease(100))
  })
  expect(inTime).toBeGreaterThan(150)
  // Its disk alone, which takes longer than a round trip, would join some.
  expect(late).toBeLessThan(inTime * 0.6)
})

it('the first commit that needs it waits a moment, and the next ones no more', async () => {
  const { quick, lock } = await roomWithReserve('the quick disk is busy')
  diskOf(quick).condition.stallMs = 2_000
  expect(await lock()).toBeLessThan(100)
  const next: number[] = []
  while (next.length < 9) next.push(await lock())
  // Its disk stalls for 12 ms, more or less; all of them would have to wait for 20 more.
  expect(next.sort((a, b) => a - b)[4]).toBeLessThan(40)
})

it('when the quick one dies without a word nothing that was agreed is lost', async () => {
  const { story, leader, quick, slow } = await roomWithReserve('the quick one dies')
  const written: Watched<unknown>[] = []
  for (let i = 0; i < 10; i += 1) written.push(story.watch(leader.page.room.store.set(`key ${i}`, i)))
  await story.until(() => written.every(({ at }) => at !== null), 2_000, 'ten answers')
  quick.crash()
  leader.crash()
  await story.pass(100)
  leader.reload()
  await story.until(() => leader.page.room.status === 'ready' && slow.page.room.status === 'ready', 30_000, 'the room')
  const values = []
  for (let i = 0; i < 10; i += 1) values.push((await story.settle(slow.page.room.store.get(`key ${i}`), 20_000))?.value)
  expect(values).toEqual(Array.from({ length: 10 }, (_, i) => i))
})
