import { describe, expect, it } from 'vitest'
import type { Outcome } from '../outcome.js'
import { lock, put, release, roomOf } from '../test-script.js'
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
    expect(events).toEqual([{ type: 'store.changed', key: 'k' }])
    expect(readStore(script.state, 'k')).toEqual({ value: Uint8Array.of(4, 2), revision: script.index })
  })

  it('deletes, and says whether there was something', () => {
    const { script, sessions } = roomOf('ann')
    script.send(sessions.ann, put('k'))
    const first = script.send(sessions.ann, erase('k'))
    expect(first.outcome).toEqual({ type: 'store.deleted', revision: script.index, existed: true })
    expect(first.events).toEqual([{ type: 'store.changed', key: 'k' }])
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
    expect(script.send(sessions.ann, put('100', { value })).outcome).toMatchObject({ type: 'store.set' })
    script.send(sessions.ann, erase('100'))
    expect(script.send(sessions.ann, put('101', { value: new Uint8Array() })).outcome).toMatchObject({
      type: 'store.set',
    })
    expect(script.state.store.size).toBe((fit - 2) * (valueBytesMax + 6) + 6)
  })
})
