/** What locks have beyond W3C, from the page's side: what is asked of the host, and what the page makes of the answers. */
import { beforeEach, describe, expect, it } from 'vitest'
import type { LockGrant, LockRecord } from '../host/page.js'
import { RoomConnection } from './connection.js'
import { RoomLeftError } from './errors.js'
import type { Lock } from './lock.js'
import type { LockOptions } from './lock-options.js'
import { type LockManager, RoomLocks } from './locks.js'
import { plainRecord, quiet, TestClock, TestPort } from './test-port.js'

let clock: TestClock
let port: TestPort
let connection: RoomConnection
let locks: RoomLocks
/** The same, as callers see it. */
let manager: LockManager
/** Cluster time now, if its clock runs as the page's. */
let cluster: () => number

beforeEach(() => {
  clock = new TestClock()
  port = new TestPort()
  connection = new RoomConnection(clock)
  connection.attach(port)
  locks = new RoomLocks(connection, { whenNoQuorum: 'wait', timing: () => ({ heartbeat: 50, lease: 10_000 }) })
  manager = locks
  const start = clock.monotonic
  cluster = () => 50_000 + clock.monotonic - start
})

const hear = () => port.hear(clock.now(), 1, cluster())
const asked = () => port.calls('lock.request').at(-1)?.handle ?? 0
const types = () => port.asked.map(({ call }) => call.type)

function outcome(promise: Promise<unknown>): { value: unknown } {
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

async function acquire(
  options: LockOptions = {},
  grant: Partial<LockGrant> = {},
): Promise<{ lock: Lock; handle: number }> {
  const acquiring = locks.acquire('a', options)
  await quiet()
  const handle = asked()
  hear()
  await port.answer('lock.request', { state: 'granted', token: 7, since: cluster(), endsAt: null, ...grant })
  return { lock: await acquiring, handle }
}

/** `a`, `b` and `c` at once, in a callback that runs until it is told to finish. */
async function acquireAll(grant: Partial<LockGrant> = {}) {
  let finish: (value: unknown) => void = () => {}
  let held: Lock[] = []
  const request = outcome(
    manager.requestAll(['a', 'b', 'c'], (given) => {
      held = given
      return new Promise((resolve) => {
        finish = resolve
      })
    }),
  )
  await quiet()
  const handle = asked()
  hear()
  await port.answer('lock.request', { state: 'granted', token: 7, since: 1, endsAt: null, ...grant })
  const [a, b, c] = held
  if (!a || !b || !c) throw new Error('not three locks')
  return { request, handle, a, b, c, held, finish: (value: unknown) => finish(value) }
}

describe('options', () => {
  it('a plain request says nothing that older members do not know', async () => {
    void locks.request('a', { timeout: 5_000, attributes: 'why', priority: 0, scope: 'exact', lockDelay: 0 }, () => {})
    void manager.requestAll(['a'], () => {})
    await quiet()
    expect(port.calls('lock.request').map((call) => 'beyond' in call)).toEqual([false, false])
  })

  it.each<[LockOptions, object]>([
    [{ maxHold: 500.9 }, { maxHold: 500 }],
    [{ owner: 'editor' }, { owner: 'editor' }],
    [{ owner: '' }, { owner: '' }],
    [{ priority: -3 }, { priority: -3 }],
    [{ priority: 1_000 }, { priority: 1_000 }],
    [{ scope: 'tree' }, { scope: 'tree' }],
    [{ lockDelay: 10_000 }, { lockDelay: 10_000 }],
    [{ lockDelay: 300, lease: 300 }, { lockDelay: 300 }],
  ])('%o', async (options, beyond) => {
    void locks.acquire('a', options)
    await quiet()
    const plain = { also: [], owner: null, priority: 0, scope: 'exact', maxHold: null, lockDelay: 0 }
    expect(port.calls('lock.request')).toMatchObject([{ name: 'a', beyond: { ...plain, ...beyond } }])
  })

  it('a room with an older member refuses them, in so many words', async () => {
    const acquiring = outcome(locks.acquire('a', { owner: 'me' }))
    await quiet()
    await port.refuse('lock.request', { code: 'incompatible-peer', message: 'an older member is in the room' })
    expect(acquiring.value).toMatchObject({ name: 'IncompatiblePeerError', code: 'incompatible-peer' })
  })

  it('a deadlock is refused with its circle', async () => {
    const acquiring = outcome(locks.acquire('b', { owner: 'me' }))
    await quiet()
    const cycle = [{ peerId: 'p', owner: 'me', name: 'b' }]
    await port.refuse('lock.request', { code: 'deadlock', message: 'p waits for itself', details: { cycle } })
    expect(acquiring.value).toMatchObject({
      name: 'DeadlockError',
      code: 'deadlock',
      cycle: [{ clientId: 'p', owner: 'me', name: 'b' }],
    })
  })
})

describe('[S-7] what ends by the clock of the cluster', () => {
  it('is held until the cluster may have come to its end, whatever was heard since', async () => {
    const { lock } = await acquire({ maxHold: 1_000 }, { endsAt: cluster() + 1_000 })
    const from = clock.monotonic
    // Heard at 0: 1.01 for the rates, 2 % and 20 ms for what they drift.
    expect(lock.deadline).toBeCloseTo(from + 980 / 1.03)
    clock.pass(951)
    expect(lock.state).toBe('held')
    clock.pass(1)
    expect(lock.state).toBe('unsure')
    expect(() => lock.assertHeld()).toThrow(expect.objectContaining({ reason: 'expired' }))
    // An echo brings certainty back for as long as it is less unsure, and never beyond the end.
    hear()
    expect([lock.state, lock.deadline]).toEqual(['held', expect.closeTo(clock.monotonic + 28 / 1.03)])
    clock.pass(28)
    hear()
    expect([lock.state, lock.deadline]).toEqual(['unsure', clock.monotonic])
  })

  it('takes the larger of both clocks (C2)', async () => {
    const { lock } = await acquire({ maxHold: 1_000 }, { endsAt: cluster() + 1_000 })
    clock.pass(10, 960)
    expect(lock.state).toBe('unsure')
    const { lock: other } = await acquire({ maxHold: 1_000 }, { endsAt: cluster() + 1_000 })
    clock.pass(960, 10)
    expect(other.state).toBe('unsure')
  })

  it.each([
    ['as fast', 1],
    ['one percent faster', 1.01],
    ['one percent slower', 0.99],
  ])('is never held when the cluster, %s, is there', async (_title, rate) => {
    const start = { page: clock.monotonic, cluster: cluster() }
    cluster = () => start.cluster + (clock.monotonic - start.page) * rate
    const { lock } = await acquire({ maxHold: 3_000 }, { endsAt: start.cluster + 3_000 })
    let last = 0
    for (let ms = 0; ms < 4_000; ms += 10) {
      clock.pass(10)
      if (ms < 500) hear()
      if (lock.state !== 'held') continue
      last = cluster()
      expect(last).toBeLessThan(start.cluster + 3_000)
    }
    expect(last).toBeGreaterThan(start.cluster + 2_700)
  })

  it('does not outlive the lease', async () => {
    const { lock } = await acquire({ lease: 1_000, maxHold: 5_000 }, { endsAt: cluster() + 5_000 })
    expect(lock.deadline).toBe(clock.monotonic + 960)
    clock.pass(960)
    expect(lock.state).toBe('unsure')
  })

  it('a short hold is certain for most of it, though its lease is long', async () => {
    const { lock } = await acquire({ maxHold: 100 }, { endsAt: cluster() + 100 })
    clock.pass(77)
    expect(lock.state).toBe('held')
    clock.pass(1)
    expect(lock.state).toBe('unsure')
  })

  it('when the room has ended it, it is lost as expired', async () => {
    const { lock, handle } = await acquire({ maxHold: 100 }, { endsAt: cluster() + 100 })
    clock.pass(100)
    port.tell({ type: 'lock.lost', handle, name: 'a', reason: 'expired' })
    expect([lock.state, lock.signal.reason]).toEqual(['lost', expect.objectContaining({ reason: 'expired' })])
  })
})

describe('revoking', () => {
  const tell = (handle: number, endsAt: number | null) => port.tell({ type: 'lock.revoked', handle, name: 'a', endsAt })

  it('[S-7] the holder hears of it with its grace, holds until its end, and loses the lock then', async () => {
    const { lock, handle } = await acquire()
    tell(handle, null)
    expect([lock.revoking.aborted, lock.state]).toEqual([false, 'held'])
    tell(handle, cluster() + 2_000)
    expect(lock.revoking.reason).toMatchObject({ name: 'LockRevokedError', code: 'lock-revoked', grace: 1_980 })
    expect([lock.state, lock.signal.aborted]).toEqual(['held', false])
    expect(lock.deadline).toBeCloseTo(clock.monotonic + 1_980 / 1.03)
    clock.pass(1_950)
    expect(lock.state).toBe('unsure')
    expect(() => lock.assertHeld()).toThrow(expect.objectContaining({ reason: 'revoked' }))
    port.tell({ type: 'lock.lost', handle, name: 'a', reason: 'revoked' })
    expect([lock.state, lock.signal.reason]).toEqual(['lost', expect.objectContaining({ reason: 'revoked' })])
  })

  it('[S-7] the room has the last word of when, but for maxHold: at first it says the least, and then what it is', async () => {
    const { lock, handle } = await acquire({ maxHold: 3_000 }, { endsAt: cluster() + 3_000 })
    tell(handle, cluster() + 5_000)
    expect(lock.deadline).toBeCloseTo(clock.monotonic + 2_980 / 1.03)
    tell(handle, cluster() + 1_000)
    expect(lock.deadline).toBeCloseTo(clock.monotonic + 980 / 1.03)
    tell(handle, cluster() + 1_200)
    expect(lock.deadline).toBeCloseTo(clock.monotonic + 1_180 / 1.03)
  })

  it('[S-7] a lock that maxHold ends before the grace is over is lost as expired', async () => {
    const { lock, handle } = await acquire({ maxHold: 1_000 }, { endsAt: cluster() + 1_000 })
    tell(handle, null)
    tell(handle, cluster() + 5_000)
    clock.pass(1_000)
    expect(() => lock.assertHeld()).toThrow(expect.objectContaining({ reason: 'expired' }))
    port.tell({ type: 'lock.lost', handle, name: 'a', reason: 'expired' })
    expect([lock.state, lock.signal.reason]).toEqual(['lost', expect.objectContaining({ reason: 'expired' })])
  })

  it('[S-7] a page that was blocked when it was told has the whole grace from when it could hear of it', async () => {
    const { lock, handle } = await acquire()
    const leastEnd = cluster() + 500
    clock.pass(2_000)
    tell(handle, null)
    tell(handle, leastEnd)
    expect([lock.state, lock.revoking.aborted]).toEqual(['unsure', false])
    hear()
    tell(handle, cluster() + 500)
    expect(lock.revoking.reason).toMatchObject({ grace: 480 })
    expect(lock.state).toBe('held')
  })

  it('one that came before the lock was certain is known when it is handed over', async () => {
    const acquiring = locks.acquire('a')
    await quiet()
    const handle = asked()
    await port.answer('lock.request', { state: 'granted', token: 7, since: 1, endsAt: null })
    tell(handle, cluster() + 1_000)
    hear()
    const lock = await acquiring
    expect([lock.state, lock.revoking.aborted]).toEqual(['held', true])
  })

  it('is nothing to a lock that was released or lost', async () => {
    const { lock, handle } = await acquire()
    void lock.release()
    tell(handle, cluster() + 1_000)
    expect(lock.revoking.aborted).toBe(false)
  })

  it('request rejects with the error when the grace is over', async () => {
    hear()
    const request = outcome(locks.request('a', () => new Promise(() => {})))
    await quiet()
    const handle = asked()
    await port.answer('lock.request', { state: 'granted', token: 7, since: 1, endsAt: null })
    port.tell({ type: 'lock.lost', handle, name: 'a', reason: 'revoked' })
    await quiet()
    expect(request.value).toMatchObject({ name: 'LockLostError', reason: 'revoked' })
  })
})

describe('revoke', () => {
  const record = (changes: Partial<LockRecord>): LockRecord => ({
    ...plainRecord,
    ...{ name: 'a', mode: 'shared', peerId: 'bob', token: 7, since: 0, position: 0, attributes: null, handle: null },
    ...changes,
  })
  const show = (holders: LockRecord[]) => {
    const watch = port.notices.filter(({ type }) => type === 'watch').at(-1)
    if (watch?.type !== 'watch') throw new Error('nothing is watched')
    port.tell({ type: 'watched', id: watch.id, value: { type: 'lock', holders, waiters: [] } })
  }

  it('resolves when all that were asked hold it no more', async () => {
    const revoking = outcome(locks.revoke('a', { grace: 500.5 }))
    expect(port.calls('lock.revoke')).toEqual([{ type: 'lock.revoke', name: 'a', grace: 500 }])
    const asked = ['bob', 'cid'].map((peerId) => ({ peerId, token: 7 }))
    await port.answer('lock.revoke', { asked })
    show([record({ revoked: true }), record({ peerId: 'cid', revoked: true })])
    await quiet()
    show([record({ peerId: 'cid', revoked: true })])
    // An upgrade has another token, and is the same hold.
    show([record({ peerId: 'cid', mode: 'exclusive', token: 9, revoked: true })])
    await quiet()
    expect(revoking.value).toBe('pending')
    show([record({ peerId: 'cid', token: 11 })])
    await quiet()
    expect(revoking.value).toBeUndefined()
    expect(port.notices.at(-1)?.type).toBe('unwatch')
  })

  it('resolves at once when nobody holds it', async () => {
    const revoking = outcome(locks.revoke('a', { grace: 0 }))
    await port.answer('lock.revoke', { asked: [] })
    expect([revoking.value, port.notices]).toEqual([undefined, []])
  })

  it.each<[string, () => void, object]>([
    ['leaving', () => locks.leave(), { name: 'RoomLeftError' }],
    ['the end', () => connection.end(new RoomLeftError()), { name: 'RoomLeftError' }],
  ])('rejects by %s', async (_title, end, error) => {
    const revoking = outcome(locks.revoke('a', { grace: 0 }))
    await port.answer('lock.revoke', { asked: [{ peerId: 'bob', token: 7 }] })
    end()
    await quiet()
    expect(revoking.value).toMatchObject(error)
    await expect(locks.revoke('a', { grace: 0 })).rejects.toMatchObject(error)
  })
})

describe('upgrade and downgrade', () => {
  const shared = () => acquire({ mode: 'shared' })

  it('[T1] exclusive with a new token once it is granted, shared and held until then', async () => {
    const { lock, handle } = await shared()
    const upgrading = outcome(lock.upgrade())
    await quiet()
    expect(port.calls('lock.upgrade')).toEqual([{ type: 'lock.upgrade', handle, name: 'a' }])
    expect([lock.mode, lock.token, lock.state]).toEqual(['shared', 7, 'held'])
    await port.answer('lock.upgrade', { token: 9, since: 2 })
    expect([upgrading.value, lock.mode, lock.token, lock.state]).toEqual([undefined, 'exclusive', 9, 'held'])
    await lock.upgrade()
    expect(port.asked).toEqual([])
  })

  it('[S-8] resolves when it is certain', async () => {
    const { lock } = await acquire({ mode: 'shared', lease: 1_000 })
    const upgrading = outcome(lock.upgrade())
    await quiet()
    clock.pass(1_000)
    await port.answer('lock.upgrade', { token: 9, since: 2 })
    expect([upgrading.value, lock.state]).toEqual(['pending', 'unsure'])
    hear()
    await quiet()
    expect([upgrading.value, lock.state]).toEqual([undefined, 'held'])
  })

  it('[T2] a downgrade is shared from the call on, and keeps its token', async () => {
    const { lock, handle } = await acquire()
    const downgrading = outcome(lock.downgrade())
    expect([lock.mode, lock.token]).toEqual(['shared', 7])
    expect(port.calls('lock.downgrade')).toEqual([{ type: 'lock.downgrade', handle, name: 'a' }])
    await quiet()
    expect(downgrading.value).toBe('pending')
    await port.answer('lock.downgrade', { token: 7 })
    expect(downgrading.value).toBeUndefined()
    await lock.downgrade()
    expect([lock.token, port.asked]).toEqual([7, []])
  })

  it('a downgrade that the room refuses leaves the lock exclusive', async () => {
    const { lock } = await acquire()
    const downgrading = outcome(lock.downgrade())
    await quiet()
    await port.refuse('lock.downgrade', { code: 'incompatible-peer', message: 'an older member' })
    expect([downgrading.value, lock.mode]).toEqual([
      expect.objectContaining({ code: 'incompatible-peer' }),
      'exclusive',
    ])
  })

  it('a second upgrader is refused: its lock stays shared', async () => {
    const { lock } = await shared()
    const upgrading = outcome(lock.upgrade())
    await quiet()
    const details = { cycle: [{ peerId: 'me', owner: null, name: 'a' }] }
    await port.refuse('lock.upgrade', { code: 'deadlock', message: 'another upgrade waits', details })
    expect(upgrading.value).toMatchObject({ name: 'DeadlockError', cycle: [{ clientId: 'me' }] })
    expect([lock.mode, lock.state]).toEqual(['shared', 'held'])
  })

  it.each<[string, () => { options: object; end: () => void }, unknown]>([
    [
      'its signal',
      () => {
        const controller = new AbortController()
        return { options: { signal: controller.signal }, end: () => controller.abort('enough') }
      },
      'enough',
    ],
    [
      'its time-out',
      () => ({ options: { timeout: 500 }, end: () => clock.pass(500) }),
      expect.objectContaining({ code: 'lock-timeout' }),
    ],
  ])('[S-9] ends with %s: it is withdrawn, and shared whatever was granted meanwhile', async (_title, make, error) => {
    const { lock, handle } = await shared()
    const { options, end } = make()
    const upgrading = outcome(lock.upgrade(options))
    await quiet()
    end()
    await quiet()
    expect(upgrading.value).toEqual(error)
    expect(port.calls('lock.downgrade')).toEqual([{ type: 'lock.downgrade', handle, name: 'a' }])
    // T2: the share under the new token is what the withdrawal has left.
    await port.answer('lock.upgrade', { token: 9, since: 2 })
    await port.answer('lock.downgrade', { token: 9 })
    expect([lock.mode, lock.token, lock.state, clock.timers]).toEqual(['shared', 9, 'held', 0])
    const again = outcome(lock.upgrade())
    await quiet()
    await port.answer('lock.upgrade', { token: 11, since: 3 })
    expect([again.value, lock.mode, lock.token]).toEqual([undefined, 'exclusive', 11])
  })

  it('[T2] that was granted unheard before it was withdrawn leaves its token', async () => {
    const { lock } = await shared()
    const controller = new AbortController()
    void outcome(lock.upgrade({ signal: controller.signal }))
    await quiet()
    controller.abort()
    await port.refuse('lock.upgrade', { code: 'lock-lost', message: 'withdrawn' })
    await port.answer('lock.downgrade', { token: 9 })
    expect([lock.mode, lock.token, lock.state]).toEqual(['shared', 9, 'held'])
  })

  it('ends though a listener of the page keeps the abort to itself', async () => {
    const { lock } = await shared()
    const controller = new AbortController()
    controller.signal.addEventListener('abort', (event) => event.stopImmediatePropagation())
    const upgrading = outcome(lock.upgrade({ signal: controller.signal }))
    await quiet()
    controller.abort('enough')
    await quiet()
    expect(upgrading.value).toBe('enough')
  })

  it('ends with a downgrade', async () => {
    const { lock } = await shared()
    const upgrading = outcome(lock.upgrade())
    const downgrading = outcome(lock.downgrade())
    await quiet()
    expect(upgrading.value).toMatchObject({ name: 'AbortError' })
    await port.refuse('lock.upgrade', { code: 'lock-lost', message: 'withdrawn' })
    await port.answer('lock.downgrade', { token: 7 })
    expect([downgrading.value, lock.mode, lock.state]).toEqual([undefined, 'shared', 'held'])
  })

  it.each<[string, (lock: Lock, handle: number) => void, object]>([
    [
      'the loss of the lock',
      (_lock, handle) => port.tell({ type: 'lock.lost', handle, name: 'a', reason: 'stolen' }),
      { name: 'LockLostError', reason: 'stolen' },
    ],
    ['its release', (lock) => void lock.release(), { name: 'InvalidStateError' }],
    ['the end of its host', () => connection.detach(), { name: 'LockLostError', reason: 'left' }],
  ])('ends with %s', async (_title, end, error) => {
    const { lock, handle } = await shared()
    const upgrading = outcome(lock.upgrade({ timeout: 5_000 }))
    await quiet()
    end(lock, handle)
    await quiet()
    expect(upgrading.value).toMatchObject(error)
    expect(clock.timers).toBe(0)
    await expect(lock.upgrade()).rejects.toMatchObject(error)
    await expect(lock.downgrade()).rejects.toMatchObject(error)
  })

  it('ends with a handle that is left, as whatever waits: the lock is given back', async () => {
    const { lock, handle } = await shared()
    const upgrading = outcome(lock.upgrade({ timeout: 5_000 }))
    await quiet()
    locks.leave()
    await quiet()
    expect(upgrading.value).toBeInstanceOf(RoomLeftError)
    expect([lock.state, clock.timers]).toEqual(['released', 0])
    expect(port.calls('lock.release')).toEqual([{ type: 'lock.release', handle }])
    // The room's answer comes too late to be heard.
    await port.answer('lock.upgrade', { token: 9, since: 2 })
    expect([lock.state, lock.mode]).toEqual(['released', 'shared'])
    await expect(lock.upgrade()).rejects.toMatchObject({ name: 'InvalidStateError' })
  })

  it('one at a time, and nothing is asked with wrong options or an aborted signal', async () => {
    const { lock } = await shared()
    await expect(lock.upgrade({ timeout: -1 })).rejects.toThrow(RangeError)
    await expect(lock.upgrade({ signal: {} as never })).rejects.toThrow(TypeError)
    await expect(lock.upgrade(12 as never)).rejects.toThrow(TypeError)
    await expect(lock.upgrade({ signal: AbortSignal.abort('no') })).rejects.toBe('no')
    expect(port.asked).toEqual([])
    void lock.upgrade()
    await quiet()
    await expect(lock.upgrade()).rejects.toMatchObject({ name: 'InvalidStateError' })
    expect(types()).toEqual(['lock.upgrade'])
  })

  it('[R1] verify goes by the mode and the token of the moment', async () => {
    const { lock, handle } = await shared()
    const record = (mode: LockRecord['mode'], token: number) => ({
      ...{ name: 'a', mode, peerId: 'me', token, since: 0, position: 0, attributes: null, handle },
      ...plainRecord,
    })
    const during = outcome(lock.verify())
    void lock.upgrade()
    await quiet()
    await port.answer('lock.upgrade', { token: 9, since: 2 })
    await port.answer('lock.query', { held: [record('exclusive', 9)], pending: [] })
    expect(during.value).toBeUndefined()
    const after = outcome(lock.verify())
    await quiet()
    await port.answer('lock.query', { held: [record('shared', 9)], pending: [] })
    expect(after.value).toMatchObject({ code: 'lock-lost' })
  })
})

describe('requestAll', () => {
  it('is one request, held all at once, and given back all at once', async () => {
    const { request, handle, held, finish } = await acquireAll()
    expect(held.map(({ name, token, state }) => [name, token, state])).toEqual([
      ['a', 7, 'held'],
      ['b', 7, 'held'],
      ['c', 7, 'held'],
    ])
    finish('done')
    await quiet()
    expect(request.value).toBe('done')
    expect(held.map(({ state }) => state)).toEqual(['released', 'released', 'released'])
    expect(port.asked.map(({ call }) => call)).toEqual([{ type: 'lock.release', handle }])
  })

  it('a name that was re-entered has the token that it had', async () => {
    const { a, b, c } = await acquireAll({ tokens: { b: 3 } })
    expect([a.token, b.token, c.token]).toEqual([7, 3, 7])
  })

  it('each may be released by itself, and the rest follows', async () => {
    const { handle, a, b, c, finish } = await acquireAll()
    const releasing = outcome(b.release())
    expect([a.state, b.state, c.state]).toEqual(['held', 'released', 'held'])
    await quiet()
    await port.answer('lock.release', null)
    expect(releasing.value).toBeUndefined()
    finish('done')
    await quiet()
    expect(port.calls('lock.release')).toEqual([{ type: 'lock.release', handle }])
  })

  it('names what is released while others are held', async () => {
    const { handle, a, b, c } = await acquireAll()
    for (const lock of [b, a, c]) void lock.release()
    await quiet()
    expect(port.calls('lock.release')).toEqual([
      { type: 'lock.release', handle, name: 'b' },
      { type: 'lock.release', handle, name: 'a' },
      { type: 'lock.release', handle },
    ])
  })

  it('if one is lost it rejects at once, the others stay until the callback settles', async () => {
    const { request, handle, a, b, c, finish } = await acquireAll()
    port.tell({ type: 'lock.lost', handle, name: 'b', reason: 'expired' })
    await quiet()
    expect(request.value).toMatchObject({ name: 'LockLostError', reason: 'expired' })
    expect([a.state, b.state, c.state]).toEqual(['held', 'lost', 'held'])
    finish('late')
    await quiet()
    expect([a.state, c.state]).toEqual(['released', 'released'])
    expect(port.calls('lock.release')).toHaveLength(1)
  })

  it('if one is stolen it rejects as W3C has it', async () => {
    const { request, handle } = await acquireAll()
    port.tell({ type: 'lock.lost', handle, name: 'c', reason: 'stolen' })
    await quiet()
    expect(request.value).toMatchObject({ name: 'AbortError' })
  })

  it('that are upgraded when the handle is left: each upgrade is told so, and all are given back by one word', async () => {
    const { handle, a, b } = await acquireAll()
    for (const lock of [a, b]) {
      await Promise.all([lock.downgrade(), quiet().then(() => port.answer('lock.downgrade', { token: 7 }))])
    }
    const upgrading = [outcome(a.upgrade()), outcome(b.upgrade())]
    await quiet()
    locks.leave()
    await quiet()
    expect(upgrading.map(({ value }) => value)).toEqual([expect.any(RoomLeftError), expect.any(RoomLeftError)])
    expect(port.calls('lock.release')).toEqual([{ type: 'lock.release', handle }])
  })

  it('each may be upgraded by itself', async () => {
    const { handle, b, c } = await acquireAll()
    await Promise.all([b.downgrade(), quiet().then(() => port.answer('lock.downgrade', { token: 7 }))])
    const upgrading = outcome(b.upgrade())
    await quiet()
    expect(port.calls('lock.upgrade')).toEqual([{ type: 'lock.upgrade', handle, name: 'b' }])
    await port.answer('lock.upgrade', { token: 9, since: 2 })
    expect([upgrading.value, b.token, c.token]).toEqual([undefined, 9, 7])
  })

  it('ifAvailable: null when not all are free', async () => {
    const request = outcome(manager.requestAll(['a', 'b'], { ifAvailable: true }, (held) => `got ${held}`))
    await quiet()
    await port.answer('lock.request', { state: 'unavailable' })
    expect([request.value, port.asked]).toEqual(['got null', []])
  })

  it('if one is taken before it is certain, the rest is given back and all are asked for again', async () => {
    const request = outcome(manager.requestAll(['a', 'b'], (held) => held.map(({ token }) => token)))
    await quiet()
    const first = asked()
    await port.answer('lock.request', { state: 'granted', token: 7, since: 1, endsAt: null })
    port.tell({ type: 'lock.lost', handle: first, name: 'b', reason: 'revoked' })
    expect(port.calls('lock.release')).toEqual([{ type: 'lock.release', handle: first }])
    const second = asked()
    expect(second).not.toBe(first)
    hear()
    await port.answer('lock.request', { state: 'granted', token: 9, since: 1, endsAt: null })
    await quiet()
    expect(request.value).toEqual([9, 9])
  })

  it('leaving gives back all, and so does the back/forward cache take all', async () => {
    const { held } = await acquireAll()
    locks.leave()
    await quiet()
    expect([held.map(({ state }) => state), types()]).toEqual([['released', 'released', 'released'], ['lock.release']])
  })

  it('the end of the host takes all', async () => {
    const { request, held } = await acquireAll()
    connection.detach()
    await quiet()
    expect(held.map(({ state }) => state)).toEqual(['lost', 'lost', 'lost'])
    expect(request.value).toMatchObject({ reason: 'left' })
  })

  it('a reset names those that are held still', async () => {
    const { a } = await acquireAll()
    void a.release()
    let lost: readonly string[] = []
    connection.listen({
      reset: ({ locks }) => {
        lost = locks
      },
    })
    port.tell({
      type: 'reset',
      reset: { cause: 'merged', store: [], deleted: [], counters: [], complete: true },
      successor: { roomId: 'r', tokenFloor: 0, shared: null },
    })
    expect(lost).toEqual(['b', 'c'])
  })
})

describe('re-entrant handles', () => {
  it('share a token, and are given back one by one', async () => {
    const { lock: outer, handle: first } = await acquire({ owner: 'me' })
    const { lock: inner, handle: second } = await acquire({ owner: 'me' })
    expect([outer.token, inner.token]).toEqual([7, 7])
    void inner.release()
    expect([outer.state, inner.state]).toEqual(['held', 'released'])
    expect(port.calls('lock.release')).toEqual([{ type: 'lock.release', handle: second }])
    void outer.release()
    expect(port.calls('lock.release').at(-1)).toEqual({ type: 'lock.release', handle: first })
  })

  it('are given back at the end of their block', async () => {
    let inner: Lock
    {
      await using held = (await acquire({ owner: 'me' })).lock
      inner = held
      queueMicrotask(() => void port.answer('lock.release', null))
    }
    expect(inner.state).toBe('released')
  })
})

describe('[S-4] a loss that is found out after', () => {
  const lose = (handle: number, reason: 'expired' | 'stolen' = 'expired') =>
    port.tell({ type: 'lock.lost', handle, name: 'a', reason })
  const condition = (frozen: boolean) => connection.become({ visible: true, phone: false, frozen })

  it('a freeze is told as such, in the first line too', async () => {
    const { lock, handle } = await acquire()
    condition(true)
    clock.pass(20_000)
    condition(false)
    expect(lock.state).toBe('unsure')
    expect(() => lock.assertHeld()).toThrow(expect.objectContaining({ reason: 'frozen' }))
    lose(handle)
    expect(lock.signal.reason).toMatchObject({ reason: 'frozen' })
  })

  it('the sleep of the machine is, by the clock that stood still', async () => {
    const { lock, handle } = await acquire()
    clock.pass(100, 20_000)
    expect(() => lock.assertHeld()).toThrow(expect.objectContaining({ reason: 'frozen' }))
    lose(handle)
    expect(lock.signal.reason).toMatchObject({ reason: 'frozen' })
  })

  it('a freeze that the lock has outlived is forgotten', async () => {
    const { lock, handle } = await acquire()
    condition(true)
    clock.pass(5_000)
    condition(false)
    hear()
    expect(lock.state).toBe('held')
    clock.pass(10_000)
    lose(handle)
    expect(lock.signal.reason).toMatchObject({ reason: 'expired' })
  })

  it('what was stolen meanwhile was stolen', async () => {
    const { lock, handle } = await acquire()
    condition(true)
    condition(false)
    lose(handle, 'stolen')
    expect(lock.signal.reason).toMatchObject({ reason: 'stolen' })
  })
})

describe('queries', () => {
  it('show what was asked for, and nothing that was not', async () => {
    const plain: LockRecord = {
      ...{ name: 'a', mode: 'shared', peerId: 'bob', token: 7, since: 3, position: 0, attributes: null, handle: null },
      ...plainRecord,
    }
    const changes: Partial<LockRecord> = { owner: 'me', scope: 'tree', priority: 2, endsAt: 9, upgrading: true }
    const query = locks.query()
    await port.answer('lock.query', { held: [plain, { ...plain, ...changes, revoked: true }], pending: [] })
    const info = { name: 'a', mode: 'shared', clientId: 'bob', token: 7, since: 3, attributes: undefined }
    expect((await query).held).toStrictEqual([info, { ...info, ...changes, revoked: true }])
  })

  it('waitGraph: who waits for whom', async () => {
    const graph = locks.waitGraph()
    const wait = { owner: null, kind: 'upgrade', names: ['a'], mode: 'exclusive', position: 1 } as const
    const behind = [{ owner: 'me', name: 'a', state: 'held' } as const]
    await port.answer('lock.waitGraph', {
      waits: [{ ...wait, peerId: 'bob', handle: 3, behind: behind.map((one) => ({ ...one, peerId: 'cid' })) }],
    })
    expect(await graph).toEqual({
      waits: [{ ...wait, clientId: 'bob', mine: true, behind: behind.map((one) => ({ ...one, clientId: 'cid' })) }],
    })
    locks.leave()
    await expect(locks.waitGraph()).rejects.toThrow(RoomLeftError)
  })
})
