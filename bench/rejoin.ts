/** A tab that is reloaded: from the order to reload until its room is ready again, and until a lock is granted to it. */
import type { Place } from './place.js'
import type { Part } from './result.js'
import { BenchRoom } from './room.js'
import { median } from './samples.js'
import { reasonOf } from './waiting.js'
import { Yardstick } from './yardstick.js'

const problemsMax = 3

export async function benchRejoin(place: Place, rounds: number): Promise<Pick<Part, 'rows' | 'notes' | 'problems'>> {
  const script: number[] = []
  const ready: number[] = []
  const locked: number[] = []
  const problems: string[] = []
  let sameIdentity = 0
  const yardstick = await Yardstick.open(place)
  let room: BenchRoom | null = null
  for (let i = 0; i < rounds && problems.length < problemsMax; i += 1) {
    try {
      room ??= await BenchRoom.open(place)
      await yardstick.measure()
      // By turns whoever leads and one that follows.
      const { leader, followers } = await room.whole()
      const tab = i % 2 === 0 ? leader : followers[0]
      const before = tab.peerId
      const { calledAt, scriptAt, readyAt, lockedAt } = await tab.reload()
      if (tab.peerId === before) sameIdentity += 1
      script.push(scriptAt - calledAt)
      ready.push(readyAt - calledAt)
      locked.push(lockedAt - calledAt)
    } catch (error) {
      problems.push(`rejoin, round ${i + 1}: ${reasonOf(error)}`)
      await room?.close()
      room = null
    }
  }
  await room?.close()
  // It makes itself known in the log (opens a session), and asks: each a way to the leader and back, a round and a write.
  const load = { name: 'load', ms: median(script) }
  const rows = [
    ...yardstick.rows('rejoin'),
    { id: 'reload-script', label: "machine: reload to the page's first script", samples: script },
    {
      id: 'reload-ready',
      label: 'reload to ready',
      samples: ready,
      limit: yardstick.limit(2, 2, load),
      aim: { belowMs: 1_000 },
    },
    { id: 'reload-locked', label: 'reload to first lock', samples: locked, limit: yardstick.limit(4, 3, load) },
  ]
  await yardstick.close()
  return {
    rows,
    notes: [`reloaded by turns: the leader, a follower; ${sameIdentity} of ${ready.length} came back as the same peer`],
    problems,
  }
}
