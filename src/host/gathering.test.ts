import { expect, it, onTestFinished, vi } from 'vitest'
import { MemoryHub } from '../network/memory.js'
import { foundRoom, joinRoom, type TestPeer } from './test-room.js'

async function metricsOf(peer: TestPeer) {
  const reply = await peer.call({ type: 'metrics' })
  if (!reply.ok) throw new Error('no metrics')
  return reply.value
}

it('calls that stand in one queue leave in one frame', async () => {
  const hub = new MemoryHub()
  const leader = await foundRoom('a', hub)
  const follower = joinRoom('b', hub)
  onTestFinished(() => {
    leader.host.leave()
    follower.host.leave()
  })
  await vi.waitFor(async () => {
    const { voters, session, pendingCommands } = await metricsOf(follower)
    expect([voters.length, session !== null, pendingCommands]).toEqual([2, true, 0])
  }, 10_000)
  const before = await metricsOf(follower)
  const value = new Uint8Array([0])
  const names = Array.from({ length: 20 }, (_, i) => `key ${i}`)
  const replies = await Promise.all(
    names.map((key) => follower.call({ type: 'store.set', key, value, fence: null, ephemeral: false })),
  )
  expect(replies.every(({ ok }) => ok)).toBe(true)
  const after = await metricsOf(follower)
  // One for the calls; the others are acknowledgements, a heartbeat's answer, and what a page asks of its own.
  expect(after.framesSent - before.framesSent).toBeLessThan(8)
})
