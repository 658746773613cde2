import { afterEach, describe, expect, it, vi } from 'vitest'
import { ObservableValue } from './observable.js'
import { quiet } from './test-port.js'

afterEach(() => vi.unstubAllGlobals())

describe('subscribe', () => {
  it('tells the present value in a microtask, then each new one', async () => {
    const value = new ObservableValue(1)
    const seen: number[] = []
    value.subscribe((one) => seen.push(one))
    expect(seen).toEqual([])
    await quiet()
    value.set(2)
    value.set(3)
    expect([seen, value.current]).toEqual([[1, 2, 3], 3])
  })

  it('a value that is set before the first word comes once more with it', async () => {
    const value = new ObservableValue(1)
    const seen: number[] = []
    value.subscribe((one) => seen.push(one))
    value.set(2)
    await quiet()
    expect(seen.at(-1)).toBe(2)
    expect(seen).not.toContain(1)
  })

  it('is silent from its disposal on, also in the microtask before the first word', async () => {
    const value = new ObservableValue(1)
    const seen: number[] = []
    const listener = (one: number) => seen.push(one)
    value.subscribe(listener).dispose()
    await quiet()
    expect(seen).toEqual([])
    const subscription = value.subscribe(listener)
    await quiet()
    subscription.dispose()
    subscription.dispose()
    value.set(2)
    expect(seen).toEqual([1])
  })

  it('ends with its signal; not at all with one that is aborted already', async () => {
    const value = new ObservableValue(1)
    const seen: number[] = []
    const controller = new AbortController()
    value.subscribe((one) => seen.push(one), { signal: controller.signal })
    await quiet()
    controller.abort()
    value.set(2)
    value.subscribe((one) => seen.push(one), { signal: controller.signal })
    await quiet()
    expect(seen).toEqual([1])
  })

  it('one function may subscribe twice, and each ends alone', async () => {
    const value = new ObservableValue(1)
    let calls = 0
    const listener = () => {
      calls += 1
    }
    const first = value.subscribe(listener)
    value.subscribe(listener)
    await quiet()
    first.dispose()
    value.set(2)
    expect(calls).toBe(3)
  })

  it('disposes with `using` where the platform has it', async () => {
    const value = new ObservableValue(1)
    const seen: number[] = []
    const subscription = value.subscribe((one) => seen.push(one))
    if (typeof Symbol.dispose === 'symbol') subscription[Symbol.dispose]()
    else subscription.dispose()
    await quiet()
    expect(seen).toEqual([])
  })

  it('an error in a listener is reported, and the others hear all the same', async () => {
    const reported: unknown[] = []
    vi.stubGlobal('reportError', (error: unknown) => reported.push(error))
    const value = new ObservableValue(1)
    const seen: number[] = []
    value.subscribe(() => {
      throw new RangeError('mine')
    })
    value.subscribe((one) => seen.push(one))
    await quiet()
    value.set(2)
    expect(seen).toEqual([1, 2])
    expect(reported).toHaveLength(2)
    expect(reported[0]).toBeInstanceOf(RangeError)
  })

  it('a listener that subscribes, disposes or sets inside is no harm', async () => {
    const value = new ObservableValue(1)
    const seen: string[] = []
    const second = value.subscribe((one) => seen.push(`second ${one}`))
    value.subscribe((one) => {
      seen.push(`first ${one}`)
      second.dispose()
      if (one < 3) value.set(one + 1)
    })
    await quiet()
    expect(seen.filter((line) => line.startsWith('first'))).toEqual(['first 1', 'first 2', 'first 3'])
    value.set(9)
    expect(seen.at(-1)).toBe('first 9')
  })

  it.each([undefined, null, 'text', {}])('a listener that is none (%s) is a TypeError', (listener) => {
    expect(() => new ObservableValue(1).subscribe(listener as never)).toThrow(/^listener: expected a function/)
  })
})

describe('iteration', () => {
  it('begins with the present value, and skips all but the last of a burst', async () => {
    const value = new ObservableValue(1)
    const iterator = value[Symbol.asyncIterator]()
    expect(await iterator.next()).toEqual({ done: false, value: 1 })
    for (const one of [2, 3, 4]) value.set(one)
    expect(await iterator.next()).toEqual({ done: false, value: 4 })
    const next = iterator.next()
    value.set(5)
    expect(await next).toEqual({ done: false, value: 5 })
    expect(await iterator.return()).toEqual({ done: true, value: undefined })
    expect(await iterator.next()).toEqual({ done: true, value: undefined })
  })

  it('each goes at its own pace', async () => {
    const value = new ObservableValue(1)
    const [fast, slow] = [value[Symbol.asyncIterator](), value[Symbol.asyncIterator]()]
    await fast.next()
    await slow.next()
    value.set(2)
    await fast.next()
    value.set(3)
    expect([(await fast.next()).value, (await slow.next()).value]).toEqual([3, 3])
  })

  it('ends when there will be no more, after the last value', async () => {
    const value = new ObservableValue(1)
    const seen: number[] = []
    const all = (async () => {
      for await (const one of value) seen.push(one)
    })()
    await quiet()
    value.set(2)
    value.end()
    await all
    value.set(3)
    expect([seen, value.current]).toEqual([[1, 2], 2])
  })

  it('one that begins after the end gives the last value', async () => {
    const value = new ObservableValue(1)
    value.end()
    const seen: number[] = []
    for await (const one of value) seen.push(one)
    expect(seen).toEqual([1])
  })

  it('one that waits can be ended by its reader', async () => {
    const value = new ObservableValue(1)
    const iterator = value[Symbol.asyncIterator]()
    await iterator.next()
    const waiting = iterator.next()
    const returned = iterator.return()
    value.set(2)
    expect([await waiting, await returned]).toEqual([
      { done: false, value: 2 },
      { done: true, value: undefined },
    ])
  })
})
