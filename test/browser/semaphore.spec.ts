import type { Permit } from '../../src/index.js'
import { expect, meetings, type Tab, test, until } from './kit.js'

declare global {
  interface Window {
    permits: Permit[]
  }
}

/** Takes so many of three, and keeps them. */
function acquire(tab: Tab, count: number): Promise<{ id: number; state: string }> {
  return tab.page.evaluate(async (count) => {
    const permit = await window.kit.room.semaphore('seats', { permits: 3 }).acquire(count)
    window.permits = [...(window.permits ?? []), permit]
    return { id: permit.id, state: permit.state }
  }, count)
}

function available(tab: Tab): Promise<number> {
  return tab.page.evaluate(() => window.kit.room.semaphore('seats', { permits: 3 }).available())
}

for (const meeting of meetings.slice(0, 2)) {
  test(`${meeting}: two tabs share permits, and one that closes gives its own back`, async ({ meet }) => {
    const meadow = await meet(meeting)
    const [a, b] = await meadow.openAll(2)
    if (!a || !b) throw new Error('two tabs')
    const mine = await acquire(a, 2)
    expect(mine.state).toBe('held')
    expect(await available(b)).toBe(1)
    const refused = await b.page.evaluate(() =>
      window.kit.room.semaphore('seats', { permits: 3 }).acquire(2, { ifAvailable: true }),
    )
    expect(refused).toBeNull()
    const next = acquire(b, 3)
    await a.close()
    expect((await next).id).toBeGreaterThan(mine.id)
    await b.page.evaluate(async () => {
      for (const permit of window.permits) await permit.release()
    })
    await until('all are back', async () => (await available(b)) === 3)
  })

  test(`${meeting}: tabs that count at the same time lose nothing`, async ({ meet }) => {
    const meadow = await meet(meeting)
    const tabs = await meadow.openAll(3)
    const sums = await Promise.all(
      tabs.map(({ page }) =>
        page.evaluate(async () => {
          const counter = window.kit.room.counter('visits')
          return Promise.all(Array.from({ length: 50 }, () => counter.add()))
        }),
      ),
    )
    expect(new Set(sums.flat()).size).toBe(150)
    for (const { page } of tabs) expect(await page.evaluate(() => window.kit.room.counter('visits').get())).toBe(150)
  })
}

test('errors in a tab: what the platform throws, and the limits of the room', async ({ meet }) => {
  const meadow = await meet('one browser')
  const tab = await meadow.open()
  const names = await tab.page.evaluate(async () => {
    const { room } = window.kit
    const semaphore = room.semaphore('seats', { permits: 3 })
    const counter = room.counter('visits')
    await counter.add(Number.MAX_SAFE_INTEGER)
    const held = await semaphore.acquire(3)
    const outcomes = [
      () => room.semaphore('seats', { permits: 0 }),
      () => room.counter(12 as unknown as string),
      () => semaphore.acquire(4),
      () => semaphore.acquire(1, { timeout: 50 }),
      () => semaphore.acquire(1, { signal: AbortSignal.timeout(50) }),
      () => counter.add(1),
      () => counter.compareAndSet(0.5, 1),
    ].map(async (run) => {
      const outcome = await window.kit.outcome(run)
      return outcome.ok ? 'done' : outcome.name
    })
    const names = await Promise.all(outcomes)
    await held.release()
    return [...names, held.state, await counter.get()]
  })
  expect(names).toEqual([
    'RangeError',
    'TypeError',
    'LimitExceededError',
    'PermitTimeoutError',
    'TimeoutError',
    'RangeError',
    'RangeError',
    'released',
    Number.MAX_SAFE_INTEGER,
  ])
})

test('waiting for permits and holding them show in the performance timeline', async ({ meet }) => {
  const meadow = await meet('one browser')
  const [a, b] = await meadow.openAll(2)
  if (!a || !b) throw new Error('two tabs')
  const { id } = await acquire(a, 2)
  const seen = b.page.evaluate(async () => {
    const permit = await window.kit.room.semaphore('seats', { permits: 3 }).acquire(2)
    await permit.release()
    const entries = (kind: string) =>
      performance.getEntriesByName(kind).map((entry) => {
        const { duration, detail } = entry as PerformanceMeasure
        return { isTime: duration >= 0, detail }
      })
    return { id: permit.id, waits: entries('comity:semaphore-wait'), holds: entries('comity:semaphore-hold') }
  })
  await until('the second waits', () =>
    a.page.evaluate(async () => (await window.kit.room.locks.waitGraph()).waits.length === 1),
  )
  await a.page.evaluate(async () => {
    for (const permit of window.permits) await permit.release()
  })
  const { id: later, waits, holds } = await seen
  expect(later).toBeGreaterThan(id)
  const entry = { isTime: true, detail: { name: 'seats', count: 2, id: later } }
  expect([waits, holds]).toEqual([[entry], [entry]])
})
