/** Calls that compile and calls that must not: checked by `tsc`, never run. */
import {
  ComityError,
  type Counter,
  DeadlockError,
  join,
  type Lock,
  type LockEvent,
  type LockInfo,
  LockLostError,
  type LockManager,
  type LockMetrics,
  type Member,
  type Observable,
  type Permit,
  type Room,
  type Semaphore,
  type Value,
  type WaitGraph,
} from '../../src/index.js'

interface Person {
  readonly name: string
  readonly since: Date
}

interface Team {
  readonly lead: Person
  readonly all: readonly Person[]
  readonly byName: ReadonlyMap<string, Person>
  readonly tags: Set<string>
  readonly parent?: Team
}

interface Clickable {
  readonly button: { readonly onclick: () => void }
}

/** Exactly the same type, not merely one that fits. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
function same<A, B>(_proof: Same<A, B>): void {}

export async function joining(): Promise<void> {
  const plain = await join('room')
  same<typeof plain, Room<Value>>(true)
  const room = await join('room', {
    signaling: ['wss://a.example', 'wss://b.example'],
    token: async () => 'token',
    iceServers: [{ urls: 'stun:stun.example' }],
    timing: { lease: 5_000 },
    limits: { voters: 3 },
    signal: AbortSignal.timeout(5_000),
    worker: () => new Worker('worker.js'),
    state: { name: 'Ann', age: 30n },
  })
  const member: Member<{ name: string; age: bigint }> | undefined = room.members.current[0]
  const age: bigint | undefined = member?.state?.age
  void age
  await join<{ name: string }>('room', { state: { name: 'Ann' } })
  // @ts-expect-error a room has a name
  await join()
  // @ts-expect-error a name is a string
  await join(12)
  // @ts-expect-error there is no such role
  await join('room', { role: 'leader' })
  // @ts-expect-error there is no such option
  await join('room', { signalling: 'wss://a.example' })
  // @ts-expect-error there is no such setting
  await join('room', { timing: { beat: 5 } })
  // @ts-expect-error a function is not a value
  await join('room', { state: () => {} })
  // @ts-expect-error nor is what holds one
  await join('room', { state: { name: 'Ann', greet() {} } })
  // @ts-expect-error nor a promise
  await join('room', { state: Promise.resolve() })
  // @ts-expect-error the state is of the declared type
  await join<{ name: string }>('room', { state: { name: 12 } })
  // @ts-expect-error a token is a function, so that it can be renewed
  await join('room', { token: 'secret' })
}

/** A library that takes `navigator.locks` takes `room.locks` as well. */
interface AnyLocks {
  request<T>(name: string, callback: (lock: { readonly name: string } | null) => T | PromiseLike<T>): Promise<T>
  request<T>(
    name: string,
    options: { mode?: 'exclusive' | 'shared'; ifAvailable?: boolean; steal?: boolean; signal?: AbortSignal },
    callback: (lock: { readonly name: string } | null) => T | PromiseLike<T>,
  ): Promise<T>
}

export async function locking(room: Room, locks: LockManager): Promise<void> {
  const anyLocks: AnyLocks = room.locks
  void anyLocks
  const number = await locks.request('a', () => 12)
  same<typeof number, number>(true)
  const text = await locks.request('a', { mode: 'shared', signal: AbortSignal.timeout(5) }, async (lock) => {
    same<typeof lock, Lock>(true)
    return lock.mode
  })
  same<typeof text, 'exclusive' | 'shared'>(true)
  await locks.request('a', { ifAvailable: true }, (lock) => same<typeof lock, Lock | null>(true))
  const lock = await locks.acquire('a')
  same<typeof lock, Lock>(true)
  const perhaps = await locks.acquire('a', { ifAvailable: true })
  same<typeof perhaps, Lock | null>(true)
  const { held, pending } = await locks.query()
  same<typeof held, LockInfo[]>(true)
  const position: number | undefined = pending[0]?.position
  void position
  const mine: 'none' | 'waiting' | 'held' | 'unsure' = locks.observe('a').current.mine
  void mine
  await using disposed = await locks.acquire('b', { attributes: { who: 'Ann', ids: new Set([1, 2]) } })
  disposed.assertHeld()
  // @ts-expect-error a callback is missing
  await locks.request('a')
  // @ts-expect-error a callback is a function
  await locks.request('a', {}, 'callback')
  // @ts-expect-error there is no such mode
  await locks.request('a', { mode: 'write' }, () => {})
  // @ts-expect-error milliseconds are a number
  await locks.acquire('a', { timeout: '5s' })
  // @ts-expect-error attributes are a value
  await locks.acquire('a', { attributes: () => {} })
  // @ts-expect-error what was not available is null
  perhaps.release()
  // @ts-expect-error a lock is not written to
  lock.token = 12
  // @ts-expect-error locks are made by rooms alone
  const made: Lock = { name: 'a', mode: 'exclusive' }
  void made
}

export async function lockingBeyond({ locks, metrics }: Room): Promise<void> {
  const lock = await locks.acquire('a', {
    maxHold: 5_000,
    owner: 'editor',
    priority: -3,
    scope: 'tree',
    lease: 2_000,
    lockDelay: 1_000,
  })
  await lock.upgrade({ signal: lock.revoking, timeout: 500 })
  await lock.downgrade()
  const count = await locks.requestAll(['a', 'b'], (held) => {
    same<typeof held, [Lock, Lock]>(true)
    return held.length
  })
  same<typeof count, 2>(true)
  const names: string[] = ['a', 'b']
  await locks.requestAll(names, (held) => same<typeof held, Lock[]>(true))
  await locks.requestAll(new Set(['a']), { mode: 'shared', ifAvailable: false }, async ([first]) => first?.upgrade())
  await locks.requestAll(['a'], { ifAvailable: true }, (held) => same<typeof held, Lock[] | null>(true))
  await locks.revoke('a', { grace: 500 })
  for await (const event of locks.watch('doc/')) {
    same<typeof event, LockEvent>(true)
    const type: 'granted' | 'released' | 'lost' | 'upgraded' | 'downgraded' = event.type
    if (type === 'lost') return
  }
  const graph: WaitGraph = await locks.waitGraph()
  const kind: 'lock' | 'upgrade' | 'semaphore' | undefined = graph.waits[0]?.kind
  const numbers: LockMetrics = (await metrics()).locks
  const longest: number | undefined = numbers.names['a']?.wait.max
  void [kind, longest]
  // @ts-expect-error a scope is one of two
  await locks.acquire('a', { scope: 'prefix' })
  // @ts-expect-error a priority is a number
  await locks.acquire('a', { priority: 'high' })
  // @ts-expect-error an owner is a string
  await locks.acquire('a', { owner: 12 })
  // @ts-expect-error names, not a name
  await locks.requestAll(12, () => {})
  // @ts-expect-error a callback is missing
  await locks.requestAll(['a'])
  // @ts-expect-error with `ifAvailable` there may be none
  await locks.requestAll(['a'], { ifAvailable: true }, (held) => held.length)
  // @ts-expect-error a grace has to be named
  await locks.revoke('a')
  // @ts-expect-error a mode is changed by upgrade and downgrade
  lock.mode = 'shared'
  // @ts-expect-error what is measured is not written to
  numbers.total.steals = 0
}

/** Types of one's own have no index signature; what is in them is looked at. */
export async function storingOwnTypes<V extends Value>(
  { store }: Room,
  [team, person, some]: [Team, Person, V],
  [clickable, unknown]: [Clickable, unknown],
): Promise<void> {
  await store.set('key', team, { ephemeral: true })
  await store.set('key', [team, person, 3])
  await store.set('key', { team, list: [person], map: new Map([['a', team]]) })
  await store.set('key', some)
  await store.compareAndSet('key', { value: team }, person)
  await store.compareAndSet('key', { revision: 1 }, person)
  // @ts-expect-error a function is in it
  await store.set('key', clickable)
  // @ts-expect-error it could be anything
  await store.set('key', unknown)
  // @ts-expect-error it has methods
  await store.set('key', new Error('one'))
  // @ts-expect-error a function is in it
  await store.compareAndSet('key', { value: clickable }, 1)
  // @ts-expect-error a function is in it
  await store.compareAndSet('key', { value: 1 }, clickable)
}

export async function storing({ store }: Room, lock: Lock): Promise<void> {
  const revision: number = await store.set('key', { list: [1, 'two', new Map([['three', 3n]])] }, { fence: lock })
  await store.set('key', new Float64Array(3), { fence: { name: lock.name, token: lock.token }, ephemeral: true })
  const found = await store.get<Person & Record<string, Value>>('key', { consistency: 'local' })
  const since: Date | undefined = found?.value.since
  if (found) await store.set('key', found.value)
  const existed: boolean = await store.delete('key')
  for await (const revised of store.observe<string>('key'))
    same<typeof revised, { readonly value: string; readonly revision: number } | undefined>(true)
  const isSet: boolean = await store.compareAndSet('key', { revision: found?.revision ?? 0 }, { next: 1n })
  await store.compareAndSet('key', { value: new Map([[1, undefined]]) }, undefined)
  await store.compareAndSet('key', { value: undefined }, null)
  void [revision, since, existed, isSet]
  // @ts-expect-error nobody means a promise
  await store.set('key', Promise.resolve(1))
  const { succeeded, results } = await store.transact(
    {
      compare: [
        { key: 'a', revision: 3, is: '<' },
        { key: 'b', value: { x: 1n } },
        { key: 'c', exists: false },
      ],
      then: [{ set: 'a', value: 1, fence: lock, ephemeral: true }, { delete: 'b' }, { get: 'c' }],
      else: [{ get: 'a' }],
    },
    { fence: lock },
  )
  for (const result of results) if ('get' in result) void [result.found?.revision, succeeded]
  const all = await store.entries<number>('a', { consistency: 'local' })
  const entries: number[] = all.map(({ key, value, ephemeral }) => value + key.length + Number(ephemeral))
  for await (const change of store.watch<number>('a', { from: all.revision })) {
    if (change.type === 'set') same<typeof change.value, number>(true)
    await store.watch('a', { from: change.position, signal: AbortSignal.timeout(5) }).return?.()
    void [entries, change.last, change.resync]
  }
  // @ts-expect-error values have no order
  await store.transact({ compare: [{ key: 'a', value: 1, is: '<' }] })
  // @ts-expect-error one thing is compared
  await store.transact({ compare: [{ key: 'a', value: 1, revision: 1 }] })
  // @ts-expect-error a value is missing
  await store.transact({ then: [{ set: 'a' }] })
  // @ts-expect-error one thing is done
  await store.transact({ then: [{ get: 'a', delete: 'b' }] })
  // @ts-expect-error a change says by itself where it is; a key does not
  store.watch('a', { from: 'b' })
  // @ts-expect-error keys are strings
  await store.get(12)
  // @ts-expect-error a value is missing
  await store.set('key')
  // @ts-expect-error a function is not a value
  await store.set('key', () => {})
  // @ts-expect-error nor a symbol
  await store.set('key', Symbol('s'))
  // @ts-expect-error nor an instance of a class with methods
  await store.set('key', new WeakMap())
  // @ts-expect-error a fence has a token
  await store.set('key', 1, { fence: { name: 'a' } })
  // @ts-expect-error nothing is expected
  await store.compareAndSet('key', {}, 1)
  // @ts-expect-error a revision or a value, not both
  await store.compareAndSet('key', { revision: 1, value: 1 }, 1)
  // @ts-expect-error a whole record is both
  if (found) await store.compareAndSet('key', found, 1)
  // @ts-expect-error a revision is a number
  await store.compareAndSet('key', { revision: '1' }, 1)
  // @ts-expect-error a function is not a value
  await store.compareAndSet('key', { value: () => {} }, 1)
  // @ts-expect-error what is set is missing
  await store.compareAndSet('key', { revision: 1 })
  // @ts-expect-error there are no options
  await store.compareAndSet('key', { revision: 1 }, 1, { ephemeral: true })
  // @ts-expect-error there may be no value
  ;(await store.get('key')).value
  // @ts-expect-error there is no such consistency
  await store.get('key', { consistency: 'eventual' })
}

export async function sharing(room: Room): Promise<void> {
  const semaphore: Semaphore = room.semaphore('downloads', { permits: 3 })
  const permit = await semaphore.acquire()
  same<typeof permit, Permit>(true)
  await using two = await semaphore.acquire(2, { timeout: 5_000, priority: 1, lease: 2_000, owner: 'me' })
  const state: 'held' | 'unsure' | 'lost' | 'released' = two.state
  const perhaps = await semaphore.acquire(1, { ifAvailable: true, signal: AbortSignal.timeout(5) })
  same<typeof perhaps, Permit | null>(true)
  const free: number = await semaphore.available()
  await semaphore.resize(5)
  const counter: Counter = room.counter('visits')
  const sum: number = (await counter.add()) + (await counter.add(-1)) + (await counter.get())
  const isSet: boolean = await counter.compareAndSet(sum, 0)
  const { semaphores } = await room.metrics()
  same<typeof semaphores, LockMetrics>(true)
  void [permit.id, permit.count, state, free, isSet]
  // @ts-expect-error a semaphore has a size
  room.semaphore('downloads')
  // @ts-expect-error ... which is a number
  room.semaphore('downloads', { permits: '3' })
  // @ts-expect-error there is no such option
  await semaphore.acquire(1, { mode: 'shared' })
  // @ts-expect-error what was not available is null
  perhaps.release()
  // @ts-expect-error a permit is not written to
  permit.count = 2
  // @ts-expect-error a counter has a name
  room.counter()
  // @ts-expect-error a counter counts numbers
  await counter.add(1n)
  // @ts-expect-error what is set is missing
  await counter.compareAndSet(1)
}

export function listening(room: Room<{ name: string }>): void {
  room.addEventListener('leaderchange', ({ detail }) => {
    const leader: string | null = detail.leader
    void leader
  })
  room.addEventListener('statuschange', ({ detail: { status } }) => {
    if (status === 'no-quorum') return
    // @ts-expect-error there is no such status
    if (status === 'offline') return
  })
  room.addEventListener('error', ({ detail }) => detail.code === 'storage')
  room.addEventListener('reset', ({ detail: { cause, lost } }) => {
    same<typeof cause, 'forked' | 'merged'>(true)
    const keys: string[] = lost.store.map(({ key }) => key)
    const counted: number = lost.counters.reduce((sum, { value }) => sum + value, 0)
    void counted
    // @ts-expect-error what is lost is not written to
    lost.locks.push(...keys)
  })
  const names: (string | undefined)[] = room.members.current.map(({ state }) => state?.name)
  const subscription = room.members.subscribe((members) => members.length, { signal: AbortSignal.timeout(5) })
  subscription.dispose()
  void names
  // @ts-expect-error what is observed is not written to
  room.members.current = []
  // @ts-expect-error nor its list
  room.members.current.push()
  // @ts-expect-error nor a room
  room.peerId = 'other'
  // @ts-expect-error a listener is a function
  room.members.subscribe('listener')
}

export async function recovering(room: Room): Promise<void> {
  await room.recover({ acceptDataLoss: true })
  // @ts-expect-error the loss is to be accepted
  await room.recover({ acceptDataLoss: false })
  // @ts-expect-error ... in so many words
  await room.recover()
}

export function failing(error: unknown): string | number {
  if (error instanceof LockLostError) {
    const reason: 'expired' | 'stolen' | 'revoked' | 'frozen' | 'left' | 'reset' = error.reason
    return reason
  }
  if (error instanceof DeadlockError) {
    const { clientId, owner, name } = error.cycle[0] ?? { clientId: '', owner: null, name: '' }
    return `${clientId} ${owner} ${name}`
  }
  if (error instanceof ComityError) {
    if (error.code === 'no-quorum') return error.message
    // @ts-expect-error there is no such code
    if (error.code === 'no_quorum') return error.message
    return error.retryable ? 1 : 0
  }
  return 0
}

export function observing<T>(observable: Observable<T>): AsyncIterator<T> {
  return observable[Symbol.asyncIterator]()
}
