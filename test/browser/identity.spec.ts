/** Whose a tab is, and what becomes of it when its storage is cleared, full, taken over, or not to be had. */
import { randomBytes } from 'node:crypto'
import type { BrowserContext } from '@playwright/test'
import { expect, openTab, type Tab, test, until } from './kit.js'

/** Nobody waits for a lease in these tests: what passes on, passed on by a goodbye or by the locks of a tab. */
const timing = { lease: 600_000 }

const voters = (tab: Tab) => tab.metrics().then((metrics) => metrics.voters)

async function isReady(tab: Tab): Promise<boolean> {
  return (await tab.status()) === 'ready'
}

/** As another tab, or the developer tools, delete them. */
async function deleteDatabases(context: BrowserContext, names: readonly string[]): Promise<void> {
  const page = await context.newPage()
  await page.goto('/test/browser/pages/storage.html')
  await page.evaluate(async (names) => {
    for (const name of names) {
      await new Promise((resolve, reject) => {
        const request = indexedDB.deleteDatabase(name)
        request.onsuccess = resolve
        request.onerror = reject
      })
    }
  }, names)
  await page.close()
}

/** As "Clear site data" does. */
async function clearSite(tab: Tab): Promise<void> {
  const session = await tab.page.context().newCDPSession(tab.page)
  const { origin } = new URL(tab.page.url())
  await session.send('Storage.clearDataForOrigin', { origin, storageTypes: 'all' })
}

test.describe('[L1] two tabs that want one identity', () => {
  test('a tab and its duplicate, both loaded again: each gets its own back', async ({ context }) => {
    const a = await openTab(context)
    const first = await a.join('twice')
    const opened = context.waitForEvent('page')
    await a.page.evaluate(() => void window.open(location.href))
    const page = await opened
    await page.waitForFunction(() => 'kit' in window)
    const second = String(await page.evaluate(() => window.kit.join('twice').then((o) => o.ok && o.value)))
    expect(second).not.toBe(first)
    for (const tab of [a.page, page]) await tab.reload()
    for (const tab of [a.page, page]) await tab.waitForFunction(() => 'kit' in window)
    const again = await Promise.all(
      [a.page, page].map((tab) => tab.evaluate(() => window.kit.join('twice').then((o) => o.ok && o.value))),
    )
    expect(again).toEqual([first, second])
  })

  test('reopened at once, with one memory of it: one gets it, the other another, and both are ready', async ({
    context,
  }) => {
    const a = await openTab(context)
    const first = await a.join('reopened')
    const opened = context.waitForEvent('page')
    await a.page.evaluate(() => void window.open(location.href))
    const page = await opened
    await a.page.reload()
    for (const tab of [a.page, page]) await tab.waitForFunction(() => 'kit' in window)
    const joins = await Promise.all(
      [a.page, page].map((tab) =>
        tab.evaluate(async () => {
          const asked = performance.now()
          const joined = await window.kit.join('reopened')
          return { peerId: joined.ok && joined.value, ms: Math.round(performance.now() - asked) }
        }),
      ),
    )
    const ids = joins.map(({ peerId }) => peerId)
    expect(ids).toContain(first)
    expect(new Set(ids).size).toBe(2)
    test.info().annotations.push({ type: 'joined after ms', description: joins.map(({ ms }) => ms).join() })
  })

  test('opened anew at once, where three identities are free: each gets one of them', async ({ context }) => {
    const before: string[] = []
    const tabs = [await openTab(context), await openTab(context), await openTab(context)]
    for (const tab of tabs) before.push(await tab.join('free'))
    for (const tab of tabs) await tab.close()
    const again = [await openTab(context), await openTab(context), await openTab(context)]
    const after = await Promise.all(again.map((tab) => tab.join('free', { until: 'local' })))
    expect([...after].sort()).toEqual([...before].sort())
    for (const tab of again) await until('it is ready', () => isReady(tab))
  })
})

test.describe('[B13] storage that is cleared under a running peer', () => {
  for (const how of ['deleted by another tab', 'cleared by the browser'] as const) {
    test(`${how}: the peer stops and says why, others have its lock at once, it comes back as somebody else`, async ({
      meet,
    }) => {
      const meadow = await meet('three browsers', { timing })
      const tabs = await meadow.openAll(3)
      const { leader, others } = await meadow.split(tabs)
      const [b] = others
      if (!b) throw new Error('three tabs')
      expect((await leader.set('text', 'agreed')).ok).toBe(true)
      await leader.acquire('paragraph')
      const before = leader.peerId
      if (how === 'cleared by the browser') await clearSite(leader)
      else await deleteDatabases(leader.page.context(), ['comity', `comity:${meadow.room}:${before}`])
      await until('it has failed', async () => (await leader.status()) === 'failed')
      expect(await leader.failure()).toEqual({
        name: 'StorageError',
        code: 'storage',
        reason: how === 'cleared by the browser' ? expect.stringMatching(/^(closed|cleared)$/) : 'cleared',
      })
      expect(await leader.lockState('paragraph')).toBe('lost')
      expect((await b.acquire('paragraph')).ok).toBe(true)
      expect(await leader.reload(meadow.room, meadow.options)).not.toBe(before)
      expect(await leader.get('text')).toBe('agreed')
      await until('it votes in its own place', async () => {
        const now = await voters(b)
        return now.includes(leader.peerId) && !now.includes(before)
      })
    })
  }

  test('of one tab among three of a browser: the other two go on, and its identity is never taken again', async ({
    meet,
  }) => {
    const meadow = await meet('one browser', { timing })
    const tabs = await meadow.openAll(3)
    const { leader, others } = await meadow.split(tabs)
    const [b] = others
    if (!b) throw new Error('three tabs')
    await leader.acquire('paragraph')
    await deleteDatabases(leader.page.context(), [`comity:${meadow.room}:${leader.peerId}`])
    expect((await b.acquire('paragraph')).ok).toBe(true)
    expect(await leader.failure()).toMatchObject({ reason: 'cleared' })
    const known = tabs.map(({ peerId }) => peerId)
    expect(known).not.toContain(await leader.reload(meadow.room, meadow.options))
    expect((await leader.set('text', 'all three')).ok).toBe(true)
  })

  test('of the only tab of a room: it says so, and the room begins anew', async ({ context }) => {
    const tab = await openTab(context)
    const before = await tab.join('alone')
    expect((await tab.set('text', 'lost with the only copy')).ok).toBe(true)
    await clearSite(tab)
    await until('it has failed', async () => (await tab.status()) === 'failed')
    expect(await tab.failure()).toMatchObject({ name: 'StorageError', code: 'storage' })
    expect(await tab.set('text', 'nobody is there')).toMatchObject({ ok: false, code: 'storage' })
    expect(await tab.reload('alone')).not.toBe(before)
    expect(await tab.get('text')).toBeUndefined()
  })
})

test('a full disk: the write is refused with its reason, the others go on, nothing is half written', async ({
  meet,
}) => {
  const meadow = await meet('three browsers', { timing })
  const limit = async (tab: Tab, quotaSize?: number) => {
    const session = await tab.page.context().newCDPSession(tab.page)
    const { origin } = new URL(tab.page.url())
    await session.send('Storage.overrideQuotaForOrigin', { origin, ...(quotaSize !== undefined && { quotaSize }) })
  }
  // Before it has opened a database: the browser looks at the quota again only when what it saw last is used up.
  const full = await meadow.open((tab) => limit(tab, 1_000_000))
  const others = [await meadow.open(), await meadow.open()]
  const [b] = others
  if (!b) throw new Error('three tabs')
  for (const tab of [full, ...others]) await until('three voters', async () => (await voters(tab)).length === 3)
  await full.acquire('paragraph')
  // Random, since the browser counts what is left of it when it is compressed.
  const texts: string[] = []
  await until('a write is refused', async () => {
    const text = randomBytes(30_000).toString('hex')
    const outcome = await full.set(`text ${texts.length}`, text)
    if (outcome.ok) texts.push(text)
    return !outcome.ok
  })
  await until('it has failed', async () => (await full.status()) === 'failed')
  expect(await full.failure()).toEqual({ name: 'StorageError', code: 'storage', reason: 'quota' })
  expect((await b.acquire('paragraph')).ok).toBe(true)
  expect((await b.set('text', 'the others agree')).ok).toBe(true)
  await limit(full)
  const before = full.peerId
  expect(await full.reload(meadow.room, meadow.options)).toBe(before)
  expect(await full.get('text')).toBe('the others agree')
  for (const [i, text] of texts.entries()) expect(await full.get(`text ${i}`)).toBe(text)
})

test.describe('newer code in another tab', () => {
  for (const database of ['identity', 'registry'] as const) {
    test(`upgrades the ${database}: it is not held up, the older tab stops and says that a reload is due`, async ({
      context,
    }) => {
      const tab = await openTab(context)
      const peerId = await tab.join('upgraded')
      const newer = await openTab(context)
      const name = database === 'identity' ? `comity:upgraded:${peerId}` : 'comity'
      await newer.page.evaluate(
        (name) =>
          new Promise<void>((resolve, reject) => {
            const request = indexedDB.open(name, 99)
            request.onsuccess = () => {
              request.result.close()
              resolve()
            }
            request.onblocked = () => reject(new Error('blocked'))
            request.onerror = () => reject(request.error)
          }),
        name,
      )
      await until('the older one has stopped', async () => (await tab.status()) === 'failed')
      expect(await tab.failure()).toEqual({ name: 'StorageError', code: 'storage', reason: 'upgraded' })
      await tab.page.reload()
      await tab.page.waitForFunction(() => 'kit' in window)
      const outcome = await tab.page.evaluate(() => window.kit.join('upgraded'))
      expect(outcome).toMatchObject({ ok: false, name: 'StorageError', details: { reason: 'newer-schema' } })
    })
  }
})

test('a database that does not open for another tab: a typed error in bounded time, and a join once it is free', async ({
  context,
}) => {
  const holder = await openTab(context)
  const tab = await openTab(context)
  await tab.join('held')
  await tab.page.reload()
  await tab.page.waitForFunction(() => 'kit' in window)
  // It does not give way, as a frozen tab would not: what is asked of the database behind the deletion waits for ever.
  await holder.page.evaluate(async () => {
    const database = await new Promise<IDBDatabase>((resolve) => {
      const request = indexedDB.open('comity')
      request.onsuccess = () => resolve(request.result)
    })
    Object.assign(window, { database })
    await new Promise((resolve) => {
      indexedDB.deleteDatabase('comity').onblocked = resolve
    })
  })
  const outcome = await tab.page.evaluate(() => window.kit.join('held'))
  expect(outcome).toMatchObject({ ok: false, name: 'StorageError', details: { reason: 'blocked' } })
  await holder.page.close()
  expect(await tab.page.evaluate(() => window.kit.join('held'))).toMatchObject({ ok: true })
})

test.describe('a tab that keeps its log in memory', () => {
  const storageOf = (tab: Tab) => tab.page.evaluate(() => window.kit.room.settings.storage)
  const roleOf = (of: Tab, by: Tab) =>
    by.page.evaluate(
      (peerId) => window.kit.room.members.current.find((member) => member.peerId === peerId)?.role,
      of.peerId,
    )

  /** Every way in which browsers say that they store nothing. */
  const refusals = {
    'open throws': "IDBFactory.prototype.open = () => { throw new DOMException('denied', 'SecurityError') }",
    'open fails': `IDBFactory.prototype.open = () => {
      const request = new EventTarget()
      request.error = new DOMException('a mutation in a private window', 'InvalidStateError')
      queueMicrotask(() => request.dispatchEvent(new Event('error')))
      return Object.setPrototypeOf(request, IDBOpenDBRequest.prototype)
    }`,
    'keys cannot be stored': `
      const put = IDBObjectStore.prototype.put
      IDBObjectStore.prototype.put = function (value, key) {
        if (this.name === 'identities') throw new DOMException('no keys here', 'DataCloneError')
        return put.call(this, value, key)
      }`,
  }

  async function openPrivate(context: BrowserContext, refusal: string): Promise<Tab> {
    const tab = await openTab(context)
    await tab.page.evaluate((refusal) => {
      window.kit.prelude = refusal
    }, refusal)
    return tab
  }

  for (const [how, refusal] of Object.entries(refusals)) {
    test(`because ${how}: tabs found one room, all vote, and it outlives its founder`, async ({ context }) => {
      const tabs = [await openPrivate(context, refusal), await openPrivate(context, refusal)]
      tabs.push(await openPrivate(context, refusal))
      const [a, b] = tabs
      if (!a || !b) throw new Error('three tabs')
      await Promise.all(tabs.map((tab) => tab.join('private', { timing })))
      for (const tab of tabs) expect(await storageOf(tab)).toBe('memory')
      for (const tab of tabs) await until('three voters', async () => (await voters(tab)).length === 3)
      expect((await a.set('text', 'in memory')).ok).toBe(true)
      await a.acquire('paragraph')
      await a.close()
      expect((await b.acquire('paragraph')).ok).toBe(true)
      expect(await b.get('text')).toBe('in memory')
      const late = await openPrivate(context, refusal)
      await late.join('private', { timing })
      expect(await late.get('text')).toBe('in memory')
    })
  }

  test('by choice, in a room that is on disks: a learner with all rights but the vote, whoever leads', async ({
    context,
  }) => {
    const disks = [await openTab(context), await openTab(context), await openTab(context)]
    for (const tab of disks) await tab.join('mixed', { timing })
    const tab = await openTab(context)
    await tab.join('mixed', { storage: 'memory' })
    expect(await storageOf(tab)).toBe('memory')
    const before = await tab.leader()
    const leader = disks.find(({ peerId }) => peerId === before)
    await leader?.close()
    const others = disks.filter((disk) => disk !== leader)
    await until('somebody else leads', async () => {
      const now = await tab.leader()
      return now !== null && now !== before
    })
    // The room would have three votes again if it counted the one in memory.
    const [fourth] = [await openTab(context)]
    await fourth?.join('mixed')
    await until('three voters', async () => (await voters(tab)).length === 3)
    const [other] = others
    if (!other) throw new Error('two tabs')
    expect(await roleOf(tab, other)).toBe('learner')
    expect((await tab.acquire('paragraph')).ok).toBe(true)
    expect((await tab.set('text', 'by a learner')).ok).toBe(true)
    const reloaded = tab.peerId
    expect(await tab.reload('mixed', { storage: 'memory' })).not.toBe(reloaded)
    expect(await tab.get('text')).toBe('by a learner')
  })

  test('[N1] founds no room that its browser carries on its disk', async ({ context }) => {
    const before = await openTab(context)
    await before.join('carried')
    expect((await before.set('text', 'on the disk')).ok).toBe(true)
    await before.close()
    const inMemory = await openTab(context)
    await inMemory.join('carried', { storage: 'memory', until: 'local' })
    const onDisk = await openTab(context)
    await onDisk.join('carried')
    expect(await onDisk.get('text')).toBe('on the disk')
    await until('it is ready', () => isReady(inMemory))
    expect(await inMemory.get('text')).toBe('on the disk')
  })
})
