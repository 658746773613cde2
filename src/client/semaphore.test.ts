import { beforeEach, describe, expect, it } from 'vitest'
import { RoomConnection } from './connection.js'
import { LimitExceededError, NoQuorumError, PermitLostError, PermitTimeoutError, RoomLeftError } from './errors.js'
import type { Timelines } from './lock-metrics.js'
import type { Permit } from './permit.js'
import { type AcquireOptions, RoomSemaphores, type Semaphore } from './semaphore.js'
import { quiet, TestClock, TestPort } from './test-port.js'

let clock: TestClock
let port: TestPort
let connection: RoomConnection
let semaphores: RoomSemaphores
let semaphore: Semaphore

const measured: unknown[] = []
const timeline: Timelines['permits'] = {
  waited: ({ name, count, id }, from, to) => measured.push(['wait', name, count, id, to - from]),
  held: ({ name, count, id }, from, to) => measured.push(['hold', name, count, id, to - from]),
}

beforeEach(() => {
  clock = new TestClock()
  port = new TestPort()
  measured.length = 0
  connection = new RoomConnection(clock, { locks: null, permits: timeline })
  connection.attach(port)
  semaphores = new RoomSemaphores(connection, {
    whenNoQuorum: 'wait',
    timing: () => ({ heartbeat: 50, lease: 10_000 }),
  })
  semaphore = semaphores.get('a', { permits: 3 })
})

const granted = { state: 'granted', token: 7, since: 1 } as const
const hear = () => port.hear(clock.now())
/** The handle of the oldest request that has not been answered. */
const asked = () => port.calls('semaphore.acquire')[0]?.handle ?? 0
const grant = (handle: number, token = 7) => port.tell({ type: 'permit.granted', handle, token, since: 1 })
const lose = (handle: number) => port.tell({ type: 'permit.lost', handle, reason: 'expired' })

function watch(promise: Promise<unknown>): { value: unknown } {
  const seen: { value: unknown } = { value: 'pending' }
  promise.then(
    (value) => {
      seen.value = value
    },
    (error: unknown) => {
      seen.value = error
    },
  )
  return seen
}

async function acquire(count = 1, options: AcquireOptions = {}): Promise<{ permit: Permit; handle: number }> {
  const acquiring = semaphore.acquire(count, options)
  await quiet()
  const handle = asked()
  hear()
  await port.answer('semaphore.acquire', granted)
  return { permit: await acquiring, handle }
}

describe('from request to release', () => {
  it('asks, waits, is given a permit, gives it back once', async () => {
    hear()
    const acquiring = watch(semaphore.acquire(2, { priority: 5, owner: 'me', lease: 500.9 }))
    await quiet()
    const handle = asked()
    expect(port.calls('semaphore.acquire')).toEqual([
      {
        type: 'semaphore.acquire',
        ...{ handle, name: 'a', permits: 3, count: 2, ifAvailable: false, lease: 500, priority: 5, owner: 'me' },
      },
    ])
    await port.answer('semaphore.acquire', { state: 'queued' })
    expect(acquiring.value).toBe('pending')
    grant(handle)
    await quiet()
    const permit = acquiring.value as Permit
    expect(permit).toMatchObject({ name: 'a', count: 2, id: 7, state: 'held' })
    expect(permit.deadline).toBe(clock.monotonic + 500 - 30)
    const release = permit.release()
    expect([permit.state, permit.release()]).toEqual(['released', release])
    await quiet()
    expect(port.calls('semaphore.release')).toEqual([{ type: 'semaphore.release', handle }])
    await port.answer('semaphore.release', null)
    await release
    expect(permit.signal.aborted).toBe(false)
  })

  it('is one by default, with the lease of the room', async () => {
    void semaphore.acquire()
    await quiet()
    expect(port.calls('semaphore.acquire')).toMatchObject([{ count: 1, lease: 10_000, priority: 0, owner: null }])
  })

  it('resolves with null when there are not enough at once', async () => {
    const acquiring = semaphore.acquire(undefined, { ifAvailable: true })
    await quiet()
    expect(port.calls('semaphore.acquire')).toMatchObject([{ ifAvailable: true }])
    await port.answer('semaphore.acquire', { state: 'unavailable' })
    expect(await acquiring).toBeNull()
  })

  it('is given back by `await using`', async () => {
    const { permit } = await acquire()
    void permit[Symbol.asyncDispose]()
    expect(permit.state).toBe('released')
  })

  it('[S-8] is handed over only when the session is certain', async () => {
    const acquiring = watch(semaphore.acquire())
    await quiet()
    await port.answer('semaphore.acquire', granted)
    expect(acquiring.value).toBe('pending')
    hear()
    await quiet()
    expect(acquiring.value).toMatchObject({ state: 'held' })
  })
})

describe('a wait', () => {
  it("ends with the signal's own reason, and leaves the queue", async () => {
    const reason = { my: 'reason' }
    const controller = new AbortController()
    const acquiring = watch(semaphore.acquire(1, { signal: controller.signal }))
    await quiet()
    const handle = asked()
    controller.abort(reason)
    await quiet()
    expect(acquiring.value).toBe(reason)
    expect(port.calls('semaphore.release')).toEqual([{ type: 'semaphore.release', handle }])
    await expect(semaphore.acquire(1, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason)
    expect(port.calls('semaphore.acquire')).toHaveLength(1)
  })

  it('ends though a listener of the page keeps the abort to itself', async () => {
    const controller = new AbortController()
    controller.signal.addEventListener('abort', (event) => event.stopImmediatePropagation())
    const acquiring = watch(semaphore.acquire(1, { signal: controller.signal }))
    await quiet()
    controller.abort('enough')
    await quiet()
    expect(acquiring.value).toBe('enough')
  })

  it('ends after its time-out, without a leader too, and no timer is left', async () => {
    const acquiring = watch(semaphore.acquire(1, { timeout: 300 }))
    await quiet()
    clock.pass(299)
    await quiet()
    expect(acquiring.value).toBe('pending')
    clock.pass(1)
    await quiet()
    expect(acquiring.value).toBeInstanceOf(PermitTimeoutError)
    expect(acquiring.value).toMatchObject({ code: 'lock-timeout', retryable: true })
    await port.answer('semaphore.acquire', { state: 'unavailable' })
    await acquire(1, { timeout: 300 })
    expect(clock.timers).toBe(0)
  })

  it('ends when there is no quorum, if it is to', async () => {
    const acquiring = watch(semaphore.acquire(1, { whenNoQuorum: 'reject' }))
    port.tell({
      type: 'status',
      status: { phase: 'no-quorum', raftLeader: null, term: 1, role: 'follower', missing: ['bob'] },
    })
    await quiet()
    expect(acquiring.value).toBeInstanceOf(NoQuorumError)
  })

  it('ends when a resize has made it too large', async () => {
    const acquiring = watch(semaphore.acquire(3))
    await quiet()
    const handle = asked()
    await port.answer('semaphore.acquire', { state: 'queued' })
    const details = { limit: 'permits', value: 2 }
    port.tell({ type: 'permit.refused', handle, failure: { code: 'limit-exceeded', message: 'too many', details } })
    await quiet()
    expect(acquiring.value).toBeInstanceOf(LimitExceededError)
    expect(acquiring.value).toMatchObject(details)
  })

  it('goes on with the next host, and a grant of the one before is void', async () => {
    hear()
    const acquiring = watch(semaphore.acquire())
    await quiet()
    connection.detach()
    const next = new TestPort()
    connection.attach(next)
    await quiet()
    await port.answer('semaphore.acquire', granted)
    expect(acquiring.value).toBe('pending')
    next.hear(clock.now(), 2)
    await next.answer('semaphore.acquire', { ...granted, token: 9 })
    expect(acquiring.value).toMatchObject({ id: 9, state: 'held' })
  })
})

describe('granted and taken before the page could call it certain', () => {
  const taken = async () => {
    const acquiring = watch(semaphore.acquire())
    await quiet()
    const handle = asked()
    await port.answer('semaphore.acquire', granted)
    lose(handle)
    await quiet()
    await port.answer('semaphore.acquire', { state: 'queued' })
    return acquiring
  }

  it('it is asked for again, and of the next host once', async () => {
    const acquiring = await taken()
    connection.detach()
    port = new TestPort()
    connection.attach(port)
    await quiet()
    expect(port.calls('semaphore.acquire')).toHaveLength(1)
    hear()
    await port.answer('semaphore.acquire', { ...granted, token: 9 })
    expect(acquiring.value).toMatchObject({ id: 9, state: 'held' })
  })

  it('it waits, and is not held: a peer that lets go of what it holds asks for nothing by that', async () => {
    await taken()
    connection.letGo()
    await quiet()
    expect(port.calls('semaphore.acquire')).toEqual([])
  })
})

describe('a permit', () => {
  it('[S-4] is unsure as soon as its lease may have run out, by a read alone', async () => {
    const { permit } = await acquire(1, { lease: 1_000 })
    clock.pass(959)
    expect(permit.state).toBe('held')
    clock.pass(1)
    expect(permit.state).toBe('unsure')
    hear()
    expect(permit.state).toBe('held')
  })

  it('that is lost says so, and why', async () => {
    const { permit, handle } = await acquire()
    lose(handle)
    expect([permit.state, permit.signal.aborted]).toEqual(['lost', true])
    expect(permit.signal.reason).toBeInstanceOf(PermitLostError)
    expect(permit.signal.reason).toMatchObject({ code: 'lock-lost', reason: 'expired' })
    await permit.release()
    expect(port.calls('semaphore.release')).toEqual([])
  })

  it('is lost when the page is put aside, and is no lock that a reset could name', async () => {
    const { permit } = await acquire()
    const resets: unknown[] = []
    connection.listen({ reset: ({ locks }) => resets.push(locks) })
    port.tell({
      type: 'reset',
      reset: { cause: 'merged', store: [], deleted: [], counters: [], complete: true },
      successor: { roomId: 'r', tokenFloor: 0, shared: null },
    })
    connection.detach('reset')
    expect([permit.state, resets]).toEqual(['lost', [[]]])
    expect(permit.signal.reason).toMatchObject({ reason: 'reset' })
  })

  it('is given back when the handle is left; who waits is told, and nothing is asked any more', async () => {
    const { permit } = await acquire()
    const waiting = watch(semaphore.acquire())
    await quiet()
    semaphores.leave()
    await quiet()
    expect([permit.state, waiting.value]).toEqual(['released', expect.any(RoomLeftError)])
    const calls = port.asked.length
    for (const call of [() => semaphore.acquire(), () => semaphore.available(), () => semaphore.resize(2)])
      await expect(call()).rejects.toBeInstanceOf(RoomLeftError)
    expect(port.asked).toHaveLength(calls)
  })
})

it('says how many there are: those of a semaphore that nobody uses are all', async () => {
  const [first, second] = [semaphore.available(), semaphore.available()]
  await quiet()
  await port.answer('semaphore.get', { size: 5, free: 4 })
  await port.answer('semaphore.get', null)
  expect(await Promise.all([first, second])).toEqual([4, 3])
})

it('a resize says what it would be without it', async () => {
  const resized = semaphore.resize(5)
  await quiet()
  expect(port.calls('semaphore.resize')).toEqual([{ type: 'semaphore.resize', name: 'a', permits: 3, to: 5 }])
  await port.answer('semaphore.resize', null)
  expect(await resized).toBeUndefined()
})

describe('bad arguments', () => {
  const thrown = (run: () => unknown): unknown => {
    try {
      return run()
    } catch (error) {
      return error
    }
  }

  it.each<[string, string, unknown, unknown]>([
    ['TypeError', 'options.permits', 'a', undefined],
    ['TypeError', 'options', 'a', null],
    ['TypeError', 'options', 'a', 3],
    ['TypeError', 'options', 'a', []],
    ['TypeError', 'options.permits', 'a', {}],
    ['TypeError', 'options.permits', 'a', { permits: '3' }],
    ['TypeError', 'options.permits', 'a', { permits: 3n }],
    ['RangeError', 'options.permits', 'a', { permits: 0 }],
    ['RangeError', 'options.permits', 'a', { permits: -1 }],
    ['RangeError', 'options.permits', 'a', { permits: 1.5 }],
    ['RangeError', 'options.permits', 'a', { permits: Number.NaN }],
    ['RangeError', 'options.permits', 'a', { permits: Number.POSITIVE_INFINITY }],
    ['RangeError', 'options.permits', 'a', { permits: 1_000_001 }],
    ['TypeError', 'name', undefined, { permits: 1 }],
    ['TypeError', 'name', 12, { permits: 1 }],
    ['TypeError', 'name', Symbol('s'), { permits: 1 }],
    ['LimitExceededError', 'name', 'x'.repeat(10_000), { permits: 1 }],
  ])('%s %s for a semaphore', (name, argument, ...given) => {
    const error = thrown(() => semaphores.get(...given)) as Error
    expect([error.name, error.message.split(':')[0]]).toEqual([name, argument])
  })

  it.each<[string, string, unknown, unknown?]>([
    ['TypeError', 'count', '1'],
    ['TypeError', 'count', null],
    ['TypeError', 'count', {}],
    ['RangeError', 'count', 0],
    ['RangeError', 'count', -1],
    ['RangeError', 'count', 0.5],
    ['RangeError', 'count', Number.NaN],
    ['RangeError', 'count', 1_000_001],
    ['TypeError', 'options', 1, null],
    ['TypeError', 'options', 1, 5_000],
    ['TypeError', 'options', 1, []],
    ['TypeError', 'options.timeout', 1, { timeout: '5' }],
    ['RangeError', 'options.timeout', 1, { timeout: -1 }],
    ['RangeError', 'options.timeout', 1, { timeout: Number.NaN }],
    ['RangeError', 'options.timeout', 1, { timeout: 2 ** 31 }],
    ['TypeError', 'options.signal', 1, { signal: null }],
    ['TypeError', 'options.signal', 1, { signal: { aborted: false } }],
    ['TypeError', 'options.lease', 1, { lease: 5n }],
    ['RangeError', 'options.lease', 1, { lease: 149 }],
    ['RangeError', 'options.lease', 1, { lease: 24 * 3_600_000 + 1 }],
    ['TypeError', 'options.priority', 1, { priority: 'high' }],
    ['TypeError', 'options.priority', 1, { priority: null }],
    ['RangeError', 'options.priority', 1, { priority: 0.5 }],
    ['RangeError', 'options.priority', 1, { priority: 1_001 }],
    ['TypeError', 'options.owner', 1, { owner: 12 }],
    ['TypeError', 'options.owner', 1, { owner: 'a\ud800' }],
    ['LimitExceededError', 'options.owner', 1, { owner: 'x'.repeat(257) }],
    ['TypeError', 'options.whenNoQuorum', 1, { whenNoQuorum: 'throw' }],
  ])('%s %s for a request', async (name, argument, count, options) => {
    const error = await semaphore.acquire(count as number, options as object).catch((error: unknown) => error)
    expect([(error as Error).name, (error as Error).message.split(':')[0]]).toEqual([name, argument])
    expect(port.asked).toEqual([])
  })

  it.each([undefined, null, '3', 0, -1, 1.5, Number.NaN, 1_000_001])('a size that is none: %s', async (size) => {
    await expect(semaphore.resize(size as number)).rejects.toThrow(/^permits: expected/)
    expect(port.asked).toEqual([])
  })

  it('a lone surrogate is a name', async () => {
    void semaphores.get('\ud800', { permits: 1 }).acquire()
    await quiet()
    expect(port.calls('semaphore.acquire')).toMatchObject([{ name: '\ud800' }])
  })
})

it('waiting and holding are counted, and what became of them', async () => {
  const numbers = () => connection.permitMeter.snapshot()
  const { permit, handle } = await acquire()
  clock.pass(30)
  lose(handle)
  expect(permit.state).toBe('lost')
  const acquiring = semaphore.acquire()
  await quiet()
  const later = asked()
  await port.answer('semaphore.acquire', { state: 'queued' })
  clock.pass(20)
  hear()
  grant(later)
  void (await acquiring).release()
  const refused = watch(semaphore.acquire(1, { timeout: 50 }))
  await quiet()
  await port.answer('semaphore.acquire', { state: 'queued' })
  clock.pass(50)
  const unavailable = watch(semaphore.acquire(1, { ifAvailable: true }))
  await quiet()
  await port.answer('semaphore.acquire', { state: 'unavailable' })
  const stuck = watch(semaphore.acquire(1, { owner: 'me' }))
  await quiet()
  await port.refuse('semaphore.acquire', { code: 'deadlock', message: 'a circle' })
  const resized = watch(semaphore.resize(1))
  await quiet()
  await port.refuse('semaphore.resize', { code: 'deadlock', message: 'a circle' })
  await quiet()
  expect([refused.value, unavailable.value, stuck.value, resized.value]).toEqual([
    expect.any(PermitTimeoutError),
    null,
    expect.objectContaining({ code: 'deadlock' }),
    expect.objectContaining({ code: 'deadlock' }),
  ])
  const { total, names } = numbers()
  expect(total).toMatchObject({
    ...{ contentions: 3, expiries: 1, deadlocks: 2, timeouts: 1, steals: 0, revocations: 0 },
    ...{ wait: { count: 2, sum: 20 }, hold: { count: 2, sum: 30 } },
  })
  expect(names).toEqual({ a: total })
  expect(connection.meter.snapshot().total.wait.count).toBe(0)
})

it('each wait and each hold is told to the timeline, however it ends, and by nothing that was not granted', async () => {
  const { handle } = await acquire(2)
  clock.pass(30)
  lose(handle)
  const acquiring = semaphore.acquire()
  await quiet()
  const later = asked()
  await port.answer('semaphore.acquire', { state: 'queued' })
  clock.pass(20)
  hear()
  grant(later, 9)
  const permit = await acquiring
  clock.pass(10)
  void permit.release()
  const refused = watch(semaphore.acquire(1, { ifAvailable: true }))
  await quiet()
  await port.answer('semaphore.acquire', { state: 'unavailable' })
  expect(refused.value).toBeNull()
  expect(measured).toEqual([
    ['wait', 'a', 2, 7, 0],
    ['hold', 'a', 2, 7, 30],
    ['wait', 'a', 1, 9, 20],
    ['hold', 'a', 1, 9, 10],
  ])
})
