/** `whenNoQuorum: 'reject'`: every call that only a quorum can answer, and what is known of it when the quorum goes. */
import { beforeEach, describe, expect, it } from 'vitest'
import type { CallType } from '../host/page.js'
import { RoomConnection } from './connection.js'
import { RoomCounters } from './counter.js'
import { RoomLocks } from './locks.js'
import { RoomSemaphores } from './semaphore.js'
import { RoomStore } from './store.js'
import { quiet, TestClock, TestPort } from './test-port.js'
import type { WhenNoQuorum } from './wait.js'

let port: TestPort
let connection: RoomConnection

beforeEach(() => {
  port = new TestPort()
  connection = new RoomConnection(new TestClock())
  connection.attach(port)
})

function roomOf(whenNoQuorum: WhenNoQuorum) {
  const defaults = { whenNoQuorum, timing: () => ({ heartbeat: 50, lease: 10_000 }) }
  return {
    store: new RoomStore(connection, whenNoQuorum),
    counter: new RoomCounters(connection, whenNoQuorum).get('c'),
    semaphore: new RoomSemaphores(connection, defaults).get('s', { permits: 1 }),
    locks: new RoomLocks(connection, defaults),
  }
}
type Room = ReturnType<typeof roomOf>

const become = (phase: 'ready' | 'no-quorum') => {
  const missing = phase === 'ready' ? [] : ['bob']
  port.tell({ type: 'status', status: { phase, raftLeader: null, term: 1, role: 'follower', missing } })
}
const rejection = (call: Promise<unknown>) =>
  call.then(
    () => 'it was answered',
    (error: unknown) => error,
  )

const reads: [CallType, (room: Room) => Promise<unknown>][] = [
  ['store.get', ({ store }) => store.get('k')],
  ['store.entries', ({ store }) => store.entries()],
  ['counter.get', ({ counter }) => counter.get()],
  ['semaphore.get', ({ semaphore }) => semaphore.available()],
  ['lock.query', ({ locks }) => locks.query()],
  ['lock.waitGraph', ({ locks }) => locks.waitGraph()],
]
const writes: [CallType, (room: Room) => Promise<unknown>][] = [
  ['store.set', ({ store }) => store.set('k', 1)],
  ['store.delete', ({ store }) => store.delete('k')],
  ['store.compareAndSet', ({ store }) => store.compareAndSet('k', { revision: 0 }, 1)],
  ['store.transact', ({ store }) => store.transact({})],
  ['counter.add', ({ counter }) => counter.add()],
  ['counter.compareAndSet', ({ counter }) => counter.compareAndSet(0, 1)],
  ['semaphore.resize', ({ semaphore }) => semaphore.resize(2)],
  ['lock.revoke', ({ locks }) => locks.revoke('a', { grace: 0 })],
]
const noQuorum = { name: 'NoQuorumError', code: 'no-quorum', missing: ['bob'] }
const unknown = { name: 'OutcomeUnknownError', code: 'outcome-unknown', retryable: false }

describe('of a room that is to reject', () => {
  it.each([...reads, ...writes])(
    '%s asks nothing while there is no quorum, and asks again when there is',
    async (type, run) => {
      const room = roomOf('reject')
      become('no-quorum')
      expect(await rejection(run(room))).toMatchObject(noQuorum)
      expect(port.calls(type)).toEqual([])
      become('ready')
      void run(room).catch(() => {})
      await quiet()
      expect(port.calls(type)).toHaveLength(1)
    },
  )

  it.each(reads)('%s fails when the quorum goes', async (_type, run) => {
    const answer = rejection(run(roomOf('reject')))
    await quiet()
    become('no-quorum')
    expect(await answer).toMatchObject(noQuorum)
  })

  it.each(writes)('of %s nobody knows what became of it when the quorum goes', async (_type, run) => {
    const answer = rejection(run(roomOf('reject')))
    await quiet()
    become('no-quorum')
    expect(await answer).toMatchObject(unknown)
  })

  it('a revocation whose holders have not let go yet waits no longer either', async () => {
    const answer = rejection(roomOf('reject').locks.revoke('a', { grace: 0 }))
    await quiet()
    await port.answer('lock.revoke', { asked: [{ peerId: 'bob', token: 1 }] })
    become('no-quorum')
    expect(await answer).toMatchObject(unknown)
  })

  it('what this peer has by itself is read all the same', async () => {
    const { store } = roomOf('reject')
    become('no-quorum')
    const found = store.get('k', { consistency: 'local' })
    await quiet()
    await port.answer('store.get', null)
    expect(await found).toBeUndefined()
  })

  it('an answer that came in time counts', async () => {
    const sum = roomOf('reject').counter.add()
    await quiet()
    await port.answer('counter.add', { value: 1, overflowed: false })
    become('no-quorum')
    expect(await sum).toBe(1)
  })
})

describe('of a room that waits', () => {
  it.each([...reads, ...writes])('%s is asked without a quorum too', async (type, run) => {
    become('no-quorum')
    void run(roomOf('wait')).catch(() => {})
    await quiet()
    expect(port.calls(type)).toHaveLength(1)
  })

  const reject = { whenNoQuorum: 'reject' } as const
  it.each<[CallType, (room: Room) => Promise<unknown>]>([
    ['store.get', ({ store }) => store.get('k', reject)],
    ['store.entries', ({ store }) => store.entries('', reject)],
    ['store.set', ({ store }) => store.set('k', 1, reject)],
    ['store.delete', ({ store }) => store.delete('k', reject)],
    ['store.transact', ({ store }) => store.transact({}, reject)],
    ['lock.revoke', ({ locks }) => locks.revoke('a', { grace: 0, ...reject })],
  ])('%s may say otherwise', async (type, run) => {
    become('no-quorum')
    expect(await rejection(run(roomOf('wait')))).toMatchObject(noQuorum)
    expect(port.calls(type)).toEqual([])
  })
})
