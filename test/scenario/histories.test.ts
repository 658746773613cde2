import { describe, expect, it } from 'vitest'
import { encodeFrame, protocolVersion } from '../../src/host/frame.js'
import type { SimTab } from '../../src/simulation/tab.js'
import { abroad, accepted, allInOne, get, lease, lineageOf, resetsOf, set } from './apart.js'
import { Story, withLease } from './story.js'

function votersOf(story: Story): number {
  return story.sim.leader?.host.status.configuration.voters.length ?? 0
}

describe('[N2] two foundings, in the moments between', () => {
  /** Two browsers found the room without a server, and see each other later; `elders`: tabs of the first one. */
  async function founded(name: string, elders = 1) {
    const story = new Story(name, withLease(lease))
    const { sim } = story
    const tabs: SimTab[] = []
    const browser = sim.createBrowser()
    for (let i = 0; i < elders; i++) {
      const tab = sim.openTab(browser)
      tabs.push(tab)
      await story.until(() => tab.page.room.status === 'ready', 10_000, 'an elder')
    }
    if (elders > 1) await story.until(() => votersOf(story) === elders, 30_000, 'the elders vote')
    await story.pass(2_000)
    const younger = sim.openTab(sim.createBrowser())
    await story.until(() => younger.page.room.status === 'ready', 10_000, 'the younger')
    return { story, elders: tabs as [SimTab, ...SimTab[]], younger }
  }

  it('a member of the elder that did not hear of its end comes over too, though nobody is left there to tell it', async () => {
    const { story, elders, younger } = await founded('left behind', 3)
    await set(story, younger, 'of', 'younger')
    const leader = story.leaderOf(elders)
    const [away, other] = elders.filter((tab) => tab !== leader) as [SimTab, SimTab]
    story.cutOff(away, [...elders, younger])
    story.sim.ether.signaling = () => true
    await allInOne(story, [leader, other, younger])
    expect(await get(story, other, 'of')).toBe('younger')
    story.heal()
    await allInOne(story, [...elders, younger])
    expect(await get(story, away, 'of')).toBe('younger')
  })
})

describe('[N3] who has told how far it has come', () => {
  it('takes no vote of the old history: what it would agree on there the new one does not have', async () => {
    const story = new Story('a late goodbye', abroad)
    const [first, second] = (await story.open(1, 1)) as [SimTab, SimTab]
    const browser = story.sim.createBrowser()
    browser.isLearnerOnly = true
    const learner = story.sim.openTab(browser)
    await story.until(() => learner.page.room.status === 'ready', 10_000, 'the learner')
    await story.until(() => votersOf(story) === 2, 30_000, 'two voters')
    await set(story, first, 'text', 'before')
    await story.pass(2_000)
    const leader = story.leaderOf([first, second])
    const left = leader === first ? second : first
    const { self: dead } = story.hostOf(leader)
    const { self, host } = story.hostOf(left)
    // The learner's log is ahead, by what a leader says to one that it does not know yet: it is to lead the new history.
    const { lastIndex: index, lastTerm, commitIndex, term: leading } = story.hostOf(leader).host.status
    const entry = {
      type: 'noop',
      index: index + 1,
      term: leading,
      time: story.hostOf(leader).host.machine.clusterTime,
    } as const
    const previous = { index, term: lastTerm }
    const [from, to] = [story.peerOf(leader), story.peerOf(learner)]
    const message = { type: 'append', from, to, term: leading, previous, entries: [entry], commitIndex } as const
    story.say(leader, learner, [{ type: 'raft', group: 0, message }])
    await story.pass(20)
    leader.crash()
    for (const tab of [left, learner])
      await story.until(() => tab.page.room.status === 'no-quorum', 3 * lease, 'no-quorum')
    const { term, lineage } = { term: host.status.term, lineage: host.lineage }
    story.watch(left.page.room.recover(accepted))
    await story.until(() => lineageOf(learner)?.epoch === 1, 3_000, 'the new history')
    story.cutOff(left, [learner])
    const items = [{ type: 'goodbye', session: 0, lastNumber: 0, vote: term + 1 }] as const
    const lives = { fromIncarnation: dead.incarnation, toIncarnation: self.incarnation }
    const frame = encodeFrame({
      version: protocolVersion,
      lineage,
      from: dead.peerId,
      to: self.peerId,
      ...lives,
      items,
    })
    story
      .hostOf(left)
      .thread.post(0, 'a late goodbye', () => host.notice({ type: 'frame', peerId: dead.peerId, frame }))
    const write = story.watch(left.page.room.store.set('mine', 'acknowledged'))
    await story.pass(2_000)
    const resets = resetsOf(left)
    story.heal()
    await allInOne(story, [left, learner])
    await story.until(() => write.at !== null, 10_000, 'an answer')
    const told = resets.flatMap(({ lost }) => lost.store.map(({ key }) => key))
    const value = await get(story, learner, 'mine')
    expect(write.value === undefined || value === 'acknowledged' || told.includes('mine')).toBe(true)
    expect(lineageOf(left)).toMatchObject({ epoch: 1 })
    expect(resets.map(({ cause }) => cause)).toEqual(['forked'])
  })

  it('a leader that misses its quorum may ask its own followers: that they hear it is no quorum', async () => {
    const story = new Story('its own followers', abroad)
    await story.open(2, 1)
    await story.until(() => votersOf(story) === 2, 30_000, 'two voters')
    await story.pass(2_000)
    const tabs = story.sim.tabs
    const leader = story.leaderOf(tabs)
    const voters = story.sim.leader?.host.status.configuration.voters ?? []
    const other = tabs.find((tab) => tab !== leader && voters.includes(tab.page.peerId)) as SimTab
    other.crash()
    await story.until(() => leader.page.room.status === 'no-quorum', 3 * lease, 'no-quorum')
    await story.settle(leader.page.room.recover(accepted))
    expect(lineageOf(leader)).toMatchObject({ epoch: 1 })
    expect(story.leaderOf(tabs)).toBe(leader)
  })
})

describe('[N3] what is told', () => {
  it('a write that was acknowledged is told of as lost, also by one that restarted since and does not know that it was', async () => {
    const story = new Story('told after a restart', abroad)
    const tabs = (await story.open(1, 1, 1)) as [SimTab, SimTab, SimTab]
    await story.until(() => votersOf(story) === 3, 30_000, 'three voters')
    const [first, second, alone] = tabs
    await story.pass(1_000)
    story.cutOff(alone, [first, second])
    await set(story, first, 'main', 'acknowledged')
    first.crash()
    second.crash()
    await story.until(() => alone.page.room.status === 'no-quorum', 3 * lease, 'no-quorum')
    await story.settle(alone.page.room.recover(accepted))
    await set(story, alone, 'fork', 'kept')
    story.heal()
    first.reload()
    const resets = resetsOf(first)
    await allInOne(story, [first, alone])
    expect(await get(story, first, 'main')).toBeUndefined()
    expect(resets).toMatchObject([{ cause: 'merged', lost: { store: [{ key: 'main', value: 'acknowledged' }] } }])
  })
})
