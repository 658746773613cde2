import { describe, expect, it } from 'vitest'
import { RoomConnection } from './connection.js'
import type { LockLossReason } from './errors.js'
import { HistogramBuilder } from './histogram.js'
import { LockMeter, type LockTimeline } from './lock-metrics.js'
import { lockTimeline, permitTimeline, type UserTiming } from './lock-timeline.js'
import { RoomLocks } from './locks.js'
import { quiet, TestClock, TestPort } from './test-port.js'

describe('a histogram', () => {
  it('of nothing is zero', () => {
    const zero = { count: 0, sum: 0, min: 0, max: 0, p50: 0, p90: 0, p99: 0, buckets: [] }
    expect(new HistogramBuilder().snapshot()).toEqual(zero)
  })

  it('counts every time once, in a bucket that holds it', () => {
    const times = [0, 0.1, 0.125, 1, 3, 3.1, 40, 500, 6_000, 70_000, 800_000, 1e7, 1e9, 1e12]
    const histogram = new HistogramBuilder()
    for (const time of times) histogram.add(time)
    const { count, sum, min, max, buckets } = histogram.snapshot()
    const total = times.reduce((a, b) => a + b, 0)
    expect([count, sum, min, max]).toEqual([times.length, total, 0, 1e12])
    let before = Number.NEGATIVE_INFINITY
    for (const { le, count } of buckets) {
      expect(times.filter((time) => time > before && time <= le)).toHaveLength(count)
      before = le
    }
    expect(buckets.reduce((sum, { count }) => sum + count, 0)).toBe(times.length)
  })

  it.each([
    ['uniform', (i: number) => i],
    ['skewed', (i: number) => 1.01 ** i],
    ['constant', () => 42],
  ])('has quantiles within a fifth above the true ones: %s', (_title, time) => {
    const times = Array.from({ length: 1_000 }, (_, i) => time(i + 1))
    const histogram = new HistogramBuilder()
    for (const one of [...times].reverse()) histogram.add(one)
    const { p50, p90, p99 } = histogram.snapshot()
    const exact = [0.5, 0.9, 0.99].map((share) => times[Math.ceil(share * 1_000) - 1] ?? 0)
    ;[p50, p90, p99].forEach((quantile, i) => {
      expect(quantile).toBeGreaterThanOrEqual((exact[i] ?? 0) * 0.9999)
      expect(quantile).toBeLessThanOrEqual((exact[i] ?? 0) * 1.2)
    })
  })

  it('has a bounded number of buckets, and no time below zero', () => {
    const histogram = new HistogramBuilder()
    for (let i = -1_000; i < 100_000; i += 1) histogram.add(1.001 ** i - 1)
    const { buckets, min } = histogram.snapshot()
    expect([buckets.length <= 121, min]).toEqual([true, 0])
  })
})

const lock = (name: string) => ({ name, mode: 'exclusive', token: 7 }) as const

describe('a meter', () => {
  it('keeps names apart, and adds them up', () => {
    let now = 100
    const meter = new LockMeter(() => now, null)
    meter.granted(lock('a'), 60)
    meter.granted(lock('b'), 90)
    now = 400
    meter.ended(lock('a'), 100, null)
    meter.count('a', 'contentions')
    const { total, names } = meter.snapshot()
    expect(total).toMatchObject({ wait: { count: 2, sum: 50 }, hold: { count: 1, sum: 300 }, contentions: 1 })
    expect(names['a']).toMatchObject({ wait: { count: 1, sum: 40 }, hold: { count: 1, sum: 300 }, contentions: 1 })
    expect(names['b']).toMatchObject({ wait: { count: 1, sum: 10 }, hold: { count: 0 }, contentions: 0 })
  })

  it.each<[LockLossReason | null, number, number]>([
    [null, 0, 0],
    ['expired', 1, 0],
    ['frozen', 1, 0],
    ['stolen', 0, 1],
    ['left', 0, 0],
    ['reset', 0, 0],
    ['revoked', 0, 0],
  ])('an end by %s: %d expiries, %d steals', (loss, expiries, steals) => {
    const meter = new LockMeter(() => 0, null)
    meter.ended(lock('a'), 0, loss)
    expect(meter.snapshot().total).toMatchObject({ expiries, steals })
  })

  it('keeps the names used last, and the sum of all', () => {
    const meter = new LockMeter(() => 0, null)
    for (let i = 0; i < 256; i += 1) meter.granted(lock(`name ${i}`), 0)
    meter.granted(lock('name 0'), 0)
    meter.granted(lock('one more'), 0)
    const { total, names } = meter.snapshot()
    const kept = Object.keys(names)
    expect([kept.length, total.wait.count]).toEqual([256, 258])
    expect([names['name 0']?.wait.count, 'name 1' in names, 'one more' in names]).toEqual([2, false, true])
  })

  it('takes any name', () => {
    const meter = new LockMeter(() => 0, null)
    for (const name of ['__proto__', 'constructor', '']) meter.granted(lock(name), 0)
    const { names } = meter.snapshot()
    expect(Object.entries(names).map(([name, { wait }]) => [name, wait.count])).toEqual([
      ['__proto__', 1],
      ['constructor', 1],
      ['', 1],
    ])
  })
})

describe('what a page meets with', () => {
  const told: unknown[] = []
  const timeline: LockTimeline = {
    waited: ({ name, mode, token }, from, to) => told.push(['wait', name, mode, token, to - from]),
    held: ({ name, mode, token }, from, to) => told.push(['hold', name, mode, token, to - from]),
  }

  async function bench() {
    told.length = 0
    const clock = new TestClock()
    const port = new TestPort()
    const connection = new RoomConnection(clock, { locks: timeline, permits: null })
    connection.attach(port)
    const locks = new RoomLocks(connection, { whenNoQuorum: 'wait', timing: () => ({ heartbeat: 50, lease: 10_000 }) })
    const numbers = () => connection.meter.snapshot().names['a']
    const ask = async (options = {}) => {
      const acquiring = locks.acquire('a', options)
      acquiring.catch(() => {})
      await quiet()
      return { acquiring, handle: port.calls('lock.request').at(-1)?.handle ?? 0 }
    }
    return { clock, port, connection, numbers, ask }
  }
  const granted = { state: 'granted', token: 7, since: 1, endsAt: null } as const

  it('waits, holds, contention', async () => {
    const { clock, port, numbers, ask } = await bench()
    const { acquiring, handle } = await ask({ mode: 'shared' })
    await port.answer('lock.request', { state: 'queued' })
    clock.pass(300)
    port.hear(clock.now())
    port.tell({ type: 'lock.granted', handle, token: 7, since: 1, endsAt: null })
    const lock = await acquiring
    clock.pass(2_000)
    const upgrading = lock.upgrade()
    await quiet()
    clock.pass(100)
    await port.answer('lock.upgrade', { token: 9, since: 1 })
    await upgrading
    void lock.release()
    expect(numbers()).toMatchObject({
      wait: { count: 2, min: 100, max: 300 },
      hold: { count: 1, sum: 2_100 },
      contentions: 1,
      expiries: 0,
    })
    expect(told).toEqual([
      ['wait', 'a', 'shared', 7, 300],
      ['wait', 'a', 'exclusive', 9, 100],
      ['hold', 'a', 'exclusive', 9, 2_100],
    ])
  })

  it('time-outs and deadlocks, which are no waits', async () => {
    const { clock, port, numbers, ask } = await bench()
    await ask({ timeout: 50 })
    await port.answer('lock.request', { state: 'queued' })
    clock.pass(50)
    await ask({ owner: 'me' })
    await port.refuse('lock.request', { code: 'deadlock', message: 'a circle' })
    await ask({ ifAvailable: true })
    await port.answer('lock.request', { state: 'unavailable' })
    expect(numbers()).toMatchObject({ timeouts: 1, deadlocks: 1, contentions: 2, wait: { count: 0 } })
  })

  it('expiries, steals, revocations', async () => {
    const { clock, port, numbers, ask } = await bench()
    port.hear(clock.now())
    for (const reason of ['expired', 'stolen', 'revoked'] as const) {
      const { handle } = await ask()
      await port.answer('lock.request', granted)
      if (reason === 'revoked') {
        port.tell({ type: 'lock.revoked', handle, name: 'a', endsAt: null })
        port.tell({ type: 'lock.revoked', handle, name: 'a', endsAt: 100 })
      }
      port.tell({ type: 'lock.lost', handle, name: 'a', reason })
      port.tell({ type: 'lock.lost', handle, name: 'a', reason })
    }
    expect(numbers()).toMatchObject({ expiries: 1, steals: 1, revocations: 1, hold: { count: 3 } })
  })

  it('an upgrade that is refused or late', async () => {
    const { clock, port, numbers, ask } = await bench()
    port.hear(clock.now())
    const { acquiring } = await ask({ mode: 'shared' })
    await port.answer('lock.request', granted)
    const lock = await acquiring
    const refused = lock.upgrade().catch(() => {})
    await quiet()
    await port.refuse('lock.upgrade', { code: 'deadlock', message: 'a second upgrade' })
    await refused
    const late = lock.upgrade({ timeout: 50 }).catch(() => {})
    await quiet()
    clock.pass(50)
    await late
    expect(numbers()).toMatchObject({ deadlocks: 1, timeouts: 1, wait: { count: 1 } })
  })
})

describe('the timeline', () => {
  it('shows each wait and each hold, with what it was for', () => {
    performance.clearMeasures()
    const timeline = lockTimeline(performance as UserTiming)
    timeline.waited(lock('a'), 10, 30)
    timeline.held({ name: 'b', mode: 'shared', token: 9 }, 30, 70)
    const entries = performance.getEntriesByType('measure') as PerformanceMeasure[]
    expect(entries.map(({ name, startTime, duration, detail }) => [name, startTime, duration, detail])).toEqual([
      ['comity:lock-wait', 10, 20, { name: 'a', mode: 'exclusive', token: 7 }],
      ['comity:lock-hold', 30, 40, { name: 'b', mode: 'shared', token: 9 }],
    ])
    performance.clearMeasures()
  })

  it('shows those of permits by themselves, with how many they were', () => {
    performance.clearMeasures()
    const timeline = permitTimeline(performance as UserTiming)
    timeline.waited({ name: 'a', count: 2, id: 7 }, 10, 30)
    timeline.held({ name: 'b', count: 1, id: 9 }, 30, 70)
    const entries = performance.getEntriesByType('measure') as PerformanceMeasure[]
    expect(entries.map(({ name, startTime, duration, detail }) => [name, startTime, duration, detail])).toEqual([
      ['comity:semaphore-wait', 10, 20, { name: 'a', count: 2, id: 7 }],
      ['comity:semaphore-hold', 30, 40, { name: 'b', count: 1, id: 9 }],
    ])
    performance.clearMeasures()
  })

  it('does not grow for ever, and clears nothing that is not its own', () => {
    performance.clearMeasures()
    performance.measure('mine', { start: 1, end: 2 })
    const timeline = lockTimeline(performance as UserTiming)
    timeline.held(lock('a'), 1, 2)
    permitTimeline(performance as UserTiming).waited({ name: 'a', count: 1, id: 1 }, 1, 2)
    const sizes = Array.from({ length: 2_500 }, () => {
      timeline.waited(lock('a'), 1, 2)
      return performance.getEntriesByName('comity:lock-wait').length
    })
    expect([Math.max(...sizes), sizes.at(-1)]).toEqual([1_000, 500])
    expect(performance.getEntriesByName('mine')).toHaveLength(1)
    expect(performance.getEntriesByName('comity:lock-hold')).toHaveLength(1)
    expect(performance.getEntriesByName('comity:semaphore-wait')).toHaveLength(1)
    performance.clearMeasures()
  })

  it.each<[string, UserTiming | undefined]>([
    ['no performance', undefined],
    ['no measures', {}],
    ['measures that cannot be cleared', { measure: () => expect.unreachable() }],
  ])('is silent where there is %s', (_title, timing) => {
    expect(() => lockTimeline(timing).waited(lock('a'), 1, 2)).not.toThrow()
  })

  it('gives up where options are not understood, and never throws', () => {
    let calls = 0
    const timeline = lockTimeline({
      measure: () => {
        calls += 1
        throw new SyntaxError("The mark '[object Object]' does not exist.")
      },
      clearMeasures: () => {},
    })
    timeline.waited(lock('a'), 1, 2)
    timeline.held(lock('a'), 1, 2)
    expect(calls).toBe(1)
  })
})
