import { beforeEach, describe, expect, it } from 'vitest'
import type { LockRecord } from '../host/page.js'
import { RoomConnection } from './connection.js'
import { RoomLeftError } from './errors.js'
import type { Lock } from './lock.js'
import type { LockObservation } from './lock-observation.js'
import { RoomLocks } from './locks.js'
import { plainRecord, quiet, TestClock, TestPort } from './test-port.js'

let clock: TestClock
let port: TestPort
let connection: RoomConnection
let locks: RoomLocks

beforeEach(() => {
  clock = new TestClock()
  port = new TestPort()
  connection = new RoomConnection(clock)
  connection.attach(port)
  locks = new RoomLocks(connection, { whenNoQuorum: 'wait', timing: () => ({ heartbeat: 50, lease: 10_000 }) })
})

const granted = { state: 'granted', token: 7, since: 1, endsAt: null } as const
const hear = () => port.hear(clock.now())
/** The handle of the oldest request that has not been answered. */
const asked = () => port.calls('lock.request')[0]?.handle ?? 0
const grant = (handle: number, token = 7) => port.tell({ type: 'lock.granted', handle, token, since: 1, endsAt: null })
const lose = (handle: number, reason: 'expired' | 'stolen' | 'left' = 'expired') =>
  port.tell({ type: 'lock.lost', handle, name: 'a', reason })

/** What becomes of a promise, looked at without waiting. */
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

/** A lock in hand. */
async function acquire(name = 'a', options = {}): Promise<{ lock: Lock; handle: number }> {
  const acquiring = locks.acquire(name, options)
  await quiet()
  const handle = asked()
  hear()
  await port.answer('lock.request', granted)
  const lock = await acquiring
  return { lock, handle }
}

describe('from request to release', () => {
  it('asks, waits, calls back, gives back', async () => {
    const log: string[] = []
    hear()
    const request = watch(
      locks.request('a', { mode: 'shared' }, async (lock: Lock | null) => {
        log.push(`${lock?.name} ${lock?.mode} ${lock?.token} ${lock?.state}`)
        await quiet()
        return 'result'
      }),
    )
    await quiet()
    expect(port.calls('lock.request')).toMatchObject([
      { name: 'a', mode: 'shared', ifAvailable: false, steal: false, lease: 10_000, attributes: null },
    ])
    const handle = asked()
    await port.answer('lock.request', { state: 'queued' })
    expect(log).toEqual([])
    grant(handle)
    expect(log).toEqual(['a shared 7 held'])
    await quiet()
    await quiet()
    expect(request.value).toBe('result')
    expect(port.calls('lock.release')).toEqual([{ type: 'lock.release', handle }])
  })

  it('resolves when the release is on its way: what is asked next is behind it', async () => {
    hear()
    const request = locks.request('a', () => {}).then(() => locks.request('a', { ifAvailable: true }, () => {}))
    void request.catch(() => {})
    await quiet()
    await port.answer('lock.request', granted)
    expect(port.asked.map(({ call }) => call.type)).toEqual(['lock.release', 'lock.request'])
  })

  it('a grant that is told before its answer counts once', async () => {
    hear()
    let calls = 0
    void locks.request('a', () => {
      calls += 1
      return new Promise(() => {})
    })
    await quiet()
    grant(asked())
    await port.answer('lock.request', { state: 'queued' })
    grant(1)
    expect(calls).toBe(1)
  })

  it('what is not available is told before its answer, and counts once', async () => {
    hear()
    const seen: unknown[] = []
    const request = watch(locks.request('a', { ifAvailable: true }, (lock: Lock | null) => seen.push(lock)))
    await quiet()
    port.tell({ type: 'lock.unavailable', handle: asked() })
    expect(seen).toEqual([null])
    await port.answer('lock.request', { state: 'unavailable' })
    expect([seen, request.value]).toEqual([[null], 1])
  })

  it('[S-8] a grant is not handed over before the session is certain', async () => {
    const acquiring = watch(locks.acquire('a'))
    await quiet()
    await port.answer('lock.request', granted)
    expect(acquiring.value).toBe('pending')
    hear()
    await quiet()
    expect(acquiring.value).toMatchObject({ state: 'held', token: 7 })
  })

  it('[S-8] nor by an echo that is too old for its lease', async () => {
    const acquiring = watch(locks.acquire('a', { lease: 200 }))
    await quiet()
    await port.answer('lock.request', granted)
    const sentAt = clock.now()
    clock.pass(180)
    port.hear(sentAt)
    await quiet()
    expect(acquiring.value).toBe('pending')
    hear()
    await quiet()
    expect(acquiring.value).toMatchObject({ state: 'held' })
  })

  it('ifAvailable: null when it is not', async () => {
    const [request, acquiring] = [
      watch(locks.request('a', { ifAvailable: true }, (lock: Lock | null) => `got ${lock}`)),
      watch(locks.acquire('a', { ifAvailable: true })),
    ]
    await quiet()
    await port.answer('lock.request', { state: 'unavailable' })
    await port.answer('lock.request', { state: 'unavailable' })
    expect([request.value, acquiring.value]).toEqual(['got null', null])
    expect(port.asked).toEqual([])
  })

  it('a refusal comes through as its error', async () => {
    const request = watch(locks.request('a', () => {}))
    await quiet()
    await port.refuse('lock.request', {
      code: 'limit-exceeded',
      message: 'full',
      details: { limit: 'locks', value: 256 },
    })
    expect(request.value).toMatchObject({ name: 'LimitExceededError', limit: 'locks', value: 256, retryable: true })
  })
})

describe('a request that has to be queued again', () => {
  it('and finds no place rejects, and is forgotten', async () => {
    const request = watch(locks.request('a', () => {}))
    await quiet()
    const handle = asked()
    await port.answer('lock.request', { state: 'queued' })
    const failure = { code: 'limit-exceeded', message: 'full', details: { limit: 'lockQueue', value: 8 } } as const
    port.tell({ type: 'lock.refused', handle, failure })
    await quiet()
    expect(request.value).toMatchObject({ name: 'LimitExceededError', code: 'limit-exceeded', limit: 'lockQueue' })
    grant(handle)
    expect(port.calls('lock.release')).toEqual([])
  })
})

describe('[S-4] state', () => {
  it('is held while it surely is, unsure when its lease may have run out, held again with the next echo', async () => {
    const { lock } = await acquire('a', { lease: 1_000 })
    const from = clock.monotonic
    expect([lock.state, lock.deadline]).toEqual(['held', from + 960])
    clock.pass(959)
    expect(lock.state).toBe('held')
    clock.pass(1)
    expect(lock.state).toBe('unsure')
    expect(() => lock.assertHeld()).toThrow(expect.objectContaining({ code: 'lock-lost', reason: 'expired' }))
    expect(lock.signal.aborted).toBe(false)
    hear()
    expect([lock.state, lock.deadline]).toEqual(['held', clock.monotonic + 960])
  })

  it('is released from the very call on', async () => {
    const { lock } = await acquire()
    const releasing = watch(lock.release())
    expect(lock.state).toBe('released')
    expect(() => lock.assertHeld()).toThrow(expect.objectContaining({ name: 'InvalidStateError' }))
    await quiet()
    expect(releasing.value).toBe('pending')
    await port.answer('lock.release', null)
    expect(releasing.value).toBeUndefined()
    await lock.release()
    expect([port.asked, lock.signal.aborted]).toEqual([[], false])
  })

  it('a lock that was released is not lost by anything later', async () => {
    const { lock, handle } = await acquire()
    void lock.release()
    lose(handle)
    connection.detach()
    connection.end(new RoomLeftError())
    expect([lock.state, lock.signal.aborted]).toEqual(['released', false])
  })

  it('a release whose session or host ended is done', async () => {
    const { lock } = await acquire()
    const releasing = lock.release()
    await quiet()
    await port.refuse('lock.release', { code: 'outcome-unknown', message: 'ended' })
    await expect(releasing).resolves.toBeUndefined()
    const { lock: other } = await acquire('b')
    const leaving = other.release()
    await quiet()
    connection.end(new RoomLeftError())
    await expect(leaving).resolves.toBeUndefined()
  })
})

describe('a lock that is lost', () => {
  it.each(['expired', 'stolen', 'left'] as const)('(%s) aborts its signal with the error, once', async (reason) => {
    const { lock, handle } = await acquire()
    let aborts = 0
    lock.signal.addEventListener('abort', () => {
      aborts += 1
    })
    lose(handle, reason)
    lose(handle, reason)
    expect(lock.state).toBe('lost')
    expect(lock.signal.reason).toMatchObject({ name: 'LockLostError', code: 'lock-lost', reason })
    expect(() => lock.assertHeld()).toThrow(expect.objectContaining({ reason }))
    await expect(lock.verify()).rejects.toMatchObject({ reason })
    await lock.release()
    expect([aborts, port.asked]).toEqual([1, []])
  })

  it.each([
    ['expired', { name: 'LockLostError', reason: 'expired' }],
    ['stolen', { name: 'AbortError' }],
  ] as const)(
    '(%s) its request rejects at once, and what the callback gives later is ignored',
    async (reason, error) => {
      hear()
      let finish: (value: unknown) => void = () => {}
      const request = watch(
        locks.request('a', () => {
          return new Promise((resolve) => {
            finish = resolve
          })
        }),
      )
      await quiet()
      const handle = asked()
      await port.answer('lock.request', granted)
      lose(handle, reason)
      await quiet()
      expect(request.value).toMatchObject(error)
      finish('late')
      await quiet()
      expect([request.value, port.asked]).toEqual([expect.objectContaining(error), []])
    },
  )

  it('state is right inside the abort handler', async () => {
    const { lock, handle } = await acquire()
    const states: string[] = []
    lock.signal.addEventListener('abort', () => states.push(lock.state))
    lose(handle)
    expect(states).toEqual(['lost'])
  })
})

describe('granted and taken before the page could call it certain', () => {
  it('by expiry: it is asked for again, under a new handle, and the next grant counts', async () => {
    const acquiring = watch(locks.acquire('a'))
    await quiet()
    const first = asked()
    await port.answer('lock.request', granted)
    lose(first)
    await quiet()
    const second = asked()
    expect(second).not.toBe(first)
    await port.answer('lock.request', { state: 'queued' })
    grant(second, 9)
    hear()
    await quiet()
    expect(acquiring.value).toMatchObject({ token: 9, state: 'held' })
    lose(second)
    expect(acquiring.value).toMatchObject({ state: 'lost' })
  })

  it('also when word of the loss is faster than the answer', async () => {
    const acquiring = watch(locks.acquire('a'))
    await quiet()
    lose(asked())
    await quiet()
    const [, again] = port.calls('lock.request')
    await port.answer('lock.request', granted)
    hear()
    await quiet()
    expect(acquiring.value).toBe('pending')
    grant(again?.handle ?? 0, 9)
    await quiet()
    expect(acquiring.value).toMatchObject({ token: 9 })
  })

  it('by theft: it rejects as W3C has it, and steals nothing back', async () => {
    const request = watch(locks.request('a', { steal: true }, () => 'called'))
    await quiet()
    lose(asked(), 'stolen')
    await port.answer('lock.request', granted)
    hear()
    await quiet()
    expect([request.value, port.asked]).toEqual([expect.objectContaining({ name: 'AbortError' }), []])
  })
})

describe('[S-9] a wait that ends early', () => {
  const bySignal = new AbortController()

  it.each<[string, object, () => void, object]>([
    ['its time-out', { timeout: 500 }, () => clock.pass(500), { name: 'LockTimeoutError', code: 'lock-timeout' }],
    [
      'its signal',
      { signal: bySignal.signal },
      () => bySignal.abort(new RangeError('mine')),
      { name: 'RangeError', message: 'mine' },
    ],
    ['leaving', {}, () => locks.leave(), { name: 'RoomLeftError' }],
    ['the end', {}, () => connection.end(new RoomLeftError()), { name: 'RoomLeftError' }],
  ])(
    'by %s: rejects at once, and leaves the queue or gives back what was granted meanwhile',
    async (title, options, end, error) => {
      const request = watch(locks.request('a', options, () => 'called'))
      await quiet()
      const handle = asked()
      await port.answer('lock.request', { state: 'queued' })
      end()
      grant(handle)
      hear()
      await quiet()
      expect(request.value).toMatchObject(error)
      if (title !== 'the end') expect(port.calls('lock.release')).toEqual([{ type: 'lock.release', handle }])
    },
  )

  it('a grant that waits for certainty can be timed out too, and is given back', async () => {
    const acquiring = watch(locks.acquire('a', { timeout: 500 }))
    await quiet()
    const handle = asked()
    await port.answer('lock.request', granted)
    clock.pass(500)
    hear()
    await quiet()
    expect(acquiring.value).toMatchObject({ code: 'lock-timeout' })
    expect(port.calls('lock.release')).toEqual([{ type: 'lock.release', handle }])
  })

  it('time-outs and signals run without a host', async () => {
    connection.detach()
    const request = watch(locks.request('a', { timeout: 500 }, () => {}))
    await quiet()
    clock.pass(500)
    await quiet()
    expect(request.value).toMatchObject({ code: 'lock-timeout' })
    const next = new TestPort()
    connection.attach(next)
    await quiet()
    expect(next.asked).toEqual([])
  })

  it('after the grant neither ends anything', async () => {
    const controller = new AbortController()
    const { lock } = await acquire('a', { signal: controller.signal, timeout: 500 })
    controller.abort('too late')
    clock.pass(500)
    await quiet()
    expect([lock.state, clock.timers, port.asked]).toEqual(['held', 0, []])
  })

  it('leaving gives back what is held', async () => {
    const { lock, handle } = await acquire()
    locks.leave()
    expect([lock.state, lock.signal.aborted]).toEqual(['released', false])
    await quiet()
    expect(port.calls('lock.release')).toEqual([{ type: 'lock.release', handle }])
    await expect(locks.acquire('b')).rejects.toThrow(RoomLeftError)
    await expect(locks.query()).rejects.toThrow(RoomLeftError)
  })
})

describe('whenNoQuorum', () => {
  const status = (phase: 'ready' | 'no-quorum', missing: string[] = []) =>
    port.tell({ type: 'status', status: { phase, raftLeader: null, term: 1, role: 'follower', missing } })

  it('wait: it waits', async () => {
    status('no-quorum', ['bob'])
    const request = watch(locks.request('a', () => {}))
    await quiet()
    expect(request.value).toBe('pending')
  })

  it.each(['before', 'after'])(
    'reject: it rejects, naming who is missing, when the quorum is lost %s the call',
    async (when) => {
      if (when === 'before') status('no-quorum', ['bob'])
      const request = watch(locks.request('a', { whenNoQuorum: 'reject' }, () => {}))
      await quiet()
      if (when === 'after') status('no-quorum', ['bob'])
      await quiet()
      expect(request.value).toMatchObject({ name: 'NoQuorumError', code: 'no-quorum', missing: ['bob'] })
      expect(port.calls('lock.release')).toHaveLength(1)
    },
  )

  it('reject: what is held already stays', async () => {
    const { lock } = await acquire('a', { whenNoQuorum: 'reject' })
    status('no-quorum', ['bob'])
    await quiet()
    expect(lock.state).toBe('held')
  })

  it('the default is the room\u2019s', async () => {
    locks = new RoomLocks(connection, { whenNoQuorum: 'reject', timing: () => ({ heartbeat: 50, lease: 10_000 }) })
    status('no-quorum')
    await expect(locks.request('a', () => {})).rejects.toMatchObject({ code: 'no-quorum' })
  })
})

describe('the back/forward cache', () => {
  async function putAside(): Promise<TestPort> {
    connection.detach()
    await quiet()
    const next = new TestPort()
    connection.attach(next)
    await quiet()
    port = next
    return next
  }

  it('what is held is lost, at once', async () => {
    const { lock } = await acquire()
    connection.detach()
    expect([lock.state, lock.signal.reason.reason]).toEqual(['lost', 'left'])
  })

  it('what waits is asked for again, once, and gets its lock from the next host', async () => {
    const acquiring = watch(locks.acquire('a'))
    await quiet()
    await port.answer('lock.request', { state: 'queued' })
    await putAside()
    expect(port.calls('lock.request')).toHaveLength(1)
    hear()
    await port.answer('lock.request', { ...granted, token: 9 })
    expect(acquiring.value).toMatchObject({ token: 9, state: 'held' })
  })

  it('so is what had no answer yet', async () => {
    const acquiring = watch(locks.acquire('a'))
    await quiet()
    await putAside()
    expect([port.calls('lock.request').length, acquiring.value]).toEqual([1, 'pending'])
    hear()
    await port.answer('lock.request', granted)
    expect(acquiring.value).toMatchObject({ state: 'held' })
  })

  it('... also when the next host is there in the same task', async () => {
    const acquiring = watch(locks.acquire('a'))
    await quiet()
    connection.detach()
    port = new TestPort()
    connection.attach(port)
    await quiet()
    expect([port.calls('lock.request').length, acquiring.value]).toEqual([1, 'pending'])
  })

  it('so is what was granted and not certain yet, and its old grant is worth nothing', async () => {
    const acquiring = watch(locks.acquire('a'))
    await quiet()
    await port.answer('lock.request', granted)
    await putAside()
    expect(port.calls('lock.request')).toHaveLength(1)
    hear()
    await quiet()
    expect(acquiring.value).toBe('pending')
    await port.answer('lock.request', { ...granted, token: 9 })
    expect(acquiring.value).toMatchObject({ token: 9 })
  })

  it('what is asked while there is no host is asked of the next one, once', async () => {
    connection.detach()
    const acquiring = watch(locks.acquire('a'))
    await quiet()
    const next = new TestPort()
    connection.attach(next)
    await quiet()
    expect([next.calls('lock.request').length, acquiring.value]).toEqual([1, 'pending'])
  })

  it('what was cancelled while there was no host is not asked for', async () => {
    const controller = new AbortController()
    const acquiring = watch(locks.acquire('a', { signal: controller.signal }))
    await quiet()
    connection.detach()
    controller.abort('enough')
    const next = new TestPort()
    connection.attach(next)
    await quiet()
    expect([next.asked, acquiring.value]).toEqual([[], 'enough'])
  })
})

describe('[R1] verify', () => {
  const record = (changes: Partial<LockRecord>): LockRecord => ({
    ...plainRecord,
    ...{ name: 'a', mode: 'exclusive', peerId: 'me', token: 7, since: 0, position: 0, attributes: null, handle: 1 },
    ...changes,
  })

  it.each<[string, Partial<LockRecord>, boolean]>([
    ['it is mine', {}, true],
    ['another token', { token: 8 }, false],
    ['another name', { name: 'b' }, false],
    ['another request', { handle: 2 }, false],
    ['another page', { handle: null }, false],
  ])('%s', async (_title, changes, holds) => {
    const { lock } = await acquire()
    const verified = watch(lock.verify())
    await quiet()
    await port.answer('lock.query', { held: [record(changes)], pending: [] })
    expect(verified.value).toEqual(holds ? undefined : expect.objectContaining({ code: 'lock-lost' }))
  })

  it('of a lock that is released meanwhile speaks of no loss', async () => {
    const { lock } = await acquire()
    const verified = watch(lock.verify())
    await quiet()
    void lock.release()
    await port.answer('lock.query', { held: [], pending: [] })
    expect(verified.value).toMatchObject({ name: 'InvalidStateError' })
  })

  it('of a lock that is lost meanwhile says why', async () => {
    const { lock, handle } = await acquire()
    const verified = watch(lock.verify())
    await quiet()
    port.tell({ type: 'lock.lost', handle, name: 'a', reason: 'stolen' })
    await port.answer('lock.query', { held: [], pending: [] })
    expect(verified.value).toMatchObject({ code: 'lock-lost', reason: 'stolen' })
  })
})

describe('observe', () => {
  const tell = (holders: Partial<LockRecord>[], waiters: Partial<LockRecord>[] = []) => {
    const record = (changes: Partial<LockRecord>, position: number): LockRecord => ({
      ...plainRecord,
      ...{ name: 'a', mode: 'exclusive', peerId: 'bob', token: 0, since: 0, position, attributes: null, handle: null },
      ...changes,
    })
    const notice = port.notices.find((one) => one.type === 'watch')
    port.tell({
      type: 'watched',
      id: notice?.type === 'watch' ? notice.id : 0,
      value: {
        type: 'lock',
        holders: holders.map((one) => record(one, 0)),
        waiters: waiters.map((one, i) => record(one, i + 1)),
      },
    })
  }

  it('shows nobody, then who holds and who waits', () => {
    const observed = locks.observe('a')
    const nobody: LockObservation = { holder: null, mode: null, waiters: [], mine: 'none', attributes: undefined }
    expect(observed.current).toEqual(nobody)
    tell([{ mode: 'shared' }, { peerId: 'cid', mode: 'shared' }], [{ peerId: 'dan' }, { handle: 5, peerId: 'me' }])
    expect(observed.current).toMatchObject({ holder: 'bob', mode: 'shared', waiters: ['dan', 'me'], mine: 'waiting' })
    tell([])
    expect(observed.current).toEqual(nobody)
  })

  it('is exclusive if any holder has it so: an owner may share it with itself before', () => {
    const observed = locks.observe('a')
    tell([{ mode: 'shared' }, { mode: 'exclusive' }])
    expect(observed.current.mode).toBe('exclusive')
  })

  it('[S-4] mine: held while that lock is certain, at each read, else unsure', async () => {
    const observed = locks.observe('a')
    void locks.acquire('a', { lease: 1_000 })
    const handle = asked()
    tell([{ handle, peerId: 'me' }])
    expect(observed.current.mine).toBe('unsure')
    grant(handle)
    hear()
    await quiet()
    expect(observed.current.mine).toBe('held')
    // Long before the room's own lease is over.
    clock.pass(1_000)
    expect(observed.current.mine).toBe('unsure')
    hear()
    expect(observed.current.mine).toBe('held')
  })

  it('is one for each name, and ends with the handle', async () => {
    const observed = locks.observe('a')
    expect(locks.observe('a')).toBe(observed)
    locks.leave()
    expect(port.notices.at(-1)?.type).toBe('unwatch')
    const seen: unknown[] = []
    for await (const { mine } of observed) seen.push(mine)
    for await (const { mine } of locks.observe('b')) seen.push(mine)
    expect(seen).toEqual(['none', 'none'])
  })
})
