/** The page of the chaos as a build would have it, and answers that keep a page waiting. */
import { setTimeout } from 'node:timers/promises'
import { buildSite, type Site, serveSite } from '../../scripts/site.js'

const elsewhere = '<!doctype html><html lang="en"><head><title>elsewhere</title></head><body></body></html>'

/** Builds it into that folder and serves it on a free port. */
export async function openSite(folder: string): Promise<Site> {
  await buildSite(folder, ['test/browser-chaos/page/chaos.ts'])
  return serveSite(folder, { title: 'chaos', script: 'chaos.js', before: block, elsewhere })
}

/** No loop in the page: it would take one of the machine's cores from the other tabs. */
async function block(path: string): Promise<void> {
  const [, ms] = /^\/blocked-for\/(\d+)$/.exec(path) ?? []
  if (ms !== undefined) await setTimeout(Number(ms))
}
