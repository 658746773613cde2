import { describe, expect, it } from 'vitest'
import type { Surgery } from '../../src/simulation/simulation.js'
import type { SimTab } from '../../src/simulation/tab.js'
import { unforgetting } from '../simulation/planted.js'
import { Story, withLease } from './story.js'

const lease = 5_000
const abroad = { ...withLease(lease), registrar: true }

function votersOf(story: Story): readonly string[] {
  return story.sim.leader?.host.status.configuration.voters ?? []
}

async function pair(name: string, surgery: Surgery = {}): Promise<{ story: Story; leader: SimTab; other: SimTab }> {
  const story = new Story(name, { ...abroad, surgery })
  const tabs = await story.open(1, 1)
  const leader = story.leaderOf(tabs)
  const other = tabs.find((tab) => tab !== leader)
  if (!other) throw new Error('two tabs')
  expect([...votersOf(story)].sort()).toEqual([story.peerOf(leader), story.peerOf(other)].sort())
  return { story, leader, other }
}

/** So many vote, all know it, and of two the page of the one that leads has the vote for the other. */
async function vote(story: Story, count: number): Promise<void> {
  await story.until(() => votersOf(story).length === count, lease, `${count} voters`)
  await story.pass(100)
}

describe('[M2] two browsers', () => {
  it.each([
    ['is closed', (tab: SimTab) => tab.close()],
    ['leaves', (tab: SimTab) => void tab.page.release()],
  ])('the one that leads %s: the other leads at once, with all that was stored', async (title, end) => {
    const { story, leader, other } = await pair(`leader ${title}`)
    const lock = await story.acquire(leader, 'doc')
    await story.settle(leader.page.room.store.set('key', 'kept'))
    const next = story.ask(other, 'doc')
    await story.pass(500)
    const endedAt = story.now
    end(leader)
    await story.until(() => next.at !== null, lease, 'the next grant')
    expect((next.at ?? 0) - endedAt).toBeLessThan(300)
    expect(next.value?.token).toBeGreaterThan(lock.token)
    expect((await story.settle(other.page.room.store.get('key')))?.value).toBe('kept')
    expect(votersOf(story)).toEqual([story.peerOf(other)])
    expect(other.page.room.status).toBe('ready')
  })

  it('... and comes back: both vote again', async () => {
    const { story, leader, other } = await pair('back again')
    leader.close()
    await story.pass(1_000)
    leader.reload()
    await story.until(() => leader.page.room.status === 'ready', lease, 'the room')
    await vote(story, 2)
    expect(story.leaderOf([leader, other])).toBe(other)
    other.close()
    await story.until(() => votersOf(story).length === 1, 1_000, 'the other one alone')
    await story.acquire(leader, 'doc')
  })

  it('the other one is closed: the one that leads goes on at once, alone', async () => {
    const { story, leader, other } = await pair('follower closes')
    await story.acquire(other, 'doc')
    const next = story.ask(leader, 'doc')
    await story.pass(500)
    const closedAt = story.now
    other.close()
    await story.until(() => next.at !== null, lease, 'the next grant')
    expect((next.at ?? 0) - closedAt).toBeLessThan(300)
    expect(votersOf(story)).toEqual([story.peerOf(leader)])
  })

  it('the other one crashes: the one that leads says so, and goes on alone after the lease', async () => {
    const { story, leader, other } = await pair('follower crashes')
    await story.acquire(other, 'doc')
    const next = story.ask(leader, 'doc')
    await story.pass(500)
    const crashedAt = story.now
    const gone = story.peerOf(other)
    other.crash()
    await story.until(() => leader.page.room.status === 'no-quorum', lease, 'no-quorum')
    expect(leader.page.room.missing, 'at once').toEqual([gone])
    await story.until(() => next.at !== null, 3 * lease, 'the next grant')
    expect((next.at ?? 0) - crashedAt).toBeGreaterThan(lease - 1_200)
    await story.until(() => leader.page.room.status === 'ready', 1_000, 'ready')
    expect(votersOf(story)).toEqual([story.peerOf(leader)])
  })

  it('the one that leads crashes: the other may not know what it missed, and waits for it', async () => {
    const { story, leader, other } = await pair('leader crashes')
    await story.settle(leader.page.room.store.set('key', 'kept'))
    const gone = story.peerOf(leader)
    leader.crash()
    await story.until(() => other.page.room.status === 'no-quorum', lease, 'no-quorum')
    expect(other.page.room.missing, 'at once').toEqual([gone])
    const next = story.ask(other, 'doc')
    await story.pass(3 * lease)
    expect(next.at).toBeNull()
    leader.reload()
    await story.until(() => next.at !== null, lease, 'the grant')
    expect((await story.settle(other.page.room.store.get('key')))?.value).toBe('kept')
  })

  it('the one that leads crashes, but its browser has another tab: that one carries its vote on (L4)', async () => {
    const story = new Story('leader crashes at home', abroad)
    const tabs = await story.open(2, 1)
    const leader = story.leaderOf(tabs)
    expect(votersOf(story)).toHaveLength(2)
    leader.crash()
    const [first, second] = tabs.filter((tab) => tab !== leader)
    if (!first || !second) throw new Error('three tabs')
    await story.acquire(second, 'doc', { timeout: 3_000 })
    await story.acquire(first, 'other doc', { timeout: 3_000 })
  })

  it('[L4] ... and does so at once: its node reaches the other browser by that tab, and waits for no link of its own', async () => {
    for (const n of [1, 2, 3]) {
      const story = new Story(`leader crashes at home ${n}`, abroad)
      const tabs = await story.open(2, 1)
      const leader = story.leaderOf(tabs)
      const far = tabs.at(-1)
      if (!far || far === leader) throw new Error('the first browser founds and leads')
      await story.acquire(leader, 'doc')
      const next = story.ask(far, 'doc')
      await story.pass(1_000)
      const at = story.now
      leader.crash()
      await story.until(() => next.at !== null, lease, 'the next grant')
      expect((next.at ?? 0) - at).toBeLessThan(700)
    }
  })

  it('each goes on alone on its side of a cut only if it led, and both are one room again', async () => {
    const { story, leader, other } = await pair('cut')
    const kept = await story.acquire(other, 'doc')
    story.cutOff(leader, [other])
    await story.until(() => other.page.room.status === 'no-quorum', lease, 'no-quorum')
    const mine = story.ask(leader, 'doc')
    await story.until(() => mine.at !== null, 3 * lease, 'the lock after the lease')
    expect(kept.state).not.toBe('held')
    story.heal()
    await story.until(() => other.page.room.status === 'ready', 2 * lease, 'the room')
    expect((await story.settle(other.page.room.locks.query())).held).toMatchObject([{ clientId: story.peerOf(leader) }])
    await story.until(() => votersOf(story).length === 2, lease, 'two voters')
  })

  it('[M2] a third browser comes in only once the page of the one that leads has destroyed its vote', async () => {
    const { story, leader, other } = await pair('growing')
    leader.block(2_000)
    const browser = story.sim.createBrowser()
    const third = story.sim.openTab(browser)
    await story.pass(1_500)
    expect(third.page.room.status).toBe('joining')
    expect(votersOf(story)).toHaveLength(2)
    await vote(story, 3)
    leader.close()
    await vote(story, 2)
    story.leaderOf([other, third]).close()
    await story.until(() => votersOf(story).length === 1, 1_000, 'one voter')
    const last = [other, third].find((tab) => tab.isOpen)
    if (!last) throw new Error('one is open')
    await story.acquire(last, 'doc')
  })

  /** The one that led stays alone, stores something, and goes; the other one hears nothing of it but the last word. */
  async function alone(name: string, surgery: Surgery): Promise<Story> {
    const { story, leader, other } = await pair(name, surgery)
    story.cutOff(leader, [other])
    await story.until(() => votersOf(story).length === 1, 3 * lease, 'one voter')
    await story.settle(leader.page.room.store.set('key', 'acknowledged'))
    leader.close()
    await story.pass(2_000)
    return story
  }

  it('[M2] the last word of one that went on alone makes nobody lead', async () => {
    const story = await alone('alone', {})
    expect(story.sim.leader).toBeNull()
  })

  it('[M2] a page that keeps the vote which it said it had destroyed is convicted', async () => {
    await expect(alone('alone', { port: unforgetting })).rejects.toMatchObject({ rule: 'leader-completeness' })
  })
})
