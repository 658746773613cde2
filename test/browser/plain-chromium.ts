/**
 * Chromium without Playwright: what Playwright runs in every page of its own puts a page out of the back/forward cache
 * ("JavaScriptExecution"), so that no page of its ever comes back from it.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { WebSocket } from 'ws'

interface Message {
  readonly id?: number
  readonly sessionId?: string
  readonly method?: string
  readonly params?: unknown
  readonly result?: unknown
  readonly error?: { readonly message: string }
}

export class PlainChromium {
  readonly #process: ChildProcess
  readonly #socket: WebSocket
  readonly #profile: string
  readonly #answers = new Map<number, (message: Message) => void>()
  readonly #listeners = new Set<(message: Message) => void>()
  #calls = 0

  private constructor(process: ChildProcess, socket: WebSocket, profile: string) {
    this.#process = process
    this.#socket = socket
    this.#profile = profile
    socket.on('message', (data) => {
      const message: Message = JSON.parse(String(data))
      if (message.id === undefined) for (const listener of this.#listeners) listener(message)
      else this.#answers.get(message.id)?.(message)
    })
  }

  static async start(executablePath: string, args: readonly string[]): Promise<PlainChromium> {
    const profile = await mkdtemp(join(tmpdir(), 'comity-plain-'))
    const own = ['--headless=new', '--remote-debugging-port=0', `--user-data-dir=${profile}`, '--no-first-run']
    const process = spawn(executablePath, [...args, ...own, 'about:blank'], { stdio: ['ignore', 'ignore', 'pipe'] })
    const socket = new WebSocket(await addressOf(process))
    await once(socket, 'open')
    return new PlainChromium(process, socket, profile)
  }

  async send(method: string, params: object = {}, sessionId?: string): Promise<unknown> {
    this.#calls += 1
    const id = this.#calls
    const answered = new Promise<Message>((resolve) => this.#answers.set(id, resolve))
    this.#socket.send(JSON.stringify({ id, method, params, ...(sessionId !== undefined && { sessionId }) }))
    const { result, error } = await answered
    this.#answers.delete(id)
    if (error) throw new Error(`${method}: ${error.message}`)
    return result
  }

  /** The parameters of the next such event of that session. */
  next(method: string, sessionId: string): Promise<unknown> {
    return new Promise((resolve) => {
      const listener = (message: Message) => {
        if (message.method !== method || message.sessionId !== sessionId) return
        this.#listeners.delete(listener)
        resolve(message.params)
      }
      this.#listeners.add(listener)
    })
  }

  async open(url: string): Promise<PlainTab> {
    const { targetId } = (await this.send('Target.createTarget', { url: 'about:blank' })) as { targetId: string }
    const attached = await this.send('Target.attachToTarget', { targetId, flatten: true })
    const tab = new PlainTab(this, (attached as { sessionId: string }).sessionId)
    await tab.send('Page.enable')
    await tab.go(url)
    return tab
  }

  async close(): Promise<void> {
    const exited = once(this.#process, 'exit')
    await this.send('Browser.close').catch(() => {})
    await exited
    await rm(this.#profile, { recursive: true, force: true, maxRetries: 5 })
  }
}

export class PlainTab {
  readonly #browser: PlainChromium
  readonly #sessionId: string

  constructor(browser: PlainChromium, sessionId: string) {
    this.#browser = browser
    this.#sessionId = sessionId
  }

  send(method: string, params: object = {}): Promise<unknown> {
    return this.#browser.send(method, params, this.#sessionId)
  }

  async go(url: string): Promise<void> {
    const loaded = this.#browser.next('Page.loadEventFired', this.#sessionId)
    await this.send('Page.navigate', { url })
    await loaded
  }

  /** Resolves when the page before this one is back from the cache. Rejects with the browser's reasons if it was loaded anew. */
  async goBack(): Promise<void> {
    const history = await this.send('Page.getNavigationHistory')
    const { currentIndex, entries } = history as { currentIndex: number; entries: { id: number }[] }
    const navigated = this.#browser.next('Page.frameNavigated', this.#sessionId)
    const refused = this.#browser.next('Page.backForwardCacheNotUsed', this.#sessionId)
    await this.send('Page.navigateToHistoryEntry', { entryId: entries[currentIndex - 1]?.id })
    const { type } = (await navigated) as { type: string }
    if (type !== 'BackForwardCacheRestore') throw new Error(`loaded anew: ${JSON.stringify(await refused)}`)
  }

  /** What the page's own code gives, awaited, as plain data. Throws what it throws. */
  async evaluate(expression: string): Promise<unknown> {
    const options = { expression, awaitPromise: true, returnByValue: true }
    const { result, exceptionDetails } = (await this.send('Runtime.evaluate', options)) as {
      result: { value?: unknown }
      exceptionDetails?: { text: string; exception?: { description?: string } }
    }
    if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text)
    return result.value
  }
}

async function addressOf({ stderr }: ChildProcess): Promise<string> {
  if (!stderr) throw new Error('Chromium has a standard error')
  for await (const line of createInterface({ input: stderr })) {
    const address = /DevTools listening on (ws:\S+)/.exec(line)?.[1]
    if (address === undefined) continue
    // Nobody reads on: what else it says must not fill the pipe.
    stderr.resume()
    return address
  }
  throw new Error('Chromium ended before it said where it listens')
}
