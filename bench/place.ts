/** Where the tabs of a room are: in one browser, or each in a browser of its own with a signaling server between them. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type BrowserContext, chromium } from '@playwright/test'
import { chromiumArgs } from '../scripts/chromium.js'
import { createSignalingServer } from '../src/signaling/index.js'
import { Chromium } from '../test/browser-chaos/chromium.js'
import type { PlaceName } from './arguments.js'
import type { PageJoinOptions } from './page/protocol.js'
import { within } from './waiting.js'

export interface Place {
  readonly id: PlaceName
  /** The tab of that number has its home in the context of that number, counted around. */
  readonly contexts: readonly BrowserContext[]
  readonly joinOptions: PageJoinOptions
  readonly url: string
  close(): Promise<void>
}

export interface PlaceOptions {
  readonly id: Place['id']
  readonly executablePath: string
  readonly url: string
  /** Where profiles are kept. On a disk: a context that Playwright makes by itself keeps IndexedDB in memory. */
  readonly folder: string
  /**
   * Browsers as people have them: a tab in the background is hidden and throttled, and a page can be frozen. Otherwise Playwright keeps
   * every page visible.
   */
  readonly plain?: boolean
}

/** As many browser processes as browsers, each with a profile on the disk. */
export async function openPlace({ id, executablePath, url, folder, plain = false }: PlaceOptions): Promise<Place> {
  const contexts: BrowserContext[] = []
  const processes: Chromium[] = []
  const signaling =
    id === 'three-browsers' ? await createSignalingServer({ port: 0, host: '127.0.0.1', settleMs: 0 }) : null
  const close = async () => {
    if (plain) await Promise.all(processes.map((chromium) => chromium.kill()))
    else await Promise.all(contexts.map((one) => within(15_000, 'closing a browser', one.close()).catch(() => {})))
    await signaling?.close()
  }
  try {
    for (let i = 0; i < (id === 'one-browser' ? 1 : 3); i += 1) {
      const profile = join(folder, `${id}-${plain ? 'plain-' : ''}${i}`)
      mkdirSync(profile, { recursive: true })
      if (plain) {
        const started = await Chromium.start(executablePath, profile)
        processes.push(started)
        contexts.push(started.context)
      } else {
        contexts.push(await chromium.launchPersistentContext(profile, { executablePath, args: [...chromiumArgs] }))
      }
    }
  } catch (error) {
    await close()
    throw error
  }
  return { id, contexts, joinOptions: signaling ? { signaling: signaling.url } : {}, url, close }
}
