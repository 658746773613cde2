import { describe, expect, it } from 'vitest'
import { encodeMachine } from '../machine.js'
import { defaultLimits, defaultSettings } from '../settings.js'
import { lock, release, roomOf, Script, testTokenBase } from '../test-script.js'
import { lockNameMax } from './command.js'
import { currentToken, isHeldUnder } from './fence.js'
import { lockLeaseMax } from './limits.js'
import { findLock, observeLock, queryLocks, requestState } from './view.js'

const shared = { mode: 'shared' } as const

describe('lock.request', () => {
  it('[T1] grants a free lock at once with token base + index', () => {
    const { script, sessions } = roomOf('ann')
    script.time = 70
    const { outcome, events } = script.send(sessions.ann, lock('a'))
    expect(outcome).toEqual({ type: 'lock.granted', token: testTokenBase + script.index, since: 70 })
    expect(events).toEqual([{ type: 'lock.changed', name: 'a' }])
  })

  it('queues behind an exclusive holder, first come first served', () => {
    const { script, sessions } = roomOf('ann', 'bob', 'cid')
    const held = script.send(sessions.ann, lock('a'))
    expect(script.send(sessions.cid, lock('a')).outcome).toEqual({ type: 'lock.queued' })
    expect(script.send(sessions.bob, lock('a')).outcome).toEqual({ type: 'lock.queued' })
    const { events } = script.send(sessions.ann, release(held.number))
    expect(events).toMatchObject([
      { type: 'lock.granted', session: sessions.cid, request: 1, token: testTokenBase + script.index },
      { type: 'lock.changed', name: 'a' },
    ])
  })

  it('queues behind itself: every request is its own owner', () => {
    const { script, sessions } = roomOf('ann')
    script.send(sessions.ann, lock('a'))
    expect(script.send(sessions.ann, lock('a')).outcome).toEqual({ type: 'lock.queued' })
  })

  it('shared ones share; one behind a waiting exclusive one waits', () => {
    const { script, sessions } = roomOf('ann', 'bob', 'cid')
    expect(script.send(sessions.ann, lock('a', shared)).outcome).toMatchObject({ type: 'lock.granted' })
    expect(script.send(sessions.bob, lock('a', shared)).outcome).toMatchObject({ type: 'lock.granted' })
    expect(script.send(sessions.cid, lock('a')).outcome).toEqual({ type: 'lock.queued' })
    expect(script.send(sessions.bob, lock('a', shared)).outcome).toEqual({ type: 'lock.queued' })
  })

  it('grants consecutive shared waiters together, up to the next exclusive one', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.send(sessions.ann, lock('a'))
    for (const mode of ['shared', 'shared', 'exclusive', 'shared'] as const)
      script.send(sessions.bob, lock('a', { mode }))
    const { events } = script.send(sessions.ann, release(1))
    expect(events.flatMap((event) => (event.type === 'lock.granted' ? [event.request] : []))).toEqual([1, 2])
  })

  it('ifAvailable is never queued', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    expect(script.send(sessions.ann, lock('a', { ifAvailable: true })).outcome).toMatchObject({ type: 'lock.granted' })
    const before = observeLock(script.state, 'a')
    const refused = script.send(sessions.bob, lock('a', { ifAvailable: true }))
    expect(refused.outcome).toEqual({ type: 'lock.unavailable' })
    expect(refused.events).toEqual([])
    expect(observeLock(script.state, 'a')).toEqual(before)
  })

  it('ifAvailable shared is unavailable behind a waiting exclusive one', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.send(sessions.ann, lock('a', shared))
    script.send(sessions.bob, lock('a'))
    const late = script.send(sessions.ann, lock('a', { ...shared, ifAvailable: true }))
    expect(late.outcome).toEqual({ type: 'lock.unavailable' })
  })

  it('steal takes it from every holder, also from the thief itself, ahead of the queue', () => {
    const { script, sessions } = roomOf('ann', 'bob', 'cid')
    script.send(sessions.ann, lock('a', shared))
    script.send(sessions.bob, lock('a', shared))
    script.send(sessions.cid, lock('a'))
    const { outcome, events, number } = script.send(sessions.bob, lock('a', { steal: true }))
    expect(outcome).toMatchObject({ type: 'lock.granted', token: testTokenBase + script.index })
    expect(events).toEqual([
      { type: 'lock.lost', session: sessions.ann, request: 1, name: 'a', reason: 'stolen' },
      { type: 'lock.lost', session: sessions.bob, request: 1, name: 'a', reason: 'stolen' },
      { type: 'lock.changed', name: 'a' },
    ])
    const { holders, waiters } = observeLock(script.state, 'a')
    expect(holders.map(({ session, request }) => [session, request])).toEqual([[sessions.bob, number]])
    expect(waiters.map(({ session }) => session)).toEqual([sessions.cid])
  })

  it('steal of a free lock is a grant', () => {
    const { script, sessions } = roomOf('ann')
    const { outcome, events } = script.send(sessions.ann, lock('a', { steal: true }))
    expect(outcome).toMatchObject({ type: 'lock.granted' })
    expect(events).toEqual([{ type: 'lock.changed', name: 'a' }])
  })

  it('a shared steal lets in the shared ones at the head of the queue', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.send(sessions.ann, lock('a'))
    script.send(sessions.bob, lock('a', shared))
    const { events } = script.send(sessions.ann, lock('a', { ...shared, steal: true }))
    expect(events.map((event) => event.type)).toEqual(['lock.lost', 'lock.granted', 'lock.changed'])
  })
})

describe('lock.release', () => {
  it('[S-9] of a waiting request leaves the queue; shared ones behind it may go', () => {
    const { script, sessions } = roomOf('ann', 'bob', 'cid')
    script.send(sessions.ann, lock('a', shared))
    const waiting = script.send(sessions.bob, lock('a'))
    script.send(sessions.cid, lock('a', shared))
    const { outcome, events } = script.send(sessions.bob, release(waiting.number))
    expect(outcome).toEqual({ type: 'lock.released' })
    expect(events).toMatchObject([{ type: 'lock.granted', session: sessions.cid }, { type: 'lock.changed' }])
  })

  it('[S-9] releases what was granted meanwhile, and is harmless twice', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.send(sessions.ann, lock('a'))
    script.send(sessions.bob, lock('a'))
    script.send(sessions.ann, release(1))
    expect(script.send(sessions.bob, release(1)).outcome).toEqual({ type: 'lock.released' })
    expect(queryLocks(script.state)).toEqual({ held: [], pending: [] })
    const again = script.send(sessions.bob, release(1))
    expect([again.outcome, again.events]).toEqual([{ type: 'lock.released' }, []])
  })

  it('[S-9] does not touch the request of another session with the same number', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.send(sessions.ann, lock('a'))
    script.send(sessions.bob, release(1))
    expect(requestState(script.state, sessions.ann, 1)).toMatchObject({ type: 'held' })
  })
})

describe('limits', () => {
  function smallRoom() {
    const script = new Script()
    script.found({ ...defaultSettings, limits: { ...defaultLimits, locks: 2, lockQueue: 1 } })
    return { script, ann: script.open('ann') }
  }

  it.each([
    { limit: 'lockName', value: lockNameMax, command: lock('x'.repeat(lockNameMax + 1)) },
    { limit: 'lease', value: lockLeaseMax, command: lock('a', { lease: lockLeaseMax + 1 }) },
    { limit: 'lease', value: lockLeaseMax, command: lock('a', { lease: 0 }) },
    { limit: 'lease', value: lockLeaseMax, command: lock('a', { lease: -5 }) },
    { limit: 'attributes', value: 65_536, command: lock('a', { attributes: new Uint8Array(65_537) }) },
    { limit: 'locks', value: 2, command: lock('third') },
    { limit: 'lockQueue', value: 1, command: lock('full') },
  ])('a request beyond `$limit` is answered and changes nothing', ({ limit, value, command }) => {
    const { script, ann } = smallRoom()
    for (const name of ['full', 'full', 'other']) script.send(ann, lock(name))
    const before = queryLocks(script.state)
    const { outcome, events } = script.send(ann, command)
    expect(outcome).toMatchObject({ type: 'failed', failure: { code: 'limit-exceeded', details: { limit, value } } })
    expect(events).toEqual([])
    expect(queryLocks(script.state)).toEqual(before)
  })

  it('a name that nobody uses any more leaves room for another one', () => {
    const { script, ann } = smallRoom()
    const first = script.send(ann, lock('a'))
    script.send(ann, lock('b'))
    expect(script.send(ann, lock('c')).outcome).toMatchObject({ type: 'failed' })
    script.send(ann, release(first.number))
    expect(script.send(ann, lock('c')).outcome).toMatchObject({ type: 'lock.granted' })
  })

  it('a full queue does not keep away what would not wait', () => {
    const { script, ann } = smallRoom()
    for (let i = 0; i < 2; i += 1) script.send(ann, lock('a'))
    expect(script.send(ann, lock('a', { ifAvailable: true })).outcome).toEqual({ type: 'lock.unavailable' })
    expect(script.send(ann, lock('a', { steal: true })).outcome).toMatchObject({ type: 'lock.granted' })
  })
})

describe('tokens', () => {
  it('[T1] rise with every grant of a name', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    const tokens: number[] = []
    for (let i = 0; i < 3; i += 1) {
      const held = script.send(sessions.ann, lock('a'))
      if (held.outcome?.type === 'lock.granted') tokens.push(held.outcome.token)
      script.send(sessions.bob, lock('a', { steal: true }))
      tokens.push(currentToken(script.state, 'a') ?? 0)
      script.close('bob')
      sessions.bob = script.open('bob', i + 2)
    }
    expect(tokens).toHaveLength(6)
    expect(tokens).toEqual([...new Set(tokens)].sort((a, b) => a - b))
  })

  it('[T2] a share is known by its first token until its last holder is gone', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.send(sessions.ann, lock('a', shared))
    const first = testTokenBase + script.index
    script.send(sessions.bob, lock('a', shared))
    const second = testTokenBase + script.index
    script.send(sessions.ann, release(1))
    expect(currentToken(script.state, 'a')).toBe(first)
    expect([first, second].map((token) => isHeldUnder(script.state, 'a', token))).toEqual([true, true])
    script.send(sessions.bob, release(1))
    expect(currentToken(script.state, 'a')).toBeNull()
    expect([first, second].map((token) => isHeldUnder(script.state, 'a', token))).toEqual([false, false])
    script.send(sessions.ann, lock('a', shared))
    expect(currentToken(script.state, 'a')).toBe(testTokenBase + script.index)
  })

  it('[T2] a share that ends and one that begins within one entry are two', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.send(sessions.ann, lock('a', shared))
    const old = testTokenBase + script.index
    script.send(sessions.ann, lock('a'))
    script.send(sessions.bob, lock('a', shared))
    script.close('ann')
    expect(currentToken(script.state, 'a')).toBe(testTokenBase + script.index)
    expect(isHeldUnder(script.state, 'a', old)).toBe(false)
    script.send(sessions.bob, lock('a', { ...shared, steal: true }))
    expect(currentToken(script.state, 'a')).toBe(testTokenBase + script.index)
  })

  it('[T2] the token of a holder of a share that has left alone is worth nothing, unless it was the first', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.send(sessions.ann, lock('a', shared))
    script.send(sessions.bob, lock('a', shared))
    const second = testTokenBase + script.index
    script.send(sessions.bob, release(1))
    expect(isHeldUnder(script.state, 'a', second)).toBe(false)
  })
})

describe('views', () => {
  it('show holders in the order of grants and waiters in the order of requests', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.time = 5
    script.send(sessions.ann, lock('b', { attributes: Uint8Array.of(7) }))
    script.send(sessions.bob, lock('b'))
    script.send(sessions.ann, lock('a', shared))
    script.time = 9
    script.send(sessions.bob, lock('a'))
    script.send(sessions.ann, lock('b'))
    const { held, pending } = queryLocks(script.state)
    expect(held.map(({ name, peerId, since, position }) => [name, peerId, since, position])).toEqual([
      ['b', 'ann', 5, 0],
      ['a', 'ann', 5, 0],
    ])
    expect(held[0]?.attributes).toEqual(Uint8Array.of(7))
    expect(pending.map(({ name, peerId, since, position, token }) => [name, peerId, since, position, token])).toEqual([
      ['b', 'bob', 5, 1, 0],
      ['a', 'bob', 9, 1, 0],
      ['b', 'ann', 9, 2, 0],
    ])
  })

  it('[S-10] tell what has become of a request', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.send(sessions.ann, lock('a'))
    const token = testTokenBase + script.index
    script.send(sessions.bob, lock('a'))
    expect(requestState(script.state, sessions.ann, 1)).toEqual({ type: 'held', token, since: 0 })
    expect(requestState(script.state, sessions.bob, 1)).toEqual({ type: 'queued' })
    expect(requestState(script.state, sessions.bob, 2)).toEqual({ type: 'gone' })
    expect(findLock(script.state, sessions.bob, 1)).toMatchObject({ name: 'a', peerId: 'bob', position: 1 })
    expect(findLock(script.state, 99, 1)).toBeNull()
  })

  it('change nothing', () => {
    const { script, sessions } = roomOf('ann')
    const before = encodeMachine(script.state)
    observeLock(script.state, 'nobody')
    findLock(script.state, sessions.ann, 3)
    queryLocks(script.state)
    expect(encodeMachine(script.state)).toEqual(before)
  })
})

it('names with NUL, lone surrogates and a byte order mark are names of their own', () => {
  const { script, sessions } = roomOf('ann')
  const names = ['\0', '', '\ud800', '\udfff', '\ufffd', '\ufeffa', 'a', '\ud83d\ude00', '__proto__', 'constructor']
  for (const name of names) {
    expect(script.send(sessions.ann, lock(name)).outcome).toMatchObject({ type: 'lock.granted' })
  }
  expect(queryLocks(script.state).held.map((view) => view.name)).toEqual(names)
})
