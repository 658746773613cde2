/**
 * A room at rest: what the machine itself gives, and locks beside it. Both are measured in turns, a few of each, so that a
 * load that comes and goes falls on both alike and the ratio between them stands.
 */
import type { PageState } from './page/protocol.js'
import type { Place } from './place.js'
import type { Limit, Part, Row } from './result.js'
import type { BenchRoom } from './room.js'
import { median } from './samples.js'
import type { Tab } from './tab.js'
import { connectProbes } from './yardstick.js'

const blocks = 6
/** As long as everyone may have slept before an acquire comes by, ms. */
const rest = 8

export interface Sizes {
  /** Samples of what is measured one after the other within a page. */
  readonly sequential: number
  readonly handOvers: number
}

interface Locked {
  readonly acquire: number[]
  readonly release: number[]
  cost: string
}

export async function benchSteady(
  place: Place,
  room: BenchRoom,
  { sequential, handOvers }: Sizes,
): Promise<Pick<Part, 'rows' | 'notes' | 'problems'>> {
  const [asks, answers] = room.tabs
  if (!asks || !answers) throw new Error('an empty room')
  await connectProbes(place, [asks, 0], [answers, 1])
  const trips: number[] = []
  const writes: number[] = []
  const writesAtOnce: number[] = []
  const rested = { trips: [] as number[], writes: [] as number[] }
  const ofLeader: Locked = { acquire: [], release: [], cost: '' }
  const ofFollower: Locked = { acquire: [], release: [], cost: '' }
  const problems: string[] = []
  const count = Math.ceil(sequential / blocks)
  // Once without counting: caches fill, databases open, code is compiled.
  for (const tab of room.tabs) await tab.call('acquireAndRelease', 10)
  for (const tab of room.tabs) await tab.call('writes', 5, 0)
  for (let block = 0; block < blocks; block += 1) {
    trips.push(...(await asks.call('roundTrips', 1, count, 0)))
    writes.push(...(await asks.call('writes', count, 0)))
    rested.trips.push(...(await asks.call('roundTrips', 1, count, rest)))
    rested.writes.push(...(await asks.call('writes', count, rest)))
    writesAtOnce.push(...(await Promise.all(room.tabs.map((tab) => tab.call('writes', count, 0)))).flat())
    for (const [role, of] of [
      ['leader', ofLeader],
      ['follower', ofFollower],
    ] as const) {
      const isSame = await lockAs(room, role, count, of)
      if (!isSame) problems.push(`acquire, ${role}: another leader in block ${block + 1}, which is not counted`)
    }
  }
  const handOver = await passAround(room, handOvers)
  const states = await room.states()
  const both = ({ acquire, release }: Locked) => acquire.map((ms, i) => ms + (release[i] ?? 0))
  const limit = (t: number, w: number): Limit => ({
    formula: `${t} trip${t > 1 ? 's' : ''} + ${w} write${w > 1 ? 's' : ''}`,
    ms: t * median(trips) + w * median(writes),
  })
  const rows: Row[] = [
    { id: 'trip', label: 'machine: round trip, worker to worker', samples: trips },
    { id: 'write', label: 'machine: one strict IndexedDB write', samples: writes },
    { id: 'writes-at-once', label: 'machine: the same, three workers at once', samples: writesAtOnce },
    { id: 'trip-rested', label: `machine: round trip after ${rest} ms of rest`, samples: rested.trips },
    { id: 'write-rested', label: `machine: write after ${rest} ms of rest`, samples: rested.writes },
    { id: 'acquire-leader', label: 'acquire, leader', samples: ofLeader.acquire, limit: limit(1, 1) },
    { id: 'release-leader', label: 'release, leader', samples: ofLeader.release, limit: limit(1, 1) },
    { id: 'both-leader', label: 'acquire + release, leader', samples: both(ofLeader), limit: limit(2, 2) },
    {
      id: 'acquire-follower',
      label: 'acquire, follower',
      samples: ofFollower.acquire,
      limit: limit(2, 2),
      aim: { timesLimit: 2 },
    },
    { id: 'release-follower', label: 'release, follower', samples: ofFollower.release, limit: limit(2, 2) },
    { id: 'both-follower', label: 'acquire + release, follower', samples: both(ofFollower), limit: limit(4, 4) },
    { id: 'hand-over', label: 'hand-over, release here to grant there', samples: handOver, limit: limit(2, 2) },
  ]
  const clocks = Math.max(...room.tabs.map(({ offset }) => Math.abs(offset)))
  const error = Math.max(...room.tabs.map(({ offsetError }) => offsetError))
  return {
    rows,
    notes: [
      `links: ${states.map(({ links }) => links).join(' ')}; clocks of the pages are at most ${clocks.toFixed(2)} ms apart from this process's, known to ${error.toFixed(2)} ms, and corrected`,
      `an acquire + release from the leader costs ${ofLeader.cost}; from a follower ${ofFollower.cost}`,
      `from a follower, against two rested trips and two rested writes: ${(median(ofFollower.acquire) / (2 * median(rested.trips) + 2 * median(rested.writes))).toFixed(1)} times`,
      `the hosts say that a write of theirs takes ${states.map(({ writeMs }) => writeMs.toFixed(2)).join(', ')} ms`,
    ],
    problems,
  }
}

/** False when the leader has changed meanwhile: then nothing is known of who waited for whom, and nothing is kept. */
async function lockAs(room: BenchRoom, role: 'leader' | 'follower', count: number, of: Locked): Promise<boolean> {
  const { leader, followers } = await room.whole()
  const before = await room.states()
  const { acquire, release } = await (role === 'leader' ? leader : followers[0]).call('acquireAndRelease', count)
  const after = await room.states()
  const [term] = before.map((state) => state.term)
  if (after.some((state) => state.term !== term || state.leader !== leader.peerId)) return false
  of.acquire.push(...acquire)
  of.release.push(...release)
  of.cost = costOf(before, after, count)
  return true
}

/** The lock goes from tab to tab, each already waiting when the one before lets go: from its call of release to the grant. */
async function passAround({ tabs }: BenchRoom, count: number): Promise<number[]> {
  const name = 'pass around'
  const samples: number[] = []
  const at = (i: number): Tab => {
    const tab = tabs[i % tabs.length]
    if (!tab) throw new Error('an empty room')
    return tab
  }
  await at(0).call('acquire', name)
  for (let i = 0; i < count; i += 1) {
    const from = at(i)
    const to = at(i + 1)
    await to.call('queueFor', name)
    const granted = to.call('granted', name)
    const releasedAt = from.here(await from.call('release', name))
    samples.push(to.here(await granted) - releasedAt)
  }
  await at(count).call('release', name)
  return samples
}

/** Heartbeats and housekeeping of that time are counted too: they are few. */
function costOf(before: readonly PageState[], after: readonly PageState[], count: number): string {
  const per = (key: 'writes' | 'framesSent' | 'frameBytes') =>
    after.reduce((sum, state, i) => sum + state[key] - (before[i]?.[key] ?? 0), 0) / count
  return `${per('writes').toFixed(1)} writes, ${per('framesSent').toFixed(1)} frames and ${per('frameBytes').toFixed(0)} bytes over all three tabs`
}
