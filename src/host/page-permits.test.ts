import { beforeEach, describe, expect, it } from 'vitest'
import type { Applied } from '../machine/outcome.js'
import type { SemaphoreCommand } from '../machine/semaphore/command.js'
import { permits, put } from '../machine/test-script.js'
import { OwnSession } from './own-session.js'
import type { Answers, Call, HostEvent, Reply } from './page.js'
import { PagePermits } from './page-permits.js'
import { TestContext } from './test-context.js'

let context: TestContext
let session: OwnSession
let page: PagePermits
let replies: string[]
let bob: number

const tell = (applied: Applied) => {
  page.happened(applied.events)
  session.applied(applied)
}
const commit = () => context.commit(tell)

beforeEach(() => {
  context = new TestContext()
  if (context.machine.version < 2) context.script.raise(2)
  replies = []
  bob = context.script.open('bob')
  session = new OwnSession(context, {
    pendingMax: () => 128,
    state: null,
    tokenFloor: 0,
    opened: () => {},
    ended: () => page.sessionEnded(),
  })
  page = new PagePermits(context, session)
  session.open()
  commit()
})

const describeReply = (reply: Reply<Answers['semaphore.acquire'] | null>) =>
  reply.ok ? (reply.value?.state ?? 'done') : reply.failure.code
const acquire = (handle: number, options: Partial<Extract<Call, { type: 'semaphore.acquire' }>> = {}) =>
  page.acquire(
    {
      ...{ type: 'semaphore.acquire', handle, name: 'a', permits: 2, count: 1, ifAvailable: false },
      ...{ lease: 10_000, priority: 0, owner: null },
      ...options,
    },
    (reply) => replies.push(`${handle} ${describeReply(reply)}`),
  )
const release = (handle: number) => page.release(handle, (reply) => replies.push(`${handle} ${describeReply(reply)}`))
const events = () =>
  context.emitted.splice(0).map((event: HostEvent) => {
    if (event.type === 'permit.granted') return `granted ${event.handle}`
    if (event.type === 'permit.lost') return `lost ${event.handle} ${event.reason}`
    if (event.type === 'permit.refused') return `refused ${event.handle} ${event.failure.code}`
    return event.type
  })
const bobSends = (command: SemaphoreCommand) => tell(context.script.send(bob, command))
const bobHasAll = () => bobSends(permits('a', 2, { permits: 2 }))
const bobReleases = (request: number) => bobSends({ type: 'semaphore.release', request })
const bobResizes = (to: number) => bobSends({ type: 'semaphore.resize', name: 'a', permits: 2, to })
const expire = () => tell(context.script.expire(session.id ?? 0, 1e9))

describe('a request', () => {
  it('is answered by what the room said of it', () => {
    acquire(1)
    acquire(2, { count: 2 })
    acquire(3, { ifAvailable: true })
    acquire(4, { count: 3 })
    commit()
    expect([replies, events()]).toEqual([['1 granted', '2 queued', '3 unavailable', '4 limit-exceeded'], []])
    expect(context.machine.semaphores.byName.get('a')?.size).toBe(2)
  })

  it('that waits hears of its grant by an event, once', () => {
    bobHasAll()
    acquire(1)
    commit()
    bobReleases(1)
    expect([replies, events()]).toEqual([['1 queued'], ['granted 1']])
  })

  it('that is larger than the size since a resize is refused by an event, and forgotten', () => {
    bobHasAll()
    acquire(1, { count: 2, lease: 300 })
    commit()
    bobResizes(1)
    expect([replies, events(), page.shortestLease()]).toEqual([['1 queued'], ['refused 1 limit-exceeded'], null])
  })
})

describe('[S-9] a release', () => {
  it('of what is held lets the next one in', () => {
    acquire(1, { count: 2 })
    acquire(2)
    commit()
    release(1)
    commit()
    expect([replies, events()]).toEqual([['1 granted', '2 queued', '1 done'], ['granted 2']])
  })

  it('of what waits leaves the queue, and is deaf to a grant meanwhile', () => {
    bobHasAll()
    acquire(1)
    acquire(2)
    commit()
    release(1)
    bobReleases(1)
    commit()
    expect([replies, events()]).toEqual([['1 queued', '2 queued', '1 done'], ['granted 2']])
    expect(context.machine.semaphores.byName.get('a')?.held).toHaveLength(1)
  })

  it('of what has no answer yet: it is told that there is none, and the permits are not kept', () => {
    acquire(1, { count: 2 })
    release(1)
    acquire(2, { count: 2 })
    commit()
    commit()
    expect([...replies].sort()).toEqual(['1 done', '1 unavailable', '2 granted'])
  })

  it('of what was never sent sends nothing; of what is unknown is done', () => {
    expire()
    context.taken()
    acquire(1)
    release(1)
    release(9)
    expect([replies, context.taken()]).toEqual([['1 unavailable', '1 done', '9 done'], []])
  })
})

describe('the end of the session', () => {
  it('loses what is held, and asks again for what waits', () => {
    bobHasAll()
    acquire(1)
    acquire(2, { name: 'b' })
    commit()
    expire()
    expect(events()).toEqual(['lost 2 expired'])
    commit()
    commit()
    bobReleases(1)
    expect([replies, events()]).toEqual([['1 queued', '2 granted'], ['granted 1']])
  })

  it('what had no answer yet is answered by the next session, and what was let go of is not made again', () => {
    acquire(1)
    acquire(2)
    release(2)
    context.taken()
    expire()
    commit()
    commit()
    expect([[...replies].sort(), events()]).toEqual([['1 granted', '2 done', '2 unavailable'], []])
    expect(context.machine.semaphores.byName.get('a')?.held).toHaveLength(1)
  })

  it('what waited and is too large by then is told that it waits no more', () => {
    bobHasAll()
    acquire(1, { count: 2 })
    commit()
    expire()
    context.script.send(bob, { type: 'semaphore.resize', name: 'a', permits: 2, to: 1 })
    commit()
    commit()
    expect([replies, events()]).toEqual([['1 queued'], ['refused 1 limit-exceeded']])
  })
})

describe('[S-10] after a snapshot', () => {
  it('what was granted in it is told, what was lost in it is lost', () => {
    bobHasAll()
    acquire(1)
    acquire(2, { name: 'b', lease: 200 })
    commit()
    // The page does not hear of these.
    context.script.send(bob, { type: 'semaphore.release', request: 1 })
    context.script.expire(session.id ?? 0, 200)
    page.reconcile()
    expect([replies, events()]).toEqual([
      ['1 queued', '2 granted'],
      ['granted 1', 'lost 2 expired'],
    ])
  })

  it('what a resize has refused in it is asked for again, and refused', () => {
    bobHasAll()
    acquire(1, { count: 2 })
    commit()
    context.script.send(bob, { type: 'semaphore.resize', name: 'a', permits: 2, to: 1 })
    page.reconcile()
    commit()
    expect([replies, events()]).toEqual([['1 queued'], ['refused 1 limit-exceeded']])
  })

  it('[S-9] what asks again and is let go of before it is sent leaves nothing behind', () => {
    bobHasAll()
    acquire(1, { count: 2 })
    commit()
    for (const to of [1, 2]) context.script.send(bob, { type: 'semaphore.resize', name: 'a', permits: 2, to })
    // As many as may be under way.
    for (let i = 0; i < 128; i += 1) session.submit(put(`${i}`), { settle: () => {} })
    page.reconcile()
    release(1)
    while (session.pending > 0) commit()
    expect([replies, events()]).toEqual([['1 queued', '1 done'], []])
    bobReleases(1)
    expect(context.machine.semaphores.byName.size).toBe(0)
  })
})

it('the shortest lease of all requests is known', () => {
  expect(page.shortestLease()).toBeNull()
  acquire(1, { lease: 5_000 })
  acquire(2, { lease: 300 })
  expect(page.shortestLease()).toBe(300)
  release(2)
  expect(page.shortestLease()).toBe(5_000)
})
