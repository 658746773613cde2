import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeMachine, encodeMachine } from '../machine.js'
import type { Outcome } from '../outcome.js'
import { lock, put, release, roomAt, roomOf, transaction } from '../test-script.js'
import { type Comparison, storeKeyMax, type TransactionOperation, valueBytesMax } from './command.js'
import { itemSize, storeBytesMax, storeKeysMax, transactionBytesMax, transactionOpsMax } from './limits.js'
import { listStore, readStore } from './view.js'

const bytes = (...of: number[]) => Uint8Array.from(of)
const set = (key: string, value = bytes(1), more: object = {}): TransactionOperation => {
  return { type: 'set', key, value, fence: null, ephemeral: false, ...more }
}
const erase = (key: string, more: object = {}): TransactionOperation => ({ type: 'delete', key, fence: null, ...more })
const get = (key: string): TransactionOperation => ({ type: 'get', key })
const tokenOf = (outcome: Outcome | null | undefined) => (outcome?.type === 'lock.granted' ? outcome.token : 0)
const succeededOf = (outcome: Outcome | null | undefined) =>
  outcome?.type === 'store.transacted' ? outcome.succeeded : null

describe('store.transact', () => {
  it('does one list or the other, in one entry of one revision', () => {
    const { script, sessions } = roomOf('ann')
    script.send(sessions.ann, put('a', { value: bytes(7) }))
    const seven = script.index
    const success = [set('b', bytes(8)), get('b'), erase('a'), get('a'), erase('never')]
    const command = transaction({ compare: [{ key: 'a', is: '=', revision: seven }], success, failure: [get('a')] })
    const { outcome, events } = script.send(sessions.ann, command)
    const revision = script.index
    expect(outcome).toEqual({
      type: 'store.transacted',
      revision,
      succeeded: true,
      results: [
        { type: 'set' },
        { type: 'get', record: { value: bytes(8), revision } },
        { type: 'delete', existed: true },
        { type: 'get', record: null },
        { type: 'delete', existed: false },
      ],
    })
    // In the order in which they were done, each with what was there before.
    expect(events).toMatchObject([
      { type: 'store.changed', key: 'b', item: { value: bytes(8), revision }, previous: null },
      { type: 'store.changed', key: 'a', item: null, previous: { value: bytes(7), revision: seven } },
    ])
    const again = script.send(sessions.ann, command)
    expect(again.outcome).toMatchObject({ succeeded: false, results: [{ type: 'get', record: null }] })
    expect(again.events).toEqual([])
  })

  it.each<[string, Comparison, boolean]>([
    ['= its revision', { key: 'k', is: '=', revision: 3 }, false],
    ['!= another revision', { key: 'k', is: '!=', revision: 3 }, true],
    ['< a later revision', { key: 'k', is: '<', revision: 99 }, true],
    ['< an earlier one', { key: 'k', is: '<', revision: 2 }, false],
    ['> an earlier one', { key: 'k', is: '>', revision: 2 }, true],
    ['> a later one', { key: 'k', is: '>', revision: 99 }, false],
    ['= its value', { key: 'k', is: '=', value: bytes(1) }, true],
    ['= another value', { key: 'k', is: '=', value: bytes(2) }, false],
    ['!= another value', { key: 'k', is: '!=', value: bytes(2) }, true],
    ['!= its value', { key: 'k', is: '!=', value: bytes(1) }, false],
    ['= 0 for what is not there', { key: 'none', is: '=', revision: 0 }, true],
    ['< 1 for what is not there', { key: 'none', is: '<', revision: 1 }, true],
    ['> 0 for what is not there', { key: 'none', is: '>', revision: 0 }, false],
    ['= a value of what is not there', { key: 'none', is: '=', value: bytes() }, false],
    ['!= a value of what is not there, as in etcd', { key: 'none', is: '!=', value: bytes(1) }, false],
  ])('compares: %s', (_what, comparison, holds) => {
    const { script, sessions } = roomOf('ann')
    script.send(sessions.ann, put('k'))
    const all = [{ key: 'k', is: '>', revision: 0 } as const, comparison]
    expect(succeededOf(script.send(sessions.ann, transaction({ compare: all })).outcome)).toBe(holds)
  })

  it('without a comparison does the first list', () => {
    const { script, sessions } = roomOf('ann')
    expect(succeededOf(script.send(sessions.ann, transaction()).outcome)).toBe(true)
  })

  it('[T2] is refused whole under a stale fence, of an operation or of its own, and says which', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    const { outcome, number } = script.send(sessions.ann, lock('l'))
    const fence = { name: 'l', token: tokenOf(outcome) }
    const held = transaction({ success: [set('a', bytes(1), { fence }), erase('b', { fence })], fence })
    expect(script.send(sessions.ann, held).outcome).toMatchObject({ succeeded: true })
    expect(script.state.store.items.get('a')?.fence).toEqual(fence)
    script.send(sessions.ann, release(number))
    const later = [set('x'), set('a', bytes(2), { fence })]
    const refused = script.send(sessions.ann, transaction({ success: later }))
    expect(refused.outcome).toMatchObject({
      failure: { code: 'stale-fence', details: { op: 'then[1]', current: null } },
    })
    expect(refused.events).toEqual([])
    const whole = script.send(sessions.ann, transaction({ success: [get('a')], fence })).outcome
    expect(whole).toMatchObject({ failure: { code: 'stale-fence', details: { name: 'l' } } })
    expect(readStore(script.state, 'x')).toBeUndefined()
    expect(readStore(script.state, 'a')?.value).toEqual(bytes(1))
    // A list that is not done has no need of its fences.
    const other = transaction({ compare: [{ key: 'a', is: '=', revision: 0 }], success: later, failure: [get('a')] })
    expect(script.send(sessions.ann, other).outcome).toMatchObject({ succeeded: false })
  })

  it('the fence of the whole is kept with what it wrote', () => {
    const { script, sessions } = roomOf('ann')
    const fence = { name: 'l', token: tokenOf(script.send(sessions.ann, lock('l')).outcome) }
    script.send(sessions.ann, transaction({ success: [set('a')], fence }))
    expect(script.state.store.items.get('a')?.fence).toEqual(fence)
  })

  const big = new Uint8Array(valueBytesMax)
  it.each<[string, object, string | null, Parameters<typeof transaction>[0]]>([
    ['too many', { limit: 'transactionOps', value: transactionOpsMax }, null, { success: Array(129).fill(get('a')) }],
    [
      'too large, both lists together',
      { limit: 'transactionBytes', value: transactionBytesMax },
      null,
      { success: [set('a', big), set('b', big)], failure: [set('a', big), set('b', big)] },
    ],
    [
      'a value too large',
      { limit: 'value', value: valueBytesMax },
      'else[1]',
      { failure: [get('a'), set('b', new Uint8Array(valueBytesMax + 1))] },
    ],
    ['a key too long', { limit: 'storeKey' }, 'then[1]', { success: [set('a'), get('x'.repeat(storeKeyMax + 1))] }],
    [
      'a compared key too long',
      { limit: 'storeKey' },
      'compare[0]',
      { compare: [{ key: 'x'.repeat(storeKeyMax + 1), is: '=', revision: 0 }] },
    ],
  ])('beyond a limit is refused whole: %s', (_what, details, op, options) => {
    const { script, sessions } = roomOf('ann')
    const { outcome, events } = script.send(sessions.ann, transaction(options))
    expect(outcome).toMatchObject({ failure: { code: 'limit-exceeded', details: { ...details, ...(op && { op }) } } })
    expect(events).toEqual([])
    expect(script.state.store).toMatchObject({ size: 0 })
  })

  it('what is full refuses it whole, and what it deletes makes room', () => {
    const { script, sessions } = roomOf('ann')
    for (let i = 0; i < storeKeysMax - 1; i += 1) script.send(sessions.ann, put(`${i}`))
    const two = [set('x'), set('y')]
    const refused = script.send(sessions.ann, transaction({ success: two })).outcome
    expect(refused).toMatchObject({ failure: { details: { limit: 'storeKeys', value: storeKeysMax, op: 'then[1]' } } })
    expect(readStore(script.state, 'x')).toBeUndefined()
    // Whatever the order: they are one step.
    expect(script.send(sessions.ann, transaction({ success: [...two, erase('7')] })).outcome).toMatchObject({
      succeeded: true,
    })
    expect(script.state.store.items.size).toBe(storeKeysMax)
  })

  it('bytes are counted as a whole too', () => {
    const { script, sessions } = roomOf('ann')
    const fit = Math.floor(storeBytesMax / (valueBytesMax + 6))
    for (let i = 0; i < fit; i += 1) script.send(sessions.ann, put(`${100 + i}`, { value: big }))
    const refused = script.send(sessions.ann, transaction({ success: [set('small'), set('more', big)] })).outcome
    expect(refused).toMatchObject({
      failure: { details: { limit: 'storeBytes', value: storeBytesMax, op: 'then[1]' } },
    })
    const swapped = script.send(sessions.ann, transaction({ success: [set('999', big), erase('100')] })).outcome
    expect(swapped).toMatchObject({ succeeded: true })
    expect(script.state.store.size).toBe(fit * (valueBytesMax + 6))
    // What makes room does so wherever it stands: there is none but for what the last one gives back.
    const shrinks = [set('small', big), set('101', new Uint8Array())]
    expect(script.send(sessions.ann, transaction({ success: shrinks.slice(0, 1) })).outcome?.type).toBe('failed')
    for (const success of [shrinks, [set('101', big), set('small', new Uint8Array())]])
      expect(script.send(sessions.ann, transaction({ success })).outcome).toMatchObject({ succeeded: true })
  })

  it('what it reads is bounded too, with what it has just written', () => {
    const { script, sessions } = roomOf('ann')
    for (const key of ['a', 'b', 'c', 'd']) script.send(sessions.ann, put(key, { value: big }))
    const four = ['a', 'b', 'c', 'd'].map(get)
    expect(script.send(sessions.ann, transaction({ success: four })).outcome).toMatchObject({ succeeded: true })
    const failure = { code: 'limit-exceeded', details: { limit: 'transactionBytes', op: 'then[5]' } }
    const five = [set('e', big), ...four, get('e')]
    const refused = script.send(sessions.ann, transaction({ success: five }))
    expect([refused.outcome, refused.events]).toMatchObject([{ failure }, []])
    expect(readStore(script.state, 'e')).toBeUndefined()
    expect(script.send(sessions.ann, transaction({ success: [erase('a'), ...four, get('a')] })).outcome).toMatchObject({
      succeeded: true,
    })
  })

  it.each([[[set('a'), set('b'), set('a')]], [[set('a'), get('a'), erase('a')]], [[erase('a'), erase('a')]]])(
    'a key that is written twice in one list is refused, as etcd does',
    (operations) => {
      const { script, sessions } = roomOf('ann')
      const at = operations.length - 1
      for (const command of [transaction({ success: operations }), transaction({ failure: operations })]) {
        const op = `${command.success.length > 0 ? 'then' : 'else'}[${at}]`
        const { outcome } = script.send(sessions.ann, command)
        expect(outcome).toMatchObject({ failure: { code: 'conflict', details: { op } } })
      }
      const both = transaction({ success: [set('a')], failure: [set('a')] })
      expect(script.send(sessions.ann, both).outcome).toMatchObject({ succeeded: true })
    },
  )

  it('a retry gets the first answer, and nothing happens again', () => {
    const { script, sessions } = roomOf('ann')
    const create = transaction({ compare: [{ key: 'a', is: '=', revision: 0 }], success: [set('a')] })
    const { number, outcome } = script.send(sessions.ann, create)
    expect(script.resend(sessions.ann, number, create)).toMatchObject({ answer: { outcome }, events: [] })
    expect(succeededOf(outcome)).toBe(true)
  })

  it('[F5] is refused in a room whose machine is of the first version', () => {
    const { script, sessions } = roomAt(1, 'ann')
    const { outcome } = script.send(sessions.ann, transaction({ success: [set('a')] }))
    expect(outcome).toMatchObject({ failure: { code: 'incompatible-peer', details: { needs: 2, version: 1 } } })
    expect(readStore(script.state, 'a')).toBeUndefined()
  })
})

describe('an ephemeral key, as a key with a lease in etcd', () => {
  const owners = (state: Parameters<typeof listStore>[0]) =>
    listStore(state, '').map(({ key, ephemeral }) => `${key}${ephemeral ? ' ephemeral' : ''}`)
  const ephemeral = { ephemeral: true }

  it('belongs to the session that wrote it last, and to none once it is written otherwise', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    for (const key of ['plain', 'swapped', 'taken', 'transacted', 'z'])
      script.send(sessions.ann, transaction({ success: [set(key, bytes(1), ephemeral)] }))
    script.send(sessions.ann, put('plain'))
    script.send(sessions.ann, {
      type: 'store.compareAndSet',
      key: 'swapped',
      expected: { value: bytes(1) },
      next: bytes(2),
    })
    script.send(sessions.bob, put('taken', ephemeral))
    script.send(sessions.bob, transaction({ success: [set('transacted')] }))
    expect(owners(script.state)).toEqual(['plain', 'swapped', 'taken ephemeral', 'transacted', 'z ephemeral'])
    script.expire(sessions.ann, 1e9)
    expect(owners(script.state)).toEqual(['plain', 'swapped', 'taken ephemeral', 'transacted'])
    script.close('bob')
    expect(owners(script.state)).toEqual(['plain', 'swapped', 'transacted'])
  })

  it.each([
    ['closes', (script: ReturnType<typeof roomOf>['script']) => script.close('ann')],
    ['expires', (script: ReturnType<typeof roomOf>['script']) => script.expire(4, 1e9)],
    ['is replaced, as by a reload', (script: ReturnType<typeof roomOf>['script']) => script.tryOpen('ann', 2, 1)],
  ])('is deleted when its session %s, in the order of keys, and says what it was', (_how, end) => {
    const { script, sessions } = roomOf('bob', 'ann')
    expect(sessions.ann).toBe(4)
    for (const key of ['z', 'a']) script.send(sessions.ann, put(key, ephemeral))
    const changes = end(script).events.flatMap((event) => (event.type === 'store.changed' ? [event] : []))
    expect(changes).toMatchObject([
      { key: 'a', item: null, previous: { value: bytes(1) } },
      { key: 'z', item: null, previous: { session: sessions.ann } },
    ])
  })
})

// A store once more, as a plain map of whole copies: a transaction is tried on a copy, which is kept or thrown away.

const keys = ['a', 'b', 'c', 'aa'] as const
const key = fc.constantFrom(...keys)
const value = fc.constantFrom(bytes(), bytes(1), bytes(2))
const operation: fc.Arbitrary<TransactionOperation> = fc.oneof(
  fc.tuple(key, value, fc.boolean()).map(([key, value, ephemeral]) => set(key, value, { ephemeral })),
  key.map((key) => erase(key)),
  key.map(get),
)
const comparison: fc.Arbitrary<Comparison> = fc.oneof(
  fc.record({ key, is: fc.constantFrom('=', '!=', '<', '>'), revision: fc.constantFrom(0, 0, 4, 6, 9, 14) }),
  fc.record({ key, is: fc.constantFrom('=', '!='), value }),
)
const step = fc.record({
  by: fc.constantFrom('ann', 'bob'),
  compare: fc.array(comparison, { maxLength: 2 }),
  success: fc.array(operation, { maxLength: 4 }),
  failure: fc.array(operation, { maxLength: 3 }),
  ends: fc.nat(9).map((n) => n === 0),
})
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never
type Model = Map<string, { value: Uint8Array; revision: number; owner: string | null }>

function expectation(model: Model, { compare, success, failure, by }: Step, index: number) {
  const succeeded = compare.every((one) => {
    const found = model.get(one.key)
    if ('value' in one) return found ? (String(found.value) === String(one.value)) === (one.is === '=') : false
    const order = Math.sign((found?.revision ?? 0) - one.revision)
    return { '=': order === 0, '!=': order !== 0, '<': order < 0, '>': order > 0 }[one.is]
  })
  const next: Model = new Map(model)
  const results: string[] = []
  for (const one of succeeded ? success : failure) {
    if (one.type === 'get') results.push(String(next.get(one.key)?.value ?? 'none'))
    else {
      results.push(String(next.delete(one.key)))
      if (one.type === 'set') next.set(one.key, { value: one.value, revision: index, owner: one.ephemeral ? by : null })
    }
  }
  const isTwice = [success, failure].some((list) => {
    const writes = list.filter(({ type }) => type !== 'get').map(({ key }) => key)
    return new Set(writes).size < writes.length
  })
  return isTwice ? { succeeded: null, results: [], next: model } : { succeeded, results, next }
}

it('[S-10] does what a plain map does, and a store that was restored goes on alike', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 25, size: 'max' }), fc.nat(5), (steps, cut) => {
      const { script } = roomOf()
      const lives = new Map([
        ['ann', 1],
        ['bob', 1],
      ])
      const sessions = new Map([...lives.keys()].map((peer) => [peer, script.open(peer)]))
      let model: Model = new Map()
      for (const [i, one] of steps.entries()) {
        if (one.ends) {
          const life = (lives.get(one.by) ?? 0) + 1
          lives.set(one.by, life)
          sessions.set(one.by, script.open(one.by, life))
          model = new Map([...model].filter(([, { owner }]) => owner !== one.by))
        }
        const { compare, success, failure } = one
        const command = transaction({ compare, success, failure })
        const expected = expectation(model, one, script.index + 1)
        const { outcome } = script.send(sessions.get(one.by) ?? 0, command)
        model = expected.next
        expect(succeededOf(outcome)).toBe(expected.succeeded)
        const results = outcome?.type === 'store.transacted' ? outcome.results : []
        for (const [j, result] of results.entries()) {
          if (result.type === 'get') expect(String(result.record?.value ?? 'none')).toBe(expected.results[j])
          if (result.type === 'delete') expect(String(result.existed)).toBe(expected.results[j])
        }
        expect(listStore(script.state, '')).toEqual(
          [...model]
            .sort(([a], [b]) => (a < b ? -1 : 1))
            .map(([key, { value, revision, owner }]) => ({ key, value, revision, ephemeral: owner !== null })),
        )
        const size = [...model].reduce((sum, [key, { value }]) => sum + itemSize(key, value), 0)
        expect(script.state.store.size).toBe(size)
        if (i % (cut + 1) === 0) script.state = decodeMachine(encodeMachine(script.state))
      }
    }),
    { numRuns: 150 },
  )
})
