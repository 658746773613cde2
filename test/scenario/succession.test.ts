import { describe, expect, it } from 'vitest'
import type { SimTab } from '../../src/simulation/tab.js'
import { Story, withLease } from './story.js'

const lease = 5_000
const abroad = { ...withLease(lease), registrar: true }

/** Long enough for everybody to count as settled (M4). */
const settling = 6_000

function votersOf(story: Story): readonly string[] {
  return story.sim.leader?.host.status.configuration.voters ?? []
}

/** Who led, one after the other. */
function watchLeaders(story: Story): string[] {
  const seen: string[] = []
  const look = () => {
    const peerId = story.sim.leader?.self.peerId
    if (peerId !== undefined && seen.at(-1) !== peerId) seen.push(peerId)
    story.sim.world.after(20, 'look who leads', look)
  }
  look()
  return seen
}

const handedOver = (story: Story) => story.sim.world.coverage.counts.get('host handed leadership to a better peer') ?? 0
const elections = (story: Story) => story.sim.world.coverage.counts.get('message preVote') ?? 0

function leads(story: Story, tab: SimTab): boolean {
  return story.sim.leader?.self.peerId === story.peerOf(tab)
}

/** Another one than that leads. */
function isFollowed(story: Story, tab: SimTab): boolean {
  return story.sim.leader !== null && !leads(story, tab)
}

function onPhones(tabs: readonly SimTab[]): void {
  for (const tab of tabs) {
    tab.browser.isPhone = true
    tab.look(true)
  }
}

async function room(seed: string, ...tabsOfBrowsers: readonly number[]) {
  const story = new Story(seed, abroad)
  const tabs = await story.open(...tabsOfBrowsers)
  await story.pass(settling)
  const leader = story.leaderOf(tabs)
  return { story, tabs, leader, others: tabs.filter((tab) => tab !== leader) }
}

describe('[S-4] a leader whose page the browser announces to freeze', () => {
  it.each([
    ['one of three browsers', [1, 1, 1]],
    ['one of two browsers', [1, 1]],
    ['one of three tabs', [3]],
  ] as const)('hands over in that very moment: %s', async (_title, tabsOfBrowsers) => {
    const { story, leader, others } = await room(`freeze ${_title}`, ...tabsOfBrowsers)
    const before = story.sim.leader?.host.status.term ?? 0
    const asked = elections(story)
    // As short as it may be: all that has to happen here is that one message leaves.
    leader.freezeWithWord(20_000, 1)
    await story.until(() => isFollowed(story, leader), 400, 'another leader')
    expect(story.sim.leader?.host.status.term).toBe(before + 1)
    expect(elections(story)).toBe(asked)
    expect(handedOver(story)).toBe(1)
    const [other] = others
    if (!other) throw new Error('another tab')
    await story.settle(other.page.room.store.set('key', 'written meanwhile'), 2 * lease)
    await story.pass(25_000)
    expect((await story.settle(leader.page.room.store.get('key')))?.value).toBe('written meanwhile')
  })

  it('is unsure of its lock in the first line after it, and sure again or without it only after a quorum has spoken', async () => {
    for (const [ms, outcome] of [
      [2_000, 'held'],
      [20_000, 'lost'],
    ] as const) {
      const { story, leader } = await room(`frozen holder ${ms}`, 1, 1, 1)
      const lock = await story.acquire(leader, 'doc')
      await story.pass(1_000)
      expect(lock.state).toBe('held')
      const states: string[] = []
      leader.freezeWithWord(ms, 10)
      await story.pass(5)
      expect(lock.state).toBe('unsure')
      await story.pass(ms)
      leader.page.thread.post(0, 'look', () => states.push(lock.state))
      await story.until(() => lock.state !== 'unsure', 5_000, 'certainty')
      states.push(lock.state)
      expect(states).toEqual(['unsure', outcome])
    }
  })
})

describe('[M4] a leader whose phone is put away', () => {
  it('hands over at once, stops voting, and votes again once it has been looked at for 5 s', async () => {
    const { story, tabs, leader } = await room('pocket', 1, 1, 1, 1)
    onPhones([leader])
    await story.pass(1_000)
    const away = story.now
    leader.look(false)
    await story.until(() => isFollowed(story, leader), 300, 'another leader')
    await story.until(() => !votersOf(story).includes(story.peerOf(leader)), 1_000, 'its seat given up')
    await story.until(() => votersOf(story).length === 3, 1_000, 'another voter')
    expect(votersOf(story)).not.toContain(story.peerOf(leader))
    await story.pass(3_000)
    const [, back] = tabs.filter((tab) => tab !== leader && votersOf(story).includes(story.peerOf(tab)))
    if (!back) throw new Error('a voter')
    leader.look(true)
    back.close()
    const backAt = story.now
    await story.until(() => votersOf(story).includes(story.peerOf(leader)), 10_000, 'its vote')
    expect(story.now - backAt).toBeGreaterThan(5_000)
    expect(story.now - away).toBeGreaterThan(8_000)
  })

  it('of two hands over to the other one, by the promised vote or beside it (M2), which goes on alone', async () => {
    const { story, tabs, leader, others } = await room('pair in a pocket', 1, 1)
    const [other] = others
    if (!other) throw new Error('two tabs')
    expect(votersOf(story)).toHaveLength(2)
    onPhones([leader])
    await story.pass(100)
    leader.look(false)
    await story.until(() => leads(story, other), 300, 'the other one')
    await story.until(() => votersOf(story).join() === story.peerOf(other), 2_000, 'one voter')
    leader.look(true)
    await story.pass(7_000)
    expect(votersOf(story)).toHaveLength(2)
    expect(story.leaderOf(tabs)).toBe(other)
  })

  it('finds a tab of the same phone that is looked at instead, and neither is ever alone with a frozen one', async () => {
    const { story, tabs, leader, others } = await room('two tabs of a phone', 2)
    const [other] = others
    if (!other) throw new Error('two tabs')
    onPhones(tabs)
    other.look(false)
    await story.pass(settling)
    expect(votersOf(story)).toEqual([story.peerOf(leader)])
    leader.look(false)
    other.look(true)
    await story.until(() => leads(story, other), 10_000, 'the tab that is seen')
    await story.until(() => votersOf(story).join() === story.peerOf(other), 2_000, 'it alone')
  })
})

describe('[M4] leadership does not wander', () => {
  it('a window that is hidden for good hands over to one that is seen, after 10 s and a minute of leading', async () => {
    const { story, leader, others } = await room('hidden', 1, 1, 1)
    const leaders = watchLeaders(story)
    leader.look(false)
    await story.pass(45_000)
    expect(leaders).toHaveLength(1)
    await story.until(() => isFollowed(story, leader), 20_000, 'another leader')
    // All are hidden by and by, and seen again: the last one that changed is no reason.
    for (const tab of others) tab.look(false)
    await story.pass(75_000)
    expect(leaders).toHaveLength(2)
    expect(votersOf(story)).toHaveLength(3)
  })

  it.each([
    ['windows', false, 2],
    ['phones', true, 24],
  ] as const)('%s that flicker for two minutes move it seldom', async (what, isPhone, most) => {
    const { story, tabs } = await room(`flickering ${what}`, 1, 1, 1)
    if (isPhone) onPhones(tabs)
    const leaders = watchLeaders(story)
    const prng = story.sim.world.prng.fork('flicker')
    for (let t = 0; t < 120; t++) {
      for (const tab of tabs) if (prng.chance(0.3)) tab.look(!tab.isVisible)
      await story.pass(1_000)
    }
    expect(leaders.length - 1).toBeLessThanOrEqual(most)
    expect(handedOver(story)).toBeLessThanOrEqual(most)
  })

  it('of windows that flicker faster than 10 s it stays where it is', async () => {
    const { story, tabs, leader } = await room('fast flicker', 1, 1, 1)
    const leaders = watchLeaders(story)
    for (let t = 0; t < 40; t++) {
      leader.look(t % 2 === 0)
      await story.pass(3_000)
    }
    expect(leaders).toEqual([story.peerOf(leader)])
    expect(story.leaderOf(tabs)).toBe(leader)
  })

  it('a far leader hands over to a near one, once', async () => {
    const { story, tabs, leader, others } = await room('far', 1, 1, 1)
    const leaders = watchLeaders(story)
    // Nobody measures round trips in a room that rests (M6), and nobody waits for them.
    await story.acquire(leader, 'in use')
    for (const other of others) story.sim.ether.slowDown(story.peerOf(leader), story.peerOf(other), 40)
    await story.pass(90_000)
    expect(story.leaderOf(tabs)).not.toBe(leader)
    await story.pass(70_000)
    expect(leaders).toHaveLength(2)
    expect(handedOver(story)).toBe(1)
  })
})

describe('[M3] [M4] who comes back', () => {
  it('was removed while it slept, and is taken in as a learner without an election or a term, and votes later', async () => {
    const { story, tabs, others } = await room('asleep', 1, 1, 1, 1)
    const sleeper = others.find((tab) => votersOf(story).includes(story.peerOf(tab)))
    if (!sleeper) throw new Error('a voter that follows')
    const { term } = story.sim.leader?.host.status ?? { term: 0 }
    sleeper.freeze(20_000)
    await story.until(() => !votersOf(story).includes(story.peerOf(sleeper)), 15_000, 'its seat given away')
    expect(votersOf(story)).toHaveLength(3)
    const members = () => story.sim.leader?.host.status.configuration.learners ?? []
    await story.until(() => members().includes(story.peerOf(sleeper)), 20_000, 'a learner')
    expect(story.sim.leader?.host.status.term).toBe(term)
    expect(sleeper.page.worker?.record?.host.status.term).toBe(term)
    const leaving = tabs.find((tab) => tab !== story.leaderOf(tabs) && votersOf(story).includes(story.peerOf(tab)))
    leaving?.close()
    await story.until(() => votersOf(story).includes(story.peerOf(sleeper)), 10_000, 'its vote')
  })

  it("with `role: 'learner'` never votes, whoever leads, and whoever goes", async () => {
    const { story, leader, others } = await room('guest', 1, 1, 1)
    const browser = story.sim.createBrowser()
    browser.isLearnerOnly = true
    const guest = story.sim.openTab(browser)
    await story.until(() => guest.page.room.status === 'ready', 10_000, 'the guest')
    const learners = () => story.sim.leader?.host.status.configuration.learners ?? []
    await story.pass(settling)
    expect(learners()).toEqual([story.peerOf(guest)])
    // The next leader was never asked to take it in.
    leader.close()
    await story.until(() => isFollowed(story, leader), 2_000, 'another leader')
    await story.pass(settling)
    expect(learners()).toEqual([story.peerOf(guest)])
    expect([...votersOf(story)].sort()).toEqual(others.map((tab) => story.peerOf(tab)).sort())
  })

  it('[M3] of five voters two that fall silent together leave one lease apart', async () => {
    const { story, tabs, others } = await room('five', 1, 1, 1, 1, 1)
    await story.until(() => votersOf(story).length === 5, 20_000, 'five voters')
    const silent = others.slice(0, 2)
    const sizes: { readonly size: number; readonly at: number }[] = []
    const look = () => {
      const size = votersOf(story).length
      if (sizes.at(-1)?.size !== size) sizes.push({ size, at: story.now })
      story.sim.world.after(1, 'look at the voters', look)
    }
    look()
    for (const tab of silent)
      story.cutOff(
        tab,
        tabs.filter((other) => other !== tab),
      )
    await story.until(() => votersOf(story).length === 3, 4 * lease, 'three voters')
    await story.pass(5)
    expect(sizes.map(({ size }) => size)).toEqual([5, 4, 3])
    const [, first, second] = sizes
    expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(lease)
    story.heal()
  })
})
