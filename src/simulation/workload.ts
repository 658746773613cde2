import { ComityError } from '../client/errors.js'
import type { Lock, LockMode } from '../client/lock.js'
import type { LockOptions } from '../client/lock-options.js'
import type { Expectation, Revised } from '../client/store.js'
import type { Value } from '../shared/value.js'
import { Fencers } from './fencers.js'
import { type Recorded, Recorder } from './linearizability/recorder.js'
import type { SimPage } from './page.js'
import type { Prng } from './prng.js'
import { Sharers } from './sharers.js'
import type { Simulation } from './simulation.js'
import type { SimTab } from './tab.js'
import { type Tenancy, Tenants } from './tenants.js'
import { Watchers } from './watchers.js'

/** What the users of one run are like. */
interface Habits {
  /** The share of locks in what they do. */
  readonly locks: number
  readonly holdMs: number
  readonly longHolds: number
  readonly pauseMs: number
  readonly names: readonly string[]
}

interface WorkloadOptions {
  readonly compareAndSet: boolean
  /** Whether there are users of a semaphore and a counter. */
  readonly shares: boolean
  /** Whether they also resize the semaphore. */
  readonly resizes: boolean
  /** Whether there are users of what locks have beyond Web Locks. */
  readonly settles: boolean
  /** Whether there are users who watch the store. */
  readonly watches: boolean
  /** Whether there are users who write by fenced transactions. */
  readonly fences: boolean
}

const keys = ['k1', 'k2', 'k3'] as const
/** Always written together, and so never seen apart. */
const pair = ['pair 1', 'pair 2'] as const
/** Refusals that say that nothing was done; after any other error of a write, nobody knows. */
const refusals = new Set(['stale-fence', 'limit-exceeded', 'lock-timeout', 'incompatible-peer'])
/** Actors of each page. */
const actorsPerPage = 2

/** Random users of every page: they take locks, hold them, write under them, read, and change their minds. */
export class Workload {
  readonly #sim: Simulation
  readonly habits: Habits
  readonly compareAndSet: boolean
  readonly #sharers: Sharers | null
  readonly #tenants: Tenants | null
  readonly #fencers: Fencers | null
  readonly watchers: Watchers | null
  #isOver = false
  #values = 0
  readonly #actors = new Set<Actor>()
  /** What the room was asked and answered, by true time. */
  readonly recorder = new Recorder()
  /** What was done, by kind: shows that a run did something. */
  readonly done = new Map<string, number>()

  constructor(
    sim: Simulation,
    {
      compareAndSet = true,
      shares = false,
      resizes = false,
      settles = false,
      watches = false,
      fences = false,
    }: Partial<WorkloadOptions> = {},
  ) {
    this.#sim = sim
    this.compareAndSet = compareAndSet
    this.#sharers = shares ? new Sharers(sim, resizes) : null
    this.#tenants = settles ? new Tenants(sim) : null
    this.#fencers = fences ? new Fencers(sim) : null
    this.watchers = watches ? new Watchers(sim) : null
    const prng = sim.world.prng.fork('habits')
    this.habits = {
      locks: prng.pick([0.3, 0.5, 0.8]),
      holdMs: prng.pick([50, 300, 2_000]),
      longHolds: prng.pick([0.05, 0.3]),
      pauseMs: prng.pick([30, 100, 300]),
      names: prng.pick([['alpha'], ['alpha', 'beta'], ['alpha', 'beta', 'gamma']]),
    }
  }

  start(page: SimPage, tab: SimTab): void {
    // A write that waits for a quorum holds up the reads behind it: some pages only read, so that a stale one shows.
    const readsOnly = this.#sim.world.prng.fork(`role of ${page.thread.name}`).chance(0.3)
    for (let i = 0; i < actorsPerPage; i++) {
      const prng = this.#sim.world.prng.fork(`actor ${page.thread.name} ${i}`)
      const actor = new Actor(this, this.#sim, { name: `${page.thread.name} ${i}`, page, prng, readsOnly })
      this.#actors.add(actor)
      void actor.run().then(() => this.#actors.delete(actor))
    }
    const sharers = this.#sharers
    if (sharers) this.#enlist(page, 'shares', 'sharer', (prng, actor) => sharers.use(page, prng, actor))
    const tenants = this.#tenants
    if (tenants) this.#enlist(page, 'settles', 'tenant', (prng, actor) => tenants.use(page, prng, actor))
    const fencers = this.#fencers
    if (fencers) this.#enlist(page, 'fences', 'fencer', (prng, actor) => fencers.use(page, prng, actor))
    if (!this.watchers) return
    // Nobody waits for them: they watch until the very end.
    const prng = this.#sim.world.prng.fork(`watcher ${page.thread.name}`)
    void this.watchers.use({ page, tab, prng, company: this.#actor(page, 'watches', prng) })
  }

  #enlist(page: SimPage, does: string, role: string, use: (prng: Prng, actor: Actor) => Promise<void>): void {
    const prng = this.#sim.world.prng.fork(`${role} ${page.thread.name}`)
    const actor = this.#actor(page, does, prng)
    this.#actors.add(actor)
    void use(prng, actor).then(() => this.#actors.delete(actor))
  }

  #actor(page: SimPage, does: string, prng: Prng): Actor {
    return new Actor(this, this.#sim, { name: `${page.thread.name} ${does}`, page, prng, readsOnly: false })
  }

  /** What actors of living pages are still waiting for. */
  get waiting(): readonly string[] {
    return [...this.#actors]
      .filter(({ page }) => !page.thread.isDead)
      .map(({ page, doing }) => `${page.thread.name} ${doing}`)
  }

  /** Whoever waits is served, whoever holds gives back; nobody begins anything new. */
  stop(): void {
    this.#isOver = true
  }

  get isOver(): boolean {
    return this.#isOver
  }

  /** A value that nobody else writes. */
  value(): string {
    this.#values += 1
    return `value ${this.#values}`
  }

  count(what: string): void {
    this.done.set(what, (this.done.get(what) ?? 0) + 1)
  }
}

interface Role {
  readonly name: string
  readonly page: SimPage
  readonly prng: Prng
  readonly readsOnly: boolean
}

class Actor implements Tenancy {
  readonly #workload: Workload
  readonly #sim: Simulation
  readonly #page: SimPage
  readonly #prng: Prng
  doing = 'nothing'

  readonly #readsOnly: boolean
  readonly #swaps: Prng
  readonly #transactions: Prng
  readonly #name: string

  constructor(workload: Workload, sim: Simulation, { name, page, prng, readsOnly }: Role) {
    this.#name = name
    this.#workload = workload
    this.#sim = sim
    this.#page = page
    this.#prng = prng
    this.#readsOnly = readsOnly
    this.#swaps = prng.fork('compareAndSet')
    this.#transactions = prng.fork('transact')
  }

  get page(): SimPage {
    return this.#page
  }

  async run(): Promise<void> {
    const { room } = this.#page
    await this.#sleep(this.#prng.between(0, 300))
    while (!this.#workload.isOver && room.status !== 'left' && room.status !== 'failed') {
      const { locks, pauseMs } = this.#workload.habits
      // The rest is shared out among the others.
      const dice = this.#readsOnly ? 0.7 : this.#prng.chance(locks) ? 0 : this.#prng.between(0.5, 1)
      if (dice < 0.5) await this.tolerate('lock', () => this.#lock())
      else if (dice < 0.7) await this.tolerate('set', () => this.#set())
      else if (dice < 0.85) await this.tolerate('get', () => this.#get())
      else if (dice < 0.9) await this.tolerate('delete', () => this.#delete())
      else if (dice < 0.93) await this.tolerate('query', async () => void (await room.locks.query()))
      else if (this.#workload.compareAndSet) await this.tolerate('compareAndSets', () => this.#comparing())
      await this.#sleep(this.#prng.tail(pauseMs, 2_000))
    }
  }

  /** Any error of the public contract is an answer; anything else is a bug. */
  async tolerate(what: string, run: () => Promise<void>): Promise<void> {
    try {
      this.doing = what
      await run()
      this.#workload.count(what)
    } catch (error) {
      const isExpected = error instanceof ComityError || (error instanceof DOMException && error.name === 'AbortError')
      if (!isExpected)
        this.#sim.world.convict('unexpected-error', `${what}: ${String(error)} ${(error as Error).stack}`)
      this.#workload.count(`${what} failed: ${error instanceof ComityError ? error.code : 'aborted'}`)
    }
  }

  get isOver(): boolean {
    return this.#workload.isOver
  }

  /** T2: a fence refuses no certain holder. A token that came meanwhile, by an upgrade that was given up, is another one. */
  async write(lock: Lock): Promise<void> {
    const { token, state } = lock
    try {
      await this.#set(lock)
    } catch (error) {
      const isSame = state === 'held' && lock.state === 'held' && lock.token === token
      const isRefused = error instanceof ComityError && error.code === 'stale-fence'
      if (isRefused && isSame && !this.#sim.log.wasStolen(lock.name, token))
        this.#sim.world.convict('fence', `a write under ${lock.name} ${token} was refused, and its holder is certain`)
      throw error
    }
  }

  count(what: string): void {
    this.#workload.count(what)
  }

  record<T>(op: string, key: string, input: unknown, answer: Promise<T>, output: (given: T) => unknown): Promise<T> {
    return this.#record(this.#call(op, key, input), answer, output)
  }

  #call(op: string, key: string, input: unknown, call = this.#sim.world.now): Recorded {
    return this.#workload.recorder.call({ client: this.#name, op, key, input, call })
  }

  /** One operation in the history: what it gave, that it was refused, or that its outcome is unknown. */
  async #record<T>(recorded: Recorded, answer: Promise<T>, output: (given: T) => unknown): Promise<T> {
    try {
      const given = await answer
      recorded.returned(output(given), this.#sim.world.now)
      return given
    } catch (error) {
      if (error instanceof ComityError && refusals.has(error.code)) recorded.dropped()
      throw error
    }
  }

  #sleep(ms: number): Promise<void> {
    return this.#page.thread.sleep(ms)
  }

  #key(): string {
    return this.#prng.pick(keys)
  }

  async #lock(): Promise<void> {
    const { names, holdMs, longHolds } = this.#workload.habits
    const name = this.#prng.pick(names)
    const options = this.#options()
    const asked = this.#sim.world.now
    const lock = await this.#record(
      this.#call('acquire', name, { mode: options.mode }),
      this.#page.room.locks.acquire(name, options),
      (lock) => lock && { token: lock.token },
    )
    if (!lock) return
    const hold = this.#call('release', name, { token: lock.token }, asked)
    lock.signal.addEventListener('abort', () => hold.returned(null, this.#sim.world.now))
    this.#look(lock, hold)
    this.#sim.belief.got(this.#page, lock)
    this.#sim.world.note(`${this.#page.thread.name} got ${name} ${lock.mode} under ${lock.token}: ${lock.state}`)
    const isLong = this.#prng.chance(longHolds)
    const until = isLong ? this.#prng.between(1_000, 15_000) : this.#prng.tail(holdMs, 3_000)
    const pieces = this.#prng.integer(1, 3)
    for (let i = 0; i < pieces && !this.#workload.isOver; i++) {
      await this.#sleep(until / pieces)
      this.#look(lock, hold)
      await this.#useLock(lock)
    }
    if (lock.state === 'lost') this.#workload.count('lost')
    this.#look(lock, hold)
    await lock.release()
    hold.returned(null, this.#sim.world.now)
  }

  /** Its hold has surely not ended yet. `steal` waits for nobody: what its victim believes for a while is no evidence. */
  #look(lock: Lock, hold: Recorded): void {
    const isCertain = lock.state === 'held' && !this.#sim.log.wasStolen(lock.name, lock.token)
    if (isCertain) hold.notBefore(this.#sim.world.now)
  }

  #options(): LockOptions {
    const { heartbeat, lease } = this.#page.settings.timing
    const options: LockOptions = {}
    const mode: LockMode = this.#prng.chance(0.3) ? 'shared' : 'exclusive'
    options.mode = mode
    if (this.#prng.chance(0.4)) options.lease = Math.floor(this.#prng.between(lease / 4, lease * 1.5))
    // Short ones are asked after all the time: a few are enough. Shorter than a round trip to a quorum, none is certain.
    if (this.#prng.chance(0.04)) options.lease = 10 * heartbeat + this.#prng.integer(0, 500)
    if (this.#prng.chance(0.06)) {
      options.steal = true
      options.mode = 'exclusive'
      return options
    }
    if (this.#prng.chance(0.1)) return { ...options, ifAvailable: true }
    if (this.#prng.chance(0.3)) options.timeout = this.#prng.tail(500, 20_000)
    if (this.#prng.chance(0.15)) {
      const controller = new AbortController()
      options.signal = controller.signal
      this.#page.thread.clock.after(this.#prng.tail(200, 5_000), () => controller.abort())
    }
    return options
  }

  /** What a holder does: it looks, writes under its token, and asks the outside resource. */
  async #useLock(lock: Lock): Promise<void> {
    const dice = this.#prng.fraction()
    if (dice < 0.3) await this.#set(lock)
    else if (dice < 0.35 && lock.state !== 'released' && lock.state !== 'lost') await lock.verify()
    else if (lock.mode === 'exclusive') {
      const { name, token } = lock
      const stolen = () => this.#sim.log.wasStolen(name, token)
      this.#sim.fence.write(name, token, lock.state === 'held' && !stolen())
      // And one that takes its time on the way.
      const late = this.#prng.tail(50, 20_000)
      this.#sim.world.after(late, 'late write', () => this.#sim.fence.write(name, token, false))
    }
  }

  async #set(fence?: Lock): Promise<void> {
    const key = this.#key()
    const value = this.#workload.value()
    const ephemeral = this.#prng.chance(0.1)
    const begun = this.#sim.history.begin(key)
    const recorded = this.#call('set', key, { value })
    if (ephemeral) this.#call('expire', key, { value })
    const answer = this.#page.room.store.set(key, value, { ...(fence && { fence }), ...(ephemeral && { ephemeral }) })
    const revision = await this.#record(recorded, answer, (revision) => ({ revision }))
    this.#sim.history.wrote(begun, revision)
  }

  async #delete(): Promise<void> {
    const key = this.#key()
    await this.#record(this.#call('delete', key, null), this.#page.room.store.delete(key), (existed) => ({ existed }))
  }

  async #get(): Promise<void> {
    const key = this.#key()
    if (this.#prng.chance(0.2)) {
      await this.#page.room.store.get(key, { consistency: 'local' })
      return
    }
    await this.#read(key)
  }

  async #read(key: string): Promise<Revised<Value> | undefined> {
    const begun = this.#sim.history.begin(key)
    const found = await this.#record(
      this.#call('get', key, null),
      this.#page.room.store.get(key),
      (found) => found ?? null,
    )
    this.#sim.history.read(begun, found?.revision ?? null)
    return found
  }

  /** By one call or another. What a transaction does to one key is what a `compareAndSet` does, and is judged so. */
  #comparing(): Promise<void> {
    const prng = this.#transactions
    if (prng.chance(0.4)) return this.#compareAndSets()
    return prng.chance(0.5) ? this.#transactSwap() : this.#transactPair()
  }

  /** Sets a key and another one if the first is as expected; else looks at it. */
  async #transactSwap(): Promise<void> {
    const prng = this.#transactions
    const [key, other] = prng.chance(0.5) ? ([keys[0], keys[1]] as const) : ([keys[1], keys[0]] as const)
    const found = await this.#read(key)
    await this.#sleep(prng.tail(10, 500))
    const [value, next] = [this.#workload.value(), this.#workload.value()]
    const recorded = this.#call('compareAndSet', key, { expected: { revision: found?.revision ?? 0 }, next })
    const beside = this.#call('set', other, { value })
    const answer = this.#page.room.store.transact({
      compare: [{ key, revision: found?.revision ?? 0 }],
      then: [
        { set: key, value: next },
        { set: other, value },
      ],
      else: [{ get: key }],
    })
    const { succeeded, revision } = await this.#record(recorded, answer, ({ succeeded }) => ({ swapped: succeeded }))
    if (succeeded) beside.returned({ revision }, this.#sim.world.now)
    else beside.dropped()
    this.#workload.count(succeeded ? 'transacted' : 'not transacted')
  }

  /** Two keys that are only ever written together are never seen apart, whoever looks and however. */
  async #transactPair(): Promise<void> {
    const { store } = this.#page.room
    const prng = this.#transactions
    const value = this.#workload.value()
    if (prng.chance(0.5)) await store.transact({ then: pair.map((key) => ({ set: key, value })) })
    const consistency = prng.chance(0.5) ? 'local' : 'linearizable'
    const seen = await store.entries('pair ', { consistency })
    const revisions = new Set(seen.map(({ revision }) => revision))
    if (revisions.size > 1 || seen.length === 1)
      this.#sim.world.convict('atomicity', `a pair was seen apart: ${JSON.stringify(seen)}`)
    this.#workload.count(seen.length > 0 ? 'pair' : 'no pair')
  }

  /** A few in a row, mostly of the key that all others want too. Its choices are a stream of their own: the rest draws as without it. */
  async #compareAndSets(): Promise<void> {
    const prng = this.#swaps
    const key = prng.chance(0.6) ? keys[0] : prng.pick(keys)
    for (let left = prng.integer(1, 6); left > 0 && !this.#workload.isOver; left--) {
      const expected = await this.#expectation(key)
      // Users think before they write: others may be faster.
      await this.#sleep(prng.tail(10, 500))
      const next = this.#workload.value()
      const recorded = this.#call('compareAndSet', key, { expected, next })
      const answer = this.#page.room.store.compareAndSet(key, expected, next)
      const swapped = await this.#record(recorded, answer, (swapped) => ({ swapped }))
      this.#workload.count(swapped ? 'swapped' : 'not swapped')
    }
  }

  /** What it read, perhaps long ago; or that nobody was there before. */
  async #expectation(key: string): Promise<Expectation> {
    const prng = this.#swaps
    if (prng.chance(0.15)) return { revision: 0 }
    const isLocal = prng.chance(0.3)
    const found = isLocal ? await this.#page.room.store.get(key, { consistency: 'local' }) : await this.#read(key)
    if (!found) return { revision: 0 }
    return prng.chance(0.5) ? { revision: found.revision } : { value: found.value }
  }
}
