import type { PageCondition } from '../host/page.js'
import type { SimBrowser } from './browser.js'
import { SimPage } from './page.js'
import type { Simulation } from './simulation.js'
import type { Thread } from './thread.js'

/** One tab of a browser: a page after another, and all that can happen to them. */
export class SimTab {
  readonly name: string
  readonly browser: SimBrowser
  readonly #sim: Simulation
  /** `sessionStorage`: survives a reload and a restored crash. */
  readonly #session: { peerId: string | null } = { peerId: null }
  #pages = 0
  #page: SimPage
  #isAside = false
  /** Null until somebody has looked at it, or away: runs before there were conditions are what they were. */
  #condition: PageCondition | null = null

  constructor(sim: Simulation, browser: SimBrowser, name: string) {
    this.#sim = sim
    this.browser = browser
    this.name = name
    this.#page = this.#load()
  }

  get page(): SimPage {
    return this.#page
  }

  get #threads(): Thread[] {
    const worker = this.#page.worker?.thread
    return worker ? [this.#page.thread, worker] : [this.#page.thread]
  }

  /** Its page is loaded and not put aside; its room may have failed. */
  get isOpen(): boolean {
    return !this.#page.thread.isDead && !this.#isAside
  }

  get isAside(): boolean {
    return this.#isAside
  }

  /** Page and worker are there, run, and have not given up. */
  get isWell(): boolean {
    const worker = this.#page.worker?.thread
    return this.isOpen && !this.#page.isClosed && worker !== undefined && !worker.isDead
  }

  /** The process of the page dies. */
  crash(): void {
    this.#note('crashes')
    for (const thread of this.#threads) thread.die()
    this.#isAside = false
  }

  /** The worker dies under its page, which is not told. */
  crashWorker(): void {
    this.#note('loses its worker')
    this.#page.worker?.thread.die()
  }

  /** Closed by the user. */
  close(): void {
    this.#note('closes')
    if (!this.#isAside && !this.#page.isClosed) this.#page.hide(true)
    this.#page.thread.die()
    this.#isAside = false
  }

  /** Navigated away, and kept in the back/forward cache. */
  putAside(): void {
    if (!this.isOpen || this.#page.isClosed) return
    this.#note('is put aside')
    this.#page.hide(true)
    this.#page.thread.freeze()
    this.#isAside = true
  }

  comeBack(): void {
    if (!this.#isAside) return
    this.#note('comes back')
    this.#isAside = false
    this.#page.thread.post(0, 'pageshow', () => this.#page.show())
    this.#page.thread.thaw()
  }

  /** The browser has cleared what the tab knew. */
  forget(): void {
    this.#session.peerId = null
  }

  /** A new page in the place of the old one. */
  reload(): void {
    this.#note('loads')
    if (this.isOpen || this.#isAside) {
      if (this.isOpen && !this.#page.isClosed) this.#page.hide(true)
      this.#page.thread.die()
    }
    this.#isAside = false
    this.#page = this.#load()
  }

  /** The page's own code runs for that long. */
  block(ms: number): void {
    this.#note(`is blocked for ${Math.round(ms)} ms`)
    const { thread } = this.#page
    thread.block()
    this.#sim.world.after(ms, `${this.name} unblocked`, () => thread.unblock())
  }

  /** The browser stops all of it. */
  freeze(ms: number): void {
    this.#note(`is frozen for ${Math.round(ms)} ms`)
    const threads = this.#threads
    for (const thread of threads) thread.freeze()
    this.#sim.world.after(ms, `${this.name} thawed`, () => {
      for (const thread of threads) thread.thaw()
    })
  }

  get isVisible(): boolean {
    return this.#condition?.visible !== false
  }

  /** Its user looks at it, or away: `visibilitychange`. */
  look(visible: boolean): void {
    this.#become({ visible, phone: this.browser.isPhone, frozen: false })
  }

  /** As client/page-condition.ts: the browser announces that it stops the page, which has a moment left, and `resume` when it goes on. */
  freezeWithWord(ms: number, moment: number): void {
    const condition: PageCondition = { visible: false, phone: this.browser.isPhone, frozen: true }
    this.#become(condition)
    const threads = this.#threads
    this.#sim.world.after(moment, `${this.name} stops`, () => {
      this.#note(`is frozen for ${Math.round(ms)} ms, as announced`)
      for (const thread of threads) thread.freeze()
    })
    this.#sim.world.after(moment + ms, `${this.name} resumes`, () => {
      if (this.#condition === condition) this.#become({ ...condition, frozen: false })
      for (const thread of threads) thread.thaw()
    })
  }

  #become(condition: PageCondition): void {
    this.#condition = condition
    const { visible, phone, frozen } = condition
    this.#note(`is ${visible ? 'visible' : 'hidden'}${phone ? ' on a phone' : ''}${frozen ? ' and to be frozen' : ''}`)
    const page = this.#page
    page.thread.post(0, 'condition', () => page.connection.become(condition))
  }

  /** Neither blocked nor frozen any more. */
  wake(): void {
    this.comeBack()
    if (this.#condition?.frozen) this.#become({ ...this.#condition, frozen: false })
    for (const thread of this.#threads) thread.wake()
  }

  /** Timers of a tab that nobody looks at. */
  throttle(grain: number): void {
    for (const thread of this.#threads) thread.timerGrain = grain
  }

  #load(): SimPage {
    this.#pages += 1
    const thread = this.#sim.createThread(`${this.name}.${this.#pages}`, this.browser)
    const condition = this.#condition && { ...this.#condition, frozen: false }
    this.#condition = condition
    const page = new SimPage(this.#sim, this.browser, thread, this.#session, condition)
    this.#sim.pageLoaded(this, page)
    return page
  }

  /** Whether that thread is one of its own. */
  runs(thread: Thread): boolean {
    return this.#threads.includes(thread)
  }

  #note(what: string): void {
    this.#sim.world.note(`${this.name} ${what}`)
  }
}
