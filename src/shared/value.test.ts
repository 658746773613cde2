import { runInNewContext } from 'node:vm'
import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeValue, encodeValue, type Value, valueDepthMax } from './value.js'

const roundTrip = (value: unknown) => decodeValue(encodeValue(value))

describe('comes back as it was:', () => {
  it.each([
    ['undefined', undefined],
    ['null', null],
    ['booleans', [true, false]],
    ['numbers', [0, -0, 1, -1, 0.1, -1.5, 2 ** 53, -(2 ** 53), 2 ** 53 + 2, 2 ** 64, 1e300, 5e-324, 65_504.5, 2 ** 32]],
    ['what is no number', [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]],
    ['big integers', [0n, 1n, -1n, 255n, 256n, -256n, -257n, 2n ** 64n, -(2n ** 64n), -(2n ** 200n) - 1n]],
    ['strings', ['', 'é', '\0', '\ud800', 'a\udfff', '\ufeff', '\ufeffé'.repeat(50), '\ud83d\ude00']],
    ['dates', [new Date(0), new Date(1_700_000_000_123), new Date(-1), new Date(8.64e15), new Date(Number.NaN)]],
    ['nested lists', [[], [[]], [1, [2, [3]]]]],
    ['objects', { a: { b: {} }, 'with space': 1, '': 2, '\ud800': 3, 1: 4 }],
    [
      'maps',
      new Map<unknown, unknown>([
        ['b', 1],
        ['a', 2],
        [1, 'one'],
        [{ key: true }, new Map()],
        [Number.NaN, -0],
      ]),
    ],
    ['sets', new Set<unknown>(['b', 'a', 1, { in: 'it' }, new Set(), undefined])],
    ['an ArrayBuffer', Uint8Array.of(1, 2, 3).buffer],
    ['an empty ArrayBuffer', new ArrayBuffer(0)],
    ['typed arrays of bytes', [Uint8Array.of(1, 255), Int8Array.of(-1, 1), Uint8ClampedArray.of(255, 0)]],
    ['typed arrays of integers', [Int16Array.of(-2, 1), Uint16Array.of(65_535), Int32Array.of(-3), Uint32Array.of(7)]],
    ['typed arrays of floats', [Float32Array.of(1.5, -0, Number.NaN), Float64Array.of(0.1, Number.POSITIVE_INFINITY)]],
    ['typed arrays of big integers', [BigInt64Array.of(-1n, 2n), BigUint64Array.of(2n ** 64n - 1n)]],
    ['an empty typed array', new Float64Array()],
  ])('%s', (_what, value) => {
    const back = roundTrip(value)
    expect(back).toStrictEqual(value)
    expect(Object.prototype.toString.call(back)).toBe(Object.prototype.toString.call(value))
  })

  it('-0', () => {
    expect(Object.is(roundTrip(-0), -0)).toBe(true)
    expect(Object.is((roundTrip([0]) as number[])[0], 0)).toBe(true)
  })

  it('every JSON, and much more, with random parts', () => {
    const anything = fc.anything({
      withBigInt: true,
      withDate: true,
      withMap: true,
      withSet: true,
      withTypedArray: true,
      withSparseArray: false,
      withNullPrototype: false,
      withUnicodeString: true,
    })
    fc.assert(
      fc.property(anything, (value) => {
        const bytes = encodeValue(value)
        expect(decodeValue(bytes)).toStrictEqual(value)
        expect(encodeValue(decodeValue(bytes))).toEqual(bytes)
      }),
      { numRuns: 1_000 },
    )
  })

  it('the window of a view, not the buffer behind it', () => {
    const view = new Uint16Array(Uint16Array.of(1, 2, 3, 4).buffer, 2, 2)
    const back = roundTrip(view) as Uint16Array
    expect(back).toStrictEqual(Uint16Array.of(2, 3))
    expect(back.buffer.byteLength).toBe(4)
  })

  it('what stands at two places, as two', () => {
    const one = { n: 1 }
    const [a, b] = roundTrip([one, one]) as [object, object]
    expect([a, b]).toEqual([one, one])
    expect(a).not.toBe(b)
  })
})

it('holes and missing things become undefined; symbol keys and hidden properties are left out', () => {
  const list: unknown[] = [1]
  list[2] = 3
  expect(roundTrip(list)).toStrictEqual([1, undefined, 3])
  const object = Object.defineProperty({ [Symbol('s')]: 1, shown: undefined }, 'hidden', { value: 2 })
  expect(roundTrip(object)).toStrictEqual({ shown: undefined })
  expect(roundTrip(Object.assign(Object.create(null), { a: 1 }))).toStrictEqual({ a: 1 })
})

it('[F5] equal values give equal bytes: keys are sorted, maps and sets keep their order', () => {
  expect(encodeValue({ b: 1, a: { d: 1, c: 2 } })).toEqual(encodeValue({ a: { c: 2, d: 1 }, b: 1 }))
  expect(encodeValue({ '\ud800': 1, '\ud801': 2 })).toEqual(encodeValue({ '\ud801': 2, '\ud800': 1 }))
  expect(
    encodeValue(
      new Map([
        [1, 2],
        [3, 4],
      ]),
    ),
  ).not.toEqual(
    encodeValue(
      new Map([
        [3, 4],
        [1, 2],
      ]),
    ),
  )
})

it('`__proto__` is a key like any other', () => {
  const back = roundTrip(JSON.parse('{"__proto__": {"polluted": true}}')) as Record<string, Value>
  expect(Object.keys(back)).toEqual(['__proto__'])
  expect(Object.getPrototypeOf(back)).toBe(Object.prototype)
  expect(back['polluted']).toBeUndefined()
})

it('values of another realm are values', () => {
  const foreign = runInNewContext(
    '({ map: new Map([[1, new Set([2])]]), date: new Date(5), bytes: new Int16Array([1]), buffer: new ArrayBuffer(2), list: [{}] })',
  )
  expect(roundTrip(foreign)).toStrictEqual({
    map: new Map([[1, new Set([2])]]),
    date: new Date(5),
    bytes: Int16Array.of(1),
    buffer: new ArrayBuffer(2),
    list: [{}],
  })
})

describe('refuses', () => {
  class Point {
    x = 1
  }
  const cycle: { self?: unknown } = {}
  cycle.self = [cycle]
  const mapCycle = new Map<string, unknown>()
  mapCycle.set('me', mapCycle)
  let deep: unknown = 1
  for (let i = 0; i <= valueDepthMax; i += 1) deep = [deep]

  it.each([
    [() => 1, 'value is a function: not a value'],
    [{ a: [1, 2, 3, () => 1] }, 'value.a[3] is a function: not a value'],
    [{ 'b c': Symbol('s') }, 'value["b c"] is a symbol: not a value'],
    [[new Point()], 'value[0] is an instance of Point: not a value'],
    [Object.create({ inherited: 1 }), 'value is an instance of Object: not a value'],
    [new Error('no'), 'value is an Error: not a value'],
    [/no/, 'value is a RegExp: not a value'],
    [new WeakMap(), 'value is a WeakMap: not a value'],
    [Promise.resolve(), 'value is a Promise: not a value'],
    [new DataView(new ArrayBuffer(1)), 'value is a DataView: not a value'],
    [new SharedArrayBuffer(1), 'value is a SharedArrayBuffer: not a value'],
    [Object(1), 'value is a Number: not a value'],
    [cycle, 'value.self[0] is a cycle: not a value'],
    [mapCycle, 'value[map value 0] is a cycle: not a value'],
    [new Map([[() => 1, 1]]), 'value[map key 0] is a function: not a value'],
    [{ s: new Set([1, Symbol('s')]) }, 'value.s[set item 1] is a symbol: not a value'],
    [new Array(2 ** 32 - 1), 'value is an array of 4294967295 items: not a value'],
    [deep, `nested deeper than ${valueDepthMax}: not a value`],
  ])('%#: %2$s', (value, message) => {
    expect(() => encodeValue(value)).toThrow(TypeError)
    expect(() => encodeValue(value)).toThrow(message)
  })

  it('an object that only calls itself a Map, a Set, a Date or an ArrayBuffer', () => {
    for (const name of ['Map', 'Set', 'Date', 'ArrayBuffer']) {
      expect(() => encodeValue({ [Symbol.toStringTag]: name })).toThrow(TypeError)
    }
  })

  it('bytes that are not the encoding of one value', () => {
    const bad = [
      [],
      [1, 1],
      [0x9f, 0xff],
      [0xd9, 0x01, 0x02, 0x82, 1, 1], // a set with an item twice
      [0xd9, 0x01, 0x03, 0x81, 1], // a map with half an entry
      [0xd9, 0xa0, 0x2a, 0x61, 97], // a date of text
      [0xd8, 0x45, 0x41, 1], // half a Uint16
      [0xc2, 0x61, 97], // a big integer of text
      [0x1b, 0, 0x20, 0, 0, 0, 0, 0, 0], // an integer that is not safe
      [0x18, 1], // not the shortest
      [0xc6, 1], // an unknown tag
    ]
    for (const bytes of bad) expect(() => decodeValue(Uint8Array.from(bytes))).toThrow()
  })

  it('random bytes with an error, never with damage', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
        try {
          decodeValue(bytes)
        } catch (error) {
          expect(error).toBeInstanceOf(Error)
        }
      }),
      { numRuns: 3_000 },
    )
  })
})
