import { describe, expect, it } from 'vitest'
import { Story, withLease } from './story.js'

const lease = 5_000

describe('a tab that is gone', () => {
  it('[L2] is proven dead by its browser: its locks are free within 100 ms', async () => {
    const times: number[] = []
    for (let run = 0; run < 7; run++) {
      const story = new Story(`crash at home ${run}`, withLease(lease))
      const tabs = await story.open(3)
      const leader = story.leaderOf(tabs)
      const [holder, other] = tabs.filter((tab) => tab !== leader)
      if (!holder || !other) throw new Error('three tabs')
      await story.acquire(holder, 'doc')
      const next = story.ask(other, 'doc')
      await story.pass(500)
      const crashedAt = story.now
      holder.crash()
      await story.until(() => next.at !== null)
      times.push((next.at ?? 0) - crashedAt)
    }
    times.sort((a, b) => a - b)
    // 50 ms for a goodbye that may come, and a heartbeat for the last commands.
    expect(times[3]).toBeLessThan(100)
    // The double of the lock service may take 60 ms to see a crash, twice.
    expect(times[6]).toBeLessThan(200)
  })

  it('[L2] in another browser is waited for: its locks are free after the lease', async () => {
    const story = new Story('crash abroad', { ...withLease(lease), registrar: true })
    const tabs = await story.open(1, 1, 1)
    const leader = story.leaderOf(tabs)
    const [holder, other] = tabs.filter((tab) => tab !== leader)
    if (!holder || !other) throw new Error('three tabs')
    await story.acquire(holder, 'doc')
    const next = story.ask(other, 'doc')
    await story.pass(500)
    const crashedAt = story.now
    holder.crash()
    await story.until(() => next.at !== null, 2 * lease)
    expect((next.at ?? 0) - crashedAt).toBeGreaterThan(lease - 1_200)
    expect((next.at ?? 0) - crashedAt).toBeLessThan(lease + 500)
  })

  it('[L2] by its worker alone proves nothing: its page keeps its lock, and nobody takes its identity', async () => {
    const story = new Story('worker only', withLease(lease))
    const tabs = await story.open(3)
    const leader = story.leaderOf(tabs)
    const [holder, other] = tabs.filter((tab) => tab !== leader)
    if (!holder || !other) throw new Error('three tabs')
    const lock = await story.acquire(holder, 'doc')
    await story.pass(500)
    holder.crashWorker()
    const newcomer = story.sim.openTab(holder.browser)
    const next = story.ask(other, 'doc')
    await story.until(() => newcomer.page.room.status === 'ready')
    expect(newcomer.page.peerId).not.toBe(holder.page.peerId)
    expect(lock.state).toBe('held')
    await story.until(() => next.at !== null, 2 * lease)
    expect(lock.state).toBe('unsure')
  })

  it.each(['closed from its side', 'lost'])(
    '[M5] is not one whose channel was %s: its session goes on',
    async (how) => {
      const story = new Story(`a channel ${how}`, { ...withLease(lease), registrar: true })
      const tabs = await story.open(1, 1, 1)
      const leader = story.leaderOf(tabs)
      const [holder, other] = tabs.filter((tab) => tab !== leader)
      if (!holder || !other) throw new Error('three tabs')
      const lock = await story.acquire(holder, 'doc')
      const next = story.ask(other, 'doc')
      await story.pass(500)
      const linked = () => [...story.hostOf(leader).network.links].some(({ to }) => to.peerId === story.peerOf(holder))
      // Who hears nonsense closes the channel; the page behind it lives on.
      if (how === 'lost') story.sim.ether.breakLinks(story.peerOf(leader), story.peerOf(holder))
      else story.sayBytes(leader, holder, new Uint8Array([255]))
      await story.until(() => !linked(), 10_000, 'the end of the channel')
      await story.until(linked, 10_000, 'another channel')
      await story.pass(2_000)
      expect(lock.state).toBe('held')
      expect(next.at).toBeNull()
    },
  )

  it.each([
    ['lost: its followers wait for its heartbeats', 'lost', false],
    ['closed from its side: an election is due', 'remote', true],
  ] as const)('[M5] is a leader or not, whose channel was %s', async (_title, reason, isForgotten) => {
    const story = new Story(`a leader's channel, ${reason}`, { ...withLease(lease), registrar: true })
    const tabs = await story.open(1, 1, 1)
    const leader = story.leaderOf(tabs)
    const [other] = tabs.filter((tab) => tab !== leader)
    if (!other) throw new Error('three tabs')
    const { host, network, thread } = story.hostOf(other)
    const link = [...network.links].find(({ to }) => to.peerId === story.peerOf(leader))
    thread.post(0, 'the end of a channel', () => link?.fall(reason))
    // Less than an election time-out.
    await story.pass(20)
    expect(link?.isDown).toBe(true)
    expect(host.status.leader).toBe(isForgotten ? null : story.peerOf(leader))
  })

  it('[L4] was the only voter: a survivor reopens its node, and the room goes on', async () => {
    const story = new Story('two tabs', withLease(lease))
    const tabs = await story.open(2)
    const voter = story.leaderOf(tabs)
    const survivor = tabs.find((tab) => tab !== voter)
    if (!survivor) throw new Error('two tabs')
    expect(story.sim.leader?.host.status.configuration.voters).toEqual([story.peerOf(voter)])
    await story.settle(voter.page.room.store.set('key', 'written before'))
    voter.crash()
    await story.pass(2_000)
    expect((await story.settle(survivor.page.room.store.get('key')))?.value).toBe('written before')
    await story.acquire(survivor, 'doc')
    await story.pass(3_000)
    // The dead tab's node has gone again: the room does without it.
    expect(story.sim.leader?.host.status.configuration.voters).toEqual([story.peerOf(survivor)])
    expect(story.sim.hosts).toHaveLength(1)
  })

  it('[L4] ... as soon as its death is proven: the survivor does not look for a leader first', async () => {
    const story = new Story('two tabs, at once', withLease(lease))
    const tabs = await story.open(2)
    const voter = story.leaderOf(tabs)
    const survivor = tabs.find((tab) => tab !== voter)
    if (!survivor) throw new Error('two tabs')
    voter.crash()
    const written = story.watch(survivor.page.room.store.set('key', 'written by the survivor'))
    // The worker's own look for dead tabs' nodes comes every 400 ms, and only after as long without a leader.
    await story.until(() => written.at !== null, 300, 'the write')
    expect(written.error).toBeUndefined()
  })

  it('[L4] ... and its lock passes on then, though its own reopened node leads', async () => {
    const times: number[] = []
    for (let run = 0; run < 5; run++) {
      const story = new Story(`probe ${run}`, withLease(lease))
      const tabs = await story.open(2)
      const voter = story.leaderOf(tabs)
      const survivor = tabs.find((tab) => tab !== voter)
      if (!survivor) throw new Error('two tabs')
      await story.acquire(voter, 'doc')
      const next = story.ask(survivor, 'doc')
      await story.pass(500)
      const crashedAt = story.now
      voter.crash()
      await story.until(() => next.at !== null)
      expect(story.sim.leader?.self, 'its own node leads').toMatchObject({ peerId: voter.page.peerId, resident: true })
      times.push((next.at ?? 0) - crashedAt)
    }
    times.sort((a, b) => a - b)
    // 50 ms for a goodbye that may come, a reopened database, and a heartbeat for the last commands. Else: its removal from the members.
    expect(times[2]).toBeLessThan(250)
  })

  it('[L4] and all the others too: whoever opens next finds what was stored', async () => {
    const story = new Story('all close', withLease(lease))
    const tabs = await story.open(3)
    const [tab] = tabs
    if (!tab) throw new Error('three tabs')
    await story.settle(tab.page.room.store.set('key', 'kept'))
    for (const closing of tabs) closing.close()
    await story.pass(5_000)
    expect(story.sim.hosts).toHaveLength(0)
    const again = story.sim.openTab(tab.browser)
    await story.until(() => again.page.room.status === 'ready', 10_000, 'the room')
    expect((await story.settle(again.page.room.store.get('key')))?.value).toBe('kept')
  })

  it('[L4] while nobody here knew it: a tab that has met no one takes in the nodes of its browser', async () => {
    const story = new Story('stranger', withLease(lease))
    const [voter] = await story.open(1)
    if (!voter) throw new Error('a tab')
    await story.settle(voter.page.room.store.set('key', 'kept'))
    const newcomer = story.sim.openTab(voter.browser)
    await story.until(() => newcomer.page.peerId !== '')
    story.cutOff(newcomer, [voter])
    await story.pass(500)
    expect(newcomer.page.room.status).toBe('joining')
    voter.crash()
    story.heal()
    await story.until(() => newcomer.page.room.status === 'ready', 10_000, 'the room')
    expect((await story.settle(newcomer.page.room.store.get('key')))?.value).toBe('kept')
  })

  it('[L4] twice: a node whose keeper dies in its turn is taken in again', async () => {
    const story = new Story('keeper dies', withLease(lease))
    const tabs = await story.open(3)
    const [first, second, last] = tabs
    if (!first || !second || !last) throw new Error('three tabs')
    await story.settle(first.page.room.store.set('key', 'kept'))
    first.crash()
    second.crash()
    await story.until(() => story.sim.hosts.length > 1, 5_000, 'a resident')
    await story.pass(3_000)
    await story.acquire(last, 'doc')
    expect((await story.settle(last.page.room.store.get('key')))?.value).toBe('kept')
  })

  it('[L4] a node that is carried on is given to the tab that is opened next', async () => {
    const story = new Story('carried on', { ...withLease(lease), registrar: true })
    const tabs = await story.open(2, 1, 1)
    const voters = story.sim.leader?.host.status.configuration.voters ?? []
    const [voter, keeper] = tabs.slice(0, 2).sort((a) => (voters.includes(story.peerOf(a)) ? -1 : 1))
    const abroad = tabs.slice(2)
    if (!voter || !keeper) throw new Error('two tabs in one browser')
    const identity = story.peerOf(voter)
    expect(voters).toContain(identity)
    await story.settle(keeper.page.room.store.set('key', 'kept'))
    for (const tab of [...abroad, voter]) tab.crash()
    await story.until(() => story.sim.hosts.length === 2, 5_000, 'a resident')
    const next = story.sim.openTab(voter.browser)
    await story.until(() => next.page.peerId !== '', 5_000, 'an identity')
    expect(next.page.peerId).toBe(identity)
    const back = abroad.map((tab) => story.sim.openTab(tab.browser))
    for (const tab of [keeper, next, ...back]) {
      await story.until(() => tab.page.room.status === 'ready', 10_000, 'the room')
      expect((await story.settle(tab.page.room.store.get('key')))?.value).toBe('kept')
    }
  })

  it('[M1] and has said so: its locks are free at once, and an election later somebody leads', async () => {
    const story = new Story('goodbye', withLease(lease))
    const tabs = await story.open(3)
    const leader = story.leaderOf(tabs)
    const [other] = tabs.filter((tab) => tab !== leader)
    if (!other) throw new Error('three tabs')
    const lock = await story.acquire(leader, 'doc')
    const next = story.ask(other, 'doc')
    await story.pass(500)
    const closedAt = story.now
    leader.close()
    expect(lock.state).toBe('lost')
    await story.until(() => next.at !== null)
    expect((next.at ?? 0) - closedAt).toBeLessThan(300)
  })

  it('[M1] and has said so: the one who is then needed for every commit is asked first whether it is there', async () => {
    const story = new Story('goodbye beside a dead one', { ...withLease(lease), registrar: true })
    const tabs = await story.open(1, 1, 1)
    const leader = story.leaderOf(tabs)
    const [silent, leaving] = tabs.filter((tab) => tab !== leader)
    if (!silent || !leaving) throw new Error('three tabs')
    const host = story.sim.leader?.host
    await story.pass(500)
    // Its link looks alive: nothing but an answer could tell.
    story.cutOff(silent, [leader, leaving])
    leaving.close()
    await story.pass(250)
    expect(host?.status.configuration.voters).toHaveLength(3)
    story.heal()
    await story.until(() => story.sim.leader?.host.status.configuration.voters.length === 2, 2_000, 'two voters')
    expect(story.sim.leader?.host.status.configuration.voters).not.toContain(story.peerOf(leaving))
  })
})
