/** Browsers of several tabs each, whose voters die: their nodes live on in the tabs beside them, which reach each other for them. */
import { describe, expect, it } from 'vitest'
import type { SimTab } from '../../src/simulation/tab.js'
import { Story, withLease } from './story.js'

const abroad = { ...withLease(5_000), registrar: true }

/** So many browsers of two tabs each, one voter in each; so many voters crash. */
async function bereaved(name: string, browsers: number, deaths: number): Promise<{ story: Story; left: SimTab[] }> {
  const story = new Story(name, abroad)
  const tabs = await story.open(...Array<number>(browsers).fill(2))
  const voters = () => story.sim.leader?.host.status.configuration.voters ?? []
  await story.until(() => voters().length === browsers, 30_000, 'a voter in each browser')
  const voting = tabs.filter((tab) => voters().includes(story.peerOf(tab)))
  expect(new Set(voting.map(({ browser }) => browser.id)).size).toBe(browsers)
  const dead = voting.slice(0, deaths)
  for (const tab of dead) tab.crash()
  return { story, left: tabs.filter((tab) => !dead.includes(tab)) }
}

describe('[L4][F4] nodes of dead tabs, which reach their own browser only', () => {
  it.each([
    [2, 1],
    [2, 2],
    [3, 2],
    [3, 3],
  ])('%i browsers of two tabs, %i of the voters crash: the room goes on', async (browsers, deaths) => {
    const { story, left } = await bereaved(`${deaths} of ${browsers}`, browsers, deaths)
    for (const tab of left) {
      const lock = await story.acquire(tab, 'doc', { timeout: 8_000 })
      await story.settle(lock.release())
    }
    const isNatural = () => {
      const { voters = [], outgoing = [] } = story.sim.leader?.host.status.configuration ?? {}
      return outgoing.length === 0 && voters.every((peerId) => left.some((tab) => story.peerOf(tab) === peerId))
    }
    await story.until(isNatural, 30_000, 'votes of those alone who live')
  })
})
