/** A tab of the benchmark: the library as a user has it, and the stop watch. All times are taken here, in the page. */
import { join, type Lock, type Room } from '../../src/index.js'
import { Probe } from './probe.js'
import type { BenchApi, Failover, Hold, PageJoinOptions, Rejoined, TurnPlan } from './protocol.js'

declare global {
  interface Window {
    bench: BenchApi
  }
}

/** A survivor asks again this soon after each release: often enough to notice, and not a load by itself. */
const askEvery = 5

const clock = () => performance.timeOrigin + performance.now()
const scriptAt = clock()
const held = new Map<string, Lock>()
const queued = new Map<string, Promise<number>>()
const probe = new Probe()
let joined: Room | null = null
let failover: Promise<Failover> | null = null

// Registered before the library's own, so that it tells when the page began to go. Read once, so that it is in memory.
localStorage.getItem('pagehide')
addEventListener('pagehide', () => localStorage.setItem('pagehide', String(clock())))
let frozenAt: number | null = null
document.addEventListener('freeze', () => {
  frozenAt = clock()
})

function room(): Room {
  if (!joined) throw new Error('the page has not joined')
  return joined
}

async function acquireAndRelease(count: number): Promise<{ acquire: number[]; release: number[] }> {
  const { locks } = room()
  const acquire: number[] = []
  const release: number[] = []
  while (acquire.length < count) {
    const asked = performance.now()
    const lock = await locks.acquire('bench')
    const granted = performance.now()
    await lock.release()
    acquire.push(granted - asked)
    release.push(performance.now() - granted)
  }
  return { acquire, release }
}

async function takeTurns({ locks: which, users }: TurnPlan): Promise<Hold[]> {
  const locks: { request(name: string, callback: () => void): Promise<unknown> } =
    which === 'room' ? room().locks : navigator.locks
  const holds: Hold[] = []
  const use = async (names: readonly string[]) => {
    for (const name of names) {
      const askedAt = clock()
      await locks.request(name, () => {
        const grantedAt = clock()
        holds.push({ name, askedAt, grantedAt, endedAt: clock() })
      })
    }
  }
  await Promise.all(users.map(use))
  return holds
}

/** A grant counts once another leader is known here: before, the old one may have given it. */
async function untilServed(dead: string): Promise<Failover> {
  const { locks, peerId } = room()
  let knownAt: number | null = null
  let askAgain = () => {}
  const look = () => {
    const { leader } = room()
    if (leader === null || leader === dead) return
    knownAt ??= clock()
    // Timers of a hidden page run once a second.
    askAgain()
  }
  room().addEventListener('leaderchange', look)
  try {
    for (;;) {
      const askedAt = clock()
      const lock = await locks.acquire(`of ${peerId}`)
      const grantedAt = clock()
      lock.release().catch(() => {})
      if (knownAt !== null) return { knownAt, grantedAt, askedAt }
      await new Promise<void>((resolve) => {
        askAgain = resolve
        setTimeout(resolve, askEvery)
      })
    }
  } finally {
    room().removeEventListener('leaderchange', look)
  }
}

const rejoinKey = 'rejoin'
let joinedAs: string | null = null

async function rejoin(stored: string): Promise<Rejoined> {
  const { name, options } = JSON.parse(stored) as { name: string; options: PageJoinOptions }
  joinedAs = stored
  joined = await join(name, options)
  const readyAt = clock()
  const lock = await joined.locks.acquire('first')
  const lockedAt = clock()
  await lock.release()
  return { peerId: joined.peerId, scriptAt, readyAt, lockedAt }
}

const toRejoin = sessionStorage.getItem(rejoinKey)
sessionStorage.removeItem(rejoinKey)
const rejoined = toRejoin === null ? null : rejoin(toRejoin)
rejoined?.catch(() => {})

window.bench = {
  clock,
  async join(name, options) {
    joinedAs = JSON.stringify({ name, options })
    const begun = performance.now()
    joined = await join(name, options)
    const joinMs = performance.now() - begun
    const lock = await joined.locks.acquire('first')
    const lockMs = performance.now() - begun
    await lock.release()
    return { peerId: joined.peerId, joinMs, lockMs }
  },
  async state() {
    const { peerId, leader, status, members } = room()
    const metrics = await room().metrics()
    return {
      peerId,
      leader,
      term: metrics.term,
      ready: status === 'ready',
      voters: metrics.voters.length,
      learners: metrics.learners.length,
      connected: members.current.filter(({ connected }) => connected).length,
      commitIndex: metrics.commitIndex,
      writes: metrics.writes,
      writeMs: metrics.writeMs ?? 0,
      framesSent: metrics.framesSent,
      framesReceived: metrics.framesReceived,
      frameBytes: metrics.bytesSent,
      links: members.current.flatMap(({ link }) => link ?? []).join(),
    }
  },
  acquireAndRelease,
  takeTurns,
  async acquire(name, lease) {
    held.set(name, await room().locks.acquire(name, lease === undefined ? {} : { lease }))
  },
  async queueFor(name) {
    const grant = room().locks.acquire(name)
    const granted = grant.then((lock) => {
      held.set(name, lock)
      return clock()
    })
    granted.catch(() => {})
    queued.set(name, granted)
    // It is answered after everything that this page has asked before.
    const { pending } = await room().locks.query()
    if (!pending.some((one) => one.name === name && one.clientId === room().peerId)) {
      throw new Error(`the request for ${name} is not in the queue`)
    }
  },
  async granted(name) {
    const granted = queued.get(name)
    if (!granted) throw new Error(`${name} was not queued for`)
    return granted
  },
  async release(name) {
    const lock = held.get(name)
    if (!lock) throw new Error(`${name} is not held`)
    const calledAt = clock()
    await lock.release()
    return calledAt
  },
  watchFailover(leader) {
    failover = untilServed(leader)
    failover.catch(() => {})
  },
  async failover() {
    if (!failover) throw new Error('nobody watches')
    return failover
  },
  lastPageHide() {
    const stored = localStorage.getItem('pagehide')
    return stored === null ? null : Number(stored)
  },
  lastFreeze: () => frozenAt,
  rejoinAfterReload() {
    if (joinedAs === null) throw new Error('the page has not joined')
    sessionStorage.setItem(rejoinKey, joinedAs)
  },
  async rejoined() {
    if (!rejoined) throw new Error('the page has not come back')
    return rejoined
  },
  async openBroadcast(to, name) {
    await probe.ask({ type: 'broadcast', to, name })
  },
  offer: (to) => probe.offer(to),
  answer: (to, offer) => probe.answer(to, offer),
  accept: (to, answer) => probe.accept(to, answer),
  roundTrips: (to, count, rest) => probe.ask({ type: 'roundTrips', to, count, rest }),
  writes: (count, rest) => probe.ask({ type: 'writes', count, rest }),
  passTurns: (me, count) => probe.passTurns(me, count, clock),
}
