/** Where the tabs of a room are: in one browser, or each in a browser of its own with a signaling server between them. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { type BrowserContext, chromium } from '@playwright/test'
import { chromiumArgs } from '../scripts/chromium.js'
import { createSignalingServer } from '../src/signaling/index.js'
import type { PageJoinOptions } from './page/protocol.js'
import { within } from './waiting.js'

export interface Place {
  readonly id: 'one-browser' | 'three-browsers'
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
}

/** As many browser processes as browsers, each with a profile on the disk. */
export async function openPlace({ id, executablePath, url, folder }: PlaceOptions): Promise<Place> {
  const contexts: BrowserContext[] = []
  const signaling =
    id === 'three-browsers' ? await createSignalingServer({ port: 0, host: '127.0.0.1', settleMs: 0 }) : null
  const close = async () => {
    await Promise.all(contexts.map((context) => within(15_000, 'closing a browser', context.close()).catch(() => {})))
    await signaling?.close()
  }
  try {
    for (let i = 0; i < (id === 'one-browser' ? 1 : 3); i += 1) {
      const profile = join(folder, `${id}-${i}`)
      mkdirSync(profile, { recursive: true })
      contexts.push(await chromium.launchPersistentContext(profile, { executablePath, args: [...chromiumArgs] }))
    }
  } catch (error) {
    await close()
    throw error
  }
  return { id, contexts, joinOptions: signaling ? { signaling: signaling.url } : {}, url, close }
}
