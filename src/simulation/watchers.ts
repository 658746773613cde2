import type { Change, WatchPosition } from '../client/store-watch.js'
import type { Value } from '../shared/value.js'
import { fencedPrefix } from './checkers/fenced-keys.js'
import { WatchChecker } from './checkers/watch.js'
import type { SimPage } from './page.js'
import type { Prng } from './prng.js'
import type { Company } from './sharers.js'
import type { Simulation } from './simulation.js'
import type { SimTab } from './tab.js'

/** Of all keys, of those that everybody writes, of those that a transaction writes together, and of those that the watchers write themselves. */
const prefixes = ['', 'k', 'k1', 'pair ', 'w ', fencedPrefix] as const

/** What the user of a tab has seen, kept over reloads as in `localStorage`. */
interface Diary {
  readonly prefix: string
  readonly checker: WatchChecker
  /** Behind the last change that was told. */
  position: WatchPosition | null
  /** All of that revision has been told. */
  revision: number | null
}

interface Watching {
  readonly page: SimPage
  readonly tab: SimTab
  readonly prng: Prng
  readonly company: Company
}

type Watch = AsyncIterableIterator<Change<Value>, undefined>

/** A user of each tab who watches the store, lays it aside, and goes on where it was, also after a reload. */
export class Watchers {
  readonly #sim: Simulation
  readonly #diaries = new Map<SimTab, Diary>()
  readonly #running = new Map<SimPage, Watch>()
  #writes = 0
  #isFinished = false

  constructor(sim: Simulation) {
    this.#sim = sim
  }

  async use(watching: Watching): Promise<void> {
    const { page, prng, company } = watching
    await page.thread.sleep(prng.between(0, 500))
    while (!this.#isFinished && page.room.status !== 'left' && page.room.status !== 'failed') {
      if (prng.chance(0.4)) void company.tolerate('watched write', () => this.#write(watching))
      await company.tolerate('watch', () => this.#watch(watching))
      this.#running.delete(page)
      await page.thread.sleep(company.isOver ? 10 : prng.tail(300, 5_000))
    }
  }

  /** Faults are off, and nobody begins anything new: every watch comes to the end of the history within that time, ms, also to a last write. */
  async checkCaughtUp(within: number): Promise<void> {
    const tabs = this.#sim.tabs.filter((tab) => tab.isOpen && this.#diaries.has(tab))
    const writes = new Set(tabs)
    for (const tab of tabs) {
      const settled = () => writes.delete(tab)
      void this.#writeOwn(tab.page, tab).then(settled)
    }
    const late = () => tabs.filter((tab) => !this.#isCaughtUp(tab))
    if (!(await this.#sim.world.run(within, () => writes.size === 0 && late().length === 0))) {
      const stories = late().map((tab) => this.#diaries.get(tab)?.checker.story)
      this.#sim.world.convict('liveness', `${writes.size} writes and these watches are late: ${stories.join('; ')}`)
    }
    this.#isFinished = true
    for (const watch of this.#running.values()) void watch.return?.()
  }

  #isCaughtUp(tab: SimTab): boolean {
    return this.#running.has(tab.page) && this.#diaries.get(tab)?.checker.isCaughtUp === true
  }

  async #watch(watching: Watching): Promise<void> {
    const { page, prng, company } = watching
    const diary = this.#diaryOf(watching)
    const controller = new AbortController()
    const { from, begun } = await this.#begin(watching, diary)
    if (this.#isFinished) return
    const options = { signal: controller.signal, ...(from !== null && { from }) }
    const watch = page.room.store.watch(diary.prefix, options)
    this.#running.set(page, watch)
    begun()
    const isRude = prng.chance(0.3)
    page.thread.clock.after(prng.tail(3_000, 20_000), () => {
      if (company.isOver) return
      if (isRude) controller.abort()
      else void watch.return?.()
    })
    const pauses = prng.pick([0, 0.1, 0.5])
    for await (const change of watch) {
      this.#told(diary, change, page)
      if (company.isOver) continue
      if (prng.chance(change.last ? 0.03 : 0.3)) break
      if (prng.chance(pauses)) await page.thread.sleep(prng.tail(100, 4_000))
    }
  }

  #told(diary: Diary, change: Change<Value>, page: SimPage): void {
    diary.checker.told(change, (revision) => this.#sim.gaps.isPossible(page.thread.name, revision))
    diary.position = structuredClone(change.position)
    // In a resync it is that of the key, and what was seen is later.
    diary.revision = change.last && !change.resync ? change.revision : null
  }

  /** Where it goes on: mostly where it was. `begun`: to be called once the watch is there. */
  async #begin(
    { page, tab, prng, company }: Watching,
    diary: Diary,
  ): Promise<{ readonly from: number | WatchPosition | null; readonly begun: () => void }> {
    const { coverage } = this.#sim.world
    const { checker, position, revision, prefix } = diary
    const begun = () => {}
    const dice = company.isOver ? 0 : prng.fraction()
    const since = this.#sim.history.begin(prefix).after
    if (position && dice < 0.75) {
      if (position.revision === 0) checker.beginAnew(since)
      coverage.hit(position.place > 0 ? 'watch resumed within a transaction' : 'watch resumed')
      return { from: dice < 0.15 && revision !== null ? revision : position, begun }
    }
    if (dice > 0.92) {
      diary.position = null
      diary.revision = null
      const { worker } = page
      checker.beginNow(worker?.record?.host.status.appliedIndex ?? 0, () => page.worker === worker)
      return { from: null, begun: () => void this.#writeOwn(page, tab) }
    }
    if (dice > 0.5) {
      const { revision: known } = await page.room.store.entries(
        prefix,
        prng.chance(0.3) ? { consistency: 'local' } : {},
      )
      // Who is in no room yet knows of nothing: 0 asks for everything.
      if (known === 0) checker.beginAnew(since)
      else checker.beginAfter(known)
      diary.position = { revision: known, place: 0 }
      diary.revision = known
      return { from: known, begun }
    }
    checker.beginAnew(since)
    diary.position = { revision: 0, place: 0 }
    diary.revision = null
    return { from: 0, begun }
  }

  #diaryOf({ tab, prng, company }: Watching): Diary {
    const known = this.#diaries.get(tab)
    if (known && (company.isOver || prng.chance(0.85))) return known
    const prefix = prng.pick(prefixes)
    const { world, log } = this.#sim
    const checker = new WatchChecker(world, log.changes, tab.name, prefix)
    const diary: Diary = { prefix, checker, position: null, revision: null }
    this.#diaries.set(tab, diary)
    return diary
  }

  /** What a watcher writes itself: mostly what ends with its session. */
  async #write({ page, tab, prng }: Watching): Promise<void> {
    const { store } = page.room
    const key = `w ${tab.name}`
    if (prng.chance(0.3)) await store.delete(key)
    else await store.set(key, this.#value(), { ephemeral: prng.chance(0.7) })
  }

  /** A watch that runs is to tell it; of one that fails nobody knows. */
  async #writeOwn(page: SimPage, tab: SimTab): Promise<void> {
    const key = `w ${tab.name}`
    const diary = this.#diaries.get(tab)
    const wrote = diary && key.startsWith(diary.prefix) ? diary.checker.writes() : () => {}
    await page.room.store.set(key, this.#value()).then(wrote, () => {})
  }

  #value(): string {
    this.#writes += 1
    return `watched ${this.#writes}`
  }
}
