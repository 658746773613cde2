/** The storages on real databases. */
import { type BrowserContext, expect, type Page, test } from '@playwright/test'
import { storageCases } from '../contract/storage-cases.js'

async function openPage(context: BrowserContext): Promise<Page> {
  const page = await context.newPage()
  await page.goto('/test/browser/pages/storage.html')
  await page.waitForFunction(() => 'storagePage' in window)
  return page
}

test('storage contract: IndexedDB', async ({ context }) => {
  const page = await openPage(context)
  for (const [index, { title }] of storageCases.entries()) {
    const failure = await page.evaluate((index) => window.storagePage.run(index), index)
    expect.soft(failure, title).toBeNull()
  }
})

test('[F3] two tabs on one database: the older one is refused from then on', async ({ context }) => {
  const [older, younger] = [await openPage(context), await openPage(context)]
  expect(await older.evaluate(() => window.storagePage.open('shared', 'older'))).toBe(1)
  expect(await older.evaluate(() => window.storagePage.append('older', 1, 3))).toBe('written')
  expect(await younger.evaluate(() => window.storagePage.open('shared', 'younger'))).toBe(2)
  expect(await older.evaluate(() => window.storagePage.append('older', 4, 1))).toContain('a later incarnation')
  expect(await younger.evaluate(() => window.storagePage.indexes('younger'))).toEqual([1, 2, 3])
  expect(await younger.evaluate(() => window.storagePage.append('younger', 4, 1))).toBe('written')
})

for (const version of [1, 2])
  test(`[F3] a database of schema ${version} is taken over with what is in it, and guarded from then on`, async ({
    context,
  }) => {
    const [older, younger] = [await openPage(context), await openPage(context)]
    await older.evaluate((version) => window.storagePage.makeOlder('older schema', version), version)
    expect(await older.evaluate(() => window.storagePage.open('older schema', 'older'))).toBe(5)
    const stored = await older.evaluate(() => window.storagePage.stored('older'))
    expect(stored.lineage).toEqual({ roomId: 'room', epoch: 0, forkId: '' })
    expect(stored.groups).toMatchObject([
      [0, { hardState: { term: 3, votedFor: 'ann' }, snapshot: { meta: { index: 8 }, data: { byteLength: 3 } } }],
      [1, { hardState: { term: 0 }, snapshot: { meta: { index: 20 } }, entries: [] }],
      [2, { hardState: { term: 9 }, snapshot: null, entries: [] }],
    ])
    expect(await older.evaluate(() => window.storagePage.indexes('older'))).toEqual([7, 8, 9, 10])
    expect(await older.evaluate(() => window.storagePage.append('older', 11, 1))).toBe('written')
    expect(await younger.evaluate(() => window.storagePage.open('older schema', 'younger'))).toBe(6)
    expect(await younger.evaluate(() => window.storagePage.indexes('younger'))).toEqual([7, 8, 9, 10, 11])
    expect(await older.evaluate(() => window.storagePage.append('older', 12, 1))).toContain('a later incarnation')
  })

test('an empty database of an older schema is a new one', async ({ context }) => {
  const page = await openPage(context)
  await page.evaluate(() => window.storagePage.makeOlder('older and empty', 1, false))
  expect(await page.evaluate(() => window.storagePage.open('older and empty', 'one'))).toBe(1)
  expect(await page.evaluate(() => window.storagePage.append('one', 1, 1))).toBe('written')
})

test('[F2] two tabs that open at once are two incarnations', async ({ context }) => {
  const tabs = [await openPage(context), await openPage(context), await openPage(context)]
  const counters = await Promise.all(
    tabs.map((tab, i) => tab.evaluate((nonce) => window.storagePage.open('raced', nonce), `nonce ${i}`)),
  )
  expect([...counters].sort()).toEqual([1, 2, 3])
  const written = await Promise.all(
    tabs.map((tab, i) => tab.evaluate((nonce) => window.storagePage.append(nonce, 1, 1), `nonce ${i}`)),
  )
  expect(written.map((outcome, i) => outcome === 'written' || counters[i] !== 3)).toEqual([true, true, true])
  expect(written.filter((outcome) => outcome === 'written')).toHaveLength(1)
})

test('[S39] what was answered is there after the page is reloaded, closed or crashed', async ({ context }) => {
  let page = await openPage(context)
  await page.evaluate(() => window.storagePage.open('lasting', 'one'))
  await page.evaluate(() => window.storagePage.append('one', 1, 100))
  await page.reload()
  await page.waitForFunction(() => 'storagePage' in window)
  expect(await page.evaluate(() => window.storagePage.open('lasting', 'two'))).toBe(2)
  expect(await page.evaluate(() => window.storagePage.append('two', 101, 100, 10_000))).toBe('written')
  const crashed = page.waitForEvent('crash')
  const session = await context.newCDPSession(page)
  session.send('Page.crash').catch(() => {})
  await crashed
  page = await openPage(context)
  expect(await page.evaluate(() => window.storagePage.open('lasting', 'three'))).toBe(3)
  const indexes = await page.evaluate(() => window.storagePage.indexes('three'))
  expect(indexes).toEqual(Array.from({ length: 200 }, (_, i) => i + 1))
})

test('a database that is deleted under its storage: the write is refused, and nothing is promised any more', async ({
  context,
}) => {
  const page = await openPage(context)
  const outcomes = await page.evaluate(async () => {
    const { storagePage } = window
    await storagePage.open('deleted', 'one')
    const before = await storagePage.append('one', 1, 1)
    await new Promise((resolve) => {
      const request = indexedDB.deleteDatabase('deleted')
      request.onsuccess = resolve
      request.onerror = resolve
    })
    const after = await storagePage.append('one', 2, 1)
    const again = await storagePage.append('one', 2, 1)
    return { before, refused: [after, again].every((outcome) => outcome !== 'written') }
  })
  expect(outcomes).toEqual({ before: 'written', refused: true })
})

test('identities: one per claim and room, the newest first, with keys that no script can read', async ({ context }) => {
  const page = await openPage(context)
  const seen = await page.evaluate(async () => {
    const { Identities } = window.storagePage
    const room = await Identities.openRegistry('a room')
    const other = await Identities.openRegistry('a room\uffff')
    const [first, second] = [await room.create(), await room.create()]
    await other.create()
    const ids = async () => (await room.list()).map(({ peerId }) => (peerId === first.peerId ? 'first' : 'second'))
    const before = await room.lastIncarnation(first.peerId)
    await new Promise((resolve) => setTimeout(resolve, 5))
    const storage = await room.open(first.peerId)
    const opened = await ids()
    storage.close()
    await room.setRoomId('id')
    return {
      shape: /^[A-Za-z0-9_-]{22}$/.test(second.peerId),
      keys: [first.keys.privateKey.extractable, first.keys.privateKey.usages],
      opened,
      lives: [before, (await room.lastIncarnation(first.peerId))?.counter],
      others: (await other.list()).length,
      sameBrowser: (await room.browserId()) === (await other.browserId()),
      rooms: [await room.roomId(), await other.roomId()],
    }
  })
  expect(seen).toEqual({
    shape: true,
    keys: [false, ['sign']],
    opened: ['first', 'second'],
    lives: [null, 1],
    others: 1,
    sameBrowser: true,
    rooms: ['id', null],
  })
})

test('an identity is forgotten: its database and its place in the registry', async ({ context }) => {
  const page = await openPage(context)
  const seen = await page.evaluate(async () => {
    const identities = await window.storagePage.Identities.openRegistry('forgetful')
    const [kept, gone] = [await identities.create(), await identities.create()]
    const unused = await identities.remains(gone.peerId)
    const lineage = { roomId: 'room', epoch: 0, forkId: '' }
    for (const { peerId } of [kept, gone]) {
      const storage = await identities.open(peerId)
      const entries = [1, 2].map((index) => ({ term: 1, index, time: 0, type: 'noop' as const }))
      const hardState = { term: 1, votedFor: null, promisedTo: null, commitIndex: 0 }
      await storage.write({ lineage, groups: [{ group: 0, entries, hardState }] })
      storage.close()
    }
    const { incarnation, ...remains } = await identities.remains(gone.peerId)
    await identities.remove(gone.peerId)
    const names = (await indexedDB.databases()).map(({ name }) => name)
    const left = (await identities.list()).map(({ peerId }) => peerId)
    identities.close()
    return {
      ...{ unused, remains, counter: incarnation?.counter },
      left: left.join() === kept.peerId,
      databases: [kept, gone].map(({ peerId }) => names.includes(`comity:forgetful:${peerId}`)),
    }
  })
  expect(seen).toEqual({
    unused: { incarnation: null, lineage: null, lastIndex: 0 },
    remains: { lineage: { roomId: 'room', epoch: 0, forkId: '' }, lastIndex: 2 },
    ...{ counter: 1, left: true, databases: [true, false] },
  })
})
