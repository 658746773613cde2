import { describe, expect, it } from 'vitest'
import type { SimTab } from '../../src/simulation/tab.js'
import { abroad, accepted, allInOne, get, lease, lineageOf, lineagesOf, resetsOf, set } from './apart.js'
import { Story, withLease } from './story.js'

/** Without a word from anybody of its room a peer says so after 10 s. */
const unheard = 12_000

/** Two foundings meet; the younger one's peers come over, and find nobody: the elder has gone in that moment. */
async function orphans(name: string, count: number) {
  const story = new Story(name, withLease(lease))
  const { sim } = story
  sim.ether.signaling = () => true
  const browser = sim.createBrowser()
  const elder = sim.openTab(browser)
  await story.until(() => elder.page.room.status === 'ready', 10_000, 'the elder')
  await set(story, elder, 'of', 'elder')
  await story.pass(2_000)
  const younger: SimTab[] = []
  for (let i = 0; i < count; i++) {
    const another = sim.createBrowser()
    sim.ether.estrange(browser.id, another.id)
    const tab = sim.openTab(another)
    younger.push(tab)
    await story.until(() => tab.page.room.status === 'ready', 10_000, 'a younger one')
  }
  const [first] = younger as [SimTab]
  const votersOf = () => first.page.worker?.record?.host.status.configuration.voters.length
  await story.until(() => votersOf() === count, 30_000, 'they vote')
  await set(story, first, 'of', 'younger')
  const lock = await story.acquire(first, 'doc')
  const resets = younger.map(resetsOf)
  for (const { browser: another } of younger) sim.ether.reconcile(browser.id, another.id)
  await story.until(() => resets.every((heard) => heard.length > 0), 30_000, 'the reset')
  elder.crash()
  return { story, elder, younger: younger as [SimTab, ...SimTab[]], lock, resets }
}

describe('[N1] [N2] the room that goes on is gone for good', () => {
  it('[T1] whoever has come over to it says that it finds nobody, and may found the room anew; the one that comes back is the elder', async () => {
    const { story, elder, younger, lock, resets } = await orphans('gone for good', 1)
    const [tab] = younger
    const { room } = tab.page
    expect(resets[0]).toMatchObject([{ lost: { store: [{ key: 'of', value: 'younger' }] } }])
    await story.until(() => tab.page.worker?.record !== null, 5_000, 'its next life')
    expect(room.status).toBe('joining')
    await expect(story.settle(room.recover(accepted))).rejects.toMatchObject({ code: 'conflict' })
    await story.until(() => room.status === 'no-quorum', unheard, 'no-quorum')
    await story.settle(room.recover(accepted))
    await story.until(() => room.status === 'ready', 2_000, 'ready')
    expect(await get(story, tab, 'of')).toBeUndefined()
    await set(story, tab, 'anew', 'written')
    const next = await story.acquire(tab, 'doc')
    // The elder rises by 2^32 for whoever comes over to it, and may have given such tokens since: of those this browser knows nothing.
    expect(next.token).toBeGreaterThan(lock.token + 2 ** 33)
    elder.reload()
    await allInOne(story, [elder, tab])
    expect([await get(story, tab, 'of'), await get(story, tab, 'anew')]).toEqual(['elder', undefined])
    expect(resets[0]?.[1]).toMatchObject({ cause: 'merged', lost: { store: [{ key: 'anew', value: 'written' }] } })
    expect((await story.acquire(elder, 'doc')).token).toBeGreaterThan(next.token)
  })

  it('a reload goes on in the room that was founded anew, and who comes to its browser finds it', async () => {
    const { story, younger } = await orphans('reloaded', 1)
    const [tab] = younger
    await story.until(() => tab.page.room.status === 'no-quorum', 2 * unheard, 'no-quorum')
    await story.settle(tab.page.room.recover(accepted))
    await set(story, tab, 'anew', 'written')
    tab.crash()
    tab.reload()
    const other = story.sim.openTab(tab.browser)
    await allInOne(story, [tab, other])
    expect(await get(story, other, 'anew')).toBe('written')
  })

  it('two who ask at once are in one room in the end', async () => {
    const { story, younger } = await orphans('both ask', 2)
    const [one, other] = younger as [SimTab, SimTab]
    for (const { page } of [one, other]) await story.until(() => page.room.status === 'no-quorum', 2 * unheard, 'alone')
    await Promise.all([one, other].map(({ page }) => story.settle(page.room.recover(accepted))))
    await allInOne(story, [one, other])
    await set(story, one, 'anew', 'of both')
    expect(await get(story, other, 'anew')).toBe('of both')
  })

  it('one asks, and the others who look for the room come to it', async () => {
    const { story, younger } = await orphans('one asks', 2)
    const [one, other] = younger as [SimTab, SimTab]
    await story.until(() => one.page.room.status === 'no-quorum', 2 * unheard, 'no-quorum')
    await story.settle(one.page.room.recover(accepted))
    await set(story, one, 'anew', 'of one')
    await allInOne(story, [one, other])
    expect(await get(story, other, 'anew')).toBe('of one')
  })
})

describe('[N3] who came to a room that had no quorum', () => {
  /** Of two voters one crashes; a newcomer meets the other one, and has nothing of the room but its name. */
  async function newcomer(name: string) {
    const story = new Story(name, abroad)
    const tabs = (await story.open(1, 1)) as [SimTab, SimTab]
    await story.until(() => story.sim.leader?.host.status.configuration.voters.length === 2, 30_000, 'two voters')
    const leader = story.leaderOf(tabs)
    const left = tabs.find((tab) => tab !== leader) as SimTab
    await set(story, left, 'text', 'kept')
    await story.pass(2_000)
    leader.crash()
    await story.until(() => left.page.room.status === 'no-quorum', 3 * lease, 'no-quorum')
    const late = story.sim.openTab(story.sim.createBrowser())
    await story.until(() => lineageOf(late) !== null, 10_000, 'it has heard of the room')
    return { story, left, late }
  }

  it('may ask for a new one: whoever has the log leads it', async () => {
    const { story, left, late } = await newcomer('has the log')
    await story.until(() => late.page.room.status === 'no-quorum', unheard, 'no-quorum')
    await story.settle(late.page.room.recover(accepted), 20_000)
    await allInOne(story, [left, late])
    expect(await get(story, late, 'text')).toBe('kept')
    expect(lineagesOf([left, late]).size).toBe(1)
  })

  it('founds it anew when all who had it are gone', async () => {
    const { story, left, late } = await newcomer('all gone')
    const before = lineageOf(late)?.roomId
    left.crash()
    await story.until(() => late.page.room.status === 'no-quorum', unheard, 'no-quorum')
    await story.pass(5_000)
    await story.settle(late.page.room.recover(accepted))
    await story.until(() => late.page.room.status === 'ready', 5_000, 'ready')
    await set(story, late, 'anew', 'written')
    expect(lineageOf(late)?.roomId).not.toBe(before)
    left.reload()
    await story.pass(3_000)
    await story.until(() => left.page.room.status === 'no-quorum', 3 * lease, 'no-quorum')
    expect(await get(story, late, 'anew')).toBe('written')
  })
})
