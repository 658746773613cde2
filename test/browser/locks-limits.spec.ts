/** Locks and permits together in real browsers: who is refused, what a wrong argument is told, and how much there may be. */
import type { Lock } from '../../src/index.js'
import { test as base, expect, meetings, type Tab, until } from './kit.js'

const test = base.extend<{ tabs: readonly [Tab, Tab] }>({
  tabs: async ({ meet }, use) => {
    const [a, b] = await (await meet('one browser')).openAll(2)
    if (!a || !b) throw new Error('two tabs')
    await use([a, b])
  },
})

const waiting = (tab: Tab, count: number) =>
  until(`${count} waiting`, () =>
    tab.page.evaluate(async (count) => (await window.kit.room.locks.waitGraph()).waits.length === count, count),
  )

/** Asks for the lock, and for it back. */
function takeBack(tab: Tab, name: string): Promise<{ state: string; took: number }> {
  return tab.page.evaluate(async (name) => {
    const { locks } = window.kit.room
    const from = performance.now()
    const waiting = locks.acquire(name)
    await locks.revoke(name, { grace: 500 })
    const lock = await waiting
    return { state: lock.state, took: performance.now() - from }
  }, name)
}

for (const meeting of meetings.slice(0, 2)) {
  test(`${meeting}: a circle over a lock, permits and several names at once is refused by name`, async ({ meet }) => {
    const [a, b] = await (await meet(meeting)).openAll(2)
    if (!a || !b) throw new Error('two tabs')
    await a.acquire('x', { owner: 'ann' })
    await b.page.evaluate(async () => {
      const pool = window.kit.room.semaphore('pool', { permits: 2 })
      Object.assign(window, { permit: await pool.acquire(2, { owner: 'bob' }) })
    })
    const both = b.page.evaluate(() =>
      window.kit.room.locks.requestAll(['w', 'x'], { owner: 'bob' }, (locks) => locks?.map(({ name }) => name)),
    )
    await waiting(a, 1)
    const refused = await a.page.evaluate(() =>
      window.kit.outcome(() => window.kit.room.semaphore('pool', { permits: 2 }).acquire(1, { owner: 'ann' })),
    )
    expect(refused).toMatchObject({
      ...{ ok: false, name: 'DeadlockError', code: 'deadlock' },
      details: {
        cycle: [
          { clientId: a.peerId, owner: 'ann', name: 'pool' },
          { clientId: b.peerId, owner: 'bob', name: 'x' },
        ],
      },
    })
    // Without an owner nobody can tell: it waits, and is shown.
    const plain = a.page.evaluate(async () => {
      const permit = await window.kit.room.semaphore('pool', { permits: 2 }).acquire(1)
      await permit.release()
      return permit.count
    })
    await waiting(b, 2)
    const { waits } = await a.page.evaluate(() => window.kit.room.locks.waitGraph())
    expect(waits).toEqual([
      {
        ...{ clientId: b.peerId, owner: 'bob', mine: false, kind: 'lock', names: ['w', 'x'], mode: 'exclusive' },
        ...{ position: 1, behind: [{ clientId: a.peerId, owner: 'ann', name: 'x', state: 'held' }] },
      },
      {
        ...{ clientId: a.peerId, owner: null, mine: true, kind: 'semaphore', names: ['pool'], mode: null },
        ...{ position: 1, behind: [{ clientId: b.peerId, owner: 'bob', name: 'pool', state: 'held' }] },
      },
    ])
    await a.release('x')
    expect(await both).toEqual(['w', 'x'])
    await b.page.evaluate(() => (window as unknown as { permit: { release(): Promise<void> } }).permit.release())
    expect(await plain).toBe(1)
  })

  test(`${meeting}: [S-7] a page that is blocked is not surprised: its grace begins when it can hear of it`, async ({
    meet,
  }) => {
    const [a, b] = await (await meet(meeting)).openAll(2)
    if (!a || !b) throw new Error('two tabs')
    await a.acquire('blocked')
    const blocked = a.page.evaluate(async () => {
      const lock = window.kit.lock('blocked')
      const event = (signal: AbortSignal) =>
        new Promise<string>((resolve) => signal.addEventListener('abort', () => resolve(lock.state)))
      const [asked, lost] = [event(lock.revoking), event(lock.signal)]
      window.kit.block(2_000)
      const states = [lock.state, await asked]
      const isBounded = lock.deadline < performance.now() + 1_000
      states.push(await lost)
      return { states, isBounded, isLate: performance.now() >= lock.deadline, reason: lock.signal.reason.reason }
    })
    const { state, took } = await takeBack(b, 'blocked')
    expect(await blocked).toEqual({
      ...{ states: ['held', 'held', 'lost'], isBounded: true, isLate: true, reason: 'revoked' },
    })
    expect(state).toBe('held')
    expect(took).toBeGreaterThan(2_000)
  })

  test(`${meeting}: [S-4] a page that is blocked for longer than its lease is not asked, and not sure`, async ({
    meet,
  }) => {
    const [a, b] = await (await meet(meeting)).openAll(2)
    if (!a || !b) throw new Error('two tabs')
    await a.acquire('blocked', { lease: 1_500 })
    const blocked = a.page.evaluate(async () => {
      const lock = window.kit.lock('blocked')
      const lost = new Promise<void>((resolve) => lock.signal.addEventListener('abort', () => resolve()))
      window.kit.block(7_000)
      const { state } = lock
      await lost
      return { state, after: lock.state, wasAsked: lock.revoking.aborted, reason: lock.signal.reason.reason }
    })
    const { state, took } = await takeBack(b, 'blocked')
    expect(state).toBe('held')
    expect(took).toBeLessThan(5_000)
    expect(await blocked).toEqual({ state: 'unsure', after: 'lost', wasAsked: false, reason: 'expired' })
  })
}

test('a priority is worth a second a level, and no more', async ({ tabs: [a, b] }) => {
  await a.acquire('aged')
  const order = b.page.evaluate(async () => {
    const served: string[] = []
    const { locks } = window.kit.room
    const request = (title: string, priority: number) =>
      locks.request('aged', { priority }, () => void served.push(title))
    const first = request('patient', 0)
    await new Promise((resolve) => setTimeout(resolve, 1_300))
    await Promise.all([first, request('too late', 1), request('more urgent', 3)])
    return served
  })
  await waiting(a, 3)
  await a.release('aged')
  expect(await order).toEqual(['more urgent', 'patient', 'too late'])
})

test('256 names and 64 waiters for each; what is refused says so, and what is given back makes room', async ({
  tabs: [a, b],
}) => {
  const limits = await a.page.evaluate(async () => {
    const { locks } = window.kit.room
    const { outcome } = window.kit
    const all = await Promise.all(Array.from({ length: 256 }, (_, i) => locks.acquire(`n${i}`)))
    const name = await outcome(() => locks.acquire('one more'))
    const several = await outcome(() => locks.requestAll(['n0', 'yet another'], () => {}))
    const stop = new AbortController()
    const queue = Array.from({ length: 64 }, () =>
      outcome(() => locks.request('n0', { signal: stop.signal }, () => {})),
    )
    while ((await locks.query()).pending.length < 64);
    const waiter = await outcome(() => locks.request('n0', () => {}))
    const steals = await outcome(() => locks.request('n0', { ifAvailable: true }, (lock) => lock))
    stop.abort()
    await Promise.all(queue)
    await all[7]?.release()
    const again = await outcome(async () => (await locks.acquire('one more')).state)
    await Promise.all(all.map((lock) => lock.release()))
    return { name, several, waiter, steals, again, left: (await locks.query()).held.map(({ name }) => name) }
  })
  const limit = (limit: string, value: number) => ({
    ...{ ok: false, name: 'LimitExceededError', code: 'limit-exceeded' },
    details: { limit, value },
  })
  expect(limits).toMatchObject({
    name: limit('locks', 256),
    several: limit('locks', 256),
    waiter: limit('lockQueue', 64),
    steals: { ok: true, value: null },
    again: { ok: true, value: 'held' },
    left: ['one more'],
  })
  expect(await b.acquire('n7', { ifAvailable: true })).toMatchObject({ value: expect.any(Number) })
})

test('wrong arguments are told what they are, before anything is sent', async ({ tabs: [a] }) => {
  const { told, held, pending } = await a.page.evaluate(async () => {
    const { room, outcome } = window.kit
    // What a page without types may say.
    const untyped =
      (object: object, method: string) =>
      (...given: unknown[]) =>
        (Reflect.get(object, method) as (...given: unknown[]) => unknown).apply(object, given)
    const of =
      (object: object) =>
      (method: string, ...given: unknown[]) =>
      () =>
        untyped(object, method)(...given)
    const [locks, store, ofRoom] = [of(room.locks), of(room.store), of(room)]
    const [pool, counter] = [of(room.semaphore('s', { permits: 2 })), of(room.counter('c'))]
    const none = () => {}
    const { signal } = new AbortController()
    const names = Array.from({ length: 65 }, (_, i) => `n${i}`)
    const calls: Record<string, (() => unknown)[]> = {
      TypeError: [
        locks('request'),
        locks('request', 'a'),
        locks('request', Symbol('s'), none),
        locks('request', 'a', 5, none),
        locks('request', 'a', {}, {}),
        locks('request', 'a', { mode: 'write' }, none),
        locks('request', 'a', { signal: {} }, none),
        locks('request', 'a', { timeout: '5' }, none),
        locks('acquire', 'a', { owner: 5 }),
        locks('acquire', 'a', { owner: '\ud800' }),
        locks('acquire', 'a', { priority: 1n }),
        locks('acquire', 'a', { scope: 'prefix' }),
        locks('acquire', 'a', { attributes: none }),
        locks('acquire', 'a', { whenNoQuorum: 'hope' }),
        locks('requestAll', 'ab', none),
        locks('requestAll', [], none),
        locks('requestAll', ['a', 'a'], none),
        locks('revoke', 'a'),
        store('set', 5, 1),
        store('set', 'k', none),
        store('set', 'k', 1, { fence: { name: 'a' } }),
        store('transact', { then: [{ set: 'k', value: 1 }, { delete: 'k' }] }),
        ofRoom('semaphore', 's'),
        ofRoom('counter', 5),
        counter('add', 1n),
      ],
      RangeError: [
        locks('request', 'a', { timeout: -1 }, none),
        locks('request', 'a', { timeout: Number.NaN }, none),
        locks('acquire', 'a', { lease: 1 }),
        locks('acquire', 'a', { maxHold: 0 }),
        locks('acquire', 'a', { lease: 1_000, lockDelay: 2_000 }),
        locks('acquire', 'a', { priority: 1.5 }),
        locks('acquire', 'a', { priority: 1_001 }),
        locks('revoke', 'a', { grace: -1 }),
        ofRoom('semaphore', 's', { permits: 0 }),
        pool('acquire', 0),
        pool('acquire', 1.5),
        pool('acquire', 1, { timeout: -1 }),
        pool('resize', 0),
        counter('add', 0.5),
      ],
      NotSupportedError: [
        locks('request', '-a', none),
        locks('request', 'a', { signal, steal: true }, none),
        locks('request', 'a', { signal, ifAvailable: true }, none),
        locks('request', 'a', { mode: 'shared', steal: true }, none),
        locks('acquire', 'a', { ifAvailable: true, steal: true }),
      ],
      'LimitExceededError lockName 1024': [locks('request', 'a'.repeat(10_000), none)],
      'LimitExceededError owner 256': [locks('acquire', 'a', { owner: 'o'.repeat(257) })],
      'LimitExceededError lockNames 64': [locks('requestAll', names, none)],
      'LimitExceededError valueBytes 65536': [
        locks('acquire', 'a', { attributes: 'a'.repeat(2 ** 16) }),
        store('set', 'k', 'a'.repeat(2 ** 16)),
      ],
      'LimitExceededError permits 2': [pool('acquire', 3)],
      ok: [locks('request', 'a', null, none), locks('request', 5, none)],
    }
    const told: string[][] = []
    for (const [expected, all] of Object.entries(calls))
      for (const call of all) {
        const result = await outcome(call)
        const { limit, value } = (result.ok ? {} : result.details) as { limit?: string; value?: number }
        const error = result.ok ? 'ok' : [result.name, limit, value].filter((part) => part !== undefined).join(' ')
        told.push([expected, error])
      }
    return { told, ...(await room.locks.query()) }
  })
  expect(told.map(([, error]) => error)).toEqual(told.map(([expected]) => expected))
  expect([held, pending]).toEqual([[], []])
})

test('names are those of the platform: empty, odd, and with a lone surrogate', async ({ tabs: [a, b] }) => {
  const names = [
    '',
    ' ',
    '__proto__',
    'a/',
    '/',
    '\u0000',
    '\ufeffa',
    '\ud800',
    '\ud801',
    '\udc00\ud800',
    'é'.normalize('NFD'),
    'é'.normalize('NFC'),
  ]
  const seen = await a.page.evaluate(async (names) => {
    const { locks, store } = window.kit.room
    const all = []
    for (const name of names) all.push(await locks.acquire(name, { ifAvailable: true }))
    const isAll = all.every((lock, i) => lock?.name === names[i])
    const { held } = await locks.query()
    const isNamed = held.every(({ name }, i) => name === names[i])
    for (const lock of all) if (lock) await store.set(`of ${lock.name}`, lock.name, { fence: lock })
    return { isAll, isNamed, count: held.length }
  }, names)
  expect(seen).toEqual({ isAll: true, isNamed: true, count: names.length })
  for (const name of names)
    expect(await b.acquire(name, { ifAvailable: true })).toMatchObject({ ok: true, value: null })
})

test('a callback that never settles holds the lock; release() in it, a loss and leave() end that', async ({
  tabs: [a, b],
}) => {
  const seen = await a.page.evaluate(async () => {
    const { room, comity, outcome } = window.kit
    const { locks } = room
    const never = new Promise<void>(() => {})
    const hold = async (name: string, via = locks) => {
      let done: Promise<unknown> = never
      const lock = await new Promise<Lock | null>((resolve) => {
        const callback = (lock: Lock | null) => {
          resolve(lock)
          return never
        }
        done = outcome(() => via.request(name, callback))
      })
      if (!lock) throw new Error('a lock')
      return { lock, done }
    }
    const stolen = await hold('stolen')
    await locks.request('stolen', { steal: true }, () => {})
    const robbed = await stolen.done
    const afterLoss = [
      stolen.lock.state,
      await outcome(() => stolen.lock.release()),
      await outcome(() => stolen.lock.verify()),
      await outcome(() => stolen.lock.assertHeld()),
      await outcome(() => stolen.lock.upgrade()),
      stolen.lock.signal.reason.reason,
    ]
    const released = await hold('released')
    await Promise.all([released.lock.release(), released.lock.release()])
    const afterRelease = [
      released.lock.state,
      released.lock.signal.aborted,
      await outcome(() => released.lock.release()),
      await outcome(() => released.lock.verify()),
      await outcome(() => released.lock.assertHeld()),
      await outcome(() => released.lock.downgrade()),
    ]
    const handle = await comity.join(room.name)
    const left = await hold('left', handle.locks)
    await handle.leave()
    return { robbed, afterLoss, afterRelease, left: left.lock.state, held: (await locks.query()).held.length }
  })
  const lost = { ok: false, name: 'LockLostError', code: 'lock-lost', details: { reason: 'stolen' } }
  const invalid = { ok: false, name: 'InvalidStateError' }
  expect(seen).toMatchObject({
    robbed: { ok: false, name: 'AbortError' },
    afterLoss: ['lost', { ok: true }, lost, lost, lost, 'stolen'],
    afterRelease: ['released', false, { ok: true }, invalid, invalid, invalid],
    ...{ left: 'released', held: 0 },
  })
  expect(await b.acquire('released', { ifAvailable: true })).toMatchObject({ value: expect.any(Number) })
})
