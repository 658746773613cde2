import { describe, expect, it } from 'vitest'
import type { SimTab } from '../../src/simulation/tab.js'
import { abroad, accepted, lease, lineagesOf, resetsOf } from './apart.js'
import { Story } from './story.js'

async function withoutQuorum(story: Story, left: readonly SimTab[]): Promise<void> {
  for (const tab of left)
    await story.until(() => tab.page.room.status === 'no-quorum', 3 * lease, `${tab.name} without a quorum`)
}

/** So many browsers with a tab each; all but the last `left` crash. */
async function survivors(name: string, browsers: number, left: number) {
  const story = new Story(name, abroad)
  const tabs = await story.open(...Array<number>(browsers).fill(1))
  await story.until(
    () => (story.sim.leader?.host.status.configuration.voters.length ?? 0) === browsers,
    30_000,
    'voters',
  )
  const lock = await story.acquire(tabs[browsers - 1] as SimTab, 'held')
  await story.settle((tabs[0] as SimTab).page.room.store.set('text', 'kept'))
  await story.pass(1_000)
  const gone = tabs.slice(0, browsers - left)
  const rest = tabs.slice(browsers - left)
  for (const tab of gone) tab.crash()
  await withoutQuorum(story, rest)
  return { story, gone, rest, lock }
}

describe('[N3] recover()', () => {
  it('of three browsers one is left: it goes on alone, with what was agreed and with its locks', async () => {
    const { story, rest, lock } = await survivors('one of three', 3, 1)
    const [tab] = rest as [SimTab]
    const resets = resetsOf(tab)
    const { room } = tab.page
    await story.settle(room.recover(accepted))
    await story.until(() => room.status === 'ready', 2_000, 'ready')
    expect((await story.settle(room.store.get('text')))?.value).toBe('kept')
    expect(lock.state).toBe('held')
    expect(resets).toEqual([
      { cause: 'forked', lost: { locks: [], store: [], deleted: [], counters: [], complete: true } },
    ])
    const other = await story.acquire(tab, 'other')
    // T1: beyond whatever the history that was left may have given since.
    expect(other.token - lock.token).toBeGreaterThan(2 ** 32)
  })

  it.each([0, 1])(
    'of five two are left, and survivor %i asks: both are in one new history, and both vote',
    async (asks) => {
      const { story, rest } = await survivors(`two of five ${asks}`, 5, 2)
      await story.settle((rest[asks] as SimTab).page.room.recover(accepted))
      for (const { page } of rest) await story.until(() => page.room.status === 'ready', lease, 'ready')
      expect(lineagesOf(rest).size).toBe(1)
      expect(rest[0]?.page.worker?.record?.host.lineage).toMatchObject({ epoch: 1 })
      await story.settle((rest[0] as SimTab).page.room.store.set('text', 'after'))
      expect((await story.settle((rest[1] as SimTab).page.room.store.get('text')))?.value).toBe('after')
      await story.until(() => story.sim.leader?.host.status.configuration.voters.length === 2, 30_000, 'both vote')
    },
  )

  it('both who are left ask at the same time: still one new history', async () => {
    const { story, rest } = await survivors('both at once', 5, 2)
    const done = rest.map(({ page }) => story.watch(page.room.recover(accepted)))
    await story.until(() => done.every(({ at }) => at !== null), 15_000, 'both answers')
    expect(done.map(({ error }) => error)).toEqual([undefined, undefined])
    expect(lineagesOf(rest).size).toBe(1)
  })

  it('whoever has the longest log leads, whoever asks: nothing is lost that anyone left knows to be agreed', async () => {
    const story = new Story('longest log', abroad)
    const tabs = await story.open(1, 1, 1, 1, 1)
    await story.until(() => (story.sim.leader?.host.status.configuration.voters.length ?? 0) === 5, 30_000, 'voters')
    const leader = story.leaderOf(tabs)
    const others = tabs.filter((tab) => tab !== leader)
    const [behind, ahead] = others as [SimTab, SimTab]
    story.cutOff(behind, tabs)
    await story.settle(leader.page.room.store.set('text', 'the one behind does not know'))
    await story.pass(500)
    for (const tab of tabs) if (tab !== behind && tab !== ahead) tab.crash()
    story.heal()
    await withoutQuorum(story, [behind, ahead])
    await story.settle(behind.page.room.recover(accepted))
    expect((await story.settle(behind.page.room.store.get('text')))?.value).toBe('the one behind does not know')
  })

  it('a lock of the dead is free after its lease, counted anew', async () => {
    const story = new Story('lock of the dead', abroad)
    const [first, second, third] = (await story.open(1, 1, 1)) as [SimTab, SimTab, SimTab]
    await story.until(() => (story.sim.leader?.host.status.configuration.voters.length ?? 0) === 3, 30_000, 'voters')
    await story.acquire(first, 'doc')
    const next = story.ask(third, 'doc')
    await story.pass(1_000)
    first.crash()
    second.crash()
    await withoutQuorum(story, [third])
    const recoveredAt = story.now
    await story.settle(third.page.room.recover(accepted))
    await story.until(() => next.at !== null, 3 * lease, 'the grant')
    expect((next.at ?? 0) - recoveredAt).toBeGreaterThanOrEqual(lease)
  })

  it('is refused while there is a quorum, and unless the loss is accepted; nothing changes by that', async () => {
    const story = new Story('refused', abroad)
    const [tab] = (await story.open(1, 1)) as [SimTab]
    const before = lineagesOf([tab])
    await expect(story.settle(tab.page.room.recover(accepted))).rejects.toMatchObject({ code: 'conflict' })
    for (const options of [undefined, {}, { acceptDataLoss: false }, { acceptDataLoss: 'true' }]) {
      await expect(tab.page.room.recover(options as never)).rejects.toThrow(TypeError)
    }
    expect(lineagesOf([tab])).toEqual(before)
  })

  it('is refused while somebody in reach has a quorum, whom this peer only cannot hear as a follower should', async () => {
    const story = new Story('in reach', abroad)
    const tabs = await story.open(1, 1, 1)
    await story.until(() => (story.sim.leader?.host.status.configuration.voters.length ?? 0) === 3, 30_000, 'voters')
    const leader = story.leaderOf(tabs)
    const [one, other] = tabs.filter((tab) => tab !== leader) as [SimTab, SimTab]
    story.cutOff(one, [leader])
    await withoutQuorum(story, [one])
    await expect(story.settle(one.page.room.recover(accepted))).rejects.toMatchObject({ code: 'conflict' })
    expect(other.page.room.status).toBe('ready')
    expect(lineagesOf(tabs).size).toBe(1)
  })

  it('survives a restart of whoever leads the new history at any moment of it', async () => {
    for (const after of [0, 1, 3, 10, 30, 100, 300]) {
      const { story, rest } = await survivors(`restart after ${after}`, 3, 1)
      const [tab] = rest as [SimTab]
      tab.page.room.recover(accepted).catch(() => {})
      await story.pass(after)
      tab.crash()
      tab.reload()
      await story.until(() => tab.page.room.status !== 'joining', 10_000, 'an end of joining')
      if (tab.page.room.status === 'no-quorum') await story.settle(tab.page.room.recover(accepted))
      await story.until(() => tab.page.room.status === 'ready', 10_000, 'ready')
      expect((await story.settle(tab.page.room.store.get('text')))?.value).toBe('kept')
    }
  })
})
