/** One tab of the benchmark, driven from here. */
import type { BrowserContext, Page } from '@playwright/test'
import type { BenchApi, Rejoined } from './page/protocol.js'
import { clock, within } from './waiting.js'

const answerWithin = 20_000
/** Of so many questions the one that was answered fastest tells most exactly how far the clocks are apart. */
const calibrations = 15

export class Tab {
  readonly context: BrowserContext
  readonly #page: Page
  peerId = ''
  /** What the page's clock shows more than this process's, and how far that may be wrong, ms. */
  offset = 0
  offsetError = Number.POSITIVE_INFINITY

  private constructor(context: BrowserContext, page: Page) {
    this.context = context
    this.#page = page
  }

  static async open(context: BrowserContext, url: string): Promise<Tab> {
    const page = await context.newPage()
    await page.goto(url)
    await page.waitForFunction(() => 'bench' in window)
    const tab = new Tab(context, page)
    await tab.#calibrate()
    return tab
  }

  call<K extends keyof BenchApi>(
    method: K,
    ...args: Parameters<BenchApi[K]>
  ): Promise<Awaited<ReturnType<BenchApi[K]>>> {
    const answer = this.#page.evaluate(
      ({ method, args }) => (window.bench[method] as (...args: readonly unknown[]) => unknown)(...args),
      { method, args: args as readonly unknown[] },
    )
    return within(answerWithin, `${method} in a page`, answer as Promise<Awaited<ReturnType<BenchApi[K]>>>)
  }

  /** A time of this page on the clock of this process. */
  here(time: number): number {
    return time - this.offset
  }

  /** As a person closes it, `pagehide` and all. Gives the time of the call. */
  async close(): Promise<number> {
    const calledAt = clock()
    const closed = this.#page.isClosed() ? Promise.resolve() : this.#page.waitForEvent('close', { timeout: 0 })
    await this.#page.close({ runBeforeUnload: true })
    await within(10_000, 'closing a tab', closed as Promise<unknown>)
    return calledAt
  }

  /** The renderer dies without a word. Gives the time of the call. */
  async crash(): Promise<number> {
    const session = await this.context.newCDPSession(this.#page)
    const crashed = this.#page.waitForEvent('crash', { timeout: 10_000 })
    const calledAt = clock()
    // It never answers.
    session.send('Page.crash').catch(() => {})
    await crashed
    return calledAt
  }

  /** Frozen as the browser does it: hidden first, with the event. Only in a plain place. Gives the time of the call. */
  async freeze(): Promise<number> {
    const calledAt = clock()
    await this.#setLifecycle('frozen')
    return calledAt
  }

  async unfreeze(): Promise<void> {
    await this.#setLifecycle('active')
  }

  /** Comes back to its room by itself. Gives the time of the call and of what the page saw, on the clock of this process. */
  async reload(): Promise<Rejoined & { readonly calledAt: number }> {
    await this.call('rejoinAfterReload')
    const calledAt = clock()
    await this.#page.reload()
    await this.#page.waitForFunction(() => 'bench' in window)
    const { peerId, scriptAt, readyAt, lockedAt } = await this.call('rejoined')
    this.peerId = peerId
    this.offsetError = Number.POSITIVE_INFINITY
    await this.#calibrate()
    const seen = { scriptAt: this.here(scriptAt), readyAt: this.here(readyAt), lockedAt: this.here(lockedAt) }
    return { peerId, calledAt, ...seen }
  }

  async #setLifecycle(state: 'frozen' | 'active'): Promise<void> {
    const session = await this.context.newCDPSession(this.#page)
    await within(10_000, `a page that is ${state}`, session.send('Page.setWebLifecycleState', { state }))
    await session.detach()
  }

  /** Takes the tab away, whatever is left of it. */
  async discard(): Promise<void> {
    await within(10_000, 'discarding a tab', this.#page.close()).catch(() => {})
  }

  async #calibrate(): Promise<void> {
    for (let i = 0; i < calibrations; i += 1) {
      const before = clock()
      const there = await this.call('clock')
      const after = clock()
      const error = (after - before) / 2
      if (error >= this.offsetError) continue
      this.offsetError = error
      this.offset = there - (before + after) / 2
    }
  }
}
