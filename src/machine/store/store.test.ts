import { describe, expect, it } from 'vitest'
import type { Outcome } from '../outcome.js'
import { lock, put, release, roomOf, swap } from '../test-script.js'
import { type FenceCheck, storeKeyMax, valueBytesMax } from './command.js'
import { storeBytesMax, storeKeysMax } from './limits.js'
import { readStore } from './view.js'

const erase = (key: string, fence: FenceCheck | null = null) => ({ type: 'store.delete', key, fence }) as const
const tokenOf = (outcome: Outcome | null | undefined) => (outcome?.type === 'lock.granted' ? outcome.token : 0)

describe('store.set and store.delete', () => {
  it('a revision is the index of the entry that wrote', () => {
    const { script, sessions } = roomOf('ann')
    const { outcome, events } = script.send(sessions.ann, put('k', { value: Uint8Array.of(4, 2) }))
    expect(outcome).toEqual({ type: 'store.set', revision: script.index })
    expect(events).toMatchObject([{ type: 'store.changed', key: 'k' }])
    expect(readStore(script.state, 'k')).toEqual({ value: Uint8Array.of(4, 2), revision: script.index })
  })

  it('deletes, and says whether there was something', () => {
    const { script, sessions } = roomOf('ann')
    script.send(sessions.ann, put('k'))
    const first = script.send(sessions.ann, erase('k'))
    expect(first.outcome).toEqual({ type: 'store.deleted', revision: script.index, existed: true })
    expect(first.events).toMatchObject([{ type: 'store.changed', key: 'k' }])
    const second = script.send(sessions.ann, erase('k'))
    expect(second.outcome).toEqual({ type: 'store.deleted', revision: script.index, existed: false })
    expect(second.events).toEqual([])
    expect(readStore(script.state, 'k')).toBeUndefined()
  })

  it('ephemeral items end with the session that wrote them last', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    for (const key of ['z', 'mine', 'kept', 'taken']) script.send(sessions.ann, put(key, { ephemeral: true }))
    script.send(sessions.ann, put('kept'))
    script.send(sessions.bob, put('taken', { ephemeral: true }))
    const { events } = script.close('ann')
    expect(events.flatMap((event) => (event.type === 'store.changed' ? [event.key] : []))).toEqual(['mine', 'z'])
    expect(readStore(script.state, 'kept')).toBeDefined()
    script.close('bob')
    expect(readStore(script.state, 'taken')).toBeUndefined()
  })
})

describe('store.compareAndSet', () => {
  const swapped = (revision: number) => ({ type: 'store.compared', revision, swapped: true })
  const kept = (revision: number) => ({ type: 'store.compared', revision, swapped: false })

  it('sets a key of the expected revision, under the index of the entry', () => {
    const { script, sessions } = roomOf('ann')
    script.send(sessions.ann, put('k'))
    const { outcome, events } = script.send(sessions.ann, swap('k', { revision: script.index }, Uint8Array.of(4, 2)))
    expect(outcome).toEqual(swapped(script.index))
    expect(events).toMatchObject([{ type: 'store.changed', key: 'k' }])
    expect(readStore(script.state, 'k')).toEqual({ value: Uint8Array.of(4, 2), revision: script.index })
    expect(script.state.store.size).toBe(2 + 2)
  })

  it('leaves a key of any other revision as it is, and tells nobody', () => {
    const { script, sessions } = roomOf('ann')
    script.send(sessions.ann, put('k'))
    const { index } = script
    for (const revision of [index - 1, index + 1, index + 2, 0, Number.MAX_SAFE_INTEGER]) {
      const { outcome, events } = script.send(sessions.ann, swap('k', { revision }))
      expect([outcome, events]).toEqual([kept(script.index), []])
    }
    expect(readStore(script.state, 'k')).toEqual({ value: Uint8Array.of(1), revision: index })
  })

  it('revision 0 is that of a key that is not there: never written, or deleted', () => {
    const { script, sessions } = roomOf('ann')
    expect(script.send(sessions.ann, swap('k', { revision: 0 })).outcome).toEqual(swapped(script.index))
    expect(script.send(sessions.ann, swap('k', { revision: 0 })).outcome).toEqual(kept(script.index))
    const last = script.index - 1
    script.send(sessions.ann, erase('k'))
    expect(script.send(sessions.ann, swap('k', { revision: last })).outcome).toEqual(kept(script.index))
    expect(script.send(sessions.ann, swap('k', { revision: 0 })).outcome).toEqual(swapped(script.index))
  })

  it.each([
    { expected: [1], equal: true },
    { expected: [2], equal: false },
    { expected: [], equal: false },
    { expected: [1, 0], equal: false },
  ])('the value 1 is compared with $expected byte by byte', ({ expected, equal }) => {
    const { script, sessions } = roomOf('ann')
    script.send(sessions.ann, put('k'))
    const { outcome, events } = script.send(sessions.ann, swap('k', { value: Uint8Array.from(expected) }))
    expect(outcome).toEqual(equal ? swapped(script.index) : kept(script.index))
    expect(events).toHaveLength(equal ? 1 : 0)
    expect(readStore(script.state, 'k')?.value).toEqual(Uint8Array.of(equal ? 2 : 1))
  })

  it('a key that is not there equals no value, not even an empty one', () => {
    const { script, sessions } = roomOf('ann')
    const value = new Uint8Array()
    expect(script.send(sessions.ann, swap('k', { value })).outcome).toEqual(kept(script.index))
    script.send(sessions.ann, put('k', { value }))
    expect(script.send(sessions.ann, swap('k', { value })).outcome).toEqual(swapped(script.index))
  })

  it('an equal value that was written in between is another revision', () => {
    const { script, sessions } = roomOf('ann')
    script.send(sessions.ann, put('k'))
    const read = script.index
    script.send(sessions.ann, put('k', { value: Uint8Array.of(9) }))
    script.send(sessions.ann, put('k'))
    expect(script.send(sessions.ann, swap('k', { revision: read })).outcome).toEqual(kept(script.index))
    expect(script.send(sessions.ann, swap('k', { value: Uint8Array.of(1) })).outcome).toEqual(swapped(script.index))
  })

  it('what was ephemeral stays from then on, unless nothing was set', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    for (const key of ['set', 'kept']) script.send(sessions.ann, put(key, { ephemeral: true }))
    script.send(sessions.bob, swap('set', { value: Uint8Array.of(1) }))
    script.send(sessions.bob, swap('kept', { value: Uint8Array.of(7) }))
    script.close('ann')
    expect(readStore(script.state, 'set')).toBeDefined()
    expect(readStore(script.state, 'kept')).toBeUndefined()
  })

  it('[T2] keeps the newest token of a key, as a write without a fence does', () => {
    const { script, sessions } = roomOf('ann')
    const token = tokenOf(script.send(sessions.ann, lock('a')).outcome)
    script.send(sessions.ann, put('k', { fence: { name: 'a', token } }))
    script.send(sessions.ann, swap('k', { revision: script.index }))
    expect(script.state.store.items.get('k')?.fence).toEqual({ name: 'a', token })
  })

  it('[S-2] a retry gets the first answer, whatever the key is by then', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    const command = swap('k', { revision: 0 })
    const { number, outcome } = script.send(sessions.ann, command)
    script.send(sessions.bob, erase('k'))
    const retried = script.resend(sessions.ann, number, command)
    expect(retried).toMatchObject({ answer: { outcome }, events: [] })
    expect(readStore(script.state, 'k')).toBeUndefined()
  })

  it('of many that expect one revision, one sets', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.send(sessions.ann, put('k'))
    const expected = { revision: script.index }
    const answers = [sessions.ann, sessions.bob, sessions.ann].map(
      (one) => script.send(one, swap('k', expected)).outcome,
    )
    const { index } = script
    expect(answers).toEqual([swapped(index - 2), kept(index - 1), kept(index)])
  })
})

describe('[T2] fences', () => {
  it('let through who holds the lock under that very token', () => {
    const { script, sessions } = roomOf('ann')
    const token = tokenOf(script.send(sessions.ann, lock('a')).outcome)
    expect(script.send(sessions.ann, put('k', { fence: { name: 'a', token } })).outcome).toMatchObject({
      type: 'store.set',
    })
    expect(script.state.store.items.get('k')?.fence).toEqual({ name: 'a', token })
    expect(script.send(sessions.ann, erase('k', { name: 'a', token })).outcome).toMatchObject({ type: 'store.deleted' })
  })

  it('refuse the token of a lock that is free again, though no newer one wrote', () => {
    const { script, sessions } = roomOf('ann')
    const token = tokenOf(script.send(sessions.ann, lock('a')).outcome)
    script.send(sessions.ann, release(1))
    const { outcome, events } = script.send(sessions.ann, put('k', { fence: { name: 'a', token } }))
    expect(outcome).toMatchObject({
      type: 'failed',
      failure: { code: 'stale-fence', details: { name: 'a', token, current: null } },
    })
    expect(events).toEqual([])
    expect(readStore(script.state, 'k')).toBeUndefined()
  })

  it.each([
    { how: 'expiry', lose: 'expire' },
    { how: 'a steal', lose: 'steal' },
    { how: 'goodbye', lose: 'close' },
  ] as const)('refuse the token of a lock that was lost by $how', ({ lose }) => {
    const { script, sessions } = roomOf('ann', 'bob')
    const token = tokenOf(script.send(sessions.ann, lock('a', { lease: 3_000 })).outcome)
    script.send(sessions.bob, lock('a', { steal: lose === 'steal' }))
    if (lose === 'expire') script.expire(sessions.ann, 3_000)
    if (lose === 'close') script.close('ann')
    const current = 1000 + script.index
    const writer = lose === 'close' ? sessions.bob : sessions.ann
    for (const command of [put('k', { fence: { name: 'a', token } }), erase('k', { name: 'a', token })]) {
      expect(script.send(writer, command).outcome).toMatchObject({
        failure: { code: 'stale-fence', details: { current } },
      })
    }
  })

  it('let through a share by its first token and by each holder’s own', () => {
    const { script, sessions } = roomOf('ann', 'bob', 'cid')
    const first = tokenOf(script.send(sessions.ann, lock('a', { mode: 'shared' })).outcome)
    const second = tokenOf(script.send(sessions.bob, lock('a', { mode: 'shared' })).outcome)
    script.send(sessions.ann, release(1))
    for (const token of [second, first]) {
      const { outcome } = script.send(sessions.cid, put('k', { fence: { name: 'a', token } }))
      expect(outcome).toMatchObject({ type: 'store.set' })
    }
    expect(script.state.store.items.get('k')?.fence?.token).toBe(second)
    expect(script.send(sessions.cid, put('k', { fence: { name: 'a', token: second + 1 } })).outcome).toMatchObject({
      failure: { details: { current: first } },
    })
  })

  it('keep the newest token of a key through writes without one', () => {
    const { script, sessions } = roomOf('ann')
    const token = tokenOf(script.send(sessions.ann, lock('a')).outcome)
    script.send(sessions.ann, put('k', { fence: { name: 'a', token } }))
    script.send(sessions.ann, put('k'))
    expect(script.state.store.items.get('k')?.fence).toEqual({ name: 'a', token })
  })
})

describe('limits', () => {
  it.each([
    { limit: 'storeKey', value: storeKeyMax, command: put('x'.repeat(storeKeyMax + 1)) },
    { limit: 'storeKey', value: storeKeyMax, command: erase('x'.repeat(storeKeyMax + 1)) },
    { limit: 'value', value: valueBytesMax, command: put('k', { value: new Uint8Array(valueBytesMax + 1) }) },
    { limit: 'storeKey', value: storeKeyMax, command: swap('x'.repeat(storeKeyMax + 1), { revision: 0 }) },
    { limit: 'value', value: valueBytesMax, command: swap('k', { revision: 9 }, new Uint8Array(valueBytesMax + 1)) },
    { limit: 'value', value: valueBytesMax, command: swap('k', { value: new Uint8Array(valueBytesMax + 1) }) },
  ])('a command beyond `$limit` is answered and changes nothing', ({ limit, value, command }) => {
    const { script, sessions } = roomOf('ann')
    script.send(sessions.ann, put('k'))
    const { outcome, events } = script.send(sessions.ann, command)
    expect(outcome).toMatchObject({ failure: { code: 'limit-exceeded', details: { limit, value } } })
    expect(events).toEqual([])
    expect(script.state.store.size).toBe(3)
  })

  it('keys are counted, and a key that exists may still be written', () => {
    const { script, sessions } = roomOf('ann')
    for (let i = 0; i < storeKeysMax; i += 1) script.send(sessions.ann, put(`${i}`))
    expect(script.send(sessions.ann, put('more')).outcome).toMatchObject({
      failure: { details: { limit: 'storeKeys' } },
    })
    expect(script.send(sessions.ann, swap('more', { revision: 0 })).outcome).toMatchObject({
      failure: { details: { limit: 'storeKeys' } },
    })
    // What does not match has no need of room.
    expect(script.send(sessions.ann, swap('more', { revision: 1 })).outcome).toMatchObject({ swapped: false })
    expect(script.send(sessions.ann, swap('8', { value: Uint8Array.of(1) })).outcome).toMatchObject({ swapped: true })
    expect(script.send(sessions.ann, put('7')).outcome).toMatchObject({ type: 'store.set' })
    script.send(sessions.ann, erase('7'))
    expect(script.send(sessions.ann, put('more')).outcome).toMatchObject({ type: 'store.set' })
  })

  it('bytes are counted, keys at two per code unit', () => {
    const { script, sessions } = roomOf('ann')
    const value = new Uint8Array(valueBytesMax)
    const fit = Math.floor(storeBytesMax / (valueBytesMax + 6))
    for (let i = 0; i < fit; i += 1) script.send(sessions.ann, put(`${100 + i}`, { value }))
    expect(script.state.store.size).toBe(fit * (valueBytesMax + 6))
    expect(script.send(sessions.ann, put('more', { value })).outcome).toMatchObject({
      failure: { details: { limit: 'storeBytes', value: storeBytesMax } },
    })
    const { outcome } = script.send(sessions.ann, swap('more', { revision: 0 }, value))
    expect(outcome).toMatchObject({ failure: { details: { limit: 'storeBytes', value: storeBytesMax } } })
    expect(readStore(script.state, 'more')).toBeUndefined()
    expect(script.send(sessions.ann, put('100', { value })).outcome).toMatchObject({ type: 'store.set' })
    script.send(sessions.ann, erase('100'))
    expect(script.send(sessions.ann, put('101', { value: new Uint8Array() })).outcome).toMatchObject({
      type: 'store.set',
    })
    expect(script.state.store.size).toBe((fit - 2) * (valueBytesMax + 6) + 6)
  })
})
