import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { BrowserContext } from '@playwright/test'
import { test as base, expect, openTab, type Tab, until } from './kit.js'

interface Fixtures {
  /** Opens a browser on one profile, on a disk that outlives it. */
  openBrowser: () => Promise<BrowserContext>
}

const test = base.extend<Fixtures>({
  openBrowser: async ({ playwright, launchOptions, baseURL }, use) => {
    const profile = await mkdtemp(join(tmpdir(), 'comity-profile-'))
    const open: BrowserContext[] = []
    await use(async () => {
      const context = await playwright.chromium.launchPersistentContext(profile, {
        ...launchOptions,
        ...(baseURL !== undefined && { baseURL }),
      })
      open.push(context)
      return context
    })
    for (const context of open) await context.close()
    await rm(profile, { recursive: true, force: true })
  },
})

async function enter(context: BrowserContext, room: string): Promise<Tab> {
  const tab = await openTab(context)
  await tab.join(room)
  return tab
}

const voters = (tab: Tab) => tab.metrics().then((metrics) => metrics.voters)

test.describe('a room on one profile', () => {
  test('all tabs close and are opened again: what was agreed is there', async ({ openBrowser }) => {
    const before = await openBrowser()
    const tabs = [await enter(before, 'kept'), await enter(before, 'kept'), await enter(before, 'kept')]
    const [first] = tabs
    if (!first) throw new Error('three tabs')
    await until('three voters', async () => (await voters(first)).length === 3)
    for (let i = 0; i < 20; i += 1) expect((await first.set(`key ${i}`, `value ${i}`)).ok).toBe(true)
    const { commitIndex } = await first.metrics()
    for (const tab of tabs) await tab.close()
    await before.close()

    const after = await openBrowser()
    const again: Tab[] = []
    for (let i = 0; i < 3; i += 1) {
      const tab = await enter(after, 'kept')
      again.push(tab)
      // A dead tab's node that this one has taken in (L4) holds its identity until the room does without it.
      const isOpen = (peerId: string) => again.some((opened) => opened.peerId === peerId)
      await until('none but open tabs vote', async () => (await voters(tab)).every(isOpen))
    }
    for (const tab of again) {
      for (let i = 0; i < 20; i += 1) expect(await tab.get(`key ${i}`)).toBe(`value ${i}`)
      expect((await tab.metrics()).commitIndex).toBeGreaterThan(commitIndex)
    }
    const identities = again.map(({ peerId }) => peerId).sort()
    expect(identities).toEqual(tabs.map(({ peerId }) => peerId).sort())
  })

  test('[S43] a stored log with a hole is refused, and not repaired', async ({ context }) => {
    const tab = await enter(context, 'torn')
    for (const value of ['a', 'b', 'c']) expect((await tab.set('key', value)).ok).toBe(true)
    await tab.close()
    const again = await openTab(context)
    await again.page.evaluate(async (peerId) => {
      const database = await new Promise<IDBDatabase>((resolve, reject) => {
        const request = indexedDB.open(`comity:torn:${peerId}`)
        request.onsuccess = () => resolve(request.result)
        request.onerror = () => reject(request.error)
      })
      const transaction = database.transaction('journal', 'readwrite')
      const journal = transaction.objectStore('journal')
      const read = journal.openCursor()
      read.onsuccess = () => {
        const cursor = read.result
        if (!cursor) return
        for (const { entries } of (cursor.value as { groups?: { entries: { index: number }[] }[] }).groups ?? []) {
          const third = entries.findIndex(({ index }) => index === 3)
          if (third >= 0) entries.splice(third, 1)
        }
        cursor.update(cursor.value)
        cursor.continue()
      }
      await new Promise((resolve) => transaction.addEventListener('complete', resolve))
      database.close()
    }, tab.peerId)
    const outcome = await again.page.evaluate(() => window.kit.join('torn'))
    expect(outcome).toMatchObject({ ok: false, name: 'StorageError', code: 'storage' })
    expect(JSON.stringify(outcome)).toContain('gap after 2')
  })

  test('[L4] three tabs die with their browser, and one that is opened again has everything', async ({
    openBrowser,
  }) => {
    const before = await openBrowser()
    const tabs = [await enter(before, 'killed'), await enter(before, 'killed'), await enter(before, 'killed')]
    const [first] = tabs
    if (!first) throw new Error('three tabs')
    await until('three voters', async () => (await voters(first)).length === 3)
    expect((await first.set('text', 'agreed by three')).ok).toBe(true)
    // No page hears of it: the browser ends as if the machine had.
    await before.browser()?.close()
    await before.close()

    const alone = await enter(await openBrowser(), 'killed')
    expect(await alone.get('text')).toBe('agreed by three')
    expect((await alone.set('text', 'agreed by one')).ok).toBe(true)
    await until('the room is the one tab', async () => (await voters(alone)).join() === alone.peerId)
  })
})

test.describe('[L4] tabs of one browser never lose their quorum', () => {
  for (const how of ['close', 'crash'] as const) {
    test(`one by one they ${how}, and the last one goes on`, async ({ context }) => {
      const tabs = [await enter(context, how), await enter(context, how), await enter(context, how)]
      const [first] = tabs
      if (!first) throw new Error('three tabs')
      await until('three voters', async () => (await voters(first)).length === 3)
      while (tabs.length > 1) {
        const [witness] = tabs
        const leader = await witness?.leader()
        const at = tabs.findIndex(({ peerId }) => peerId === leader)
        const [gone] = tabs.splice(at, 1)
        await (how === 'close' ? gone?.close() : gone?.crash())
        for (const tab of tabs) {
          expect((await tab.set('left', String(tabs.length))).ok).toBe(true)
          expect(await tab.get('left')).toBe(String(tabs.length))
        }
      }
    })
  }
})

test('[L3][M1] a page that was put aside loses its locks, gives them free, and comes back as a new life', async ({
  context,
}) => {
  const other = await enter(context, 'cached')
  const tab = await enter(context, 'cached')
  expect((await tab.acquire('paragraph')).ok).toBe(true)
  // The events of the back/forward cache without its freeze: what the browser does in between is not under test.
  const turn = (type: 'pagehide' | 'pageshow') =>
    tab.page.evaluate((type) => void dispatchEvent(new PageTransitionEvent(type, { persisted: true })), type)
  await turn('pagehide')
  expect(await tab.lockState('paragraph')).toBe('lost')
  expect(await tab.status()).toBe('suspended')
  expect((await other.acquire('paragraph', { timeout: 2_000 })).ok).toBe(true)
  const waiting = tab.acquire('paragraph', {}, 'again')
  await turn('pageshow')
  // Asked at once, it waits for the new life.
  expect(await tab.set('early', 'asked')).toMatchObject({ ok: true })
  await until('it is ready again', async () => (await tab.status()) === 'ready')
  expect(await tab.set('text', 'back again')).toMatchObject({ ok: true })
  expect(await other.get('text')).toBe('back again')
  await other.release('paragraph')
  expect((await waiting).ok).toBe(true)
})

/** Another page of the origin takes a lock of that tab away, as no page of ours does: the browser rejects its holder's promise. */
async function takeAway(thief: Tab, kind: 'life' | 'identity', victim: Tab): Promise<void> {
  const taken = await thief.page.evaluate(
    async ({ kind, peerId }) => {
      const { held = [] } = await navigator.locks.query()
      const names = held.flatMap(({ name = '' }) => (name.startsWith(`comity:${kind}:`) ? [name] : []))
      const ours = names.filter((name) => name.includes(peerId))
      for (const name of ours) await navigator.locks.request(name, { steal: true }, () => {})
      return ours.length
    },
    { kind, peerId: victim.peerId },
  )
  expect(taken).toBe(1)
}

test('[L3] a page whose life lock the browser takes away holds nothing any more, and comes back as a new life', async ({
  context,
}) => {
  const other = await enter(context, 'life lock')
  const tab = await enter(context, 'life lock')
  expect((await tab.acquire('paragraph')).ok).toBe(true)
  await takeAway(other, 'life', tab)
  await until('its lock is lost', async () => (await tab.lockState('paragraph')) === 'lost')
  expect((await other.acquire('paragraph', { timeout: 2_000 })).ok).toBe(true)
  await until('it is ready again', async () => (await tab.status()) === 'ready')
  expect(await tab.set('text', 'a new life')).toMatchObject({ ok: true })
  expect((await tab.acquire('next')).ok).toBe(true)
  // The new life is watched as the first one was: its death is proven, not waited for.
  await tab.crash()
  expect((await other.acquire('next', { timeout: 3_000 })).ok).toBe(true)
})

test('[L3] a peer whose identity lock the browser takes away promises nothing any more, and comes back as a new life', async ({
  context,
}) => {
  const other = await enter(context, 'identity lock')
  const tab = await enter(context, 'identity lock')
  expect((await tab.acquire('paragraph')).ok).toBe(true)
  await takeAway(other, 'identity', tab)
  await until('its lock is lost', async () => (await tab.lockState('paragraph')) === 'lost')
  expect((await other.acquire('paragraph', { timeout: 2_000 })).ok).toBe(true)
  await until('it is ready again', async () => (await tab.status()) === 'ready')
  expect(await tab.set('text', 'a new life')).toMatchObject({ ok: true })
  expect(await other.get('text')).toBe('a new life')
})
