import { describe, expect, it } from 'vitest'
import { StorageError } from '../../src/client/errors.js'
import type { SimTab } from '../../src/simulation/tab.js'
import { Story, withLease } from './story.js'

/** Nobody waits for a lease here: what passes on within the story passed on by a goodbye. */
const lease = 60_000

function diskOf(tab: SimTab) {
  const disk = tab.browser.disks.get(tab.page.peerId)
  if (!disk) throw new Error('no disk')
  return disk
}

describe('a disk that is gone under its peer', () => {
  for (const role of ['the leader', 'another voter'] as const) {
    it(`[M1][B13] of ${role}, deleted: its goodbye frees its lock at once, and it comes back as somebody else`, async () => {
      const story = new Story(`deleted under ${role}`, { ...withLease(lease), registrar: true })
      const tabs = await story.open(1, 1, 1)
      const leader = story.leaderOf(tabs)
      const loser = role === 'the leader' ? leader : tabs.find((tab) => tab !== leader)
      const other = tabs.find((tab) => tab !== loser && tab !== leader)
      if (!loser || !other) throw new Error('three tabs')
      const lock = await story.acquire(loser, 'doc')
      const next = story.ask(other, 'doc')
      await story.pass(500)
      const before = story.peerOf(loser)
      diskOf(loser).delete()
      await story.until(() => next.at !== null, 2_000, 'the lock')
      expect(lock.state).toBe('lost')
      expect(loser.page.room.status).toBe('failed')
      expect(loser.page.room.error).toBeInstanceOf(StorageError)
      expect(loser.page.room.error).toMatchObject({ reason: 'cleared' })
      loser.browser.lose(before)
      loser.reload()
      await story.until(() => loser.page.room.status === 'ready')
      expect(story.peerOf(loser)).not.toBe(before)
      await story.pass(8_000)
      expect(story.sim.leader?.host.status.configuration.voters).not.toContain(before)
    })
  }

  it('[M2] of the leader of two: its vote goes with its goodbye, and the other one goes on alone', async () => {
    const story = new Story('deleted under the leader of two', { ...withLease(lease), registrar: true })
    const tabs = await story.open(1, 1)
    const leader = story.leaderOf(tabs)
    const other = tabs.find((tab) => tab !== leader)
    if (!other) throw new Error('two tabs')
    await story.until(() => story.sim.leader?.host.status.configuration.voters.length === 2)
    await story.pass(500)
    diskOf(leader).delete()
    const written = story.watch(other.page.room.store.set('key', 'alone'))
    await story.until(() => written.at !== null, 2_000, 'the write')
    expect(written.error).toBeUndefined()
  })

  it('full: the write is refused, the peer stops and says why, and the others go on', async () => {
    const story = new Story('full', { ...withLease(lease), registrar: true })
    const tabs = await story.open(1, 1, 1)
    const leader = story.leaderOf(tabs)
    const other = tabs.find((tab) => tab !== leader)
    if (!other) throw new Error('three tabs')
    await story.acquire(leader, 'doc')
    const next = story.ask(other, 'doc')
    await story.pass(500)
    const disk = diskOf(leader)
    disk.condition.isFull = true
    const refused = story.watch(leader.page.room.store.set('key', 'too much'))
    await story.until(() => next.at !== null, 2_000, 'the lock')
    expect(refused.error).toMatchObject({ code: 'storage', reason: 'quota' })
    disk.condition.isFull = false
    const before = story.peerOf(leader)
    leader.reload()
    await story.until(() => leader.page.room.status === 'ready')
    expect(story.peerOf(leader)).toBe(before)
  })
})
