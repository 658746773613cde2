import type { Lock } from '../client/lock.js'
import type { LockOptions, WaitOptions } from '../client/lock-options.js'
import type { AcquireOptions } from '../client/semaphore.js'
import { PermitChecker } from './checkers/permits.js'
import type { SimPage } from './page.js'
import type { Prng } from './prng.js'
import type { Company } from './sharers.js'
import type { Simulation } from './simulation.js'

/** A small tree, and one beside it. */
const estate = ['farm', 'farm/field', 'farm/field/well', 'farm/barn', 'mill'] as const
/** Fewer than an owner may want beside its locks: what it waits for there may close a circle. */
const stalls = 2
/** Of an owner's holds within each other. */
const depthMax = 3

/** What a tenant is while it has something: whoever goes in again is the same owner. */
interface Stay {
  readonly page: SimPage
  readonly prng: Prng
  readonly company: Tenancy
  readonly owner: string | null
  readonly depth: number
}

/** What a tenant needs of the workload that it is part of. */
export interface Tenancy extends Company {
  /** Writes to the room's store under the lock's token. */
  write(lock: Lock): Promise<void>
  count(what: string): void
}

/** Users of all that locks have beyond Web Locks, on a few names that lie within each other. */
export class Tenants {
  readonly #sim: Simulation
  readonly #permits: PermitChecker

  constructor(sim: Simulation) {
    this.#sim = sim
    this.#permits = new PermitChecker(sim.world, () => stalls)
    sim.world.check(() => this.#permits.check())
  }

  /** One user: takes locks, more within them, changes their modes, and asks others for theirs. */
  async use(page: SimPage, prng: Prng, company: Tenancy): Promise<void> {
    const { room } = page
    await page.thread.sleep(prng.between(0, 1_000))
    while (!company.isOver && room.status !== 'left' && room.status !== 'failed') {
      const owner = prng.chance(0.75) ? prng.pick(['anna', 'bert']) : null
      const stay: Stay = { page, prng, company, owner, depth: 0 }
      const dice = prng.fraction()
      if (dice < 0.62) await company.tolerate('stay', () => this.#stay(stay))
      else if (dice < 0.78) await company.tolerate('all', () => this.#takeAll(stay))
      else if (dice < 0.84) await company.tolerate('stall', () => this.#takeStall(stay))
      else if (dice < 0.94) await company.tolerate('revoke', () => revoke(stay))
      else await company.tolerate('graph', async () => void (await room.locks.waitGraph()))
      await page.thread.sleep(prng.tail(150, 2_000))
    }
  }

  async #stay(stay: Stay): Promise<void> {
    const { page, prng, company } = stay
    const name = prng.pick(estate)
    const options = optionsOf(stay)
    const lock = await page.room.locks.acquire(name, options)
    if (!lock) return
    this.#got(stay, lock, options)
    try {
      const pieces = prng.integer(1, 3)
      const until = prng.chance(0.15) ? prng.between(1_000, 8_000) : prng.tail(200, 2_000)
      const isPolite = prng.chance(0.6)
      for (let i = 0; i < pieces && !company.isOver; i++) {
        await page.thread.sleep(until / pieces)
        if (isPolite && lock.revoking.aborted) break
        await this.#use(stay, lock)
      }
    } finally {
      await lock.release()
    }
  }

  /** What is refused in here, as a deadlock is, does not end the stay. */
  async #use(stay: Stay, lock: Lock): Promise<void> {
    const { prng, company, owner, depth } = stay
    const dice = prng.fraction()
    if (dice < 0.25 && lock.mode === 'shared')
      await company.tolerate('upgrade', () => change(lock, () => lock.upgrade(waitOf(stay))))
    else if (dice < 0.25) await company.tolerate('downgrade', () => change(lock, () => lock.downgrade()))
    else if (dice < 0.6 && owner !== null && depth < depthMax) await this.#goDeeper({ ...stay, depth: depth + 1 })
    else if (dice < 0.75) await company.tolerate('tenant set', () => company.write(lock))
    else if (lock.state === 'held') this.#fence(stay, lock)
    if (lock.state === 'lost') company.count('tenant lost')
  }

  async #goDeeper(stay: Stay): Promise<void> {
    const { prng, company } = stay
    const dice = prng.fraction()
    if (dice < 0.7) await company.tolerate('deeper stay', () => this.#stay(stay))
    else if (dice < 0.85) await company.tolerate('deeper all', () => this.#takeAll(stay))
    else await company.tolerate('deeper stall', () => this.#takeStall(stay))
  }

  async #takeAll(stay: Stay): Promise<void> {
    const { page, prng, company } = stay
    const names = estate.filter(() => prng.chance(0.4))
    if (names.length === 0) return
    const options = optionsOf(stay)
    await page.room.locks.requestAll(names, options, async (locks) => {
      for (const lock of locks ?? []) this.#got(stay, lock, options)
      await page.thread.sleep(prng.tail(200, 2_000))
      const lock = locks?.[0]
      if (!lock || company.isOver) return
      if (prng.chance(0.3)) await company.tolerate('one of all', () => lock.release())
      else await company.tolerate('one of all', () => company.write(lock))
      await page.thread.sleep(prng.tail(100, 1_000))
    })
  }

  async #takeStall({ page, prng, owner }: Stay): Promise<void> {
    const semaphore = page.room.semaphore('stalls', { permits: stalls })
    const options: AcquireOptions = { ...boundsOf(page, prng), ...(owner !== null && { owner }) }
    const permit = await semaphore.acquire(prng.integer(1, stalls), options)
    if (!permit) return
    this.#permits.got(page, permit)
    await page.thread.sleep(prng.tail(200, 2_000))
    await permit.release()
  }

  #got({ page, company, depth }: Stay, lock: Lock, { scope = 'exact' }: LockOptions): void {
    this.#sim.belief.got(page, lock, scope)
    const { name, mode, token, state } = lock
    this.#sim.world.note(`${page.thread.name} has ${name} ${scope} ${mode} under ${token}: ${state}`)
    company.count(depth > 0 ? 'had deeper' : 'had')
  }

  /** An outside resource of that very name refuses older tokens: an owner may have a newer one for a part of what it has already. */
  #fence({ owner }: Stay, { name, token, mode }: Lock): void {
    if (mode === 'exclusive')
      this.#sim.fence.write(name, token, owner === null && !this.#sim.log.wasStolen(name, token))
  }
}

/** Whoever leaves the room gives back what it holds: its mode cannot be changed then, and no error says more. */
async function change(lock: Lock, run: () => Promise<void>): Promise<void> {
  try {
    await run()
  } catch (error) {
    if (lock.state !== 'released') throw error
  }
}

async function revoke({ page, prng }: Stay): Promise<void> {
  const grace = prng.chance(0.2) ? 0 : Math.floor(prng.tail(300, 3_000))
  await page.room.locks.revoke(prng.pick(estate), { grace })
}

function optionsOf(stay: Stay): LockOptions {
  const { page, prng, owner } = stay
  const { heartbeat, lease: usual } = page.settings.timing
  const options: LockOptions = {}
  if (owner !== null) options.owner = owner
  options.mode = prng.chance(0.4) ? 'shared' : 'exclusive'
  options.scope = prng.chance(0.3) ? 'tree' : 'exact'
  options.priority = prng.pick([0, 0, 0, 3, -3])
  const lease = Math.floor(prng.chance(0.4) ? prng.between(10 * heartbeat, usual * 1.2) : usual)
  options.lease = lease
  if (prng.chance(0.25)) options.maxHold = Math.floor(prng.between(100, 5_000))
  if (prng.chance(0.35)) options.lockDelay = Math.floor(prng.between(0, lease))
  if (prng.chance(0.04)) return { ...options, steal: true, mode: 'exclusive' }
  if (prng.chance(0.1)) return { ...options, ifAvailable: true }
  return { ...options, ...boundsOf(page, prng) }
}

function waitOf({ page, prng }: Stay): WaitOptions {
  return boundsOf(page, prng)
}

/** Most wait as long as it takes: whoever starves is seen. */
function boundsOf(page: SimPage, prng: Prng): WaitOptions {
  const bounds: WaitOptions = {}
  if (prng.chance(0.25)) bounds.timeout = prng.tail(500, 10_000)
  if (prng.chance(0.15)) {
    const controller = new AbortController()
    bounds.signal = controller.signal
    page.thread.clock.after(prng.tail(200, 5_000), () => controller.abort())
  }
  return bounds
}
