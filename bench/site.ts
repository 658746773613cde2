/** The pages of the benchmark. */
import { buildSite, type Site, serveSite } from '../scripts/site.js'

/** Isolated, so that the browser lets its clocks be read to 5 µs and not to 100. */
const isolated = { 'cross-origin-opener-policy': 'same-origin', 'cross-origin-embedder-policy': 'require-corp' }

/** Builds them into that folder and serves them on a free port. */
export async function openSite(folder: string): Promise<Site> {
  await buildSite(folder, ['bench/page/page.ts', 'bench/page/probe-worker.ts'])
  return serveSite(folder, { title: 'bench', script: 'page.js', headers: isolated })
}
