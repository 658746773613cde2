/** How a page goes, and how soon the others have what it held. Leases are so long that nothing here can wait for one. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser, BrowserContext, LaunchOptions } from '@playwright/test'
import { test as base, expect, type Meeting, openTab, type Tab, until } from './kit.js'
import { PlainChromium, type PlainTab } from './plain-chromium.js'

const timing = { lease: 600_000 }

interface Fixtures {
  /** Starts a browser on one profile, on a disk that outlives it. */
  startBrowser: () => Promise<BrowserContext>
  /** A browser with the back/forward cache that people have. */
  plain: PlainChromium
}

const test = base.extend<Fixtures>({
  startBrowser: async ({ playwright, launchOptions, baseURL }, use) => {
    const profile = await mkdtemp(join(tmpdir(), 'comity-profile-'))
    const started: BrowserContext[] = []
    await use(async () => {
      const options = { ...launchOptions, ...(baseURL !== undefined && { baseURL }) }
      const context = await playwright.chromium.launchPersistentContext(profile, options)
      started.push(context)
      return context
    })
    for (const context of started) await context.close().catch(() => {})
    await rm(profile, { recursive: true, force: true, maxRetries: 5 })
  },
  plain: async ({ launchOptions }, use) => {
    const plain = await startPlain(launchOptions)
    await use(plain)
    await plain.close()
  },
})

function startPlain({ executablePath = '', args = [] }: LaunchOptions): Promise<PlainChromium> {
  return PlainChromium.start(executablePath, args)
}

/** For whoever compares: no test fails by it. */
function note(what: string, ms: number): void {
  test.info().annotations.push({ type: what, description: `${Math.round(ms)} ms` })
}

const voters = (tab: Tab) => tab.metrics().then((metrics) => metrics.voters)
const token = (outcome: Awaited<ReturnType<Tab['acquire']>>) => (outcome.ok ? Number(outcome.value) : 0)

async function enter(context: BrowserContext, room: string): Promise<Tab> {
  const tab = await openTab(context)
  await tab.join(room, { timing })
  return tab
}

/** As the machine would take it: no page, and no process of the browser, hears of it. */
async function kill(browser: Browser | null): Promise<void> {
  if (!browser) throw new Error('a browser')
  const session = await browser.newBrowserCDPSession()
  const { processInfo } = await session.send('SystemInfo.getProcessInfo')
  const pid = processInfo.find(({ type }) => type === 'browser')?.id
  if (pid === undefined) throw new Error('the browser has a process')
  const gone = new Promise<void>((resolve) => browser.on('disconnected', () => resolve()))
  process.kill(pid, 'SIGKILL')
  await gone
}

const ways: Readonly<Record<string, (tab: Tab) => Promise<unknown>>> = {
  'leave()': (tab) => tab.page.evaluate(() => window.kit.room.leave()),
  'a reload': (tab) => tab.page.reload(),
  'a page of the same site': (tab) => tab.page.goto('/test/browser/pages/storage.html'),
  'a page of another site': (tab) => tab.page.goto(tab.page.url().replace('127.0.0.1', 'localhost')),
  'closing the tab': (tab) => tab.close(),
}

for (const meeting of ['one browser', 'three browsers'] satisfies Meeting[]) {
  for (const [how, go] of Object.entries(ways)) {
    test(`${meeting}: [M1] ${how}: its lock is free at once, though it led`, async ({ meet }) => {
      const meadow = await meet(meeting, { timing, linger: 0 })
      const tabs = await meadow.openAll(3)
      const { leader, others } = await meadow.split(tabs)
      const [b, c] = others
      if (!b || !c) throw new Error('three tabs')
      const first = await leader.acquire('paragraph')
      const granted = b.page.evaluate(async () => {
        const outcome = await window.kit.acquire('paragraph')
        return { outcome, at: performance.timeOrigin + performance.now() }
      })
      await until(
        'it waits',
        async () => (await c.page.evaluate(() => window.kit.room.locks.query())).pending.length === 1,
      )
      const gone = Date.now()
      await go(leader)
      const { outcome, at } = await granted
      note('lock passed on after', at - gone)
      expect(token(outcome)).toBeGreaterThan(token(first))
      await meadow.split([b, c])
    })
  }
}

test('[M1][M2] two browsers: the one that leads navigates away, and the other has lock and room at once', async ({
  meet,
}) => {
  const meadow = await meet('three browsers', { timing })
  const tabs = await meadow.openAll(2)
  const { leader, others } = await meadow.split(tabs)
  const [b] = others
  if (!b) throw new Error('two tabs')
  await leader.acquire('paragraph')
  const granted = b.acquire('paragraph')
  await until('it waits', async () => (await b.page.evaluate(() => window.kit.room.locks.query())).pending.length === 1)
  await leader.page.goto('/test/browser/pages/storage.html')
  expect((await granted).ok).toBe(true)
  await until('it is alone', async () => (await voters(b)).join() === b.peerId)
})

test('[L4] three tabs are closed at once and the browser killed: one tab has the text, and a higher token', async ({
  startBrowser,
}) => {
  const before = await startBrowser()
  const tabs = [await enter(before, 'kept'), await enter(before, 'kept'), await enter(before, 'kept')]
  const [a, b] = tabs
  if (!a || !b) throw new Error('three tabs')
  await until('three voters', async () => (await voters(a)).length === 3)
  const locked = await a.acquire('paragraph 1')
  expect((await a.set('paragraph 1', 'Written by the first.')).ok).toBe(true)
  expect((await b.set('paragraph 2', 'Written by the second.')).ok).toBe(true)
  const browser = before.browser()
  const killed = kill(browser)
  // Whatever of it comes before the end.
  for (const tab of tabs) tab.page.close({ runBeforeUnload: true }).catch(() => {})
  await killed

  const alone = await openTab(await startBrowser())
  const ready = await alone.page.evaluate(async (timing) => {
    const asked = performance.now()
    const outcome = await window.kit.join('kept', { timing })
    return { outcome, ms: performance.now() - asked }
  }, timing)
  note('ready after', ready.ms)
  expect(ready.outcome).toMatchObject({ ok: true })
  expect(await alone.get('paragraph 1')).toBe('Written by the first.')
  expect(await alone.get('paragraph 2')).toBe('Written by the second.')
  // The dead tab's lock: it died with its browser, and the survivor could tell.
  expect(token(await alone.acquire('paragraph 1'))).toBeGreaterThan(token(locked))
})

for (const who of ['the one that leads', 'the other one'] as const) {
  test(`[L2][L4] two tabs, ${who} crashes: the one that is left serves, and has its lock`, async ({ context }) => {
    const tabs = [await enter(context, 'two'), await enter(context, 'two')]
    const leaderId = await tabs[0]?.leader()
    const leads = tabs.find(({ peerId }) => peerId === leaderId)
    const crashing = who === 'the one that leads' ? leads : tabs.find((tab) => tab !== leads)
    const left = tabs.find((tab) => tab !== crashing)
    if (!crashing || !left) throw new Error('two tabs')
    expect((await crashing.set('text', 'before')).ok).toBe(true)
    await crashing.acquire('paragraph')
    const granted = left.page.evaluate(async () => {
      const outcome = await window.kit.acquire('paragraph')
      return { outcome, at: performance.timeOrigin + performance.now() }
    })
    await until(
      'it waits',
      async () => (await left.page.evaluate(() => window.kit.room.locks.query())).pending.length === 1,
    )
    const crashedAt = Date.now()
    await crashing.crash()
    const { outcome, at } = await granted
    note('lock passed on after', at - crashedAt)
    expect(outcome.ok).toBe(true)
    expect(await left.get('text')).toBe('before')
    expect((await left.set('text', 'after')).ok).toBe(true)
    await until('the room is the one that is left', async () => (await voters(left)).join() === left.peerId)
  })
}

async function enterPlain(
  browser: PlainChromium,
  baseURL: string | undefined,
  room: string,
  options: object,
): Promise<PlainTab> {
  const tab = await browser.open(`${baseURL}/test/browser/pages/room.html`)
  const joined = await tab.evaluate(`kit.join(${JSON.stringify(room)}, ${JSON.stringify(options)})`)
  expect(joined).toMatchObject({ ok: true })
  return tab
}

for (const meeting of ['one browser', 'two browsers'] as const) {
  test(`${meeting}: [L3][M1] the back/forward cache gives a page back, as a new life with no lock`, async ({
    plain,
    meet,
    launchOptions,
    baseURL,
  }) => {
    const meadow = await meet('three browsers')
    const options = meeting === 'one browser' ? { timing } : { ...meadow.options, timing }
    const elsewhere = meeting === 'one browser' ? null : await startPlain(launchOptions)
    try {
      const tab = await enterPlain(plain, baseURL, meadow.room, options)
      const other = await enterPlain(elsewhere ?? plain, baseURL, meadow.room, options)
      const waits = async () => {
        const { pending } = (await other.evaluate('kit.room.locks.query()')) as { pending: unknown[] }
        return pending.length === 1
      }
      await until('both vote, or one is enough', async () => {
        const { voters } = (await other.evaluate('kit.room.metrics()')) as { voters: string[] }
        return voters.length === (meeting === 'one browser' ? 1 : 2)
      })
      const timeOrigin = await tab.evaluate(`
        addEventListener('pageshow', ({ persisted }) => { window.persisted = persisted }); performance.timeOrigin`)
      expect(await tab.evaluate("kit.acquire('paragraph')")).toMatchObject({ ok: true })
      const granted = other.evaluate("kit.acquire('paragraph')")
      await until('the other waits', waits)
      await tab.go(`${baseURL}/test/browser/pages/storage.html`)
      expect(await granted).toMatchObject({ ok: true })
      expect(await other.evaluate("kit.outcome(() => kit.room.store.set('text', 'meanwhile'))")).toMatchObject({
        ok: true,
      })

      await tab.goBack()
      expect(await tab.evaluate('[persisted, performance.timeOrigin]')).toEqual([true, timeOrigin])
      expect(await tab.evaluate("kit.lock('paragraph').state")).toBe('lost')
      await until('it is ready again', async () => (await tab.evaluate('kit.room.status')) === 'ready')
      expect(await tab.evaluate("kit.room.store.get('text').then(({ value }) => value)")).toBe('meanwhile')
      const again = tab.evaluate("kit.acquire('paragraph', {}, 'again')")
      await until('it waits behind the other', waits)
      await other.evaluate("kit.lock('paragraph').release()")
      expect(await again).toMatchObject({ ok: true })
      expect(await tab.evaluate("kit.outcome(() => kit.room.store.set('text', 'back again'))")).toMatchObject({
        ok: true,
      })
      expect(await other.evaluate("kit.room.store.get('text').then(({ value }) => value)")).toBe('back again')
    } finally {
      await elsewhere?.close()
    }
  })
}

test('[S-7][S-10] over the back/forward cache a watch and a revoke go on: nothing is told that has not happened', async ({
  plain,
  baseURL,
}) => {
  const holder = await enterPlain(plain, baseURL, 'watched', { timing })
  const tab = await enterPlain(plain, baseURL, 'watched', { timing })
  expect(await holder.evaluate("kit.acquire('x')")).toMatchObject({ ok: true })
  await tab.evaluate(`
    addEventListener('pageshow', ({ persisted }) => { window.persisted = persisted })
    window.events = []
    void (async () => { for await (const { type, name } of kit.room.locks.watch()) events.push(type + ' ' + name) })()
    window.revoked = 'pending'
    void kit.outcome(() => kit.room.locks.revoke('x', { grace: 600_000 })).then(({ ok }) => { revoked = ok })
    null`)
  const told = (count: number) =>
    until(`${count} events`, async () => ((await tab.evaluate('events')) as string[]).length === count)
  await told(1)
  await holder.evaluate("kit.acquire('old').then(() => kit.lock('old').release()).then(() => null)")
  await told(3)
  await tab.go(`${baseURL}/test/browser/pages/storage.html`)
  await tab.goBack()
  expect(await tab.evaluate('persisted')).toBe(true)
  await until('it is ready again', async () => (await tab.evaluate('kit.room.status')) === 'ready')
  await holder.evaluate("kit.acquire('new').then(() => null)")
  await told(4)
  expect(await tab.evaluate('[...events, revoked]')).toEqual([
    ...['granted x', 'granted old', 'released old', 'granted new', 'pending'],
  ])
  await holder.evaluate("kit.lock('x').release()")
  await until('the revoke is over', async () => (await tab.evaluate('revoked')) === true)
})
