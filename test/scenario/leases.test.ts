import { describe, expect, it } from 'vitest'
import type { Lock } from '../../src/client/lock.js'
import { encodeInstruction } from '../../src/machine/instruction.js'
import { findSessionOfPeer } from '../../src/machine/session/view.js'
import type { SimTab } from '../../src/simulation/tab.js'
import { Story, withLease } from './story.js'

const lease = 4_000

/** Of two tabs of one browser the one that does not lead holds the lock. */
async function twoTabs(story: Story): Promise<{ leader: SimTab; holder: SimTab; lock: Lock }> {
  const tabs = await story.open(2)
  const leader = story.leaderOf(tabs)
  const holder = tabs.find((tab) => tab !== leader)
  if (!holder) throw new Error('two tabs')
  return { leader, holder, lock: await story.acquire(holder, 'doc') }
}

describe('a lease', () => {
  it('[S-4][S-5] of a blocked page lasts for the rest of it and no longer', async () => {
    const story = new Story('blocked', withLease(lease))
    const tabs = await story.open(3)
    const leader = story.leaderOf(tabs)
    const [holder, other] = tabs.filter((tab) => tab !== leader)
    if (!holder || !other) throw new Error('three tabs')
    const lock = await story.acquire(holder, 'doc')
    await story.pass(2_000)
    const next = story.ask(other, 'doc')
    const blockedAt = story.now
    holder.block(20_000)
    await story.pass(2_500)
    expect(lock.state).toBe('held')
    await story.until(() => next.at !== null)
    // By its own clock it is not certain any more, though no code of it has run since.
    expect(lock.state).toBe('unsure')
    expect((next.at ?? 0) - blockedAt).toBeGreaterThan(lease - 1_100)
    expect((next.at ?? 0) - blockedAt).toBeLessThan(lease + 300)
    await story.pass(20_000)
    expect(lock.state).toBe('lost')
  })

  it('[S-4] of a page that is blocked for less than it is not lost', async () => {
    const story = new Story('blocked briefly', withLease(lease))
    const [, holder, other] = await story.open(3)
    if (!holder || !other) throw new Error('three tabs')
    const lock = await story.acquire(holder, 'doc')
    const next = story.ask(other, 'doc')
    holder.block(2_500)
    await story.pass(10_000)
    expect(lock.state).toBe('held')
    expect(next.at).toBeNull()
  })

  it('[S-5] a deposed leader never echoes: its page is not certain for longer than a lease', async () => {
    const story = new Story('deposed', withLease(lease))
    const tabs = await story.open(3)
    const old = story.leaderOf(tabs)
    const others = tabs.filter((tab) => tab !== old)
    const lock = await story.acquire(old, 'doc')
    const cutAt = story.now
    story.cutOff(old, others)
    await story.until(
      () => others.some((tab) => story.peerOf(tab) === story.sim.leader?.self.peerId),
      2_000,
      'a new leader',
    )
    await story.until(() => lock.state !== 'held', lease)
    expect(story.now - cutAt).toBeLessThan(lease)
    const [other] = others
    if (!other) throw new Error('others')
    const next = await story.acquire(other, 'doc')
    // A new leader counts a full lease from its election.
    expect(story.now - cutAt).toBeGreaterThan(lease)
    expect(next.token).toBeGreaterThan(lock.token)
    await story.pass(5_000)
    expect(lock.state).not.toBe('held')
    story.heal()
    await story.pass(3_000)
    expect(lock.state).toBe('lost')
    expect(next.state).toBe('held')
  })

  it('[S-6] an expiry is never taken from anybody else', async () => {
    const story = new Story('old expiry', withLease(lease))
    const tabs = await story.open(3)
    const leader = story.leaderOf(tabs)
    const [follower] = tabs.filter((tab) => tab !== leader)
    const record = story.sim.leader
    const self = follower?.page.worker?.record?.self
    if (!follower || !record || !self) throw new Error('three tabs')
    const lock = await story.acquire(follower, 'doc')
    const session = findSessionOfPeer(record.host.machine, self.peerId)?.session ?? 0
    const { term } = record.host.status
    const expire = encodeInstruction({ type: 'expire', session, silence: 1_000_000, term })
    const refusedBefore = (await story.settle(leader.page.room.metrics())).refused.instruction
    story.say(follower, leader, [{ type: 'submit', instructions: [expire] }])
    await story.pass(1_000)
    const { refused } = await story.settle(leader.page.room.metrics())
    expect(refused.instruction - refusedBefore).toBe(1)
    expect(lock.state).toBe('held')
    expect(findSessionOfPeer(record.host.machine, self.peerId)?.session).toBe(session)
  })

  it('[C3] a leader that was frozen for 20 s gives full leases when it thaws', async () => {
    const story = new Story('frozen leader', withLease(lease))
    const { leader, lock } = await twoTabs(story)
    leader.freeze(20_000)
    await story.pass(19_000)
    expect(lock.state).toBe('unsure')
    await story.pass(3_000)
    expect(lock.state).toBe('held')
    await story.pass(10_000)
    expect(lock.state).toBe('held')
  })

  it('[C3] ... also to whom it had not heard for a while: links that broke meanwhile have to be made anew', async () => {
    const story = new Story('frozen leader and holder', withLease(lease))
    const { leader, holder, lock } = await twoTabs(story)
    holder.freeze(20_000 + 1.4 * lease)
    await story.pass(0.8 * lease)
    leader.freeze(20_000)
    await story.pass(20_000 + lease)
    expect(lock.state).toBe('held')
  })

  it.each([-1, 1])('[C1][C2] wall clocks that step by %i years change nothing', async (years) => {
    const story = new Story('years', { ...withLease(lease), registrar: true })
    const tabs = await story.open(1, 1, 1)
    const held = tabs.map((tab, i) => story.ask(tab, `doc ${i}`))
    await story.until(() => held.every(({ at }) => at !== null))
    for (const browser of story.sim.browsers) {
      browser.clock.stepWall(years * 31_536_000_000)
      await story.pass(2_000)
      expect(held.map(({ value }) => value?.state)).toEqual(['held', 'held', 'held'])
    }
    await story.pass(2 * lease)
    expect(held.map(({ value }) => value?.state)).toEqual(['held', 'held', 'held'])
    // C1: cluster time is not a wall clock (the checker has compared it with true time at every entry).
    expect(story.sim.log.machine.clusterTime).toBeLessThan(story.now * 1.01)
  })
})
