/** Fences where the room cannot help: at what is outside of it. A zombie is a page that writes in the belief that it has its lock. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BrowserContext, Route } from '@playwright/test'
import { createFencedServer, type FencedServer } from '../../examples/fenced-server/server.js'
import { HideableTabs } from './hideable.js'
import { test as base, expect, Tab, until } from './kit.js'
import type { Places } from './pages/fencing.js'

interface Fixtures {
  server: FencedServer
  places: Places
}

const test = base.extend<Fixtures>({
  server: async ({ baseURL }, use) => {
    const folder = await mkdtemp(join(tmpdir(), 'comity-fencing-'))
    const server = await createFencedServer({
      file: join(folder, 'documents.json'),
      origins: [new URL(String(baseURL)).origin],
    })
    await use(server)
    await server.close()
    await rm(folder, { recursive: true })
  },
  places: async ({ server }, use, info) => {
    await use({ database: `notes ${info.testId}`, server: server.url })
  },
})

const page = '/test/browser/pages/fencing.html'
const lease = 2_000
const stale = { ok: false, name: 'StaleFenceError', code: 'stale-fence' }
const written = expect.objectContaining({ ok: true })
const allWritten = { room: written, roomByToken: written, database: written, server: written, unfenced: written }

/** What the zombie hears: refused wherever there is a fence, and let in where there is none. */
const refused = (current: number) => {
  const refusal = expect.objectContaining({ ...stale, details: expect.objectContaining({ current }) })
  return { room: refusal, roomByToken: refusal, database: refusal, server: refusal, unfenced: written }
}
const nothingOfTheZombie = {
  room: 'by the next',
  database: 'by the next',
  server: 'by the next',
  unfenced: 'by a zombie',
}

async function openTab(context: BrowserContext, room: string, prepare: (tab: Tab) => Promise<void>): Promise<Tab> {
  const tab = new Tab(await context.newPage())
  await prepare(tab)
  await tab.page.goto(page)
  await tab.page.waitForFunction(() => 'fencing' in window)
  await tab.join(room)
  return tab
}

test('[T2] a page that stood still in the middle of a line, past its lease, is refused by the room, the database and the server', async ({
  context,
  places,
}, info) => {
  let sleeper: (route: Route) => void = () => {}
  const asleep = new Promise<Route>((resolve) => {
    sleeper = resolve
  })
  const room = `fencing ${info.testId}`
  const zombie = await openTab(context, room, async ({ page }) => {
    await page.route('**/asleep', (route) => sleeper(route))
  })
  const next = await openTab(context, room, async () => {})
  expect(await zombie.acquire('paragraph', { lease })).toMatchObject({ ok: true })
  const first = await zombie.page.evaluate(
    (places) => window.fencing.writeAll(window.kit.lock('paragraph'), 'by the first', places),
    places,
  )
  expect(first).toEqual(allWritten)

  const woken = zombie.page.evaluate(
    (places) => window.fencing.writeAfterSleep('paragraph', 'by a zombie', places),
    places,
  )
  const route = await asleep
  const grant = await next.acquire('paragraph')
  expect(grant).toMatchObject({ ok: true })
  const second = await next.page.evaluate(
    (places) => window.fencing.writeAll(window.kit.lock('paragraph'), 'by the next', places),
    places,
  )
  expect(second).toEqual(allWritten)
  await route.fulfill({ body: '' })

  expect(await woken).toEqual(refused('value' in grant ? Number(grant.value) : 0))
  expect(await next.page.evaluate((places) => window.fencing.readAll('paragraph', places), places)).toEqual(
    nothingOfTheZombie,
  )
  await until('the zombie knows', async () => (await zombie.lockState('paragraph')) === 'lost')
})

test('[T2] a frozen page that wakes with an old token is refused by the room, the database and the server', async ({
  browser,
  baseURL,
  places,
}, info) => {
  const tabs = await HideableTabs.of(browser)
  const context = await tabs.newContext()
  const open = async () => {
    const tab = await tabs.open(context, `${baseURL}${page}`)
    await tab.join(`fencing ${info.testId}`)
    return tab
  }
  const [zombie, next, third] = [await open(), await open(), await open()]
  const voterCount = 'kit.room.metrics().then(({ voters }) => voters.length)'
  for (const tab of [zombie, next, third]) {
    await until('three voters', async () => (await tab.evaluate(voterCount)) === 3)
  }
  const write = (value: string) =>
    `fencing.writeAll(kit.lock('paragraph'), ${JSON.stringify(value)}, ${JSON.stringify(places)})`
  await zombie.evaluate(`kit.acquire('paragraph', { lease: ${lease} })`)
  expect(await zombie.evaluate(write('by the first'))).toEqual(allWritten)
  // It begins in the first listener that runs after the freeze, with what the page had before.
  await zombie.evaluate(`document.addEventListener('resume', () => {
    globalThis.woken = ${write('by a zombie')}
  })`)
  await zombie.become('frozen')
  const token = await next.evaluate(`kit.acquire('paragraph').then(({ value }) => value)`)
  expect(await next.evaluate(write('by the next'))).toEqual(allWritten)
  await zombie.become('active')
  await until('it woke', async () => (await zombie.evaluate(`'woken' in globalThis`)) === true)
  expect(await zombie.evaluate('woken')).toEqual(refused(Number(token)))
  expect(await next.evaluate(`fencing.readAll('paragraph', ${JSON.stringify(places)})`)).toEqual(nothingOfTheZombie)
  await tabs.close()
})

test.describe('the fenced store in IndexedDB', () => {
  test.beforeEach(async ({ page: tab }) => {
    await tab.goto(page)
    await tab.waitForFunction(() => 'fencing' in window)
  })

  test('[T2] remembers the newest token of each lock, also when its page is gone, and refuses older ones', async ({
    page: tab,
    places,
  }) => {
    const seen: unknown[] = []
    const write = async (name: string, token: number, value: string) => {
      const outcome = await tab.evaluate(
        async ({ claim, value, database }) => {
          const notes = await window.fencing.FencedStore.open<string>(database)
          const outcome = await window.kit.outcome(() => notes.put(claim, claim.name, value))
          return { outcome, now: await notes.get(claim.name) }
        },
        { claim: { name, token }, value, database: places.database },
      )
      const { ok } = outcome.outcome
      seen.push([ok ? 'written' : outcome.outcome.name, outcome.now])
    }
    await write('a', 5, 'first')
    await write('a', 9, 'second')
    await write('b', 1, 'another lock')
    await tab.reload()
    await tab.waitForFunction(() => 'fencing' in window)
    await write('a', 8, 'zombie')
    await write('a', 9, 'third')
    expect(seen).toEqual([
      ['written', 'first'],
      ['written', 'second'],
      ['written', 'another lock'],
      ['StaleFenceError', 'second'],
      ['written', 'third'],
    ])
  })

  test('[T2] what is no token is refused, and no newer one is forgotten for it', async ({ page: tab, places }) => {
    const seen = await tab.evaluate(async (database) => {
      const notes = await window.fencing.FencedStore.open<string>(database)
      await notes.put({ name: 'a', token: 9 }, 'a', 'kept')
      const refused: unknown[] = []
      for (const token of [undefined, null, Number.NaN, '12', -1, 0, 1.5, 2 ** 53]) {
        const outcome = await window.kit.outcome(() =>
          notes.put({ name: 'a', token: token as number }, 'a', 'no token'),
        )
        refused.push(outcome.ok ? `written under ${token}` : outcome.name)
      }
      const stale = await window.kit.outcome(() => notes.put({ name: 'a', token: 8 }, 'a', 'zombie'))
      return { refused, stale, now: await notes.get('a') }
    }, places.database)
    expect(seen).toEqual({
      refused: Array(8).fill('TypeError'),
      stale: expect.objectContaining({ ...stale, details: expect.objectContaining({ current: 9 }) }),
      now: 'kept',
    })
  })

  test('[T2] a token counts with what was written under it: a change that fails leaves neither', async ({
    page: tab,
    places,
  }) => {
    const seen = await tab.evaluate(async (database) => {
      const notes = await window.fencing.FencedStore.open<string>(database)
      const { outcome } = window.kit
      await notes.put({ name: 'a', token: 5 }, 'one', 'kept')
      const failed = await outcome(() =>
        notes.write({ name: 'a', token: 9 }, async (writer) => {
          await writer.put('one', 'lost')
          await writer.delete('two')
          throw new RangeError('changed its mind')
        }),
      )
      const one = await notes.get('one')
      const older = await outcome(() => notes.put({ name: 'a', token: 5 }, 'two', 'still welcome'))
      const moved = await notes.write({ name: 'a', token: 6 }, async (writer) => {
        const value = await writer.get('two')
        await writer.delete('two')
        await writer.put('three', `moved: ${value}`)
        return value
      })
      const stale = await outcome(() => notes.delete({ name: 'a', token: 5 }, 'three'))
      return { failed, one, older, moved, stale, two: await notes.get('two'), three: await notes.get('three') }
    }, places.database)
    expect(seen).toEqual({
      failed: expect.objectContaining({ name: 'RangeError', message: 'changed its mind' }),
      one: 'kept',
      older: { ok: true },
      moved: 'still welcome',
      stale: expect.objectContaining({ ...stale, details: expect.objectContaining({ current: 6 }) }),
      two: undefined,
      three: 'moved: still welcome',
    })
  })

  test('[T2] two tabs at once: whoever commits later under an older token is refused', async ({
    context,
    page: tab,
    places,
  }) => {
    const other = await context.newPage()
    await other.goto(page)
    await other.waitForFunction(() => 'fencing' in window)
    const write = (where: typeof tab, token: number) =>
      where.evaluate(
        async ({ token, database }) => {
          const notes = await window.fencing.FencedStore.open<number>(database)
          const tries = Array.from({ length: 20 }, (_, i) => token + 2 * i)
          const outcomes = await Promise.all(
            tries.map((token) => window.kit.outcome(() => notes.put({ name: 'a', token }, 'k', token))),
          )
          return { accepted: tries.filter((_, i) => outcomes[i]?.ok), last: await notes.get('k') }
        },
        { token, database: places.database },
      )
    const [odd, even] = await Promise.all([write(tab, 1), write(other, 2)])
    expect([...odd.accepted, ...even.accepted]).toContain(40)
    expect(Math.max(Number(odd.last), Number(even.last))).toBe(40)
  })
})
