/**
 * The last act of some runs: the room comes apart into several histories, by `recover()` on one side or on several (N3), or by a second
 * founding that sees nothing of the first (N2), and then everybody meets. Users write and lock all the while.
 *
 * Who looks at operations by the log or by their order knows one history only, so the users of the other acts are done before this
 * one begins. Its own users are judged by what has to hold over all histories: whatever anybody was told to be agreed is there in
 * the end, or those who were told heard that it is lost; tokens never go back.
 */
import { ComityError } from '../client/errors.js'
import type { Reset } from '../host/page.js'
import type { SimBrowser } from './browser.js'
import { historyKey } from './history-key.js'
import type { SimPage } from './page.js'
import type { Prng } from './prng.js'
import { inQueuesOf } from './queues.js'
import type { Simulation } from './simulation.js'
import type { SimTab } from './tab.js'

/** All who live are ready in one history after that, ms: everything that meets has met, and each of several ends in its turn. */
const unitedWithin = 90_000
const keys = ['schism 1', 'schism 2', 'schism 3'] as const
const names = ['schism a', 'schism b'] as const

/** What tears the room apart. */
export const schisms = [
  'majority dies',
  'cut in parts',
  'cut and dies',
  'second founding',
  'one after the other',
  'second founding and a cut',
] as const
type Kind = (typeof schisms)[number]

interface Acknowledged {
  readonly page: SimPage
  readonly key: string
  /** Null: it was deleted. */
  readonly value: string | null
  readonly revision: number
}

interface Told {
  readonly page: SimPage
  readonly reset: Reset
  /** How many writes had been acknowledged to anybody by then. */
  readonly after: number
}

export async function playSchism(sim: Simulation, prng: Prng): Promise<void> {
  const act = new Schism(sim, prng)
  await act.play()
}

class Schism {
  readonly #sim: Simulation
  readonly #prng: Prng
  readonly #writes: Acknowledged[] = []
  readonly #told: Told[] = []
  readonly #tokens: { readonly page: SimPage; readonly name: string; readonly token: number }[] = []
  readonly #waiting = new Set<SimPage>()
  #values = 0
  #isOver = false
  #isMeeting = false
  #isUnited = false

  constructor(sim: Simulation, prng: Prng) {
    this.#sim = sim
    this.#prng = prng
  }

  async play(): Promise<void> {
    const { world } = this.#sim
    await this.#gather()
    this.#sim.onpage = (page) => this.#use(page)
    for (const { page } of this.#open) this.#use(page)
    await world.run(this.#prng.between(500, 3_000))
    const kind = this.#prng.pick(schisms)
    world.note(`schism: ${kind}`)
    world.coverage.hit(`schism ${kind}`)
    const reunite = this.#tearApart(kind)
    await this.#live(this.#prng.between(6_000, 20_000))
    world.note('schism: everybody meets')
    this.#isMeeting = true
    reunite()
    await world.run(this.#prng.between(500, 8_000))
    this.#isOver = true
    await this.#unite()
    await this.#checkTokens()
    this.#checkWrites()
  }

  get #open(): SimTab[] {
    return this.#sim.tabs.filter((tab) => tab.isOpen)
  }

  /** Three to five browsers, everybody in the room, and mostly with votes. */
  async #gather(): Promise<void> {
    const { world } = this.#sim
    const count = this.#prng.integer(3, 5)
    while (this.#sim.browsers.length < count) this.#sim.openTab(this.#sim.createBrowser())
    await world.run(unitedWithin, () => this.#areReady())
    await world.run(this.#prng.between(2_000, 12_000))
  }

  #areReady(): boolean {
    return this.#open.every(({ page }) => page.room.status === 'ready')
  }

  /** Gives back how to undo it. */
  #tearApart(kind: Kind): () => void {
    const browsers = this.#prng.shuffled(this.#sim.browsers)
    if (kind === 'second founding') return this.#foundAgain(browsers)
    if (kind === 'one after the other') return this.#cutOneByOne(browsers)
    if (kind === 'second founding and a cut') {
      const mends = [this.#foundAgain(browsers), this.#cut(this.#divided(browsers))]
      return () => {
        for (const mend of mends) mend()
      }
    }
    const most = Math.floor(browsers.length / 2) + 1
    const dying = kind === 'cut in parts' ? [] : browsers.slice(0, this.#prng.integer(1, most))
    const rest = browsers.filter((browser) => !dying.includes(browser))
    const mend = kind === 'majority dies' ? () => {} : this.#cut(this.#divided(rest))
    const dead = this.#open.filter(({ browser }) => dying.includes(browser))
    for (const tab of dead) tab.crash()
    return () => {
      mend()
      for (const tab of dead)
        this.#sim.world.after(this.#prng.tail(500, 4_000), 'reload', () => {
          if (!tab.isOpen) tab.reload()
        })
    }
  }

  /** Each takes with it what was agreed until then: so each is left by the others at another place (three sides and more, N3). */
  #cutOneByOne(browsers: readonly SimBrowser[]): () => void {
    const leaving = browsers.slice(0, this.#prng.integer(2, browsers.length - 1))
    const mends: (() => void)[] = []
    let after = 0
    for (const browser of leaving) {
      const cut = () => void mends.push(this.#cut([[browser], browsers.filter((other) => other !== browser)]))
      if (after === 0) cut()
      else this.#sim.world.after(after, 'another is cut off', () => !this.#isOver && !this.#isMeeting && cut())
      after += this.#prng.between(500, 5_000)
    }
    return () => {
      for (const mend of mends) mend()
    }
  }

  /** The server forgets the room, and newcomers cannot see it. */
  #foundAgain(browsers: readonly SimBrowser[]): () => void {
    const newcomers = Array.from({ length: this.#prng.integer(1, 2) }, () => this.#sim.createBrowser())
    const mend = this.#cut([browsers, newcomers])
    this.#sim.registrar?.forget()
    for (const browser of newcomers) for (let i = this.#prng.integer(1, 2); i > 0; i--) this.#sim.openTab(browser)
    return mend
  }

  #divided(browsers: readonly SimBrowser[]): SimBrowser[][] {
    const parts = Array.from({ length: this.#prng.integer(2, 3) }, () => [] as SimBrowser[])
    for (const browser of browsers) this.#prng.pick(parts).push(browser)
    return parts
  }

  #cut(parts: readonly (readonly SimBrowser[])[]): () => void {
    const { ether } = this.#sim
    const pairs = parts.flatMap((part, i) =>
      parts.slice(i + 1).flatMap((other) => part.flatMap((a) => other.map((b) => [a.id, b.id] as const))),
    )
    this.#sim.world.note(`parts: ${parts.map((part) => part.map(({ id }) => id).join('')).join(' | ')}`)
    for (const [a, b] of pairs) ether.estrange(a, b)
    return () => {
      for (const [a, b] of pairs) ether.reconcile(a, b)
    }
  }

  /** Somebody who has no quorum asks for a new one now and then, or several at once; some load their page again. */
  async #live(ms: number): Promise<void> {
    const { world } = this.#sim
    const end = world.now + ms
    while (world.now < end) {
      await world.run(this.#prng.tail(1_500, 5_000))
      const stuck = this.#prng.shuffled(this.#open.filter(({ page }) => page.room.status === 'no-quorum'))
      const asking = this.#prng.chance(0.5) ? stuck.slice(0, 1) : stuck.slice(0, this.#prng.integer(0, 4))
      for (const { page } of asking) this.#recover(page)
      if (this.#open.length > 0 && this.#prng.chance(0.15)) this.#prng.pick(this.#open).reload()
    }
  }

  #recover(page: SimPage): void {
    const { world } = this.#sim
    world.note(`${page.thread.name} asks for a new quorum`)
    page.room.recover({ acceptDataLoss: true }).then(
      () => world.coverage.hit('schism recovered'),
      (error: unknown) => this.#tolerate(error),
    )
  }

  #tolerate(error: unknown): void {
    if (error instanceof ComityError) this.#sim.world.coverage.hit(`schism refused ${error.code}`)
    else this.#sim.world.convict('unexpected-error', `schism: ${String(error)} ${(error as Error).stack}`)
  }

  #use(page: SimPage): void {
    page.connection.listen({
      reset: (reset) => {
        this.#sim.world.coverage.hit(`schism reset ${reset.cause}`)
        if (reset.cause === 'merged') this.#told.push({ page, reset, after: this.#writes.length })
      },
    })
    void this.#work(page).catch((error: unknown) => this.#sim.world.convict('uncaught', `schism: ${String(error)}`))
  }

  async #work(page: SimPage): Promise<void> {
    const prng = this.#prng.fork(`user of ${page.thread.name}`)
    const pauseMs = prng.pick([300, 1_000])
    while (!this.#isOver && !page.isClosed) {
      this.#waiting.add(page)
      try {
        if (prng.chance(0.7)) await this.#write(page, prng.pick(keys))
        else await this.#lock(page, prng.pick(names), prng.tail(100, 2_000))
      } catch (error) {
        this.#tolerate(error)
      }
      this.#waiting.delete(page)
      await page.thread.sleep(prng.tail(pauseMs, 3_000))
    }
  }

  async #write(page: SimPage, key: string): Promise<void> {
    if (this.#values % 5 === 4) {
      this.#values += 1
      await this.#delete(page, key)
      return
    }
    this.#values += 1
    const value = `schism ${this.#values}`
    const revision = await page.room.store.set(key, value)
    this.#writes.push({ page, key, value, revision })
  }

  /** Its revision is not the page's to know: it is above that of what was there. */
  async #delete(page: SimPage, key: string): Promise<void> {
    const before = await page.room.store.get(key)
    if (before && (await page.room.store.delete(key)))
      this.#writes.push({ page, key, value: null, revision: before.revision + 1 })
  }

  async #lock(page: SimPage, name: string, ms: number): Promise<void> {
    const lock = await page.room.locks.acquire(name, { timeout: 15_000 })
    this.#sim.belief.got(page, lock)
    this.#gotToken(page, name, lock.token)
    await page.thread.sleep(ms)
    await lock.release()
  }

  /** T1: what is granted in the room that went on is above all that anybody in it has ever held. */
  #gotToken(page: SimPage, name: string, token: number): void {
    if (this.#isUnited) {
      const higher = this.#tokens.find((held) => held.name === name && held.token >= token && !held.page.thread.isDead)
      if (higher) {
        const before = `${higher.page.thread.name} held it under ${higher.token}`
        this.#sim.world.convict('tokens', `${name} was granted under ${token} after a merge, and ${before}`)
      }
    }
    this.#tokens.push({ page, name, token })
  }

  /** Liveness: all are ready in one history, and nobody waits any more. */
  async #unite(): Promise<void> {
    const { world } = this.#sim
    const histories = () => new Set(this.#open.map(({ page }) => this.#historyOf(page)))
    const isUnited = () => histories().size === 1 && this.#areReady() && this.#stillWaiting().length === 0
    if (await world.run(unitedWithin, isUnited)) {
      this.#isUnited = true
      return
    }
    const states = this.#open.map(
      ({ page }) => `${page.thread.name} ${page.peerId} ${page.room.status} in ${this.#historyOf(page)}`,
    )
    const waiting = this.#stillWaiting().map((page) => page.thread.name)
    world.convict('liveness', `the room has not come together: ${states.join(', ')}; waiting: ${waiting}`)
  }

  #stillWaiting(): SimPage[] {
    return [...this.#waiting].filter((page) => !page.thread.isDead)
  }

  #historyOf(page: SimPage): string {
    const lineage = page.worker?.record?.host.lineage
    return lineage ? historyKey(lineage) : 'none'
  }

  async #checkTokens(): Promise<void> {
    const { world } = this.#sim
    for (const name of names) {
      const pages = this.#open.map(({ page }) => page)
      for (const group of inQueuesOf(this.#sim, pages)) {
        const waiting = new Set(group)
        for (const page of group) this.#takeToken(page, name, () => waiting.delete(page))
        if (!(await world.run(unitedWithin, () => waiting.size === 0)))
          world.convict('liveness', `no lock for ${[...waiting].map((page) => page.thread.name)} after a merge`)
      }
    }
  }

  #takeToken(page: SimPage, name: (typeof names)[number], taken: () => void): void {
    page.room.locks.acquire(name).then(
      (lock) => {
        this.#gotToken(page, name, lock.token)
        taken()
        return lock.release()
      },
      (error: unknown) =>
        this.#sim.world.convict('liveness', `${page.thread.name} was refused a lock: ${String(error)}`),
    )
  }

  /**
   * Whatever was acknowledged to a page that lives is in the history that went on, or was told to be lost: itself, or what had
   * taken its place.
   */
  #checkWrites(): void {
    const { world, courts } = this.#sim
    const [record] = this.#open.flatMap(({ page }) => page.worker?.record ?? [])
    if (!record) return
    const { log } = courts.of(record)
    for (const [i, { page, key, value, revision }] of this.#writes.entries()) {
      if (page.thread.isDead) continue
      const isTold = this.#told.some(
        (told) =>
          told.page === page &&
          told.after > i &&
          ((value === null && !told.reset.complete) ||
            [...told.reset.store, ...told.reset.deleted].some((item) => item.key === key && item.revision >= revision)),
      )
      const what = value === null ? 'deletion' : 'write'
      world.coverage.hit(isTold ? `schism ${what} told to be lost` : `schism ${what} kept`)
      if (isTold || (value === null ? log.hasDeleted(key, revision) : log.hasWritten(key, value))) continue
      const where = `${key} = ${value ?? 'nothing'} at ${revision}`
      world.convict(
        'lost-write',
        `${page.thread.name} was told that ${where} is agreed, and nobody said that it is gone`,
      )
    }
  }
}
