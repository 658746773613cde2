import { describe, expect, it } from 'vitest'
import type { SimTab } from '../../src/simulation/tab.js'
import { abroad, accepted, allInOne, get, lease, lineageOf, resetsOf, set } from './apart.js'
import { Story, withLease } from './story.js'

/** Three browsers; two crash, and the third goes on alone as a fork. */
async function forked(name: string) {
  const story = new Story(name, abroad)
  const tabs = (await story.open(1, 1, 1)) as [SimTab, SimTab, SimTab]
  await story.until(() => story.sim.leader?.host.status.configuration.voters.length === 3, 30_000, 'three voters')
  await set(story, tabs[0], 'shared', 'before')
  await story.pass(1_000)
  const [first, second, left] = tabs
  first.crash()
  second.crash()
  await story.until(() => left.page.room.status === 'no-quorum', 3 * lease, 'no-quorum')
  await story.settle(left.page.room.recover(accepted))
  return { story, tabs, first, second, left }
}

describe('[N3] where a fork and the history that it left meet', () => {
  it('the missing come back and have agreed on nothing since: they come over, and lose nothing', async () => {
    const { story, tabs, first, second, left } = await forked('come back')
    const held = await story.acquire(left, 'doc')
    await set(story, left, 'fork', 'kept')
    first.reload()
    second.reload()
    const resets = [resetsOf(first), resetsOf(second)]
    const mine = resetsOf(left)
    await allInOne(story, tabs)
    expect(lineageOf(first)?.epoch).toBe(1)
    for (const tab of tabs)
      expect([await get(story, tab, 'shared'), await get(story, tab, 'fork')]).toEqual(['before', 'kept'])
    expect(mine).toEqual([])
    // Whoever comes back first may meet one who has not heard yet, and go over once more.
    for (const heard of resets) {
      expect(heard.length).toBeGreaterThan(0)
      for (const { cause, lost } of heard) expect([cause, lost.store, lost.deleted]).toEqual(['merged', [], []])
    }
    expect(held.state).toBe('held')
    const next = await story.acquire(first, 'other')
    expect(next.token).toBeGreaterThan(held.token)
  })

  it('both sides have agreed on something: the one that kept its quorum goes on, and the fork is told what it loses', async () => {
    const story = new Story('both acted', abroad)
    const tabs = (await story.open(1, 1, 1)) as [SimTab, SimTab, SimTab]
    await story.until(() => story.sim.leader?.host.status.configuration.voters.length === 3, 30_000, 'three voters')
    await set(story, tabs[0], 'shared', 'before')
    for (const name of ['before', 'changed', 'gone']) await story.settle(tabs[0].page.room.counter(name).add(1))
    await story.pass(1_000)
    const [first, second, alone] = tabs
    story.cutOff(alone, [first, second])
    await story.until(() => alone.page.room.status === 'no-quorum', 3 * lease, 'no-quorum')
    await story.settle(alone.page.room.recover(accepted))
    await set(story, alone, 'fork', 'lost')
    await story.settle(alone.page.room.counter('changed').add(4))
    await story.settle(alone.page.room.counter('gone').compareAndSet(1, 0))
    await story.settle(alone.page.room.store.delete('shared'))
    const lock = await story.acquire(alone, 'doc')
    await set(story, first, 'main', 'kept')
    const resets = resetsOf(alone)
    story.heal()
    await allInOne(story, tabs)
    expect(lineageOf(alone)).toMatchObject({ epoch: 0 })
    expect(resets).toMatchObject([
      { cause: 'merged', lost: { locks: ['doc'], store: [{ key: 'fork', value: 'lost' }], complete: true } },
    ])
    expect(resets[0]?.lost.counters).toEqual([
      { name: 'changed', value: 5 },
      { name: 'gone', value: 0 },
    ])
    expect(await story.settle(alone.page.room.counter('changed').get())).toBe(1)
    // It is there again, for the person who has deleted it.
    expect(resets[0]?.lost.deleted.map(({ key }) => key)).toEqual(['shared'])
    expect(await get(story, alone, 'shared')).toBe('before')
    expect([lock.state, (lock.signal.reason as { reason?: string } | undefined)?.reason]).toEqual(['lost', 'reset'])
    for (const tab of tabs)
      expect([await get(story, tab, 'main'), await get(story, tab, 'fork')]).toEqual(['kept', undefined])
    // T1: what the fork gave is below whatever is given from now on.
    const next = await story.acquire(second, 'doc')
    expect(next.token).toBeGreaterThan(lock.token)
  })

  it('who had voted in the history that goes on comes back to it as somebody new (B13)', async () => {
    const { story, tabs, first, left } = await forked('somebody new')
    const before = story.peerOf(first)
    await set(story, left, 'fork', 'kept')
    first.reload()
    tabs[1].reload()
    await story.until(() => first.page.peerId !== '' && first.page.peerId !== before, 30_000, 'another identity')
    await allInOne(story, tabs)
    expect(story.sim.leader?.host.status.configuration.voters).not.toContain(before)
  })

  it('[L2] the life that ended with the fork is proven dead at once: nobody waits for its vote', async () => {
    const story = new Story('proven dead', { ...withLease(600_000), registrar: true })
    const tabs = (await story.open(1, 1, 1)) as [SimTab, SimTab, SimTab]
    await story.until(() => story.sim.leader?.host.status.configuration.voters.length === 3, 30_000, 'three voters')
    const [first, second, alone] = tabs
    const before = story.peerOf(alone)
    story.cutOff(alone, [first, second])
    await story.until(() => alone.page.room.status === 'no-quorum', 15_000, 'no-quorum')
    await story.settle(alone.page.room.recover(accepted))
    await set(story, first, 'main', 'kept')
    story.heal()
    await allInOne(story, tabs)
    await story.until(
      () => story.sim.leader?.host.status.configuration.voters.includes(story.peerOf(alone)) === true,
      20_000,
      'its next life votes',
    )
    expect(story.sim.leader?.host.status.configuration.voters).not.toContain(before)
  })

  it('two forks of one room meet: the one that more began goes on', async () => {
    const story = new Story('two forks', abroad)
    const tabs = await story.open(1, 1, 1, 1, 1, 1, 1)
    await story.until(() => story.sim.leader?.host.status.configuration.voters.length === 7, 60_000, 'seven voters')
    const [one, two, three] = tabs as [SimTab, SimTab, SimTab]
    const gone = tabs.slice(3)
    for (const tab of gone) tab.crash()
    story.cutOff(three, [one, two])
    for (const tab of [one, two, three]) {
      await story.until(() => tab.page.room.status === 'no-quorum', 3 * lease, 'no-quorum')
    }
    await story.settle(three.page.room.recover(accepted))
    await story.settle(one.page.room.recover(accepted))
    await set(story, three, 'key', 'of one')
    await set(story, one, 'key', 'of two')
    const resets = resetsOf(three)
    story.heal()
    await allInOne(story, [one, two, three])
    expect(await get(story, three, 'key')).toBe('of two')
    expect(resets).toMatchObject([{ cause: 'merged', lost: { store: [{ key: 'key', value: 'of one' }] } }])
  })
})

describe('[N2] two foundings of one room meet', () => {
  /** Two browsers found the room without a server, and see each other later. */
  async function founded(name: string) {
    const story = new Story(name, withLease(lease))
    const sim = story.sim
    const elder = sim.openTab(sim.createBrowser())
    story.sim.ether.signaling = () => false
    await story.until(() => elder.page.room.status === 'ready', 10_000, 'the elder')
    await story.pass(2_000)
    const younger = sim.openTab(sim.createBrowser())
    await story.until(() => younger.page.room.status === 'ready', 10_000, 'the younger')
    const meet = () => {
      sim.ether.signaling = () => true
    }
    return { story, elder, younger, meet }
  }

  it('the elder goes on; who resets is told what it loses, and gets no token that was given before', async () => {
    const { story, elder, younger, meet } = await founded('elder')
    await set(story, elder, 'of', 'elder')
    await set(story, younger, 'of', 'younger')
    const lock = await story.acquire(younger, 'doc')
    const resets = resetsOf(younger)
    meet()
    await allInOne(story, [elder, younger])
    expect(await get(story, younger, 'of')).toBe('elder')
    expect(resets).toMatchObject([
      { cause: 'merged', lost: { locks: ['doc'], store: [{ key: 'of', value: 'younger' }] } },
    ])
    const next = await story.acquire(younger, 'doc')
    expect(next.token).toBeGreaterThan(lock.token)
  })

  it('the elder yields if it has agreed on nothing', async () => {
    const { story, elder, younger, meet } = await founded('elder yields')
    await set(story, younger, 'of', 'younger')
    meet()
    await allInOne(story, [elder, younger])
    expect(await get(story, elder, 'of')).toBe('younger')
  })

  it('what waits goes on waiting in the room that goes on; what was sent and not answered is of unknown outcome', async () => {
    const { story, elder, younger, meet } = await founded('what waits')
    await set(story, elder, 'of', 'elder')
    await set(story, younger, 'of', 'younger')
    const mine = await story.acquire(elder, 'doc')
    const before = await story.acquire(younger, 'doc')
    meet()
    await story.until(() => before.state === 'lost', 20_000, 'the loss')
    const next = story.ask(younger, 'doc')
    await allInOne(story, [elder, younger])
    await story.pass(1_000)
    expect(next.at).toBeNull()
    await story.settle(mine.release())
    await story.until(() => next.at !== null, lease, 'the grant')
  })
})
