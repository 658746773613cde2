/** A pair that cannot connect, and those who stand between them (F4, M5). */
import { expect, it } from 'vitest'
import type { SimTab } from '../../src/simulation/tab.js'
import { Story } from './story.js'

/** Three browsers; the first and the second never connect. All three vote. */
async function estranged(seed: string): Promise<{ story: Story; a: SimTab; b: SimTab; c: SimTab }> {
  const story = new Story(seed, { registrar: true })
  const browsers = [story.sim.createBrowser(), story.sim.createBrowser(), story.sim.createBrowser()]
  const [first, second, third] = browsers
  if (!first || !second || !third) throw new Error('three browsers')
  story.sim.ether.estrange(first.id, second.id)
  const tabs: SimTab[] = []
  // The one that leads first and the one that comes last are the pair: the last meets nobody but who stands between.
  for (const browser of [first, third, second]) {
    const tab = story.sim.openTab(browser)
    tabs.push(tab)
    await story.until(() => tab.page.room.status === 'ready', 15_000, `${tab.name} ready`)
  }
  const [a, c, b] = tabs
  if (!a || !b || !c) throw new Error('three tabs')
  await story.until(() => votersAt(story, a).length === 3, 15_000, 'three voters')
  return { story, a, b, c }
}

function votersAt(story: Story, tab: SimTab): readonly string[] {
  const record = story.sim.hosts.find(({ self }) => self.peerId === tab.page.peerId)
  return record?.host.status.configuration.voters ?? []
}

const linkAt = (tab: SimTab, other: SimTab) =>
  tab.page.members.find(({ peerId }) => peerId === other.page.peerId)?.link ?? null

it('[F4] two of three who never connect are voters all the same: the third one relays them', {
  timeout: 60_000,
}, async () => {
  const { story, a, b, c } = await estranged('relays 1')
  expect([linkAt(a, b), linkAt(b, a)]).toEqual(['peer-relay', 'peer-relay'])
  expect([linkAt(a, c), linkAt(b, c)]).toEqual(['webrtc', 'webrtc'])
  const { elections } = story.sim.raft
  await story.pass(10_000)
  expect(story.sim.raft.elections, 'nobody is restless').toBe(elections)
  const lock = await story.acquire(a, 'paragraph')
  const granted = story.ask(b, 'paragraph')
  await story.pass(200)
  await story.settle(lock.release())
  await story.until(() => granted.value !== undefined, 2_000, 'b')
})

it('[F4][M5] the relay dies: the pair has no quorum between its two, and has one again when it is back', async () => {
  const { story, a, b, c } = await estranged('relays 2')
  c.crash()
  await story.until(() => [a, b].every((tab) => tab.page.room.status === 'no-quorum'), 20_000, 'no quorum')
  await story.until(() => linkAt(a, b) === null && linkAt(b, a) === null, 5_000, 'no link')
  c.reload()
  const ready = () => [a, b, c].every((tab) => tab.page.room.status === 'ready')
  await story.until(ready, 20_000, 'all ready')
  await story.until(() => linkAt(a, b) === 'peer-relay', 5_000, 'relayed again')
  await story.acquire(b, 'paragraph')
})

it('[F4][M1] the relay closes: nobody takes that for a goodbye of who is behind it', async () => {
  const { story, a, b, c } = await estranged('relays 3')
  const lock = await story.acquire(b, 'paragraph')
  const waits = story.ask(a, 'paragraph')
  c.close()
  await story.pass(1_500)
  expect(lock.state).not.toBe('lost')
  expect(waits.at).toBeNull()
})

it.each(['leads', 'follows'])(
  '[F4][M1] a goodbye is told to who is behind a relay by whoever heard it: one that %s is closed',
  { timeout: 60_000 },
  async (role) => {
    const times: number[] = []
    for (let run = 0; run < 5; run++) {
      const { story, a, b } = await estranged(`goodbye past a relay ${run}`)
      const [closing, other] = role === 'leads' ? [a, b] : [b, a]
      story.hostOf(story.leaderOf([a, b])).host.handOver(story.peerOf(a))
      await story.until(() => story.sim.leader?.self.peerId === story.peerOf(a), 5_000, 'the leader')
      await story.acquire(closing, 'paragraph')
      const granted = story.ask(other, 'paragraph')
      await story.pass(500)
      const closedAt = story.now
      closing.close()
      await story.until(() => granted.value !== undefined, 5_000, 'the other one')
      times.push((granted.at ?? 0) - closedAt)
    }
    times.sort((x, y) => x - y)
    // It goes two ways, then an election of three round trips, or a heartbeat for the last commands.
    expect(times[2]).toBeLessThan(200)
    expect(times[4]).toBeLessThan(400)
  },
)

it('[F4] a link that comes up by itself takes over from the relay, and nothing is lost on the way', async () => {
  const story = new Story('relays 4', { registrar: true })
  const [a, b, c] = await story.open(1, 1, 1)
  if (!a || !b || !c) throw new Error('three tabs')
  const [x, y] = [story.peerOf(a), story.peerOf(b)]
  story.sim.ether.block(x, y, true)
  story.sim.ether.block(y, x, true)
  await story.until(() => linkAt(a, b) === 'peer-relay' && linkAt(b, a) === 'peer-relay', 10_000, 'relayed')
  const { elections } = story.sim.raft
  await story.pass(5_000)
  story.heal()
  await story.until(() => linkAt(a, b) === 'webrtc' && linkAt(b, a) === 'webrtc', 10_000, 'linked')
  await story.pass(10_000)
  expect([linkAt(a, b), linkAt(b, a)]).toEqual(['webrtc', 'webrtc'])
  expect(story.sim.raft.elections).toBe(elections)
})

it('a signal goes to a page that no server shows, by the peer in between, and by one hop only', async () => {
  const { story, a, b } = await estranged('relays 5')
  const heard: string[] = []
  b.page.connection.listen({ signal: (from, text) => heard.push(`${from} ${text}`) })
  a.page.connection.sendSignal(b.page.peerId, 'offer')
  await story.until(() => heard.length > 0, 1_000, 'the signal')
  expect(heard).toEqual([`${a.page.peerId} offer`])
})
