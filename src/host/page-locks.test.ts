import { beforeEach, describe, expect, it } from 'vitest'
import type { Applied } from '../machine/outcome.js'
import { lock, put } from '../machine/test-script.js'
import { OwnSession } from './own-session.js'
import type { Answers, Call, HostEvent, Reply } from './page.js'
import { PageLocks } from './page-locks.js'
import { TestContext } from './test-context.js'

let context: TestContext
let session: OwnSession
let locks: PageLocks
let replies: string[]
let bob: number
/** What waits for the page to have dealt with what it was told. */
let confirmations: (() => void)[]

const tell = (applied: Applied) => {
  locks.happened(applied.events)
  session.applied(applied)
}
const commit = () => context.commit(tell)

beforeEach(() => {
  context = new TestContext()
  replies = []
  confirmations = []
  bob = context.script.open('bob')
  session = new OwnSession(context, {
    pendingMax: () => 128,
    state: null,
    tokenFloor: 0,
    opened: () => {},
    ended: () => locks.sessionEnded(),
  })
  locks = new PageLocks(context, session, (run) => confirmations.push(run))
  session.open()
  commit()
})

const describeReply = (reply: Reply<Answers['lock.request'] | null>) =>
  reply.ok ? (reply.value?.state ?? 'done') : reply.failure.code
const request = (handle: number, options: Partial<Extract<Call, { type: 'lock.request' }>> = {}) =>
  locks.request(
    {
      ...{ type: 'lock.request', handle, name: 'a', mode: 'exclusive', ifAvailable: false, steal: false },
      ...{ lease: 10_000, attributes: null },
      ...options,
    },
    (reply) => replies.push(`${handle} ${describeReply(reply)}`),
  )
const release = (handle: number) =>
  locks.release(handle, null, (reply) => replies.push(`${handle} ${describeReply(reply)}`))
const events = () =>
  context.emitted.splice(0).map((event: HostEvent) => {
    if (event.type === 'lock.granted') return `granted ${event.handle}`
    if (event.type === 'lock.unavailable') return `unavailable ${event.handle}`
    if (event.type === 'lock.lost') return `lost ${event.handle} ${event.reason}`
    return event.type
  })
const bobLocks = (options = {}) => tell(context.script.send(bob, lock('a', options)))
const bobReleases = (number: number) => tell(context.script.send(bob, { type: 'lock.release', request: number }))
const expire = () => tell(context.script.expire(session.id ?? 0, 1e9))

describe('a request', () => {
  it('is answered by what the room said of it', () => {
    request(1)
    request(2)
    request(3, { ifAvailable: true })
    commit()
    expect(replies).toEqual(['1 granted', '2 queued', '3 unavailable'])
  })

  it('is told whether it has its lock by an event, in the order of the room: replies come late', () => {
    request(1)
    commit()
    expect(events()).toEqual(['granted 1'])
    request(2)
    request(3, { ifAvailable: true })
    request(4, { name: 'b' })
    release(1)
    commit()
    expect(events()).toEqual(['unavailable 3', 'granted 4', 'granted 2'])
  })

  it('that waits hears of its grant by an event, once', () => {
    bobLocks()
    request(1)
    commit()
    bobReleases(1)
    expect([replies, events()]).toEqual([['1 queued'], ['granted 1']])
  })

  it('that is refused is forgotten', () => {
    context.script.send(bob, lock('other'))
    for (let handle = 1; handle <= 66; handle += 1) request(handle)
    commit()
    commit()
    expect(replies.slice(-2)).toEqual(['65 queued', '66 limit-exceeded'])
    expect(locks.handleOf(66)).toBeNull()
    expect(locks.handleOf(65)).toBe(65)
  })

  it('is not refused for the number of commands on their way, only for what the room holds', () => {
    for (let handle = 1; handle <= 200; handle += 1) request(handle, { name: `${handle}` })
    while (context.submitted.length > 0) commit()
    expect(replies.filter((reply) => reply.endsWith('granted'))).toHaveLength(200)
  })
})

describe('a loss', () => {
  it('by theft is told', () => {
    request(1)
    commit()
    bobLocks({ steal: true })
    expect(events()).toEqual(['granted 1', 'lost 1 stolen'])
  })

  it('of three that steal from each other in one go: each is told of its own', () => {
    for (const handle of [1, 2, 3]) request(handle, { steal: true })
    commit()
    expect(replies).toEqual(['1 granted', '2 granted', '3 granted'])
    expect(events()).toEqual(['granted 1', 'lost 1 stolen', 'granted 2', 'lost 2 stolen', 'granted 3'])
  })
})

describe('[S-9] a release', () => {
  it('of what is held lets the next one in', () => {
    request(1)
    request(2)
    commit()
    release(1)
    commit()
    expect([replies, events()]).toEqual([
      ['1 granted', '2 queued', '1 done'],
      ['granted 1', 'granted 2'],
    ])
  })

  it('of what waits leaves the queue, and is deaf to a grant meanwhile', () => {
    bobLocks()
    request(1)
    request(2)
    commit()
    release(1)
    bobReleases(1)
    commit()
    expect([replies, events()]).toEqual([['1 queued', '2 queued', '1 done'], ['granted 2']])
  })

  it('of what has no answer yet: it is told that there is none, and the lock is not kept', () => {
    request(1)
    release(1)
    request(2)
    commit()
    commit()
    expect([...replies].sort()).toEqual(['1 done', '1 unavailable', '2 granted'])
  })

  it('of what was never sent sends nothing', () => {
    expire()
    context.taken()
    request(1)
    release(1)
    expect([replies, context.taken()]).toEqual([['1 unavailable', '1 done'], []])
  })

  it('of what is unknown, or was lost, is done', () => {
    release(9)
    request(1)
    commit()
    bobLocks({ steal: true })
    release(1)
    expect([replies, context.taken()]).toEqual([['9 done', '1 granted', '1 done'], []])
  })
})

describe('the end of the session', () => {
  it('loses what is held, and asks again for what waits, at the tail', () => {
    bobLocks({})
    request(1)
    request(2, { name: 'b' })
    commit()
    bobLocks()
    expire()
    expect(events()).toEqual(['granted 2', 'lost 2 expired'])
    commit()
    commit()
    bobReleases(1)
    expect(events()).toEqual([])
    bobReleases(2)
    expect([replies, events()]).toEqual([['1 queued', '2 granted'], ['granted 1']])
  })

  it('what waits and is free now is granted by an event, since its answer was given', () => {
    request(1)
    request(2)
    commit()
    expire()
    commit()
    commit()
    expect([replies, events()]).toEqual([
      ['1 granted', '2 queued'],
      ['granted 1', 'lost 1 expired', 'granted 2'],
    ])
  })

  it('what had no answer yet is answered by the next session', () => {
    request(1)
    context.taken()
    expire()
    commit()
    commit()
    expect([replies, events()]).toEqual([['1 granted'], ['granted 1']])
  })

  it('what waited and finds the queue full is told that it waits no more', () => {
    bobLocks()
    request(1)
    commit()
    context.taken()
    expire()
    const eve = context.script.open('eve')
    for (let i = 0; i < 64; i += 1) context.script.send(eve, lock('a'))
    commit()
    commit()
    expect([replies, events()]).toEqual([['1 queued'], ['lock.refused']])
    expect(locks.shortestLease()).toBeNull()
  })

  it('[S-10] what a snapshot has made ask again is asked for once in the next session, not twice', () => {
    bobLocks()
    request(1)
    commit()
    // Inside a snapshot: the page does not hear of it.
    context.script.resend(session.id ?? 0, 2, { type: 'lock.release', request: 1 }, 1)
    locks.reconcile()
    expire()
    commit()
    commit()
    const waiting = context.machine.locks.resources.get('a')?.queue ?? []
    expect(waiting.map(({ session }) => session)).toEqual([session.id])
    bobReleases(1)
    expect([replies, events()]).toEqual([['1 queued'], ['granted 1']])
  })

  it('[S-9, S-10] what asks again after a snapshot and is let go of before it is sent leaves nothing behind', () => {
    bobLocks()
    request(1)
    commit()
    // Inside a snapshot: granted, and stolen.
    context.script.send(bob, { type: 'lock.release', request: 1 })
    context.script.send(bob, lock('a', { steal: true }))
    // As many as may be under way.
    for (let i = 0; i < 128; i += 1) session.submit(put(`${i}`), { settle: () => {} })
    locks.reconcile()
    release(1)
    while (session.pending > 0) commit()
    expect([replies, events()]).toEqual([['1 queued', '1 done'], []])
    bobReleases(3)
    expect(context.machine.locks.resources.get('a')).toBeUndefined()
  })

  it('a request whose session ends under its release is not made again', () => {
    bobLocks()
    request(1)
    commit()
    release(1)
    context.taken()
    expire()
    commit()
    commit()
    bobReleases(1)
    expect([replies, events()]).toEqual([['1 queued', '1 done'], []])
  })
})

it('the shortest lease of all requests is known', () => {
  expect(locks.shortestLease()).toBeNull()
  request(1, { lease: 5_000 })
  request(2, { lease: 300 })
  expect(locks.shortestLease()).toBe(300)
  release(2)
  expect(locks.shortestLease()).toBe(5_000)
})

describe('beyond Web Locks', () => {
  const beyond = { also: [], owner: null, priority: 0, scope: 'exact', maxHold: null, lockDelay: 0 } as const
  const told = () => context.emitted.splice(0).filter(({ type }) => type.startsWith('lock.'))
  const upgrade = (handle: number, name = 'a') =>
    locks.upgrade(handle, name, (reply) =>
      replies.push(reply.ok ? `upgraded ${reply.value.token}` : reply.failure.code),
    )
  const downgrade = (handle: number) =>
    locks.downgrade(handle, 'a', (reply) =>
      replies.push(reply.ok ? `downgraded ${reply.value.token}` : reply.failure.code),
    )

  beforeEach(() => {
    tell(context.script.raise())
    context.script.time = 100
  })

  it('[F5] in a room of version 1 it is refused at once, and a plain request is not', () => {
    context.script.state.version = 1
    request(1, { beyond })
    request(2)
    expect(replies).toEqual(['1 incompatible-peer'])
    commit()
    expect(replies).toEqual(['1 incompatible-peer', '2 granted'])
  })

  it('several names are one request, which is over with the last of them', () => {
    bobLocks()
    request(1, { name: 'b', beyond: { ...beyond, also: ['a'], maxHold: 50 } })
    commit()
    expect(told()).toEqual([])
    bobReleases(1)
    const token = context.script.state.tokenBase + context.script.index
    expect(told()).toEqual([{ type: 'lock.granted', handle: 1, token, since: 100, endsAt: 150 }])
    locks.release(1, 'b', () => {})
    commit()
    bobLocks({ steal: true })
    expect(told()).toEqual([{ type: 'lock.lost', handle: 1, name: 'a', reason: 'stolen' }])
    expect(locks.shortestLease()).toBeNull()
  })

  it('[S-10] a grant and an upgrade inside a snapshot are found, with each name and token', () => {
    request(1, { mode: 'shared', beyond: { ...beyond, owner: 'o' } })
    commit()
    told()
    bobLocks({ mode: 'shared' })
    upgrade(1)
    commit()
    context.script.send(bob, { type: 'lock.release', request: 1 })
    locks.reconcile()
    expect(replies.at(-1)).toBe(`upgraded ${context.script.state.tokenBase + context.script.index}`)
    const first = context.script.state.tokenBase + context.script.index
    context.script.send(bob, lock('b'))
    request(2, { name: 'b', beyond: { ...beyond, owner: 'o', also: ['a'] } })
    commit()
    context.script.send(bob, { type: 'lock.release', request: 3 })
    locks.reconcile()
    const token = context.script.state.tokenBase + context.script.index
    expect(told()).toMatchObject([{ type: 'lock.granted', handle: 2, token, tokens: { a: first, b: token } }])
  })

  it('an upgrade that waits is answered when it is exclusive', () => {
    request(1, { mode: 'shared' })
    commit()
    bobLocks({ mode: 'shared' })
    upgrade(1)
    commit()
    expect(replies).toEqual(['1 granted'])
    bobReleases(1)
    expect(replies).toEqual(['1 granted', `upgraded ${context.script.state.tokenBase + context.script.index}`])
  })

  it.each<[string, () => void, string[]]>([
    ['a downgrade', () => downgrade(1), ['lock-lost', expect.stringContaining('downgraded')]],
    ['its release', () => release(1), ['lock-lost', '1 done']],
    ['a theft', () => bobLocks({ steal: true }), ['lock-lost']],
    ['the end of the session', () => expire(), ['lock-lost']],
  ])('an upgrade that waits is given up by %s', (_what, end, answers) => {
    request(1, { mode: 'shared' })
    commit()
    bobLocks({ mode: 'shared' })
    upgrade(1)
    commit()
    replies = []
    end()
    commit()
    expect(replies).toEqual(answers)
  })

  it('[T2] a downgrade says which token is left, of an upgrade too that was not told', () => {
    request(1, { mode: 'shared' })
    commit()
    bobLocks({ mode: 'shared' })
    upgrade(1)
    commit()
    replies = []
    context.script.send(bob, { type: 'lock.release', request: 1 })
    const token = context.script.state.tokenBase + context.script.index
    downgrade(1)
    commit()
    expect(replies).toEqual(['lock-lost', `downgraded ${token}`])
  })

  it('what names a request of a session that has ended is answered, and not sent in the next one', () => {
    request(1)
    commit()
    upgrade(1)
    downgrade(1)
    context.taken()
    expire()
    expect(replies).toEqual(['1 granted', 'lock-lost', 'lock-lost'])
    commit()
    expect(context.taken()).toEqual([])
  })

  it('[S-7] a revoke is acknowledged once the page has dealt with it, and it is told of the least and then of the end', () => {
    request(1)
    commit()
    told()
    tell(context.script.send(bob, { type: 'lock.revoke', name: 'a', grace: 50 }))
    const revoked = { type: 'lock.revoked', handle: 1, name: 'a' }
    expect(told()).toEqual([
      { ...revoked, endsAt: null },
      { ...revoked, endsAt: 150 },
    ])
    expect(context.taken()).toEqual([])
    context.script.time = 120
    for (const run of confirmations) run()
    commit()
    expect(told()).toEqual([{ ...revoked, endsAt: 170 }])
    context.script.time = 170
    tell(context.script.apply({ type: 'tick', term: 1 }))
    expect(told()).toEqual([{ type: 'lock.lost', handle: 1, name: 'a', reason: 'revoked' }])
  })

  it('[S-7][S-10] one inside a snapshot is told and acknowledged as well; one of a lock that is gone is not', () => {
    request(1)
    commit()
    told()
    context.script.send(bob, { type: 'lock.revoke', name: 'a', grace: 50 })
    locks.reconcile()
    expect(told().map(({ type }) => type)).toEqual(['lock.revoked', 'lock.revoked'])
    release(1)
    commit()
    for (const run of confirmations) run()
    expect([confirmations.length, context.taken()]).toEqual([1, []])
  })
})
