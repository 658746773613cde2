/** `room.locks` beside the browser's own `navigator.locks`, in one page: what they answer must be equal. */
import { test as base, expect, type Page } from '@playwright/test'
import { scenarios } from './pages/web-locks/index.js'

const test = base.extend<object, { bench: Page }>({
  /** One page for all scenarios: each uses names of its own. */
  bench: [
    async ({ browser }, use, info) => {
      const context = await browser.newContext({ baseURL: `http://127.0.0.1:${process.env['COMITY_TEST_PORT']}` })
      const page = await context.newPage()
      await page.goto('/test/browser/pages/web-locks.html')
      await page.waitForFunction(() => 'locksPage' in window)
      await page.evaluate((room) => window.locksPage.join(room), `web locks ${info.workerIndex}`)
      await use(page)
      await context.close()
    },
    { scope: 'worker' },
  ],
})

for (const [group, all] of Object.entries(scenarios)) {
  test.describe(group, () => {
    all.forEach(({ title, expected }, index) => {
      test(title, async ({ bench }) => {
        const run = (which: 'browser' | 'room') =>
          bench.evaluate(({ group, index, which }) => window.locksPage.run(group, index, which), {
            group,
            index,
            which,
          })
        expect(await run('room')).toEqual(expected ?? (await run('browser')))
      })
    })
  })
}

test.describe('where rooms differ', () => {
  test('a name has at most 1024 units', async ({ bench }) => {
    const failures = await bench.evaluate(async () => {
      const { room, failure } = window.locksPage
      const request = (name: string) => failure(() => room.locks.request(name, () => 'got it'))
      return [await request('x'.repeat(1024)), await request('x'.repeat(1025)), await request('-'.repeat(1025))]
    })
    const tooLong = { name: 'LimitExceededError', code: 'limit-exceeded', limit: 'lockName', value: 1024 }
    expect(failures).toEqual([
      { resolved: 'got it' },
      expect.objectContaining(tooLong),
      expect.objectContaining(tooLong),
    ])
  })

  test('64 requests wait for a lock, the next is refused and changes nothing', async ({ bench }) => {
    const seen = await bench.evaluate(async () => {
      const { room, failure } = window.locksPage
      const holder = await room.locks.acquire('full')
      let served = 0
      const waiting = Array.from({ length: 64 }, () => room.locks.request('full', () => ++served))
      const refused = await failure(() => room.locks.request('full', () => {}))
      const { pending } = await room.locks.query()
      await holder.release()
      await Promise.all(waiting)
      return { refused, pending: pending.filter(({ name }) => name === 'full').length, served }
    })
    expect(seen).toEqual({
      refused: expect.objectContaining({ name: 'LimitExceededError', limit: 'lockQueue', value: 64 }),
      pending: 64,
      served: 64,
    })
  })

  test('256 names are in use, the next is refused', async ({ bench }) => {
    const seen = await bench.evaluate(async () => {
      const { room, failure } = window.locksPage
      const locks = await Promise.all(Array.from({ length: 256 }, (_, i) => room.locks.acquire(`name ${i}`)))
      const refused = await failure(() => room.locks.acquire('one more'))
      await locks.pop()?.release()
      const accepted = await room.locks.request('one more', () => 'got it')
      await Promise.all(locks.map((lock) => lock.release()))
      const { held } = await room.locks.query()
      return { refused, accepted, held: held.length }
    })
    expect(seen).toEqual({
      refused: expect.objectContaining({ name: 'LimitExceededError', limit: 'locks', value: 256 }),
      accepted: 'got it',
      held: 0,
    })
  })

  test('a wait ends with its time-out, and the request has left the queue', async ({ bench }) => {
    const seen = await bench.evaluate(async () => {
      const { room, failure } = window.locksPage
      const holder = await room.locks.acquire('busy')
      const late = await failure(() => room.locks.request('busy', { timeout: 20 }, () => 'got it'))
      const { pending } = await room.locks.query()
      await holder.release()
      return { late, pending: pending.length, free: await room.locks.request('busy', { timeout: 2_000 }, () => 'free') }
    })
    expect(seen).toEqual({
      late: expect.objectContaining({ name: 'LockTimeoutError', code: 'lock-timeout', retryable: true }),
      pending: 0,
      free: 'free',
    })
  })

  test('a held lock says so, its token grows, and what it was given for is shown', async ({ bench }) => {
    const seen = await bench.evaluate(async () => {
      const { room, failure } = window.locksPage
      const first = await room.locks.acquire('shown', { attributes: { who: 'Ann', since: new Date(0) } })
      const waiting = room.locks.acquire('shown', { attributes: 'Bob' })
      const { held, pending } = await room.locks.query()
      const inFuture = first.deadline > performance.now()
      const during = { state: first.state, aborted: first.signal.aborted, inFuture }
      first.assertHeld()
      await first.verify()
      await first.release()
      await first.release()
      const second = await waiting
      const after = {
        state: first.state,
        aborted: first.signal.aborted,
        verify: await failure(() => first.verify()),
        assert: await failure(() => first.assertHeld()),
      }
      await second.release()
      const [holder] = held.filter(({ name }) => name === 'shown')
      const [waiter] = pending.filter(({ name }) => name === 'shown')
      return {
        during,
        after,
        grows: second.token > first.token,
        holder: [holder?.token === first.token, holder?.clientId === room.peerId, holder?.position, holder?.attributes],
        waiter: [waiter?.token, waiter?.position, waiter?.attributes],
      }
    })
    expect(seen).toEqual({
      during: { state: 'held', aborted: false, inFuture: true },
      after: {
        state: 'released',
        aborted: false,
        verify: { name: 'InvalidStateError' },
        assert: { name: 'InvalidStateError' },
      },
      grows: true,
      holder: [true, true, undefined, { who: 'Ann', since: new Date(0) }],
      waiter: [0, 1, 'Bob'],
    })
  })

  test('a stolen lock is lost: its state, its signal, verify and assertHeld all say so', async ({ bench }) => {
    const seen = await bench.evaluate(async () => {
      const { room, failure } = window.locksPage
      const victim = await room.locks.acquire('robbed')
      const lost = new Promise<unknown>((resolve) => {
        victim.signal.addEventListener('abort', () => resolve(victim.signal.reason))
      })
      const thief = await room.locks.acquire('robbed', { steal: true, signal: new AbortController().signal })
      const { name, reason } = (await lost) as { name: string; reason: string }
      const said = {
        reason: [name, reason],
        state: victim.state,
        verify: await failure(() => victim.verify()),
        assert: await failure(() => victim.assertHeld()),
      }
      await victim.release()
      const held = thief.state
      await thief.release()
      return { said, held }
    })
    const lost = expect.objectContaining({ name: 'LockLostError', code: 'lock-lost', reason: 'stolen' })
    expect(seen).toEqual({
      said: { reason: ['LockLostError', 'stolen'], state: 'lost', verify: lost, assert: lost },
      held: 'held',
    })
  })

  test('acquire takes a signal together with ifAvailable', async ({ bench }) => {
    const seen = await bench.evaluate(async () => {
      const { room, failure } = window.locksPage
      const { signal } = new AbortController()
      const lock = await room.locks.acquire('free', { ifAvailable: true, signal })
      const second = await room.locks.acquire('free', { ifAvailable: true, signal })
      await lock?.release()
      const aborted = AbortSignal.abort('mine')
      const refused = await room.locks.acquire('free', { ifAvailable: true, signal: aborted }).catch((e: unknown) => e)
      const both = await failure(() => room.locks.acquire('free', { ifAvailable: true, steal: true }))
      return { first: lock?.state, second, refused, both }
    })
    expect(seen).toEqual({ first: 'released', second: null, refused: 'mine', both: { name: 'NotSupportedError' } })
  })

  test('release inside the callback lets the next one in, and the request still resolves with what the callback gives', async ({
    bench,
  }) => {
    const seen = await bench.evaluate(async () => {
      const { room } = window.locksPage
      return room.locks.request('early', async (lock) => {
        await lock?.release()
        const next = await room.locks.request('early', { ifAvailable: true }, (other) => other?.state)
        return { state: lock?.state, next }
      })
    })
    expect(seen).toEqual({ state: 'released', next: 'held' })
  })

  test('observe shows the present state first and then every change', async ({ bench }) => {
    const seen = await bench.evaluate(async () => {
      const { room } = window.locksPage
      const observed = room.locks.observe('watched')
      const mine: string[] = []
      const until = (wanted: string) =>
        new Promise<void>((resolve) => {
          const subscription = observed.subscribe((value) => {
            mine.push(value.mine)
            if (value.mine !== wanted) return
            subscription.dispose()
            resolve()
          })
        })
      await until('none')
      const lock = await room.locks.acquire('watched', { attributes: 'me' })
      await until('held')
      const { holder, mode, waiters, attributes } = observed.current
      await lock.release()
      await until('none')
      return { mine: [...new Set(mine)], holder: holder === room.peerId, mode, waiters, attributes }
    })
    expect(seen).toEqual({ mine: ['none', 'held'], holder: true, mode: 'exclusive', waiters: [], attributes: 'me' })
  })

  test('leaving gives back what is held and refuses what waits', async ({ bench }) => {
    const seen = await bench.evaluate(async () => {
      const { room, comity, failure } = window.locksPage
      const handle = await comity.join(room.name)
      const lock = await handle.locks.acquire('left')
      const blocked = await room.locks.acquire('left too')
      const waiting = failure(() => handle.locks.request('left too', () => {}))
      await handle.locks.query()
      await handle.leave()
      const free = await room.locks.request('left', { timeout: 2_000 }, () => 'free')
      const { pending } = await room.locks.query()
      await blocked.release()
      const after = [
        await failure(() => handle.locks.request('left', () => {})),
        await failure(() => handle.locks.acquire('left')),
        await failure(() => handle.locks.query()),
      ]
      return {
        state: lock.state,
        aborted: lock.signal.aborted,
        waiting: await waiting,
        free,
        pending,
        after,
        status: handle.status,
      }
    })
    const left = expect.objectContaining({ name: 'RoomLeftError', code: 'room-left' })
    expect(seen).toEqual({
      state: 'released',
      aborted: false,
      waiting: left,
      free: 'free',
      pending: [],
      after: [left, left, left],
      status: 'left',
    })
  })
})
