/** What locks have beyond W3C, in two tabs of a real browser. */
import { test as base, expect, type Tab, until } from './kit.js'

const test = base.extend<{ tabs: readonly [Tab, Tab] }>({
  tabs: async ({ meet }, use) => {
    const [a, b] = await (await meet('one browser')).openAll(2)
    if (!a || !b) throw new Error('two tabs')
    await use([a, b])
  },
})

const pending = (tab: Tab, name: string, count: number) =>
  until(`${count} waiting for ${name}`, () =>
    tab.page.evaluate(
      async ({ name, count }) => {
        const { pending } = await window.kit.room.locks.query()
        return pending.filter((lock) => lock.name === name).length === count
      },
      { name, count },
    ),
  )

test('maxHold ends a hold: its holder is sure of it no longer, and the next one gets it', async ({ tabs: [a, b] }) => {
  const seen = a.page.evaluate(async () => {
    const from = performance.now()
    const lock = await window.kit.room.locks.acquire('bounded', { maxHold: 500 })
    const { state, deadline } = lock
    const granted = performance.now()
    await new Promise<void>((resolve) => {
      lock.signal.addEventListener('abort', () => resolve())
    })
    const isBounded = deadline > from && deadline < granted + 500
    const isLate = performance.now() >= deadline
    return { before: state, isBounded, isLate, reason: lock.signal.reason.reason, after: lock.state }
  })
  expect(await seen).toEqual({ before: 'held', isBounded: true, isLate: true, reason: 'expired', after: 'lost' })
  expect(await b.acquire('bounded', { ifAvailable: true })).toMatchObject({ value: expect.any(Number) })
})

test('an owner re-enters under its token, and others wait for the last release', async ({ tabs: [a, b] }) => {
  const outer = await a.acquire('entered', { owner: 'editor' }, 'outer')
  const inner = await a.acquire('entered', { owner: 'editor' }, 'inner')
  expect(inner).toEqual(outer)
  expect(await a.acquire('entered', { owner: 'somebody', ifAvailable: true })).toMatchObject({ value: null })
  expect(await b.acquire('entered', { owner: 'editor', ifAvailable: true })).toMatchObject({ value: null })
  await a.release('outer')
  expect(await a.lockState('inner')).toBe('held')
  expect(await b.acquire('entered', { ifAvailable: true })).toMatchObject({ value: null })
  await a.release('inner')
  expect(await b.acquire('entered', { timeout: 5_000 })).toMatchObject({ ok: true })
})

test('who has the higher priority is served first, and requests of one priority in their order', async ({
  tabs: [a, b],
}) => {
  await a.acquire('ranked')
  const order = b.page.evaluate(async () => {
    const served: string[] = []
    const request = (title: string, priority: number) =>
      window.kit.room.locks.request('ranked', { priority }, () => void served.push(title))
    const all = [request('first', 0), request('second', 0), request('urgent', 900), request('idle', -900)]
    await Promise.all(all)
    return served
  })
  await pending(b, 'ranked', 4)
  await a.release('ranked')
  expect(await order).toEqual(['urgent', 'first', 'second', 'idle'])
})

test('a tree covers what is below its name, and nothing beside it', async ({ tabs: [a, b] }) => {
  await a.acquire('doc', { scope: 'tree' })
  for (const name of ['doc', 'doc/1', 'doc/1/paragraph/3'])
    expect(await b.acquire(name, { ifAvailable: true })).toMatchObject({ ok: true, value: null })
  expect(await b.acquire('document', { ifAvailable: true })).toMatchObject({ value: expect.any(Number) })
  await a.release('doc')
  expect(await b.acquire('doc/1', { timeout: 5_000 })).toMatchObject({ ok: true })
  expect(await a.acquire('doc', { scope: 'tree', ifAvailable: true })).toMatchObject({ value: null })
  expect(await a.acquire('doc', { ifAvailable: true })).toMatchObject({ value: expect.any(Number) })
})

test('requestAll has all or none: whoever names them in another order cannot deadlock with it', async ({
  tabs: [a, b],
}) => {
  const work = (tab: Tab, names: string[]) =>
    tab.page.evaluate(async (names) => {
      const { locks, store } = window.kit.room
      for (let i = 0; i < 10; i += 1) {
        await locks.requestAll(names, async (held) => {
          for (const lock of held) lock.assertHeld()
          const before = Number((await store.get<number>('turns'))?.value ?? 0)
          const [fence] = held
          if (fence) await store.set('turns', before + 1, { fence })
        })
      }
    }, names)
  await Promise.all([work(a, ['left', 'middle', 'right']), work(b, ['right', 'left'])])
  expect(await a.get('turns')).toBe(20)
  await b.acquire('middle')
  const some = await a.page.evaluate(() =>
    window.kit.room.locks.requestAll(['left', 'middle'], { ifAvailable: true }, (held) => held),
  )
  expect(some).toBeNull()
  expect(await b.acquire('left', { ifAvailable: true })).toMatchObject({ value: expect.any(Number) })
})

test('one of several may be released by itself', async ({ tabs: [a, b] }) => {
  await b.acquire('go')
  const done = a.page.evaluate(() =>
    window.kit.room.locks.requestAll(['here', 'there'], async ([here, there]) => {
      await here?.release()
      await window.kit.room.locks.request('go', () => {})
      return [here?.state, there?.state]
    }),
  )
  await pending(b, 'go', 1)
  expect(await b.acquire('here', { ifAvailable: true })).toMatchObject({ value: expect.any(Number) })
  expect(await b.acquire('there', { ifAvailable: true })).toMatchObject({ ok: true, value: null })
  await b.release('go')
  expect(await done).toEqual(['released', 'held'])
  expect(await b.acquire('there', { timeout: 5_000 })).toMatchObject({ ok: true })
})

test('who would wait in a circle is refused with the circle, and the others go on', async ({ tabs: [a, b] }) => {
  await a.acquire('a', { owner: 'ann' })
  await b.acquire('b', { owner: 'bob' })
  const waiting = a.acquire('b', { owner: 'ann' }, 'both')
  await pending(b, 'b', 1)
  const refused = await b.acquire('a', { owner: 'bob', timeout: 5_000 })
  expect(refused).toMatchObject({ ok: false, name: 'DeadlockError', code: 'deadlock' })
  const { cycle } = (refused as { details: { cycle: { clientId: string; owner: string }[] } }).details
  expect(new Set(cycle.map(({ clientId, owner }) => `${clientId} ${owner}`))).toEqual(
    new Set([`${a.peerId} ann`, `${b.peerId} bob`]),
  )
  expect(await b.lockState('b')).toBe('held')
  await b.release('b')
  expect(await waiting).toMatchObject({ ok: true })
})

test('[T1][T2] a share is upgraded with a new token once it is alone, and keeps it when it is downgraded', async ({
  tabs: [a, b],
}) => {
  await a.acquire('shared', { mode: 'shared' })
  await b.acquire('shared', { mode: 'shared' })
  const upgrading = a.page.evaluate(async () => {
    const lock = window.kit.lock('shared')
    const before = lock.token
    await lock.upgrade()
    const exclusive = { mode: lock.mode, state: lock.state, grows: lock.token > before }
    await window.kit.room.store.set('written', 'exclusive', { fence: lock })
    const { token } = lock
    await lock.downgrade()
    await lock.verify()
    await window.kit.room.store.set('written', 'shared', { fence: lock })
    return { exclusive, shared: { mode: lock.mode, keeps: lock.token === token } }
  })
  await until('the upgrade waits', () =>
    b.page.evaluate(async () => (await window.kit.room.locks.query()).held.some(({ upgrading }) => upgrading)),
  )
  const second = await b.page.evaluate(() => window.kit.outcome(() => window.kit.lock('shared').upgrade()))
  expect(second).toMatchObject({ ok: false, name: 'DeadlockError' })
  await b.release('shared')
  expect(await upgrading).toEqual({
    exclusive: { mode: 'exclusive', state: 'held', grows: true },
    shared: { mode: 'shared', keeps: true },
  })
  expect(await a.get('written')).toBe('shared')
  expect(await b.acquire('shared', { mode: 'shared', ifAvailable: true })).toMatchObject({ value: expect.any(Number) })
})

test('an upgrade that is aborted leaves the share as it was', async ({ tabs: [a, b] }) => {
  await a.acquire('kept', { mode: 'shared' })
  await b.acquire('kept', { mode: 'shared' })
  const late = await a.page.evaluate(async () => {
    const lock = window.kit.lock('kept')
    const outcome = await window.kit.outcome(() => lock.upgrade({ timeout: 50 }))
    await lock.verify()
    return { outcome, mode: lock.mode, state: lock.state }
  })
  expect(late).toMatchObject({ outcome: { name: 'LockTimeoutError' }, mode: 'shared', state: 'held' })
  expect(
    await b.page.evaluate(() => window.kit.outcome(() => window.kit.lock('kept').upgrade({ timeout: 50 }))),
  ).toMatchObject({ name: 'LockTimeoutError' })
})

test('revoke: a holder that hears of it gives the lock back before its grace is over', async ({ tabs: [a, b] }) => {
  const holder = a.page.evaluate(async () => {
    const { locks } = window.kit.room
    return locks.request('asked', async (lock) => {
      const told = await new Promise<{ name: string; grace: number }>((resolve) => {
        lock?.revoking.addEventListener('abort', () => resolve(lock.revoking.reason))
      })
      return { name: told.name, isWithin: told.grace > 0 && told.grace <= 60_000, state: lock?.state }
    })
  })
  await until('it is held', () =>
    b.page.evaluate(async () => (await window.kit.room.locks.query()).held.some(({ name }) => name === 'asked')),
  )
  await b.page.evaluate(() => window.kit.room.locks.revoke('asked', { grace: 60_000 }))
  expect(await holder).toEqual({ name: 'LockRevokedError', isWithin: true, state: 'held' })
  expect(await b.acquire('asked', { ifAvailable: true })).toMatchObject({ value: expect.any(Number) })
})

test('[S-7] revoke: a holder that does not is sure of it until its grace is over, and loses it', async ({
  tabs: [a, b],
}) => {
  await a.acquire('taken')
  const lost = a.page.evaluate(
    () =>
      new Promise<unknown>((resolve) => {
        const lock = window.kit.lock('taken')
        lock.signal.addEventListener('abort', () => resolve([lock.state, lock.signal.reason.reason]))
      }),
  )
  const took = await b.page.evaluate(async () => {
    const from = performance.now()
    await window.kit.room.locks.revoke('taken', { grace: 400 })
    return performance.now() - from
  })
  // Cluster time may run a percent fast.
  expect(took).toBeGreaterThan(395)
  expect(await lost).toEqual(['lost', 'revoked'])
})

test('revoke: nobody holds it, so there is nothing to wait for', async ({ tabs: [a] }) => {
  expect(await a.page.evaluate(() => window.kit.room.locks.revoke('nobody', { grace: 0 }))).toBeUndefined()
})

test('lockDelay keeps a lock from the next one after a crash, and not after a release', async ({ tabs: [a, b] }) => {
  const options = { lease: 3_000, lockDelay: 3_000 }
  await a.acquire('delayed', options)
  await a.release('delayed')
  expect(await b.acquire('delayed', { ifAvailable: true })).toMatchObject({ value: expect.any(Number) })
  await b.release('delayed')
  await a.acquire('delayed', options)
  await a.acquire('at once', { lease: 3_000 })
  await a.crash()
  expect(await b.acquire('at once', { timeout: 10_000 })).toMatchObject({ ok: true })
  // Its session has ended: only the delay can keep it now.
  expect(await b.acquire('delayed', { ifAvailable: true })).toMatchObject({ ok: true, value: null })
  expect(await b.acquire('delayed', { timeout: 10_000 })).toMatchObject({ ok: true, value: expect.any(Number) })
})

test('watch tells a bystander everything that happens, in order', async ({ tabs: [a, b] }) => {
  await a.acquire('seen/0')
  const seen = b.page.evaluate(async () => {
    const log: string[] = []
    // A watch is as fresh as this peer's log: after a linearizable answer it has what was granted before.
    await window.kit.room.locks.query()
    for await (const { type, name, mode, reason, resync } of window.kit.room.locks.watch('seen/')) {
      log.push([resync ? '~' : '', type, name, mode, reason].filter(Boolean).join(' '))
      if (name === 'seen/end') break
    }
    return log
  })
  await b.page.evaluate(() => window.kit.room.locks.query())
  // What a page tells its peer is heard in order: by this answer the watch is there.
  await b.metrics()
  await a.page.evaluate(async () => {
    const { locks } = window.kit.room
    await window.kit.lock('seen/0').release()
    await locks.acquire('unseen')
    const lock = await locks.acquire('seen/1', { mode: 'shared' })
    await lock.upgrade()
    await lock.downgrade()
    const robbed = await locks.acquire('seen/2')
    const thief = await locks.acquire('seen/2', { steal: true })
    await Promise.all([lock.release(), thief.release(), robbed.release()])
    await locks.request('seen/end', () => {})
  })
  const log = await seen
  expect(log.slice(0, -3)).toEqual([
    '~ granted seen/0 exclusive',
    'released seen/0 exclusive',
    'granted seen/1 shared',
    'upgraded seen/1 exclusive',
    'downgraded seen/1 shared',
    'granted seen/2 exclusive',
    'lost seen/2 exclusive stolen',
    'granted seen/2 exclusive',
  ])
  expect(new Set(log.slice(-3, -1))).toEqual(new Set(['released seen/1 shared', 'released seen/2 exclusive']))
  expect(log.at(-1)).toBe('granted seen/end exclusive')
})

test('waitGraph and query show who waits for whom, and what for', async ({ tabs: [a, b] }) => {
  await a.acquire('wanted', { owner: 'ann' })
  const waiting = b.acquire('wanted', { owner: 'bob', priority: 3, timeout: 10_000 })
  await pending(a, 'wanted', 1)
  const graph = await a.page.evaluate(() => window.kit.room.locks.waitGraph())
  expect(graph).toEqual({
    waits: [
      {
        ...{ clientId: b.peerId, owner: 'bob', mine: false, kind: 'lock', names: ['wanted'], mode: 'exclusive' },
        position: 1,
        behind: [{ clientId: a.peerId, owner: 'ann', name: 'wanted', state: 'held' }],
      },
    ],
  })
  const { held, pending: queue } = await a.page.evaluate(() => window.kit.room.locks.query())
  expect([held, queue]).toMatchObject([
    [{ name: 'wanted', owner: 'ann' }],
    [{ name: 'wanted', owner: 'bob', priority: 3, position: 1 }],
  ])
  await a.release('wanted')
  expect(await waiting).toMatchObject({ ok: true })
})

test('waiting and holding are counted, and show in the performance timeline', async ({ tabs: [a, b] }) => {
  await a.acquire('measured')
  const seen = b.page.evaluate(async () => {
    const { room } = window.kit
    const token = await room.locks.request('measured', (lock) => lock?.token)
    const { names, total } = (await room.metrics()).locks
    const entries = (kind: string) =>
      performance.getEntriesByName(kind).map((entry) => {
        const { duration, detail } = entry as PerformanceMeasure
        return { isTime: duration >= 0, detail }
      })
    return {
      token,
      own: names['measured'],
      total,
      waits: entries('comity:lock-wait'),
      holds: entries('comity:lock-hold'),
    }
  })
  await pending(a, 'measured', 1)
  await a.release('measured')
  const { token, own, total, waits, holds } = await seen
  const entry = { isTime: true, detail: { name: 'measured', mode: 'exclusive', token } }
  expect([waits, holds]).toEqual([[entry], [entry]])
  expect(own).toMatchObject({ contentions: 1, wait: { count: 1 }, hold: { count: 1 } })
  expect(total).toEqual(own)
  expect(own?.wait.max).toBeGreaterThan(0)
})

test('watch, waitGraph and revoke end with the handle', async ({ tabs: [a] }) => {
  const seen = await a.page.evaluate(async () => {
    const { comity, room, outcome } = window.kit
    const handle = await comity.join(room.name)
    const lock = await room.locks.acquire('mine')
    const watching = (async () => {
      let count = 0
      for await (const _event of handle.locks.watch('mine')) count += 1
      return count
    })()
    const revoking = outcome(() => handle.locks.revoke('mine', { grace: 60_000 }))
    await handle.locks.query()
    await handle.leave()
    const ends = [await watching, (await revoking).ok, (await outcome(() => handle.locks.waitGraph())).ok]
    await lock.release()
    return ends
  })
  expect(seen).toEqual([1, false, false])
})
