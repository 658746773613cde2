/** A Firefox beside Playwright's Chromium: Playwright drives only a Firefox of its own making, WebDriver BiDi drives Debian's. */
import { type Browser, launch, type Page } from 'puppeteer-core'
import { firefoxPreferences } from '../../scripts/firefox.js'
import type { PageJoinOptions, PageLockOptions, Tab } from './kit.js'
import type { Outcome } from './pages/room.js'

/** What a mixed room asks of its tabs, whatever browser they are in. */
export type MixedTab = Pick<
  Tab,
  'peerId' | 'join' | 'acquire' | 'release' | 'lockState' | 'leader' | 'status' | 'metrics' | 'set' | 'get' | 'close'
>

export class FirefoxTab implements MixedTab {
  readonly #page: Page
  peerId = ''

  private constructor(page: Page) {
    this.#page = page
  }

  static async open(browser: Browser, url: string): Promise<FirefoxTab> {
    const page = await browser.newPage()
    await page.goto(url)
    await page.waitForFunction(() => 'kit' in window)
    return new FirefoxTab(page)
  }

  async join(room: string, options: PageJoinOptions = {}): Promise<string> {
    const outcome = await this.#page.evaluate((room, options) => window.kit.join(room, options), room, options)
    if (!outcome.ok) throw new Error(`join: ${outcome.name}: ${outcome.message}`)
    this.peerId = String(outcome.value)
    return this.peerId
  }

  acquire(name: string, options: PageLockOptions = {}, key = name): Promise<Outcome> {
    return this.#page.evaluate((name, options, key) => window.kit.acquire(name, options, key), name, options, key)
  }

  release(key: string): Promise<void> {
    return this.#page.evaluate((key) => window.kit.lock(key).release(), key)
  }

  lockState(key: string): Promise<string> {
    return this.#page.evaluate((key) => window.kit.lock(key).state, key)
  }

  leader(): Promise<string | null> {
    return this.#page.evaluate(() => window.kit.room.leader)
  }

  status(): Promise<string> {
    return this.#page.evaluate(() => window.kit.room.status)
  }

  metrics() {
    return this.#page.evaluate(() => window.kit.room.metrics())
  }

  set(key: string, value: string): Promise<Outcome> {
    return this.#page.evaluate(
      (key, value) => window.kit.outcome(() => window.kit.room.store.set(key, value)),
      key,
      value,
    )
  }

  get(key: string): Promise<unknown> {
    return this.#page.evaluate(async (key) => (await window.kit.room.store.get(key))?.value, key)
  }

  links(): Promise<(string | null)[]> {
    return this.#page.evaluate(() => window.kit.room.members.current.map(({ link }) => link))
  }

  async close(): Promise<void> {
    await this.#page.close({ runBeforeUnload: true })
  }
}

export function launchFirefox(executablePath: string): Promise<Browser> {
  return launch({ browser: 'firefox', executablePath, headless: true, extraPrefsFirefox: { ...firefoxPreferences } })
}
