import { describe, expect, it } from 'vitest'
import type { Clock } from '../../src/shared/instant.js'
import type { SimTab } from '../../src/simulation/tab.js'
import { Story, withLease } from './story.js'

const lease = 4_000
const minute = 60_000

function termOf(story: Story): number {
  return Math.max(0, ...story.sim.hosts.map(({ host }) => host.status.term))
}

async function room(name: string) {
  const story = new Story(name, { registrar: true, ...withLease(lease) })
  const tabs = await story.open(1, 1, 1)
  const leader = story.leaderOf(tabs)
  const [one, two] = tabs.filter((tab) => tab !== leader)
  if (!one || !two) throw new Error('three tabs')
  return { story, tabs, leader, one, two }
}

/** What a page would see that trusts `performance.now` alone (C2). */
function monotonicOnly(clock: Clock): Clock {
  return {
    now: () => {
      const { monotonic } = clock.now()
      return { monotonic, wall: monotonic }
    },
    after: (ms, run) => clock.after(ms, run),
  }
}

/** The whole device: threads stand still, and its clocks jump when it wakes. */
function sleep(story: Story, tabs: readonly SimTab[], ms: number): void {
  for (const tab of tabs) {
    tab.browser.clock.fallAsleep()
    tab.freeze(ms)
    story.sim.world.after(ms, 'the device wakes', () => tab.browser.clock.wakeUp())
  }
}

describe('[C2][C3] whoever sleeps', () => {
  it('a follower, for 10 minutes: it wakes to a queue of messages, elects nobody, and believes nothing of what it held', async () => {
    const { story, leader, one, two } = await room('follower sleeps')
    const lock = await story.acquire(one, 'doc')
    const term = termOf(story)
    sleep(story, [one], 10 * minute)
    const next = await story.acquire(two, 'doc')
    await story.pass(10 * minute - (story.now % 1) - 5_000)
    expect(lock.state).not.toBe('held')
    // Through its waking, after every event: the checkers look for two holders, this for its first own lines.
    const seen = new Set<string>()
    await story.until(
      () => {
        seen.add(lock.state)
        return one.page.room.status === 'ready' && lock.state === 'lost'
      },
      minute,
      'its return',
    )
    await story.pass(5_000)
    expect([...seen].sort()).toEqual(['lost', 'unsure'])
    expect(next.state).toBe('held')
    expect(termOf(story)).toBe(term)
    expect(story.sim.leader?.self.peerId).toBe(leader.page.peerId)
  })

  it.each([
    ['performance.now counts it', true, {}, ['unsure', 'unsure', 'unsure']],
    ['performance.now stands still', false, {}, ['unsure', 'unsure', 'unsure']],
    // The obvious clock is the bug that the rule is about.
    ['it would be deceived by one clock alone', false, { pageClock: monotonicOnly }, ['held', 'held', 'held']],
  ])('a holder knows in its first line that it is not certain: %s', async (title, countsSleep, surgery, states) => {
    const story = new Story(title, { registrar: true, surgery, ...withLease(lease) })
    const firsts: (string | null)[] = []
    const tabs: SimTab[] = []
    for (let i = 0; i < 3; i++) {
      const tab = story.sim.openTab(story.sim.createBrowser({ countsSleep }))
      tabs.push(tab)
      await story.until(() => tab.page.room.status === 'ready')
    }
    await story.pass(3_000)
    for (const tab of tabs) {
      // Not shown to the simulator's own court, which convicts whoever is deceived.
      const lock = await story.settle(tab.page.room.locks.acquire('doc'))
      sleep(story, [tab], 2 * lease)
      let first: string | null = null
      tab.page.thread.post(2 * lease - 100, 'its first line', () => {
        first ??= lock.state
      })
      await story.until(() => first !== null, 3 * lease)
      firsts.push(first)
      await story.pass(lease)
      if (lock.state === 'held') await story.settle(lock.release())
    }
    expect(firsts).toEqual(states)
  })

  it('[S-5] a leader answers nothing before a quorum has: it wakes deposed, and what it says of its time is void', async () => {
    const { story, tabs, leader, one } = await room('leader sleeps')
    const lock = await story.acquire(leader, 'doc')
    await story.settle(leader.page.room.store.set('key', 'old'))
    sleep(story, [leader], minute)
    await story.until(() => story.sim.leader?.self.peerId !== leader.page.peerId, 5_000, 'another leader')
    await story.settle(one.page.room.store.set('key', 'new'))
    const read: unknown[] = []
    // Asked in its sleep: the first thing that it does after it.
    leader.page.thread.post(30_000, 'reads', () => {
      void leader.page.room.store.get('key').then((found) => read.push(found?.value))
    })
    await story.until(() => read.length > 0, 2 * minute, 'the answer')
    expect(read).toEqual(['new'])
    expect(lock.state).not.toBe('held')
    await story.pass(5_000)
    expect(tabs.every((tab) => tab.page.room.status === 'ready')).toBe(true)
  })

  it('the whole room, for an hour: whoever leads after it, no lock is believed, and all go on', async () => {
    const { story, tabs, one, two } = await room('all sleep')
    const lock = await story.acquire(one, 'doc')
    const next = story.ask(two, 'doc')
    sleep(story, tabs, 60 * minute)
    await story.pass(60 * minute - 10)
    expect(lock.state).not.toBe('held')
    const seen = new Set<string>()
    await story.until(
      () => {
        seen.add(lock.state)
        return next.at !== null || lock.state === 'held'
      },
      3 * lease,
      'somebody holds it',
    )
    // Sessions that nobody could end have full leases: it is certain again, or it was passed on.
    expect(lock.state === 'held').not.toBe(next.value?.state === 'held')
    await story.until(() => tabs.every((tab) => tab.page.room.status === 'ready'), minute)
  })

  it.each([1, 2, 3])('the whole room, and the one that leads wakes first (%i)', async (seed) => {
    const { story, tabs, leader, one, two } = await room(`leader wakes first ${seed}`)
    const lock = await story.acquire(one, 'doc')
    sleep(story, [leader], minute)
    sleep(story, [one, two], minute + 1_000 * seed)
    // Alone it confirms nothing.
    const written = story.watch(leader.page.room.store.set('key', 1))
    await story.pass(minute + 500)
    expect(written.at).toBeNull()
    expect(lock.state).not.toBe('held')
    await story.until(() => written.at !== null && tabs.every((tab) => tab.page.room.status === 'ready'), minute)
  })
})

describe('[C2][C3] timers that come late', () => {
  it.each([
    ['one follower', 1_000],
    ['one follower', 60_000],
    ['the leader', 1_000],
    ['the leader', 60_000],
    ['all', 1_000],
    ['all', 60_000],
  ])('of %s, every %i ms: nobody holds what he is not certain of, and all of it works', async (who, grain) => {
    const { story, tabs, leader, one, two } = await room(`clamped ${who} ${grain}`)
    const clamped = who === 'all' ? tabs : [who === 'the leader' ? leader : one]
    const term = termOf(story)
    for (const tab of clamped) tab.throttle(grain)
    // The checkers look at every moment for two that read `held`.
    for (let i = 0; i < 4; i++) {
      for (const tab of [one, two, leader]) {
        const asked = story.ask(tab, 'doc')
        await story.until(() => asked.at !== null, 4 * minute, `the lock for ${tab.name}`)
        await story.settle(asked.value?.release() ?? Promise.reject(asked.error), 4 * minute)
      }
      await story.pass(5_000)
    }
    if (who === 'one follower') expect(termOf(story), 'it has deposed nobody').toBe(term)
    for (const tab of clamped) tab.throttle(0)
    await story.pass(grain)
    await story.until(() => tabs.every((tab) => tab.page.room.status === 'ready'), minute)
  })
})
