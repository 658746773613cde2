import { describe, expect, it } from 'vitest'
import type { Call, LockBeyond } from '../../src/host/page.js'
import { observeLock } from '../../src/machine/lock/view.js'
import type { SimTab } from '../../src/simulation/tab.js'
import { Story, withLease } from './story.js'

const lease = 4_000
const plain: LockBeyond = { also: [], owner: null, priority: 0, scope: 'exact', maxHold: null, lockDelay: 0 }

function ask(story: Story, tab: SimTab, handle: number, name: string, beyond: Partial<LockBeyond> = {}) {
  const call: Call = {
    ...{ type: 'lock.request', handle, name, mode: 'exclusive', ifAvailable: false, steal: false, lease },
    ...{ attributes: null, beyond: { ...plain, ...beyond } },
  }
  return story.settle(tab.page.connection.call(call))
}

const holders = (story: Story, tab: SimTab, name: string) =>
  observeLock(story.hostOf(tab).host.machine, name).holders.map(({ peerId }) => peerId)

const lastIndex = (story: Story, tab: SimTab) => story.hostOf(tab).host.status.lastIndex

describe('what is due in the machine', () => {
  it('[C1][S-6] comes about in a quiet room, by one tick of the leader, and the next one has the lock', async () => {
    const story = new Story('due', withLease(lease))
    const [first, holder, other] = await story.open(3)
    if (!first || !holder || !other) throw new Error('three tabs')
    await ask(story, holder, 1_001, 'doc', { maxHold: 8_000 })
    const grantedAt = story.now
    await ask(story, other, 1_001, 'doc')
    // Nobody asks for anything meanwhile: without the hold the room would be idle.
    await story.pass(7_500)
    const index = lastIndex(story, first)
    expect(holders(story, first, 'doc')).toEqual([story.peerOf(holder)])
    await story.until(() => holders(story, first, 'doc')[0] === story.peerOf(other), 1_000)
    expect(story.now - grantedAt).toBeGreaterThan(7_900)
    expect(story.now - grantedAt).toBeLessThan(8_300)
    await story.pass(1_000)
    expect(lastIndex(story, first)).toBe(index + 1)
  })

  it('[C1] is seen to by the next leader when the one who granted it is gone', async () => {
    const story = new Story('due later', withLease(lease))
    const tabs = await story.open(3)
    const leader = story.leaderOf(tabs)
    const [holder, other] = tabs.filter((tab) => tab !== leader)
    if (!holder || !other) throw new Error('three tabs')
    await ask(story, holder, 1_001, 'doc', { maxHold: 3_000 })
    await story.until(() => holders(story, other, 'doc').length === 1)
    leader.crash()
    await story.until(() => holders(story, other, 'doc').length === 0, 10_000)
    expect(story.hostOf(other).host.machine.clusterTime).toBeGreaterThanOrEqual(3_000)
  })

  it('lock-delay keeps everybody out after a holder that was proven dead, and is over in time', async () => {
    const story = new Story('delay', withLease(lease))
    const [first, holder, other] = await story.open(3)
    if (!first || !holder || !other) throw new Error('three tabs')
    await ask(story, holder, 1_001, 'doc', { lockDelay: 2_000 })
    await ask(story, other, 1_001, 'doc')
    holder.crash()
    await story.until(() => holders(story, other, 'doc').length === 0, lease)
    const freeAt = story.now
    await story.until(() => holders(story, other, 'doc')[0] === story.peerOf(other), lease)
    expect(story.now - freeAt).toBeGreaterThan(1_900)
    expect(story.now - freeAt).toBeLessThan(2_300)
  })
})

describe('a revoke', () => {
  const revoke = (story: Story, tab: SimTab, grace: number) =>
    story.settle(tab.page.connection.call({ type: 'lock.revoke', name: 'doc', grace }))

  it('[S-7] is acknowledged by itself, and its grace begins then', async () => {
    const story = new Story('revoke', withLease(lease))
    const [, holder, other] = await story.open(3)
    if (!holder || !other) throw new Error('three tabs')
    await ask(story, holder, 1_001, 'doc')
    const { asked } = await revoke(story, other, 1_000)
    expect(asked).toMatchObject([{ peerId: story.peerOf(holder) }])
    const askedAt = story.now
    await story.until(() => holders(story, other, 'doc').length === 0, lease)
    expect(story.now - askedAt).toBeGreaterThan(950)
    expect(story.now - askedAt).toBeLessThan(1_500)
  })

  it('[S-7] of a page that is blocked takes nothing before its lease ends', async () => {
    const story = new Story('revoke blocked', withLease(lease))
    const [, holder, other] = await story.open(3)
    if (!holder || !other) throw new Error('three tabs')
    await ask(story, holder, 1_001, 'doc')
    holder.block(20_000)
    await story.pass(100)
    const askedAt = story.now
    await revoke(story, other, 100)
    await story.until(() => holders(story, other, 'doc').length === 0, 2 * lease)
    expect(story.now - askedAt).toBeGreaterThan(lease - 1_500)
  })
})

it('[T2][S-10] an upgrade that was granted and withdrawn inside a snapshot leaves the lock with its token', async () => {
  const story = new Story('withdrawn in a snapshot', {
    ...withLease(lease, 5),
    registrar: true,
    snapshotSizes: { tailEntries: 4, chunkBytes: 65_536 },
  })
  const tabs = await story.open(1, 1, 1)
  const leader = story.leaderOf(tabs)
  const [away, other] = tabs.filter((tab) => tab !== leader)
  if (!away || !other) throw new Error('three tabs')
  const lock = await story.acquire(away, 'doc', { mode: 'shared' })
  const beside = await story.acquire(leader, 'doc', { mode: 'shared' })
  const controller = new AbortController()
  const upgrade = story.watch(lock.upgrade({ signal: controller.signal }))
  await story.pass(200)
  // It hears nothing more, and is heard for a moment.
  for (const tab of [leader, other]) story.sim.ether.block(story.peerOf(tab), story.peerOf(away), false)
  void beside.release()
  await story.pass(30)
  controller.abort()
  await story.pass(60)
  for (const tab of [leader, other]) story.sim.ether.breakLinks(story.peerOf(away), story.peerOf(tab))
  story.cutOff(away, [leader, other])
  for (let i = 0; i < 60; i += 1) await story.settle(leader.page.room.store.set(`key ${i}`, i))
  story.heal()
  await story.pass(1_500)
  expect(upgrade.error).toMatchObject({ name: 'AbortError' })
  expect([lock.state, lock.mode]).toEqual(['held', 'shared'])
  const { held } = await story.settle(other.page.room.locks.query())
  expect(held).toMatchObject([{ clientId: story.peerOf(away), token: lock.token }])
  await story.settle(lock.verify())
  await story.settle(away.page.room.store.set('fenced', 1, { fence: lock }))
})

describe('over the back/forward cache, where the next host knows less than the one before did', () => {
  async function three(seed: string) {
    const story = new Story(seed, withLease(lease))
    const [away, holder, other] = await story.open(3)
    if (!away || !holder || !other) throw new Error('three tabs')
    const lock = await story.acquire(holder, 'doc')
    const comesBack = async () => {
      await story.pass(200)
      away.page.hide(true)
      await story.pass(1_000)
      away.page.show()
      await story.pass(2_000)
    }
    return { story, away, other, lock, comesBack }
  }

  it('[S-10] a watch tells of no release that never was, and nothing twice', async () => {
    const { story, away, other, comesBack } = await three('a watch that comes back')
    const events: string[] = []
    void (async () => {
      for await (const { type, name } of away.page.room.locks.watch()) events.push(`${type} ${name}`)
    })()
    await story.pass(200)
    await story.settle((await story.acquire(other, 'old')).release())
    await comesBack()
    expect(events).toEqual(['granted doc', 'granted old', 'released old'])
  })

  it('[S-7] a revoke resolves when the lock is held no more, and not before', async () => {
    const { story, away, lock, comesBack } = await three('a revoke that comes back')
    const revoked = story.watch(away.page.room.locks.revoke('doc', { grace: 60_000 }))
    await comesBack()
    expect([lock.state, revoked.at]).toEqual(['held', null])
    await story.settle(lock.release())
    await story.until(() => revoked.at !== null, 1_000, 'the end of the revoke')
    expect(revoked.error).toBeUndefined()
  })

  it('[S-7] so does one whose lock was given back meanwhile', async () => {
    const { story, away, lock } = await three('a revoke that is over')
    const revoked = story.watch(away.page.room.locks.revoke('doc', { grace: 60_000 }))
    await story.pass(200)
    away.page.hide(true)
    await story.settle(lock.release())
    away.page.show()
    await story.until(() => revoked.at !== null, 5_000, 'the end of the revoke')
    expect(revoked.error).toBeUndefined()
  })
})

it('[R1] the wait graph is read as it is when it is asked for, with the handles of the one who asks', async () => {
  const story = new Story('graph', withLease(lease))
  const [, holder, other] = await story.open(3)
  if (!holder || !other) throw new Error('three tabs')
  await ask(story, holder, 1_001, 'doc')
  await ask(story, other, 1_007, 'doc', { also: ['more'], owner: 'me' })
  const seats = { type: 'semaphore.acquire', name: 'seats', permits: 1, count: 1, ifAvailable: false } as const
  for (const [tab, handle] of [[holder, 1_002] as const, [other, 1_008] as const]) {
    const call = { ...seats, handle, lease, priority: 0, owner: null }
    await story.settle(tab.page.connection.call(call))
  }
  const { waits } = await story.settle(other.page.connection.call({ type: 'lock.waitGraph' }))
  expect(waits).toEqual([
    {
      ...{ peerId: story.peerOf(other), owner: 'me', handle: 1_007, kind: 'lock', names: ['doc', 'more'] },
      ...{ mode: 'exclusive', position: 1 },
      behind: [{ peerId: story.peerOf(holder), owner: null, name: 'doc', state: 'held' }],
    },
    {
      ...{ peerId: story.peerOf(other), owner: null, handle: 1_008, kind: 'semaphore', names: ['seats'] },
      ...{ mode: null, position: 1 },
      behind: [{ peerId: story.peerOf(holder), owner: null, name: 'seats', state: 'held' }],
    },
  ])
})

it.each([
  ['the leader to a follower', 0, 1],
  ['a follower to the leader', 1, 0],
  ['one follower to the other', 1, 2],
  ['a tab to itself', 1, 1],
])('a hand-over from %s is one entry: the release gives the lock to the next one', async (title, from, to) => {
  const story = new Story(`hand-over from ${title}`, { registrar: true })
  const tabs = await story.open(1, 1, 1)
  const leader = story.leaderOf(tabs)
  const ranked = [leader, ...tabs.filter((tab) => tab !== leader)]
  const [holder, waiter] = [ranked[from], ranked[to]]
  if (!holder || !waiter) throw new Error('three tabs')
  const { host } = story.hostOf(leader)
  const lock = await story.acquire(holder, 'doc')
  const next = story.ask(waiter, 'doc')
  await story.pass(500)
  const before = host.status.lastIndex
  void lock.release()
  await story.until(() => next.at !== null, 1_000, 'the next grant')
  expect(host.status.lastIndex - before).toBe(1)
  expect(next.value?.token).toBeGreaterThan(lock.token)
})

describe('who comes in again', () => {
  async function three(title: string) {
    const story = new Story(title, withLease(lease))
    const [a, b, c] = await story.open(3)
    if (!a || !b || !c) throw new Error('three tabs')
    return { story, a, b, c }
  }

  it('has the part of several names that it has already, whoever waits for it', async () => {
    const { story, a, b } = await three('a part of several')
    const held = await story.acquire(a, 'x', { owner: 'o' })
    story.ask(b, 'x')
    await story.pass(200)
    const all = a.page.room.locks.requestAll(['x', 'y'], { owner: 'o' }, (locks) => locks?.map(({ token }) => token))
    const [x, y] = (await story.settle(all)) ?? []
    expect(x).toBe(held.token)
    expect(y).toBeGreaterThan(held.token)
  })

  it('may steal what it waits for itself', async () => {
    const { story, a, b, c } = await three('steals what it waits for')
    await story.acquire(b, 'doc')
    story.ask(c, 'doc')
    await story.pass(200)
    const waiting = story.ask(a, 'doc', { owner: 'o' })
    await story.pass(200)
    await story.acquire(a, 'doc', { owner: 'o', steal: true })
    await story.until(() => waiting.at !== null, 1_000, 'its other request')
    expect(waiting.error).toBeUndefined()
  })

  it('[S-7] gives back what it was asked for with the rest: revoke() ends, and the next one has the lock', async () => {
    const { story, a, b, c } = await three('asked back twice')
    const first = await story.acquire(a, 'x', { owner: 'o' })
    const next = story.ask(b, 'x')
    await story.pass(100)
    const revoked = story.watch(c.page.room.locks.revoke('x', { grace: 1_000 }))
    await story.pass(300)
    const again = await story.acquire(a, 'x', { owner: 'o' })
    expect([again.state, again.revoking.aborted]).toEqual(['held', true])
    expect(again.deadline).toBeLessThan(first.deadline + 50)
    await story.until(() => next.at !== null, 2_000, 'the next one')
    expect([first, again].map(({ state }) => state)).not.toContain('held')
    for (const lock of [first, again]) expect(() => lock.assertHeld()).toThrow(/revoked/)
    await story.until(() => [first, again].every(({ state }) => state === 'lost'), 1_000, 'both lost')
    expect(again.signal.reason).toMatchObject({ code: 'lock-lost', reason: 'revoked' })
    await story.until(() => revoked.at !== null, 1_000, 'the revoke')
  })
})
