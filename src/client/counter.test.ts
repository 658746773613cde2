import { beforeEach, describe, expect, it } from 'vitest'
import { RoomConnection } from './connection.js'
import { type Counter, RoomCounters } from './counter.js'
import { OutcomeUnknownError, RoomLeftError } from './errors.js'
import { quiet, TestClock, TestPort } from './test-port.js'

let port: TestPort
let counters: RoomCounters
let counter: Counter

beforeEach(() => {
  port = new TestPort()
  const connection = new RoomConnection(new TestClock())
  connection.attach(port)
  counters = new RoomCounters(connection)
  counter = counters.get('a')
})

describe('a counter', () => {
  it('adds one, or what it is told', async () => {
    const sums = [counter.add(), counter.add(-5)]
    await quiet()
    expect(port.calls('counter.add').map(({ name, by }) => [name, by])).toEqual([
      ['a', 1],
      ['a', -5],
    ])
    await port.answer('counter.add', { value: 1, overflowed: false })
    await port.answer('counter.add', { value: -4, overflowed: false })
    expect(await Promise.all(sums)).toEqual([1, -4])
  })

  it('rejects with a RangeError when the sum is no safe integer', async () => {
    const sum = expect(counter.add(1)).rejects.toThrow(RangeError)
    await quiet()
    await port.answer('counter.add', { value: Number.MAX_SAFE_INTEGER, overflowed: true })
    await sum
  })

  it('is read, and compared', async () => {
    const [value, swapped] = [counter.get(), counter.compareAndSet(-0, 7)]
    await quiet()
    expect(port.calls('counter.compareAndSet')).toEqual([
      { type: 'counter.compareAndSet', name: 'a', expected: 0, next: 7 },
    ])
    await port.answer('counter.get', 3)
    await port.answer('counter.compareAndSet', { swapped: false })
    expect([await value, await swapped]).toEqual([3, false])
  })

  it('rejects where nobody knows whether it was added, and when the handle is left', async () => {
    const sum = expect(counter.add()).rejects.toBeInstanceOf(OutcomeUnknownError)
    await quiet()
    await port.refuse('counter.add', { code: 'outcome-unknown', message: 'session 3 ended' })
    await sum
    counters.leave()
    for (const call of [() => counter.add(), () => counter.get(), () => counter.compareAndSet(0, 1)])
      await expect(call()).rejects.toBeInstanceOf(RoomLeftError)
    expect(port.asked).toEqual([])
  })
})

describe('bad arguments', () => {
  const numbers: readonly unknown[] = ['1', null, 1n, {}, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]

  it.each(numbers)('%s is no whole number', async (n) => {
    const kind = typeof n === 'number' ? RangeError : TypeError
    const calls: [string, Promise<unknown>][] = [
      ['n', counter.add(n as number)],
      ['expected', counter.compareAndSet(n as number, 0)],
      ['next', counter.compareAndSet(0, n as number)],
    ]
    for (const [argument, call] of calls) {
      const error = await call.catch((error: unknown) => error)
      expect(error).toBeInstanceOf(kind)
      expect(error).toMatchObject({ message: expect.stringMatching(new RegExp(`^${argument}: `)) })
    }
    expect(port.asked).toEqual([])
  })

  it.each([undefined, null, 12, {}])('%s is no name', (name) => {
    expect(() => counters.get(name)).toThrow(TypeError)
  })

  it('a name that is too long is refused by its limit', () => {
    expect(() => counters.get('x'.repeat(10_000))).toThrow(
      expect.objectContaining({ code: 'limit-exceeded', limit: 'counterName', value: 1024 }),
    )
  })
})
