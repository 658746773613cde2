import { describe, expect, it } from 'vitest'
import { isJoint } from '../../src/raft/configuration.js'
import { type Configuration, emptyConfiguration } from '../../src/raft/entry.js'
import type { SimTab } from '../../src/simulation/tab.js'
import { Story, withLease } from './story.js'

const lease = 5_000
const abroad = { ...withLease(lease), registrar: true }

function configurationOf(story: Story): Configuration | undefined {
  return story.sim.leader?.host.status.configuration
}

/** These vote and nobody else, and no change is under way. */
function areVoters(story: Story, tabs: readonly SimTab[]): boolean {
  const configuration = configurationOf(story)
  const wanted = tabs.map((tab) => story.peerOf(tab)).sort()
  return configuration?.outgoing.length === 0 && configuration.voters.join() === wanted.join()
}

/** How many voted under each configuration that a leader had, `3+3` while it was joint. */
function watchVoters(story: Story): string[] {
  const seen: string[] = []
  const look = () => {
    const configuration = configurationOf(story)
    const { voters = [], outgoing = [] } = configuration ?? {}
    const size = outgoing.length > 0 ? `${outgoing.length}+${voters.length}` : String(voters.length)
    if (configuration && seen.at(-1) !== size) seen.push(size)
    story.sim.world.after(0.5, 'look at the voters', look)
  }
  look()
  return seen
}

describe('[M4] voters change several at a time', () => {
  it('two tabs that come together vote in one step', async () => {
    const story = new Story('both at once', withLease(lease))
    const [first] = await story.open(1)
    if (!first) throw new Error('a tab')
    const seen = watchVoters(story)
    const others = [1, 2].map(() => story.sim.openTab(first.browser))
    await story.until(() => areVoters(story, [first, ...others]), lease, 'three voters')
    await story.pass(1)
    expect(seen).toEqual(['1', '1+3', '3'])
  })

  it('who closes is replaced by another tab of its browser', async () => {
    const story = new Story('one for another', abroad)
    const tabs = await story.open(1, 1, 2)
    const voters = tabs.filter((tab) => configurationOf(story)?.voters.includes(story.peerOf(tab)))
    const [leaver] = voters.filter((tab) => tab.browser === tabs[3]?.browser && tab !== story.leaderOf(tabs))
    if (!leaver) throw new Error('a voter of the last browser')
    const seen = watchVoters(story)
    leaver.close()
    const others = tabs.filter((tab) => tab !== leaver)
    await story.until(() => areVoters(story, others), 1_000, 'the other tab voting')
    await story.pass(1)
    expect(seen).toEqual(['3', '3+3', '3'])
  })

  it('a leader that dies in the middle of it is followed by one that ends it', async () => {
    for (const seed of ['first', 'second', 'third']) {
      const story = new Story(`crash in a joint change ${seed}`, abroad)
      const tabs = await story.open(1, 1, 2)
      const leader = story.leaderOf(tabs)
      const voters = tabs.filter((tab) => configurationOf(story)?.voters.includes(story.peerOf(tab)))
      const [leaver] = voters.filter((tab) => tab.browser === tabs[3]?.browser && tab !== leader)
      if (!leaver) throw new Error('a voter of the last browser')
      leaver.close()
      await story.until(() => isJoint(configurationOf(story) ?? emptyConfiguration), 1_000, 'a joint configuration')
      leader.crash()
      const left = tabs.filter((tab) => tab !== leaver && tab !== leader)
      const waiting = left.map((tab) => story.ask(tab, 'doc', { mode: 'shared' }))
      await story.until(
        () => waiting.every(({ value }) => value !== undefined),
        2 * lease,
        'locks of those who are left',
      )
      expect(isJoint(configurationOf(story) ?? emptyConfiguration)).toBe(false)
      leader.reload()
      await story.until(() => areVoters(story, [...left, leader]), 2 * lease, 'three voters')
    }
  })

  it.each(['lives', 'dies in the middle'])('of five browsers all vote, and the leader %s', async (fate) => {
    const story = new Story(`five browsers, the leader ${fate}`, abroad)
    const tabs = await story.open(1, 1, 1)
    const leader = story.leaderOf(tabs)
    const seen = watchVoters(story)
    const others = [1, 2].map(() => story.sim.openTab(story.sim.createBrowser()))
    const all = [...tabs, ...others]
    // Three do without them for as long as it takes to settle.
    await story.until(() => isJoint(configurationOf(story) ?? emptyConfiguration), 2 * lease, 'a joint configuration')
    if (fate !== 'lives') leader.crash()
    const left = all.filter((tab) => tab.isOpen)
    const waiting = left.map((tab) => story.ask(tab, 'doc', { mode: 'shared' }))
    await story.until(() => waiting.every(({ value }) => value !== undefined), 2 * lease, 'a lock for everyone')
    if (!leader.isOpen) leader.reload()
    await story.until(() => areVoters(story, all), 2 * lease, 'five voters')
    await story.pass(1)
    expect(seen.slice(0, 2)).toEqual(['3', '3+5'])
    expect(seen.at(-1)).toBe('5')
    expect(seen).not.toContain('4')
  })
})
