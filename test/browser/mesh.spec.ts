/** Rooms whose browsers are not all linked as they would be. */
import { expect, type Tab, test, until } from './kit.js'

const linkOf = (tab: Tab, other: Tab) =>
  tab.page.evaluate(
    (peerId) => window.kit.room.members.current.find((member) => member.peerId === peerId)?.link ?? null,
    other.peerId,
  )
const connections = (tab: Tab) => tab.page.evaluate(() => window.kit.connections.length)

test('with the server gone, a pair whose connection broke is connected again by the peer in between', async ({
  meet,
}) => {
  const meadow = await meet('three browsers')
  const [a, b, c] = await meadow.openAll(3)
  if (!a || !b || !c) throw new Error('three tabs')
  await until('all linked', async () => (await linkOf(a, b)) === 'webrtc' && (await linkOf(b, a)) === 'webrtc')
  await meadow.signaling?.close()
  const before = [await connections(a), await connections(b)]
  // The first that the first tab made is with the second.
  await a.page.evaluate(() => window.kit.connections[0]?.close())
  await until('b has noticed', async () => (await connections(b)) > (before[1] ?? 0))
  await until('linked again', async () => (await linkOf(a, b)) === 'webrtc' && (await linkOf(b, a)) === 'webrtc')
  const made = [await connections(a), await connections(b)]
  expect(made[0]).toBeGreaterThan(before[0] ?? 0)
  expect((await a.acquire('paragraph')).ok).toBe(true)
  const waits = b.acquire('paragraph', { timeout: 10_000 })
  await a.release('paragraph')
  expect((await waits).ok).toBe(true)
})

test('[F4] a pair that cannot connect is relayed by the third browser, and links itself when it can', async ({
  meet,
}) => {
  const meadow = await meet('three browsers')
  const a = await meadow.open()
  const c = await meadow.open()
  await until('two linked', async () => (await linkOf(a, c)) === 'webrtc')
  await a.page.evaluate(() => window.kit.wallIn(true))
  const b = await meadow.open()
  await until('three voters', async () => (await a.metrics()).voters.length === 3, 30_000)
  await until('relayed', async () => (await linkOf(a, b)) === 'peer-relay' && (await linkOf(b, a)) === 'peer-relay')
  expect(await linkOf(b, c)).toBe('webrtc')
  expect((await b.acquire('paragraph')).ok).toBe(true)
  const waits = a.acquire('paragraph', { timeout: 10_000 })
  await b.release('paragraph')
  expect((await waits).ok).toBe(true)
  expect((await b.set('text', 'x'.repeat(60_000))).ok).toBe(true)
  expect(await a.get('text')).toHaveLength(60_000)
  await a.page.evaluate(() => window.kit.wallIn(false))
  await until('linked', async () => (await linkOf(a, b)) === 'webrtc' && (await linkOf(b, a)) === 'webrtc', 40_000)
})

test('[PLATFORM 27] a page that was frozen is back in the room within a second of waking', async ({ meet }) => {
  const meadow = await meet('three browsers')
  const tabs = await meadow.openAll(3)
  const { others } = await meadow.split(tabs)
  const [frozen, other] = others
  if (!frozen || !other) throw new Error('three tabs')
  const session = await frozen.page.context().newCDPSession(frozen.page)
  await session.send('Page.setWebLifecycleState', { state: 'frozen' })
  const isConnected = (tab: Tab) =>
    tab.page.evaluate(
      (peerId) => window.kit.room.members.current.find((member) => member.peerId === peerId)?.connected ?? null,
      frozen.peerId,
    )
  await until('the others miss it', async () => (await isConnected(other)) === false, 15_000)
  await session.send('Page.setWebLifecycleState', { state: 'active' })
  const woke = Date.now()
  await until('it is back', async () => (await isConnected(other)) === true, 5_000)
  expect((await frozen.acquire('paragraph', { timeout: 5_000 })).ok).toBe(true)
  test.info().annotations.push({ type: 'ms from waking to a lock', description: String(Date.now() - woke) })
  console.log('ms from waking to a lock', Date.now() - woke)
  expect(Date.now() - woke).toBeLessThan(1_000)
})
