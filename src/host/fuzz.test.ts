/** The wire against everything: any bytes, damaged frames, heads that promise too much; and any frame that may be sent. */
import * as fc from 'fast-check'
import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import type { Configuration, Entry } from '../raft/entry.js'
import type { Message, MessageOf } from '../raft/message.js'
import { Cluster } from '../raft/test-cluster.js'
import { writeBytes, written } from '../shared/bytes.js'
import { decode, encode } from '../shared/codec.js'
import { decodeFrame, encodeFrame, type Frame, type Item, noHead, protocolVersion } from './frame.js'
import { greetingVersion } from './greeting.js'

// What may be sent.

const index = fc.oneof(fc.nat(30), fc.constantFrom(2 ** 31, 2 ** 32, 2 ** 52, Number.MAX_SAFE_INTEGER), fc.maxSafeNat())
// -0 comes back as 0: no clock tells them apart.
const time = fc
  .oneof(index, fc.double({ noNaN: true, noDefaultInfinity: true }), fc.constantFrom(0.1, 5e-324))
  .map((time) => time + 0)
const letters = [...'ABYZabyz0189_-']
// Not `__proto__` and its kin: see the known hole below.
const peerId = fc
  .string({ unit: fc.constantFrom(...letters), minLength: 1, maxLength: 64 })
  .filter((id) => !['__proto__', 'constructor', 'prototype'].includes(id))
const unit = fc.oneof(
  fc.integer({ min: 0, max: 0xd7ff }).map((code) => String.fromCharCode(code)),
  fc.constantFrom('\ufeff', '\0', 'a'),
)
const text = fc.string({ unit, maxLength: 64 }).map((text) => text.slice(0, 64))
const bytes = fc.uint8Array({ maxLength: 40 })
const entryId = fc.record({ term: index, index })
const incarnation = fc.record({ counter: index, nonce: text })
/** What each of them is: who votes may be outgoing too, and who is outgoing may be a learner next. */
const parts = ['voter', 'learner', 'outgoing', 'both', 'next'] as const
const members = fc.uniqueArray(fc.tuple(peerId, fc.constantFrom(...parts)), {
  minLength: 1,
  maxLength: 8,
  selector: ([id]) => id,
})
const configuration: fc.Arbitrary<Configuration> = fc
  .tuple(members, fc.dictionary(peerId, incarnation, { maxKeys: 4, noNullPrototype: true }))
  .map(([[first, ...others], incarnations]) => {
    const all = first ? [[first[0], 'voter'] as const, ...others] : []
    const of = (...kinds: readonly string[]) => all.flatMap(([id, part]) => (kinds.includes(part) ? [id] : [])).sort()
    return {
      ...{ voters: of('voter', 'both'), outgoing: of('outgoing', 'both', 'next') },
      ...{ learners: of('learner'), learnersNext: of('next'), incarnations },
    }
  })

const entryBody = fc.oneof(
  fc.record({ type: fc.constant('command' as const), data: bytes }),
  fc.record({ type: fc.constant('configuration' as const), configuration }),
  fc.record({ type: fc.constant('noop' as const) }),
)
const append = fc
  .record({
    previous: fc.record({ term: index, index: fc.maxSafeNat().map((n) => Math.min(n, 2 ** 52)) }),
    bodies: fc.array(fc.tuple(index, time, entryBody), { maxLength: 4 }),
    commitIndex: index,
  })
  .map(({ previous, bodies, commitIndex }) => {
    const entries = bodies.map(
      ([term, time, body], i): Entry => ({ term, time, index: previous.index + 1 + i, ...body }),
    )
    return { previous, entries, commitIndex }
  })

type Body<T> = T extends Message ? Omit<T, 'from' | 'to' | 'term' | 'type'> : never

const granted = fc.boolean()
const bodies: { readonly [K in Message['type']]: fc.Arbitrary<Body<MessageOf<K>>> } = {
  preVote: fc.record({ last: entryId }),
  preVoteReply: fc.record({ granted }),
  vote: fc.record({ last: entryId, transfer: fc.boolean() }),
  voteReply: fc.record({ granted }),
  append,
  commit: fc.record({ last: entryId }),
  stable: fc.record({ index }),
  appendReply: fc.oneof(
    fc.record({ rejected: fc.constant(false as const), index }),
    fc.record({ rejected: fc.constant(true as const), index, hint: entryId }),
  ),
  heartbeat: fc.record(
    {
      commitIndex: index,
      round: index,
      electionTicks: fc.integer({ min: 1, max: 600_000 }),
      heir: peerId,
      quiet: fc.constant(true),
    },
    { requiredKeys: ['commitIndex', 'round', 'electionTicks'] },
  ),
  heartbeatReply: fc.record(
    { round: index, priority: index.map((n) => Math.max(1, n)), quiet: fc.constant(true) },
    { requiredKeys: ['round'] },
  ),
  timeoutNow: fc.constant({}),
  snapshot: fc
    .record({
      meta: fc.record({ term: index, index, configuration, time }),
      offset: fc.nat(),
      data: bytes,
      rest: fc.nat(),
      checksum: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
    })
    .map(({ rest, ...chunk }) => ({ ...chunk, size: chunk.offset + chunk.data.length + rest })),
  snapshotReply: fc.record({ snapshot: entryId, offset: index }),
  readIndex: fc.record({ id: index }),
  readIndexReply: fc.record({ id: index, index, rejected: fc.boolean() }),
}
/** Who speaks to whom is the frame's to say. */
const addressed = fc.record({ term: index })
const message: fc.Arbitrary<Message> = fc.oneof(
  ...Object.entries(bodies).map(([type, body]) =>
    fc.tuple(addressed, body as fc.Arbitrary<object>).map(([head, body]) => ({ type, ...head, ...body }) as Message),
  ),
)

const span = time.map(Math.abs)

type ItemBody<T> = T extends Item ? Omit<T, 'type'> : never
type ItemOf<K> = Extract<Item, { readonly type: K }>
const itemBodies: { readonly [K in Exclude<Item['type'], 'hello'>]: fc.Arbitrary<ItemBody<ItemOf<K>>> } = {
  raft: fc.record({ group: index, message }),
  submit: fc.record({ instructions: fc.array(bytes, { maxLength: 4 }) }),
  alive: fc.record({ session: index, monotonic: time, wall: time }),
  echo: fc.record({ session: index, monotonic: time, wall: time, clusterTime: time, commitIndex: index }),
  admit: fc.record({ learnerOnly: fc.boolean() }),
  goodbye: fc.record(
    { session: index, lastNumber: index, vote: fc.option(index), heir: peerId },
    { requiredKeys: ['session', 'lastNumber', 'vote'] },
  ),
  departed: fc.record({ peerId, incarnation, proof: fc.constantFrom('goodbye', 'death'), lastNumber: index }),
  links: fc.record({ peerIds: fc.array(peerId, { maxLength: 4 }) }),
  signal: fc.record({ from: peerId, to: peerId, text }),
  relay: fc.record({ from: peerId, to: peerId, body: bytes }),
  ping: fc.record({ time }),
  pong: fc.record({ time }),
  recover: fc.record({ forkId: text }),
  position: fc.record({ forkId: text, position: fc.option(fc.record({ term: index, last: entryId })) }),
  lead: fc.record({ forkId: text, term: index, members: index }),
  claim: fc.record({
    claim: fc.record({
      hasQuorum: fc.boolean(),
      foundedAt: index,
      lastCommand: entryId,
      branches: fc.array(fc.record({ forkId: text, members: index, lastCommand: entryId }), { maxLength: 4 }),
    }),
  }),
  yield: fc.record({ vote: index }),
  condition: fc.record({
    ...{ visible: fc.boolean(), phone: fc.boolean(), frozen: fc.boolean(), learnerOnly: fc.boolean() },
    ...{ stayed: span, fitFor: span, rtt: fc.option(span) },
  }),
  wake: fc.record({}),
}
const item: fc.Arbitrary<Item> = fc.oneof(
  ...Object.entries(itemBodies).map(([type, body]) =>
    (body as fc.Arbitrary<object>).map((body) => ({ type, ...body }) as Item),
  ),
)
const roomId = text.filter((id) => id.length > 0)
const foundation = fc.record({ term: index, index, previousTerm: index, members: index })
const hello = fc
  .record({
    browserId: text,
    founded: fc.boolean(),
    joined: fc.boolean(),
    resident: fc.boolean(),
    canApply: index,
    roomVersion: index,
  })
  .chain((hello) => fc.tuple(fc.constant(hello), fc.integer({ min: 1, max: 2 ** 40 }), fc.nat()))
  .map(([hello, oldest, more]): Item => ({ type: 'hello', speaks: { oldest, newest: oldest + more }, ...hello }))
const said = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ version: fc.constant(protocolVersion), items: fc.array(item, { maxLength: 5 }) }),
  },
  { weight: 1, arbitrary: fc.record({ version: fc.constant(greetingVersion), items: fc.tuple(hello) }) },
)
const frame: fc.Arbitrary<Frame> = fc
  .record({
    said,
    lineage: fc.option(
      fc.record({ roomId, epoch: index, forkId: text, foundation }, { requiredKeys: ['roomId', 'epoch', 'forkId'] }),
    ),
    from: peerId,
    fromIncarnation: incarnation,
    to: peerId,
    toIncarnation: fc.option(incarnation),
  })
  .map(({ said: { version, items }, ...head }) => ({
    ...{ version, ...head },
    items: items.map((item) => addressedBy(head, item)),
  }))

function addressedBy({ from, to }: Pick<Frame, 'from' | 'to'>, item: Item): Item {
  return item.type === 'raft' ? { ...item, message: { ...item.message, from, to } } : item
}

/** The same, put together in another order. */
function turned<T>(value: T): T {
  if (Array.isArray(value)) return value.map(turned) as T
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value
  const entries = Object.entries(value).reverse()
  return Object.fromEntries(entries.map(([key, item]) => [key, turned(item)])) as T
}

describe('a frame of anything that may be sent', () => {
  it('comes back as it was, and equal frames are equal bytes', () => {
    const [sent, received] = [noHead(), noHead()]
    fc.assert(
      fc.property(frame, (frame) => {
        const bytes = encodeFrame(frame)
        const decoded = decodeFrame(bytes)
        expect(decoded).toEqual({ ok: true, frame })
        if (!decoded.ok) return
        expect(Buffer.compare(encodeFrame(decoded.frame), bytes)).toBe(0)
        expect(Buffer.compare(encodeFrame(turned(frame)), bytes)).toBe(0)
        expect(decodeFrame(encodeFrame(frame, sent), received)).toEqual(decoded)
      }),
      { numRuns: 200 },
    )
  })

  it('whatever cores say in earnest comes through', () => {
    const cluster = new Cluster({ voters: ['a', 'b', 'c'], learners: ['d'], newcomers: ['e'] })
    const said = new Set<string>()
    cluster.filter = (message) => {
      const incarnation = { counter: 1, nonce: 'n' }
      const frame: Frame = {
        ...{ version: protocolVersion, lineage: null, from: message.from, fromIncarnation: incarnation },
        ...{ to: message.to, toIncarnation: null, items: [{ type: 'raft', group: 0, message }] },
      }
      expect(decodeFrame(encodeFrame(frame))).toEqual({ ok: true, frame })
      said.add(message.type)
      return true
    }
    const { raft } = cluster.elect()
    for (let i = 0; i < 20; i++) raft.propose(i, [new Uint8Array(i)])
    cluster.run(100)
    for (const node of cluster.nodes.values()) node.raft.read(1)
    for (const node of cluster.nodes.values()) node.compact(2)
    raft.proposeConfiguration(30, { ...raft.configuration, learners: ['d', 'e'] })
    cluster.run(150)
    raft.transferLeadership(raft.configuration.voters.find((peerId) => peerId !== raft.leader) ?? '')
    cluster.run(300)
    expect([...said]).toEqual(expect.arrayContaining(['append', 'snapshot', 'timeoutNow', 'readIndex', 'vote']))
  })

  it('a peer that is named as a part of every object is refused', () => {
    const named = {
      ...emptyNamed,
      incarnations: { constructor: { counter: 1, nonce: '' } },
    } as unknown as Configuration
    const sent = frameOf({ term: 1, index: 1, time: 0, type: 'configuration', configuration: named })
    expect(decodeFrame(encodeFrame(sent))).toEqual({ ok: false, reason: 'malformed' })
  })
})

const emptyNamed = { voters: ['constructor'], outgoing: [], learners: [], learnersNext: [] }
function frameOf(entry: Entry): Frame {
  const { term } = entry
  const previous = { term, index: entry.index - 1 }
  const message: Message = { type: 'append', from: 'a', to: 'b', term, previous, entries: [entry], commitIndex: 0 }
  return {
    ...{ version: protocolVersion, lineage: null, from: 'a', fromIncarnation: { counter: 1, nonce: '' }, to: 'b' },
    ...{ toIncarnation: null, items: [{ type: 'raft', group: 0, message }] },
  }
}

/** How much is there: one for each thing, and what strings and bytes hold. */
function weight(value: unknown): number {
  if (typeof value === 'string') return 1 + value.length
  if (value instanceof Uint8Array) return 1 + value.length
  if (typeof value !== 'object' || value === null) return 1
  let sum = 1
  for (const [key, item] of Object.entries(value)) sum += (Array.isArray(value) ? 0 : key.length) + weight(item)
  return sum
}

/** Never throws; and what comes of it is no more than it was made of. */
function take(bytes: Uint8Array): ReturnType<typeof decodeFrame> {
  const decoded = decodeFrame(bytes)
  if (decoded.ok) {
    expect(weight(decoded.frame)).toBeLessThan(32 * bytes.length + 400)
    expect(decodeFrame(encodeFrame(decoded.frame))).toEqual(decoded)
  }
  try {
    expect(weight(decode(bytes))).toBeLessThanOrEqual(2 * bytes.length + 2)
  } catch (error) {
    if (error instanceof Error && error.name === 'AssertionError') throw error
  }
  return decoded
}

/** A frame around one configuration, which alone is CBOR, made of these bytes. */
function aroundConfiguration(bytes: Uint8Array): Uint8Array {
  const frame: Frame = {
    ...{ version: protocolVersion, lineage: null, from: 'a', fromIncarnation: { counter: 1, nonce: '' } },
    ...{ to: 'b', toIncarnation: null, items: [{ type: 'submit', instructions: [bytes] }] },
  }
  // An instruction's bytes stand where a configuration's would; what is before them becomes an append with one entry.
  const whole = encodeFrame(frame)
  const tail = written((writer) => writeBytes(writer, bytes))
  const submit = [2, 1]
  const append = [0, 0, 4, 1, 1, 1, 0, 1, 1]
  const headLength = whole.length - tail.length - submit.length
  return Uint8Array.from([...whole.subarray(0, headLength), ...append, ...tail])
}

/** A head of CBOR: a kind of item, and how long it says it is. */
const head = fc
  .tuple(fc.nat(7), fc.constantFrom(24, 25, 26, 27), fc.uint8Array({ minLength: 8, maxLength: 8 }))
  .map(([major, minor, length]) => [(major << 5) | minor, ...length.slice(0, 2 ** (minor - 24))])

it('a configuration can be put in from outside, or the tests below show nothing', () => {
  const configuration = { voters: ['a'], outgoing: [], learners: [], learnersNext: [], incarnations: {} }
  const decoded = decodeFrame(aroundConfiguration(encode(configuration)))
  const entry = { type: 'configuration', term: 1, index: 2, time: 0, configuration }
  expect(decoded).toMatchObject({ ok: true, frame: { items: [{ message: { type: 'append', entries: [entry] } }] } })
})

describe('bytes that nobody should have sent', () => {
  it('a frame that was cut, or in which bits were turned', () => {
    const flips = fc.array(fc.tuple(fc.nat(), fc.nat(7)), { minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(frame, flips, fc.nat(), (frame, flips, cut) => {
        const bytes = encodeFrame(frame)
        expect(take(bytes.subarray(0, cut % bytes.length)).ok).toBe(false)
        for (const [at, bit] of flips) bytes[at % bytes.length] = (bytes[at % bytes.length] ?? 0) ^ (1 << bit)
        take(bytes)
      }),
      { numRuns: 200 },
    )
  })

  it('heads that promise anything, one in the other', () => {
    const parts = fc.array(fc.oneof({ weight: 3, arbitrary: head }, fc.array(fc.nat(255), { maxLength: 6 })))
    fc.assert(
      fc.property(parts, fc.nat(40), fc.constantFrom(0x81, 0xa1, 0xc1, 0x82, 0xd8), (parts, depth, open) => {
        const bytes = Uint8Array.from([...Array<number>(depth).fill(open), ...parts.flat()])
        take(bytes)
        take(aroundConfiguration(bytes))
      }),
      { numRuns: 1000 },
    )
  })

  it.each([
    ['arrays', [0x81]],
    ['maps', [0xa1, 0x61, 0x61]],
    ['raw strings', [0xd9, 0xa0, 0x28]],
    ['arrays of no stated length', [0x9f]],
  ])('%s that are nested deeper than any stack', (_what, open) => {
    const bytes = Uint8Array.from({ length: 300_000 }, (_, i) => open[i % open.length] ?? 0)
    expect(decodeFrame(aroundConfiguration(bytes))).toEqual({ ok: false, reason: 'malformed' })
  })

  it('what is refused is refused at its first fault, not at its last', () => {
    let faults = 0
    // Called for each fault that is written down.
    v.setGlobalMessage(() => {
      faults += 1
      return 'fault'
    })
    try {
      const voters = Array.from({ length: 200 }, () => [])
      const bytes = aroundConfiguration(encode({ ...emptyNamed, incarnations: {}, voters }))
      expect(decodeFrame(bytes)).toEqual({ ok: false, reason: 'malformed' })
    } finally {
      v.deleteGlobalMessage()
    }
    expect(faults).toBeGreaterThan(0)
    expect(faults).toBeLessThan(10)
  })
})
