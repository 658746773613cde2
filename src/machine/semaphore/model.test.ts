import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { applyEntry, decodeMachine, encodeMachine } from '../machine.js'
import { permits, roomOf, type Script } from '../test-script.js'
import { readSemaphore, semaphoresInUse } from './view.js'

// The rules once more, slowly: one list of requests per name, from which everything is read off. It shares no code and no data
// structure with the machine.

interface Request {
  readonly id: string
  readonly peer: string
  readonly count: number
  readonly lease: number
  /** When it came, made earlier by its priority; then its entry. */
  readonly standing: readonly [number, number]
  held: boolean
}

class Model {
  size: number | null = null
  requests: Request[] = []

  get out(): number {
    return this.requests.filter(({ held }) => held).reduce((sum, { count }) => sum + count, 0)
  }

  waiting(): Request[] {
    return this.requests
      .filter(({ held }) => !held)
      .sort((a, b) => a.standing[0] - b.standing[0] || a.standing[1] - b.standing[1])
  }

  acquire(request: Request, declared: number, ifAvailable: boolean): string {
    // What is refused changes nothing.
    if (request.count > (this.size ?? declared)) return 'failed'
    this.#begin(declared)
    this.requests.push(request)
    this.#process()
    if (request.held) return 'semaphore.granted'
    if (!ifAvailable) return 'semaphore.queued'
    this.requests.pop()
    return 'semaphore.unavailable'
  }

  remove(which: (request: Request) => boolean): void {
    this.requests = this.requests.filter((one) => !which(one))
    this.#process()
    this.#end()
  }

  resize(to: number, declared: number): string[] {
    this.#begin(declared)
    this.size = to
    const tooLarge = this.waiting().filter(({ count }) => count > to)
    this.remove((one) => tooLarge.includes(one))
    return tooLarge.map(({ id }) => id)
  }

  /** The size that is gone with its last user. */
  #usual = 0

  #begin(declared: number): void {
    if (this.requests.length === 0) this.#usual = declared
    this.size ??= declared
  }

  #end(): void {
    if (this.requests.length === 0 && this.size === this.#usual) this.size = null
  }

  /** Nobody is let in before the one that stands first. */
  #process(): void {
    for (let [head] = this.waiting(); head && this.out + head.count <= (this.size ?? 0); [head] = this.waiting())
      head.held = true
  }
}

const names = ['a', 'b'] as const
const peers = ['ann', 'bob', 'cid'] as const
const operation = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      type: fc.constant('acquire' as const),
      peer: fc.constantFrom(...peers),
      name: fc.constantFrom(...names),
      count: fc.integer({ min: 1, max: 5 }),
      declared: fc.constantFrom(3, 3, 3, 4),
      priority: fc.constantFrom(0, 0, 0, 1, -1, 3),
      lease: fc.constantFrom(5_000, 10_000, 20_000),
      ifAvailable: fc.nat(5).map((n) => n === 0),
    }),
  },
  { weight: 5, arbitrary: fc.record({ type: fc.constant('release' as const), pick: fc.nat(1000) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      type: fc.constant('resize' as const),
      name: fc.constantFrom(...names),
      to: fc.integer({ min: 1, max: 6 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('leave' as const), peer: fc.constantFrom(...peers) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant('silent' as const), peer: fc.constantFrom(...peers) }) },
)
const operations = fc.array(fc.tuple(operation, fc.constantFrom(0, 100, 900, 2_500)), { maxLength: 60, size: 'max' })

interface Play {
  readonly script: Script
  readonly sessions: Record<(typeof peers)[number], number>
  readonly models: Map<string, Model>
  readonly asked: { session: number; number: number }[]
  life: number
}

function begin(): Play {
  const { script, sessions } = roomOf(...peers)
  return { script, sessions, models: new Map(names.map((name) => [name, new Model()])), asked: [], life: 1 }
}

type Operation = typeof operation extends fc.Arbitrary<infer O> ? O : never

function perform(play: Play, one: Operation): void {
  const { script, sessions, models, asked } = play
  if (one.type === 'acquire') {
    const { peer, name, count, declared, priority, lease, ifAvailable } = one
    const session = sessions[peer]
    const options = { permits: declared, priority, lease, ifAvailable }
    const { outcome, number } = script.send(session, permits(name, count, options))
    asked.push({ session, number })
    const standing = [script.state.clusterTime - 1_000 * priority, script.index] as const
    const request = { id: `${session}/${number}`, peer, count, lease, standing, held: false }
    expect(outcome?.type).toBe(models.get(name)?.acquire(request, declared, ifAvailable))
  } else if (one.type === 'release') {
    const target = asked[one.pick % Math.max(1, asked.length)]
    if (!target || !Object.values(sessions).includes(target.session)) return
    script.send(target.session, { type: 'semaphore.release', request: target.number })
    for (const model of models.values()) model.remove(({ id }) => id === `${target.session}/${target.number}`)
  } else if (one.type === 'resize') {
    const { events } = script.send(sessions.ann, { type: 'semaphore.resize', name: one.name, permits: 3, to: one.to })
    const refused = events.flatMap((event) =>
      event.type === 'semaphore.refused' ? [`${event.session}/${event.request}`] : [],
    )
    expect(refused).toEqual(models.get(one.name)?.resize(one.to, 3))
  } else if (one.type === 'leave') {
    play.life += 1
    sessions[one.peer] = script.open(one.peer, play.life)
    for (const model of models.values()) model.remove(({ peer }) => peer === one.peer)
  } else {
    const longest = Math.max(
      10_000,
      ...[...models.values()].flatMap(({ requests }) =>
        requests.filter(({ held, peer }) => held && peer === one.peer).map(({ lease }) => lease),
      ),
    )
    // Less than the session itself lives: only what has a shorter lease ends.
    script.expire(sessions[one.peer], longest - 1)
    for (const model of models.values())
      model.remove(({ held, peer, lease }) => held && peer === one.peer && lease < longest)
  }
}

function idsOf(requests: readonly { session: number; request: number }[]): string[] {
  return requests.map(({ session, request }) => `${session}/${request}`)
}

it('lets in as the rules say: never too many, by rank, all of a request or nothing, and nobody waits who need not', () => {
  fc.assert(
    fc.property(operations, (operations) => {
      const play = begin()
      const { script, models } = play
      let over = new Map<string, number>()
      for (const [one, ms] of operations) {
        script.time += ms
        perform(play, one)
        const excess = new Map<string, number>()
        for (const [name, model] of models) {
          const use = semaphoresInUse(script.state).find((use) => use.name === name)
          const held = model.requests.filter(({ held }) => held).map(({ id }) => id)
          expect([...idsOf(use?.holders ?? [])].sort()).toEqual([...held].sort())
          expect(idsOf(use?.waiters ?? [])).toEqual(model.waiting().map(({ id }) => id))
          expect(readSemaphore(script.state, name)?.size ?? null).toBe(model.size)
          const out = use?.holders.reduce((sum, { count }) => sum + count, 0) ?? 0
          excess.set(name, Math.max(0, out - (use?.size ?? 0)))
          // More than the size are out only after a resize, and from then on they become fewer.
          if (one.type !== 'resize') expect(excess.get(name)).toBeLessThanOrEqual(over.get(name) ?? 0)
        }
        over = excess
      }
    }),
    { numRuns: 400 },
  )
})

it('[S-10] whoever restores after any entry goes on alike, and every grant has a token of its own that rises', () => {
  fc.assert(
    fc.property(operations, (operations) => {
      const play = begin()
      const { script } = play
      let follower = decodeMachine(encodeMachine(script.state))
      let newest = 0
      for (const [one, ms] of operations) {
        const from = script.entries.length
        const before = new Set(semaphoresInUse(script.state).flatMap(({ holders }) => idsOf(holders)))
        script.time += ms
        perform(play, one)
        for (const entry of script.entries.slice(from)) applyEntry(follower, entry)
        const bytes = encodeMachine(script.state)
        expect(Buffer.compare(encodeMachine(follower), bytes)).toBe(0)
        follower = decodeMachine(bytes)
        const granted = semaphoresInUse(script.state)
          .flatMap(({ holders }) => holders)
          .filter(({ session, request }) => !before.has(`${session}/${request}`))
          .map(({ token }) => token)
          .sort((a, b) => a - b)
        for (const token of granted) {
          expect(token).toBeGreaterThan(newest)
          newest = token
        }
      }
      expect(follower).toEqual(script.state)
    }),
    { numRuns: 100 },
  )
})

it('nobody starves: among endless small requests a large one gets its turn, and so does one of low priority', () => {
  for (const options of [
    { count: 3, priority: 0 },
    { count: 1, priority: -5 },
  ]) {
    const { script, sessions } = roomOf('ann', 'bob')
    const hold: number[] = [0, 1, 2].map(() => script.send(sessions.ann, permits('a')).number)
    script.send(sessions.bob, permits('a', options.count, { priority: options.priority }))
    let rounds = 0
    for (; !semaphoresInUse(script.state)[0]?.holders.some(({ session }) => session === sessions.bob); rounds += 1) {
      expect(rounds).toBeLessThan(80)
      script.time += 100
      hold.push(script.send(sessions.ann, permits('a')).number)
      script.send(sessions.ann, { type: 'semaphore.release', request: hold.shift() ?? 0 })
    }
    // The large one waits for three to come back; the other for those who came within its five seconds.
    expect(rounds).toBeGreaterThan(options.count === 3 ? 1 : 40)
  }
})
