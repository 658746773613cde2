import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import type { BrowserContext, Page } from '@playwright/test'
import { test as base, expect } from '@playwright/test'
import { freePort } from '../../scripts/port.js'

interface Fixtures {
  /** The address that `npm start` prints. */
  demo: string
}

const test = base.extend<Fixtures>({
  // biome-ignore lint/correctness/noEmptyPattern: Playwright reads the fixtures that are needed from the pattern.
  demo: async ({}, use) => {
    const cwd = fileURLToPath(new URL('../..', import.meta.url))
    const env: NodeJS.ProcessEnv = { ...process.env, PORT: String(await freePort()) }
    // The demo is served as a person gets it, not as the pages of the other tests are.
    delete env['COMITY_TEST_PORT']
    const server = spawn('node', ['scripts/run.mjs', 'demo/server.ts'], {
      cwd,
      env,
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await use(await printedUrl(server))
    server.kill('SIGTERM')
    await once(server, 'exit')
  },
})

async function printedUrl(server: ChildProcess): Promise<string> {
  let text = ''
  for await (const chunk of server.stdout ?? []) {
    text += String(chunk)
    const url = /http:\/\/\S+/.exec(text)?.[0]
    if (url !== undefined) return url
  }
  throw new Error(`the demo's server printed no address: ${text}`)
}

async function enter(page: Page, demo: string): Promise<Page> {
  await page.goto(demo)
  await expect(page.getByTestId('status')).toHaveText('ready', { timeout: 20_000 })
  return page
}

/** A page in each of two browsers, both of which vote. */
async function enterBoth(contexts: readonly [BrowserContext, BrowserContext], demo: string): Promise<[Page, Page]> {
  const a = await enter(await contexts[0].newPage(), demo)
  const b = await enter(await contexts[1].newPage(), demo)
  for (const page of [a, b]) await expect(page.getByTestId(/^member-/).getByText('voter')).toHaveCount(2)
  return [a, b]
}

for (const place of ['three tabs of one browser', 'three browsers'] as const) {
  test(`${place} share the document: text, holder, queue, hand-over, a closed tab, no server`, async ({
    browser,
    context,
    demo,
  }) => {
    const contexts = place === 'three browsers' ? [context, await browser.newContext(), await browser.newContext()] : []
    const newPage = (i: number) => (contexts[i] ?? context).newPage()
    const a = await enter(await newPage(0), demo)
    const b = await enter(await newPage(1), demo)
    const c = await enter(await newPage(2), demo)
    for (const page of [a, b, c]) await expect(page.getByTestId(/^member-/)).toHaveCount(3)

    await a.getByTestId('edit-1').click()
    await a.getByTestId('input-1').fill('Written by the first.')
    for (const page of [b, c]) await expect(page.getByTestId('text-1')).toHaveText('Written by the first.')
    await b.getByTestId('edit-1').click()
    await expect(c.getByTestId('queue-1')).not.toBeEmpty()

    await c.getByTestId('stop-signaling').click()
    await expect(c.getByTestId('signaling-state')).toHaveText('stopped')
    await a.getByTestId('done-1').click()
    await b.getByTestId('input-1').fill('Then by the second, without a server.')
    await expect(c.getByTestId('text-1')).toHaveText('Then by the second, without a server.')

    await c.getByTestId('edit-1').click()
    await expect(a.getByTestId('queue-1')).not.toBeEmpty()
    await b.close({ runBeforeUnload: true })
    await c.getByTestId('input-1').fill('And by the third, when the second had closed its tab.')
    await expect(a.getByTestId('text-1')).toHaveText('And by the third, when the second had closed its tab.')
    for (const extra of contexts.slice(1)) await extra.close()
  })
}

test('two browsers: whichever is closed, the other has the paragraph, the text and the room at once', async ({
  browser,
  context,
  demo,
}) => {
  const other = await browser.newContext()
  const [a, b] = await enterBoth([context, other], demo)
  await a.getByTestId('edit-1').click()
  await a.getByTestId('input-1').fill('Written by the first.')
  await expect(b.getByTestId('text-1')).toHaveText('Written by the first.')
  await b.getByTestId('edit-1').click()
  await expect(a.getByTestId('queue-1')).not.toBeEmpty()
  await a.close({ runBeforeUnload: true })
  await b.getByTestId('input-1').fill('Then by the second, alone.')
  await expect(b.getByTestId('status')).toHaveText('ready')

  const again = await enter(await context.newPage(), demo)
  await expect(again.getByTestId('text-1')).toHaveText('Then by the second, alone.')
  await expect(again.getByTestId(/^member-/).getByText('voter')).toHaveCount(2)
  await again.getByTestId('edit-1').click()
  await b.close({ runBeforeUnload: true })
  await again.getByTestId('input-1').fill('And by the first, back again.')
  await other.close()
})

test('two browsers, the one that leads crashes: the other says who is missing and goes on when it is told to; whoever comes back is told', async ({
  browser,
  context,
  demo,
}) => {
  const other = await browser.newContext()
  const [a, b] = await enterBoth([context, other], demo)
  await a.getByTestId('edit-1').click()
  await a.getByTestId('input-1').fill('Agreed by both.')
  await a.getByTestId('done-1').click()
  await expect(b.getByTestId('text-1')).toHaveText('Agreed by both.')
  const [leader, rest] = (await a.getByTestId('leader').textContent()) === (await nameOf(a)) ? [a, b] : [b, a]
  const missing = await nameOf(leader)

  const session = await leader.context().newCDPSession(leader)
  const crashed = leader.waitForEvent('crash')
  session.send('Page.crash').catch(() => {})
  await crashed
  await expect(rest.getByTestId('status')).toHaveText('no-quorum')
  await expect(rest.locator('#status-text')).toContainText(missing)
  await rest.getByTestId('recover').click()
  await expect(rest.locator('#recovery')).toContainText(missing)
  await rest.getByTestId('recover-wait').click()
  await expect(rest.getByTestId('status')).toHaveText('no-quorum')
  await rest.getByTestId('recover').click()
  await rest.getByTestId('recover-confirm').click()
  await expect(rest.getByTestId('status')).toHaveText('ready')
  await expect(rest.locator('#recovery')).toBeHidden()
  await expect(rest.getByTestId('recover')).toBeHidden()
  await expect(rest.getByTestId('reset')).toContainText('goes on without those who were missing')
  await expect(rest.getByTestId('text-1')).toHaveText('Agreed by both.')
  await rest.getByTestId('edit-1').click()
  await rest.getByTestId('input-1').fill('And by one alone.')

  const back = await enter(await leader.context().newPage(), demo)
  await expect(back.getByTestId('text-1')).toHaveText('And by one alone.')
  await other.close()
})

async function nameOf(page: Page): Promise<string> {
  return (await page.locator('#me .chip-name').textContent()) ?? ''
}
