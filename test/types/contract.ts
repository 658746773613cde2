/** The contract's "Locks", "Store", "Semaphore" and "Counter" as it writes them: whoever reads it alone must be able to compile. Never run. */
import {
  type ComityError,
  type Counter,
  createFence,
  type Lock,
  type LockInfo,
  type LockManager,
  type LockOptions,
  type Observable,
  type Permit,
  type Room,
  type Semaphore,
  type Store,
  type Value,
} from '../../src/index.js'

interface Paragraph {
  readonly text: string
  readonly by?: string
}

interface ContractRoom {
  readonly locks: LockManager
  readonly store: Store
  semaphore(name: string, options: { permits: number }): Semaphore
  counter(name: string): Counter
}

interface ContractLocks {
  request<T>(name: string, callback: (lock: Lock | null) => T | Promise<T>): Promise<T>
  request<T>(name: string, options: LockOptions, callback: (lock: Lock | null) => T | Promise<T>): Promise<T>
  query(): Promise<{ held: LockInfo[]; pending: LockInfo[] }>
  acquire(name: string, options?: LockOptions): Promise<Lock>
  requestAll<T>(names: string[], options: LockOptions, callback: (locks: Lock[] | null) => T | Promise<T>): Promise<T>
  observe(name: string): Observable<{
    readonly holder: string | null
    readonly mode: 'exclusive' | 'shared' | null
    readonly waiters: readonly string[]
    readonly mine: 'none' | 'waiting' | 'held' | 'unsure'
    readonly attributes: Value
  }>
  watch(prefix?: string): AsyncIterable<unknown>
  revoke(name: string, options: { grace: number }): Promise<void>
  waitGraph(): Promise<object>
}

interface ContractLock extends AsyncDisposable {
  readonly name: string
  readonly mode: 'exclusive' | 'shared'
  readonly token: number
  readonly state: 'held' | 'unsure' | 'lost' | 'released'
  readonly signal: AbortSignal
  readonly deadline: number
  assertHeld(): void
  verify(): Promise<void>
  upgrade(): Promise<void>
  downgrade(): Promise<void>
  release(): Promise<void>
}

interface ContractCounter {
  add(n?: number): Promise<number>
  get(): Promise<number>
  compareAndSet(a: number, b: number): Promise<boolean>
}

interface ContractSemaphore {
  acquire(
    n?: number,
    options?: { timeout?: number; signal?: AbortSignal; lease?: number; priority?: number },
  ): Promise<Permit>
  available(): Promise<number>
  resize(permits: number): Promise<void>
}

export function shapes(room: Room, lock: Lock, options: Required<Omit<LockOptions, 'whenNoQuorum'>>): void {
  const ours: ContractRoom = room
  const locks: ContractLocks = room.locks
  const handle: ContractLock = lock
  const semaphore: ContractSemaphore = room.semaphore('a', { permits: 3 })
  const counter: ContractCounter = room.counter('a')
  const given: LockOptions = options
  const { mode, ifAvailable, steal, signal, timeout, lease, maxHold, owner, priority, scope, attributes } = options
  void [ours, locks, handle, semaphore, counter, given, mode, ifAvailable, steal, signal, timeout, lease, maxHold]
  void [owner, priority, scope, attributes]
}

export async function locking({ locks, store }: Room, options: LockOptions): Promise<void> {
  await using lock = await locks.acquire('a', options)
  await locks.requestAll(['a', 'b'], { owner: 'me', timeout: 5 }, ([a, b]) => [a?.token, b?.token])
  await locks.requestAll(['a', 'b'], options, (all) => all?.length)
  await store.set('key', 1, { fence: lock })
  await store.set('key', 1, { fence: { name: 'a', token: lock.token }, ephemeral: true })
  await store.delete('key', { fence: lock })
  const { name, mode, clientId, token, since, position, attributes } = (await locks.query()).held[0] ?? {}
  void [name, mode, clientId, token, since, position, attributes, createFence]
}

export async function storing({ store }: Room, paragraph: Paragraph): Promise<void> {
  // Types of one's own, interfaces too.
  const revision: number = await store.set('p', paragraph)
  const found: { value: Paragraph; revision: number } | undefined = await store.get<Paragraph>('p')
  await store.get<Paragraph>('p', { consistency: 'local' })
  await store.delete('p')
  const isSet: boolean = await store.compareAndSet('p', { revision }, paragraph)
  await store.compareAndSet('p', { value: { text: 'a' } }, { text: 'b' })
  await store.transact({ compare: [{ key: 'p', revision }], then: [{ set: 'p', value: 1 }], else: [{ get: 'p' }] })
  for (const { key, value } of await store.entries<Paragraph>()) void [key, value.text]
  await store.entries('p/')
  const observed: Observable<{ readonly value: Paragraph; readonly revision: number } | undefined> =
    store.observe<Paragraph>('p')
  for await (const change of store.watch<Paragraph>()) if (change.type === 'set') void change.value.text
  for await (const change of store.watch('p/', { from: revision })) void change
  void [found, isSet, observed]
}

export function codes({ code }: ComityError): string {
  const all: ComityError['code'][] = [
    ...(['no-quorum', 'room-left', 'room-auth', 'incompatible-peer', 'signaling', 'unsupported'] as const),
    ...(['worker-blocked', 'options-mismatch', 'storage', 'limit-exceeded', 'outcome-unknown'] as const),
    ...(['lock-timeout', 'lock-lost', 'deadlock', 'stale-fence', 'conflict', 'barrier-broken'] as const),
  ]
  return all.includes(code) ? code : 'unknown'
}
