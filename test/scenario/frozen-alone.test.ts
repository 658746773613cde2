import { describe, expect, it } from 'vitest'
import type { SimTab } from '../../src/simulation/tab.js'
import { Story, withLease } from './story.js'

const lease = 5_000
/** Long enough for everybody to count as settled (M4). */
const settling = 6_000

interface Room {
  readonly story: Story
  readonly voter: SimTab
  readonly other: SimTab
}

function votersOf(story: Story): readonly string[] {
  return story.sim.leader?.host.status.configuration.voters ?? []
}

async function twoTabs(seed: string): Promise<Room> {
  const story = new Story(seed, withLease(lease))
  const tabs = await story.open(2)
  await story.pass(settling)
  const voter = story.leaderOf(tabs)
  const other = tabs.find((tab) => tab !== voter)
  if (!other) throw new Error('two tabs')
  expect(votersOf(story)).toEqual([story.peerOf(voter)])
  return { story, voter, other }
}

/** The other one serves while the first is frozen, and both are there after it. */
async function goesOn({ story, voter, other }: Room, moment: number): Promise<void> {
  voter.freezeWithWord(60_000, moment)
  await story.until(() => story.sim.leader?.self.peerId === story.peerOf(other), 400, 'the other one leads')
  await story.settle(other.page.room.store.set('key', 'written meanwhile'), 400)
  expect(votersOf(story)).toEqual([story.peerOf(other)])
  await story.acquire(other, 'doc', { timeout: 2 * lease })
  await story.pass(60_000)
  expect((await story.settle(voter.page.room.store.get('key')))?.value).toBe('written meanwhile')
}

describe('[S-4][M4][M2] two tabs of one browser, of which one votes', () => {
  it.each([1, 3, 10])(
    'that one is hidden, and frozen later with a moment of %i ms: the other goes on',
    async (moment) => {
      const room = await twoTabs(`hidden and frozen ${moment}`)
      room.voter.look(false)
      await room.story.until(() => votersOf(room.story).length === 2, 500, 'both vote')
      await room.story.pass(100)
      await goesOn(room, moment)
    },
  )

  it.each([15, 20, 40])(
    'that one is frozen at once, with a moment of %i ms: it ends a change of voters in it',
    async (moment) => {
      await goesOn(await twoTabs(`frozen at once ${moment}`), moment)
    },
  )

  it('... even if the other one has only just come: nobody waits for it to have kept up', async () => {
    const story = new Story('frozen as soon as there are two', withLease(lease))
    const [voter] = await story.open(1)
    if (!voter) throw new Error('a tab')
    const other = story.sim.openTab(voter.browser)
    await story.until(() => other.page.room.status === 'ready', 1_000, 'two tabs')
    await goesOn({ story, voter, other }, 40)
  })

  it('on a phone whose user has left both: one that is frozen leaves its vote to the other, which may be next', async () => {
    const room = await twoTabs('both hidden on a phone')
    room.voter.browser.isPhone = true
    for (const tab of [room.voter, room.other]) tab.look(false)
    await room.story.pass(settling)
    await goesOn(room, 40)
  })

  it('is seen again: one vote is enough', async () => {
    const { story, voter } = await twoTabs('seen again')
    voter.look(false)
    await story.until(() => votersOf(story).length === 2, 500, 'both vote')
    voter.look(true)
    await story.until(() => votersOf(story).length === 1, 500, 'one votes')
    expect(votersOf(story)).toEqual([story.peerOf(voter)])
  })

  it('while both vote each survives the death of the other, too (L2, L4)', async () => {
    for (const dies of ['voter', 'other'] as const) {
      const room = await twoTabs(`hidden, and the ${dies} dies`)
      const { story } = room
      room.voter.look(false)
      await story.until(() => votersOf(story).length === 2, 500, 'both vote')
      room[dies].crash()
      const survivor = dies === 'voter' ? room.other : room.voter
      await story.settle(survivor.page.room.store.set('key', 'kept'), 1_000)
    }
  })
})
