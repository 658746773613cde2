import { beforeEach, describe, expect, it } from 'vitest'
import { leaseMargin, RoomConnection } from './connection.js'
import { type ComityError, RoomLeftError } from './errors.js'
import { quiet, TestClock, TestPort } from './test-port.js'

let clock: TestClock
let port: TestPort
let connection: RoomConnection

beforeEach(() => {
  clock = new TestClock()
  port = new TestPort()
  connection = new RoomConnection(clock)
})

const get = () => connection.call({ type: 'store.get', key: 'k', consistency: 'local' })
const code = (promise: Promise<unknown>) =>
  promise.then(
    () => 'resolved',
    (error: ComityError) => error.code,
  )

describe('[M2] a testament', () => {
  const testament = { type: 'testament', goodbyes: [] } as const

  it('is confirmed when that is asked, after it was taken over', () => {
    connection.attach(port)
    const taken: number[] = []
    connection.listen({ testament: ({ number }) => taken.push(number + 100 * port.notices.length) })
    port.onevent?.({ ...testament, number: 1, confirm: false })
    expect(port.notices).toEqual([])
    port.onevent?.({ ...testament, number: 2, confirm: true })
    expect(taken).toEqual([1, 2])
    expect(port.notices).toEqual([{ type: 'testament', number: 2 }])
  })

  it('that comes when the page has said its last words is not', () => {
    connection.attach(port)
    connection.detach()
    port.onevent?.({ ...testament, number: 2, confirm: true })
    expect(port.notices).toEqual([])
  })
})

describe('[S-4][C2] certainty', () => {
  it('the margin is 2 % of the lease and 20 ms', () => {
    expect([leaseMargin(10_000), leaseMargin(150)]).toEqual([220, 23])
  })

  it('there is none before the first echo', () => {
    connection.attach(port)
    expect([connection.isCertain(10_000), connection.deadline(10_000)]).toEqual([false, 0])
  })

  it('lasts from the time when the page spoke, not from when it heard', () => {
    connection.attach(port)
    const sentAt = clock.now()
    clock.pass(5_000)
    port.hear(sentAt)
    expect(connection.deadline(10_000)).toBe(sentAt.monotonic + 9_780)
    clock.pass(4_779)
    expect(connection.isCertain(10_000)).toBe(true)
    clock.pass(1)
    expect(connection.isCertain(10_000)).toBe(false)
  })

  it.each([
    ['the monotonic clock', 9_780, 0],
    ['the wall clock', 0, 9_780],
  ])('ends by %s alone', (_title, monotonic, wall) => {
    connection.attach(port)
    port.hear(clock.now())
    clock.pass(monotonic - Math.sign(monotonic), wall - Math.sign(wall))
    expect(connection.isCertain(10_000)).toBe(true)
    clock.pass(Math.sign(monotonic), Math.sign(wall))
    expect(connection.isCertain(10_000)).toBe(false)
  })

  it('is not brought back by a wall clock that is set back', () => {
    connection.attach(port)
    port.hear(clock.now())
    clock.pass(20_000, -1e9)
    expect(connection.isCertain(10_000)).toBe(false)
  })

  it('each lease has its own', () => {
    connection.attach(port)
    port.hear(clock.now())
    clock.pass(1_000)
    expect([connection.isCertain(1_000), connection.isCertain(10_000)]).toEqual([false, true])
  })

  it('an echo that was overtaken by a later one counts for nothing, one of a new session always', () => {
    connection.attach(port)
    const early = clock.now()
    clock.pass(1_000)
    const late = clock.now()
    port.hear(late)
    port.hear(early)
    expect(connection.deadline(10_000)).toBe(late.monotonic + 9_780)
    port.hear(early, 2)
    expect(connection.deadline(10_000)).toBe(early.monotonic + 9_780)
  })

  it('a page that is asked says its time at once', () => {
    connection.attach(port)
    port.tell({ type: 'ask' })
    expect(port.notices).toEqual([{ type: 'alive', sentAt: clock.now() }])
  })

  it('is gone with the host', () => {
    connection.attach(port)
    port.hear(clock.now())
    connection.detach()
    expect(connection.isCertain(10_000)).toBe(false)
    connection.attach(new TestPort())
    expect(connection.isCertain(10_000)).toBe(false)
  })

  it('[S-8] what waits for it runs when an echo brings it, and not for an echo that comes too late', () => {
    connection.attach(port)
    const log: string[] = []
    connection.whenCertain(10_000, () => log.push('long'))
    connection.whenCertain(200, () => log.push('short'))
    const sentAt = clock.now()
    clock.pass(180)
    port.hear(sentAt)
    expect(log).toEqual(['long'])
    port.hear(clock.now())
    expect(log).toEqual(['long', 'short'])
    connection.whenCertain(200, () => log.push('at once'))
    expect(log).toHaveLength(3)
  })
})

describe('[S-4] a page that is frozen', () => {
  const seen = { visible: true, phone: false, frozen: false }
  const frozen = { visible: false, phone: false, frozen: true }

  it('is certain of nothing from then on', () => {
    connection.attach(port)
    connection.become(seen)
    port.hear(clock.now())
    expect(connection.isCertain(10_000)).toBe(true)
    connection.become(frozen)
    expect([connection.isCertain(10_000), connection.deadline(10_000)]).toEqual([false, 0])
    port.hear(clock.now())
    expect(connection.isCertain(10_000)).toBe(false)
  })

  it('believes only what a quorum says to what it said after it', () => {
    connection.attach(port)
    connection.become(seen)
    const before = clock.now()
    connection.become(frozen)
    clock.pass(1_000)
    port.hear(before)
    connection.become({ ...frozen, frozen: false })
    port.hear(before)
    expect(connection.isCertain(10_000)).toBe(false)
    expect(port.notices.at(-1)).toEqual({ type: 'alive', sentAt: clock.now() })
    port.hear(clock.now())
    expect(connection.isCertain(10_000)).toBe(true)
  })

  it('that is merely hidden goes on as before', () => {
    connection.attach(port)
    connection.become(seen)
    port.hear(clock.now())
    connection.become({ ...seen, visible: false })
    expect(connection.isCertain(10_000)).toBe(true)
  })
})

describe('[M4] how the page is', () => {
  it('is told to the host, and to each one after it', () => {
    const condition = { visible: false, phone: true, frozen: false }
    connection.become(condition)
    connection.attach(port)
    expect(port.notices).toEqual([{ type: 'condition', condition }])
    connection.become({ ...condition, visible: true })
    expect(port.notices.at(-1)).toEqual({ type: 'condition', condition: { ...condition, visible: true } })
    connection.detach()
    const next = new TestPort()
    connection.attach(next)
    expect(next.notices).toEqual([{ type: 'condition', condition: { ...condition, visible: true } }])
  })
})

describe('calls', () => {
  it('resolve with the value, or reject with the error that the failure stands for', async () => {
    connection.attach(port)
    const [first, second] = [get(), code(get())]
    await quiet()
    await port.answer('store.get', { value: Uint8Array.of(1), revision: 3 })
    await port.refuse('store.get', { code: 'storage', message: 'gone' })
    expect(await first).toEqual({ value: Uint8Array.of(1), revision: 3 })
    expect(await second).toBe('storage')
  })

  it('reach the host in their order', async () => {
    connection.attach(port)
    void get()
    void connection.call({ type: 'metrics' })
    void connection.call({ type: 'lock.query' })
    expect(port.asked.map(({ call }) => call.type)).toEqual(['store.get', 'metrics', 'lock.query'])
  })

  it('wait for a host, and reach it in their order', async () => {
    void get()
    void connection.call({ type: 'lock.query' })
    await quiet()
    connection.attach(port)
    await quiet()
    expect(port.asked.map(({ call }) => call.type)).toEqual(['store.get', 'lock.query'])
  })

  it('a worker that does not take the call is a room that is left', async () => {
    port.call = () => Promise.reject(new Error('terminated'))
    connection.attach(port)
    expect(await code(get())).toBe('room-left')
  })
})

describe('the back/forward cache', () => {
  it('what was on its way is uncertain, and its late answer is nobody\u2019s', async () => {
    connection.attach(port)
    const write = code(connection.call({ type: 'store.delete', key: 'k', fence: null }))
    await quiet()
    connection.detach()
    await port.answer('store.delete', { revision: 1, existed: true })
    expect(await write).toBe('outcome-unknown')
  })

  it('what is watched is watched again', () => {
    const stop = connection.watch({ type: 'store', key: 'a' }, () => {})
    connection.watch({ type: 'lock', name: 'b' }, () => {})
    connection.attach(port)
    expect(port.notices.map((notice) => notice.type === 'watch' && notice.what)).toEqual([
      { type: 'store', key: 'a' },
      { type: 'lock', name: 'b' },
    ])
    stop()
    expect(port.notices.at(-1)).toMatchObject({ type: 'unwatch' })
    connection.detach()
    const next = new TestPort()
    connection.attach(next)
    expect(next.notices).toHaveLength(1)
  })

  it('the host before is not listened to', () => {
    const statuses: string[] = []
    connection.listen({ status: ({ phase }) => statuses.push(phase) })
    connection.attach(port)
    const next = new TestPort()
    connection.detach()
    const tell = (from: TestPort, phase: 'ready' | 'joining') =>
      from.tell({ type: 'status', status: { phase, raftLeader: null, term: 1, role: 'follower', missing: [] } })
    tell(port, 'ready')
    connection.attach(next)
    tell(port, 'ready')
    tell(next, 'joining')
    expect(statuses).toEqual(['joining'])
  })
})

describe('the end', () => {
  it('closes the host; what waits, and what comes after, rejects with the reason', async () => {
    connection.attach(port)
    const before = code(get())
    await quiet()
    connection.end(new RoomLeftError())
    connection.end(new RoomLeftError('again'))
    expect([await before, await code(get()), port.isClosed]).toEqual(['room-left', 'room-left', true])
    expect(connection.ended?.message).toBe('the room has been left')
  })

  it('ends calls that waited for a host, too', async () => {
    const waiting = code(get())
    await quiet()
    connection.end(new RoomLeftError())
    expect(await waiting).toBe('room-left')
  })

  it('a host that fails ends it with its failure, and says so first', async () => {
    const log: string[] = []
    connection.listen({ failed: (failure) => log.push(`${failure.code} ${connection.ended === null}`) })
    connection.attach(port)
    const before = code(get())
    await quiet()
    port.tell({ type: 'failed', failure: { code: 'storage', message: 'the disk is full' } })
    expect([await before, connection.ended?.code, log]).toEqual(['storage', 'storage', ['storage true']])
  })
})
