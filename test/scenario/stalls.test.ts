/** A worker that did not run for a moment has heard nothing, but much may have been said to it. */
import { expect, it } from 'vitest'
import type { SimTab } from '../../src/simulation/tab.js'
import { Story, withLease } from './story.js'

async function stall(story: Story, tabs: readonly SimTab[], ms: number): Promise<void> {
  const threads = tabs.map((tab) => story.hostOf(tab).thread)
  for (const thread of threads) thread.block()
  await story.pass(ms)
  for (const thread of threads) thread.unblock()
}

it('[C3] a follower that stood still for longer than any election time-out follows on: it hears its leader first', async () => {
  const story = new Story('a follower stalls', { registrar: true })
  const tabs = await story.open(1, 1, 1)
  const leader = story.leaderOf(tabs)
  const [follower] = tabs.filter((tab) => tab !== leader)
  if (!follower) throw new Error('three tabs')
  const roles = new Set<string>()
  for (let i = 0; i < 20; i += 1) {
    await stall(story, [follower], 400)
    const until = story.now + 200
    await story.until(() => {
      roles.add(story.hostOf(follower).host.status.role)
      return story.now >= until
    })
  }
  expect([...roles]).toEqual(['follower'])
})

it('[C3] a machine on which nobody ran for longer than any election time-out elects nobody', async () => {
  const story = new Story('a machine stalls', { registrar: true })
  const tabs = await story.open(3)
  const { elections } = story.sim.raft
  for (let i = 0; i < 40; i += 1) {
    await stall(story, tabs, 350)
    await story.pass(100)
  }
  expect(story.sim.raft.elections).toBe(elections)
})

it('how long it stood still at most is in its metrics; what lasts longer than a second is a pause', async () => {
  const story = new Story('stalls are told', { registrar: true })
  const [tab] = await story.open(1)
  if (!tab) throw new Error('one tab')
  const told = async () => {
    const { longestStall, pauses } = await story.settle(tab.page.room.metrics())
    return { longestStall, pauses }
  }
  expect(await told()).toEqual({ longestStall: 0, pauses: 0 })
  await stall(story, [tab], 300)
  const first = await told()
  // An awake host is never without a timer for longer than 50 ms.
  expect(first.longestStall).toBeGreaterThanOrEqual(250)
  expect(first.longestStall).toBeLessThanOrEqual(300)
  await story.pass(200)
  await stall(story, [tab], 200)
  expect(await told()).toEqual({ ...first, pauses: 0 })
  await story.pass(200)
  await stall(story, [tab], 2_000)
  expect(await told()).toEqual({ ...first, pauses: 1 })
})

it('[M5] a leader that stands still now and then is given the time for it, for as long as it does', async () => {
  const story = new Story('a leader stalls', { registrar: true })
  const tabs = await story.open(1, 1, 1)
  for (let i = 0; i < 3; i += 1) {
    await stall(story, [story.leaderOf(tabs)], 140)
    await story.pass(300)
  }
  const leader = story.leaderOf(tabs)
  const { elections } = story.sim.raft
  for (let i = 0; i < 40; i += 1) {
    await stall(story, [leader], 200)
    await story.pass(300)
  }
  expect(story.sim.raft.elections).toBe(elections)
  await story.pass(20_000)
  await story.acquire(leader, 'the room is awake')
  // Who is farther away hears of it after the two that agreed.
  await story.pass(100)
  const [other] = tabs.filter((tab) => tab !== leader)
  if (!other) throw new Error('three tabs')
  leader.crash()
  const crashedAt = story.now
  await story.until(() => story.sim.leader !== null && story.leaderOf(tabs) !== leader, 5_000, 'another leader')
  expect(story.now - crashedAt).toBeLessThan(500)
})

it.each([
  ['one of two browsers', 2, 300],
  ['one of three browsers', 3, 180],
] as const)(
  '[C3][M3] a leader that stands still now and then still counts the silence of %s that has crashed',
  async (_title, browsers, ms) => {
    const story = new Story(`a leader that stalls counts ${browsers}`, { ...withLease(5_000), registrar: true })
    const tabs = await story.open(...Array.from({ length: browsers }, () => 1))
    const leader = story.leaderOf(tabs)
    const [other] = tabs.filter((tab) => tab !== leader)
    if (!other) throw new Error('two tabs')
    await story.acquire(other, 'doc')
    const next = story.ask(leader, 'doc')
    for (let i = 0; i < 3; i += 1) {
      await stall(story, [leader], ms)
      await story.pass(1_000)
    }
    other.crash()
    const crashedAt = story.now
    while (next.at === null && story.now < crashedAt + 20_000) {
      await stall(story, [leader], ms)
      await story.pass(2_000)
    }
    expect(next.at).not.toBeNull()
    expect(story.leaderOf(tabs)).toBe(leader)
    // A lease of silence, a part of another until it is acted on, and what the leader did not run meanwhile.
    expect((next.at ?? 0) - crashedAt).toBeLessThan(10_000)
  },
)

it('[S-5] a leader that loses its quorum for a moment again and again, and is elected again, still counts the silence of a crashed tab', async () => {
  let elections = 0
  const took: number[] = []
  for (const seed of [17, 25, 31, 42, 43]) {
    const story = new Story(`a quorum goes away ${seed}`, { ...withLease(5_000), registrar: true })
    const tabs = await story.open(1, 1, 1)
    const leader = story.leaderOf(tabs)
    const [other, third] = tabs.filter((tab) => tab !== leader)
    if (!other || !third) throw new Error('three tabs')
    await story.acquire(other, 'doc')
    const next = story.ask(leader, 'doc')
    other.crash()
    const [before, crashedAt] = [story.sim.raft.elections, story.now]
    while (next.at === null && story.now < crashedAt + 20_000) {
      await stall(story, [third], 250)
      await story.pass(1_000)
    }
    elections += story.sim.raft.elections - before
    took.push((next.at ?? Number.POSITIVE_INFINITY) - crashedAt)
  }
  expect(elections).toBeGreaterThan(5)
  expect(Math.max(...took)).toBeLessThan(10_000)
})
