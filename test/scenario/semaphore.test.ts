/** Semaphores and counters of a whole room: whoever goes gives back, whoever retries counts once. */
import { describe, expect, it } from 'vitest'
import { DeadlockError } from '../../src/client/errors.js'
import type { Permit } from '../../src/client/permit.js'
import type { AcquireOptions } from '../../src/client/semaphore.js'
import type { SimTab } from '../../src/simulation/tab.js'
import { Story, type Watched, withLease } from './story.js'

const lease = 4_000

function ask(story: Story, tab: SimTab, count = 1, options: AcquireOptions = {}, size = 2): Watched<Permit> {
  return story.watch(tab.page.room.semaphore('seats', { permits: size }).acquire(count, options))
}

async function acquire(story: Story, tab: SimTab, count = 1, options: AcquireOptions = {}): Promise<Permit> {
  const watched = ask(story, tab, count, options)
  await story.until(() => watched.at !== null, 10_000, `permits for ${tab.name}`)
  if (!watched.value) throw watched.error
  return watched.value
}

/** Three tabs of which the first leads. */
async function three(name: string): Promise<{ story: Story; leader: SimTab; first: SimTab; second: SimTab }> {
  const story = new Story(name, withLease(lease))
  const tabs = await story.open(3)
  const leader = story.leaderOf(tabs)
  const [first, second] = tabs.filter((tab) => tab !== leader)
  if (!first || !second) throw new Error('three tabs')
  return { story, leader, first, second }
}

describe('a semaphore', () => {
  it('of a holder that says goodbye passes its permits on at once', async () => {
    const { story, leader, first, second } = await three('goodbye')
    await acquire(story, leader)
    const gone = await acquire(story, first)
    const next = ask(story, second)
    await story.pass(200)
    expect(next.at).toBeNull()
    const at = story.now
    first.close()
    await story.until(() => next.at !== null)
    expect((next.at ?? 0) - at).toBeLessThan(500)
    expect(next.value?.state).toBe('held')
    expect(next.value?.id).toBeGreaterThan(gone.id)
  })

  it('[S-4] of a holder that is cut off passes its permits on after its lease, which it knows by itself', async () => {
    const { story, leader, first, second } = await three('cut off')
    const permit = await acquire(story, first, 2)
    const next = ask(story, second, 2)
    await story.pass(1_000)
    const at = story.now
    story.cutOff(first, [leader, second])
    let unsureAt: number | null = null
    await story.until(() => {
      if (permit.state !== 'held') unsureAt ??= story.now
      return next.at !== null
    }, 2 * lease)
    expect(unsureAt).not.toBeNull()
    expect(unsureAt ?? Number.POSITIVE_INFINITY).toBeLessThan(next.at ?? 0)
    expect((next.at ?? 0) - at).toBeGreaterThan(lease - 1_100)
    story.heal()
    await story.until(() => permit.state === 'lost')
    expect(next.value?.state).toBe('held')
  })

  it('[S-3] a lease that is shorter than the session ends alone', async () => {
    const { story, first, second } = await three('short lease')
    const short = await acquire(story, first, 1, { lease: 1_000 })
    const long = await acquire(story, first)
    const next = ask(story, second)
    await story.pass(2_000)
    expect([short.state, next.at]).toEqual(['held', null])
    first.block(3_000)
    await story.until(() => next.at !== null, 2_500)
    expect(short.state).not.toBe('held')
    await story.pass(3_000)
    expect([short.state, long.state, next.value?.state]).toEqual(['lost', 'held', 'held'])
  })

  it('keeps who holds and who waits when its leader dies', async () => {
    const { story, leader, first, second } = await three('leader')
    const held = await acquire(story, first, 2)
    const next = ask(story, second, 2)
    await story.pass(200)
    const old = story.peerOf(leader)
    leader.crash()
    await story.until(() => story.sim.leader !== null && story.sim.leader.self.peerId !== old, 2 * lease)
    await story.pass(1_000)
    expect([held.state, next.at]).toEqual(['held', null])
    const at = story.now
    await story.settle(held.release())
    await story.until(() => next.at !== null)
    expect((next.at ?? 0) - at).toBeLessThan(500)
  })

  it('[S-9] a request that is cancelled while it is granted leaves nothing behind', async () => {
    const { story, leader, first, second } = await three('cancel')
    for (let delay = 0; delay < 4; delay += 0.5) {
      const held = await acquire(story, leader, 2)
      const controller = new AbortController()
      const cancelled = ask(story, first, 2, { signal: controller.signal })
      await story.pass(50)
      const last = ask(story, second, 2)
      await story.pass(50)
      void held.release()
      first.page.thread.post(delay, 'abort', () => controller.abort())
      await story.until(() => cancelled.at !== null)
      void cancelled.value?.release()
      await story.until(() => last.at !== null, 1_000, `permits after a cancel ${delay} ms after the release`)
      if (last.value) await story.settle(last.value.release())
      await story.until(() => story.sim.log.machine.semaphores.byName.size === 0, 1_000, 'a free semaphore')
    }
  })

  it('[S-10] finds its permits and requests again in a snapshot', async () => {
    const story = new Story('permits in a snapshot', withLease(60_000, 20))
    const tabs = await story.open(3)
    const leader = story.leaderOf(tabs)
    const [away, other] = tabs.filter((tab) => tab !== leader)
    if (!away || !other) throw new Error('three tabs')
    const kept = await acquire(story, away)
    const theirs = await acquire(story, other)
    const queued = ask(story, away)
    await story.pass(100)
    story.sim.ether.breakLinks(story.peerOf(away), story.peerOf(leader))
    story.cutOff(away, [leader, other])
    for (let i = 0; i < 600; i++) await story.settle(leader.page.room.counter('steps').add())
    await story.settle(theirs.release())
    story.heal()
    await story.until(() => queued.at !== null, 20_000, 'the grant out of the snapshot')
    expect(away.page.worker?.record?.host.status.firstIndex).toBeGreaterThan(300)
    await story.until(() => queued.value?.state === 'held' && kept.state === 'held')
    expect(queued.value?.id).toBeGreaterThan(theirs.id)
    expect(await story.settle(away.page.room.counter('steps').get())).toBe(600)
  })

  it('[S-9, S-10] a request that asks again after a snapshot and is cancelled before it is sent leaves nothing behind', async () => {
    const snapshotSizes = { tailEntries: 4, chunkBytes: 64 * 1024 }
    const story = new Story('cancelled after a snapshot', { ...withLease(60_000, 20), snapshotSizes })
    const tabs = await story.open(3)
    const leader = story.leaderOf(tabs)
    const [away, other] = tabs.filter((tab) => tab !== leader)
    if (!away || !other) throw new Error('three tabs')
    const held = await acquire(story, leader)
    const controller = new AbortController()
    const queued = ask(story, away, 2, { signal: controller.signal })
    await story.pass(200)
    for (const peer of [leader, other]) story.sim.ether.breakLinks(story.peerOf(away), story.peerOf(peer))
    story.cutOff(away, [leader, other])
    // As many as may be under way: what asks after them waits for its number.
    const adds = Array.from({ length: 128 }, () => story.watch(away.page.room.counter('x').add()))
    const seats = other.page.room.semaphore('seats', { permits: 2 })
    for (const size of [1, 2]) await story.settle(seats.resize(size))
    for (let i = 0; i < 100; i++) await story.settle(other.page.room.counter('steps').add())
    const firstIndex = () => away.page.worker?.record?.host.status.firstIndex ?? 0
    const before = firstIndex()
    story.heal()
    await story.until(() => firstIndex() > before + 20, 20_000, 'a snapshot')
    controller.abort()
    await story.until(() => queued.at !== null && adds.every(({ at }) => at !== null), 20_000, 'all answers')
    expect(queued.error).toMatchObject({ name: 'AbortError' })
    await story.settle(held.release())
    await story.until(() => story.sim.log.machine.semaphores.byName.size === 0, 3_000, 'a free semaphore')
  })

  it('is one for two browsers: a resize lets in who waits there, and refuses who asks for too many', async () => {
    const story = new Story('abroad', { ...withLease(lease), registrar: true })
    const [here, there] = await story.open(1, 1)
    if (!here || !there) throw new Error('two tabs')
    const held = await acquire(story, here, 2)
    const one = ask(story, there, 3, {}, 9)
    const two = ask(story, there, 2)
    await story.pass(500)
    expect([one.error, two.at]).toEqual([expect.objectContaining({ limit: 'permits', value: 2 }), null])
    const semaphore = here.page.room.semaphore('seats', { permits: 2 })
    await story.settle(semaphore.resize(4))
    await story.until(() => two.value?.state === 'held')
    const three = ask(story, there, 3)
    await story.pass(500)
    await story.settle(semaphore.resize(1))
    await story.until(() => three.at !== null)
    expect(three.error).toMatchObject({ code: 'limit-exceeded', limit: 'permits', value: 1 })
    expect([held.state, two.value?.state, await story.settle(semaphore.available())]).toEqual(['held', 'held', 0])
  })

  it('of which a resize would leave a deadlock keeps its size, and whoever resized is told who would wait for whom', async () => {
    const { story, leader, first, second } = await three('shrink')
    const owner = { owner: 'me' }
    const lock = await story.settle(first.page.room.locks.acquire('lock', owner))
    await acquire(story, second, 1, owner)
    const other = await acquire(story, leader)
    const locked = story.watch(second.page.room.locks.acquire('lock', owner))
    const next = ask(story, first, 1, owner)
    await story.pass(500)
    const semaphore = leader.page.room.semaphore('seats', { permits: 2 })
    const resized = story.watch(semaphore.resize(1))
    await story.until(() => resized.at !== null, 2_000)
    expect(resized.error).toBeInstanceOf(DeadlockError)
    expect(resized.error).toMatchObject({ cycle: [{ name: 'seats' }, { name: 'lock' }] })
    await story.settle(other.release())
    await story.until(() => next.value?.state === 'held', 2_000)
    await story.settle(semaphore.resize(1))
    await story.settle(lock.release())
    await story.until(() => locked.value?.state === 'held', 2_000)
  })

  it('who waits longer than the time-out has left the queue', async () => {
    const { story, first, second } = await three('time-out')
    const held = await acquire(story, first, 2)
    const late = ask(story, second, 2, { timeout: 500 })
    await story.until(() => late.at !== null, 1_000)
    expect(late.error).toMatchObject({ name: 'PermitTimeoutError', code: 'lock-timeout' })
    await story.settle(held.release())
    await story.until(() => story.sim.log.machine.semaphores.byName.size === 0, 1_000, 'a free semaphore')
  })
})

describe('a counter', () => {
  it('[S-2] an add that is retried across a change of leaders counts once', async () => {
    const { story, leader, first: writer } = await three('retried add')
    const counter = writer.page.room.counter('visits')
    expect(await story.settle(counter.add(5))).toBe(5)
    // The leader hears the writer, and what it says to it is held back: the add commits, and its caller does not know.
    story.sim.ether.block(story.peerOf(leader), story.peerOf(writer), false)
    const sum = story.watch(counter.add())
    await story.until(() => story.sim.log.machine.counters.get('visits') === 6)
    expect(sum.at).toBeNull()
    leader.crash()
    await story.until(() => sum.at !== null, 2 * lease)
    await story.pass(3_000)
    expect([sum.value, story.sim.log.machine.counters.get('visits')]).toEqual([6, 6])
  })

  it('loses no add of many at once, and keeps it when all tabs of a browser are opened anew', async () => {
    const { story, leader, first, second } = await three('adds')
    const sums = [leader, first, second].flatMap((tab) =>
      Array.from({ length: 20 }, () => story.watch(tab.page.room.counter('visits').add())),
    )
    await story.until(() => sums.every(({ at }) => at !== null))
    expect(new Set(sums.map(({ value }) => value)).size).toBe(60)
    for (const tab of [leader, first, second]) tab.reload()
    await story.until(() => first.page.room.status === 'ready')
    expect(await story.settle(first.page.room.counter('visits').get())).toBe(60)
  })
})
