import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compareStrings, decode, encode } from './codec.js'

const anyText = fc.string({
  unit: fc.oneof(
    fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)),
    fc.constantFrom('\ufeff', '\ud800', '\udc00', '\0', 'a', 'é'),
  ),
})

describe('encode and decode', () => {
  it.each([
    '',
    '\0',
    'a\0b',
    '\ud800',
    'a\udfffb',
    '\udc00\ud800',
    '\ud83d\ude00',
    '\ufeff',
    '\ufeffabc',
    'a\ufeff',
    `\ufeff${'x'.repeat(100)}`,
    'é'.repeat(300),
  ])('the string %j comes back', (text) => {
    expect(decode(encode(text))).toBe(text)
    expect(decode(encode({ deep: [text] }))).toEqual({ deep: [text] })
  })

  it('every string comes back, as a value and as a key', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(anyText, anyText)), (pairs) => {
        const object = Object.fromEntries(pairs)
        const back = decode(encode(object)) as object
        expect(Object.entries(back).sort()).toEqual(Object.entries(object).sort())
      }),
    )
  })

  it('[F5] the order of keys does not show, not even of odd ones', () => {
    fc.assert(
      fc.property(fc.uniqueArray(anyText), (keys) => {
        const forth = Object.fromEntries(keys.map((key) => [key, key.length]))
        const back = Object.fromEntries([...keys].reverse().map((key) => [key, key.length]))
        expect(encode(forth)).toEqual(encode(back))
      }),
    )
  })

  it('`__proto__` is a key like any other', () => {
    const back = decode(encode(JSON.parse('{"__proto__": {"polluted": true}}'))) as Record<string, unknown>
    expect(Object.keys(back)).toEqual(['__proto__'])
    expect(Object.getPrototypeOf(back)).toBe(Object.prototype)
    expect(back['polluted']).toBeUndefined()
  })

  it('refuses trailing bytes, repeated keys, unknown tags and items of no stated length', () => {
    for (const bytes of [
      [1, 1],
      [0xa2, 0x61, 97, 1, 0x61, 97, 2],
      [0xc1, 1],
      [0x9f, 0xff],
      [0xd9, 0xa0, 0x28, 0x41, 0],
    ]) {
      expect(() => decode(Uint8Array.from(bytes))).toThrow()
    }
  })
})

it('[F5] strings are compared by code units, never by locale', () => {
  expect(['ä', 'b', 'a', 'B', '\ud800', '\uffff', ''].sort(compareStrings)).toEqual([
    '',
    'B',
    'a',
    'b',
    'ä',
    '\ud800',
    '\uffff',
  ])
})
