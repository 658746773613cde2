import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Configuration } from '../raft/entry.js'
import type { Message } from '../raft/message.js'
import { noop as noopAt } from '../raft/test-cluster.js'
import { type ByteWriter, writeByte, written } from '../shared/bytes.js'
import { decodeFrame, encodeFrame, type Frame, type Item, noHead, protocolVersion } from './frame.js'
import { greetingVersion, type HelloItem } from './greeting.js'

const noop = (index: number) => noopAt(1, index)
const incarnation = { counter: 3, nonce: 'nonce' }
const configuration: Configuration = {
  voters: ['ann', 'bob'],
  outgoing: ['ann'],
  learners: ['cid'],
  learnersNext: [],
  incarnations: { ann: incarnation },
}
const items: readonly Item[] = [
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
  { type: 'goodbye', session: 5, lastNumber: 17, vote: null, heir: 'bob' },
  { type: 'departed', peerId: 'bob', incarnation, proof: 'death', lastNumber: Number.MAX_SAFE_INTEGER },
  { type: 'ping', time: 1.25 },
  { type: 'pong', time: 1.25 },
  { type: 'yield', vote: 8 },
  {
    type: 'condition',
    ...{ visible: false, phone: true, frozen: false, learnerOnly: true },
    ...{ stayed: 5.5, fitFor: 0, rtt: 12.5 },
  },
  {
    type: 'condition',
    ...{ visible: true, phone: false, frozen: true, learnerOnly: false },
    ...{ stayed: 0, fitFor: 0, rtt: null },
  },
  { type: 'wake' },
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

it('what a link knows of its head is used for exactly that head', () => {
  const [sent, received] = [noHead(), noHead()]
  const moved: Frame = { ...frame, fromIncarnation: { counter: 4, nonce: 'nonce' } }
  const whole = encodeFrame(frame, sent)
  for (const one of [frame, frame, moved, { ...moved, items: [] }, frame]) {
    expect(decodeFrame(encodeFrame(one, sent), received)).toEqual({ ok: true, frame: one })
    expect(encodeFrame(one, sent), 'the bytes are the same, known or not').toEqual(encodeFrame(one))
  }
  expect(decodeFrame(whole.subarray(0, 20), received)).toEqual({ ok: false, reason: 'malformed' })
  expect(decodeFrame(whole, received)).toEqual({ ok: true, frame })
})

it('frames that are written one after another do not touch each other', () => {
  const frames = Array.from({ length: 300 }, (_, i): Frame => {
    const instructions = [new Uint8Array((i * i) % 12_000).fill(i)]
    return { ...frame, items: [{ type: 'submit', instructions }] }
  })
  const bytes = frames.map((one) => encodeFrame(one))
  bytes.forEach((one, i) => {
    const decoded = decodeFrame(one)
    const item = decoded.ok ? decoded.frame.items[0] : undefined
    const [instruction] = item?.type === 'submit' ? item.instructions : []
    expect(Buffer.compare(instruction ?? new Uint8Array(1), new Uint8Array((i * i) % 12_000).fill(i))).toBe(0)
  })
})

it('a number that no peer could read stops its writer, and the next frame is whole', () => {
  for (const session of [-1, 1.5, Number.NaN, 2 ** 53]) {
    expect(() => encodeFrame({ ...frame, items: [{ type: 'alive', session, monotonic: 0, wall: 0 }] })).toThrow(
      RangeError,
    )
    expect(decodeFrame(encodeFrame(frame))).toEqual({ ok: true, frame })
  }
})

it('a head that cannot be written is not known afterwards: no frame goes out under the head before it', () => {
  const sent = noHead()
  encodeFrame(frame, sent)
  const impossible: Frame = { ...frame, fromIncarnation: { counter: -1, nonce: 'nonce' } }
  expect(() => encodeFrame(impossible, sent)).toThrow(RangeError)
  expect(() => encodeFrame(impossible, sent)).toThrow(RangeError)
  expect(decodeFrame(encodeFrame(frame, sent))).toEqual({ ok: true, frame })
})

it('what is decoded holds nothing of the bytes that it came in', () => {
  const data = encodeFrame(frame).slice()
  const known = noHead()
  const decoded = decodeFrame(data, known)
  data.fill(255)
  expect(decoded).toEqual({ ok: true, frame })
  expect(decodeFrame(encodeFrame(frame), known), 'nor does what is known of the head').toEqual({ ok: true, frame })
})

it('a head that came with a malformed frame is known as what it is, and as nothing else', () => {
  const known = noHead()
  const other: Frame = { ...frame, fromIncarnation: { counter: 9, nonce: 'another' }, items: [] }
  const spoilt = encodeFrame(other).slice()
  spoilt[spoilt.length - 1] = 7
  expect(decodeFrame(spoilt, known), 'items are promised that do not come').toEqual({ ok: false, reason: 'malformed' })
  for (const one of [frame, other, frame]) {
    expect(decodeFrame(encodeFrame(one), known)).toEqual({ ok: true, frame: one })
  }
})

it('a frame that lies in other bytes is read to its own end only', () => {
  const inner = encodeFrame(frame)
  for (let begin = 0; begin < 20; begin++) {
    const outer = new Uint8Array(inner.length + 40).fill(1)
    outer.set(inner, begin)
    expect(decodeFrame(outer.subarray(begin, begin + inner.length))).toEqual({ ok: true, frame })
    for (let cut = 0; cut < inner.length; cut++) {
      expect(decodeFrame(outer.subarray(begin, begin + cut))).toEqual({ ok: false, reason: 'malformed' })
    }
  }
})

it('a frame to a peer that is not known yet, of a room that is not there yet', () => {
  const first = { ...frame, lineage: null, toIncarnation: null, items: [] }
  expect(decodeFrame(encodeFrame(first))).toEqual({ ok: true, frame: first })
})

const hello: HelloItem = {
  ...{
    type: 'hello',
    speaks: { oldest: 3, newest: 4 },
    browserId: 'browser',
    founded: true,
    joined: true,
    resident: false,
  },
  ...{ canApply: 2, roomVersion: 1 },
}
function greeting(change: Partial<HelloItem> = {}): Frame {
  return { ...frame, version: greetingVersion, items: [{ ...hello, ...change }] }
}

describe('[F1] a greeting', () => {
  it('comes back as it was, with a head that is known and with one that is not', () => {
    const [sent, received] = [noHead(), noHead()]
    for (const one of [greeting(), frame, greeting({ founded: false }), frame]) {
      expect(decodeFrame(encodeFrame(one, sent), received)).toEqual({ ok: true, frame: one })
    }
  })

  it('has the layout that no version changes', () => {
    const lone = { ...greeting(), lineage: null, from: 'a', fromIncarnation: { counter: 1, nonce: '' }, to: 'b' }
    const bytes = encodeFrame({ ...lone, toIncarnation: null, items: [{ ...hello, browserId: 'c' }] })
    expect([...bytes]).toEqual([0, 3, 4, 8, 0, 1, 97, 1, 0, 1, 98, 0, 1, 99, 1, 1, 0, 2, 1])
  })

  it('of a later version has more to say, which is passed over', () => {
    const bytes = encodeFrame(greeting())
    expect(decodeFrame(Uint8Array.from([...bytes, 1, 2, 3]))).toEqual({ ok: true, frame: greeting() })
  })

  it('is one hello, and no other frame has one', () => {
    expect(() => encodeFrame({ ...greeting(), items: [hello, hello] })).toThrow(RangeError)
    expect(() => encodeFrame({ ...greeting(), items: frame.items })).toThrow(RangeError)
    expect(() => encodeFrame({ ...frame, items: [hello] })).toThrow(RangeError)
  })
})

describe('[F1] a frame of another version', () => {
  it.each([1, 2, 99])('%i is told apart from a malformed one, whatever else it holds', (version) => {
    expect(() => encodeFrame({ ...frame, version })).toThrow(RangeError)
    expect(decodeFrame(Uint8Array.of(version, 0xff, 0xff))).toEqual({ ok: false, reason: 'version', version })
  })
})

const withItem = (...items: readonly Item[]): Frame => ({ ...frame, items })
const withMessage = (message: MessageBody): Frame =>
  withItem({ type: 'raft', group: 0, message: { from: 'ann', to: 'bob', term: 1, ...message } as Message })
type MessageBody = { readonly type: Message['type'] } & Record<string, unknown>
const heartbeat = { type: 'heartbeat', commitIndex: 0, round: 1, electionTicks: 150 } as const
const append = { type: 'append', previous: { term: 1, index: 1 }, commitIndex: 0, entries: [] } as const
const chunk = {
  type: 'snapshot',
  meta: { term: 1, index: 1, time: 0, configuration },
  ...{ size: 3, checksum: 2 ** 32 - 1 },
  ...{ offset: 0, data: new Uint8Array(3) },
} as const
const configured = (change: Partial<Configuration>) => ({
  ...append,
  entries: [{ term: 1, index: 2, time: 0, type: 'configuration', configuration: { ...configuration, ...change } }],
})

it('the chunk that is spoilt below is a good one', () => {
  expect(decodeFrame(encodeFrame(withMessage(chunk)))).toMatchObject({ ok: true })
})

describe('what is not a frame is malformed', () => {
  it.each<[string, Frame]>([
    ['a lineage without an id', { ...frame, lineage: { roomId: '', epoch: 0, forkId: '' } }],
    ['a lineage too long', { ...frame, lineage: { roomId: 'r'.repeat(65), epoch: 0, forkId: '' } }],
    ['a fork too long', { ...frame, lineage: { roomId: 'r', epoch: 0, forkId: 'f'.repeat(65) } }],
    ['an empty sender', { ...frame, from: '' }],
    ['a sender with odd letters', { ...frame, from: 'ann\0' }],
    ['a sender too long', { ...frame, from: 'a'.repeat(65) }],
    ['a sender with an umlaut', { ...frame, from: '\u00fc' }],
    ['a sender that every object has', { ...frame, from: 'constructor' }],
    ['a nonce too long', { ...frame, fromIncarnation: { counter: 1, nonce: 'n'.repeat(65) } }],
    ['too many items', withItem(...Array<Item>(4097).fill({ type: 'admit', learnerOnly: true }))],
    ['a greeting with a long browser', greeting({ browserId: 'b'.repeat(65) })],
    ['a greeting of no version', greeting({ speaks: { oldest: 0, newest: 3 } })],
    ['a greeting of versions in the wrong order', greeting({ speaks: { oldest: 4, newest: 3 } })],
    ['a ping at no time', withItem({ type: 'ping', time: Number.NaN })],
    ['a ping at infinity', withItem({ type: 'ping', time: Number.POSITIVE_INFINITY })],
    ['too many instructions', withItem({ type: 'submit', instructions: Array(1025).fill(Uint8Array.of()) })],
    ['a departure of nobody', withItem({ type: 'departed', peerId: '', incarnation, proof: 'death', lastNumber: 0 })],
    ['elections at every moment', withMessage({ ...heartbeat, electionTicks: 0 })],
    ['elections never', withMessage({ ...heartbeat, electionTicks: 600_001 })],
    ['an heir that cannot be', withMessage({ ...heartbeat, heir: 'n\u00f6' })],
    [
      'entries beyond all numbers',
      withMessage({ ...append, previous: { term: 1, index: 2 ** 53 - 1 }, entries: [noop(2)] }),
    ],
    ['too many entries', withMessage({ ...append, entries: Array.from({ length: 16_385 }, (_, i) => noop(i + 2)) })],
    ['an entry at no time', withMessage({ ...append, entries: [{ ...noop(2), time: Number.NaN }] })],
    ['a chunk outside its snapshot', withMessage({ ...chunk, size: 2 })],
    ['a checksum of 33 bits', withMessage({ ...chunk, checksum: 2 ** 32 })],
    ['voters that cannot be', withMessage(configured({ voters: ['n\u00f6'] }))],
    ['voters that are one name', withMessage(configured({ voters: 'ann' as never }))],
    ['a configuration with more than it has', withMessage(configured({ more: 1 } as never))],
    ['a configuration in which nobody votes', withMessage(configured({ voters: [], outgoing: [] }))],
    ['a voter who is named twice', withMessage(configured({ voters: ['ann', 'ann'] }))],
    ['voters in no order', withMessage(configured({ voters: ['bob', 'ann'] }))],
    ['a voter who is a learner', withMessage(configured({ learners: ['ann'] }))],
    ['a learner to be who votes on', withMessage(configured({ learnersNext: ['ann'] }))],
    ['a learner to be who does not vote', withMessage(configured({ learnersNext: ['dan'] }))],
    [
      'a thousand voters',
      withMessage(configured({ voters: Array.from({ length: 1_000 }, (_, i) => `v${1_000 + i}`) })),
    ],
    ['too many learners', withMessage(configured({ learners: Array.from({ length: 257 }, (_, i) => `l${i}`) }))],
  ])('%s', (_title, frame) => {
    expect(decodeFrame(encodeFrame(frame))).toEqual({ ok: false, reason: 'malformed' })
  })

  const head = (writer: ByteWriter) => {
    for (const byte of [0, 1, 97, 1, 0, 1, 98, 0]) writeByte(writer, byte)
  }
  const headBytes = written(head).slice()
  const [raft, group, term] = [0, 0, 1]
  it.each<[string, readonly number[]]>([
    ['an item of no kind', [200]],
    ['a flag that is neither', [5, 2]],
    ['a message of no kind', [raft, group, 200, term]],
    ['an entry of no kind', [raft, group, 4, term, 1, 1, 0, 1, 3]],
    ['an entry with flags of its own', [raft, group, 4, term, 1, 1, 0, 1, 16]],
    ['bytes that are not there', [raft, group, 4, term, 1, 1, 0, 1, 0, 100]],
    ['a number above 2^53 - 1', [raft, group, 12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0]],
    ['a number without an end', [raft, group, 12, ...Array<number>(30).fill(0x80), 0]],
    ['a configuration that is nothing', [raft, group, 4, term, 1, 1, 0, 1, 1, 0]],
  ])('%s', (_title, item) => {
    const fine = [protocolVersion, headBytes.length, ...headBytes, 1, 5, 1]
    expect(decodeFrame(Uint8Array.from(fine)), 'but for the item').toMatchObject({ ok: true })
    const bytes = Uint8Array.from([...fine.slice(0, -2), ...item])
    expect(decodeFrame(bytes)).toEqual({ ok: false, reason: 'malformed' })
  })

  it.each<[string, readonly number[]]>([
    ['nothing', []],
    ['a version alone', [protocolVersion]],
    ['a head with more than it has', [protocolVersion, headBytes.length + 1, ...headBytes, 0, 0]],
    ['a head that is longer than all there is', [protocolVersion, 100, ...headBytes, 0]],
    [
      'a name that is not UTF-8',
      [protocolVersion, headBytes.length, ...headBytes.map((byte) => (byte === 97 ? 0xff : byte)), 0],
    ],
  ])('%s', (_title, bytes) => {
    expect(decodeFrame(Uint8Array.from(bytes))).toEqual({ ok: false, reason: 'malformed' })
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
    const incarnations = JSON.parse('{"__proto__":{"counter":1,"nonce":"n"}}')
    const bytes = encodeFrame(withMessage(configured({ incarnations })))
    expect(() => decodeFrame(bytes)).not.toThrow()
    expect(({} as { counter?: number }).counter).toBeUndefined()
  })

  it('more entries in all than a turn has', () => {
    const many = withMessage({ ...append, entries: Array.from({ length: 16_384 }, (_, i) => noop(i + 2)) })
    const [item] = many.items
    if (!item) throw new Error('no item')
    expect(decodeFrame(encodeFrame({ ...frame, items: Array<Item>(16).fill(item) })).ok).toBe(true)
    expect(decodeFrame(encodeFrame({ ...frame, items: Array<Item>(17).fill(item) })).ok).toBe(false)
  })

  it('more instructions in all than a turn has: empty ones are a byte each, and an array each', () => {
    const submit: Item = { type: 'submit', instructions: Array<Uint8Array>(1024).fill(new Uint8Array()) }
    expect(decodeFrame(encodeFrame({ ...frame, items: Array<Item>(256).fill(submit) })).ok).toBe(true)
    expect(decodeFrame(encodeFrame({ ...frame, items: Array<Item>(257).fill(submit) })).ok).toBe(false)
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
})
