/** `whenNoQuorum: 'reject'` in a whole room: nothing waits for a majority that is gone. */
import { expect, it } from 'vitest'
import { RoomHandle } from '../../src/client/room.js'
import { Story, withLease } from './story.js'

it('a peer that is cut off is told of every call, and of none when the others are back', async () => {
  const story = new Story('reject', { ...withLease(5_000), registrar: true })
  const [alone, ...others] = await story.open(1, 1, 1)
  if (!alone) throw new Error('three tabs')
  const room = new RoomHandle(alone.page, 'reject')
  await story.until(() => room.status === 'ready')
  const calls = {
    'locks.acquire': () => room.locks.acquire('a').then((lock) => lock.release()),
    'locks.query': () => room.locks.query(),
    'locks.waitGraph': () => room.locks.waitGraph(),
    'locks.revoke': () => room.locks.revoke('a', { grace: 0 }),
    'store.get': () => room.store.get('k'),
    'store.entries': () => room.store.entries(),
    'store.set': () => room.store.set('k', 1),
    'store.compareAndSet': () => room.store.compareAndSet('k', { value: 1 }, 2),
    'store.transact': () => room.store.transact({ then: [{ set: 'k', value: 3 }] }),
    'store.delete': () => room.store.delete('k'),
    'counter.add': () => room.counter('c').add(),
    'counter.get': () => room.counter('c').get(),
    'semaphore.available': () => room.semaphore('s', { permits: 1 }).available(),
    'semaphore.resize': () => room.semaphore('s', { permits: 1 }).resize(3),
  }
  const ask = async () => {
    const asked = Object.entries(calls).map(([name, call]) => ({ name, told: story.watch<unknown>(call()) }))
    await story.until(() => asked.every(({ told }) => told.at !== null), 5_000, 'all answers')
    return asked.map(({ name, told }) => `${name}: ${(told.error as Error | undefined)?.name ?? 'done'}`)
  }
  const names = Object.keys(calls)
  story.cutOff(alone, others)
  await story.until(() => room.status === 'no-quorum', 30_000)
  expect(await ask()).toEqual(names.map((name) => `${name}: NoQuorumError`))
  const local = story.watch(room.store.get('k', { consistency: 'local' }))
  await story.until(() => local.at !== null)
  expect(local.error).toBeUndefined()
  story.heal()
  await story.until(() => room.status === 'ready', 30_000)
  expect(await ask()).toEqual(names.map((name) => `${name}: done`))
})
