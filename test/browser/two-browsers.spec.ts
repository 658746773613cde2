import { expect, type Meadow, openTab, type Tab, test, until } from './kit.js'

const meetings = ['three browsers', 'three browsers, relayed'] as const

/** Two tabs in two browsers that both vote, where the page of the one that leads has its vote for the other. */
async function pair(meadow: Meadow): Promise<{ leader: Tab; other: Tab }> {
  const { leader, others } = await meadow.split(await meadow.openAll(2))
  const [other] = others
  if (!other) throw new Error('two tabs')
  // What is written after the first answer is written after the promise.
  for (const value of ['a', 'b']) expect((await leader.set('text', value)).ok).toBe(true)
  return { leader, other }
}

for (const meeting of meetings) {
  test.describe(`[M2] two browsers${meeting === 'three browsers' ? '' : ', relayed'}`, () => {
    test('the one that leads is closed: the other has its lock, its text and the lead at once', async ({ meet }) => {
      const meadow = await meet(meeting)
      const { leader, other } = await pair(meadow)
      await leader.acquire('paragraph')
      const granted = other.acquire('paragraph', { timeout: 5_000 })
      await leader.close()
      expect((await granted).ok).toBe(true)
      expect(await other.get('text')).toBe('b')
      expect(await other.status()).toBe('ready')
      expect((await other.metrics()).voters).toEqual([other.peerId])
      const again = await meadow.open()
      expect(await again.get('text')).toBe('b')
      await until('two voters', async () => (await again.metrics()).voters.length === 2)
    })

    test('the other one is closed: the one that leads goes on at once', async ({ meet }) => {
      const { leader, other } = await pair(await meet(meeting))
      await other.acquire('paragraph')
      const granted = leader.acquire('paragraph', { timeout: 5_000 })
      await other.close()
      expect((await granted).ok).toBe(true)
      expect((await leader.metrics()).voters).toEqual([leader.peerId])
    })
  })
}

test('[M2] the one that leads leaves: the other leads at once', async ({ meet }) => {
  const { leader, other } = await pair(await meet('three browsers'))
  await leader.page.evaluate(() => window.kit.room.leave())
  expect((await other.acquire('paragraph', { timeout: 5_000 })).ok).toBe(true)
  expect(await other.get('text')).toBe('b')
})

test('[M2] the other one crashes: the one that leads says who is missing, and goes on after the lease', async ({
  meet,
}) => {
  const { leader, other } = await pair(await meet('three browsers'))
  await other.acquire('paragraph')
  const granted = leader.acquire('paragraph', { timeout: 40_000 })
  await other.crash()
  await until('no-quorum', async () => (await leader.status()) === 'no-quorum')
  expect((await granted).ok).toBe(true)
  await until('ready', async () => (await leader.status()) === 'ready')
  expect((await leader.metrics()).voters).toEqual([leader.peerId])
})

test('[M2] the one that leads crashes: the other says so, and goes on when it is back', async ({ meet }) => {
  const meadow = await meet('three browsers')
  const { leader, other } = await pair(meadow)
  await leader.crash()
  await until('no-quorum', async () => (await other.status()) === 'no-quorum')
  const granted = other.acquire('paragraph', { timeout: 40_000 })
  const back = await openTab(leader.page.context())
  expect(await back.join(meadow.room, meadow.options)).toBe(leader.peerId)
  expect((await granted).ok).toBe(true)
  expect(await back.get('text')).toBe('b')
})
