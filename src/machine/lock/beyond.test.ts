import { describe, expect, it } from 'vitest'
import { nextDeadline } from '../deadlines.js'
import { decodeMachine, encodeMachine } from '../machine.js'
import type { Outcome } from '../outcome.js'
import { defaultLimits, defaultSettings } from '../settings.js'
import { acquire, lock, put, release, roomAt, roomOf, Script, testTokenBase } from '../test-script.js'
import { viewWaits } from '../waiting/view.js'
import type { LockCommand } from './command.js'
import { isHeldUnder } from './fence.js'
import { observeLock, queryLocks } from './view.js'

const tree = { scope: 'tree' } as const
const shared = { mode: 'shared' } as const
const owner = { owner: 'o' }
const upgrade = (request: number, name = 'a'): LockCommand => ({ type: 'lock.upgrade', request, name })
const downgrade = (request: number, name = 'a'): LockCommand => ({ type: 'lock.downgrade', request, name })
const revoke = (grace: number, name = 'a'): LockCommand => ({ type: 'lock.revoke', name, grace })
const acknowledge = (request: number, grace: number): LockCommand => ({
  ...{ type: 'lock.acknowledge', request, name: 'a', grace },
})
const codeOf = (outcome: Outcome | null | undefined) =>
  outcome?.type === 'failed' ? outcome.failure.code : outcome?.type
const holders = (script: Script, name = 'a') => observeLock(script.state, name).holders.map(({ peerId }) => peerId)
const waiters = (script: Script, name = 'a') => observeLock(script.state, name).waiters.map(({ peerId }) => peerId)
const tokenAt = (index: number) => testTokenBase + index
function at(script: Script, time: number) {
  script.time = time
  return script.apply({ type: 'tick', term: script.term })
}

describe('territories', () => {
  it.each([
    ['a', 'a/b', true],
    ['a', 'a', true],
    ['a', 'ab', false],
    ['a/b', 'a', false],
    ['a', 'a/b/c', true],
    ['', '/b', true],
  ])('a tree %j and %j: in the way is %s, whoever came first', (root, name, meets) => {
    for (const commands of [
      [acquire(root, tree), lock(name)],
      [lock(name), acquire(root, tree)],
    ]) {
      const { script, sessions } = roomOf('ann')
      const outcomes = commands.map((command) => script.send(sessions.ann, command).outcome?.type)
      expect(outcomes).toEqual(['lock.granted', meets ? 'lock.queued' : 'lock.granted'])
      script.send(sessions.ann, release(1))
      expect(queryLocks(script.state).pending).toEqual([])
    }
  })

  it('who meets nobody ahead passes; who meets a waiter ahead waits', () => {
    const { script, sessions } = roomOf('ann', 'bob', 'cid', 'dan')
    script.send(sessions.ann, lock('a/b'))
    script.send(sessions.bob, acquire('a', tree))
    expect(script.send(sessions.cid, lock('a/c')).outcome?.type).toBe('lock.queued')
    expect(script.send(sessions.dan, lock('b')).outcome?.type).toBe('lock.granted')
    script.send(sessions.ann, release(1))
    expect(holders(script)).toEqual(['bob'])
    script.send(sessions.bob, release(1))
    expect(holders(script, 'a/c')).toEqual(['cid'])
  })

  it('steal takes all that meets it, and tells each', () => {
    const { script, sessions } = roomOf('ann', 'bob', 'cid')
    script.send(sessions.ann, lock('a/b'))
    script.send(sessions.bob, lock('a/c', shared))
    const { events } = script.send(sessions.cid, acquire('a', { ...tree, steal: true }))
    expect(events.filter(({ type }) => type === 'lock.lost')).toEqual([
      { type: 'lock.lost', session: sessions.ann, request: 1, name: 'a/b', reason: 'stolen' },
      { type: 'lock.lost', session: sessions.bob, request: 1, name: 'a/c', reason: 'stolen' },
    ])
    expect(queryLocks(script.state).held.map(({ name }) => name)).toEqual(['a'])
  })
})

describe('several names', () => {
  it('are granted in one entry, all or none, and hold nothing while they wait', () => {
    const { script, sessions } = roomOf('ann', 'bob', 'cid')
    script.send(sessions.ann, lock('b'))
    expect(script.send(sessions.bob, acquire(['a', 'b', 'b'])).outcome?.type).toBe('lock.queued')
    expect(holders(script)).toEqual([])
    const { events, lockEvents } = script.send(sessions.ann, release(1))
    expect(events.filter(({ type }) => type === 'lock.granted')).toMatchObject([
      { session: sessions.bob, request: 1, token: tokenAt(script.index) },
    ])
    expect(lockEvents?.map(({ type, name, how }) => [type, name, how])).toEqual([
      ['lock.freed', 'b', 'released'],
      ['lock.taken', 'a', 'granted'],
      ['lock.taken', 'b', 'granted'],
    ])
    script.send(sessions.bob, { type: 'lock.release', request: 1, name: 'a' })
    expect([holders(script), holders(script, 'b')]).toEqual([[], ['bob']])
    script.send(sessions.bob, release(1))
    expect(script.state.locks.resources.size).toBe(0)
  })

  it('[S-9] leave all their queues at once', () => {
    const { script, sessions } = roomOf('ann', 'bob', 'cid')
    script.send(sessions.ann, lock('b'))
    script.send(sessions.bob, acquire(['a', 'b']))
    script.send(sessions.cid, lock('a'))
    expect(waiters(script)).toEqual(['bob', 'cid'])
    script.send(sessions.bob, release(1))
    expect([holders(script), waiters(script, 'b')]).toEqual([['cid'], []])
  })
})

describe('priority', () => {
  it('goes first, and ages: a level is worth a second', () => {
    const { script, sessions } = roomOf('ann', 'bob', 'cid', 'dan')
    script.send(sessions.ann, lock('a'))
    script.send(sessions.bob, lock('a'))
    script.time = 2_500
    script.send(sessions.cid, acquire('a', { priority: 2 }))
    expect(waiters(script)).toEqual(['bob', 'cid'])
    script.send(sessions.dan, acquire('a', { priority: 3 }))
    expect(waiters(script)).toEqual(['dan', 'bob', 'cid'])
  })
})

describe('an owner', () => {
  it('[T1] comes in again past the queue, under the same token, which stands until the last of them ends', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.send(sessions.ann, acquire('a', owner))
    const token = tokenAt(script.index)
    script.send(sessions.bob, lock('a'))
    const again = script.send(sessions.ann, acquire('a', { ...owner, ...shared }))
    expect(again.outcome).toMatchObject({ type: 'lock.granted', token })
    expect(again.lockEvents).toMatchObject([{ type: 'lock.taken', how: 'reentered' }])
    script.send(sessions.ann, release(1))
    expect([holders(script), isHeldUnder(script.state, 'a', token)]).toEqual([['ann'], true])
    script.send(sessions.ann, release(2))
    expect([holders(script), isHeldUnder(script.state, 'a', token)]).toEqual([['bob'], false])
  })

  it('under its own tree has a token of its own; with several names they are told one by one', () => {
    const { script, sessions } = roomOf('ann')
    script.send(sessions.ann, acquire('a', { ...owner, ...tree }))
    const token = tokenAt(script.index)
    const { outcome } = script.send(sessions.ann, acquire(['a', 'a/b'], owner))
    const tokens = [
      { name: 'a', token },
      { name: 'a/b', token: tokenAt(script.index) },
    ]
    expect(outcome).toEqual({ type: 'lock.granted', token, since: 0, tokens })
  })

  it('is one of its session: another session and another owner wait, and so does a request without one', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.send(sessions.ann, acquire('a', owner))
    expect(script.send(sessions.bob, acquire('a', owner)).outcome?.type).toBe('lock.queued')
    expect(script.send(sessions.ann, acquire('a', { owner: 'p' })).outcome?.type).toBe('lock.queued')
    expect(script.send(sessions.ann, lock('a')).outcome?.type).toBe('lock.queued')
  })

  it('that shares and wants it exclusively would wait for itself: deadlock; if it does not wait, it is unavailable', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.send(sessions.ann, acquire('a', { ...owner, ...shared }))
    script.send(sessions.bob, lock('a', shared))
    const { outcome } = script.send(sessions.ann, acquire('a', owner))
    expect(outcome).toMatchObject({
      failure: { code: 'deadlock', details: { cycle: [{ peerId: 'ann', owner: 'o', name: 'a' }] } },
    })
    expect(script.send(sessions.ann, acquire('a', { ...owner, ifAvailable: true })).outcome?.type).toBe(
      'lock.unavailable',
    )
  })
})

describe('an owner that has a part of what it asks for', () => {
  it('needs the rest alone, whoever waits for that part', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.send(sessions.ann, acquire('a', owner))
    const token = tokenAt(script.index)
    script.send(sessions.bob, lock('a'))
    const { outcome, lockEvents } = script.send(sessions.ann, acquire(['a', 'b'], { ...owner, ifAvailable: true }))
    const tokens = [
      { name: 'a', token },
      { name: 'b', token: tokenAt(script.index) },
    ]
    expect(outcome).toMatchObject({ type: 'lock.granted', tokens })
    expect(lockEvents).toMatchObject([{ how: 'reentered' }, { how: 'granted' }])
  })

  it('waits where it may lose that part while it waits: no circle may come of that', () => {
    const { script, sessions } = roomOf('ann', 'bob', 'cid')
    script.send(sessions.cid, lock('b'))
    script.send(sessions.ann, acquire('a', owner))
    script.send(sessions.bob, lock('a'))
    expect(codeOf(script.send(sessions.ann, acquire(['a', 'b'], owner)).outcome)).toBe('deadlock')
  })

  it('is let in with the rest of its requests when it has come to a lock by stealing it', () => {
    const { script, sessions } = roomOf('ann', 'bob', 'cid')
    script.send(sessions.bob, lock('a'))
    script.send(sessions.cid, lock('a'))
    const { number } = script.send(sessions.ann, acquire('a', owner))
    const stolen = script.send(sessions.ann, acquire('a', { ...owner, steal: true }))
    expect(stolen.outcome?.type).toBe('lock.granted')
    expect(stolen.events).toContainEqual(
      expect.objectContaining({ type: 'lock.granted', request: number, token: tokenAt(script.index) }),
    )
    expect([holders(script), waiters(script)]).toEqual([['ann', 'ann'], ['cid']])
  })

  it('lets in its other shares as soon as one of its own is there, whoever waits between them', () => {
    const { script, sessions } = roomOf('ann', 'bob', 'cid')
    script.send(sessions.bob, lock('a', shared))
    script.send(sessions.cid, lock('a'))
    const { number } = script.send(sessions.ann, acquire('a', { ...owner, ...shared }))
    const first = script.send(sessions.ann, acquire('a', { ...owner, ...shared, priority: 1 }))
    expect(first.events).toMatchObject([{ type: 'lock.granted', request: number }, { type: 'lock.changed' }])
  })

  it('may wait twice, whoever stands between: what the first one gets lets in the second', () => {
    const { script, sessions } = roomOf('ann', 'bob', 'cid')
    script.send(sessions.cid, lock('a'))
    const first = script.send(sessions.ann, acquire('a', owner)).number
    script.send(sessions.bob, lock('a'))
    const second = script.send(sessions.ann, acquire('a', owner))
    expect(second.outcome?.type).toBe('lock.queued')
    const { events } = script.send(sessions.cid, release(1))
    const granted = events.flatMap((event) => (event.type === 'lock.granted' ? [event.request] : []))
    expect(granted).toEqual([first, second.number])
  })

  it('is let in wherever what it gets covers what it waits for, also where nobody left', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.send(sessions.ann, lock('a'))
    script.send(sessions.ann, acquire(['b', 'a']))
    const both = script.send(sessions.bob, acquire(['a', 'b'], { ...owner, priority: 1 })).number
    const one = script.send(sessions.bob, acquire('b', owner)).number
    const { events } = script.send(sessions.ann, release(1))
    const granted = events.flatMap((event) => (event.type === 'lock.granted' ? [event.request] : []))
    expect(granted).toEqual([both, one])
  })

  it('[T1] comes in again under the newest of its tokens: who has seen that one takes no older one', () => {
    const { script, sessions } = roomOf('ann')
    const mine = acquire('a', { ...owner, ...shared })
    script.send(sessions.ann, mine)
    script.send(sessions.ann, mine)
    script.send(sessions.ann, upgrade(2))
    const token = tokenAt(script.index)
    expect(script.send(sessions.ann, mine).outcome).toMatchObject({ type: 'lock.granted', token })
  })
})

describe('a deadlock', () => {
  it('across names is refused to the one that would close it, and changes nothing', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.send(sessions.ann, acquire('a', owner))
    script.send(sessions.bob, acquire('b', owner))
    expect(script.send(sessions.ann, acquire('b', owner)).outcome?.type).toBe('lock.queued')
    const before = queryLocks(script.state)
    const { outcome, events } = script.send(sessions.bob, acquire('a', owner))
    const cycle = [
      { peerId: 'bob', owner: 'o', name: 'a' },
      { peerId: 'ann', owner: 'o', name: 'b' },
    ]
    expect(outcome).toMatchObject({ failure: { code: 'deadlock', details: { cycle } } })
    expect([queryLocks(script.state), events]).toEqual([before, []])
    expect(viewWaits(script.state)).toMatchObject([
      { peerId: 'ann', names: ['b'], kind: 'lock', position: 1, behind: [{ peerId: 'bob', name: 'b', state: 'held' }] },
    ])
  })

  it('by an upgrade is seen as well', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.send(sessions.ann, acquire('a', { ...owner, ...shared }))
    script.send(sessions.bob, acquire('a', { ...owner, ...shared }))
    script.send(sessions.ann, acquire('b', owner))
    expect(script.send(sessions.bob, acquire('b', owner)).outcome?.type).toBe('lock.queued')
    expect(codeOf(script.send(sessions.ann, upgrade(1)).outcome)).toBe('deadlock')
  })

  it('is none among requests of Web Locks: a page may wait behind itself', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.send(sessions.ann, lock('a'))
    script.send(sessions.bob, lock('b'))
    script.send(sessions.ann, lock('b'))
    expect(script.send(sessions.bob, lock('a')).outcome?.type).toBe('lock.queued')
  })
})

describe('[C1] maxHold', () => {
  it('ends the hold by the first entry of its time, before that entry does anything', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.time = 100
    const { outcome } = script.send(sessions.ann, acquire('a', { maxHold: 50 }))
    expect(outcome).toMatchObject({ type: 'lock.granted', endsAt: 150 })
    expect(nextDeadline(script.state)).toBe(150)
    script.time = 149
    expect(script.send(sessions.bob, lock('a', { ifAvailable: true })).outcome?.type).toBe('lock.unavailable')
    script.time = 150
    const { outcome: free, events } = script.send(sessions.bob, lock('a', { ifAvailable: true }))
    expect(free?.type).toBe('lock.granted')
    expect(events[0]).toEqual({ type: 'lock.lost', session: sessions.ann, request: 1, name: 'a', reason: 'expired' })
    expect(nextDeadline(script.state)).toBeNull()
  })

  it.each(['noop', 'garbage', 'another term'])('[S-6] whatever the entry is: %s', (what) => {
    const { script, sessions } = roomOf('ann')
    script.send(sessions.ann, acquire('a', { maxHold: 50 }))
    script.time = 50
    if (what === 'noop') script.append({ type: 'noop' })
    else if (what === 'garbage') script.append({ type: 'command', data: new Uint8Array([1]) })
    else script.apply({ type: 'tick', term: 9 })
    expect(holders(script)).toEqual([])
  })

  it('[T1] what is due fires by deadline, then by age; a fenced write in the same entry comes too late', () => {
    const { script, sessions } = roomOf('ann')
    for (const [name, maxHold] of [
      ['b', 60],
      ['c', 50],
      ['a', 50],
    ] as const)
      script.send(sessions.ann, acquire(name, { maxHold }))
    const token = tokenAt(script.index)
    script.time = 60
    const { events, outcome } = script.send(sessions.ann, put('k', { fence: { name: 'a', token } }))
    expect(events.flatMap((event) => (event.type === 'lock.lost' ? [event.name] : []))).toEqual(['c', 'a', 'b'])
    expect(codeOf(outcome)).toBe('stale-fence')
  })

  it('[T1] nobody re-enters by a hold that is due too, though a hold that ended before it let him in', () => {
    const { script, sessions } = roomOf('ann')
    script.send(sessions.ann, acquire('b', { maxHold: 50 }))
    const both = script.send(sessions.ann, acquire(['a', 'b'], owner)).number
    script.send(sessions.ann, acquire('a', { ...owner, maxHold: 50 }))
    const { events } = at(script, 50)
    const told = events.map(({ type }) => type).filter((type) => type !== 'lock.changed')
    expect(told).toEqual(['lock.lost', 'lock.lost', 'lock.granted'])
    const { holders } = observeLock(script.state, 'a')
    expect(holders).toMatchObject([{ request: both, token: tokenAt(script.index) }])
  })
})

describe('who comes in again', () => {
  it('[C1] stays no longer than what let it in: maxHold bounds all that is held by it', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.send(sessions.ann, acquire('a', { ...owner, maxHold: 100 }))
    script.send(sessions.bob, lock('a'))
    script.time = 90
    const again = script.send(sessions.ann, acquire('a', { ...owner, maxHold: 1_000 }))
    expect(again.outcome).toMatchObject({ type: 'lock.granted', endsAt: 100 })
    // It has what it asked for as a whole, so all of it ends at once.
    expect(script.send(sessions.ann, acquire(['a', 'b'], owner)).outcome).toMatchObject({ endsAt: 100 })
    at(script, 100)
    expect([holders(script), holders(script, 'b')]).toEqual([['bob'], []])
  })

  it('[C1] goes by the hold that lasts longest; a shorter maxHold of its own is its own', () => {
    const { script, sessions } = roomOf('ann')
    script.send(sessions.ann, acquire('a', owner))
    expect(script.send(sessions.ann, acquire('a', { ...owner, maxHold: 50 })).outcome).toMatchObject({ endsAt: 50 })
    expect(script.send(sessions.ann, acquire('a', owner)).outcome).not.toHaveProperty('endsAt')
    expect(script.send(sessions.ann, acquire('a', { ...owner, maxHold: 70 })).outcome).toMatchObject({ endsAt: 70 })
  })

  it('[C1] is not bounded by what is granted with it, after both have waited', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.send(sessions.bob, lock('a'))
    script.send(sessions.ann, acquire('a', { ...owner, maxHold: 50 }))
    script.send(sessions.ann, acquire('a', owner))
    const { events } = script.send(sessions.bob, release(1))
    expect(events.map((event) => event.type === 'lock.granted' && (event.endsAt ?? null))).toEqual([50, null, false])
  })

  it('[S-7] is asked for it as well, where its owner is: with the end that is known, or to acknowledge it too', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.send(sessions.ann, acquire('a', owner))
    script.send(sessions.bob, lock('a'))
    script.send(sessions.bob, revoke(100))
    const before = script.send(sessions.ann, acquire('a', owner))
    expect(before.outcome).not.toHaveProperty('endsAt')
    script.send(sessions.ann, acknowledge(1, 100))
    const after = script.send(sessions.ann, acquire('a', owner))
    expect(after.outcome).toMatchObject({ endsAt: 100 })
    const { events } = at(script, 100)
    expect(events).toMatchObject([
      { type: 'lock.lost', request: 1, reason: 'revoked' },
      { type: 'lock.lost', request: after.number, reason: 'revoked' },
      { type: 'lock.changed' },
    ])
    script.send(sessions.ann, acknowledge(before.number, 100))
    at(script, 200)
    expect(holders(script)).toEqual(['bob'])
  })

  it('steals nothing of that: a thief begins anew', () => {
    const { script, sessions } = roomOf('ann')
    script.send(sessions.ann, acquire('a', { ...owner, maxHold: 100 }))
    script.send(sessions.ann, revoke(100))
    const { outcome } = script.send(sessions.ann, acquire('a', { ...owner, steal: true }))
    expect(outcome).not.toHaveProperty('endsAt')
    at(script, 1_000)
    expect(holders(script)).toEqual(['ann'])
  })
})

describe('lock-delay', () => {
  const delayed = acquire('a', { lockDelay: 500, lease: 3_000 })

  it.each([
    ['the session expired', (script: Script, ann: number) => script.expire(ann, 20_000), true],
    ['its lease ended alone', (script: Script, ann: number) => script.expire(ann, 3_000), true],
    ['it was replaced', (script: Script) => script.open('ann', 2), true],
    ['it is proven dead', (script: Script) => closeDead(script), true],
    ['it said goodbye', (script: Script) => script.close('ann'), false],
    ['it gave it back', (script: Script, ann: number) => script.send(ann, release(1)), false],
  ])('after an unclean loss only: %s', (_how, end, isDelayed) => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.send(sessions.ann, delayed)
    script.send(sessions.bob, lock('a'))
    script.time = 1_000
    end(script, sessions.ann)
    expect(holders(script)).toEqual(isDelayed ? [] : ['bob'])
    if (!isDelayed) return
    expect(nextDeadline(script.state)).toBe(1_500)
    at(script, 1_499)
    expect(holders(script)).toEqual([])
    at(script, 1_500)
    expect(holders(script)).toEqual(['bob'])
  })

  it.each<[string, (script: Script, sessions: { bob: number; cid: number }) => unknown]>([
    ['whose session ends', (script) => script.open('bob', 2)],
    ['who gives it back', (script, { bob }) => script.send(bob, release(1))],
    ['from whom it is stolen', (script, { cid }) => script.send(cid, lock('a', { steal: true }))],
  ])('[T1][C1] over in the very entry of one %s: the next one has a token of its own', (_who, end) => {
    const { script, sessions } = roomOf('ann', 'bob', 'cid')
    script.send(sessions.ann, delayed)
    for (const who of [sessions.bob, sessions.cid]) script.send(who, lock('a'))
    script.expire(sessions.ann, 20_000)
    script.time = 500
    const taken: number[] = []
    const append = script.append.bind(script)
    script.append = (body) => {
      const applied = append(body)
      for (const { type, token } of applied.lockEvents ?? []) if (type === 'lock.taken') taken.push(token)
      return applied
    }
    end(script, sessions)
    const { index } = script
    expect([taken, holders(script)]).toEqual([[tokenAt(index), tokenAt(index) + 1], ['cid']])
    script.send(sessions.cid, lock('b'))
    expect(observeLock(script.state, 'b').holders.map(({ token }) => token)).toEqual([tokenAt(index) + 2])
  })

  it('of a tree keeps everybody out of all of it; a name costs nothing when it is over', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.send(sessions.ann, acquire('a', { ...tree, lockDelay: 500 }))
    script.expire(sessions.ann, 20_000)
    expect(script.send(sessions.bob, lock('a/b', { ifAvailable: true })).outcome?.type).toBe('lock.unavailable')
    expect(decodeMachine(encodeMachine(script.state))).toEqual(script.state)
    at(script, 500)
    expect([script.state.locks.resources.size, script.state.locks.uses]).toEqual([0, { beyond: 0, trees: 0, timed: 0 }])
  })
})

function closeDead(script: Script) {
  const incarnation = { counter: 1, nonce: 'nonce 1' }
  return script.apply({ type: 'close', peerId: 'ann', incarnation, proof: 'death' })
}

describe('revoke', () => {
  it('[S-7] asks; the grace begins with the acknowledgement, and its end is a loss', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.send(sessions.ann, acquire('a'))
    const token = tokenAt(script.index)
    script.send(sessions.bob, lock('a'))
    const asked = script.send(sessions.bob, revoke(100))
    expect(asked.outcome).toEqual({ type: 'lock.revoked', asked: [{ peerId: 'ann', token }] })
    expect(asked.events[0]).toEqual({
      type: 'lock.revoked',
      session: sessions.ann,
      request: 1,
      name: 'a',
      endsAt: null,
    })
    at(script, 5_000)
    expect(holders(script)).toEqual(['ann'])
    const told = script.send(sessions.ann, acknowledge(1, 100))
    expect(told.outcome).toEqual({ type: 'lock.acknowledged', endsAt: 5_100 })
    expect(told.events[0]).toMatchObject({ type: 'lock.revoked', endsAt: 5_100 })
    at(script, 5_099)
    expect(holders(script)).toEqual(['ann'])
    expect(at(script, 5_100).events[0]).toMatchObject({ type: 'lock.lost', name: 'a', reason: 'revoked' })
    expect(holders(script)).toEqual(['bob'])
  })

  it('[S-7] a second one shortens, never lengthens, and begins with its own acknowledgement', () => {
    const { script, sessions } = roomOf('ann')
    script.send(sessions.ann, acquire('a'))
    script.send(sessions.ann, revoke(1_000))
    script.send(sessions.ann, acknowledge(1, 1_000))
    expect(script.send(sessions.ann, revoke(2_000)).events).toEqual([])
    script.send(sessions.ann, revoke(100))
    expect(nextDeadline(script.state)).toBe(1_000)
    script.time = 50
    expect(script.send(sessions.ann, acknowledge(1, 100)).outcome).toEqual({ type: 'lock.acknowledged', endsAt: 150 })
    expect(nextDeadline(script.state)).toBe(150)
  })

  it('[S-7] the acknowledgement of a longer one that was under way does not begin a shorter one', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.send(sessions.ann, acquire('a'))
    script.send(sessions.bob, revoke(1_000))
    script.send(sessions.bob, revoke(10))
    expect(script.send(sessions.ann, acknowledge(1, 1_000))).toMatchObject({
      ...{ outcome: { type: 'lock.acknowledged', endsAt: null }, events: [] },
    })
    expect(nextDeadline(script.state)).toBeNull()
    script.time = 50
    expect(script.send(sessions.ann, acknowledge(1, 10)).outcome).toEqual({ type: 'lock.acknowledged', endsAt: 60 })
  })

  it('does not reach those of trees above, and an earlier end stays', () => {
    const { script, sessions } = roomOf('ann')
    script.send(sessions.ann, acquire('a', { ...tree, maxHold: 30 }))
    expect(script.send(sessions.ann, revoke(100, 'a/b')).outcome).toEqual({ type: 'lock.revoked', asked: [] })
    script.send(sessions.ann, revoke(100))
    expect(script.send(sessions.ann, acknowledge(1, 100)).outcome).toMatchObject({ endsAt: 30 })
    expect(at(script, 30).events[0]).toMatchObject({ reason: 'expired' })
  })
})

describe('upgrade and downgrade', () => {
  it('[T1] alone it is exclusive at once under a new token; else when it is alone, ahead of the queue', () => {
    const { script, sessions } = roomOf('ann', 'bob', 'cid')
    script.send(sessions.ann, lock('a', shared))
    expect(script.send(sessions.ann, upgrade(1)).outcome).toMatchObject({ token: tokenAt(script.index) })
    const [old, token] = [tokenAt(script.index - 1), tokenAt(script.index)]
    expect([old, token].map((one) => isHeldUnder(script.state, 'a', one))).toEqual([false, true])
    script.send(sessions.ann, downgrade(1))
    script.send(sessions.bob, lock('a', shared))
    script.send(sessions.cid, lock('a'))
    expect(script.send(sessions.ann, upgrade(1)).outcome?.type).toBe('lock.queued')
    const { events } = script.send(sessions.bob, release(1))
    expect(events[0]).toMatchObject({
      type: 'lock.upgraded',
      session: sessions.ann,
      name: 'a',
      token: tokenAt(script.index),
    })
    expect([holders(script), waiters(script)]).toEqual([['ann'], ['cid']])
  })

  it('a second upgrader is refused at once; who comes to share waits behind the first', () => {
    const { script, sessions } = roomOf('ann', 'bob', 'cid')
    script.send(sessions.ann, lock('a', shared))
    script.send(sessions.bob, lock('a', shared))
    script.send(sessions.ann, upgrade(1))
    expect(codeOf(script.send(sessions.bob, upgrade(1)).outcome)).toBe('deadlock')
    expect(script.send(sessions.cid, lock('a', shared)).outcome?.type).toBe('lock.queued')
    // A downgrade gives the upgrade up.
    expect(script.send(sessions.ann, downgrade(1)).outcome?.type).toBe('lock.downgraded')
    expect(holders(script)).toEqual(['ann', 'bob', 'cid'])
  })

  it('two of one owner do not wait for each other', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    const mine = { ...owner, ...shared }
    const [one, two] = [mine, mine].map((options) => script.send(sessions.ann, acquire('a', options)).number)
    script.send(sessions.bob, lock('a', shared))
    for (const request of [one, two])
      expect(script.send(sessions.ann, upgrade(request ?? 0)).outcome?.type).toBe('lock.queued')
    const { events } = script.send(sessions.bob, release(1))
    expect(events.filter(({ type }) => type === 'lock.upgraded')).toMatchObject([{ request: one }, { request: two }])
  })

  it('lets in what else its owner waits for there', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.send(sessions.bob, lock('a'))
    const queued = script.send(sessions.ann, acquire('a', owner)).number
    const first = script.send(sessions.ann, acquire('a', { ...owner, ...shared, priority: 1 })).number
    const { events } = script.send(sessions.bob, release(1))
    const granted = events.flatMap((event) => (event.type === 'lock.granted' ? [event.request] : []))
    expect(granted).toEqual([first, queued])
  })

  it("[T2] a downgrade keeps its token, which is the share's, and lets the shared ones in", () => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.send(sessions.ann, lock('a'))
    const token = tokenAt(script.index)
    script.send(sessions.bob, lock('a', shared))
    expect(script.send(sessions.ann, downgrade(1)).outcome).toEqual({ type: 'lock.downgraded', token })
    script.send(sessions.ann, release(1))
    expect([holders(script), isHeldUnder(script.state, 'a', token)]).toEqual([['bob'], true])
  })

  it('of what is lost says so', () => {
    const { script, sessions } = roomOf('ann')
    expect([upgrade(1), downgrade(1)].map((command) => codeOf(script.send(sessions.ann, command).outcome))).toEqual([
      'lock-lost',
      'lock-lost',
    ])
  })
})

describe('limits', () => {
  it.each([
    ['lockNames', acquire([])],
    ['lockNames', acquire(Array.from({ length: 65 }, (_, i) => `${i}`))],
    ['owner', acquire('a', { owner: 'x'.repeat(257) })],
    ['priority', acquire('a', { priority: 1_001 })],
    ['maxHold', acquire('a', { maxHold: 0 })],
    ['lockDelay', acquire('a', { lockDelay: 10_001 })],
    ['lockDelay', acquire('a', { lockDelay: -1 })],
    ['grace', revoke(-1)],
    ['locks', acquire(['a', 'b', 'c'])],
  ])('beyond %s it is answered and changes nothing', (limit, command) => {
    const script = new Script()
    script.found({ ...defaultSettings, limits: { ...defaultLimits, locks: 2 } })
    script.raise()
    const { outcome } = script.send(script.open('ann'), command)
    expect(outcome).toMatchObject({ failure: { code: 'limit-exceeded', details: { limit } } })
    expect(script.state.locks.resources.size).toBe(0)
  })
})

it('no more than 1,024 hold a lock, those who have waited among them: the next is let in by one who goes', () => {
  const { script, sessions } = roomOf('ann', 'bob')
  const ask = () => script.send(sessions.ann, lock('a', shared))
  const { number: first } = ask()
  for (let i = 1; i < 1024; i += 1) ask()
  const limit = { limit: 'lockHolders', value: 1024 }
  expect(ask().outcome).toMatchObject({ failure: { details: limit } })
  const { number } = script.send(sessions.bob, lock('a'))
  expect([ask(), ask()].map(({ outcome }) => outcome?.type)).toEqual(['lock.queued', 'lock.queued'])
  script.send(sessions.bob, release(number))
  expect([holders(script).length, waiters(script).length]).toEqual([1024, 2])
  script.send(sessions.ann, release(first))
  expect([holders(script).length, waiters(script).length]).toEqual([1024, 1])
})

it('[F5] below version 2 all of it is refused, and a proof of death ends nothing', () => {
  const { script, sessions } = roomAt(1, 'ann')
  script.send(sessions.ann, lock('a'))
  const commands = [acquire('a'), upgrade(1), downgrade(1), revoke(1), acknowledge(1, 1)]
  for (const command of [...commands, { type: 'lock.release', request: 1, name: 'a' } as const])
    expect(codeOf(script.send(sessions.ann, command).outcome)).toBe('incompatible-peer')
  closeDead(script)
  expect(holders(script)).toEqual(['ann'])
})
