import { describe, expect, it } from 'vitest'
import type { HostMetrics } from '../../src/host/page.js'
import { defaultTiming } from '../../src/machine/settings.js'
import type { SimTab } from '../../src/simulation/tab.js'
import { Story, withLease } from './story.js'

function metricsOf(tab: SimTab): HostMetrics {
  const metrics: HostMetrics[] = []
  tab.page.worker?.record?.host.call({ type: 'metrics' }, (reply) => {
    if (reply.ok) metrics.push(reply.value)
  })
  const [only] = metrics
  if (!only) throw new Error('no host')
  return only
}

function termOf(story: Story): number {
  return story.sim.leader?.host.status.term ?? 0
}

/** Frames that each peer sends in a second, all its links together. */
async function framesPerSecond(story: Story, tabs: readonly SimTab[], seconds: number): Promise<number[]> {
  const before = tabs.map((tab) => metricsOf(tab).framesSent)
  await story.pass(seconds * 1_000)
  return tabs.map((tab, i) => (metricsOf(tab).framesSent - (before[i] ?? 0)) / seconds)
}

function isLed(story: Story, tabs: readonly SimTab[]): boolean {
  return tabs.some((tab) => tab.page.peerId === story.sim.leader?.self.peerId)
}

async function idleRoom(name: string, ...tabsOfBrowsers: readonly number[]) {
  const story = new Story(name, { registrar: true })
  const tabs = await story.open(...tabsOfBrowsers)
  await story.pass(15_000)
  const leader = story.leaderOf(tabs)
  return { story, tabs, leader, others: tabs.filter((tab) => tab !== leader) }
}

describe('[M6] an idle room', () => {
  it.each([[[1, 1]], [[1, 1, 1]], [[3]], [[2, 2, 1]]])(
    'of %j tabs sends at most two frames a second and peer, for minutes, and elects nobody',
    async (tabsOfBrowsers) => {
      const { story, tabs } = await idleRoom(`idle ${tabsOfBrowsers}`, ...tabsOfBrowsers)
      const term = termOf(story)
      for (const frames of await framesPerSecond(story, tabs, 180)) expect(frames).toBeLessThanOrEqual(2.05)
      expect(termOf(story)).toBe(term)
      expect(tabs.map((tab) => tab.page.room.status)).toEqual(tabs.map(() => 'ready'))
      const connected = tabs.map((tab) => tab.page.members.filter(({ connected }) => connected).length)
      expect(new Set(connected).size, 'all see as many as before').toBe(1)
    },
  )

  it('is not one where a lock is held', async () => {
    const { story, tabs, others } = await idleRoom('held', 1, 1, 1)
    const [other] = others
    if (!other) throw new Error('three tabs')
    const lock = await story.acquire(other, 'doc')
    await story.pass(15_000)
    const frames = await framesPerSecond(story, tabs, 10)
    expect(Math.max(...frames)).toBeGreaterThan(20)
    expect(lock.state).toBe('held')
  })

  it.each([
    ['a lock', (story: Story, tab: SimTab) => story.acquire(tab, 'doc')],
    [
      'a lock for less than a heartbeat of it',
      (story: Story, tab: SimTab) => story.acquire(tab, 'doc', { lease: 500 }),
    ],
    ['a write', (story: Story, tab: SimTab) => story.settle(tab.page.room.store.set('key', 1))],
    ['a linearizable read', (story: Story, tab: SimTab) => story.settle(tab.page.room.store.get('key'))],
  ])('wakes at the first request: %s takes as long as in one that is awake', async (title, ask) => {
    const took = async (asleep: boolean, byLeader: boolean) => {
      const { story, leader, others } = await idleRoom(`${title} ${byLeader}`, 1, 1, 1)
      const tab = byLeader ? leader : others[0]
      if (!tab) throw new Error('three tabs')
      if (!asleep) await story.settle(tab.page.room.store.set('other', 1))
      const askedAt = story.now
      await ask(story, tab)
      return story.now - askedAt
    }
    for (const byLeader of [false, true])
      expect(await took(true, byLeader)).toBeLessThan((await took(false, byLeader)) + 60)
  })

  it('[S-8] a lock that it grants is certain, whenever it is asked for', async () => {
    const { story, tabs } = await idleRoom('certain', 1, 1, 1)
    const term = termOf(story)
    for (const [i, tab] of [...tabs, ...tabs].entries()) {
      await story.pass(15_000 + i * 170)
      const lock = await story.acquire(tab, 'doc')
      expect(lock.state).toBe('held')
      await story.settle(lock.release())
    }
    expect(termOf(story), 'nobody was elected for it').toBe(term)
  })

  it.each([[[1, 1, 1]], [[1, 1, 1, 1, 1]], [[2, 2, 1]]])(
    'of %j tabs notices in the end that its leader has died unheard, nobody wanting anything: 1.25 leases, and a round',
    async (shape) => {
      const { story, leader, others } = await idleRoom(`silent death ${shape}`, ...shape)
      story.cutOff(leader, others)
      // Two and a half beats, and as much again for the spread of time-outs; a beat takes half a second for each of the others.
      const beat = Math.min(Math.max(1_000, others.length * 500), defaultTiming.lease / 4)
      await story.until(() => isLed(story, others), 5 * beat + 500, 'another leader')
    },
  )

  it.each([
    ['is cut off', [1, 1, 1], (story: Story, leader: SimTab, others: SimTab[]) => story.cutOff(leader, others)],
    ['is cut off', [1, 1, 1, 1, 1], (story: Story, leader: SimTab, others: SimTab[]) => story.cutOff(leader, others)],
    ['crashes', [1, 1, 1, 1, 1], (_: Story, leader: SimTab) => leader.crash()],
    ['crashes, which its browser knows', [2, 2, 1], (_: Story, leader: SimTab) => leader.crash()],
    ['freezes', [1, 1, 1, 1, 1], (_: Story, leader: SimTab) => leader.freeze(60_000)],
  ])(
    '... but as quickly as an awake one as soon as somebody wants something: the leader %s in %j',
    async (how, shape, end) => {
      for (let run = 0; run < 5; run++) {
        const { story, leader, others } = await idleRoom(`probe ${run}`, ...shape)
        const asking = others[run % others.length]
        if (!asking) throw new Error('three tabs')
        // Beats have just come: by themselves the others would wait for seconds.
        await story.pass(run * 300)
        end(story, leader, others)
        const askedAt = story.now
        await story.settle(asking.page.room.store.set('key', 1))
        // It waits for one awake time-out, the voters for another; then a round, or two where the vote is split.
        expect(story.now - askedAt, `run ${run}, ${how}`).toBeLessThan(900)
      }
    },
  )

  it('... also when it is a newcomer who wants it', async () => {
    for (let run = 0; run < 5; run++) {
      const { story, leader, others } = await idleRoom(`newcomer ${run}`, 1, 1, 1, 1, 1)
      leader.freeze(60_000)
      await story.pass(300)
      const newcomer = story.sim.openTab(story.sim.createBrowser())
      const met = () => (newcomer.page.worker?.record?.network.links.size ?? 0) >= others.length
      await story.until(met, 5_000, 'its links')
      await story.until(() => newcomer.page.room.status === 'ready', 1_500, `the room, run ${run}`)
    }
  })

  it('... or as one of them knows that it is gone: its channel has closed, the others have no word of it, and nobody wants anything', async () => {
    for (let run = 0; run < 3; run++) {
      const { story, leader, others } = await idleRoom(`one knows ${run}`, 1, 1, 1, 1, 1)
      const knows = others[run]
      if (!knows) throw new Error('five tabs')
      await story.pass(run * 300)
      leader.freeze(60_000)
      for (const link of story.hostOf(knows).network.links)
        if (link.to.peerId === leader.page.peerId) link.hear('remote', 1)
      // By themselves the others would follow it for two and a half beats of 2 s since the last one.
      await story.until(() => isLed(story, others), 900, `another leader, run ${run}`)
    }
  })

  it('a leader that is alive is not replaced because one follower’s way to it is cut', async () => {
    const { story, leader, others } = await idleRoom('one way is cut', 1, 1, 1)
    const [other] = others
    if (!other) throw new Error('three tabs')
    const term = termOf(story)
    story.sim.ether.block(other.page.peerId, leader.page.peerId, false)
    const written = story.watch(other.page.room.store.set('key', 1))
    await story.pass(3_000)
    expect(written.at).toBeNull()
    expect(termOf(story)).toBe(term)
    story.heal()
    await story.until(() => written.at !== null)
    expect(termOf(story)).toBe(term)
  })

  // Whoever would be the next leader is asked by one of the others at least.
  it.each([0, 3])(
    '... nor because the two do not hear each other: who is asked goes on following it (%i)',
    async (which) => {
      const { story, leader, others } = await idleRoom('one is cut off', 1, 1, 1, 1, 1)
      const other = others[which]
      if (!other) throw new Error('five tabs')
      expect(metricsOf(leader).voters).toHaveLength(5)
      const term = termOf(story)
      // The others could agree on another one before it can say a word.
      for (const tab of others) story.sim.ether.slowDown(tab.page.peerId, leader.page.peerId, 40)
      story.cutOff(other, [leader])
      const written = story.watch(other.page.room.store.set('key', 1))
      await story.pass(3_000)
      expect(written.at).toBeNull()
      expect(termOf(story)).toBe(term)
      story.heal()
      await story.until(() => written.at !== null)
      expect(termOf(story)).toBe(term)
    },
  )

  it.each([
    ['is closed', (tab: SimTab) => tab.close()],
    ['crashes', (tab: SimTab) => tab.crash()],
  ])('hears at once that its leader %s', async (title, end) => {
    const { story, leader, others } = await idleRoom(`leader ${title}`, 3)
    const endedAt = story.now
    end(leader)
    await story.until(
      () => others.some((tab) => tab.page.peerId === story.sim.leader?.self.peerId),
      3_000,
      'another leader',
    )
    expect(story.now - endedAt).toBeLessThan(600)
  })

  it('a follower that is silent ends it: the leader has work to do', async () => {
    const { story, tabs, leader, others } = await idleRoom('silent follower', 1, 1, 1, 1)
    const [frozen] = others
    if (!frozen) throw new Error('four tabs')
    expect(termOf(story)).toBeGreaterThan(0)
    frozen.freeze(60_000)
    await story.until(() => metricsOf(leader).voters.includes(frozen.page.peerId) === false, 30_000, 'its removal')
    expect(tabs.filter((tab) => tab !== frozen).every((tab) => tab.page.room.status === 'ready')).toBe(true)
  })

  it('with a short lease sessions live on, and the page stays certain of what it may ask', async () => {
    const story = new Story('short lease', { registrar: true, ...withLease(2_000) })
    const tabs = await story.open(1, 1)
    await story.pass(60_000)
    const sessions = tabs.map((tab) => metricsOf(tab).session)
    await story.pass(60_000)
    expect(tabs.map((tab) => metricsOf(tab).session)).toEqual(sessions)
  })
})
