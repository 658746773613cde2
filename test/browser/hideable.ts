/**
 * Tabs that can be hidden and frozen. Playwright keeps each page of its own visible (focus emulation), so that nothing hides or freezes
 * it; these it does not know.
 */
import type { Browser, CDPSession } from '@playwright/test'

interface Answer {
  readonly id?: number
  readonly result?: { readonly result?: { readonly value?: unknown }; readonly exceptionDetails?: unknown }
  readonly error?: unknown
}

export class HideableTabs {
  readonly #session: CDPSession
  readonly #contexts: string[] = []

  private constructor(session: CDPSession) {
    this.#session = session
  }

  static async of(browser: Browser): Promise<HideableTabs> {
    return new HideableTabs(await browser.newBrowserCDPSession())
  }

  /** What is like a browser of its own: nothing is shared with other contexts. */
  async newContext(): Promise<string> {
    const { browserContextId } = await this.#session.send('Target.createBrowserContext')
    this.#contexts.push(browserContextId)
    return browserContextId
  }

  async open(browserContextId: string, url: string): Promise<HideableTab> {
    const { targetId } = await this.#session.send('Target.createTarget', { url, browserContextId })
    const { sessionId } = await this.#session.send('Target.attachToTarget', { targetId, flatten: false })
    const tab = new HideableTab(this.#session, sessionId)
    while ((await tab.evaluate(`document.readyState === 'complete' && 'kit' in window`)) !== true);
    return tab
  }

  async close(): Promise<void> {
    for (const browserContextId of this.#contexts)
      await this.#session.send('Target.disposeBrowserContext', { browserContextId })
    await this.#session.detach()
  }
}

export class HideableTab {
  readonly #session: CDPSession
  readonly #sessionId: string
  readonly #answers = new Map<number, (answer: Answer) => void>()
  #last = 0
  peerId = ''

  constructor(session: CDPSession, sessionId: string) {
    this.#session = session
    this.#sessionId = sessionId
    session.on('Target.receivedMessageFromTarget', (event) => {
      if (event.sessionId !== sessionId) return
      const answer = JSON.parse(event.message) as Answer
      if (answer.id === undefined) return
      this.#answers.get(answer.id)?.(answer)
      this.#answers.delete(answer.id)
    })
  }

  /** The value of that expression, awaited if it is a promise. */
  async evaluate(expression: string): Promise<unknown> {
    const { result } = await this.#send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true })
    if (result?.exceptionDetails) throw new Error(`${expression}: ${JSON.stringify(result.exceptionDetails)}`)
    return result?.result?.value
  }

  async join(room: string, options: object = {}): Promise<void> {
    const outcome = await this.evaluate(`kit.join(${JSON.stringify(room)}, ${JSON.stringify(options)})`)
    this.peerId = String((outcome as { readonly value?: unknown }).value)
  }

  /** Hidden first, as the browser does it, and then frozen or going on. */
  async become(state: 'frozen' | 'active'): Promise<void> {
    await this.#send('Page.setWebLifecycleState', { state })
  }

  async #send(method: string, params: object): Promise<Answer> {
    this.#last += 1
    const id = this.#last
    const answer = new Promise<Answer>((resolve) => this.#answers.set(id, resolve))
    const message = JSON.stringify({ id, method, params })
    await this.#session.send('Target.sendMessageToTarget', { sessionId: this.#sessionId, message })
    const { error, ...rest } = await answer
    if (error !== undefined) throw new Error(`${method}: ${JSON.stringify(error)}`)
    return rest
  }
}
