/** Wrong arguments: a TypeError or RangeError that begins with the argument's name, before anything is sent. */
import { beforeEach, describe, expect, it } from 'vitest'
import { defaultLimits, defaultTiming } from '../machine/settings.js'
import { RoomConnection } from './connection.js'
import { join } from './join.js'
import { RoomLocks } from './locks.js'
import { checkJoin } from './options.js'
import { RoomStore } from './store.js'
import { quiet, TestClock, TestPort } from './test-port.js'

type Kind = 'TypeError' | 'RangeError' | 'LimitExceededError' | 'NotSupportedError'

function thrown(run: () => unknown): { name: string; message: string } {
  try {
    run()
  } catch (error) {
    const { name, message } = error as Error
    return { name, message }
  }
  throw new Error('nothing was thrown')
}

async function rejected(promise: Promise<unknown>): Promise<{ name: string; message: string }> {
  try {
    await promise
  } catch (error) {
    const { name, message } = error as Error
    return { name, message }
  }
  throw new Error('nothing was thrown')
}

describe('join', () => {
  const big = 'x'.repeat(70_000)
  const cyclic: Record<string, unknown> = {}
  cyclic['self'] = cyclic

  it.each<[Kind, string, unknown, unknown?]>([
    ['TypeError', 'room', undefined],
    ['TypeError', 'room', null],
    ['TypeError', 'room', 12],
    ['TypeError', 'room', {}],
    ['RangeError', 'room', ''],
    ['RangeError', 'room', 'x'.repeat(257)],
    ['TypeError', 'room', 'a\ud800'],
    ['TypeError', 'options', 'r', null],
    ['TypeError', 'options', 'r', 'text'],
    ['TypeError', 'options', 'r', 12],
    ['TypeError', 'options', 'r', []],
    ['TypeError', 'options', 'r', () => {}],
    ['TypeError', 'signaling', 'r', { signaling: 12 }],
    ['TypeError', 'signaling', 'r', { signaling: null }],
    ['TypeError', 'signaling', 'r', { signaling: 'not a url' }],
    ['TypeError', 'signaling', 'r', { signaling: 'http://localhost' }],
    ['TypeError', 'signaling', 'r', { signaling: ['ws://localhost', 12] }],
    ['TypeError', 'options.token', 'r', { token: 'secret' }],
    ['TypeError', 'options.token', 'r', { token: null }],
    ['TypeError', 'options.links', 'r', { links: 'tcp' }],
    ['TypeError', 'options.links', 'r', { links: 1 }],
    ['TypeError', 'options.storage', 'r', { storage: 'disk' }],
    ['TypeError', 'options.channels', 'r', { channels: 'worker' }],
    ['TypeError', 'options.iceServers', 'r', { iceServers: {} }],
    ['TypeError', 'options.iceServers', 'r', { iceServers: 'stun:localhost' }],
    ['TypeError', 'options.role', 'r', { role: 'leader' }],
    ['TypeError', 'options.until', 'r', { until: 'soon' }],
    ['TypeError', 'options.whenNoQuorum', 'r', { whenNoQuorum: 'throw' }],
    ['TypeError', 'options.worker', 'r', { worker: {} }],
    ['TypeError', 'options.signal', 'r', { signal: {} }],
    ['TypeError', 'options.signal', 'r', { signal: null }],
    ['TypeError', 'options.linger', 'r', { linger: '5' }],
    ['TypeError', 'options.linger', 'r', { linger: null }],
    ['RangeError', 'options.linger', 'r', { linger: -1 }],
    ['RangeError', 'options.linger', 'r', { linger: Number.NaN }],
    ['RangeError', 'options.linger', 'r', { linger: 60_001 }],
    ['TypeError', 'options.durability', 'r', { durability: 'maybe' }],
    ['TypeError', 'options.partition', 'r', { partition: 'heal' }],
    ['TypeError', 'options.partition', 'r', { partition: 'continue' }],
    ['TypeError', 'options.timing', 'r', { timing: 12 }],
    ['TypeError', 'options.timing.beat', 'r', { timing: { beat: 1 } }],
    ['TypeError', 'options.timing.lease', 'r', { timing: { lease: '1' } }],
    ['RangeError', 'options.timing.lease', 'r', { timing: { lease: 0 } }],
    ['RangeError', 'options.timing.lease', 'r', { timing: { lease: 1.5 } }],
    ['RangeError', 'options.timing.lease', 'r', { timing: { lease: 24 * 3_600_000 + 1 } }],
    ['RangeError', 'options.timing', 'r', { timing: { electionMin: 400 } }],
    ['RangeError', 'options.timing', 'r', { timing: { heartbeat: 100 } }],
    ['TypeError', 'options.limits', 'r', { limits: 'none' }],
    ['TypeError', 'options.limits.__proto__', 'r', { limits: JSON.parse('{"__proto__":1}') }],
    ['TypeError', 'options.limits.toString', 'r', { limits: { toString: 1 } }],
    ['RangeError', 'options.limits.voters', 'r', { limits: { voters: 8 } }],
    ['RangeError', 'options.limits.locks', 'r', { limits: { locks: Number.POSITIVE_INFINITY } }],
    ['TypeError', 'options.state', 'r', { state: () => {} }],
    ['TypeError', 'options.state', 'r', { state: Symbol('s') }],
    ['TypeError', 'options.state', 'r', { state: cyclic }],
    ['LimitExceededError', 'options.state', 'r', { state: big }],
    ['TypeError', 'options.secret', 'r', { secret: 's' }],
    ['TypeError', 'options.answersBallots', 'r', { answersBallots: false }],
  ])('%s %s', async (name, argument, room, options) => {
    const error = thrown(() => checkJoin(room, options))
    expect(error.name).toBe(name)
    expect(error.message.startsWith(argument === 'signaling' ? '' : argument)).toBe(true)
    expect(error.message).toContain(argument === 'signaling' ? 'signaling' : argument)
    // As a rejection, never a throw, and before the platform is looked at.
    expect(await rejected(join(room as string, options as object))).toEqual(error)
  })

  it('nothing but the room has to be said', () => {
    expect(checkJoin('r', undefined)).toEqual({
      room: 'r',
      urls: [],
      token: null,
      links: 'auto',
      iceServers: [],
      storage: 'indexeddb',
      learnerOnly: false,
      state: null,
      until: 'ready',
      whenNoQuorum: 'wait',
      linger: 1_000,
      worker: null,
      signal: null,
      channels: 'auto',
      settings: { durability: 'strict', partition: 'pause', timing: defaultTiming, limits: defaultLimits },
    })
  })

  it('undefined members are as if they were not there', () => {
    const members = [
      'signaling',
      'token',
      'links',
      'role',
      'state',
      'until',
      'linger',
      'worker',
      'signal',
      'timing',
      'limits',
    ]
    const options = Object.fromEntries(members.map((key) => [key, undefined]))
    expect(checkJoin('r', options)).toEqual(checkJoin('r', {}))
  })

  it('in Node it says that it needs a page', async () => {
    await expect(join('r')).rejects.toMatchObject({ code: 'unsupported', missing: 'workers' })
    await expect(join('r', { signal: AbortSignal.abort('mine') })).rejects.toBe('mine')
  })
})

let port: TestPort
let locks: RoomLocks
let store: RoomStore

beforeEach(() => {
  port = new TestPort()
  const connection = new RoomConnection(new TestClock())
  connection.attach(port)
  locks = new RoomLocks(connection, { whenNoQuorum: 'wait', timing: () => ({ heartbeat: 50, lease: 10_000 }) })
  store = new RoomStore(connection)
})

describe('locks', () => {
  it.each<[Kind, string, object]>([
    ['TypeError', 'options.mode', { mode: 'write' }],
    ['TypeError', 'options.mode', { mode: null }],
    ['TypeError', 'options.signal', { signal: null }],
    ['TypeError', 'options.signal', { signal: { aborted: false } }],
    ['TypeError', 'options.timeout', { timeout: '5' }],
    ['TypeError', 'options.timeout', { timeout: null }],
    ['RangeError', 'options.timeout', { timeout: -1 }],
    ['RangeError', 'options.timeout', { timeout: Number.NaN }],
    ['RangeError', 'options.timeout', { timeout: 2 ** 31 }],
    ['RangeError', 'options.timeout', { timeout: Number.POSITIVE_INFINITY }],
    ['TypeError', 'options.lease', { lease: 5n }],
    ['RangeError', 'options.lease', { lease: 0 }],
    ['RangeError', 'options.lease', { lease: 149 }],
    ['RangeError', 'options.lease', { lease: 24 * 3_600_000 + 1 }],
    ['TypeError', 'options.whenNoQuorum', { whenNoQuorum: 'throw' }],
    ['LimitExceededError', 'options.attributes', { attributes: 'x'.repeat(70_000) }],
    ['TypeError', 'options.attributes', { attributes: () => {} }],
    ['TypeError', 'options.maxHold', { maxHold: '5s' }],
    ['TypeError', 'options.maxHold', { maxHold: null }],
    ['RangeError', 'options.maxHold', { maxHold: 0 }],
    ['RangeError', 'options.maxHold', { maxHold: Number.NaN }],
    ['RangeError', 'options.maxHold', { maxHold: Number.POSITIVE_INFINITY }],
    ['RangeError', 'options.maxHold', { maxHold: 24 * 3_600_000 + 1 }],
    ['TypeError', 'options.lockDelay', { lockDelay: '5s' }],
    ['RangeError', 'options.lockDelay', { lockDelay: -1 }],
    ['RangeError', 'options.lockDelay', { lockDelay: 10_001 }],
    ['RangeError', 'options.lockDelay', { lockDelay: 501, lease: 500 }],
    ['TypeError', 'options.owner', { owner: 1 }],
    ['TypeError', 'options.owner', { owner: null }],
    ['TypeError', 'options.owner', { owner: Symbol('s') }],
    ['TypeError', 'options.owner', { owner: 'a\ud800' }],
    ['LimitExceededError', 'options.owner', { owner: 'x'.repeat(257) }],
    ['TypeError', 'options.priority', { priority: '1' }],
    ['TypeError', 'options.priority', { priority: 1n }],
    ['RangeError', 'options.priority', { priority: 0.5 }],
    ['RangeError', 'options.priority', { priority: 1_001 }],
    ['RangeError', 'options.priority', { priority: -1_001 }],
    ['RangeError', 'options.priority', { priority: Number.NaN }],
    ['TypeError', 'options.scope', { scope: 'prefix' }],
    ['TypeError', 'options.scope', { scope: null }],
    ['TypeError', 'options.scope', { scope: Symbol('s') }],
    ['NotSupportedError', 'options.steal', { steal: true, ifAvailable: true }],
    ['NotSupportedError', 'options.steal', { steal: true, mode: 'shared' }],
  ])('%s %s', async (name, argument, options) => {
    for (const call of [
      () => locks.request('a', options, () => {}),
      () => locks.requestAll(['a', 'b'], options, () => {}),
      () => locks.acquire('a', options),
    ]) {
      const error = await rejected(call())
      expect(error.name).toBe(name)
      expect(error.message.startsWith(argument)).toBe(true)
    }
    await quiet()
    expect(port.asked).toEqual([])
  })

  it.each([null, 12, 'text', {}, Symbol('s')])('a callback that is none: %s', async (callback) => {
    expect(await rejected(locks.request('a', callback))).toMatchObject({
      name: 'TypeError',
      message: expect.stringMatching(/^callback/),
    })
    expect(await rejected(locks.request('a', {}, callback))).toMatchObject({ name: 'TypeError' })
    expect(port.asked).toEqual([])
  })

  it('a name that is none', async () => {
    for (const call of [
      () => locks.request(Symbol('s') as never, () => {}),
      () => locks.acquire(Symbol('s') as never),
    ]) {
      expect(await rejected(call())).toMatchObject({ name: 'TypeError', message: expect.stringMatching(/^name/) })
    }
    expect(thrown(() => locks.observe(Symbol('s') as never))).toMatchObject({ name: 'TypeError' })
    expect([port.asked, port.notices]).toEqual([[], []])
  })

  it.each<[Kind, string, unknown]>([
    ['TypeError', 'names', undefined],
    ['TypeError', 'names', null],
    ['TypeError', 'names', 12],
    ['TypeError', 'names', 'ab'],
    ['TypeError', 'names', {}],
    ['TypeError', 'names', []],
    ['TypeError', 'names[1]', ['a', Symbol('s')]],
    ['TypeError', 'names[2]', ['a', 'b', 'a']],
    ['TypeError', 'names[1]', ['1', 1]],
    ['LimitExceededError', 'names[1]', ['a', 'x'.repeat(1025)]],
    ['LimitExceededError', 'names', Array.from({ length: 65 }, (_, i) => `name ${i}`)],
    ['NotSupportedError', 'name', ['a', '-b']],
  ])('requestAll: %s %s', async (name, argument, names) => {
    const error = await rejected(locks.requestAll(names as string[], () => {}))
    expect(error.name).toBe(name)
    expect(error.message.split(':')[0]).toBe(argument)
    await quiet()
    expect(port.asked).toEqual([])
  })

  it('requestAll refuses what request refuses, and a callback that is none', async () => {
    const { signal } = new AbortController()
    const refused = await rejected(locks.requestAll(['a'], { signal, ifAvailable: true }, () => {}))
    expect(refused).toMatchObject({ name: 'NotSupportedError' })
    for (const rest of [[], [12], [{}, null]]) {
      const all: (...args: unknown[]) => Promise<unknown> = locks.requestAll.bind(locks) as never
      expect(await rejected(all(['a'], ...rest))).toMatchObject({ name: 'TypeError' })
    }
    expect(port.asked).toEqual([])
  })

  it('requestAll reads each name once, as WebIDL does', async () => {
    let reads = 0
    const name = {
      toString() {
        reads += 1
        return `name ${reads}`
      },
    }
    void locks.requestAll(new Set([name as never, 'b']), () => {})
    await quiet()
    expect(port.calls('lock.request')).toMatchObject([{ name: 'name 1', beyond: { also: ['b'] } }])
    expect(reads).toBe(1)
  })

  it.each<[Kind, string, unknown[]]>([
    ['TypeError', 'name', [Symbol('s'), { grace: 1 }]],
    ['LimitExceededError', 'name', ['x'.repeat(1025), { grace: 1 }]],
    ['TypeError', 'options', ['a']],
    ['TypeError', 'options', ['a', 12]],
    ['TypeError', 'options', ['a', null]],
    ['TypeError', 'options.grace', ['a', {}]],
    ['TypeError', 'options.grace', ['a', { grace: '1' }]],
    ['RangeError', 'options.grace', ['a', { grace: -1 }]],
    ['RangeError', 'options.grace', ['a', { grace: Number.NaN }]],
    ['RangeError', 'options.grace', ['a', { grace: 24 * 3_600_000 + 1 }]],
  ])('revoke: %s %s', async (name, argument, args) => {
    const revoke: (...args: unknown[]) => Promise<void> = locks.revoke.bind(locks) as never
    const error = await rejected(revoke(...args))
    expect(error.name).toBe(name)
    expect(error.message.split(':')[0]).toBe(argument)
    await quiet()
    expect(port.asked).toEqual([])
  })

  it('watch: a prefix is a string, and not longer than a name', () => {
    expect(thrown(() => locks.watch(Symbol('s') as never))).toMatchObject({ name: 'TypeError' })
    const tooLong = thrown(() => locks.watch('x'.repeat(1025)))
    expect(tooLong).toMatchObject({ name: 'LimitExceededError', message: expect.stringMatching(/^prefix/) })
  })

  it('[S-3] a lease of a fraction is rounded down, one of three heartbeats is allowed', async () => {
    void locks.acquire('a', { lease: 150.9 })
    await quiet()
    expect(port.calls('lock.request')).toMatchObject([{ lease: 150 }])
  })
})

describe('store', () => {
  const keys: [Kind, unknown][] = [
    ['TypeError', undefined],
    ['TypeError', null],
    ['TypeError', 12],
    ['TypeError', {}],
    ['LimitExceededError', 'x'.repeat(1025)],
  ]

  it.each(keys)('%s for the key %s', async (name, key) => {
    const expected = { name, message: expect.stringMatching(/^key/) }
    expect(await rejected(store.get(key as string))).toMatchObject(expected)
    expect(await rejected(store.set(key as string, 1))).toMatchObject(expected)
    expect(await rejected(store.delete(key as string))).toMatchObject(expected)
    expect(await rejected(store.compareAndSet(key as string, { revision: 0 }, 1))).toMatchObject(expected)
    expect(thrown(() => store.observe(key as string))).toMatchObject(expected)
    expect([port.asked, port.notices]).toEqual([[], []])
  })

  it.each<[string, unknown]>([
    ['a function', () => {}],
    ['a symbol', Symbol('s')],
    ['a promise', Promise.resolve()],
    ['an instance', new (class Mine {})()],
    ['a weak map', new WeakMap()],
  ])('TypeError for a value that is %s', async (_title, value) => {
    expect((await rejected(store.set('k', value as never))).name).toBe('TypeError')
    const next = await rejected(store.compareAndSet('k', { revision: 0 }, value as never))
    expect(next).toMatchObject({ name: 'TypeError', message: expect.stringMatching(/^next/) })
    expect(port.asked).toEqual([])
  })

  it('a value that is too large', async () => {
    const error = await rejected(store.set('k', 'x'.repeat(70_000)))
    expect(error).toMatchObject({ name: 'LimitExceededError', message: expect.stringMatching(/^value/) })
    const next = await rejected(store.compareAndSet('k', { revision: 0 }, 'x'.repeat(70_000)))
    expect(next).toMatchObject({ name: 'LimitExceededError', message: expect.stringMatching(/^next/) })
    expect(port.asked).toEqual([])
  })

  it.each<[Kind, string, unknown]>([
    ['TypeError', 'expected', undefined],
    ['TypeError', 'expected', null],
    ['TypeError', 'expected', 7],
    ['TypeError', 'expected', 'value'],
    ['TypeError', 'expected', () => {}],
    ['TypeError', 'expected', {}],
    ['TypeError', 'expected', []],
    ['TypeError', 'expected', ['value']],
    ['TypeError', 'expected', { revision: 1, value: 1 }],
    ['TypeError', 'expected', { revision: 1, value: undefined }],
    ['TypeError', 'expected', { revision: undefined, value: 1 }],
    ['TypeError', 'expected', { revision: 1, key: 'k' }],
    ['TypeError', 'expected', { value: 1, fence: null }],
    ['TypeError', 'expected', { version: 1 }],
    ['TypeError', 'expected', Object.create({ revision: 1 })],
    ['TypeError', 'expected.revision', { revision: undefined }],
    ['TypeError', 'expected.revision', { revision: null }],
    ['TypeError', 'expected.revision', { revision: '1' }],
    ['TypeError', 'expected.revision', { revision: 1n }],
    ['RangeError', 'expected.revision', { revision: -1 }],
    ['RangeError', 'expected.revision', { revision: 1.5 }],
    ['RangeError', 'expected.revision', { revision: Number.NaN }],
    ['RangeError', 'expected.revision', { revision: Number.POSITIVE_INFINITY }],
    ['RangeError', 'expected.revision', { revision: 2 ** 53 }],
    ['TypeError', 'expected.value', { value: () => {} }],
    ['TypeError', 'expected.value.inside', { value: { inside: Symbol('s') } }],
    ['LimitExceededError', 'expected.value', { value: 'x'.repeat(70_000) }],
  ])('%s %s of %o', async (name, argument, expected) => {
    const error = await rejected(store.compareAndSet('k', expected as never, 1))
    expect(error.name).toBe(name)
    expect(error.message.split(/[: ]/)[0]).toBe(argument)
    expect(port.asked).toEqual([])
  })

  it.each<[string, unknown]>([
    // What `ifAvailable` gives where there is no lock.
    ['fence:', null],
    ['fence.name', {}],
    ['fence.name', { name: 1, token: 1 }],
    ['fence.name', 'a'],
    ['fence.token', { name: 'a' }],
    ['fence.token', { name: 'a', token: -1 }],
    ['fence.token', { name: 'a', token: 1.5 }],
    ['fence.token', { name: 'a', token: '7' }],
  ])('TypeError for %s of %o', async (argument, fence) => {
    for (const call of [
      () => store.set('k', 1, { fence: fence as never }),
      () => store.delete('k', { fence: fence as never }),
      () => store.transact({ then: [{ delete: 'k' }] }, { fence: fence as never }),
    ]) {
      const error = await rejected(call())
      expect(error).toMatchObject({ name: 'TypeError' })
      expect(error.message.startsWith(argument)).toBe(true)
    }
    expect(port.asked).toEqual([])
  })

  it('TypeError for a consistency that is none', async () => {
    const error = await rejected(store.get('k', { consistency: 'eventual' as never }))
    expect(error).toMatchObject({ name: 'TypeError', message: expect.stringMatching(/^options\.consistency/) })
    expect(port.asked).toEqual([])
  })

  it.each([[null], ['text'], [12], [[{ ephemeral: true }]]])(
    'TypeError for options that are none: %s',
    async (options) => {
      for (const call of [
        () => store.get('k', options as never),
        () => store.set('k', 1, options as never),
        () => store.delete('k', options as never),
        () => store.transact({}, options as never),
        () => store.entries('', options as never),
      ]) {
        expect(await rejected(call())).toMatchObject({ name: 'TypeError', message: expect.stringMatching(/^options/) })
      }
      expect(port.asked).toEqual([])
    },
  )
})
