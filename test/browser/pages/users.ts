/** Users of a page who use store and locks without a rest, and tell their test of each call before it, of each answer after it. */
import { ComityError, type Lock, type Revised, type Room, type Value } from '../../../src/index.js'

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

export interface Work {
  readonly tab: string
  /** They begin nothing new after that. */
  readonly ms: number
  readonly keys: readonly string[]
  readonly locks: readonly string[]
}

declare global {
  interface Window {
    /** Exposed by the test. */
    tell?: (told: Told) => Promise<void>
  }
}

/** Resolves when all users of this page have had all their answers. */
export async function work(room: Room, plan: Work): Promise<void> {
  const users = ['writer', 'reader', 'holder'].map((role) => new User(room, plan, `${plan.tab} ${role}`))
  const [writer, reader, holder] = users
  const until = performance.now() + plan.ms
  await Promise.all([writer?.store(until, 0.3), reader?.store(until, 0.8), holder?.lock(until)])
  for (const key of plan.keys) await reader?.get(key)
}

const now = () => performance.timeOrigin + performance.now()
const pick = <T>(from: readonly T[]): T => from[Math.floor(Math.random() * from.length)] as T
/** Refusals that say that nothing was done; after any other error nobody knows. */
const refusals = ['stale-fence', 'limit-exceeded', 'lock-timeout']

class User {
  readonly #room: Room
  readonly #plan: Work
  readonly #client: string
  #calls = 0

  constructor(room: Room, plan: Work, client: string) {
    this.#room = room
    this.#plan = plan
    this.#client = client
  }

  async store(until: number, reads: number): Promise<void> {
    while (performance.now() < until) {
      const key = pick(this.#plan.keys)
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
    }
  }

  async lock(until: number): Promise<void> {
    while (performance.now() < until) {
      const mode = Math.random() < 0.3 ? 'shared' : 'exclusive'
      await this.#hold(pick(this.#plan.locks), mode)
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
    const next = `${this.#client} ${this.#calls}`
    const compareAndSet = () => this.#room.store.compareAndSet(key, expected, next)
    await this.#record('compareAndSet', key, { expected, next }, compareAndSet, (swapped) => ({ swapped }))
  }

  async #set(key: string, fence?: Lock): Promise<void> {
    const value = `${this.#client} ${this.#calls}`
    const set = () => this.#room.store.set(key, value, { ...(fence && { fence }) })
    await this.#record('set', key, { value }, set, (revision) => ({ revision }))
  }

  async #hold(name: string, mode: 'exclusive' | 'shared'): Promise<void> {
    const asked = now()
    let hold = ''
    const tellHold = (lock: Lock) => {
      // Before the test hears of the grant: a hold of whose end it knew nothing would never end.
      hold = this.#tellCall('release', name, { token: lock.token }, asked).id
      lock.signal.addEventListener('abort', () => this.#tell({ type: 'returned', id: hold, output: null, at: now() }))
      return { token: lock.token }
    }
    const lock = await this.#record('acquire', name, { mode }, () => this.#room.locks.acquire(name, { mode }), tellHold)
    if (!lock) return
    this.#look(lock, hold)
    await this.#set(pick(this.#plan.keys), lock)
    this.#look(lock, hold)
    await lock.release()
    this.#tell({ type: 'returned', id: hold, output: null, at: now() })
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
    try {
      const given = await run()
      const at = now()
      this.#tell({ type: 'returned', id, output: output(given), at })
      return given
    } catch (error) {
      if (!(error instanceof ComityError)) throw error
      if (refusals.includes(error.code)) this.#tell({ type: 'dropped', id })
      return null
    }
  }

  #tellCall(op: string, key: string, input: unknown, at: number): { id: string; told: Promise<void> } {
    this.#calls += 1
    const id = `${this.#client} ${this.#calls}`
    return { id, told: this.#tell({ type: 'call', id, client: this.#client, op, key, input, at }) }
  }

  #tell(told: Told): Promise<void> {
    if (!window.tell) throw new Error('the test has exposed no tell()')
    return window.tell(told)
  }
}
