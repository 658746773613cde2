import { describe, expect, it } from 'vitest'
import { defaultTiming } from '../../src/machine/settings.js'
import { fairWeather } from '../../src/simulation/network.js'
import type { SimTab } from '../../src/simulation/tab.js'
import { Story } from './story.js'

const minute = 60_000

function termOf(story: Story): number {
  return Math.max(0, ...story.sim.hosts.map(({ host }) => host.status.term))
}

/** One way takes so much longer from now on, between all of them. */
function slowDown(story: Story, tabs: readonly SimTab[], ms: number): void {
  for (const [i, a] of tabs.entries())
    for (const b of tabs.slice(i + 1)) story.sim.ether.slowDown(a.page.peerId, b.page.peerId, ms)
}

/** Somebody writes now and then: the room stays awake. */
async function work(story: Story, tab: SimTab, ms: number): Promise<void> {
  const end = story.now + ms
  while (story.now < end) {
    await story.settle(tab.page.room.store.set('key', story.now), 30_000)
    await story.pass(1_000)
  }
}

async function room(name: string, remoteDelay = 0.5) {
  const story = new Story(name, { registrar: true, weather: { ...fairWeather, remoteDelay } })
  const tabs = await story.open(1, 1, 1)
  const leader = story.leaderOf(tabs)
  return { story, tabs, leader, others: tabs.filter((tab) => tab !== leader) }
}

/** How long the room is without a leader after the crash of the one that it has. */
async function failover(story: Story, leader: SimTab, others: readonly SimTab[], within: number): Promise<number> {
  const begun = story.now
  leader.crash()
  await story.until(
    () => others.some((tab) => tab.page.peerId === story.sim.leader?.self.peerId),
    within,
    'a new leader',
  )
  return story.now - begun
}

describe('[M5] time-outs follow the measured round trips', () => {
  it('links of 400 ms elect one leader, and no other one for minutes', async () => {
    const story = new Story('mobile', { registrar: true, weather: { ...fairWeather, remoteDelay: 200 } })
    const browsers = [1, 2, 3].map(() => story.sim.createBrowser())
    const tabs = browsers.map((browser) => story.sim.openTab(browser))
    await story.until(() => tabs.every((tab) => tab.page.room.status === 'ready'), 30_000, 'everybody')
    await story.pass(10_000)
    const term = termOf(story)
    const [tab] = tabs
    if (!tab) throw new Error('three tabs')
    await work(story, tab, 3 * minute)
    expect(termOf(story)).toBe(term)
    expect(story.sim.leader?.host.status.configuration.voters).toHaveLength(3)
  })

  it.each([1, 2, 3, 4, 5])('... and another one soon when it dies (%i)', async (seed) => {
    const { story, leader, others } = await room(`mobile failover ${seed}`, 1)
    slowDown(story, [leader, ...others], 200)
    await story.pass(10_000)
    const term = termOf(story)
    expect(await failover(story, leader, others, 12_000)).toBeLessThan(8_000)
    expect(termOf(story) - term).toBeLessThanOrEqual(2)
  })

  it('links that get slower by and by cause no election', async () => {
    const { story, tabs, leader } = await room('gradually')
    const term = termOf(story)
    for (let ms = 0; ms <= 200; ms += 10) {
      slowDown(story, tabs, ms)
      await work(story, leader, 3_000)
    }
    await work(story, leader, minute)
    expect(termOf(story)).toBe(term)
  })

  it.each([1, 2, 3, 4, 5, 6])('links that get slow at once cause one election at most (%i)', async (seed) => {
    const { story, tabs, leader } = await room(`at once ${seed}`)
    await work(story, leader, 3_000 + seed * 97)
    const elections = story.sim.raft.elections
    slowDown(story, tabs, 200)
    await story.pass(8_000)
    await work(story, leader, minute)
    expect(story.sim.raft.elections - elections).toBeLessThanOrEqual(1)
  })

  it('once they are quick again, so is the next leader', async () => {
    const took: number[] = []
    for (let run = 0; run < 7; run++) {
      const { story, tabs, leader } = await room(`quick again ${run}`)
      slowDown(story, tabs, 200)
      await work(story, leader, 20_000)
      slowDown(story, tabs, 0)
      await work(story, leader, 15_000)
      const now = story.leaderOf(tabs)
      const others = tabs.filter((tab) => tab !== now)
      took.push(await failover(story, now, others, 5_000))
    }
    // Votes may split in one of them.
    expect(took.sort((x, y) => x - y)[3]).toBeLessThan(1_000)
  })

  it('a slow minority slows nobody down, and disturbs nobody', async () => {
    const { story, tabs, leader, others } = await room('minority')
    const [slow, quick] = others
    if (!slow || !quick) throw new Error('three tabs')
    for (const tab of [leader, quick]) story.sim.ether.slowDown(slow.page.peerId, tab.page.peerId, 200)
    await story.pass(8_000)
    const term = termOf(story)
    /** Of heartbeats that the quick one has answered. */
    const rounds = () => {
      const progress = story.sim.leader?.host.status.progress
      return progress?.find(({ peerId }) => peerId === quick.page.peerId)?.round ?? 0
    }
    const before = rounds()
    await work(story, leader, minute)
    expect(termOf(story)).toBe(term)
    expect(rounds() - before, 'heartbeats come as often as ever').toBeGreaterThan(
      (0.8 * minute) / defaultTiming.heartbeat,
    )
    expect(tabs.every((tab) => tab.page.room.status === 'ready')).toBe(true)
  })

  it('a change of leaders over links of 400 ms is no loss of the quorum', async () => {
    let losses = 0
    for (let run = 0; run < 12; run++) {
      const { story, leader, others } = await room(`slow failover ${run}`, 200)
      await story.until(() => others.every((tab) => tab.page.room.status === 'ready'), 30_000, 'everybody')
      await story.pass(10_000)
      const phases = new Set<string>()
      for (const tab of others) tab.page.room.addEventListener('statuschange', () => phases.add(tab.page.room.status))
      await failover(story, leader, others, 30_000)
      await story.pass(1_000)
      losses += phases.size > 0 ? 1 : 0
    }
    // Votes may split in one of them.
    expect(losses).toBeLessThanOrEqual(1)
  })
})
