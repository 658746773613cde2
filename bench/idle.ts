/**
 * What a room costs in which nothing is asked for: messages, bytes and processor time, beside the same room while a lock is held, and
 * beside the same pages before they joined. In plain browsers: tabs in the background are throttled, as people's are.
 */
import type { PageState } from './page/protocol.js'
import type { Place } from './place.js'
import type { Part } from './result.js'
import { BenchRoom } from './room.js'
import { clock, sleep, until } from './waiting.js'

const size = 3
/** M6: at most so many, from each peer. */
const messagesMax = 2
/** A room is idle 5 s after the last request, and tells all that it is. */
const idleWithin = 15_000

interface Watched {
  readonly seconds: number
  /** Of all processes of all browsers, s. */
  readonly cpu: number
  readonly frames: number
  readonly bytes: number
}

export async function benchIdle(place: Place, seconds: number): Promise<Pick<Part, 'tables' | 'notes' | 'problems'>> {
  const room = new BenchRoom(place)
  try {
    for (let i = 0; i < size; i += 1) await room.openPage()
    await settle(place)
    const empty = await watch(place, null, seconds)
    await room.joinAll()
    await room.whole()
    const { followers } = await room.whole()
    await followers[0].call('acquire', 'held')
    const awake = await watch(place, room, seconds)
    await followers[0].call('release', 'held')
    await idle(room)
    const quiet = await watch(place, room, seconds)
    return report({ empty, awake, quiet }, seconds)
  } finally {
    await room.close()
  }
}

/** The browsers have started, and what they do then is done: what they take is the same twice. */
async function settle(place: Place): Promise<void> {
  let before = Number.NaN
  await until(
    'browsers at rest',
    async () => {
      const begun = await cpuSeconds(place)
      await sleep(1_000)
      const took = (await cpuSeconds(place)) - begun
      const isCalm = Math.abs(took - before) < 0.05
      before = took
      return isCalm ? true : null
    },
    30_000,
  )
}

/** Idle by what is sent: fewer frames in a second than an awake leader's heartbeats. */
async function idle(room: BenchRoom): Promise<void> {
  await until(
    'an idle room',
    async () => {
      const before = sum(await room.states(), 'framesSent')
      await sleep(1_000)
      return sum(await room.states(), 'framesSent') - before <= messagesMax * size ? true : null
    },
    idleWithin,
  )
}

async function watch(place: Place, room: BenchRoom | null, seconds: number): Promise<Watched> {
  const states = async () => (room ? room.states() : [])
  const [cpuBefore, before, begun] = [await cpuSeconds(place), await states(), clock()]
  await sleep(seconds * 1_000)
  const [cpuAfter, after, ended] = [await cpuSeconds(place), await states(), clock()]
  return {
    seconds: (ended - begun) / 1_000,
    cpu: cpuAfter - cpuBefore,
    frames: sum(after, 'framesSent') - sum(before, 'framesSent'),
    bytes: sum(after, 'frameBytes') - sum(before, 'frameBytes'),
  }
}

function sum(states: readonly PageState[], key: 'framesSent' | 'frameBytes'): number {
  return states.reduce((total, state) => total + state[key], 0)
}

/** What the browsers' processes have taken so far; a new one that was started between two questions is counted whole. */
async function cpuSeconds({ contexts }: Place): Promise<number> {
  let total = 0
  for (const context of contexts) {
    const session = await context.browser()?.newBrowserCDPSession()
    if (!session) throw new Error('a browser that is not plain')
    const { processInfo } = await session.send('SystemInfo.getProcessInfo')
    for (const { cpuTime } of processInfo) total += cpuTime
    await session.detach()
  }
  return total
}

function report(
  { empty, awake, quiet }: Record<'empty' | 'awake' | 'quiet', Watched>,
  seconds: number,
): Pick<Part, 'tables' | 'notes' | 'problems'> {
  const floor = cpuPerPeer(empty)
  const line = (label: string, watched: Watched) => [
    label,
    perPeer(watched, 'frames').toFixed(2),
    perPeer(watched, 'bytes').toFixed(0),
    cpuPerPeer(watched).toFixed(1),
    (cpuPerPeer(watched) - floor).toFixed(1),
    (cpuPerPeer(watched) / floor).toFixed(1),
  ]
  const messages = perPeer(quiet, 'frames')
  return {
    tables: [
      {
        head: ['per peer, over all three', 'messages/s', 'bytes/s', 'CPU ms/s', 'above the floor', 'x floor'],
        rows: [line('pages that have not joined', empty), line('a lock is held', awake), line('idle', quiet)],
      },
    ],
    notes: [
      `each for ${seconds} s; CPU is of all processes of the browsers; an idle room sends ${messages.toFixed(2)} messages a second and peer, at most ${messagesMax} are meant: ${messages <= messagesMax ? 'ok' : 'MISS'}`,
    ],
    problems: [],
  }
}

function perPeer(watched: Watched, key: 'frames' | 'bytes'): number {
  return watched[key] / watched.seconds / size
}

function cpuPerPeer({ cpu, seconds }: Watched): number {
  return (cpu * 1_000) / seconds / size
}
