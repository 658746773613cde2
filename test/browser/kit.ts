/** Tabs in real browsers for the tests: one context with no server, or one context per tab through the signaling server. */
import { setTimeout } from 'node:timers/promises'
import { type BrowserContext, test as base, expect, type Page } from '@playwright/test'
import type { JoinOptions, LockOptions } from '../../src/index.js'
import { createSignalingServer, type SignalingServer } from '../../src/signaling/index.js'
import type { Outcome } from './pages/room.js'

export { expect } from '@playwright/test'

/** What of the options a test can send to its page. */
export type PageJoinOptions = Pick<
  JoinOptions<string>,
  'signaling' | 'links' | 'channels' | 'linger' | 'until' | 'role' | 'state' | 'storage' | 'timing'
>
export type PageLockOptions = Omit<LockOptions, 'signal' | 'attributes'> & { attributes?: string }

/** How the tabs of a test meet. */
export type Meeting = 'one browser' | 'three browsers' | 'three browsers, relayed'
export const meetings: readonly Meeting[] = ['one browser', 'three browsers', 'three browsers, relayed']

export class Tab {
  readonly page: Page
  peerId = ''

  constructor(page: Page) {
    this.page = page
  }

  async join(room: string, options: PageJoinOptions = {}): Promise<string> {
    const outcome = await this.page.evaluate(({ room, options }) => window.kit.join(room, options), { room, options })
    if (!outcome.ok) throw new Error(`join: ${outcome.name}: ${outcome.message}`)
    this.peerId = String(outcome.value)
    return this.peerId
  }

  acquire(name: string, options: PageLockOptions = {}, key = name): Promise<Outcome> {
    return this.page.evaluate(({ name, options, key }) => window.kit.acquire(name, options, key), {
      name,
      options,
      key,
    })
  }

  release(key: string): Promise<void> {
    return this.page.evaluate((key) => window.kit.lock(key).release(), key)
  }

  lockState(key: string): Promise<string> {
    return this.page.evaluate((key) => window.kit.lock(key).state, key)
  }

  leader(): Promise<string | null> {
    return this.page.evaluate(() => window.kit.room.leader)
  }

  /** The page loads again and joins again. */
  async reload(room: string, options: PageJoinOptions = {}): Promise<string> {
    await this.page.reload()
    await this.page.waitForFunction(() => 'kit' in window)
    return this.join(room, options)
  }

  /** Class, code and reason of what the room has failed of. */
  async failure(): Promise<{ name: string; code: string; reason: unknown } | null> {
    return this.page.evaluate(() => {
      const { error } = window.kit.room
      return error && { name: error.name, code: error.code, reason: 'reason' in error ? error.reason : null }
    })
  }

  status(): Promise<string> {
    return this.page.evaluate(() => window.kit.room.status)
  }

  metrics() {
    return this.page.evaluate(() => window.kit.room.metrics())
  }

  set(key: string, value: string): Promise<Outcome> {
    return this.page.evaluate(({ key, value }) => window.kit.outcome(() => window.kit.room.store.set(key, value)), {
      key,
      value,
    })
  }

  async get(key: string): Promise<unknown> {
    return this.page.evaluate(async (key) => (await window.kit.room.store.get(key))?.value, key)
  }

  /** As a person closes it: `pagehide` and all. */
  async close(): Promise<void> {
    await this.page.close({ runBeforeUnload: true })
    if (!this.page.isClosed()) await this.page.waitForEvent('close')
  }

  /** The renderer dies without a word. */
  async crash(): Promise<void> {
    const crashed = this.page.waitForEvent('crash')
    const session = await this.page.context().newCDPSession(this.page)
    // It never answers.
    session.send('Page.crash').catch(() => {})
    await crashed
  }
}

/** Resolves once the condition holds. */
export async function until(what: string, condition: () => Promise<boolean>, timeout = 20_000): Promise<void> {
  await expect.poll(condition, { message: what, timeout, intervals: [20] }).toBe(true)
}

export class Meadow {
  readonly meeting: Meeting
  readonly room: string
  signaling: SignalingServer | null = null
  readonly #newContext: () => Promise<BrowserContext>
  readonly #more: PageJoinOptions
  #context: BrowserContext | null = null
  readonly tabs: Tab[] = []

  constructor(meeting: Meeting, room: string, newContext: () => Promise<BrowserContext>, more: PageJoinOptions = {}) {
    this.meeting = meeting
    this.room = room
    this.#newContext = newContext
    this.#more = more
  }

  get options(): PageJoinOptions {
    return {
      ...this.#more,
      ...(this.signaling && { signaling: this.signaling.url }),
      ...(this.meeting === 'three browsers, relayed' && { channels: 'page' as const }),
    }
  }

  /** `prepare`: what is to be done in its page before it joins. */
  async open(prepare: (tab: Tab) => Promise<void> = async () => {}): Promise<Tab> {
    const context = this.meeting === 'one browser' && this.#context ? this.#context : await this.#newContext()
    this.#context = context
    const tab = await openTab(context)
    await prepare(tab)
    await tab.join(this.room, this.options)
    this.tabs.push(tab)
    return tab
  }

  /** That many tabs, and as many votes as are wanted of them (M4). */
  async openAll(count: number): Promise<Tab[]> {
    const tabs: Tab[] = []
    for (let i = 0; i < count; i += 1) tabs.push(await this.open())
    const isPair = count === 2 && this.meeting !== 'one browser'
    const voters = count % 2 === 1 || isPair ? count : count - 1
    for (const tab of tabs) await until(`${voters} voters`, async () => (await tab.metrics()).voters.length === voters)
    return tabs
  }

  /** The tab that leads, and the others. */
  async split<T extends Pick<Tab, 'peerId' | 'leader'>>(tabs: readonly T[]): Promise<{ leader: T; others: T[] }> {
    let leader: T | undefined
    await until('one leader that all know', async () => {
      const known = new Set(await Promise.all(tabs.map((tab) => tab.leader())))
      leader = tabs.find(({ peerId }) => known.size === 1 && known.has(peerId))
      return leader !== undefined
    })
    if (!leader) throw new Error('no leader')
    return { leader, others: tabs.filter((tab) => tab !== leader) }
  }
}

export async function openTab(context: BrowserContext): Promise<Tab> {
  const page = await context.newPage()
  await page.route('**/blocked-for/*', async (route) => {
    await setTimeout(Number(route.request().url().split('/').at(-1)))
    await route.fulfill({ body: '' })
  })
  await page.goto('/test/browser/pages/room.html')
  await page.waitForFunction(() => 'kit' in window)
  return new Tab(page)
}

interface Fixtures {
  /** Makes the place where the tabs of a test meet. */
  meet: (meeting: Meeting, options?: PageJoinOptions) => Promise<Meadow>
}

export const test = base.extend<Fixtures>({
  meet: async ({ browser, baseURL }, use, info) => {
    const contexts: BrowserContext[] = []
    const servers: SignalingServer[] = []
    const newContext = async () => {
      const context = await browser.newContext(baseURL === undefined ? {} : { baseURL })
      contexts.push(context)
      return context
    }
    await use(async (meeting, options) => {
      const meadow = new Meadow(meeting, `test ${info.testId}`, newContext, options)
      if (meeting !== 'one browser') {
        meadow.signaling = await createSignalingServer({ port: 0, host: '127.0.0.1', settleMs: 0 })
        servers.push(meadow.signaling)
      }
      return meadow
    })
    for (const context of contexts) await context.close()
    for (const server of servers) await server.close()
  },
})
