import { expect, it, onTestFinished, vi } from 'vitest'
import { MemoryHub } from '../network/memory.js'
import { foundRoom, joinRoom, type TestPeer } from './test-room.js'

/** The first one founds the room. `inMemory`: which of them keep their logs so. */
async function three(inMemory: readonly boolean[]): Promise<TestPeer[]> {
  const hub = new MemoryHub()
  const [first, ...others] = inMemory
  const founder = await foundRoom('a', hub, { inMemory: first === true })
  const peers = [founder, ...others.map((isInMemory, at) => joinRoom(`b${at}`, hub, { inMemory: isInMemory }))]
  onTestFinished(() => {
    for (const { host } of peers) host.leave()
  })
  return peers
}

const configurationOf = (peers: readonly TestPeer[]) => peers[0]?.host.status.configuration

it('a room whose founder keeps its log in memory: who does so too votes, once it knows whose room it is in', async () => {
  const peers = await three([true, true, true])
  await vi.waitFor(() => expect(configurationOf(peers)?.voters).toHaveLength(3), 10_000)
})

it('[F2] a room on disks: whose log is in memory does not vote, and whose is not does', async () => {
  const peers = await three([false, false, true])
  await vi.waitFor(
    () => expect(configurationOf(peers)).toMatchObject({ voters: ['a', 'b0'], learners: ['b1'] }),
    10_000,
  )
})
