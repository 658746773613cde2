import { beforeEach, describe, expect, it } from 'vitest'
import type { LockEventRecord } from '../host/page.js'
import { RoomConnection } from './connection.js'
import { RoomLeftError, StorageError } from './errors.js'
import type { LockEvent } from './lock-watch.js'
import { RoomLocks } from './locks.js'
import { quiet, TestClock, TestPort } from './test-port.js'

let port: TestPort
let connection: RoomConnection
let locks: RoomLocks

beforeEach(() => {
  port = new TestPort()
  connection = new RoomConnection(new TestClock())
  connection.attach(port)
  locks = new RoomLocks(connection, { whenNoQuorum: 'wait', timing: () => ({ heartbeat: 50, lease: 10_000 }) })
})

const record = (changes: Partial<LockEventRecord>): LockEventRecord => ({
  ...{ what: 'taken', name: 'a', peerId: 'bob', mode: 'exclusive', token: 7, how: 'granted', at: 5 },
  ...changes,
})
const taken = (name: string, token: number, changes: Partial<LockEventRecord> = {}) =>
  record({ name, token, ...changes })
const freed = (name: string, token: number, how: LockEventRecord['how'] = 'released') =>
  record({ what: 'freed', name, token, how })

function tell(events: readonly LockEventRecord[], resync = false): void {
  for (const notice of port.notices) {
    if (notice.type !== 'watch') continue
    port.tell({ type: 'watched', id: notice.id, value: { type: 'locks', events, resync } })
  }
}

const open = (prefix?: string): AsyncIterator<LockEvent> => locks.watch(prefix)[Symbol.asyncIterator]()
/** As short as it can be said, `~`: by a resync. */
const said = ({ type, name, token, reason, resync }: LockEvent) =>
  `${resync ? '~' : ''}${type} ${name} ${token}${reason ? ` ${reason}` : ''}`

const asking = new WeakMap<AsyncIterator<LockEvent>, Promise<IteratorResult<LockEvent>>>()

/** What has come by now; the one that it waits for in vain is the next one's first. */
async function drain(watch: AsyncIterator<LockEvent>): Promise<string[]> {
  const seen: string[] = []
  while (true) {
    const asked = asking.get(watch) ?? watch.next()
    asking.set(watch, asked)
    const next = await Promise.race([asked, quiet().then(() => null)])
    if (!next) return seen
    asking.delete(watch)
    if (next.done) return seen
    seen.push(said(next.value))
  }
}

describe('events', () => {
  it('come in the order of the log, first what is held', async () => {
    const watch = open('doc/')
    expect(port.notices).toMatchObject([{ type: 'watch', what: { type: 'locks', prefix: 'doc/' } }])
    tell([taken('doc/1', 3)], true)
    tell([
      freed('doc/1', 3),
      taken('doc/1', 7, { mode: 'shared' }),
      taken('doc/1', 7, { mode: 'shared', how: 'reentered' }),
      taken('doc/1', 9, { how: 'upgraded' }),
      taken('doc/1', 9, { how: 'downgraded', mode: 'shared' }),
      freed('doc/1', 9, 'stolen'),
      freed('doc/1', 7, 'expired'),
    ])
    tell([taken('doc/2', 12)])
    expect(await drain(watch)).toEqual([
      '~granted doc/1 3',
      'released doc/1 3',
      'granted doc/1 7',
      'granted doc/1 7',
      'upgraded doc/1 9',
      'downgraded doc/1 9',
      'lost doc/1 9 stolen',
      'lost doc/1 7 expired',
      'granted doc/2 12',
    ])
  })

  it('have what there is to know, and `resync` and `reason` only where they apply', async () => {
    const watch = open()
    tell([taken('a', 3, { mode: 'shared' })])
    const { value } = await watch.next()
    expect(value).toStrictEqual({ type: 'granted', name: 'a', clientId: 'bob', mode: 'shared', token: 3, at: 5 })
  })

  it('go to whoever waits for them first', async () => {
    const watch = open()
    const waiting = [watch.next(), watch.next()]
    tell([taken('a', 1), taken('b', 2), taken('c', 3)])
    const all = [...(await Promise.all(waiting)), await watch.next()]
    expect(all.map(({ value }) => value?.name)).toEqual(['a', 'b', 'c'])
  })

  it('each iteration has its own', async () => {
    const watched = locks.watch()
    const [one, other] = [watched[Symbol.asyncIterator](), watched[Symbol.asyncIterator]()]
    tell([taken('a', 1)])
    expect([await drain(one), await drain(other)]).toEqual([['granted a 1'], ['granted a 1']])
    await one.return?.()
    tell([taken('b', 2)])
    expect([await drain(one), await drain(other)]).toEqual([[], ['granted b 2']])
    expect(await one.next()).toEqual({ done: true, value: undefined })
  })
})

describe('after another host is there', () => {
  it('what it holds differs by is told as a resync: nothing twice, and nothing missing', async () => {
    const watch = open()
    tell([taken('kept', 1), taken('lost', 2), taken('other', 3), taken('twice', 4), taken('twice', 4)])
    tell([taken('shared', 5, { mode: 'shared' })])
    tell([taken('shared', 6, { how: 'upgraded', before: { mode: 'shared', token: 5 } })])
    await drain(watch)
    connection.detach()
    const next = new TestPort()
    connection.attach(next)
    const [again] = next.notices
    const before = port
    port = next
    expect([again?.type, before.notices.some(({ type }) => type === 'unwatch')]).toEqual(['watch', false])
    tell([taken('kept', 1), taken('other', 9), taken('twice', 4), taken('shared', 6), taken('new', 10)], true)
    expect(await drain(watch)).toEqual([
      '~released lost 2',
      '~released other 3',
      '~released twice 4',
      '~granted other 9',
      '~granted new 10',
    ])
    tell([freed('new', 10), taken('new', 11)], true)
    expect(await drain(watch)).toEqual(['~released new 10', '~granted new 11'])
  })

  /** What is told to be over when the next host holds nothing. */
  const over = async (watch: AsyncIterator<LockEvent>) => {
    const seen: LockEvent[] = []
    void (async () => {
      for (let next = await watch.next(); !next.done; next = await watch.next()) seen.push(next.value)
    })()
    await quiet()
    seen.length = 0
    connection.detach()
    port = new TestPort()
    connection.attach(port)
    tell([], true)
    await quiet()
    return seen.map(({ type, mode, token }) => `${type} ${mode} ${token}`)
  }

  it('of several holds of one owner the one that was upgraded is meant, and the others are held still', async () => {
    const watch = open()
    tell([taken('a', 7, { mode: 'shared' }), taken('a', 9, { mode: 'shared' })])
    tell([taken('a', 11, { how: 'upgraded', before: { mode: 'shared', token: 9 } })])
    expect(await over(watch)).toEqual(['released shared 7', 'released exclusive 11'])
  })

  it('... and the one of that mode: those that were re-entered have the same token', async () => {
    const watch = open()
    tell([taken('a', 9, { mode: 'shared' }), taken('a', 9, { how: 'reentered' })])
    tell([taken('a', 9, { how: 'downgraded', mode: 'shared', before: { mode: 'exclusive', token: 9 } })])
    expect(await over(watch)).toEqual(['released shared 9', 'released shared 9'])
  })

  it('[S-10] a snapshot tells the difference by itself', async () => {
    const watch = open()
    tell([taken('a', 1)], true)
    tell([freed('a', 1, 'expired'), taken('a', 2)], true)
    expect(await drain(watch)).toEqual(['~granted a 1', '~lost a 1 expired', '~granted a 2'])
  })
})

describe('it ends', () => {
  const unwatched = () => port.notices.filter(({ type }) => type === 'unwatch').length

  it('with `break`', async () => {
    tell([])
    const seen: string[] = []
    const run = (async () => {
      for await (const event of locks.watch()) {
        seen.push(event.name)
        if (event.name === 'b') break
      }
    })()
    await quiet()
    tell([taken('a', 1), taken('b', 2), taken('c', 3)])
    await run
    expect([seen, unwatched()]).toEqual([['a', 'b'], 1])
  })

  it('when the handle is left, after what was told', async () => {
    const watch = open()
    const idle = open('other')
    const waiting = [idle.next(), idle.next()]
    await drain(idle)
    tell([taken('a', 1)])
    locks.leave()
    expect(unwatched()).toBe(2)
    expect(await drain(watch)).toEqual(['granted a 1'])
    expect([await watch.next(), (await waiting[1])?.done]).toEqual([{ done: true, value: undefined }, true])
    expect(await open().next()).toEqual({ done: true, value: undefined })
  })

  it.each([
    ['in order when the room is left', new RoomLeftError(), null],
    ['with the error of a room that fails', new StorageError('no disk'), 'storage'],
  ])('%s', async (_title, error, code) => {
    const watch = open()
    const late = open()
    const waiting = watch.next().catch((reason: unknown) => reason)
    const behind = watch.next()
    tell([])
    connection.end(error)
    expect(await waiting).toMatchObject(code ? { code } : { done: true })
    expect([(await behind).done, (await watch.next()).done]).toEqual([true, true])
    expect(await late.next().catch((reason: unknown) => reason)).toMatchObject(code ? { code } : { done: true })
    const after = open()
    expect(await after.next().catch((reason: unknown) => reason)).toMatchObject(code ? { code } : { done: true })
  })

  it('with an error, and not with a gap, when more wait than it keeps', async () => {
    const watch = open()
    tell(Array.from({ length: 10_000 }, (_, i) => taken('a', i + 1)))
    expect(unwatched()).toBe(0)
    tell([taken('a', 10_001), taken('a', 10_002)])
    expect(unwatched()).toBe(1)
    let count = 0
    const error = await (async () => {
      while (!(await watch.next()).done) count += 1
    })().catch((reason: unknown) => reason)
    expect(error).toMatchObject({ name: 'LimitExceededError', limit: 'lockEvents', value: 10_000 })
    expect([count, (await watch.next()).done]).toEqual([10_000, true])
  })
})
