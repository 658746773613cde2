import { beforeEach, describe, expect, it } from 'vitest'
import type { ChangeRecord, ChangesRecord, WatchPosition } from '../host/page.js'
import { encodeValue } from '../shared/value.js'
import { RoomConnection } from './connection.js'
import { RoomStore } from './store.js'
import type { Change } from './store-watch.js'
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

const record = (key: string, revision: number, more: Partial<ChangeRecord> = {}): ChangeRecord => ({
  ...{ key, revision, previous: null, position: { revision, place: 0 }, last: true },
  now: { key, revision, value: encodeValue(key), ephemeral: false },
  ...more,
})
const tell = (changes: readonly ChangeRecord[], until: number, more: Partial<ChangesRecord> = {}, id = 1) =>
  port.tell({
    type: 'watched',
    id,
    value: { type: 'changes', resync: false, changes, until: { revision: until, place: 0 }, ...more },
  })
const asked = () => port.notices.splice(0).map((notice) => (notice.type === 'watch' ? notice.what : notice.type))
const from = (position: WatchPosition | null, prefix = '') => ({ type: 'changes', prefix, from: position })
const at = (revision: number, place = 0) => ({ revision, place })
const successor = { roomId: 'r', tokenFloor: 0, shared: null }
const reset = { cause: 'merged', store: [], deleted: [], counters: [], complete: true } as const

describe('store.watch', () => {
  it.each<[string, number | WatchPosition | undefined, WatchPosition | null]>([
    ['from now on', undefined, null],
    ['after a revision', 7, at(7)],
    ['after a change', at(7, 2), at(7, 2)],
    ['with everything as it is', 0, at(0)],
  ])('begins %s, at the call', (_what, given, sent) => {
    store.watch('a', given === undefined ? {} : { from: given })
    expect(asked()).toEqual([from(sent, 'a')])
  })

  it('gives changes one by one, decoded, and asks for more when it has given the last', async () => {
    const watch = store.watch()
    asked()
    const early = watch.next()
    const previous = { value: encodeValue([1n]), revision: 3 }
    const part = { last: false, position: at(4, 1) }
    tell([record('a', 5, part), record('b', 5, { now: null, previous })], 9)
    expect(await early).toEqual({
      done: false,
      value: {
        ...{ type: 'set', key: 'a', value: 'a', revision: 5, ephemeral: false, previous: undefined },
        ...{ last: false, position: at(4, 1) },
      },
    })
    expect(asked()).toEqual([])
    expect((await watch.next()).value).toEqual({
      ...{ type: 'delete', key: 'b', value: undefined, revision: 5, previous: { value: [1n], revision: 3 } },
      ...{ last: true, position: at(5) },
    })
    expect(asked()).toEqual(['taken'])
  })

  it('what comes while nobody asks waits, and nothing more is asked for', async () => {
    const watch = store.watch()
    asked()
    tell([], 4)
    expect(asked()).toEqual(['taken'])
    tell([record('a', 5), record('b', 6)], 6)
    await quiet()
    expect(asked()).toEqual([])
    expect((await watch.next()).value?.key).toBe('a')
  })

  it('a resync begins by saying so, and says when it is whole', async () => {
    const watch = store.watch()
    const position = at(0)
    tell([record('gone', 9, { now: null, position, last: false }), record('a', 5, { position: at(9) })], 9, {
      resync: true,
    })
    const changes: Change[] = []
    while (changes.at(-1)?.last !== true) changes.push((await watch.next()).value as Change)
    expect(changes.map(({ type, key, revision, resync, position }) => [type, key, revision, resync, position])).toEqual(
      [
        ['resync', undefined, 9, true, at(0)],
        ['delete', 'gone', 9, true, at(0)],
        ['set', 'a', 5, true, at(9)],
      ],
    )
    tell([], 12, { resync: true })
    expect((await watch.next()).value).toMatchObject({ type: 'resync', revision: 12, last: true, position: at(12) })
  })

  it('goes on with another host from where it is, with what waits here before', async () => {
    const watch = store.watch()
    tell([record('a', 5), record('b', 6)], 8)
    connection.detach()
    const other = new TestPort()
    connection.attach(other)
    expect(other.notices).toEqual([{ type: 'watch', id: 1, what: from(at(8)) }])
    expect((await watch.next()).value?.key).toBe('a')
    // What the host that is gone still says is not heard.
    tell([record('old', 9)], 9)
    port = other
    tell([record('c', 9)], 9)
    expect([(await watch.next()).value?.key, (await watch.next()).value?.key]).toEqual(['b', 'c'])
  })

  it('begins anew where the room goes on in another history', async () => {
    const watch = store.watch('a', { from: 7 })
    port.tell({
      type: 'reset',
      reset: { cause: 'forked', store: [], deleted: [], counters: [], complete: true },
      successor: null,
    })
    connection.detach()
    connection.attach(port)
    expect(asked().at(-1)).toEqual(from(at(7), 'a'))
    port.tell({ type: 'reset', reset, successor })
    connection.detach('reset')
    connection.attach(port)
    expect(asked()).toEqual([from(at(0), 'a')])
    tell([], 3, { resync: true })
    expect((await watch.next()).value?.type).toBe('resync')
  })

  it.each([
    ['return', (watch: AsyncIterator<Change>) => watch.return?.()],
    ['leave', () => store.leave()],
  ])('%s ends it: nobody waits any more, and the host is told', async (_what, end) => {
    const watch = store.watch()
    const waiting = watch.next()
    asked()
    await end(watch)
    expect(await waiting).toEqual({ done: true, value: undefined })
    expect(await watch.next()).toEqual({ done: true, value: undefined })
    expect(asked()).toEqual(['unwatch'])
    tell([record('late', 5)], 5)
    expect(await watch.next()).toEqual({ done: true, value: undefined })
  })

  it('a loop that is left ends it', async () => {
    const watch = store.watch()
    asked()
    tell([record('a', 5), record('b', 6)], 6)
    for await (const { key } of watch) if (key === 'a') break
    expect(asked()).toEqual(['unwatch'])
  })

  it('a room that fails rejects, after what had come', async () => {
    const watch = store.watch()
    tell([record('a', 5), record('b', 6)], 6)
    port.tell({ type: 'failed', failure: { code: 'storage', message: 'full' } })
    expect((await watch.next()).value?.key).toBe('a')
    expect((await watch.next()).value?.key).toBe('b')
    await expect(watch.next()).rejects.toMatchObject({ code: 'storage' })
    expect(await watch.next()).toEqual({ done: true, value: undefined })
    await expect(store.watch().next()).rejects.toMatchObject({ code: 'storage' })
  })

  it('a signal rejects at once with its reason', async () => {
    const controller = new AbortController()
    const watch = store.watch('', { signal: controller.signal })
    asked()
    tell([record('a', 5)], 5)
    controller.abort(new Error('enough'))
    await expect(watch.next()).rejects.toThrow('enough')
    expect(await watch.next()).toEqual({ done: true, value: undefined })
    expect(asked()).toEqual(['unwatch'])
    await expect(store.watch('', { signal: AbortSignal.abort('before') }).next()).rejects.toBe('before')
  })

  it('of a handle that is left has ended', async () => {
    store.leave()
    expect(await store.watch().next()).toEqual({ done: true, value: undefined })
    expect(asked().at(-1)).toBe('unwatch')
  })
})

describe('store.entries', () => {
  it('gives a list, decoded, with the revision that it is of', async () => {
    const answer = store.entries('a', { consistency: 'local' })
    await quiet()
    expect(port.calls('store.entries')).toEqual([{ type: 'store.entries', prefix: 'a', consistency: 'local' }])
    const entries = [{ key: 'a1', value: encodeValue(new Map([[1, 2n]])), revision: 4, ephemeral: true }]
    await port.answer('store.entries', { revision: 9, entries })
    const found = await answer
    expect([...found]).toEqual([{ key: 'a1', value: new Map([[1, 2n]]), revision: 4, ephemeral: true }])
    expect(found.revision).toBe(9)
  })
})

describe('store.transact', () => {
  const fence = { name: 'l', token: 5 }

  it('sends what is compared and done, and tells the results in the words of the call', async () => {
    const ops = {
      compare: [
        { key: 'a', revision: 3 },
        { key: 'b', revision: 3, is: '<' },
        { key: 'c', value: { x: 1n }, is: '!=' },
        { key: 'd', exists: true },
        { key: 'e', exists: false },
      ],
      then: [{ set: 'a', value: 1, fence, ephemeral: true }, { delete: 'b', fence }, { get: 'c' }, { get: 'd' }],
      else: [{ set: 'a', value: undefined }],
    } as const
    const answer = store.transact(ops, { fence })
    await quiet()
    expect(port.calls('store.transact')).toEqual([
      {
        type: 'store.transact',
        compare: [
          { key: 'a', is: '=', revision: 3 },
          { key: 'b', is: '<', revision: 3 },
          { key: 'c', is: '!=', value: encodeValue({ x: 1n }) },
          { key: 'd', is: '!=', revision: 0 },
          { key: 'e', is: '=', revision: 0 },
        ],
        success: [
          { type: 'set', key: 'a', value: encodeValue(1), fence, ephemeral: true },
          { type: 'delete', key: 'b', fence },
          { type: 'get', key: 'c' },
          { type: 'get', key: 'd' },
        ],
        failure: [{ type: 'set', key: 'a', value: encodeValue(undefined), fence: null, ephemeral: false }],
        fence,
      },
    ])
    const found = { type: 'get', record: { value: encodeValue('x'), revision: 2 } } as const
    const results = [{ type: 'set' }, { type: 'delete', existed: false }, found, { type: 'get', record: null }] as const
    await port.answer('store.transact', { succeeded: true, revision: 9, results })
    expect(await answer).toEqual({
      succeeded: true,
      revision: 9,
      results: [
        { set: 'a', revision: 9 },
        { delete: 'b', existed: false },
        { get: 'c', found: { value: 'x', revision: 2 } },
        { get: 'd', found: undefined },
      ],
    })
    const other = store.transact(ops)
    await quiet()
    await port.answer('store.transact', { succeeded: false, revision: 10, results: [{ type: 'set' }] })
    expect(await other).toEqual({ succeeded: false, revision: 10, results: [{ set: 'a', revision: 10 }] })
  })

  it('[T2] a refusal says which operation it was', async () => {
    const stale = store.transact({})
    const refused = expect(stale).rejects.toMatchObject({ name: 'StaleFenceError', current: 8, op: 'then[1]' })
    await quiet()
    await port.refuse('store.transact', { code: 'stale-fence', message: 'm', details: { current: 8, op: 'then[1]' } })
    await refused
    const full = expect(store.transact({})).rejects.toMatchObject({ limit: 'storeKeys', value: 4096, op: 'else[0]' })
    await quiet()
    const details = { limit: 'storeKeys', value: 4096, op: 'else[0]' }
    await port.refuse('store.transact', { code: 'limit-exceeded', message: 'm', details })
    await full
  })

  const then = (...then: unknown[]) => ({ then })
  const compare = (...compare: unknown[]) => ({ compare })
  it.each<[string, string, unknown]>([
    ['TypeError', 'ops:', null],
    ['TypeError', 'ops:', 'set'],
    ['TypeError', 'ops:', [{ set: 'a', value: 1 }]],
    ['TypeError', 'ops.then:', { then: {} }],
    ['TypeError', 'ops.else:', { else: null }],
    ['TypeError', 'ops.compare:', { compare: 'a' }],
    ['TypeError', 'ops.compare[0]:', compare(null)],
    ['TypeError', 'ops.compare[0].key:', compare({ revision: 1 })],
    ['TypeError', 'ops.compare[0]: expected one of', compare({ key: 'a' })],
    ['TypeError', 'ops.compare[0]: expected one of', compare({ key: 'a', revision: 1, value: 1 })],
    ['TypeError', 'ops.compare[1].revision:', compare({ key: 'a', revision: 1 }, { key: 'a', revision: '1' })],
    ['RangeError', 'ops.compare[0].revision:', compare({ key: 'a', revision: -1 })],
    ['RangeError', 'ops.compare[0].revision:', compare({ key: 'a', revision: 1.5 })],
    ['TypeError', 'ops.compare[0].is:', compare({ key: 'a', revision: 1, is: '<=' })],
    ['TypeError', 'ops.compare[0].is:', compare({ key: 'a', value: 1, is: '<' })],
    ['TypeError', 'ops.compare[0].is:', compare({ key: 'a', exists: true, is: '=' })],
    ['TypeError', 'ops.compare[0].exists:', compare({ key: 'a', exists: 1 })],
    ['TypeError', 'ops.compare[0].value is', compare({ key: 'a', value: () => {} })],
    ['TypeError', 'ops.then[0]: expected one of', then({ type: 'set', key: 'a' })],
    ['TypeError', 'ops.then[0]: expected one of', then({ set: 'a', get: 'a', value: 1 })],
    ['TypeError', 'ops.then[0].set:', then({ set: 1, value: 1 })],
    ['TypeError', 'ops.then[0].value:', then({ set: 'a' })],
    ['TypeError', 'ops.then[0].value.b is', then({ set: 'a', value: { b: Symbol('s') } })],
    ['TypeError', 'ops.then[0]:', then([])],
    ['TypeError', 'ops.then[0].fence:', then({ set: 'a', value: 1, fence: null })],
    ['TypeError', 'ops.then[0].fence.name:', then({ delete: 'a', fence: {} })],
    ['TypeError', 'ops.then[0].fence.token:', then({ set: 'a', value: 1, fence: { name: 'l', token: -1 } })],
    ['TypeError', 'ops.then[2].delete:', then({ set: 'a', value: 1 }, { get: 'a' }, { delete: 'a' })],
    ['TypeError', 'ops.else[1].set:', { else: [{ delete: 'a' }, { set: 'a', value: 1 }] }],
    ['LimitExceededError', 'ops.then[0].get:', then({ get: 'x'.repeat(10_000) })],
    ['LimitExceededError', 'ops.else[0].value:', { else: [{ set: 'a', value: 'x'.repeat(70_000) }] }],
    ['LimitExceededError', 'ops.then:', { then: Array(129).fill({ get: 'a' }) }],
    [
      'LimitExceededError',
      'ops: expected at most 262144 bytes',
      then(...[1, 2, 3, 4, 5].map((n) => ({ set: `${n}`, value: 'x'.repeat(60_000) }))),
    ],
  ])('bad input is a %s that names it: %s', async (name, message, ops) => {
    const error: unknown = await store.transact(ops as object).catch((error: unknown) => error)
    expect(error).toMatchObject({ name, message: expect.stringContaining(message) })
    expect(port.asked).toEqual([])
  })

  it('the values of the limits are told', async () => {
    const calls = [{ then: Array(129).fill({ get: 'a' }) }, { then: [{ get: 'x'.repeat(1_025) }] }]
    const errors = await Promise.all(calls.map((ops) => store.transact(ops).catch((error: unknown) => error)))
    expect(errors).toMatchObject([
      { limit: 'transactionOps', value: 128 },
      { limit: 'storeKey', value: 1024 },
    ])
  })
})

it.each<[string, string, () => unknown]>([
  ['TypeError', 'prefix:', () => store.entries(1 as never)],
  ['TypeError', 'prefix:', () => store.watch(null as never)],
  ['LimitExceededError', 'prefix:', () => store.watch('x'.repeat(10_000))],
  ['TypeError', 'options:', () => store.watch('', null as never)],
  ['TypeError', 'options:', () => store.entries('', 'local' as never)],
  ['TypeError', 'options.consistency:', () => store.entries('', { consistency: 'eventual' as never })],
  ['TypeError', 'options.from:', () => store.watch('', { from: '7' as never })],
  ['TypeError', 'options.from:', () => store.watch('', { from: null as never })],
  ['RangeError', 'options.from:', () => store.watch('', { from: -1 })],
  ['RangeError', 'options.from:', () => store.watch('', { from: Number.NaN })],
  ['TypeError', 'options.from.place:', () => store.watch('', { from: { revision: 1 } as never })],
  ['TypeError', 'options.signal:', () => store.watch('', { signal: {} as never })],
])('bad input is a %s that names it, and nothing is sent: %s', async (name, message, call) => {
  const error: unknown = await (async () => call())().catch((error: unknown) => error)
  expect(error).toMatchObject({ name, message: expect.stringMatching(`^${message}`) })
  expect([port.asked, port.notices]).toEqual([[], []])
})
