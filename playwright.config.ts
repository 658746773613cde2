import { defineConfig } from '@playwright/test'
import { chromiumArgs, ensureChromium } from './scripts/chromium.js'
import { freePort } from './scripts/port.js'

// The runner's own process decides; its workers read this file again and inherit what it decided.
process.env['COMITY_TEST_PORT'] ??= String(await freePort())
process.env['CHROMIUM_PATH'] ||= ensureChromium().path

/** What is asked and answered: no test of these is about how long something takes. */
const calls =
  /\/(web-locks[a-z-]*|locks[a-z-]*|store|semaphore|storage|versions|identity|demo|founding|linearizability|contract)\.spec\.ts$/

const port = Number(process.env['COMITY_TEST_PORT'])
const executablePath = process.env['CHROMIUM_PATH']

export default defineConfig({
  testDir: 'test/browser',
  outputDir: 'test-results',
  // One file of each project at a time: of what fails and is timed never two, since on two cores they would measure the machine.
  workers: 2,
  projects: [
    { name: 'failures', testIgnore: calls, workers: 1 },
    { name: 'calls', testMatch: calls, workers: 1 },
  ],
  retries: 0,
  timeout: 60_000,
  forbidOnly: Boolean(process.env['CI']),
  reporter: [['list'], ...(process.env['PLAYWRIGHT_JSON_OUTPUT_FILE'] ? [['json'] as const] : [])],
  use: {
    baseURL: `http://127.0.0.1:${port}`,
    trace: 'off',
    screenshot: 'only-on-failure',
    launchOptions: { executablePath, args: [...chromiumArgs] },
  },
  webServer: {
    command: `node node_modules/vite/bin/vite.js --port ${port} --strictPort`,
    port,
    timeout: 60_000,
    reuseExistingServer: false,
  },
})
