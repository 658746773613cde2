import { describe, expect, it } from 'vitest'
import type { SimTab } from '../../src/simulation/tab.js'
import { abroad, accepted, allInOne, get, lineageOf, lineagesOf, resetsOf, set } from './apart.js'
import { Story } from './story.js'

describe('[N3] three histories of one room meet at once', () => {
  /**
   * One browser goes alone early, and agrees on something that the others do not have; two go together later, with all that was agreed among
   * the others; and those that are left come back and agree on nothing more. By pairs each of the three would end for another one.
   */
  it.each([1, 2, 3])('exactly one goes on, and what is not in it was told (%i)', async (seed) => {
    const story = new Story(`three at once ${seed}`, abroad)
    const tabs = (await story.open(1, 1, 1, 1, 1)) as [SimTab, SimTab, SimTab, SimTab, SimTab]
    const votersOf = () => story.sim.leader?.host.status.configuration.voters.length
    await story.until(() => votersOf() === 5, 60_000, 'five voters')
    await set(story, tabs[0], 'shared', 'before')
    await story.pass(1_000)
    const leader = story.leaderOf(tabs)
    const early = tabs.filter((tab) => tab !== leader).slice(0, 2) as [SimTab, SimTab]
    // The two that go early are in touch with each other alone.
    const rest = tabs.filter((tab) => !early.includes(tab)) as [SimTab, SimTab, SimTab]
    for (const tab of early) story.cutOff(tab, rest)
    for (const tab of early) await story.until(() => tab.page.room.status === 'no-quorum', 20_000, 'no-quorum')
    await story.settle(early[0].page.room.recover(accepted))
    await set(story, early[0], 'early', 'fork')
    const left3 = () => story.hostOf(leader).host.status.configuration.voters.length === 3
    await story.until(left3, 60_000, 'the silent ones are no voters any more (M3)')
    await set(story, rest[0], 'main', 'parent')
    await story.pass(1_000)
    const [one, ...left] = rest.filter((tab) => tab !== leader).concat(leader) as [SimTab, SimTab, SimTab]
    // What is left of the room is closed, but for one that goes on alone.
    for (const tab of left) tab.crash()
    await story.until(() => one.page.room.status === 'no-quorum', 20_000, 'no-quorum')
    await story.settle(one.page.room.recover(accepted))
    await set(story, one, 'late', 'fork')
    story.cutOff(one, left)
    for (const tab of left) tab.reload()
    for (const tab of left) await story.until(() => tab.page.room.status === 'ready', 30_000, 'the parent is back')
    expect(lineagesOf(tabs).size).toBe(3)
    const resets = new Map(tabs.map((tab) => [tab, resetsOf(tab)]))
    story.heal()
    await allInOne(story, tabs)
    expect(lineageOf(one)).toMatchObject({ epoch: 1 })
    for (const tab of tabs) {
      expect(await get(story, tab, 'shared')).toBe('before')
      expect(await get(story, tab, 'main')).toBe('parent')
      expect(await get(story, tab, 'late')).toBe('fork')
    }
    for (const tab of early)
      expect(resets.get(tab)?.flatMap(({ lost }) => lost.store.map(({ key }) => key))).toContain('early')
  })
})
