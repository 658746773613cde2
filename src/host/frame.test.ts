import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Configuration } from '../raft/entry.js'
import { encode } from '../shared/codec.js'
import { decodeFrame, encodeFrame, type Frame, type Item, protocolVersion } from './frame.js'

const incarnation = { counter: 3, nonce: 'nonce' }
const configuration: Configuration = {
  voters: ['ann', 'bob'],
  outgoing: ['ann'],
  learners: ['cid'],
  learnersNext: [],
  incarnations: { ann: incarnation },
}
const items: readonly Item[] = [
  { type: 'hello', browserId: 'browser', founded: true, resident: false },
  {
    type: 'raft',
    group: 0,
    message: {
      type: 'append',
      from: 'ann',
      to: 'bob',
      term: 4,
      previous: { term: 3, index: 7 },
      entries: [
        { term: 4, index: 8, time: 12.5, type: 'noop' },
        { term: 4, index: 9, time: 13, type: 'command', data: Uint8Array.of(1, 2, 3) },
        { term: 4, index: 10, time: 13, type: 'configuration', configuration },
      ],
      commitIndex: 7,
    },
  },
  {
    type: 'raft',
    group: 0,
    message: {
      type: 'appendReply',
      from: 'ann',
      to: 'bob',
      term: 4,
      rejected: true,
      index: 7,
      hint: { term: 2, index: 5 },
    },
  },
  { type: 'submit', instructions: [Uint8Array.of(), Uint8Array.of(9)] },
  { type: 'alive', session: 5, monotonic: 1234.5, wall: 1.7e12 },
  { type: 'echo', session: 5, monotonic: -1.5, wall: 0, clusterTime: 99, commitIndex: 12 },
  { type: 'admit', learnerOnly: true },
  { type: 'goodbye', session: 5, lastNumber: 17, vote: null },
  { type: 'departed', peerId: 'bob', incarnation, proof: 'death', lastNumber: Number.MAX_SAFE_INTEGER },
  { type: 'ping', time: 1.25 },
  { type: 'pong', time: 1.25 },
]
const frame: Frame = {
  version: protocolVersion,
  lineage: { roomId: 'room', epoch: 0, forkId: '' },
  from: 'ann',
  fromIncarnation: incarnation,
  to: 'bob',
  toIncarnation: { counter: 1, nonce: '' },
  items,
}

it('a frame comes back as it was', () => {
  expect(decodeFrame(encodeFrame(frame))).toEqual({ ok: true, frame })
})

it('a frame to a peer that is not known yet, of a room that is not there yet', () => {
  const first = { ...frame, lineage: null, toIncarnation: null, items: [] }
  expect(decodeFrame(encodeFrame(first))).toEqual({ ok: true, frame: first })
})

describe('[F1] a frame of another version', () => {
  it.each([0, 2, 99])('%i is told apart from a malformed one, whatever else it holds', (version) => {
    expect(decodeFrame(encodeFrame({ ...frame, version }))).toEqual({ ok: false, reason: 'version', version })
    expect(decodeFrame(encode([version, 'something', 'else']))).toEqual({ ok: false, reason: 'version', version })
  })
})

const raw = [1, ['room', 0, ''], 'ann', [3, 'n'], 'bob', [1, 'n'], []] as const
const withHeader = (at: number, value: unknown) => raw.map((field, i) => (i === at ? value : field))
const withItem = (...given: unknown[]) => withHeader(6, given)
const hello = { type: 'hello', browserId: 'b', founded: true, resident: false }

describe('what is not a frame is malformed', () => {
  it.each<[string, unknown]>([
    ['nothing', null],
    ['a number', 1],
    ['an object', { version: 1 }],
    ['an empty array', []],
    ['a field less', raw.slice(0, 6)],
    ['a field more', [...raw, 1]],
    ['a version that is no number', withHeader(0, '1')],
    ['a version with a fraction', withHeader(0, 1.5)],
    ['a lineage without an id', withHeader(1, ['', 0, ''])],
    ['a lineage with a negative epoch', withHeader(1, ['room', -1, ''])],
    ['a lineage too long', withHeader(1, ['r'.repeat(65), 0, ''])],
    ['a lineage of two', withHeader(1, ['room', 0])],
    ['no sender', withHeader(2, null)],
    ['an empty sender', withHeader(2, '')],
    ['a sender with odd letters', withHeader(2, 'ann\0')],
    ['a sender too long', withHeader(2, 'a'.repeat(65))],
    ['a sender with an umlaut', withHeader(2, '\u00fc')],
    ['an incarnation that is null', withHeader(3, null)],
    ['an incarnation beyond safe integers', withHeader(3, [2 ** 53, 'n'])],
    ['an incarnation with a fraction', withHeader(3, [1.5, 'n'])],
    ['a nonce too long', withHeader(3, [1, 'n'.repeat(65)])],
    ['a nonce of bytes', withHeader(3, [1, Uint8Array.of(1)])],
    ['items that are no array', withHeader(6, hello)],
    ['an item that is null', withItem(null)],
    ['an item without a type', withItem({})],
    ['an unknown item', withItem({ type: 'shutdown' })],
    ['too many items', withHeader(6, Array(4097).fill({ type: 'admit', learnerOnly: true }))],
    ['a hello with more than it should', withItem({ ...hello, more: 1 })],
    ['a hello with less', withItem({ type: 'hello', browserId: 'b', founded: true })],
    ['a hello with a long browser', withItem({ ...hello, browserId: 'b'.repeat(65) })],
    ['a ping at no time', withItem({ type: 'ping', time: Number.NaN })],
    ['a ping at infinity', withItem({ type: 'ping', time: Number.POSITIVE_INFINITY })],
    ['an alive of a negative session', withItem({ type: 'alive', session: -1, monotonic: 0, wall: 0 })],
    ['instructions that are strings', withItem({ type: 'submit', instructions: ['x'] })],
    ['too many instructions', withItem({ type: 'submit', instructions: Array(1025).fill(Uint8Array.of()) })],
    ['a departure by hearsay', withItem({ type: 'departed', peerId: 'a', incarnation, proof: 'rumor', lastNumber: 0 })],
    [
      'a message of no kind',
      withItem({ type: 'raft', group: 0, message: { type: 'hack', from: 'a', to: 'b', term: 1 } }),
    ],
    [
      'a message of a negative term',
      withItem({ type: 'raft', group: 0, message: { type: 'voteReply', from: 'a', to: 'b', term: -1, granted: true } }),
    ],
    [
      'entries with a gap',
      withItem({
        type: 'raft',
        group: 0,
        message: {
          ...{ type: 'append', from: 'a', to: 'b', term: 1, previous: { term: 1, index: 1 }, commitIndex: 0 },
          entries: [{ term: 1, index: 3, time: 0, type: 'noop' }],
        },
      }),
    ],
    [
      'a rejection without a hint',
      withItem({
        type: 'raft',
        group: 0,
        message: { type: 'appendReply', from: 'a', to: 'b', term: 1, rejected: true, index: 3 },
      }),
    ],
  ])('%s', (_title, value) => {
    expect(decodeFrame(encode(value))).toEqual({ ok: false, reason: 'malformed' })
  })

  it('bytes after the frame', () => {
    const bytes = encodeFrame(frame)
    expect(decodeFrame(new Uint8Array([...bytes, 0]))).toEqual({ ok: false, reason: 'malformed' })
  })

  it('a frame that is cut anywhere', () => {
    const bytes = encodeFrame(frame)
    for (let length = 0; length < bytes.length; length += 1) {
      expect(decodeFrame(bytes.slice(0, length)).ok).toBe(false)
    }
  })

  it('a record with the key of a prototype changes no prototype', () => {
    const bytes = encode(
      withItem({
        type: 'raft',
        group: 0,
        message: {
          ...{ type: 'append', from: 'a', to: 'b', term: 1, previous: { term: 1, index: 1 }, commitIndex: 0 },
          entries: [
            {
              ...{ term: 1, index: 2, time: 0, type: 'configuration' },
              configuration: { ...configuration, incarnations: JSON.parse('{"__proto__":{"counter":1,"nonce":"n"}}') },
            },
          ],
        },
      }),
    )
    expect(() => decodeFrame(bytes)).not.toThrow()
    expect(({} as { counter?: number }).counter).toBeUndefined()
  })
})

describe('whatever the bytes are, decoding never throws', () => {
  it('random bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
        expect(['malformed', 'version', undefined]).toContain((decodeFrame(bytes) as { reason?: string }).reason)
      }),
      { numRuns: 1000 },
    )
  })

  it('a frame with some bytes changed: refused, or a frame of the same shape', () => {
    const bytes = encodeFrame(frame)
    const change = fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 })
    fc.assert(
      fc.property(change, (changes) => {
        const changed = bytes.slice()
        for (const [at, byte] of changes) changed[at] = byte
        const decoded = decodeFrame(changed)
        if (decoded.ok) expect(decodeFrame(encodeFrame(decoded.frame))).toEqual(decoded)
      }),
      { numRuns: 1000 },
    )
  })

  it('deep nesting', () => {
    for (const depth of [100, 10_000, 200_000]) {
      expect(decodeFrame(new Uint8Array(depth).fill(0x81))).toEqual({ ok: false, reason: 'malformed' })
    }
  })

  it('lengths that promise more than there is', () => {
    for (const head of [0x9b, 0xbb, 0x5b, 0x7b]) {
      const bytes = Uint8Array.of(head, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff)
      expect(decodeFrame(bytes)).toEqual({ ok: false, reason: 'malformed' })
    }
  })
})
