/**
 * Finds the browser that the tests drive, and installs one where there is none. Tests are never skipped for want of it.
 * Run by itself it prints which browser that is: `node scripts/run.mjs scripts/chromium.ts`.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import process from 'node:process'
import { pathToFileURL } from 'node:url'
import { chromium } from '@playwright/test'

/** How long one attempt at installing may take, ms. */
const installTimeout = 240_000

export interface Browser {
  readonly path: string
  readonly version: string
}

/** What every browser of the tests is started with. Containers have no sandbox; the rest keeps it from calling home. */
export const chromiumArgs: readonly string[] = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

/** The first browser of these that starts: `$CHROMIUM_PATH`, the system's, Playwright's own. */
export function findChromium(): Browser | null {
  const chosen = process.env['CHROMIUM_PATH']
  // A browser that was asked for and does not work is a mistake to tell, not to work around.
  const candidates = chosen ? [chosen] : ['/usr/bin/chromium', chromium.executablePath()]
  for (const path of candidates) {
    const version = versionOf(path)
    if (version !== null) return { path, version }
  }
  return null
}

/** The same, after trying to install one if need be. Throws when there is still none. */
export function ensureChromium(): Browser {
  const found = findChromium()
  if (found !== null) return found
  if (!process.env['CHROMIUM_PATH']) {
    for (const [command, ...args] of installers()) {
      console.log(`no Chromium yet: ${[command, ...args].join(' ')}`)
      spawnSync(command, args, { stdio: ['ignore', 'inherit', 'inherit'], timeout: installTimeout, env: quiet() })
      const installed = findChromium()
      if (installed !== null) return installed
    }
  }
  throw new Error(
    `no working Chromium: tried ${process.env['CHROMIUM_PATH'] || `/usr/bin/chromium and ${chromium.executablePath()}`}. ` +
      'Install one (apt-get install chromium, or npx playwright install --with-deps chromium) or set CHROMIUM_PATH.',
  )
}

function installers(): [string, ...string[]][] {
  const playwright: [string, ...string[]] = ['npx', '--no-install', 'playwright', 'install', 'chromium']
  if (process.getuid?.() !== 0) return [playwright]
  return [playwright, ['apt-get', 'update'], ['apt-get', 'install', '-y', '--no-install-recommends', 'chromium']]
}

function quiet(): NodeJS.ProcessEnv {
  return { ...process.env, DEBIAN_FRONTEND: 'noninteractive' }
}

/** Null if it is not there or does not start, as Playwright's download without the system's libraries. */
function versionOf(path: string): string | null {
  if (!existsSync(path)) return null
  const { status, stdout } = spawnSync(path, ['--version'], { encoding: 'utf8', timeout: 30_000 })
  return status === 0 ? stdout.trim() : null
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  try {
    const { path, version } = ensureChromium()
    console.log(`${version} at ${path}`)
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    process.exitCode = 1
  }
}
