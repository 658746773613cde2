import type { Permit } from '../client/permit.js'
import type { AcquireOptions, Semaphore } from '../client/semaphore.js'
import { PermitChecker } from './checkers/permits.js'
import type { SimPage } from './page.js'
import type { Prng } from './prng.js'
import type { Simulation } from './simulation.js'

/** Fewer than the users of most runs would like to have at once. */
const seats = 3
const mostSeats = 5

/** What a user of a run needs of the workload that it is part of. */
export interface Company {
  readonly isOver: boolean
  /** Runs it, and takes every error of the public contract for an answer. */
  tolerate(what: string, run: () => Promise<void>): Promise<void>
  /** One operation in the history; `output`: of what it gave. */
  record<T>(op: string, key: string, input: unknown, answer: Promise<T>, output: (given: T) => unknown): Promise<T>
}

/** The semaphore and the counter of a run, which the users of all pages share. */
export class Sharers {
  readonly #sim: Simulation
  readonly #resizes: boolean
  readonly #checker: PermitChecker

  /** `resizes`: whether they also change the number of the seats. */
  constructor(sim: Simulation, resizes: boolean) {
    this.#sim = sim
    this.#resizes = resizes
    this.#checker = new PermitChecker(sim.world, (page, permit) => this.#seatsAt(page, permit))
    sim.world.check(() => this.#checker.check())
  }

  /** One user: takes permits, holds them, gives them back, and counts. */
  async use(page: SimPage, prng: Prng, company: Company): Promise<void> {
    const { room } = page
    await page.thread.sleep(prng.between(0, 1_000))
    const semaphore = room.semaphore('seats', { permits: seats })
    while (!company.isOver && room.status !== 'left' && room.status !== 'failed') {
      if (this.#resizes && prng.chance(0.15))
        await company.tolerate('resize', () => semaphore.resize(prng.integer(1, mostSeats)))
      else if (prng.chance(0.6)) await company.tolerate('permits', () => this.#sit(page, semaphore, prng, company))
      else await company.tolerate('counter', () => count(page, prng, company))
      await page.thread.sleep(prng.tail(200, 2_000))
    }
    // A size of its own would keep the semaphore for ever.
    if (this.#resizes) await company.tolerate('resize', () => semaphore.resize(seats))
  }

  /** Of a page whose worker is gone the history is not known: then the most that there can be. */
  #seatsAt({ worker }: SimPage, { id }: Permit): number {
    const record = worker?.record
    return (record && this.#sim.courts.of(record).log.sizeAt(id)) ?? mostSeats
  }

  async #sit(page: SimPage, semaphore: Semaphore, prng: Prng, company: Company): Promise<void> {
    const permit = await semaphore.acquire(prng.pick([1, 1, 1, 2, 3]), optionsOf(page, prng))
    if (!permit) return
    this.#checker.got(page, permit)
    const { count, id, state } = permit
    this.#sim.world.note(`${page.thread.name} got ${count} seats under ${id}: ${state}`)
    const until = prng.chance(0.2) ? prng.between(1_000, 12_000) : prng.tail(300, 3_000)
    for (let i = 0; i < 3 && !company.isOver; i++) await page.thread.sleep(until / 3)
    await permit.release()
  }
}

function optionsOf(page: SimPage, prng: Prng): AcquireOptions {
  const { lease } = page.settings.timing
  const options: AcquireOptions = { priority: prng.pick([0, 0, 0, 2, -2]) }
  if (prng.chance(0.4)) options.lease = Math.floor(prng.between(lease / 4, lease * 1.5))
  if (prng.chance(0.1)) return { ...options, ifAvailable: true }
  if (prng.chance(0.3)) options.timeout = prng.tail(500, 20_000)
  if (prng.chance(0.15)) {
    const controller = new AbortController()
    options.signal = controller.signal
    page.thread.clock.after(prng.tail(200, 5_000), () => controller.abort())
  }
  return options
}

async function count(page: SimPage, prng: Prng, company: Company): Promise<void> {
  const counter = page.room.counter('visits')
  const n = prng.integer(-1, 3)
  const dice = prng.fraction()
  if (dice < 0.6) await company.record('add', 'visits', { n }, counter.add(n), (sum) => ({ sum }))
  else if (dice < 0.8) await company.record('count', 'visits', null, counter.get(), (value) => ({ value }))
  else {
    const expected = await company.record('count', 'visits', null, counter.get(), (value) => ({ value }))
    const next = expected + n
    const answer = counter.compareAndSet(expected, next)
    await company.record('exchange', 'visits', { expected, next }, answer, (swapped) => ({ swapped }))
  }
}
