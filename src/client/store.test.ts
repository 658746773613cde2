import { beforeEach, describe, expect, it } from 'vitest'
import { decodeValue, encodeValue, type Value } from '../shared/value.js'
import { RoomConnection } from './connection.js'
import { OutcomeUnknownError, RoomLeftError } from './errors.js'
import { RoomStore } from './store.js'
import { quiet, TestClock, TestPort } from './test-port.js'

let port: TestPort
let connection: RoomConnection
let store: RoomStore

beforeEach(() => {
  port = new TestPort()
  connection = new RoomConnection(new TestClock())
  connection.attach(port)
  store = new RoomStore(connection)
})

describe('compareAndSet', () => {
  it.each([true, false])(
    'sends what is expected and what is next, and resolves with whether it was set: %s',
    async (swapped) => {
      const answer = store.compareAndSet('k', { revision: 7 }, { a: 1 })
      await quiet()
      expect(port.calls('store.compareAndSet')).toEqual([
        { type: 'store.compareAndSet', key: 'k', expected: { revision: 7 }, next: encodeValue({ a: 1 }) },
      ])
      await port.answer('store.compareAndSet', { revision: 9, swapped })
      expect(await answer).toBe(swapped)
    },
  )

  it.each<[string, Value, Value]>([
    ['objects by what is in them', { a: 1, b: [2n] }, { b: [2n], a: 1 }],
    ['what was not a number', Number.NaN, 0 / 0],
    ['dates by their time', new Date(5), new Date(5)],
    ['bytes', Uint8Array.of(1, 2), new Uint8Array([0, 1, 2]).subarray(1)],
    ['undefined, which can be stored', undefined, undefined],
  ])('an expected value is sent as it would be stored: %s', async (_what, stored, expected) => {
    void store.set('k', stored)
    void store.compareAndSet('k', { value: expected }, 1)
    await quiet()
    const [set] = port.calls('store.set')
    expect(port.calls('store.compareAndSet')).toMatchObject([{ expected: { value: set?.value } }])
    expect(set && decodeValue(set.value)).toEqual(expected)
  })

  it('an expectation is read once', async () => {
    let reads = 0
    const expected = {
      get revision() {
        reads += 1
        return reads
      },
    }
    void store.compareAndSet('k', expected, 1)
    await quiet()
    expect(port.calls('store.compareAndSet')).toMatchObject([{ expected: { revision: 1 } }])
  })

  it('rejects as `set` does where nobody knows what has happened', async () => {
    const isUnknown = () =>
      expect(store.compareAndSet('k', { revision: 0 }, 1)).rejects.toBeInstanceOf(OutcomeUnknownError)
    const ended = isUnknown()
    await quiet()
    await port.refuse('store.compareAndSet', { code: 'outcome-unknown', message: 'session 3 ended' })
    await ended
    const aside = isUnknown()
    await quiet()
    connection.detach()
    await aside
  })

  it('rejects when the handle is left, and asks nothing', async () => {
    store.leave()
    await expect(store.compareAndSet('k', { revision: 0 }, 1)).rejects.toBeInstanceOf(RoomLeftError)
    expect(port.asked).toEqual([])
  })
})
