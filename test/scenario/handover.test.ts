import { describe, expect, it } from 'vitest'
import { fairWeather } from '../../src/simulation/network.js'
import type { SimTab } from '../../src/simulation/tab.js'
import { Story } from './story.js'

const runs = 15

interface Handover {
  readonly took: number
  readonly terms: number
}

/** Workers are stopped for up to so long, a third of the time: the machine is loaded. */
function overload(story: Story, tabs: readonly SimTab[], ms: number): void {
  const { world } = story.sim
  const prng = world.prng.fork('load')
  for (const tab of tabs) {
    const thread = tab.page.worker?.thread
    const again = () => {
      thread?.block()
      world.after(prng.between(ms / 3, ms), 'free', () => thread?.unblock())
      world.after(prng.between(ms, 2 * ms), 'busy', again)
    }
    again()
  }
}

async function leave(
  name: string,
  shape: readonly number[],
  { remoteDelay = 8, load = 0, crash = false, also = (_story: Story, _others: readonly SimTab[]) => {} },
): Promise<Handover> {
  const story = new Story(name, { registrar: true, weather: { ...fairWeather, remoteDelay } })
  const tabs = await story.open(...shape)
  await story.pass(3_000)
  const leader = story.leaderOf(tabs)
  const others = tabs.filter((tab) => tab !== leader)
  if (load > 0) overload(story, tabs, load)
  await story.pass(500)
  const term = story.sim.leader?.host.status.term ?? 0
  also(story, others)
  const at = story.now
  if (crash) leader.crash()
  else leader.close()
  const isLed = () => others.some((tab) => story.peerOf(tab) === story.sim.leader?.self.peerId)
  await story.until(isLed, 10_000, 'another leader')
  return { took: story.now - at, terms: (story.sim.leader?.host.status.term ?? 0) - term }
}

async function many(name: string, shape: readonly number[], how: Parameters<typeof leave>[2]): Promise<Handover[]> {
  const all: Handover[] = []
  for (let run = 0; run < runs; run++) all.push(await leave(`${name} ${run}`, shape, how))
  return all
}

describe('[M1] a leader leaves its place to one of the others with its last word', () => {
  it.each([
    ['', [3], {}, 30, 0],
    ['', [1, 1, 1], {}, 120, 1],
    ['', [1, 1, 1, 1, 1], {}, 120, 1],
    [' over slow links', [1, 1, 1, 1, 1], { remoteDelay: 60 }, 600, 1],
    [' on loaded machines', [3], { load: 150 }, 200, 1],
    [' on loaded machines', [1, 1, 1], { load: 60 }, 200, 1],
    [' on loaded machines', [2, 2, 1], { load: 150 }, 250, 2],
  ] as const)('one election is enough%s in %j', async (_how, shape, how, within, splits) => {
    const all = await many(`handover ${shape} ${JSON.stringify(how)}`, shape, how)
    expect(all.filter(({ terms }) => terms > 1).length, JSON.stringify(all)).toBeLessThanOrEqual(splits)
    const times = all.map(({ took }) => took).sort((a, b) => a - b)
    expect(times[runs >> 1]).toBeLessThan(within)
  })

  it.each([
    [[1, 1, 1, 1, 1], 900],
    // Two of three voters: both are reopened in time (L4).
    [[2, 2, 1], 3_000],
  ])('nothing is lost where the heir has died too, in %j', async (shape, within) => {
    const all: Handover[] = []
    for (let run = 0; run < runs; run++)
      all.push(
        await leave(`dead heir ${shape} ${run}`, shape, {
          also: (story, others) => others.find((tab) => story.peerOf(tab) === story.sim.leader?.host.heir)?.crash(),
        }),
      )
    for (const { took } of all) expect(took, JSON.stringify(all)).toBeLessThan(within)
  })
})

it('[L2] the death of a leader that its browser proves is told to the others, who would keep to it for a time-out', async () => {
  const all = await many('proven', [2, 2, 1], { crash: true })
  const times = all.map(({ took }) => took).sort((a, b) => a - b)
  expect(times[runs >> 1], JSON.stringify(all)).toBeLessThan(220)
  expect(all.filter(({ terms }) => terms > 1).length, JSON.stringify(all)).toBeLessThanOrEqual(2)
})
