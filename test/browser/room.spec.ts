import { expect, meetings, test, until } from './kit.js'

for (const meeting of meetings) {
  test.describe(meeting, () => {
    test('three tabs find each other, elect one leader and all vote', async ({ meet }) => {
      const meadow = await meet(meeting)
      const tabs = await meadow.openAll(3)
      await meadow.split(tabs)
      for (const tab of tabs) {
        const members = await tab.page.evaluate(() => window.kit.room.members.current)
        const links = members.filter(({ self }) => !self).map(({ link }) => link)
        const kind = {
          'one browser': 'broadcast',
          'three browsers': 'webrtc',
          'three browsers, relayed': 'webrtc-relayed',
        }
        expect(links).toEqual([kind[meeting], kind[meeting]])
      }
    })

    test('a lock is handed over the moment it is released', async ({ meet }) => {
      const meadow = await meet(meeting)
      const [a, b, c] = await meadow.openAll(3)
      if (!a || !b || !c) throw new Error('three tabs')
      const first = await a.acquire('paragraph')
      const second = b.acquire('paragraph')
      await until(
        'b waits',
        async () => (await a.page.evaluate(() => window.kit.room.locks.query())).pending.length === 1,
      )
      const third = c.acquire('paragraph')
      await until(
        'c waits',
        async () => (await a.page.evaluate(() => window.kit.room.locks.query())).pending.length === 2,
      )
      expect(await a.lockState('paragraph')).toBe('held')
      await a.release('paragraph')
      const secondOutcome = await second
      expect(secondOutcome.ok).toBe(true)
      await b.release('paragraph')
      const tokens = [first, secondOutcome, await third].map((outcome) => (outcome.ok ? Number(outcome.value) : 0))
      expect(tokens).toEqual([...tokens].sort((x, y) => x - y))
      expect(new Set(tokens).size).toBe(3)
    })

    test('[M1] a closing tab hands its lock over at once', async ({ meet }) => {
      const meadow = await meet(meeting)
      const tabs = await meadow.openAll(3)
      const { leader, others } = await meadow.split(tabs)
      const [closing, waiting] = others
      if (!closing || !waiting) throw new Error('three tabs')
      await closing.acquire('paragraph')
      const granted = waiting.acquire('paragraph', { timeout: 5_000 })
      await until(
        'it waits',
        async () => (await leader.page.evaluate(() => window.kit.room.locks.query())).pending.length === 1,
      )
      await closing.close()
      expect((await granted).ok).toBe(true)
    })

    test('[M1][M5] a closing leader is replaced at once, and its lock passes on', async ({ meet }) => {
      const meadow = await meet(meeting)
      const tabs = await meadow.openAll(3)
      const { leader, others } = await meadow.split(tabs)
      const [b, c] = others
      if (!b || !c) throw new Error('three tabs')
      await leader.acquire('paragraph')
      const granted = b.acquire('paragraph', { timeout: 5_000 })
      await until(
        'it waits',
        async () => (await leader.page.evaluate(() => window.kit.room.locks.query())).pending.length === 1,
      )
      await leader.close()
      expect((await granted).ok).toBe(true)
      await meadow.split([b, c])
    })

    test('a crashed leader is replaced, and its lock passes on', async ({ meet }) => {
      const meadow = await meet(meeting)
      const tabs = await meadow.openAll(3)
      const { leader, others } = await meadow.split(tabs)
      const [b, c] = others
      if (!b || !c) throw new Error('three tabs')
      await leader.acquire('paragraph', { lease: 3_000 })
      const timeout = meeting === 'one browser' ? 2_000 : 8_000
      const granted = b.acquire('paragraph', { timeout })
      await until(
        'it waits',
        async () => (await leader.page.evaluate(() => window.kit.room.locks.query())).pending.length === 1,
      )
      await leader.crash()
      await meadow.split([b, c])
      expect((await granted).ok).toBe(true)
    })
  })
}
