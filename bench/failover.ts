/**
 * How long a room is without a leader. Both survivors acquire and release a lock of their own again and again. Time counts
 * from the `pagehide` or the `freeze` of the leader's page, or from the order to its renderer to crash, until
 * - both survivors know another leader, and
 * - a survivor that knows it is granted a lock, whether it had asked before or after.
 * Besides: until a lock that the leader held is passed on to a survivor that waits for it, where that does not wait for a
 * lease (a crash in another browser proves nothing, and who is frozen may come back, so there it does).
 */
import type { Failover } from './page/protocol.js'
import type { Place } from './place.js'
import type { Limit, Part, Row } from './result.js'
import { BenchRoom } from './room.js'
import type { Tab } from './tab.js'
import { clock, reasonOf, sleep, until } from './waiting.js'
import { Yardstick } from './yardstick.js'

/** `freeze` only where the place is of plain browsers. */
export type Way = 'close' | 'crash' | 'freeze'

const aims = { close: { belowMs: 100 }, crash: { belowMs: 600 }, freeze: { belowMs: 100 } } as const
const labels = { close: 'leader closed', crash: 'leader crashed', freeze: 'leader frozen' } as const
/** Whoever has heard nothing of a crash waits for the least election time-out. */
const silence = { name: '150 ms', ms: 150 }
/** Longer than a heartbeat: the leader goes at any point between two of them (dissertation 9.3). */
const spread = 100
/** Of a leader that is to stay. */
const settleMs = 1_000

/** Each may have cost as long as a page may take to answer. */
const problemsMax = 4

interface Round {
  readonly known: number
  readonly served: number
  readonly passedOn: number | null
  /** How many terms it took: more than one is a split vote or a second try. */
  readonly terms: number
}

export async function benchFailover(
  place: Place,
  rounds: number,
  ways: readonly Way[],
): Promise<Pick<Part, 'rows' | 'notes' | 'problems'>> {
  const rows: Row[] = []
  const notes: string[] = []
  const problems: string[] = []
  const yardstick = await Yardstick.open(place)
  for (const way of ways) {
    const done: Round[] = []
    let room: BenchRoom | null = null
    for (let i = 0; i < rounds; i += 1) {
      try {
        room ??= await BenchRoom.open(place)
        await yardstick.measure()
        done.push(await failover(place, room, way))
      } catch (error) {
        problems.push(`${labels[way]}, round ${i + 1}: ${reasonOf(error)}`)
        await room?.close()
        room = null
        if (problems.length >= problemsMax) break
      }
    }
    await room?.close()
    rows.push(...rowsOf(way, done, limitOf(yardstick, place, way)))
    notes.push(
      `${labels[way]}: terms until the next leader, round by round: ${done.map(({ terms }) => terms).join(' ')}`,
    )
  }
  rows.unshift(...yardstick.rows(`failover by ${ways.join(' and ')}`))
  await yardstick.close()
  return { rows, notes, problems }
}

/** The vote, the first entry of the next leader and the grant: each a round trip and a write. */
function limitOf(yardstick: Yardstick, place: Place, way: Way): Limit {
  return yardstick.limit(3, 3, way === 'crash' && place.id === 'three-browsers' ? silence : undefined)
}

async function failover(place: Place, room: BenchRoom, way: Way): Promise<Round> {
  const { leader, followers } = way === 'freeze' ? await settled(room) : await room.whole()
  const [heir] = followers
  const waitsForLease = way === 'freeze' || (way === 'crash' && place.id === 'three-browsers')
  const estate = `estate ${crypto.randomUUID()}`
  if (!waitsForLease) {
    await leader.call('acquire', estate)
    await heir.call('queueFor', estate)
  }
  for (const tab of followers) await tab.call('watchFailover', leader.peerId)
  await sleep(spread + Math.random() * spread)
  const stillLeads = await Promise.all(followers.map((tab) => tab.call('state')))
  if (stillLeads.some((state) => state.leader !== leader.peerId)) throw new Error('another leader before its time')
  const term = Math.max(...stillLeads.map((state) => state.term))

  const calledAt = await leader[way]()
  const seen = await Promise.all(followers.map(async (tab) => local(tab, await tab.call('failover'))))
  const passedAt = waitsForLease ? null : heir.here(await heir.call('granted', estate))
  if (passedAt !== null) await heir.call('release', estate)

  const { term: termAfter } = await heir.call('state')
  const goneAt = await comeBack(room, leader, way, calledAt)
  return {
    known: Math.max(...seen.map(({ knownAt }) => knownAt)) - goneAt,
    served: Math.min(...seen.map(({ grantedAt }) => grantedAt)) - goneAt,
    passedOn: passedAt === null ? null : passedAt - goneAt,
    terms: termAfter - term,
  }
}

/** Of plain browsers some tabs are hidden: the lead moves to one that is seen, once (M4). */
async function settled(room: BenchRoom): ReturnType<BenchRoom['whole']> {
  return until('a leader that stays', async () => {
    const before = await room.whole()
    await sleep(settleMs)
    const after = await room.whole()
    return before.leader === after.leader ? after : null
  })
}

/** The leader that was, or another tab in its place. Gives when it went. */
async function comeBack(room: BenchRoom, leader: Tab, way: Way, calledAt: number): Promise<number> {
  if (way === 'freeze') {
    await leader.unfreeze()
    return told(leader, await leader.call('lastFreeze'), calledAt)
  }
  await room.remove(leader)
  const { tab: newcomer } = await room.join(leader.context)
  return way === 'close' ? pageHideOf(leader, newcomer, calledAt) : calledAt
}

function local(tab: Tab, { knownAt, grantedAt, askedAt }: Failover): Failover {
  return { knownAt: tab.here(knownAt), grantedAt: tab.here(grantedAt), askedAt: tab.here(askedAt) }
}

/** The closed page left it for the next page of its browser. */
export async function pageHideOf(closed: Tab, newcomer: Tab, calledAt: number): Promise<number> {
  return told(closed, await newcomer.call('lastPageHide'), calledAt)
}

function told(tab: Tab, time: number | null, calledAt: number): number {
  const at = time === null ? Number.NaN : tab.here(time)
  if (at >= calledAt - 1 && at <= clock()) return at
  throw new Error('the page did not tell when it went')
}

function rowsOf(way: Way, rounds: readonly Round[], limit: Limit): Row[] {
  const row = (id: string, label: string, samples: readonly number[]): Row => ({
    id: `${way}-${id}`,
    label: `${labels[way]}: ${label}`,
    samples,
  })
  const passedOn = rounds.flatMap((round) => round.passedOn ?? [])
  return [
    row(
      'known',
      'both others know the next',
      rounds.map((round) => round.known),
    ),
    {
      ...row(
        'served',
        'a lock is granted again',
        rounds.map((round) => round.served),
      ),
      limit,
      aim: aims[way],
    },
    ...(passedOn.length > 0 ? [row('passed-on', 'its own lock is passed on', passedOn)] : []),
  ]
}
