/**
 * Code that knows nothing of rooms and says `navigator.locks`, while the page has put `room.locks` in its place. It asserts what the public
 * test suite of the Web Locks API (web-platform-tests, `web-locks/`) asserts, file by file, in words of our own.
 */
import { Mine, tasks } from './scenario.js'

interface Case {
  readonly title: string
  /** Rejects when something is not as it must be. */
  run(tools: Tools): Promise<unknown>
}

export interface Result {
  readonly test: string
  readonly failure: string | null
}

type Callback = (lock: Lock | null) => unknown

class Tools {
  readonly #prefix: string
  readonly #ends: (() => Promise<unknown>)[] = []
  #names = 0

  constructor(prefix: string) {
    this.#prefix = prefix
  }

  name(): string {
    this.#names += 1
    return `${location.pathname} ${this.#prefix} ${this.#names}`
  }

  /** Requests and keeps until `end` or the end of the test. */
  hold(
    name: string,
    options: LockOptions = {},
  ): { granted: Promise<Lock | null>; released: Promise<unknown>; end(): void } {
    let end: (value?: unknown) => void = () => {}
    const until = new Promise((resolve) => {
      end = resolve
    })
    let tell: (lock: Lock | null) => void = () => {}
    const granted = new Promise<Lock | null>((resolve) => {
      tell = resolve
    })
    const released = navigator.locks.request(name, options, (lock) => {
      tell(lock)
      return until
    })
    this.#ends.push(() => {
      end()
      return released.catch(() => {})
    })
    return { granted, released, end: () => end() }
  }

  async clear(): Promise<void> {
    await Promise.all(this.#ends.map((end) => end()))
  }
}

/** As a string, so that a failure shows both. */
function equal(seen: unknown, expected: unknown, what: string): void {
  const [a, b] = [seen, expected].map((value) => JSON.stringify(value) ?? String(value))
  if (a !== b) throw new Error(`${what}: expected ${b}, got ${a}`)
}

async function rejects(promise: Promise<unknown>, isRight: (error: unknown) => boolean, what: string): Promise<void> {
  if (!(promise instanceof Promise)) throw new Error(`${what}: not a promise`)
  const seen = await promise.then(
    () => 'resolved',
    (error: unknown) => (isRight(error) ? null : `rejected with ${String(error)}`),
  )
  if (seen !== null) throw new Error(`${what}: ${seen}`)
}

const rejectsDom = (promise: Promise<unknown>, name: string, code: number, what = name) =>
  rejects(
    promise,
    (error) =>
      error instanceof DOMException && error.constructor === DOMException && error.name === name && error.code === code,
    what,
  )
const rejectsType = (promise: Promise<unknown>, what: string) =>
  rejects(promise, (error) => error instanceof TypeError && error.constructor === TypeError, what)
const rejectsWith = (promise: Promise<unknown>, reason: unknown, what = 'the very reason') =>
  rejects(promise, (error) => error === reason, what)

/** Calls that TypeScript would not let through. */
const loosely = (...args: readonly unknown[]): Promise<unknown> =>
  (navigator.locks.request as unknown as (...args: readonly unknown[]) => Promise<unknown>).apply(navigator.locks, [
    ...args,
  ])
const unreached: Callback = () => {
  throw new Error('the callback was called')
}
const modesOf = (infos: readonly LockInfo[] | undefined, name: string) =>
  (infos ?? []).filter((info) => info.name === name).map(({ mode }) => mode)
const namesOf = (infos: readonly LockInfo[] | undefined, names: readonly string[]) =>
  (infos ?? []).flatMap(({ name }) => (name !== undefined && names.includes(name) ? [name] : []))

const acquire: Case[] = [
  {
    title: 'a name and a callback are required, and the callback is a function',
    async run(tools) {
      const name = tools.name()
      await rejectsType(loosely(), 'nothing')
      await rejectsType(loosely(name), 'a name')
      for (const callback of [undefined, null, 123, 'abc', [], {}, new Promise(() => {})])
        await rejectsType(loosely(name, callback), String(callback))
    },
  },
  {
    title: 'the mode is one of two',
    async run(tools) {
      const name = tools.name()
      for (const mode of ['foo', null]) await rejectsType(loosely(name, { mode }, unreached), String(mode))
      for (const mode of ['exclusive', 'shared'] as const)
        equal(await navigator.locks.request(name, { mode }, (lock) => lock?.mode), mode, 'mode')
    },
  },
  {
    title: 'options that exclude each other',
    async run(tools) {
      const name = tools.name()
      const { signal } = new AbortController()
      for (const options of [
        { steal: true, ifAvailable: true },
        { steal: true, mode: 'shared' as const },
        { steal: true, signal },
        { ifAvailable: true, signal },
      ])
        await rejectsDom(navigator.locks.request(name, options, unreached), 'NotSupportedError', 9)
    },
  },
  {
    title: 'the promise resolves after the callback has let go',
    async run(tools) {
      const order: string[] = []
      let release: () => void = () => {}
      const held = new Promise<void>((resolve) => {
        release = resolve
      })
      const request = navigator.locks.request(tools.name(), () => held)
      const both = [request.then(() => order.push('request')), held.then(() => order.push('callback'))]
      release()
      await Promise.all(both)
      equal(order, ['callback', 'request'], 'order')
    },
  },
  {
    title: 'what the callback throws, at once or later, is what the promise rejects with',
    async run(tools) {
      const error = { name: 'mine' }
      const now = navigator.locks.request(tools.name(), () => {
        throw error
      })
      equal(Promise.resolve(now) === now, true, 'a promise')
      await rejectsWith(now, error)
      await rejectsWith(
        navigator.locks.request(tools.name(), () => Promise.reject(error)),
        error,
      )
    },
  },
]

const held: Case[] = [
  {
    title: 'a result that is no promise',
    async run(tools) {
      const request = navigator.locks.request(tools.name(), () => 123)
      equal(Promise.resolve(request) === request, true, 'a promise')
      equal(await request, 123, 'result')
    },
  },
  ...(['resolves', 'rejects'] as const).map((end) => ({
    title: `held until the callback's promise ${end}`,
    async run(tools: Tools) {
      const name = tools.name()
      const order: string[] = []
      let settle: () => void = () => {}
      const until = new Promise<void>((resolve, reject) => {
        settle = end === 'resolves' ? resolve : () => reject(new Mine())
      })
      let tell: () => void = () => {}
      const granted = new Promise<void>((resolve) => {
        tell = resolve
      })
      const first = navigator.locks.request(name, () => {
        tell()
        return until
      })
      first.catch(() => {})
      await granted
      const second = navigator.locks.request(name, () => order.push('second'))
      await navigator.locks.query()
      await tasks(3)
      order.push('first ends')
      settle()
      await second
      equal(order, ['first ends', 'second'], 'order')
    },
  })),
  {
    title: 'not to be had twice by one client',
    async run(tools) {
      const name = tools.name()
      const inner = await navigator.locks.request(name, () =>
        navigator.locks.request(name, { ifAvailable: true }, (lock) => [lock]),
      )
      equal(inner, [null], 'inner')
    },
  },
]

const ifAvailable: Case[] = [
  ...(
    [
      ['exclusive', 'exclusive', false],
      ['exclusive', 'shared', false],
      ['shared', 'exclusive', false],
      ['shared', 'shared', true],
    ] as const
  ).map(([holds, wants, isGranted]) => ({
    title: `${wants} while ${holds} is held`,
    async run(tools: Tools) {
      const name = tools.name()
      const seen = await navigator.locks.request(name, { mode: holds }, () =>
        navigator.locks.request(name, { mode: wants, ifAvailable: true }, (lock) => [lock !== null, 123]),
      )
      equal(seen, [isGranted, 123], 'granted')
    },
  })),
  {
    title: 'free, and free while another name is held',
    async run(tools) {
      const [name, other] = [tools.name(), tools.name()]
      const ask = () => navigator.locks.request(name, { ifAvailable: true }, (lock) => lock !== null)
      equal(await ask(), true, 'free')
      equal(await navigator.locks.request(other, ask), true, 'another is held')
    },
  },
  {
    title: 'not free, and the callback throws or rejects',
    async run(tools) {
      const name = tools.name()
      const error = { name: 'mine' }
      await navigator.locks.request(name, async () => {
        const thrown = navigator.locks.request(name, { ifAvailable: true }, (lock) => {
          equal(lock, null, 'lock')
          throw error
        })
        equal(Promise.resolve(thrown) === thrown, true, 'a promise')
        await rejectsWith(thrown, error)
        await rejectsWith(
          navigator.locks.request(name, { ifAvailable: true }, () => Promise.reject(123)),
          123,
        )
      })
    },
  },
  {
    title: 'available once a release was processed',
    async run(tools) {
      const [outer, name] = [tools.name(), tools.name()]
      const seen = await navigator.locks.request(outer, async () => {
        await navigator.locks.request(name, async () => {})
        return navigator.locks.request(name, { ifAvailable: true }, (lock) => lock !== null)
      })
      equal(seen, true, 'granted')
    },
  },
]

const modes: Case[] = [
  {
    title: 'exclusive: in order, and distinct names do not wait for each other',
    async run(tools) {
      const [a, b] = [tools.name(), tools.name()]
      const granted: number[] = []
      const log = (i: number) => () => void granted.push(i)
      await Promise.all([1, 2, 3].map((i) => navigator.locks.request(a, log(i))))
      let inner: Promise<unknown> = Promise.resolve()
      await navigator.locks.request(a, async () => {
        inner = Promise.all([navigator.locks.request(a, log(5)), navigator.locks.request(b, log(4))])
      })
      await inner
      equal(granted, [1, 2, 3, 4, 5], 'order')
    },
  },
  {
    title: 'shared: in order over names, and inside each other',
    async run(tools) {
      const names = [tools.name(), tools.name(), tools.name()]
      const granted: number[] = []
      const ask = (name: string, i: number) =>
        navigator.locks.request(name, { mode: 'shared' }, () => void granted.push(i))
      await Promise.all([...names, ...names].map(ask))
      equal(granted, [0, 1, 2, 3, 4, 5], 'order')
      const name = tools.name()
      await navigator.locks.request(name, { mode: 'shared' }, () => ask(name, 6))
      equal(granted.at(-1), 6, 'inside')
    },
  },
  {
    title: 'mixed: shares in order, another name passes, exclusive last',
    async run(tools) {
      const [a, b] = [tools.name(), tools.name()]
      const granted: string[] = []
      let unblock: () => void = () => {}
      const blocked = new Promise<void>((resolve) => {
        unblock = resolve
      })
      const shares = [1, 2, 3].map((i) =>
        navigator.locks.request(a, { mode: 'shared' }, () => {
          granted.push(`share ${i}`)
          return blocked
        }),
      )
      const exclusive = navigator.locks.request(a, (lock) => {
        granted.push('exclusive')
        return lock?.mode
      })
      await navigator.locks.request(b, () => granted.push('other'))
      equal(granted, ['share 1', 'share 2', 'share 3', 'other'], 'before')
      unblock()
      equal(await exclusive, 'exclusive', 'mode')
      equal(granted.slice(4), ['exclusive'], 'after')
      await Promise.all(shares)
    },
  },
  {
    title: 'mixed: a release grants all shares up to the next exclusive',
    async run(tools) {
      const name = tools.name()
      const snapshot = async () => {
        const { held, pending } = await navigator.locks.query()
        return [modesOf(held, name), modesOf(pending, name).length]
      }
      const five = Array<string>(5).fill('shared')
      const first = Array.from({ length: 5 }, () => tools.hold(name, { mode: 'shared' }))
      const middle = tools.hold(name)
      for (let i = 0; i < 5; i += 1) tools.hold(name, { mode: 'shared' })
      equal(await snapshot(), [five, 6], 'shares hold')
      for (const share of first) share.end()
      await Promise.all(first.map(({ released }) => released))
      equal(await snapshot(), [['exclusive'], 5], 'exclusive holds')
      middle.end()
      await middle.released
      equal(await snapshot(), [five, 0], 'shares hold again')
    },
  },
]

const query: Case[] = [
  {
    title: 'the shape of what it gives',
    async run(tools) {
      const name = tools.name()
      tools.hold(name)
      tools.hold(name)
      const state = await navigator.locks.query()
      for (const list of ['held', 'pending'] as const) {
        equal(Object.hasOwn(state, list) && Array.isArray(state[list]), true, list)
        const info = state[list]?.find((info) => info.name === name)
        for (const member of ['name', 'mode', 'clientId']) equal(Object.hasOwn(info ?? {}, member), true, member)
      }
    },
  },
  {
    title: 'what is held and pending, each as often as it is, with one client id',
    async run(tools) {
      const [name, shared, other] = [tools.name(), tools.name(), tools.name()]
      tools.hold(name)
      tools.hold(name, { mode: 'shared' })
      tools.hold(name, { mode: 'shared' })
      tools.hold(shared, { mode: 'shared' })
      tools.hold(shared, { mode: 'shared' })
      tools.hold(other)
      const { held = [], pending = [] } = await navigator.locks.query()
      equal(modesOf(held, name), ['exclusive'], 'held')
      equal(modesOf(pending, name), ['shared', 'shared'], 'pending')
      equal(modesOf(held, shared), ['shared', 'shared'], 'held shares')
      const mine = [...held, ...pending].filter((info) => [name, shared, other].includes(String(info.name)))
      equal([mine.length, new Set(mine.map(({ clientId }) => clientId)).size], [6, 1], 'client ids')
    },
  },
  {
    title: 'query-ordering: requests in the order made, over all names',
    async run(tools) {
      const names = [tools.name(), tools.name(), tools.name()]
      await Promise.all(names.map((name) => tools.hold(name).granted))
      const backwards = [...names].reverse()
      for (const name of backwards) tools.hold(name, { mode: 'shared' })
      equal(namesOf((await navigator.locks.query()).pending, names), backwards, 'pending')
    },
  },
  {
    title: 'query-ordering: locks in the order granted, also when stolen',
    async run(tools) {
      const names = ['a', 'b', 'c'].map(() => tools.name())
      const [a = '', b = '', c = ''] = names
      const first = names.map((name) => tools.hold(name))
      await Promise.all(first.map(({ granted }) => granted))
      const second = names.map((name) => tools.hold(name))
      await navigator.locks.request(tools.name(), () => {})
      for (const i of [1, 2, 0]) first[i]?.end()
      await Promise.all(second.map(({ granted }) => granted))
      equal(namesOf((await navigator.locks.query()).held, names), [b, c, a], 'held')
      for (const { released } of second) released.catch(() => {})
      await Promise.all([c, a, b].map((name) => tools.hold(name, { steal: true }).granted))
      equal(namesOf((await navigator.locks.query()).held, names), [c, a, b], 'stolen')
    },
  },
]

const names: Case[] = [
  ...['', 'abc\0def', '\ud800', '\udc00', '\udc00\ud800', '\uffff'].map((name) => ({
    title: `the name ${JSON.stringify(name)} comes back as it was`,
    run: async () => equal(await navigator.locks.request(name, (lock) => lock?.name === name), true, 'name'),
  })),
  {
    title: 'a lone surrogate is not the replacement character',
    run: () => navigator.locks.request('\ud800', () => navigator.locks.request('\ufffd', (lock) => lock?.name)),
  },
  {
    title: 'a dash is reserved, at the beginning only',
    async run(tools) {
      for (const name of ['-', '-foo'])
        await rejectsDom(navigator.locks.request(name, unreached), 'NotSupportedError', 9)
      equal(await navigator.locks.request(`x-${tools.name()}`, () => 'got it'), 'got it', 'inside')
    },
  },
  {
    title: 'lock-attributes: name and mode as asked for',
    async run(tools) {
      const name = tools.name()
      const read = (lock: Lock | null) => [lock?.name === name, lock?.mode]
      equal(await navigator.locks.request(name, read), [true, 'exclusive'], 'exclusive')
      equal(await navigator.locks.request(name, { mode: 'shared' }, read), [true, 'shared'], 'shared')
    },
  },
]

const signal: Case[] = [
  {
    title: 'it must be an AbortSignal',
    async run(tools) {
      for (const signal of ['string', 12.34, false, null, {}, Symbol('s'), () => {}, self])
        await rejectsType(loosely(tools.name(), { signal }, unreached), String(signal))
    },
  },
  ...[[], ['My dog ate it.']].map((reason) => ({
    title: `aborted before, while it waits, and at once after it was asked, with ${reason.length} reason`,
    async run(tools: Tools) {
      const name = tools.name()
      const before = AbortSignal.abort(...reason)
      await rejectsWith(navigator.locks.request(name, { signal: before }, unreached), before.reason)
      const atOnce = new AbortController()
      const first = navigator.locks.request(name, { signal: atOnce.signal }, unreached)
      const next = navigator.locks.request(name, () => 'next')
      atOnce.abort(...reason)
      await rejectsWith(first, atOnce.signal.reason)
      equal(await next, 'next', 'the next one')
      const waiting = new AbortController()
      const holder = tools.hold(name)
      const waiter = navigator.locks.request(name, { signal: waiting.signal }, unreached)
      const { held, pending } = await navigator.locks.query()
      equal([modesOf(held, name).length, modesOf(pending, name).length], [1, 1], 'held and pending')
      setTimeout(() => waiting.abort(...reason), 1)
      if (reason.length === 0) await rejectsDom(waiter, 'AbortError', 20)
      else await rejectsWith(waiter, reason[0])
      holder.end()
    },
  })),
  {
    title: 'not aborted, or too late',
    async run(tools) {
      const { signal } = new AbortController()
      equal(await navigator.locks.request(tools.name(), { signal }, async () => 'got it'), 'got it', 'not aborted')
      for (const isAbortedFirst of [true, false]) {
        const controller = new AbortController()
        let release: (value: string) => void = () => {}
        const request = await new Promise<{ released: Promise<unknown> }>((resolve) => {
          const released = navigator.locks.request(tools.name(), { signal: controller.signal }, () => {
            queueMicrotask(() => resolve({ released }))
            return new Promise((settle) => {
              release = settle
            })
          })
        })
        if (isAbortedFirst) controller.abort()
        release('resolved ok')
        if (!isAbortedFirst) controller.abort()
        equal(await request.released, 'resolved ok', `aborted first: ${isAbortedFirst}`)
      }
    },
  },
]

const steal: Case[] = [
  {
    title: 'free, and held: granted either way, and the holder hears AbortError',
    async run(tools) {
      const name = tools.name()
      const rob = () => navigator.locks.request(name, { steal: true }, (lock) => lock !== null)
      equal(await rob(), true, 'free')
      const holder = navigator.locks.request(name, () => new Promise(() => {}))
      const heard = rejectsDom(holder, 'AbortError', 20)
      equal(await rob(), true, 'held')
      await heard
    },
  },
  {
    title: 'a request that waits, waits on',
    async run(tools) {
      const name = tools.name()
      navigator.locks.request(name, () => new Promise(() => {})).catch(() => {})
      let isGranted = false
      const waiter = navigator.locks.request(name, () => {
        isGranted = true
      })
      equal(await navigator.locks.request(name, { steal: true }, () => isGranted), false, 'before')
      await waiter
      equal(isGranted, true, 'after')
    },
  },
  {
    title: 'the last thief wins',
    async run(tools) {
      const name = tools.name()
      navigator.locks.request(name, () => new Promise(() => {})).catch(() => {})
      const first = navigator.locks.request(name, { steal: true }, () => new Promise(() => {}))
      const heard = rejectsDom(first, 'AbortError', 20)
      await navigator.locks.request(name, { steal: true }, () => {})
      await heard
    },
  },
]

const idl: Case[] = [
  {
    title: 'the manager: operations inherited, their lengths, its tag',
    async run() {
      const { locks } = navigator
      equal(Object.prototype.toString.call(locks), '[object LockManager]', 'tag')
      for (const operation of ['request', 'query'] as const) {
        equal([Object.hasOwn(locks, operation), typeof locks[operation]], [false, 'function'], operation)
        equal(locks[operation].name, operation, 'name')
      }
      equal([locks.request.length, locks.query.length], [2, 0], 'lengths')
    },
  },
  {
    title: 'the lock: attributes inherited, not to be written, its tag',
    async run(tools) {
      const lock = await navigator.locks.request(tools.name(), (lock) => lock)
      equal(Object.prototype.toString.call(lock), '[object Lock]', 'tag')
      for (const attribute of ['name', 'mode']) {
        equal([Object.hasOwn(lock ?? {}, attribute), attribute in (lock ?? {})], [false, true], attribute)
        equal(Reflect.set(lock ?? {}, attribute, 'other'), false, `${attribute} set`)
      }
    },
  },
  {
    title: 'query without its manager is refused',
    async run() {
      const query: (this: unknown) => Promise<unknown> = navigator.locks.query
      await rejectsType(query.call({}), 'of an object')
      await rejectsType(query.call(undefined), 'of nothing')
    },
  },
]

/** By the files of the public suite. */
const files: Readonly<Record<string, readonly Case[]>> = {
  acquire: acquire,
  held: held,
  ifAvailable: ifAvailable,
  'mode-*': modes,
  'query*': query,
  'resource-names, lock-attributes': names,
  signal: signal,
  steal: steal,
  idlharness: idl,
}

/** One after the other, with those locks in the place of the browser's. */
export async function runSuite(locks: LockManager): Promise<Result[]> {
  const results: Result[] = []
  Object.defineProperty(navigator, 'locks', { value: locks, configurable: true })
  try {
    for (const [file, cases] of Object.entries(files)) {
      for (const { title, run } of cases) {
        const tools = new Tools(`${file} ${title}`)
        const hung = new Promise<never>((_resolve, reject) => setTimeout(reject, 10_000, new Error('hangs')))
        const failure = await Promise.race([run(tools), hung]).then(
          () => null,
          (error: unknown) => String(error),
        )
        await Promise.race([tools.clear(), tasks(200)])
        results.push({ test: `${file}: ${title}`, failure })
      }
    }
  } finally {
    Reflect.deleteProperty(navigator, 'locks')
  }
  return results
}
