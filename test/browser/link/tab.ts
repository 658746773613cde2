/** A tab with a worker that holds one end of a link, and that end as a `Network` of the test. */

import { Buffer } from 'node:buffer'
import type { BrowserContext, Page } from '@playwright/test'
import type { Lane, Link, LinkKind, LinkListener, Network } from '../../../src/network/link.js'
import type { LinkPair } from '../../contract/link-cases.js'
import type { Report, TabOptions, TextFrame } from './protocol.js'

export class Tab implements Network {
  readonly page: Page
  readonly reports: Report[] = []
  readonly #options: TabOptions
  readonly #links = new Map<string, RemoteLink>()
  #listener: LinkListener | undefined
  readonly #frames: TextFrame[] = []
  /** What is asked of the page happens there in the order in which it was asked. */
  #asked: Promise<unknown> = Promise.resolve()

  private constructor(page: Page, options: TabOptions) {
    this.page = page
    this.#options = options
  }

  static async open(context: BrowserContext, options: TabOptions): Promise<Tab> {
    const page = await context.newPage()
    page.on('pageerror', (error) => console.error(`${options.peerId}: ${error.message}`))
    const tab = new Tab(page, options)
    await page.exposeFunction('report', (report: Report) => tab.#onReport(report))
    await page.goto('/test/browser/link/index.html')
    await page.waitForFunction(() => 'tab' in window)
    return tab
  }

  listen(listener: LinkListener): void {
    this.#listener = listener
    this.ask((page) => page.evaluate((options) => window.tab.start(options), this.#options))
  }

  close(): void {
    this.ask((page) => page.evaluate(() => window.tab.toWorker({ type: 'close-network' })))
  }

  /** What is sent in one turn here is sent in one turn there. */
  send(frame: TextFrame): void {
    this.#frames.push(frame)
    queueMicrotask(() => this.#flush())
  }

  #flush(): void {
    const frames = this.#frames.splice(0)
    if (frames.length > 0) void this.ask((page) => page.evaluate((sent) => window.tab.send(sent), frames))
  }

  ask<T>(what: (page: Page) => Promise<T>): Promise<T> {
    this.#flush()
    const answer = this.#asked.then(() => what(this.page))
    this.#asked = answer.catch(() => {})
    return answer
  }

  async until<T extends Report['type']>(type: T): Promise<Extract<Report, { type: T }>> {
    const deadline = Date.now() + 20_000
    for (;;) {
      const found = this.reports.find((report): report is Extract<Report, { type: T }> => report.type === type)
      if (found) return found
      if (Date.now() > deadline) throw new Error(`no report ${type} from ${this.#options.peerId}`)
      await new Promise((resolve) => setTimeout(resolve, 5))
    }
  }

  #onReport(report: Report): void {
    this.reports.push(report)
    if (report.type === 'up') {
      const link = new RemoteLink(this, report)
      this.#links.set(report.linkId, link)
      this.#listener?.up(link)
    } else if (report.type === 'frame' || report.type === 'down') {
      const link = this.#links.get(report.linkId)
      if (!link) throw new Error(`${report.type} of the unknown link ${report.linkId}`)
      if (report.type === 'down') this.#listener?.down(link, report.reason)
      else this.#listener?.frame(link, report.lane, new Uint8Array(Buffer.from(report.base64, 'base64')))
    }
  }
}

class RemoteLink implements Link {
  readonly id: string
  readonly peerId: string
  readonly kind: LinkKind
  readonly #tab: Tab

  constructor(tab: Tab, up: { linkId: string; peerId: string; kind: LinkKind }) {
    this.#tab = tab
    this.id = up.linkId
    this.peerId = up.peerId
    this.kind = up.kind
  }

  send(lane: Lane, frame: Uint8Array): void {
    const isZeros = frame.byteLength > 100_000 && frame.every((byte) => byte === 0)
    const content = isZeros ? { zeros: frame.byteLength } : { base64: Buffer.from(frame).toString('base64') }
    this.#tab.send({ linkId: this.id, lane, content })
  }

  buffered(): number {
    return 0
  }

  close(): void {
    const linkId = this.id
    void this.#tab.ask((page) => page.evaluate((l) => window.tab.toWorker({ type: 'close', linkId: l }), linkId))
  }
}

export interface TabPair extends LinkPair {
  readonly a: Tab
  readonly b: Tab
}

export async function openPair(context: BrowserContext, mode: TabOptions['mode']): Promise<TabPair> {
  const room = crypto.randomUUID()
  const [a, b] = await Promise.all([
    Tab.open(context, { mode, room, peerId: 'peer-a', peers: ['peer-b'] }),
    Tab.open(context, { mode, room, peerId: 'peer-b', peers: ['peer-a'] }),
  ])
  const teardown = async () => {
    await a.page.close()
    await b.page.close()
  }
  return { a, b, isRemote: true, teardown }
}
