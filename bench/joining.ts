/** From the call of `join` in a fresh tab to its first lock: in a room that it founds, and as the third of a running one. */
import type { Place } from './place.js'
import type { Part, Row } from './result.js'
import { BenchRoom } from './room.js'
import { reasonOf } from './waiting.js'

const problemsMax = 3
const aim = { belowMs: 1_000 }

export async function benchJoining(place: Place, rounds: number): Promise<Pick<Part, 'rows' | 'problems'>> {
  const founded: number[] = []
  const joined: number[] = []
  const problems: string[] = []
  for (let i = 0; i < rounds; i += 1) {
    // Always a new one: a tab that comes back to a room has its identity and its log already.
    const room = new BenchRoom(place)
    try {
      founded.push((await room.join()).lockMs)
      await room.join()
      joined.push((await room.join()).lockMs)
    } catch (error) {
      problems.push(`joining, round ${i + 1}: ${reasonOf(error)}`)
      if (problems.length >= problemsMax) break
    } finally {
      await room.close()
    }
  }
  const rows: Row[] = [
    { id: 'join-first', label: 'join to first lock, founding', samples: founded, aim },
    { id: 'join-third', label: 'join to first lock, third tab', samples: joined, aim },
  ]
  return { rows, problems }
}
