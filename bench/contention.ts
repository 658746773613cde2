/**
 * Locks that many want: how soon the next one has it, and how many an eight-tab room gives out. The same users in the same pages take
 * the browser's own locks too, where it is one browser: what can be had without a network and a disk.
 */
import type { Hold, TurnPlan } from './page/protocol.js'
import type { Place } from './place.js'
import type { Part, Row, Table } from './result.js'
import { BenchRoom } from './room.js'
import { median } from './samples.js'
import type { Tab } from './tab.js'
import { Yardstick } from './yardstick.js'

const tabCount = 8
/** How many wait while one holds. */
const crowds = [2, 8, 64] as const
const nameCount = 64
/** Users of the whole room at once, each of whom asks again as soon as it has let go. */
const loads = [1, 8, 64] as const
/**
 * Hand-overs by which each crowd ends its turn, and those of a new room that are not counted with the others: until some four hundred
 * the machine code of what a hand-over runs through is still being made, in all three workers and pages.
 */
const handOversAtLeast = 400
const coldHandOvers = 400
type Which = TurnPlan['locks']

export async function benchContention(place: Place, rounds: number): Promise<Pick<Part, 'rows' | 'tables' | 'notes'>> {
  const kinds: readonly Which[] = place.id === 'one-browser' ? ['room', 'browser'] : ['room']
  const yardstick = await Yardstick.open(place)
  const room = await BenchRoom.open(place)
  try {
    const handOvers = new Map<string, number[]>()
    const rates = new Map<string, number[]>()
    const add = (map: Map<string, number[]>, key: string, samples: readonly number[]) =>
      map.set(key, [...(map.get(key) ?? []), ...samples])
    await yardstick.warmUpHandOvers(coldHandOvers)
    for (const which of kinds)
      add(
        handOvers,
        `${which} cold`,
        await queue(room.tabs, which, { crowd: 8, atLeast: coldHandOvers, round: 'cold' }),
      )
    for (let round = 0; round < Math.ceil(rounds / 3); round += 1) {
      await yardstick.measure()
      await yardstick.measureHandOvers()
      for (const which of kinds)
        for (const crowd of inTurns(round))
          add(
            handOvers,
            `${which} ${crowd}`,
            await queue(room.tabs, which, { crowd, atLeast: handOversAtLeast, round: String(round) }),
          )
    }
    while (room.tabs.length < tabCount) await room.join()
    for (let round = 0; round < Math.ceil(rounds / 3); round += 1) {
      await yardstick.measure()
      for (const which of kinds)
        for (const load of loads) add(rates, `${which} ${load}`, [await drive(room.tabs, which, load)])
    }
    const limit = yardstick.limit(2, 2)
    const rows: Row[] = crowds.flatMap((crowd) =>
      kinds.map((which) => ({
        id: `contended-${which}-${crowd}`,
        label: `${nameOf(which)}: hand-over, ${crowd} wait`,
        samples: handOvers.get(`${which} ${crowd}`) ?? [],
        ...(which === 'room' && { limit, aim: { timesLimit: 2 } }),
      })),
    )
    const coldRow: Row = {
      id: 'contended-cold',
      label: `room.locks: the first ${coldHandOvers} of a new room`,
      samples: handOvers.get('room cold') ?? [],
      limit,
    }
    const bareRow: Row = {
      id: 'bare-hand-over',
      label: 'machine: bare hand-over',
      samples: yardstick.bareHandOvers,
      limit,
    }
    const overBare = crowds.map(
      (crowd) => median(handOvers.get(`room ${crowd}`) ?? []) / median(yardstick.bareHandOvers),
    )
    return {
      rows: [...yardstick.rows('contention'), bareRow, coldRow, ...rows],
      tables: [rateTable(kinds, rates, limit.ms)],
      notes: [
        'hand-over: the users sit in three tabs, in turns; from the end of one hold to the next grant in any tab',
        `bare: three workers pass a turn around with a lock's messages and writes and nothing else, all three at once; a hand-over with ${crowds.join(', ')} waiting takes ${overBare.map((times) => times.toFixed(1)).join(', ')} times that`,
      ],
    }
  } finally {
    await room.close()
    await yardstick.close()
  }
}

/** Another crowd comes first in each round: the first one finds a room that has rested while the machine was measured. */
function inTurns(round: number): number[] {
  const first = round % crowds.length
  return [...crowds.slice(first), ...crowds.slice(0, first)]
}

function nameOf(which: Which): string {
  return which === 'room' ? 'room.locks' : 'navigator.locks'
}

/** Everyone wants the one lock, again and again. What the first and the last of them wait is not contended, and left out. */
async function queue(
  tabs: readonly Tab[],
  which: Which,
  { crowd, atLeast, round }: { readonly crowd: number; readonly atLeast: number; readonly round: string },
): Promise<number[]> {
  const name = `crowd of ${crowd}, ${round}`
  const each = Math.max(4, Math.ceil(atLeast / (crowd + 1)))
  const users = spread(crowd + 1, () => Array.from({ length: each }, () => name))
  const holds = (await take(tabs, which, users)).sort((a, b) => a.grantedAt - b.grantedAt)
  const gaps = holds.slice(1).map(({ grantedAt }, i) => grantedAt - (holds[i]?.endedAt ?? Number.NaN))
  return gaps.slice(crowd, -crowd)
}

/** Locks a second, by users who go round 64 names from different beginnings. */
async function drive(tabs: readonly Tab[], which: Which, load: number): Promise<number> {
  const each = Math.ceil(256 / load) + 8
  const users = spread(load, (user) =>
    Array.from({ length: each }, (_, i) => `of ${nameCount}: ${(user * (nameCount / load) + i * 7) % nameCount}`),
  )
  const holds = await take(tabs, which, users)
  const begun = Math.min(...holds.map(({ askedAt }) => askedAt))
  const ended = Math.max(...holds.map(({ endedAt }) => endedAt))
  return (holds.length * 1_000) / (ended - begun)
}

function spread(users: number, names: (user: number) => string[]): string[][] {
  return Array.from({ length: users }, (_, user) => names(user))
}

/** The users sit in the tabs in turns. All holds, by the clock of this process. */
async function take(tabs: readonly Tab[], which: Which, users: readonly (readonly string[])[]): Promise<Hold[]> {
  const holds = await Promise.all(
    tabs.map(async (tab, i) => {
      const mine = users.filter((_, user) => user % tabs.length === i)
      const taken = await tab.call('takeTurns', { locks: which, users: mine })
      return taken.map(({ name, askedAt, grantedAt, endedAt }) => ({
        name,
        askedAt: tab.here(askedAt),
        grantedAt: tab.here(grantedAt),
        endedAt: tab.here(endedAt),
      }))
    }),
  )
  return holds.flat()
}

/** One user alone waits for each lock and gives it back: what the machine lets one do is the unit of the last column. */
function rateTable(kinds: readonly Which[], rates: ReadonlyMap<string, number[]>, limitMs: number): Table {
  return {
    head: [`locks/s, ${tabCount} tabs, ${nameCount} names`, 'runs', 'median', 'of one at a time at the limit'],
    rows: kinds.flatMap((which) =>
      loads.map((load) => {
        const rate = median(rates.get(`${which} ${load}`) ?? [])
        return [
          `${nameOf(which)}, ${load} ${load === 1 ? 'user' : 'users'}`,
          String(rates.get(`${which} ${load}`)?.length ?? 0),
          rate.toFixed(0),
          which === 'room' ? `${((rate * limitMs) / 1_000).toFixed(1)} times` : '',
        ]
      }),
    ),
  }
}
