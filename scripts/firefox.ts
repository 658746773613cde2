/**
 * Finds the Firefox of the tests that want one beside Chromium, and installs Debian's where it can. Without one these tests are
 * skipped, and say so. Run by itself it prints which browser that is: `node scripts/run.mjs scripts/firefox.ts`.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import process from 'node:process'
import { pathToFileURL } from 'node:url'
import type { Browser } from './chromium.js'

/** How long one command of the installation may take, ms. */
const installTimeout = 240_000

/** What a room over the loopback interface needs; a profile of a test has none of a user's proxies. */
export const firefoxPreferences = {
  'media.peerconnection.ice.obfuscate_host_addresses': false,
  'media.peerconnection.ice.loopback': true,
  'network.proxy.type': 0,
} as const

/** The first of these that starts: `$FIREFOX_PATH`, the system's. */
export function findFirefox(): Browser | null {
  const chosen = process.env['FIREFOX_PATH']
  for (const path of chosen ? [chosen] : ['/usr/bin/firefox-esr', '/usr/bin/firefox']) {
    if (!existsSync(path)) continue
    const { status, stdout } = spawnSync(path, ['--version'], { encoding: 'utf8', timeout: 30_000 })
    if (status === 0) return { path, version: stdout.trim() }
  }
  return null
}

/** The same, after trying to install one if need be. */
export function tryFirefox(): Browser | null {
  const found = findFirefox()
  if (found || process.env['FIREFOX_PATH'] || process.getuid?.() !== 0) return found
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
  for (const args of [['update'], ['install', '-y', '--no-install-recommends', 'firefox-esr']]) {
    console.log(`no Firefox yet: apt-get ${args.join(' ')}`)
    spawnSync('apt-get', args, { stdio: ['ignore', 'ignore', 'inherit'], timeout: installTimeout, env })
  }
  return findFirefox()
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const firefox = tryFirefox()
  if (firefox) console.log(`${firefox.version} at ${firefox.path}`)
  else {
    console.warn(
      '\n!!! NO FIREFOX: rooms of Chromium and Firefox are NOT TESTED in this run.\n' +
        '!!! Install one (apt-get install firefox-esr) or set FIREFOX_PATH.\n',
    )
  }
}
