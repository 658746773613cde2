import { describe, expect, it } from 'vitest'
import { observeLock } from '../lock/view.js'
import { defaultSettings } from '../settings.js'
import { readStore } from '../store/view.js'
import { lock, put, release, roomOf, Script } from '../test-script.js'
import { answersMax, peersMax } from './limits.js'
import { findSession, findSessionOfPeer, listSessions, longestLease, nextLease, pendingExpiry } from './view.js'

describe('open', () => {
  it('[S-1] gives a session whose id is the index of its entry', () => {
    const script = new Script()
    script.found()
    const { opened, events } = script.tryOpen('ann', 3, 1)
    expect(opened).toMatchObject({ peerId: 'ann', incarnation: { counter: 3 }, attempt: 1, session: 2 })
    expect(events).toEqual([{ type: 'session.opened', session: 2, peerId: 'ann' }])
    expect(findSession(script.state, 2)).toEqual({
      session: 2,
      peerId: 'ann',
      incarnation: { counter: 3, nonce: 'nonce 3' },
      attempt: 1,
      browserId: 'browser',
      state: null,
      lease: defaultSettings.timing.lease,
      lastNumber: 0,
    })
  })

  it('[S-1] the same life and attempt again is the same session', () => {
    const { script, sessions } = roomOf('ann')
    const again = script.tryOpen('ann', 1, 1)
    expect(again.opened?.session).toBe(sessions.ann)
    expect(again.events).toEqual([])
  })

  it('[S-1] the same life and attempt gives nothing once its session has ended', () => {
    const { script } = roomOf('ann')
    script.close('ann')
    expect(script.tryOpen('ann', 1, 1).opened?.session).toBeNull()
    expect(script.open('ann', 1, 2)).toBe(script.index)
  })

  it.each([
    { counter: 4, attempt: 9, why: 'an earlier life' },
    { counter: 5, attempt: 1, why: 'an earlier attempt' },
  ])('[S-1] $why is refused, also after the newer session has ended', ({ counter, attempt }) => {
    const script = new Script()
    const session = script.open('ann', 5, 2)
    expect(script.tryOpen('ann', counter, attempt).opened?.session).toBeNull()
    script.expire(session, 1_000_000)
    expect(script.tryOpen('ann', counter, attempt).opened?.session).toBeNull()
  })

  it.each([
    { counter: 1, attempt: 2 },
    { counter: 2, attempt: 0 },
  ])('[S-1] a newer one (life $counter, attempt $attempt) ends the older one at once', ({ counter, attempt }) => {
    const { script, sessions } = roomOf('ann', 'bob')
    const held = script.send(sessions.ann, lock('a'))
    const waiting = script.send(sessions.bob, lock('a'))
    const { opened, events } = script.tryOpen('ann', counter, attempt)
    const session = opened?.session
    expect(session).toBe(script.index)
    expect(events).toEqual([
      { type: 'lock.lost', session: sessions.ann, request: held.number, name: 'a', reason: 'left' },
      {
        type: 'lock.granted',
        session: sessions.bob,
        request: waiting.number,
        name: 'a',
        token: 1000 + script.index,
        since: 0,
      },
      { type: 'session.ended', session: sessions.ann, peerId: 'ann', reason: 'replaced' },
      { type: 'session.opened', session, peerId: 'ann' },
      { type: 'lock.changed', name: 'a' },
    ])
    expect(findSessionOfPeer(script.state, 'ann')?.session).toBe(session)
  })

  it('[S-1] [F2] the same life under another nonce is a copied store: refused', () => {
    const { script, sessions } = roomOf('ann')
    expect(script.tryOpen('ann', 1, 1, 'copy').opened?.session).toBeNull()
    expect(script.tryOpen('ann', 1, 2, 'copy').opened?.session).toBeNull()
    expect(findSession(script.state, sessions.ann)).not.toBeNull()
  })

  it('[S-1] remembers a bounded number of peers, and each that has a session', () => {
    const { script } = roomOf('ann')
    for (let i = 0; i <= peersMax; i += 1) {
      script.open(`peer ${i}`)
      script.close(`peer ${i}`)
    }
    expect(script.state.peers.size).toBe(peersMax)
    expect(script.state.peers.has('ann')).toBe(true)
    expect(script.state.peers.has('peer 0')).toBe(false)
    expect(script.state.peers.has('peer 2')).toBe(true)
    // Who came back lately is not the oldest any more.
    script.open('peer 2', 2)
    script.close('peer 2', 2)
    script.open('another')
    expect(script.state.peers.has('peer 2')).toBe(true)
    expect(script.state.peers.has('peer 3')).toBe(false)
  })
})

describe('numbered commands', () => {
  it('[S-2] a retry gets the first answer and changes nothing', () => {
    const { script, sessions } = roomOf('ann')
    const first = script.send(sessions.ann, put('k'))
    const retry = script.resend(sessions.ann, first.number, put('k', { value: Uint8Array.of(9) }))
    expect(retry).toEqual({ answer: first.answer, events: [] })
    expect(readStore(script.state, 'k')).toEqual({ value: Uint8Array.of(1), revision: sessions.ann + 1 })
  })

  it('[S-2] a gap is refused and consumes nothing', () => {
    const { script, sessions } = roomOf('ann')
    const gap = script.resend(sessions.ann, 2, put('k'))
    expect(gap.answer).toEqual({ session: sessions.ann, number: 2, outcome: null, reason: 'gap' })
    expect(readStore(script.state, 'k')).toBeUndefined()
    expect(script.resend(sessions.ann, 1, put('k')).answer?.outcome).toMatchObject({ type: 'store.set' })
    expect(script.resend(sessions.ann, 2, put('k')).answer?.outcome).toMatchObject({ type: 'store.set' })
  })

  it('[S-2] a command of an ended session is refused', () => {
    const { script, sessions } = roomOf('ann')
    script.send(sessions.ann, put('k'))
    script.close('ann')
    for (const number of [1, 2]) {
      const { answer, events } = script.resend(sessions.ann, number, put('x'))
      expect(answer).toEqual({ session: sessions.ann, number, outcome: null, reason: 'session-ended' })
      expect(events).toEqual([])
    }
  })

  it('[S-2] a command of a session that never was is refused', () => {
    const { script } = roomOf('ann')
    expect(script.resend(77, 1, put('x')).answer).toMatchObject({ outcome: null, reason: 'session-ended' })
  })

  it('[S-2] an answer that has come is forgotten, and a retry of it is not answered', () => {
    const { script, sessions } = roomOf('ann')
    script.resend(sessions.ann, 1, put('k'), 0)
    script.resend(sessions.ann, 2, put('k'), 1)
    expect(script.resend(sessions.ann, 1, put('k'), 0)).toEqual({ events: [] })
    expect(script.resend(sessions.ann, 2, put('k'), 0).answer?.outcome).toEqual({
      type: 'store.set',
      revision: sessions.ann + 2,
    })
  })

  it(`[S-2] keeps ${answersMax} answers; one more is a gap until one has come`, () => {
    const { script, sessions } = roomOf('ann')
    for (let number = 1; number <= answersMax; number += 1) {
      expect(script.resend(sessions.ann, number, put('k')).answer?.outcome).not.toBeNull()
    }
    const next = answersMax + 1
    expect(script.resend(sessions.ann, next, put('k')).answer).toMatchObject({ outcome: null, reason: 'gap' })
    expect(script.resend(sessions.ann, 1, put('k')).answer?.outcome).toMatchObject({ type: 'store.set' })
    expect(script.resend(sessions.ann, next, put('k'), 1).answer?.outcome).toMatchObject({ type: 'store.set' })
  })

  it('[S-2] a refused command is answered and counts', () => {
    const { script, sessions } = roomOf('ann')
    const refused = script.send(sessions.ann, put('k', { fence: { name: 'a', token: 1 } }))
    expect(refused.outcome).toMatchObject({ type: 'failed' })
    expect(script.send(sessions.ann, put('k')).outcome).toMatchObject({ type: 'store.set' })
  })
})

describe('close', () => {
  it('[M1] ends the session that it names: locks pass on at once, reason left', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    const { number } = script.send(sessions.ann, lock('a'))
    script.send(sessions.bob, lock('a'))
    const { events } = script.close('ann')
    expect(events.map((event) => event.type)).toEqual(['lock.lost', 'lock.granted', 'session.ended', 'lock.changed'])
    expect(events[0]).toEqual({ type: 'lock.lost', session: sessions.ann, request: number, name: 'a', reason: 'left' })
    expect(events[2]).toEqual({ type: 'session.ended', session: sessions.ann, peerId: 'ann', reason: 'closed' })
    expect(observeLock(script.state, 'a').holders.map((view) => view.peerId)).toEqual(['bob'])
  })

  it.each([
    { counter: 1, nonce: 'nonce 1', why: 'an earlier life' },
    { counter: 2, nonce: 'copy', why: 'the life of a copied store' },
  ])('[L2] $why ends nothing', ({ counter, nonce }) => {
    const { script } = roomOf()
    const session = script.open('ann', 2)
    expect(script.close('ann', counter, nonce).events).toEqual([])
    expect(findSession(script.state, session)).not.toBeNull()
  })

  it('[L2] the end of a life is the end of every earlier one of that identity', () => {
    const { script, sessions } = roomOf('ann')
    expect(script.close('ann', 3, 'nonce 3').events).toMatchObject([{ type: 'session.ended', session: sessions.ann }])
  })

  it('of an unknown peer changes nothing', () => {
    const { script } = roomOf('ann')
    expect(script.close('zoe').events).toEqual([])
  })
})

describe('expire', () => {
  it('[S-6] is void in another term', () => {
    const { script, sessions } = roomOf('ann')
    script.term = 2
    expect(script.expire(sessions.ann, 1_000_000, 1).events).toEqual([])
    expect(script.expire(sessions.ann, 1_000_000, 3).events).toEqual([])
    expect(findSession(script.state, sessions.ann)).not.toBeNull()
  })

  it('[S-3] locks end at their own lease, the session at the longest', () => {
    const { script, sessions } = roomOf('ann')
    const short = script.send(sessions.ann, lock('short', { lease: 2_000 }))
    script.send(sessions.ann, lock('middle', { lease: 10_000 }))
    const long = script.send(sessions.ann, lock('long', { lease: 20_000 }))
    expect(script.expire(sessions.ann, 1_999).events).toEqual([])
    expect(script.expire(sessions.ann, 2_000).events).toEqual([
      { type: 'lock.lost', session: sessions.ann, request: short.number, name: 'short', reason: 'expired' },
      { type: 'lock.changed', name: 'short' },
    ])
    expect(script.expire(sessions.ann, 19_999).events).toMatchObject([
      { type: 'lock.lost', reason: 'expired' },
      { type: 'lock.changed', name: 'middle' },
    ])
    expect(script.expire(sessions.ann, 20_000).events).toEqual([
      { type: 'lock.lost', session: sessions.ann, request: long.number, name: 'long', reason: 'expired' },
      { type: 'session.ended', session: sessions.ann, peerId: 'ann', reason: 'expired' },
      { type: 'lock.changed', name: 'long' },
    ])
  })

  it('[S-3] a session that holds nothing lives for the lease of the room', () => {
    const { script, sessions } = roomOf('ann')
    expect(script.expire(sessions.ann, 9_999).events).toEqual([])
    expect(script.expire(sessions.ann, 10_000).events).toMatchObject([{ type: 'session.ended', reason: 'expired' }])
  })

  it('[S-3] who waits does not lose the place before the session ends, and does not prolong it', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.send(sessions.bob, lock('a'))
    const waiting = script.send(sessions.ann, lock('a', { lease: 100 }))
    script.send(sessions.ann, lock('a', { lease: 50_000 }))
    expect(script.expire(sessions.ann, 5_000).events).toEqual([])
    expect(script.expire(sessions.ann, 10_000).events[0]).toEqual({
      type: 'lock.lost',
      session: sessions.ann,
      request: waiting.number,
      name: 'a',
      reason: 'expired',
    })
  })

  it('[S-3] the leader asks only for what would change something', () => {
    const { script, sessions } = roomOf('ann')
    const { ann } = sessions
    expect([nextLease(script.state, ann), longestLease(script.state, ann)]).toEqual([10_000, 10_000])
    script.send(ann, lock('a', { lease: 3_000 }))
    script.send(ann, lock('b', { lease: 30_000 }))
    expect([nextLease(script.state, ann), longestLease(script.state, ann)]).toEqual([3_000, 30_000])
    expect(pendingExpiry(script.state, ann, 2_999)).toBe(false)
    expect(pendingExpiry(script.state, ann, 3_000)).toBe(true)
    script.expire(ann, 3_000)
    expect(pendingExpiry(script.state, ann, 3_000)).toBe(false)
    expect(pendingExpiry(script.state, ann, 30_000)).toBe(true)
    script.expire(ann, 30_000)
    expect(pendingExpiry(script.state, ann, 1_000_000)).toBe(false)
  })

  it('[T1] a session gives up everything before anything is granted; grants follow the order of names', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    for (const name of ['b', 'c', 'a']) script.send(sessions.ann, lock(name))
    for (const name of ['c', 'b', 'a']) script.send(sessions.ann, lock(name))
    for (const name of ['a', 'b', 'c']) script.send(sessions.bob, lock(name))
    const { events } = script.expire(sessions.ann, 10_000)
    const told = events.map((event) => ('request' in event ? [event.type, event.request] : [event.type]))
    expect(told).toEqual([
      ...[1, 2, 3, 4, 5, 6].map((request) => ['lock.lost', request]),
      ['lock.granted', 1],
      ['lock.granted', 2],
      ['lock.granted', 3],
      ['session.ended'],
      ['lock.changed'],
      ['lock.changed'],
      ['lock.changed'],
    ])
  })
})

it('requests that wait end in the order in which they were made', () => {
  const { script, sessions } = roomOf('ann', 'bob')
  for (const name of ['a', 'b']) script.send(sessions.bob, lock(name))
  for (const name of ['b', 'a', 'b']) script.send(sessions.ann, lock(name))
  const { events } = script.close('ann')
  expect(events.flatMap((event) => (event.type === 'lock.lost' ? [event.request] : []))).toEqual([1, 2, 3])
})

it('lists the living sessions, the oldest first', () => {
  const { script, sessions } = roomOf('ann', 'bob', 'cid')
  script.close('bob')
  expect(listSessions(script.state).map((view) => view.session)).toEqual([sessions.ann, sessions.cid])
  expect(findSessionOfPeer(script.state, 'bob')).toBeNull()
})

it('[S-9] release of a lock that was never asked for is answered all the same', () => {
  const { script, sessions } = roomOf('ann')
  expect(script.send(sessions.ann, release(5)).outcome).toEqual({ type: 'lock.released' })
})
