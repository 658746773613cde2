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

/** The processes that run pages, as the browser counts them. */
async function renderers(tab: Tab): Promise<number[]> {
  const session = await tab.page.context().browser()?.newBrowserCDPSession()
  const { processInfo } = (await session?.send('SystemInfo.getProcessInfo')) ?? { processInfo: [] }
  await session?.detach()
  return processInfo.filter(({ type }) => type === 'renderer').map(({ id }) => id)
}

const isMissed = (tab: Tab, other: Tab) =>
  tab.page.evaluate(
    (peerId) => window.kit.room.members.current.find((member) => member.peerId === peerId)?.connected !== true,
    other.peerId,
  )

for (const moment of ['the others miss it', 'ICE gives it up'] as const) {
  test(`[PLATFORM 27] a peer suspended until ${moment} goes on when it wakes, in less than twice the time that a new tab takes`, async ({
    meet,
  }) => {
    test.setTimeout(120_000)
    const meadow = await meet('three browsers')
    const [a, b] = [await meadow.open(), await meadow.open()]
    const before = await renderers(a)
    const suspended = await meadow.open()
    // A spare one may have been started with it.
    const processes = (await renderers(a)).filter((id) => !before.includes(id))
    await until('three voters', async () => (await a.metrics()).voters.length === 3)
    await meadow.split([a, b, suspended])
    for (const id of processes) process.kill(id, 'SIGSTOP')
    try {
      for (const tab of [a, b]) await until('missed', () => isMissed(tab, suspended), 15_000)
      const hasFailed = (tab: Tab) => tab.page.evaluate(() => window.kit.connectionStates.includes('failed'))
      if (moment === 'ICE gives it up')
        await until('failed', async () => (await hasFailed(a)) && (await hasFailed(b)), 60_000)
    } finally {
      for (const id of processes) process.kill(id, 'SIGCONT')
    }
    const woke = Date.now()
    // Through the one that leads, and by what a quorum has agreed on since.
    expect((await suspended.acquire('paragraph', { timeout: 5_000 })).ok).toBe(true)
    const back = Date.now() - woke
    const opened = Date.now()
    expect((await (await meadow.open()).acquire('another')).ok).toBe(true)
    const anew = Date.now() - opened
    test.info().annotations.push({ type: 'back, and anew, after ms', description: `${back}, ${anew}` })
    expect(back).toBeLessThan(2 * anew)
    for (const tab of [a, b]) await until('it is back', async () => !(await isMissed(tab, suspended)))
  })
}
