/**
 * How long a lock that was held by a follower's tab takes to reach the one that waits for it: from the `pagehide` of the holder's page,
 * or from the order to its renderer to crash, until the grant. A crash in another browser proves nothing: there the lease has to run out.
 */
import { pageHideOf } from './failover.js'
import type { Place } from './place.js'
import type { Part, Row } from './result.js'
import { BenchRoom } from './room.js'
import { reasonOf } from './waiting.js'
import { Yardstick } from './yardstick.js'

const ways = ['close', 'crash'] as const
type Way = (typeof ways)[number]

const labels = { close: 'holder closed', crash: 'holder crashed' } as const
const lease = 2_000
const problemsMax = 4

export async function benchHolder(place: Place, rounds: number): Promise<Pick<Part, 'rows' | 'problems'>> {
  const rows: Row[] = []
  const problems: string[] = []
  const yardstick = await Yardstick.open(place)
  for (const way of ways) {
    const samples: number[] = []
    let room: BenchRoom | null = null
    for (let i = 0; i < rounds && problems.length < problemsMax; i += 1) {
      try {
        room ??= await BenchRoom.open(place)
        await yardstick.measure()
        samples.push(await passOn(room, way))
      } catch (error) {
        problems.push(`${labels[way]}, round ${i + 1}: ${reasonOf(error)}`)
        await room?.close()
        room = null
      }
    }
    await room?.close()
    const byLease = way === 'crash' && place.id === 'three-browsers'
    rows.push({
      id: `holder-${way}`,
      label: `${labels[way]}${byLease ? `, lease of ${lease / 1_000} s` : ''}: the next has the lock`,
      samples,
      // The end of the session as an entry of the log, and the way to and from the leader.
      limit: yardstick.limit(2, 1, byLease ? { name: `${lease} ms`, ms: lease } : undefined),
    })
  }
  rows.unshift(...yardstick.rows('hand-over by loss'))
  await yardstick.close()
  return { rows, problems }
}

async function passOn(room: BenchRoom, way: Way): Promise<number> {
  const { followers } = await room.whole()
  const [holder, heir] = followers
  const name = `held ${crypto.randomUUID()}`
  await holder.call('acquire', name, lease)
  await heir.call('queueFor', name)
  const calledAt = await holder[way]()
  const grantedAt = heir.here(await heir.call('granted', name))
  await heir.call('release', name)
  await room.remove(holder)
  const { tab: newcomer } = await room.join(holder.context)
  return grantedAt - (way === 'close' ? await pageHideOf(holder, newcomer, calledAt) : calledAt)
}
