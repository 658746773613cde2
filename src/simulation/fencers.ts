import { ComityError } from '../client/errors.js'
import type { Lock, LockMode } from '../client/lock.js'
import type { LockOptions } from '../client/lock-options.js'
import type { Transaction } from '../client/transaction.js'
import { type FencedValue, fencedPrefix } from './checkers/fenced-keys.js'
import type { SimPage } from './page.js'
import type { Prng } from './prng.js'
import type { Simulation } from './simulation.js'
import type { Tenancy } from './tenants.js'

const vaults = ['vault', 'safe'] as const
/** So many of the last tokens are tried again. */
const stubsMax = 6

/** What is left of a hold. */
interface Stub {
  readonly name: string
  readonly token: number
  readonly mode: LockMode
}

/** Users who write by transactions under the fence of a lock: while they hold it, and long after. */
export class Fencers {
  readonly #sim: Simulation
  #stubs: Stub[] = []
  #writes = 0

  constructor(sim: Simulation) {
    this.#sim = sim
  }

  /** One user. */
  async use(page: SimPage, prng: Prng, company: Tenancy): Promise<void> {
    const { room } = page
    await page.thread.sleep(prng.between(0, 1_000))
    while (!company.isOver && room.status !== 'left' && room.status !== 'failed') {
      const stub = this.#stubs.length > 0 && prng.chance(0.3) ? prng.pick(this.#stubs) : null
      if (stub) await company.tolerate('zombie transaction', () => this.#transact(page, prng, stub))
      else await company.tolerate('fenced hold', () => this.#hold(page, prng, company))
      await page.thread.sleep(prng.tail(200, 2_000))
    }
  }

  async #hold(page: SimPage, prng: Prng, company: Tenancy): Promise<void> {
    const lock = await page.room.locks.acquire(prng.pick(vaults), optionsOf(page, prng))
    if (!lock) return
    const { name, token, mode } = lock
    this.#sim.belief.got(page, lock)
    this.#stubs = [{ name, token, mode }, ...this.#stubs].slice(0, stubsMax)
    const until = prng.chance(0.2) ? prng.between(1_000, 8_000) : prng.tail(200, 2_000)
    for (let i = 0; i < 2 && !company.isOver; i++) {
      await page.thread.sleep(until / 2)
      // Whether it is still held is not asked: that is what the fence is for.
      await company.tolerate('fenced transaction', () => this.#write(page, prng, lock))
    }
    const late = prng.chance(0.3)
      ? company.tolerate('fenced transaction beside a release', () => this.#transact(page, prng, lock))
      : null
    await lock.release()
    await late
  }

  /** T2: a fence refuses no certain holder. */
  async #write(page: SimPage, prng: Prng, lock: Lock): Promise<void> {
    const { name, token, state } = lock
    try {
      await this.#transact(page, prng, lock)
    } catch (error) {
      const isRefused = error instanceof ComityError && error.code === 'stale-fence'
      const isCertain = state === 'held' && lock.state === 'held' && !this.#sim.log.wasStolen(name, token)
      if (isRefused && isCertain)
        this.#sim.world.convict('fence', `a transaction under ${name} ${token} was refused, and its holder is certain`)
      throw error
    }
  }

  async #transact(page: SimPage, prng: Prng, { name, token, mode }: Stub): Promise<void> {
    this.#writes += 1
    const fence = { name, token }
    const key = `${fencedPrefix}${name}`
    const value = { token, mode, write: this.#writes } satisfies FencedValue
    const { store } = page.room
    const set = { set: key, value }
    const forms: readonly (() => [Transaction, { fence?: typeof fence }])[] = [
      () => [{ then: [set, { get: key }] }, { fence }],
      () => [{ then: [{ get: key }, { ...set, fence }] }, {}],
      () => [{ compare: [{ key: 'nowhere', exists: true }], else: [{ ...set, fence }] }, {}],
      () => [{ compare: [{ key, exists: true }], then: [{ delete: key, fence }], else: [set] }, { fence }],
    ]
    const [ops, options] = prng.pick(forms)()
    const { coverage } = this.#sim.world
    try {
      await store.transact(ops, options)
      coverage.hit('fenced transaction done')
    } catch (error) {
      if (error instanceof ComityError && error.code === 'stale-fence') coverage.hit('fenced transaction refused')
      throw error
    }
  }
}

function optionsOf(page: SimPage, prng: Prng): LockOptions {
  const { lease } = page.settings.timing
  const options: LockOptions = { mode: prng.chance(0.25) ? 'shared' : 'exclusive' }
  if (prng.chance(0.5)) options.lease = Math.floor(prng.between(lease / 4, lease))
  if (prng.chance(0.12)) return { ...options, mode: 'exclusive', steal: true }
  if (prng.chance(0.3)) options.timeout = prng.tail(500, 10_000)
  return options
}
