import { describe, expect, it } from 'vitest'
import { findSessionOfPeer } from '../../src/machine/session/view.js'
import { fairWeather } from '../../src/simulation/network.js'
import { Story, withLease } from './story.js'

describe('a session', () => {
  it('[S-1] of a reloaded page takes the place of the old one at once', async () => {
    const story = new Story('reload', { ...withLease(30_000), goodbyeLost: 1 })
    const [waiting, holder] = await story.open(2)
    if (!waiting || !holder) throw new Error('two tabs')
    const lock = await story.acquire(holder, 'doc')
    const peerId = story.peerOf(holder)
    const before = findSessionOfPeer(story.sim.log.machine, peerId)
    const next = story.ask(waiting, 'doc')
    const reloadedAt = story.now
    holder.reload()
    await story.until(() => next.at !== null)
    expect((next.at ?? 0) - reloadedAt).toBeLessThan(500)
    expect(lock.state).toBe('lost')
    await story.until(() => holder.page.room.status === 'ready')
    expect(story.peerOf(holder)).toBe(peerId)
    const after = findSessionOfPeer(story.sim.log.machine, peerId)
    expect(after?.incarnation.counter).toBe((before?.incarnation.counter ?? 0) + 1)
  })

  it("[S-1] of an earlier life is not taken for this life's when its log is replayed", async () => {
    const story = new Story('replay', withLease(30_000))
    const [tab] = await story.open(1)
    if (!tab) throw new Error('a tab')
    await story.acquire(tab, 'doc')
    const first = findSessionOfPeer(story.sim.log.machine, story.peerOf(tab))
    tab.reload()
    await story.until(() => tab.page.room.status === 'ready')
    // Its first command is number 1 again: in the old session it would get the old answer.
    expect(await story.settle(tab.page.room.store.set('key', 'value'))).toBeGreaterThan(first?.session ?? 0)
    const metrics = await story.settle(tab.page.room.metrics())
    expect(metrics.session).toBe(findSessionOfPeer(story.sim.log.machine, story.peerOf(tab))?.session)
    expect(metrics.session).not.toBe(first?.session)
  })

  it('[S-2] a command that is retried across a change of leaders is applied once', async () => {
    const story = new Story('retry', withLease(30_000))
    const tabs = await story.open(3)
    const leader = story.leaderOf(tabs)
    const [writer, other] = tabs.filter((tab) => tab !== leader)
    if (!writer || !other) throw new Error('three tabs')
    // The leader hears the writer, and what it says to it is held back: the write commits, and its writer does not know.
    story.sim.ether.block(story.peerOf(leader), story.peerOf(writer), false)
    const write = story.watch(writer.page.room.store.set('key', 'once'))
    await story.until(() => story.sim.log.versionsOf('key').length === 1)
    expect(write.at).toBeNull()
    leader.crash()
    await story.until(() => write.at !== null)
    await story.pass(3_000)
    const [version] = story.sim.log.versionsOf('key')
    expect(write.value).toBe(version?.revision)
    expect(story.sim.log.versionsOf('key')).toHaveLength(1)
  })

  it('[S-2] a compareAndSet that is retried says what it did at first, though it is as expected no more', async () => {
    const story = new Story('retried comparison', withLease(30_000))
    const tabs = await story.open(3)
    const leader = story.leaderOf(tabs)
    const [writer, other] = tabs.filter((tab) => tab !== leader)
    if (!writer || !other) throw new Error('three tabs')
    story.sim.ether.block(story.peerOf(leader), story.peerOf(writer), false)
    const swap = story.watch(writer.page.room.store.compareAndSet('key', { revision: 0 }, 'once'))
    await story.until(() => story.sim.log.versionsOf('key').length === 1)
    expect(swap.at).toBeNull()
    leader.crash()
    await story.until(() => swap.at !== null)
    expect(swap.value).toBe(true)
    expect(await story.settle(other.page.room.store.compareAndSet('key', { revision: 0 }, 'twice'))).toBe(false)
    await story.pass(3_000)
    expect(story.sim.log.versionsOf('key')).toHaveLength(1)
  })

  it('[S-9] a request that is cancelled while it is granted gives the lock back', async () => {
    const story = new Story('cancel', withLease(30_000))
    const [first, second, third] = await story.open(3)
    if (!first || !second || !third) throw new Error('three tabs')
    for (let delay = 0; delay < 5; delay += 0.25) {
      const lock = await story.acquire(first, 'doc')
      const controller = new AbortController()
      const cancelled = story.ask(second, 'doc', { signal: controller.signal })
      await story.pass(50)
      const last = story.ask(third, 'doc')
      await story.pass(50)
      void lock.release()
      second.page.thread.post(delay, 'abort', () => controller.abort())
      await story.until(() => cancelled.at !== null)
      void cancelled.value?.release()
      await story.until(() => last.at !== null, 1_000, `the lock after a cancel ${delay} ms after the release`)
      if (last.value) await story.settle(last.value.release())
      await story.until(() => story.sim.log.machine.locks.resources.size === 0, 1_000, 'a free lock')
    }
  })

  it('[S-10] finds its locks and requests again in a snapshot', async () => {
    const story = new Story('snapshot', withLease(60_000, 20))
    const tabs = await story.open(3)
    const leader = story.leaderOf(tabs)
    const [away, other] = tabs.filter((tab) => tab !== leader)
    if (!away || !other) throw new Error('three tabs')
    const kept = await story.acquire(away, 'kept')
    const theirs = await story.acquire(other, 'theirs')
    const queued = story.ask(away, 'theirs')
    await story.pass(100)
    // Gone for so long that the entries it lacks are gone too.
    story.sim.ether.breakLinks(story.peerOf(away), story.peerOf(leader))
    story.cutOff(away, [leader, other])
    for (let i = 0; i < 600; i++) await story.settle(leader.page.room.store.set('key', i))
    await story.settle(theirs.release())
    // The entry that grants it is gone too: no event tells of it.
    for (let i = 600; i < 1_200; i++) await story.settle(leader.page.room.store.set('key', i))
    story.heal()
    await story.until(() => queued.at !== null, 20_000, 'the grant out of the snapshot')
    expect(away.page.worker?.record?.host.status.firstIndex).toBeGreaterThan(900)
    await story.until(() => queued.value?.state === 'held' && kept.state === 'held')
    expect(queued.value?.token).toBeGreaterThan(theirs.token)
    expect((await story.settle(away.page.room.store.get('key')))?.value).toBe(1_199)
  })

  it('[R1] reads across a link that is slower than an election time-out', async () => {
    const story = new Story('far', {
      ...withLease(30_000),
      registrar: true,
      weather: { ...fairWeather, remoteDelay: 200 },
    })
    const [near, far] = await story.open(1, 1)
    const reader = [near, far].find((tab) => tab && tab.page.peerId !== story.sim.leader?.self.peerId)
    if (!reader) throw new Error('two tabs')
    await story.settle(reader.page.room.store.set('key', 1))
    await story.settle(reader.page.room.store.get('key'), 5_000)
  })
})
