import { defineConfig } from '@playwright/test'
import { chromiumArgs, ensureChromium } from './scripts/chromium.js'
import { freePort } from './scripts/port.js'

// The runner's own process decides; its workers read this file again and inherit what it decided.
process.env['COMITY_TEST_PORT'] ??= String(await freePort())
process.env['CHROMIUM_PATH'] ||= ensureChromium().path

const port = Number(process.env['COMITY_TEST_PORT'])
const executablePath = process.env['CHROMIUM_PATH']

export default defineConfig({
  testDir: 'test/browser',
  outputDir: 'test-results',
  // Three tabs elect within 300 ms: two such rooms at once on two cores would measure the machine.
  workers: 1,
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
