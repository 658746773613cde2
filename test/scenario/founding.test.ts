import { describe, expect, it } from 'vitest'
import { Story, withLease } from './story.js'

describe('founding', () => {
  it('[N1] tabs of one browser that open at once found one room, and each has an identity of its own', async () => {
    const story = new Story('five at once', withLease(5_000))
    const browser = story.sim.createBrowser()
    const tabs = Array.from({ length: 5 }, () => story.sim.openTab(browser))
    await story.until(() => tabs.every((tab) => tab.page.room.status === 'ready'), 10_000, 'five tabs ready')
    expect(new Set(tabs.map((tab) => tab.page.peerId)).size).toBe(5)
    expect(new Set(story.sim.hosts.map(({ host }) => host.lineage?.roomId)).size).toBe(1)
  })

  it.each([1, 2, 3, 4, 5])('[N1] browsers that open at once found one room (%i)', async (run) => {
    const story = new Story(`three browsers ${run}`, { ...withLease(5_000), registrar: true })
    const tabs = [1, 2, 3].map(() => story.sim.openTab(story.sim.createBrowser()))
    await story.until(() => tabs.every((tab) => tab.page.room.status === 'ready'), 10_000, 'three tabs ready')
    expect(new Set(story.sim.hosts.map(({ host }) => host.lineage?.roomId)).size).toBe(1)
    // Whoever lost has dropped its empty room: there is one log, as the checker has seen at every entry.
    const locks = tabs.map((tab) => story.ask(tab, 'doc'))
    await story.until(() => locks.some(({ at }) => at !== null))
    expect(locks.filter(({ value }) => value?.state === 'held')).toHaveLength(1)
  })

  const crowds = [
    ['of one browser', (count: number) => [count]],
    ['of as many browsers', (count: number) => Array<number>(count).fill(1)],
    [
      'of browsers with one tab and with several',
      (count: number) => [Math.ceil(count / 2), ...Array<number>(Math.floor(count / 2)).fill(1)],
    ],
  ] as const

  describe.each(crowds)('[N1] in an empty room tabs arrive at once %s', (title, tabsOf) => {
    it.each([
      [2, false],
      [5, false],
      [10, false],
      [2, true],
      [5, true],
      [10, true],
    ])('%i of them, the server restarts: %s', { timeout: 60_000 }, async (count, restarts) => {
      const story = new Story(`${count} ${title} ${restarts}`, { ...withLease(5_000), registrar: true })
      const tabs = tabsOf(count).flatMap((tabs) => {
        const browser = story.sim.createBrowser()
        return Array.from({ length: tabs }, () => story.sim.openTab(browser))
      })
      expect(tabs).toHaveLength(count)
      if (restarts) {
        await story.pass(40)
        story.sim.registrar?.goDown()
        await story.pass(1_000)
        story.sim.registrar?.comeUp(true)
      }
      await story.until(() => tabs.every((tab) => tab.page.room.status === 'ready'), 30_000, 'all ready')
      expect(new Set(tabs.map((tab) => tab.page.peerId)).size).toBe(count)
      expect(new Set(story.sim.hosts.map(({ host }) => host.lineage?.roomId)).size).toBe(1)
      const locks = tabs.map((tab) => story.ask(tab, 'doc'))
      await story.until(() => locks.some(({ at }) => at !== null))
      expect(locks.filter(({ value }) => value?.state === 'held')).toHaveLength(1)
    })
  })

  it('[N1] a registration that a server forgot is kept by those who carry the room', async () => {
    const story = new Story('amnesia', { ...withLease(5_000), registrar: true })
    const [first] = await story.open(1, 1)
    if (!first) throw new Error('a tab')
    story.sim.registrar?.goDown()
    await story.pass(1_000)
    story.sim.registrar?.comeUp(true)
    const newcomer = story.sim.openTab(story.sim.createBrowser())
    await story.until(() => newcomer.page.room.status === 'ready', 20_000, 'the newcomer')
    expect(new Set(story.sim.hosts.map(({ host }) => host.lineage?.roomId)).size).toBe(1)
  })

  it('[F2] of two disks that go on from one counter the second to come is refused', async () => {
    const story = new Story('cloned profile', { ...withLease(5_000), registrar: true })
    const [home, original] = await story.open(1, 1)
    if (!home || !original) throw new Error('two tabs')
    const peerId = story.peerOf(original)
    const clone = story.sim.createBrowser()
    clone.copyIdentity(peerId, original.browser)
    original.close()
    await story.pass(1_000)
    original.reload()
    await story.until(() => original.page.room.status === 'ready')
    const refused: string[] = []
    home.page.connection.listen({
      refused: (peer, { code, details }) => refused.push(`${peer} ${details?.['reason']} ${code}`),
    })
    const copy = story.sim.openTab(clone)
    await story.pass(10_000)
    expect(copy.page.peerId).toBe(peerId)
    expect(refused).toContain(`${peerId} incarnation room-auth`)
    expect(copy.page.room.status).not.toBe('ready')
    expect(original.page.room.status).toBe('ready')
    await story.acquire(original, 'doc')
  })
})
