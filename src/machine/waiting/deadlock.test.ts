import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { queryLocks } from '../lock/view.js'
import { applyEntry, decodeMachine, encodeMachine } from '../machine.js'
import type { SemaphoreCommand } from '../semaphore/command.js'
import { permitState, semaphoresInUse } from '../semaphore/view.js'
import { acquire, permits, release, roomOf, type Script } from '../test-script.js'
import { viewWaits } from './view.js'

const owner = { owner: 'o' }
const give = (request: number): SemaphoreCommand => ({ type: 'semaphore.release', request })
const resize = (name: string, to: number): SemaphoreCommand => ({ type: 'semaphore.resize', name, permits: 3, to })
const of = (size: number, more = {}) => ({ permits: size, ...owner, ...more })
type Sent = ReturnType<Script['send']>
const codeOf = ({ outcome }: Sent) => (outcome?.type === 'failed' ? outcome.failure.code : outcome?.type)
const cycleOf = ({ outcome }: Sent) => (outcome?.type === 'failed' ? outcome.failure.details?.['cycle'] : null)

describe('a deadlock over locks and permits', () => {
  it('is refused to the permit that would close it, with the circle, and changes nothing', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.send(sessions.ann, acquire('lock', owner))
    script.send(sessions.bob, permits('pool', 1, of(1)))
    expect(codeOf(script.send(sessions.bob, acquire('lock', owner)))).toBe('lock.queued')
    const before = [queryLocks(script.state), semaphoresInUse(script.state)]
    const refused = script.send(sessions.ann, permits('pool', 1, of(1)))
    expect(codeOf(refused)).toBe('deadlock')
    expect(cycleOf(refused)).toEqual([
      { peerId: 'ann', owner: 'o', name: 'pool' },
      { peerId: 'bob', owner: 'o', name: 'lock' },
    ])
    expect(refused.events).toEqual([])
    expect([queryLocks(script.state), semaphoresInUse(script.state)]).toEqual(before)
  })

  it('is refused to the lock that would close it', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.send(sessions.ann, acquire('lock', owner))
    script.send(sessions.bob, permits('pool', 1, of(1)))
    expect(codeOf(script.send(sessions.ann, permits('pool', 1, of(1))))).toBe('semaphore.queued')
    const refused = script.send(sessions.bob, acquire('lock', owner))
    expect(cycleOf(refused)).toEqual([
      { peerId: 'bob', owner: 'o', name: 'lock' },
      { peerId: 'ann', owner: 'o', name: 'pool' },
    ])
    expect(codeOf(script.send(sessions.bob, acquire('lock', { ...owner, ifAvailable: true })))).toBe('lock.unavailable')
  })

  it('goes through requests for several names', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.send(sessions.ann, acquire('x', owner))
    script.send(sessions.bob, permits('pool', 2, of(2)))
    expect(codeOf(script.send(sessions.bob, acquire(['w', 'x'], owner)))).toBe('lock.queued')
    expect(codeOf(script.send(sessions.ann, permits('pool', 1, of(2))))).toBe('deadlock')
  })

  it('of one owner with itself: it has all the permits, and asks for another', () => {
    const { script, sessions } = roomOf('ann')
    script.send(sessions.ann, permits('pool', 2, of(3)))
    const refused = script.send(sessions.ann, permits('pool', 2, of(3)))
    expect(cycleOf(refused)).toEqual([{ peerId: 'ann', owner: 'o', name: 'pool' }])
    expect(codeOf(script.send(sessions.ann, permits('pool', 1, of(3))))).toBe('semaphore.granted')
    expect(codeOf(script.send(sessions.ann, permits('pool', 1, of(3, { owner: 'another' }))))).toBe('semaphore.queued')
    expect(codeOf(script.send(sessions.ann, permits('pool', 1, { permits: 3 })))).toBe('semaphore.queued')
  })

  it('is none while somebody else can give back enough', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.send(sessions.ann, permits('pool', 1, of(3)))
    script.send(sessions.bob, permits('pool', 2, of(3)))
    expect(codeOf(script.send(sessions.ann, permits('pool', 2, of(3))))).toBe('semaphore.queued')
    script.send(sessions.bob, give(1))
    expect(permitState(script.state, sessions.ann, 2).type).toBe('held')
  })

  it('closes through the head of a line that nobody passes, though there were permits enough', () => {
    const { script, sessions } = roomOf('ann', 'bob', 'cid')
    script.send(sessions.ann, acquire('lock', owner))
    script.send(sessions.bob, permits('pool', 1, of(3)))
    // Two are free; cid wants three, and stands first.
    expect(codeOf(script.send(sessions.cid, permits('pool', 3, of(3))))).toBe('semaphore.queued')
    expect(codeOf(script.send(sessions.bob, acquire('lock', owner)))).toBe('lock.queued')
    const refused = script.send(sessions.ann, permits('pool', 1, of(3)))
    expect(codeOf(refused)).toBe('deadlock')
    expect(cycleOf(refused)).toContainEqual({ peerId: 'bob', owner: 'o', name: 'lock' })
    // Ahead of that line it finds what is free.
    expect(codeOf(script.send(sessions.ann, permits('pool', 1, of(3, { priority: 1 }))))).toBe('semaphore.granted')
  })

  it('closes by a priority that jumps ahead of who is waited for', () => {
    const { script, sessions } = roomOf('ann', 'bob', 'cid')
    script.send(sessions.cid, permits('pool', 1, of(3)))
    script.send(sessions.bob, acquire('lock', owner))
    expect(codeOf(script.send(sessions.bob, permits('pool', 3, of(3))))).toBe('semaphore.queued')
    expect(codeOf(script.send(sessions.ann, acquire('lock', owner)))).toBe('lock.queued')
    // Granted at once it would keep what bob waits for, while it waits for bob.
    const refused = script.send(sessions.ann, permits('pool', 1, of(3, { priority: 5 })))
    expect(cycleOf(refused)).toEqual([
      { peerId: 'ann', owner: 'o', name: 'lock' },
      { peerId: 'bob', owner: 'o', name: 'pool' },
    ])
    expect(codeOf(script.send(sessions.ann, permits('pool', 1, of(3))))).toBe('semaphore.queued')
  })

  it('is named by a circle of the newcomer, though others wait for each other who need not for ever', () => {
    const { script, sessions } = roomOf('ann', 'bob', 'cid')
    script.send(sessions.ann, acquire('of ann', owner))
    script.send(sessions.ann, permits('pool', 1, of(2)))
    script.send(sessions.bob, acquire('of bob', owner))
    script.send(sessions.cid, permits('pool', 1, of(2)))
    script.send(sessions.ann, acquire('of bob', owner))
    // It waits for the permit of ann or that of cid.
    expect(codeOf(script.send(sessions.bob, permits('pool', 1, of(2))))).toBe('semaphore.queued')
    expect(cycleOf(script.send(sessions.cid, acquire('of ann', owner)))).toEqual([
      { peerId: 'cid', owner: 'o', name: 'of ann' },
      { peerId: 'ann', owner: 'o', name: 'of bob' },
      { peerId: 'bob', owner: 'o', name: 'pool' },
    ])
  })

  it('is refused to the resize that would close it, with the circle, and changes nothing', () => {
    const { script, sessions } = roomOf('ann', 'bob', 'cid')
    script.send(sessions.ann, acquire('lock', owner))
    script.send(sessions.bob, permits('pool', 1, of(2)))
    script.send(sessions.cid, permits('pool', 1, of(2)))
    expect(codeOf(script.send(sessions.bob, acquire('lock', owner)))).toBe('lock.queued')
    // It waits for the permit of cid.
    expect(codeOf(script.send(sessions.ann, permits('pool', 1, of(2))))).toBe('semaphore.queued')
    const before = [queryLocks(script.state), semaphoresInUse(script.state)]
    const refused = script.send(sessions.cid, resize('pool', 1))
    expect(cycleOf(refused)).toEqual([
      { peerId: 'ann', owner: 'o', name: 'pool' },
      { peerId: 'bob', owner: 'o', name: 'lock' },
    ])
    expect(refused.events).toEqual([])
    expect([queryLocks(script.state), semaphoresInUse(script.state)]).toEqual(before)
    script.send(sessions.cid, give(1))
    expect(permitState(script.state, sessions.ann, 2).type).toBe('held')
    expect(codeOf(script.send(sessions.cid, resize('pool', 1)))).toBe('semaphore.resized')
  })

  it('is refused to a resize by a circle through the head of a line that nobody passes', () => {
    const { script, sessions } = roomOf('ann', 'bob', 'cid')
    script.send(sessions.ann, acquire('lock', owner))
    script.send(sessions.bob, permits('pool', 1, of(2)))
    script.send(sessions.cid, permits('pool', 1, of(2)))
    script.send(sessions.bob, acquire('lock', owner))
    expect(codeOf(script.send(sessions.cid, permits('pool', 1, { permits: 2 })))).toBe('semaphore.queued')
    expect(codeOf(script.send(sessions.ann, permits('pool', 1, of(2))))).toBe('semaphore.queued')
    expect(cycleOf(script.send(sessions.cid, resize('pool', 1)))).toEqual([
      { peerId: 'cid', owner: null, name: 'pool' },
      { peerId: 'bob', owner: 'o', name: 'lock' },
      { peerId: 'ann', owner: 'o', name: 'pool' },
    ])
  })

  it('is none when the resize refuses who would have waited in it', () => {
    const { script, sessions } = roomOf('ann', 'bob', 'cid')
    script.send(sessions.ann, acquire('lock', owner))
    script.send(sessions.bob, permits('pool', 1, of(3)))
    script.send(sessions.cid, permits('pool', 1, of(3)))
    script.send(sessions.bob, acquire('lock', owner))
    expect(codeOf(script.send(sessions.ann, permits('pool', 2, of(3))))).toBe('semaphore.queued')
    // With two it would wait for the permit of bob.
    expect(codeOf(script.send(sessions.cid, resize('pool', 2)))).toBe('deadlock')
    const { outcome, events } = script.send(sessions.cid, resize('pool', 1))
    expect(outcome?.type).toBe('semaphore.resized')
    expect(events).toMatchObject([{ type: 'semaphore.refused', session: sessions.ann, request: 2, count: 2, size: 1 }])
  })

  it('is not looked for where a resize comes first to a name, or makes room', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    expect(codeOf(script.send(sessions.ann, resize('pool', 1)))).toBe('semaphore.resized')
    script.send(sessions.ann, permits('pool', 1, of(3)))
    expect(codeOf(script.send(sessions.bob, permits('pool', 1, of(3))))).toBe('semaphore.queued')
    expect(codeOf(script.send(sessions.ann, resize('pool', 2)))).toBe('semaphore.resized')
    expect(permitState(script.state, sessions.bob, 1).type).toBe('held')
  })

  it('cannot be told of requests without an owner', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    script.send(sessions.ann, acquire('lock'))
    script.send(sessions.bob, permits('pool', 1, { permits: 1 }))
    script.send(sessions.bob, acquire('lock'))
    expect(codeOf(script.send(sessions.ann, permits('pool', 1, { permits: 1 })))).toBe('semaphore.queued')
  })
})

it('who waits for permits is shown with who has them, and who stands before', () => {
  const { script, sessions } = roomOf('ann', 'bob', 'cid')
  script.send(sessions.ann, permits('pool', 2, of(2)))
  script.send(sessions.bob, permits('pool', 2, of(2)))
  script.send(sessions.cid, permits('pool', 1, { permits: 2 }))
  const held = { peerId: 'ann', owner: 'o', name: 'pool', state: 'held' }
  const waits = { kind: 'semaphore', names: ['pool'], mode: null }
  expect(viewWaits(script.state)).toMatchObject([
    { peerId: 'bob', owner: 'o', position: 1, behind: [held], ...waits },
    {
      ...{ peerId: 'cid', owner: null, position: 2, ...waits },
      behind: [held, { peerId: 'bob', owner: 'o', name: 'pool', state: 'waiting' }],
    },
  ])
  expect(viewWaits(decodeMachine(encodeMachine(script.state)))).toEqual(viewWaits(script.state))
})

// What really may happen, tried out: whoever waits for nothing gives back anything it has, in every order there is.

type Sizes = Readonly<Record<string, number>>
const sizes: Sizes = { p: 2, q: 3 }
interface Ask {
  readonly id: number
  readonly node: string
  readonly names: readonly string[]
  readonly mode: 'exclusive' | 'shared'
  /** 0: of locks. */
  readonly count: number
  readonly rank: number
}
interface World {
  /** Of each semaphore. */
  readonly sizes: Sizes
  readonly held: readonly Ask[]
  /** In the order of their ranks. */
  readonly waiting: readonly Ask[]
}

function isGrantable({ sizes, held, waiting }: World, ask: Ask): boolean {
  const ahead = waiting.filter((other) => isAhead(other, ask))
  const meets = (other: Ask) => other.names.some((name) => ask.names.includes(name))
  if (ask.count > 0) {
    const out = held.filter(meets).reduce((sum, { count }) => sum + count, 0)
    return !ahead.some(meets) && out + ask.count <= (sizes[ask.names[0] ?? ''] ?? 0)
  }
  const isInTheWay = (other: Ask) => meets(other) && (other.mode === 'exclusive' || ask.mode === 'exclusive')
  return ![...held, ...ahead].some(isInTheWay)
}

const isAhead = (a: Ask, b: Ask) => a.rank < b.rank || (a.rank === b.rank && a.id < b.id)

function settled(world: World): World {
  const next = world.waiting.find((ask) => isGrantable(world, ask))
  if (!next) return world
  return settled({ ...world, held: [...world.held, next], waiting: world.waiting.filter((ask) => ask !== next) })
}

function without(world: World, id: number): World {
  const others = (asks: readonly Ask[]) => asks.filter((ask) => ask.id !== id)
  return settled({ ...world, held: others(world.held), waiting: others(world.waiting) })
}

/** Who waits for more than there are then waits no longer. */
function resized(world: World, name: string, to: number): World {
  const isTooLarge = ({ names, count }: Ask) => names[0] === name && count > to
  const waiting = world.waiting.filter((ask) => !isTooLarge(ask))
  return settled({ ...world, sizes: { ...world.sizes, [name]: to }, waiting })
}

/** Whether in any course of events that node waits for nothing in the end. */
function canGoOn(world: World, node: string, seen = new Set<string>()): boolean {
  const isBlocked = (one: string) => world.waiting.some((ask) => ask.node === one)
  if (!isBlocked(node)) return true
  const key = JSON.stringify([world.held.map(({ id }) => id).sort(), world.waiting.map(({ id }) => id)])
  if (seen.has(key)) return false
  seen.add(key)
  return world.held.some((ask) => !isBlocked(ask.node) && canGoOn(without(world, ask.id), node, seen))
}

const peers = ['ann', 'bob', 'cid'] as const
const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant('lock' as const),
      names: fc.subarray(['x', 'y', 'z'], { minLength: 1, maxLength: 2 }),
      mode: fc.constantFrom('exclusive' as const, 'exclusive' as const, 'shared' as const),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      type: fc.constant('permits' as const),
      name: fc.constantFrom('p', 'q'),
      count: fc.integer({ min: 1, max: 2 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('release' as const), which: fc.nat(9) }) },
  {
    weight: 2,
    arbitrary: fc.record({
      type: fc.constant('resize' as const),
      name: fc.constantFrom('p', 'q'),
      to: fc.integer({ min: 1, max: 3 }),
    }),
  },
)
const varied = fc.array(
  fc.tuple(
    step,
    fc.constantFrom(...peers),
    fc.constantFrom('o', 'o', 'o', null),
    fc.constantFrom(0, 0, 0, 1, 2),
    fc.constantFrom(0, 700),
  ),
  { maxLength: 14 },
)
/** Everybody wants the same lock and the same permits, which become fewer: what a resize must not do is rare among varied steps. */
const crowded = fc.array(
  fc.tuple(
    step.filter((one) => (one.type === 'lock' ? one.names.join() === 'x' : one.type === 'release' || one.name === 'p')),
    fc.constantFrom(...peers),
    fc.constant('o'),
    fc.constant(0),
    fc.constant(0),
  ),
  { minLength: 6, maxLength: 14 },
)
const steps = fc.oneof(varied, crowded)

it('is refused exactly when nothing that can happen would ever let somebody go on', () => {
  const count = { granted: 0, queued: 0, refused: 0, mixed: 0, resized: 0, shrunk: 0, kept: 0 }
  fc.assert(
    fc.property(steps, (all) => {
      const { script, sessions } = roomOf(...peers)
      const commands = new Map<number, { peer: (typeof peers)[number]; number: number; isLock: boolean }>()
      let world: World = { sizes, held: [], waiting: [] }
      for (const [id, [what, peer, by, priority, pause]] of all.entries()) {
        script.time += pause
        if (what.type === 'release') {
          const ask = [...world.held, ...world.waiting][what.which]
          const command = ask && commands.get(ask.id)
          if (!ask || !command) continue
          const { number, isLock } = command
          script.send(sessions[command.peer], isLock ? release(number) : give(number))
          world = without(world, ask.id)
          continue
        }
        if (what.type === 'resize') {
          const { name, to } = what
          const then = resized(world, name, to)
          const restored = decodeMachine(encodeMachine(script.state))
          const from = script.entries.length
          const sent = script.send(sessions[peer], { type: 'semaphore.resize', name, permits: sizes[name] ?? 0, to })
          for (const entry of script.entries.slice(from)) applyEntry(restored, entry)
          expect(Buffer.compare(encodeMachine(restored), encodeMachine(script.state)), '[S-10]').toBe(0)
          const isStuck = then.waiting.some((ask) => !canGoOn(then, ask.node))
          expect(codeOf(sent), JSON.stringify({ all, id })).toBe(isStuck ? 'deadlock' : 'semaphore.resized')
          if (isStuck) {
            const circle = cycleOf(sent) as { name: string }[]
            expect(circle.map((step) => step.name)).toContain(name)
            expect(sent.events).toEqual([])
            count.kept += 1
            continue
          }
          count[to < (world.sizes[name] ?? 0) && world.waiting.length > 0 ? 'shrunk' : 'resized'] += 1
          world = then
          continue
        }
        const names = what.type === 'lock' ? what.names : [what.name]
        const node = by === null ? `request ${id}` : `${peer} ${by}`
        const asks = [...world.held, ...world.waiting]
        // Re-entering is another test's matter (lock/beyond-model.test.ts).
        const isAgain = (ask: Ask) => ask.node === node && ask.names.some((name) => names.includes(name))
        if (what.type === 'lock' && asks.some(isAgain)) continue
        const rank = script.time - priority * 1_000
        const ask: Ask =
          what.type === 'lock'
            ? { id, node, names, mode: what.mode, count: 0, rank }
            : { id, node, names, mode: 'exclusive', count: what.count, rank }
        const isFree = isGrantable(world, ask)
        const then: World = isFree
          ? { ...world, held: [...world.held, ask] }
          : { ...world, waiting: [...world.waiting, ask].sort((a, b) => (isAhead(a, b) ? -1 : 1)) }
        const sent = script.send(
          sessions[peer],
          what.type === 'lock'
            ? acquire(names, { mode: what.mode, owner: by, priority })
            : permits(what.name, what.count, { owner: by, priority, permits: sizes[what.name] ?? 0 }),
        )
        if (ask.count > (world.sizes[what.type === 'lock' ? '' : what.name] ?? ask.count)) {
          expect(codeOf(sent)).toBe('limit-exceeded')
          continue
        }
        const answer = (codeOf(sent) ?? '').replace(/^(lock|semaphore)\./, '')
        const expected = canGoOn(then, node) ? (isFree ? 'granted' : 'queued') : 'deadlock'
        expect(answer, JSON.stringify({ all, id })).toBe(expected)
        if (expected === 'deadlock') {
          count.refused += 1
          const circle = cycleOf(sent) as { peerId: string; owner: string | null; name: string }[]
          expect(circle[0]).toMatchObject({ peerId: peer, owner: by })
          const kinds = new Set(circle.map(({ name }) => name in sizes))
          if (kinds.size === 2) count.mixed += 1
          continue
        }
        count[isFree ? 'granted' : 'queued'] += 1
        world = then
        commands.set(id, { peer, number: sent.number, isLock: what.type === 'lock' })
        for (const one of new Set(world.waiting.map((waiting) => waiting.node)))
          expect(canGoOn(world, one), `${one} waits for ever`).toBe(true)
      }
      expect(viewWaits(script.state).length).toBe(world.waiting.length)
    }),
    { numRuns: 1_000 },
  )
  // The histories are worth their name.
  for (const [what, times] of Object.entries(count)) expect(times, what).toBeGreaterThan(0)
})
