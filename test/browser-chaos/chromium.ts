/**
 * One Chromium of its own: a process of ours on a profile that outlives it. Started here and not by Playwright, whose defaults keep
 * every page visible, so that none can be frozen, and switch off the back/forward cache and the throttling of hidden pages.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import process from 'node:process'
import { type BrowserContext, chromium } from '@playwright/test'
import { within } from '../../bench/waiting.js'
import { chromiumArgs } from '../../scripts/chromium.js'

const startWithin = 30_000
/** Theirs are groups of their own: they would outlive this process. */
const alive = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of alive) killGroup(child)
})

export class Chromium {
  readonly #process: ChildProcess
  readonly #gone: Promise<void>
  readonly context: BrowserContext

  private constructor(child: ChildProcess, gone: Promise<void>, context: BrowserContext) {
    this.#process = child
    this.#gone = gone
    this.context = context
  }

  static async start(executablePath: string, profile: string): Promise<Chromium> {
    const args = [
      ...chromiumArgs,
      ...['--headless', '--no-default-browser-check', '--password-store=basic', '--remote-debugging-port=0'],
      ...[`--user-data-dir=${profile}`, 'about:blank'],
    ]
    // A group of its own: with the browser its renderers end, whatever they are doing.
    const child = spawn(executablePath, args, { stdio: ['ignore', 'ignore', 'pipe'], detached: true })
    alive.add(child)
    const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
    void gone.then(() => alive.delete(child))
    try {
      const endpoint = await within(startWithin, 'Chromium says where it listens', listening(child))
      const browser = await chromium.connectOverCDP(endpoint, { noDefaults: true })
      const [context] = browser.contexts()
      if (!context) throw new Error('a Chromium without a profile')
      return new Chromium(child, gone, context)
    } catch (error) {
      killGroup(child)
      throw error
    }
  }

  /** As if the machine had died: nothing is told or written. Resolves when the process is gone. */
  async kill(): Promise<void> {
    killGroup(this.#process)
    await this.#gone
  }
}

function listening(child: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let said = ''
    child.once('exit', (code) => reject(new Error(`Chromium ended with ${code}: ${said.slice(-1_000)}`)))
    child.stderr?.on('data', (data) => {
      if (said.length < 10_000) said += String(data)
      const [, endpoint] = /DevTools listening on (ws:\S+)/.exec(said) ?? []
      if (endpoint) resolve(endpoint)
    })
  })
}

function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It has ended by itself.
  }
}
