import { describe, expect, it } from 'vitest'
import { decodeMachine, encodeMachine } from '../machine.js'
import { longestLease, nextLease } from '../session/view.js'
import { permits, roomAt, roomOf, type Script } from '../test-script.js'
import type { SemaphoreCommand } from './command.js'
import { permitState, readSemaphore, semaphoresInUse } from './view.js'

const give = (request: number): SemaphoreCommand => ({ type: 'semaphore.release', request })
const resize = (name: string, to: number): SemaphoreCommand => ({ type: 'semaphore.resize', name, permits: 3, to })
const eventsOf = ({ events }: { readonly events: readonly { readonly type: string }[] }) =>
  events.map((event) => event.type)
const stateOf = (script: Script, session: number, ...requests: number[]) =>
  requests.map((request) => permitState(script.state, session, request).type)

describe('a semaphore', () => {
  it('gives all of a request or nothing, and tells who waited', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    expect(script.send(sessions.ann, permits('a', 2)).outcome).toMatchObject({ type: 'semaphore.granted', since: 0 })
    expect(script.send(sessions.bob, permits('a', 2)).outcome).toEqual({ type: 'semaphore.queued' })
    expect(readSemaphore(script.state, 'a')).toEqual({ size: 3, free: 1 })
    const { events } = script.send(sessions.ann, give(1))
    const [{ token = 0 } = {}] = semaphoresInUse(script.state)[0]?.holders ?? []
    expect(events).toEqual([{ type: 'semaphore.granted', session: sessions.bob, request: 1, token, since: 0 }])
  })

  it('lets nobody pass who stands first, though there were enough for him', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.send(sessions.ann, permits('a', 2))
    script.send(sessions.bob, permits('a', 3))
    script.send(sessions.bob, permits('a', 1))
    expect(script.send(sessions.ann, permits('a', 1, { ifAvailable: true })).outcome?.type).toBe(
      'semaphore.unavailable',
    )
    script.send(sessions.ann, give(1))
    expect(stateOf(script, sessions.bob, 1, 2)).toEqual(['held', 'queued'])
  })

  it('goes by rank: a level of priority is a second of waiting, and no more', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.send(sessions.ann, permits('a', 3))
    script.send(sessions.bob, permits('a', 1))
    script.time = 900
    script.send(sessions.bob, permits('a', 1, { priority: 1 }))
    script.time = 1_100
    script.send(sessions.bob, permits('a', 1, { priority: 1 }))
    expect(semaphoresInUse(script.state)[0]?.waiters.map(({ request }) => request)).toEqual([2, 1, 3])
  })

  it('of no user costs nothing', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.send(sessions.ann, permits('a'))
    script.send(sessions.bob, permits('a', 3))
    script.send(sessions.bob, give(1))
    script.send(sessions.ann, give(1))
    expect(script.state.semaphores.byName.size + script.state.semaphores.bySession.size).toBe(0)
    expect(readSemaphore(script.state, 'a')).toBeNull()
  })

  it('has the size of its first user; another one of later users is theirs alone', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.send(sessions.ann, permits('a', 1, { permits: 2 }))
    script.send(sessions.bob, permits('a', 1, { permits: 9 }))
    expect(readSemaphore(script.state, 'a')).toEqual({ size: 2, free: 0 })
    script.send(sessions.ann, give(1))
    script.send(sessions.bob, give(1))
    script.send(sessions.bob, permits('a', 1, { permits: 9 }))
    expect(readSemaphore(script.state, 'a')?.size).toBe(9)
  })
})

describe('a grant', () => {
  it('[T1] has a token of its own, which rises, also where one entry makes several', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.send(sessions.ann, permits('a', 3))
    for (let i = 0; i < 3; i += 1) script.send(sessions.bob, permits('a'))
    script.send(sessions.ann, give(1))
    script.send(sessions.ann, permits('b'))
    const tokens = semaphoresInUse(script.state).flatMap(({ holders }) => holders.map(({ token }) => token))
    expect(new Set(tokens).size).toBe(4)
    expect([...tokens].sort((a, b) => a - b)).toEqual(tokens)
  })

  it('is not made twice by a retry (S-2)', () => {
    const { script, sessions } = roomOf('ann')
    const first = script.send(sessions.ann, permits('a'))
    const again = script.resend(sessions.ann, first.number, permits('a'))
    expect(again.answer?.outcome).toEqual(first.outcome)
    expect(readSemaphore(script.state, 'a')?.free).toBe(2)
  })
})

describe('a resize', () => {
  it('up lets in who waits', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.send(sessions.ann, permits('a', 3))
    script.send(sessions.bob, permits('a', 2))
    expect(eventsOf(script.send(sessions.ann, resize('a', 5)))).toEqual(['semaphore.granted'])
    expect(readSemaphore(script.state, 'a')).toEqual({ size: 5, free: 0 })
  })

  it('down takes from nobody: there are fewer as they come back', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    for (let i = 0; i < 3; i += 1) script.send(sessions.ann, permits('a'))
    script.send(sessions.bob, permits('a'))
    script.send(sessions.bob, resize('a', 1))
    expect(stateOf(script, sessions.ann, 1, 2, 3)).toEqual(['held', 'held', 'held'])
    for (const request of [1, 2]) expect(eventsOf(script.send(sessions.ann, give(request)))).toEqual([])
    expect(eventsOf(script.send(sessions.ann, give(3)))).toEqual(['semaphore.granted'])
  })

  it('below a request that waits tells it, and lets in who stood behind it', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.send(sessions.ann, permits('a', 1))
    script.send(sessions.bob, permits('a', 3))
    script.send(sessions.bob, permits('a', 1))
    const { events, outcome } = script.send(sessions.ann, resize('a', 2))
    expect(outcome).toEqual({ type: 'semaphore.resized' })
    expect(events).toMatchObject([
      { type: 'semaphore.refused', session: sessions.bob, request: 1, name: 'a', count: 3, size: 2 },
      { type: 'semaphore.granted', session: sessions.bob, request: 2 },
    ])
  })

  it('outlasts its users, until the next one brings that size, or it is undone', () => {
    const { script, sessions } = roomOf('ann')
    script.send(sessions.ann, resize('a', 2))
    expect(readSemaphore(script.state, 'a')).toEqual({ size: 2, free: 2 })
    script.send(sessions.ann, permits('a', 1, { permits: 4 }))
    script.send(sessions.ann, give(2))
    expect(readSemaphore(script.state, 'a')?.size).toBe(2)
    script.send(sessions.ann, permits('a', 1, { permits: 2 }))
    script.send(sessions.ann, give(4))
    expect(readSemaphore(script.state, 'a')).toBeNull()
    script.send(sessions.ann, resize('a', 2))
    script.send(sessions.ann, resize('a', 3))
    expect(readSemaphore(script.state, 'a')).toBeNull()
  })
})

describe('a session', () => {
  it('that ends gives all back, and waits no more', () => {
    const { script, sessions } = roomOf('ann', 'bob', 'cid')
    script.send(sessions.ann, permits('a', 2))
    script.send(sessions.bob, permits('a', 3))
    script.send(sessions.ann, permits('a', 1))
    script.send(sessions.cid, permits('a', 2))
    expect(eventsOf(script.close('bob'))).toEqual(['semaphore.lost', 'semaphore.granted', 'session.ended'])
    expect(eventsOf(script.close('ann'))).toEqual([
      'semaphore.lost',
      'semaphore.lost',
      'semaphore.granted',
      'session.ended',
    ])
    expect(stateOf(script, sessions.cid, 1)).toEqual(['held'])
  })

  it('[S-3] lives as long as its longest lease; a shorter one ends alone, and passes its permits on', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.send(sessions.ann, permits('a', 2, { lease: 500 }))
    script.send(sessions.ann, permits('b', 1, { lease: 30_000 }))
    script.send(sessions.bob, permits('a', 3))
    expect([nextLease(script.state, sessions.ann), longestLease(script.state, sessions.ann)]).toEqual([500, 30_000])
    expect(eventsOf(script.expire(sessions.ann, 499))).toEqual([])
    expect(script.expire(sessions.ann, 500).events).toMatchObject([
      { type: 'semaphore.lost', request: 1, reason: 'expired' },
      { type: 'semaphore.granted', session: sessions.bob },
    ])
    expect(stateOf(script, sessions.ann, 1, 2)).toEqual(['gone', 'held'])
  })
})

describe('a limit', () => {
  it.each<[string, string, number, SemaphoreCommand]>([
    ['a name too long', 'semaphoreName', 1024, permits('x'.repeat(1025))],
    ['no permits', 'permits', 1_000_000, permits('a', 0)],
    ['less than none', 'permits', 1_000_000, permits('a', -1)],
    ['a size of none', 'permits', 1_000_000, permits('a', 1, { permits: 0 })],
    ['a size too large', 'permits', 1_000_000, permits('a', 1, { permits: 1_000_001 })],
    ['more than there are', 'permits', 3, permits('a', 4)],
    ['no lease', 'lease', 86_400_000, permits('a', 1, { lease: 0 })],
    ['a priority', 'priority', 1000, permits('a', 1, { priority: -1001 })],
    ['an owner', 'owner', 256, permits('a', 1, { owner: 'x'.repeat(257) })],
    ['a resize to none', 'permits', 1_000_000, resize('a', 0)],
  ])('%s is refused by name and value, and changes nothing', (_what, limit, value, command) => {
    const { script, sessions } = roomOf('ann')
    const { outcome } = script.send(sessions.ann, command)
    expect(outcome).toMatchObject({ failure: { code: 'limit-exceeded', details: { limit, value } } })
    expect(script.state.semaphores).toEqual({ byName: new Map(), bySession: new Map(), lastToken: 0 })
  })

  it('of names, of waiters and of holders', () => {
    const { script, sessions } = roomOf('ann')
    const ask = (name: string, count = 1, size = 3) =>
      script.send(sessions.ann, permits(name, count, { permits: size })).outcome
    for (let i = 0; i < 65; i += 1) ask('full', 3)
    expect(ask('full', 3)).toMatchObject({ failure: { details: { limit: 'semaphoreQueue', value: 64 } } })
    for (let i = 0; i < 1024; i += 1) ask('many', 1, 2_000)
    expect(ask('many')).toMatchObject({ failure: { details: { limit: 'semaphoreHolders', value: 1024 } } })
    // Who has waited is let in by one who goes, not past the limit.
    const all = script.send(sessions.ann, permits('many', 2_000, { permits: 2_000 })).number
    const next = [ask('many'), ask('many')]
    expect(next.map((outcome) => outcome?.type)).toEqual(['semaphore.queued', 'semaphore.queued'])
    const holders = () => script.state.semaphores.byName.get('many')?.held ?? []
    script.send(sessions.ann, { type: 'semaphore.release', request: all })
    expect(holders().length).toBe(1024)
    const [first] = holders()
    const gone = script.send(sessions.ann, { type: 'semaphore.release', request: first?.request ?? 0 })
    expect([gone.events[0]?.type, holders().length]).toEqual(['semaphore.granted', 1024])
    for (let i = 2; i < 256; i += 1) ask(`${i}`)
    expect(ask('one more')).toMatchObject({ failure: { details: { limit: 'semaphores', value: 256 } } })
    expect(script.send(sessions.ann, resize('one more', 2)).outcome).toMatchObject({ type: 'failed' })
    expect(ask('2')).toMatchObject({ type: 'semaphore.granted' })
  })
})

describe('[F5] version 2', () => {
  it('is needed: below it the room refuses', () => {
    const { script, sessions } = roomAt(1, 'ann')
    expect(script.send(sessions.ann, permits('a')).outcome).toMatchObject({ failure: { code: 'incompatible-peer' } })
    expect(script.state.semaphores.byName.size).toBe(0)
  })

  it('adds nothing to the snapshot of a room that has no semaphores', () => {
    const { script } = roomOf('ann')
    expect(Buffer.from(encodeMachine(script.state)).includes('semaphore')).toBe(false)
  })
})

it.each<[string, (script: Script, ann: number) => unknown]>([
  ['a permit of no session', ({ state }, ann) => state.sessions.delete(ann)],
  ['a semaphore that nobody granted', ({ state }) => state.semaphores.byName.get('a')?.held.pop()],
  ['a request that is too large', ({ state }) => Object.assign(state.semaphores.byName.get('a') ?? {}, { size: 1 })],
  ['its queue in disorder', ({ state }) => state.semaphores.byName.get('a')?.queue.reverse()],
  ['granted out of order', ({ state }) => Object.assign(state.semaphores, { lastToken: 1 })],
  [
    'a semaphore that nobody uses',
    ({ state }) => state.semaphores.byName.set('b', { name: 'b', size: 3, declared: 3, held: [], queue: [] }),
  ],
])('a snapshot with %s is refused', (what, damage) => {
  const { script, sessions } = roomOf('ann', 'bob')
  script.send(sessions.ann, permits('a', 2))
  script.send(sessions.bob, permits('a', 2))
  script.send(sessions.bob, permits('a', 3))
  damage(script, sessions.ann)
  expect(() => decodeMachine(encodeMachine(script.state))).toThrow(what)
})
