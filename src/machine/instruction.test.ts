import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encode } from '../shared/codec.js'
import type { Instruction } from './command.js'
import { decodeInstruction, encodeInstruction } from './instruction.js'
import { defaultLimits, defaultSettings, defaultTiming } from './settings.js'
import { lock, put, release, swap } from './test-script.js'
import { tokenBaseMax } from './token-base.js'

const incarnation = { counter: 1, nonce: 'n' }
const found: Instruction = { type: 'found', roomId: 'r', tokenBase: 0, settings: defaultSettings }
const opened: Instruction = {
  type: 'open',
  peerId: 'p',
  incarnation,
  attempt: 1,
  browserId: '',
  state: null,
  tokenFloor: 0,
}
const numbered = { type: 'numbered', session: 1, number: 2, answered: 1 } as const

const good: Instruction[] = [
  found,
  opened,
  { ...opened, state: Uint8Array.of(1, 2) },
  { ...numbered, command: lock('\ud800\0', { attributes: Uint8Array.of(1) }) },
  { ...numbered, command: release(1) },
  { ...numbered, command: put('\ufeff', { fence: { name: '\udfff', token: 3 } }) },
  { ...numbered, command: { type: 'store.delete', key: '__proto__', fence: null } },
  { ...numbered, command: swap('\ufeff', { revision: 0 }) },
  { ...numbered, command: swap('k', { value: new Uint8Array() }, Uint8Array.of(1)) },
  { type: 'close', peerId: 'p', incarnation },
  { type: 'expire', session: 1, silence: 0, term: 0 },
  { type: 'tick', term: 3 },
]

it.each(good)('brings back $type', (instruction) => {
  expect(decodeInstruction(encodeInstruction(instruction))).toEqual(instruction)
})

it('[F5] the order in which an instruction was put together does not show', () => {
  for (const instruction of good) {
    const turned = Object.fromEntries(Object.entries(instruction).reverse()) as unknown as Instruction
    expect(encodeInstruction(turned)).toEqual(encodeInstruction(instruction))
  }
})

it('any name, key and bytes come back exactly', () => {
  const text = fc.string({ unit: fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)) })
  fc.assert(
    fc.property(text, fc.uint8Array(), (text, bytes) => {
      for (const command of [lock(text, { attributes: bytes }), put(text, { value: bytes })]) {
        expect(decodeInstruction(encodeInstruction({ ...numbered, command }))).toEqual({ ...numbered, command })
      }
    }),
  )
})

describe('refuses', () => {
  const settings = (part: object) => ({ ...found, settings: { ...defaultSettings, ...part } })
  const limits = (part: object) => settings({ limits: { ...defaultLimits, ...part } })
  const timing = (part: object) => settings({ timing: { ...defaultTiming, ...part } })
  it.each([
    ['nothing', undefined],
    ['null', null],
    ['a list', []],
    ['an unknown type', { type: 'surprise' }],
    ['a type of its own prototype', { type: 'constructor' }],
    ['a missing field', { type: 'tick' }],
    ['a field too many', { type: 'tick', term: 1, more: 1 }],
    ['a fraction', { type: 'tick', term: 1.5 }],
    ['a negative term', { type: 'tick', term: -1 }],
    ['an unsafe integer', { type: 'tick', term: 2 ** 53 }],
    ['a big integer', { type: 'tick', term: 2n ** 60n }],
    ['not a number', { type: 'tick', term: Number.NaN }],
    ['a number of 0', { ...numbered, number: 0, answered: 0, command: release(1) }],
    ['answered ahead of itself', { ...numbered, answered: 2, command: release(1) }],
    ['an unknown command', { ...numbered, command: { type: 'lock.surprise' } }],
    ['a command of another primitive’s shape', { ...numbered, command: { ...put('k'), type: 'lock.request' } }],
    ['a fractional lease', { ...numbered, command: lock('a', { lease: 0.5 }) }],
    ['a mode that is none', { ...numbered, command: { ...lock('a'), mode: 'both' } }],
    ['a text for bytes', { ...numbered, command: { ...put('k'), value: 'text' } }],
    ['an expectation of nothing', { ...numbered, command: { ...swap('k', { revision: 1 }), expected: {} } }],
    ['an expectation of both', { ...numbered, command: swap('k', { revision: 1, value: new Uint8Array() }) }],
    ['a negative revision', { ...numbered, command: swap('k', { revision: -1 }) }],
    ['a fractional revision', { ...numbered, command: swap('k', { revision: 0.5 }) }],
    ['a comparison with a fence', { ...numbered, command: { ...swap('k', { revision: 1 }), fence: null } }],
    ['an empty peer id', { ...opened, peerId: '' }],
    ['a long peer id', { ...opened, peerId: 'x'.repeat(257) }],
    ['a large state', { ...opened, state: new Uint8Array(65_537) }],
    ['a token base that would overflow one day', { ...found, tokenBase: tokenBaseMax + 1 }],
    ['nine voters', limits({ voters: 9 })],
    ['no locks', limits({ locks: 0 })],
    ['too many locks', limits({ locks: 1_000_001 })],
    ['a limit that is none', limits({ dogs: 1 })],
    ['a lease of nothing', timing({ lease: 0 })],
    ['a lease of weeks', timing({ lease: 1e9 })],
    ['an election that ends before it begins', timing({ electionMin: 301 })],
    ['a durability that is none', settings({ durability: 'maybe' })],
  ])('%s', (_what, value) => {
    const bytes = encode(value)
    expect(decodeInstruction(bytes)).toBeNull()
  })

  it('trailing bytes, half an item, duplicate keys and items of no stated length', () => {
    const whole = encodeInstruction({ type: 'tick', term: 1 })
    expect(decodeInstruction(Uint8Array.of(...whole, 0))).toBeNull()
    for (let i = 0; i < whole.length; i += 1) expect(decodeInstruction(whole.subarray(0, i))).toBeNull()
    const [, ...fields] = whole
    expect(decodeInstruction(Uint8Array.of(0xa2, ...fields))).toEqual({ type: 'tick', term: 1 })
    expect(decodeInstruction(Uint8Array.of(0xa3, ...fields, ...fields.slice(0, 6)))).toBeNull()
    expect(decodeInstruction(Uint8Array.of(0xbf, ...fields, 0xff))).toBeNull()
  })
})

it('a host cannot propose what every peer would ignore', () => {
  const bad = { type: 'expire', session: 1, silence: 10.5, term: 1 } as const
  expect(() => encodeInstruction(bad)).toThrow('expire is malformed: silence')
})
