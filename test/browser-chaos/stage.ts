/** Browsers with their tabs, the signaling server, and every misfortune that can be arranged for them. */
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { CDPSession, Page } from '@playwright/test'
import { reasonOf, within } from '../../bench/waiting.js'
import { createSignalingServer, type SignalingServer } from '../../src/signaling/index.js'
import type { Told } from '../browser/pages/users.js'
import { Chromium } from './chromium.js'
import type { Part } from './page/protocol.js'
import type { Step } from './script.js'

export interface StageOptions {
  readonly executablePath: string
  /** Where profiles are kept. */
  readonly folder: string
  readonly site: string
  readonly browsers: number
  readonly tabs: number
  readonly part: Omit<Part, 'tab' | 'signaling'>
  readonly log: (line: string) => void
  readonly hear: (told: Told) => void
}

/** A browser's profile, with the process that has it open while there is one. */
interface House {
  readonly name: string
  chromium: Chromium | null
  /** Aborted when the process is killed: nothing that was begun in it goes on. */
  life: AbortController
  isBusy: boolean
}

/** The place of a tab: what is opened after a tab has gone takes its place. */
export interface Seat {
  readonly name: string
  readonly house: House
  page: Page | null
  session: CDPSession | null
  task: Promise<void> | null
}

const answerWithin = 30_000
/**
 * Chromium only hampers sockets of WebRTC that were opened under conditions, and only while there is a latency; `offline` is for
 * requests and WebSockets alone (seen in 156). So every tab begins with the least, and goes back to it.
 */
const calm = { offline: false, latency: 1 }
const weathers = {
  lossy: { offline: false, latency: 80, packetLoss: 25, packetQueueLength: 50, packetReordering: true },
  offline: { offline: true, latency: 1, packetLoss: 100 },
}

export class Stage {
  readonly #options: StageOptions
  readonly #houses: readonly House[]
  readonly seats: readonly Seat[]
  #server: SignalingServer | null = null
  #serverTask: Promise<void> | null = null
  #port = 0
  readonly #tasks = new Set<Promise<void>>()
  /** What could not be arranged though nothing was in its way: the fault of this program, not of the library. */
  troubles = 0

  constructor(options: StageOptions) {
    this.#options = options
    const { browsers, tabs } = options
    this.#houses = Array.from({ length: browsers }, (_, i) => ({
      name: String.fromCharCode(97 + i),
      chromium: null,
      life: new AbortController(),
      isBusy: false,
    }))
    this.seats = Array.from({ length: tabs }, (_, i) => {
      const house = this.#houses[i % browsers]
      if (!house) throw new RangeError('no browser')
      const name = `${house.name}${Math.floor(i / browsers) + 1}`
      return { name, house, page: null, session: null, task: null }
    })
  }

  /** A tab of each browser. */
  get firstOfEach(): readonly Seat[] {
    return this.#houses.flatMap((house) => this.seats.find((seat) => seat.house === house) ?? [])
  }

  async open(): Promise<void> {
    await this.#startServer()
    for (const house of this.#houses) await this.#startHouse(house)
  }

  async close(): Promise<void> {
    for (const house of this.#houses) {
      house.life.abort()
      await house.chromium?.kill()
    }
    await this.settled()
    await this.#server?.close()
  }

  /** Begins a step, unless its target is busy with another; says whether it did. */
  begin(step: Step): boolean {
    const { kind, target } = step
    if (kind === 'server') {
      if (this.#serverTask) return false
      this.#serverTask = this.#keep(this.#restartServer(step.ms)).finally(() => {
        this.#serverTask = null
      })
      return true
    }
    if (kind === 'kill') {
      const house = this.#houses[target]
      if (!house || house.isBusy) return false
      void this.#keep(this.#restartHouse(house, step.ms))
      return true
    }
    const seat = this.seats[target]
    if (!seat || seat.task || seat.house.isBusy) return false
    seat.task = this.#keep(this.#act(seat, step)).finally(() => {
      seat.task = null
    })
    return true
  }

  /** Resolves when every step that was begun has been undone. */
  async settled(): Promise<void> {
    while (this.#tasks.size > 0) await Promise.allSettled(this.#tasks)
  }

  #keep(task: Promise<void>): Promise<void> {
    const kept = task.finally(() => this.#tasks.delete(kept))
    this.#tasks.add(kept)
    return kept
  }

  async #act(seat: Seat, step: Step): Promise<void> {
    const { signal } = seat.house.life
    try {
      await within(step.ms + answerWithin, `${step.kind} of ${seat.name}`, this.#arrange(seat, step, signal))
    } catch (error) {
      if (signal.aborted) return
      this.troubles += 1
      this.#options.log(`TROUBLE ${step.kind} of ${seat.name}: ${reasonOf(error)}`)
      await within(answerWithin, 'closing', seat.page?.close() ?? Promise.resolve()).catch(() => {})
      if (!signal.aborted) await this.#openTab(seat)
    }
  }

  async #arrange(seat: Seat, { kind, ms }: Step, signal: AbortSignal): Promise<void> {
    const { page, session } = seat
    if (!page || !session) throw new Error('there is no tab')
    const pass = () => setTimeout(ms, undefined, { signal })
    if (kind === 'close' || kind === 'crash') {
      await (kind === 'close' ? closeAsPeopleDo(page) : crash(page, session))
      await pass()
      await this.#openTab(seat)
    } else if (kind === 'reload') {
      await page.reload()
    } else if (kind === 'away') {
      await page.goto(`${this.#options.site}elsewhere`)
      await pass()
      // Playwright would wait for a load, which a page from the cache has not.
      await page.evaluate(() => window.setTimeout(() => history.back()))
      await page.waitForFunction(() => 'chaos' in window)
    } else if (kind === 'freeze') {
      await session.send('Page.setWebLifecycleState', { state: 'frozen' })
      await pass()
      await session.send('Page.setWebLifecycleState', { state: 'active' })
    } else if (kind === 'block') {
      await page.evaluate((ms) => window.chaos?.block(ms), ms)
    } else if (kind === 'show') {
      await page.bringToFront()
    } else if (kind === 'offline' || kind === 'lossy') {
      await emulate(session, weathers[kind])
      await pass()
      await emulate(session, calm)
    }
  }

  async #openTab(seat: Seat): Promise<void> {
    const { context } = seat.house.chromium ?? {}
    if (!context) throw new Error('there is no browser')
    const page = await context.newPage()
    const part: Part = { ...this.#options.part, tab: seat.name, signaling: `ws://127.0.0.1:${this.#port}` }
    seat.page = page
    seat.session = await context.newCDPSession(page)
    await seat.session.send('Network.enable')
    await emulate(seat.session, calm)
    await page.goto(`${this.#options.site}#${encodeURIComponent(JSON.stringify(part))}`)
  }

  async #startHouse(house: House): Promise<void> {
    const { executablePath, folder, hear, log } = this.#options
    house.life = new AbortController()
    house.chromium = await Chromium.start(executablePath, join(folder, house.name))
    const { context } = house.chromium
    await context.exposeBinding('tell', (_, told: Told) => hear(told))
    await context.exposeBinding('note', (_, life: string, what: string) => log(`${life} ${what}`))
    await context.exposeBinding('rest', (_, ms: number) => setTimeout(ms))
    for (const seat of this.seats) if (seat.house === house) await this.#openTab(seat)
  }

  async #restartHouse(house: House, ms: number): Promise<void> {
    house.isBusy = true
    house.life.abort()
    await house.chromium?.kill()
    house.chromium = null
    const seats = this.seats.filter((seat) => seat.house === house)
    await Promise.allSettled(seats.map(({ task }) => task))
    await setTimeout(ms)
    await this.#startHouse(house)
    house.isBusy = false
  }

  async #startServer(): Promise<void> {
    this.#server = await createSignalingServer({ port: this.#port, host: '127.0.0.1', settleMs: 0 })
    this.#port = Number(new URL(this.#server.url).port)
  }

  async #restartServer(ms: number): Promise<void> {
    await this.#server?.close()
    this.#server = null
    await setTimeout(ms)
    await this.#startServer()
  }
}

async function closeAsPeopleDo(page: Page): Promise<void> {
  const closed = page.waitForEvent('close')
  await page.close({ runBeforeUnload: true })
  await closed
}

async function crash(page: Page, session: CDPSession): Promise<void> {
  const crashed = page.waitForEvent('crash')
  // It never answers.
  session.send('Page.crash').catch(() => {})
  await crashed
  await page.close()
}

async function emulate(session: CDPSession, weather: { offline: boolean; latency: number }): Promise<void> {
  await session.send('Network.emulateNetworkConditions', { downloadThroughput: -1, uploadThroughput: -1, ...weather })
}
