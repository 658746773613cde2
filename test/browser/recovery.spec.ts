/** A room whose quorum is gone goes on by `recover()`, and what happens when those who were missed come back (N3). */
import type { WebSocketRoute } from '@playwright/test'
import type { RoomReset } from '../../src/index.js'
import { expect, type Meadow, openTab, type Tab, test, until } from './kit.js'
import type { Outcome } from './pages/room.js'

/** Nobody is to be waited for: whoever is gone is not removed within any of these tests. */
const timing = { lease: 600_000 }

interface Heard {
  readonly resets: RoomReset[]
  readonly peerIds: string[]
}

/** What the page's room tells from now on of its history and of its identity. */
async function listen(tab: Tab): Promise<() => Promise<Heard>> {
  const heard = await tab.page.evaluateHandle(() => {
    const { room } = window.kit
    const heard: Heard = { resets: [], peerIds: [] }
    room.addEventListener('reset', ({ detail }) => heard.resets.push(detail))
    room.addEventListener('identitychange', ({ detail }) => heard.peerIds.push(detail.peerId))
    return heard
  })
  return () => heard.jsonValue()
}

function recover(tab: Tab, options?: { acceptDataLoss: boolean }): Promise<Outcome> {
  return tab.page.evaluate(
    (options) => window.kit.outcome(() => window.kit.room.recover(options as { acceptDataLoss: true })),
    options,
  )
}

/** The token of a lock that is granted. */
async function take(tab: Tab, name: string): Promise<number> {
  const outcome = await tab.acquire(name)
  if (!outcome.ok) throw new Error(`${name}: ${outcome.message}`)
  return Number(outcome.value)
}

function peerIdOf(tab: Tab): Promise<string> {
  return tab.page.evaluate(() => window.kit.room.peerId)
}

/** Of three voters in three browsers the other two crash. The one that is left holds a lock, and has what was agreed. */
async function leftAlone(tabs: readonly Tab[], left: Tab): Promise<{ token: number; gone: Tab[] }> {
  expect((await left.set('text', 'agreed')).ok).toBe(true)
  const token = await take(left, 'paragraph')
  const gone = tabs.filter((tab) => tab !== left)
  for (const tab of gone) await tab.crash()
  await until('no-quorum', async () => (await left.status()) === 'no-quorum')
  return { token, gone }
}

/** The same browser, the same disk. It is there before it has a room. */
async function reopen(meadow: Meadow, { page }: Tab): Promise<Tab> {
  const tab = await openTab(page.context())
  await tab.join(meadow.room, { ...meadow.options, until: 'local' })
  return tab
}

async function allReadyTogether(tabs: readonly Tab[]): Promise<void> {
  await until('all are ready, and all of them vote', async () => {
    const ids = (await Promise.all(tabs.map(peerIdOf))).sort().join()
    for (const tab of tabs) {
      if ((await tab.status()) !== 'ready') return false
      // What is asked in the very moment in which a history ends has no answer (N3): it is asked again.
      const voters = await tab.metrics().then(
        (metrics) => [...metrics.voters].sort(),
        () => null,
      )
      if (voters?.join() !== ids) return false
    }
    return true
  })
}

for (const whose of ['that led', 'that followed'] as const) {
  test(`[N3] two of three browsers crash: the one ${whose} goes on alone with text, lock and higher tokens`, async ({
    meet,
  }) => {
    const meadow = await meet('three browsers', { timing })
    const tabs = await meadow.openAll(3)
    const { leader, others } = await meadow.split(tabs)
    const left = whose === 'that led' ? leader : others[0]
    if (!left) throw new Error('three tabs')
    expect(await recover(left, { acceptDataLoss: true })).toMatchObject({ ok: false, code: 'conflict' })
    const { token } = await leftAlone(tabs, left)
    const heard = await listen(left)
    for (const options of [undefined, { acceptDataLoss: false }])
      expect(await recover(left, options)).toMatchObject({ ok: false, name: 'TypeError' })
    expect(await left.status()).toBe('no-quorum')
    expect(await recover(left, { acceptDataLoss: true })).toMatchObject({ ok: true })
    await until('ready', async () => (await left.status()) === 'ready', 5_000)
    expect(await heard()).toEqual({
      resets: [{ cause: 'forked', lost: { locks: [], store: [], deleted: [], counters: [], complete: true } }],
      peerIds: [],
    })
    expect((await left.metrics()).voters).toEqual([left.peerId])
    expect(await left.get('text')).toBe('agreed')
    expect(await left.lockState('paragraph')).toBe('held')
    // T1: above whatever those who are missing may have given since.
    expect((await take(left, 'another')) - token).toBeGreaterThan(2 ** 32)
  })
}

test('[N3] those who crashed come back, and have agreed on nothing since: they come over to the fork as others', async ({
  meet,
}) => {
  const meadow = await meet('three browsers', { timing })
  const tabs = await meadow.openAll(3)
  const [left] = tabs
  if (!left) throw new Error('three tabs')
  const { gone } = await leftAlone(tabs, left)
  expect(await recover(left, { acceptDataLoss: true })).toMatchObject({ ok: true })
  expect((await left.set('fork', 'kept')).ok).toBe(true)
  const token = await take(left, 'another')
  const heardLeft = await listen(left)
  const back = await Promise.all(gone.map((tab) => reopen(meadow, tab)))
  const heard = await Promise.all(back.map(listen))
  await allReadyTogether([left, ...back])
  for (const tab of back) {
    expect(await tab.get('text')).toBe('agreed')
    expect(await tab.get('fork')).toBe('kept')
  }
  for (const [at, tab] of back.entries()) {
    const { resets, peerIds } = (await heard[at]?.()) ?? { resets: [], peerIds: [] }
    expect(resets).toEqual([
      { cause: 'merged', lost: { locks: [], store: [], deleted: [], counters: [], complete: true } },
    ])
    // B13: what it had voted for is not forgotten by coming back.
    expect(peerIds.at(-1)).toBe(await peerIdOf(tab))
    expect(gone.map(({ peerId }) => peerId)).not.toContain(await peerIdOf(tab))
  }
  expect(await heardLeft()).toEqual({ resets: [], peerIds: [] })
  expect(await left.lockState('paragraph')).toBe('held')
  for (const [at, tab] of back.entries()) expect(await take(tab, `next ${at}`)).toBeGreaterThan(token)
})

test('[N3] those who crashed come back and agree on something before they meet the fork: it is told what it loses', async ({
  meet,
}) => {
  const meadow = await meet('three browsers', { timing })
  // The one that is left reaches nobody while its gate is shut: new links need the server.
  const sockets = new Set<WebSocketRoute>()
  let isShut = false
  const left = await meadow.open(async ({ page }) => {
    await page.routeWebSocket(/^ws:/, (socket) => {
      if (isShut) void socket.close()
      else {
        socket.connectToServer()
        sockets.add(socket)
      }
    })
  })
  const tabs = [left, await meadow.open(), await meadow.open()]
  await allReadyTogether(tabs)
  const { gone } = await leftAlone(tabs, left)
  isShut = true
  for (const socket of sockets) await socket.close()
  expect(await recover(left, { acceptDataLoss: true })).toMatchObject({ ok: true })
  expect((await left.set('fork', 'lost')).ok).toBe(true)
  expect(await left.page.evaluate(() => window.kit.room.store.delete('text'))).toBe(true)
  const token = await take(left, 'another')
  const back = await Promise.all(gone.map((tab) => reopen(meadow, tab)))
  const [first] = back
  if (!first) throw new Error('two tabs')
  await until('they are ready', async () => (await first.status()) === 'ready')
  expect((await first.set('main', 'kept')).ok).toBe(true)
  const heard = await listen(left)
  isShut = false
  await allReadyTogether([left, ...back])
  const { resets, peerIds } = await heard()
  expect(resets).toMatchObject([
    { cause: 'merged', lost: { store: [{ key: 'fork', value: 'lost' }], deleted: [{ key: 'text' }], complete: true } },
  ])
  expect([...(resets[0]?.lost.locks ?? [])].sort()).toEqual(['another', 'paragraph'])
  expect(peerIds.at(-1)).toBe(await peerIdOf(left))
  expect(peerIds.at(-1)).not.toBe(left.peerId)
  expect(await left.lockState('another')).toBe('lost')
  for (const tab of [left, ...back]) {
    expect([await tab.get('text'), await tab.get('main')]).toEqual(['agreed', 'kept'])
    expect(await tab.get('fork')).toBeUndefined()
  }
  // T1: also above what the fork gave.
  expect(await take(left, 'next')).toBeGreaterThan(token)
})

test('[N1] [N2] a browser that finds nobody of the room may found it anew; the one that comes back after all is the elder', async ({
  meet,
}) => {
  const meadow = await meet('three browsers', { timing })
  const elder = await meadow.open()
  expect((await elder.set('of', 'elder')).ok).toBe(true)
  await elder.crash()
  // The server knows the room, and nobody who has it is there.
  const context = await elder.page.context().browser()?.newContext()
  if (!context) throw new Error('no other browser')
  try {
    const other = await openTab(context)
    await other.join(meadow.room, { ...meadow.options, until: 'local' })
    expect(await other.status()).toBe('joining')
    expect(await recover(other, { acceptDataLoss: true })).toMatchObject({ ok: false, code: 'conflict' })
    await until('no-quorum', async () => (await other.status()) === 'no-quorum')
    expect(await recover(other, { acceptDataLoss: true })).toMatchObject({ ok: true })
    await until('ready', async () => (await other.status()) === 'ready', 5_000)
    expect((await other.set('anew', 'written')).ok).toBe(true)
    const token = await take(other, 'paragraph')
    const heard = await listen(other)
    const back = await reopen(meadow, elder)
    await allReadyTogether([back, other])
    expect([await other.get('of'), await other.get('anew')]).toEqual(['elder', undefined])
    const { resets } = await heard()
    expect(resets).toMatchObject([{ cause: 'merged', lost: { store: [{ key: 'anew', value: 'written' }] } }])
    expect(resets[0]?.lost.locks).toEqual(['paragraph'])
    expect(await take(back, 'next')).toBeGreaterThan(token)
  } finally {
    await context.close()
  }
})
