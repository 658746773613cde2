/** Users of a page who use store and locks without a rest, and tell their test of each call before it, of each answer after it. */
import { ComityError, type Lock, type LockOptions, type Revised, type Room, type Value } from '../../../src/index.js'

/** What the test hears. Times are ms of the one clock that the tabs of a machine share. */
export type Told =
  | {
      readonly type: 'call'
      readonly id: string
      readonly client: string
      readonly op: string
      readonly key: string
      readonly input: unknown
      readonly at: number
    }
  | { readonly type: 'returned'; readonly id: string; readonly output: unknown; readonly at: number }
  | { readonly type: 'notBefore'; readonly id: string; readonly at: number }
  | { readonly type: 'dropped'; readonly id: string }
  /** Nobody knows what became of it. */
  | { readonly type: 'failed'; readonly id: string; readonly code: string; readonly at: number }

export interface Work {
  readonly tab: string
  /** They begin nothing new after that. */
  readonly ms: number
  readonly keys: readonly string[]
  readonly locks: readonly string[]
}

/** What users go by while they work. */
export interface Habits {
  readonly client: string
  readonly locks: readonly string[]
  /** What is written and read now. */
  keys(): readonly string[]
  /** They begin nothing new then. */
  isOver(): boolean
  /** Between two calls; without it they have no rest. */
  rest?(): Promise<void>
  lockOptions?(): Pick<LockOptions, 'lease' | 'timeout'>
}

declare global {
  interface Window {
    /** Exposed by the test. */
    tell?: (told: Told) => Promise<void>
  }
}

/** Resolves when all users of this page have had all their answers. */
export async function work(room: Room, plan: Work): Promise<void> {
  const until = performance.now() + plan.ms
  const isOver = () => performance.now() >= until
  const [writer, reader, holder] = ['writer', 'reader', 'holder'].map(
    (role) => new User(room, { client: `${plan.tab} ${role}`, locks: plan.locks, keys: () => plan.keys, isOver }),
  )
  await Promise.all([writer?.store(0.3), reader?.store(0.8), holder?.lock()])
  for (const key of plan.keys) await reader?.get(key)
}

/** One clock for all tabs of a machine. */
export const now = () => performance.timeOrigin + performance.now()
const pick = <T>(from: readonly T[]): T => from[Math.floor(Math.random() * from.length)] as T
/** Refusals that say that nothing was done; after any other error nobody knows. */
const refusals = ['stale-fence', 'limit-exceeded', 'lock-timeout']

/** Fails only as the API says it may. */
async function attempt<T>(run: () => Promise<T>): Promise<{ ok: true; given: T } | { ok: false; code: string }> {
  try {
    return { ok: true, given: await run() }
  } catch (error) {
    if (!(error instanceof ComityError)) throw error
    return { ok: false, code: error.code }
  }
}

export class User {
  readonly #room: Room
  readonly #habits: Habits
  #calls = 0

  constructor(room: Room, habits: Habits) {
    this.#room = room
    this.#habits = habits
  }

  /** Reads and writes what others read and write too; `reads` is the share of reads. */
  async store(reads: number): Promise<void> {
    while (!this.#habits.isOver()) {
      const key = pick(this.#habits.keys())
      const dice = Math.random()
      if (Math.random() < reads) await this.get(key)
      else if (dice < 0.4) await this.#set(key)
      else if (dice < 0.9) await this.#compareAndSet(key)
      else
        await this.#record(
          'delete',
          key,
          null,
          () => this.#room.store.delete(key),
          (existed) => ({ existed }),
        )
      await this.#habits.rest?.()
    }
  }

  async lock(): Promise<void> {
    while (!this.#habits.isOver()) {
      const mode = Math.random() < 0.3 ? 'shared' : 'exclusive'
      await this.#hold(pick(this.#habits.locks), mode, this.#habits.lockOptions?.())
      await this.#habits.rest?.()
    }
  }

  /** A write and every lock once; rejects when one of them fails. */
  async probe(key: string): Promise<void> {
    if ((await this.#set(key)) === null) throw new Error(`could not write ${key}`)
    for (const name of this.#habits.locks) {
      if (!(await this.#hold(name, 'exclusive'))) throw new Error(`could not have ${name}`)
    }
  }

  /** Writes keys that nobody else writes, each once: what was acknowledged must be there in the end. */
  async append(): Promise<void> {
    for (let i = 0; !this.#habits.isOver(); i += 1) {
      await this.#set(`${this.#habits.client} ${i}`)
      await this.#habits.rest?.()
    }
  }

  async get(key: string): Promise<Revised<Value> | null> {
    return this.#record(
      'get',
      key,
      null,
      async () => (await this.#room.store.get(key)) ?? null,
      (found) => found,
    )
  }

  /** What it read, in the hope that nobody was faster. */
  async #compareAndSet(key: string): Promise<void> {
    const found = await this.get(key)
    const expected = found && Math.random() < 0.5 ? { value: found.value } : { revision: found?.revision ?? 0 }
    const next = `${this.#habits.client} ${this.#calls}`
    const compareAndSet = () => this.#room.store.compareAndSet(key, expected, next)
    await this.#record('compareAndSet', key, { expected, next }, compareAndSet, (swapped) => ({ swapped }))
  }

  async #set(key: string, fence?: Lock): Promise<number | null> {
    const value = `${this.#habits.client} ${this.#calls}`
    const set = () => this.#room.store.set(key, value, { ...(fence && { fence }) })
    const input = { value, ...(fence && { fence: { name: fence.name, token: fence.token } }) }
    return this.#record('set', key, input, set, (revision) => ({ revision }))
  }

  /** Whether it was granted. */
  async #hold(name: string, mode: 'exclusive' | 'shared', more: LockOptions = {}): Promise<boolean> {
    const asked = now()
    let hold = ''
    const tellHold = (lock: Lock) => {
      // Before the test hears of the grant: a hold of whose end it knew nothing would never end.
      hold = this.#tellCall('release', name, { token: lock.token }, asked).id
      lock.signal.addEventListener('abort', () => this.#tell({ type: 'returned', id: hold, output: null, at: now() }))
      return { token: lock.token }
    }
    const options = { mode, ...more }
    const lock = await this.#record('acquire', name, { mode }, () => this.#room.locks.acquire(name, options), tellHold)
    if (!lock) return false
    this.#look(lock, hold)
    await this.#set(pick(this.#habits.keys()), lock)
    this.#look(lock, hold)
    await this.#habits.rest?.()
    this.#look(lock, hold)
    // One that fails leaves open when the hold ends.
    if ((await attempt(() => lock.release())).ok) this.#tell({ type: 'returned', id: hold, output: null, at: now() })
    return true
  }

  /** While it reads `held`, its hold has not ended. */
  #look(lock: Lock, hold: string): void {
    const at = now()
    if (lock.state === 'held') this.#tell({ type: 'notBefore', id: hold, at })
  }

  /** Null when it failed as the API says it may. */
  async #record<T>(
    op: string,
    key: string,
    input: unknown,
    run: () => Promise<T>,
    output: (given: T) => unknown,
  ): Promise<T | null> {
    const { id, told } = this.#tellCall(op, key, input, now())
    // A call that nobody had heard of when its tab died would make reads of what nobody wrote.
    await told
    this.#tell({ type: 'notBefore', id, at: now() })
    const outcome = await attempt(run)
    const at = now()
    if (outcome.ok) {
      this.#tell({ type: 'returned', id, output: output(outcome.given), at })
      return outcome.given
    }
    if (refusals.includes(outcome.code)) this.#tell({ type: 'dropped', id })
    else this.#tell({ type: 'failed', id, code: outcome.code, at })
    return null
  }

  #tellCall(op: string, key: string, input: unknown, at: number): { id: string; told: Promise<void> } {
    this.#calls += 1
    const id = `${this.#habits.client} ${this.#calls}`
    return { id, told: this.#tell({ type: 'call', id, client: this.#habits.client, op, key, input, at }) }
  }

  #tell(told: Told): Promise<void> {
    if (!window.tell) throw new Error('the test has exposed no tell()')
    return window.tell(told)
  }
}
