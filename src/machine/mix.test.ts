import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import type { SessionId } from './command.js'
import type { LockMode } from './lock/command.js'
import { applyEntry, decodeMachine, encodeMachine } from './machine.js'
import type { Applied } from './outcome.js'
import { registered } from './registry.js'
import { acquire, lock, permits, release, roomOf } from './test-script.js'
import { deadlockOf } from './waiting/graph.js'

// Locks of both kinds, trees, upgrades, thefts, permits, single leases that end, deaths and forks, all in one history: what must hold of any.

const peers = ['ann', 'bob', 'cid'] as const
const names = ['a', 'a/b', 'a/c', 'd']
const peer = fc.constantFrom(...peers)
const name = fc.constantFrom(...names)
const mode = fc.constantFrom<LockMode>('exclusive', 'shared')
const owner = fc.constantFrom(null, 'o', 'o', 'p')
const priority = fc.constantFrom(0, 0, 2, -2)
const semaphore = fc.constantFrom('p', 'q')
const pick = fc.nat(999)
const operation = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      ...{ do: fc.constant('ask' as const), peer, mode, owner, priority },
      names: fc.uniqueArray(name, { minLength: 1, maxLength: 3 }),
      scope: fc.constantFrom<'exact' | 'tree'>('exact', 'exact', 'tree'),
      lease: fc.constantFrom(2_000, 5_000, 10_000, 20_000),
      maxHold: fc.constantFrom(null, null, 700),
      lockDelay: fc.constantFrom(0, 0, 600),
      kind: fc.constantFrom('wait', 'wait', 'wait', 'if available', 'steal'),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('plain' as const), peer, name, mode, steal: fc.nat(9).map((n) => n === 0) }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      ...{ do: fc.constant('permits' as const), peer, name: semaphore, owner, priority },
      count: fc.integer({ min: 1, max: 3 }),
      lease: fc.constantFrom(2_000, 10_000),
    }),
  },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constantFrom<Change>('release', 'withdraw', 'upgrade', 'upgrade', 'downgrade', 'acknowledge', 'give'),
      pick,
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('resize' as const), name: semaphore, to: fc.integer({ min: 1, max: 4 }) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('revoke' as const), name, grace: fc.constantFrom(0, 300) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constantFrom<End>('replace', 'goodbye', 'death', 'expire'),
      peer,
      silence: fc.constantFrom(2_000, 5_000, 9_999, 30_000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('fork' as const), seconds: fc.constantFrom(0, 1, 2 ** 20) }) },
  { weight: 2, arbitrary: fc.constant({ do: 'pass' as const }) },
)
type Change = 'release' | 'withdraw' | 'upgrade' | 'downgrade' | 'acknowledge' | 'give'
type End = 'replace' | 'goodbye' | 'death' | 'expire'
type Operation = typeof operation extends fc.Arbitrary<infer T> ? T : never

const steps = fc.array(fc.tuple(operation, fc.constantFrom(0, 0, 0, 100, 650)), {
  ...{ minLength: 10, maxLength: 60, size: 'max' },
})

class Play {
  readonly #room = roomOf(...peers)
  readonly #newest = new Map<string, { readonly token: number; readonly session: SessionId }>()
  readonly told = new Set<string>()
  #follower = decodeMachine(encodeMachine(this.#room.script.state))
  #lives = 1
  #epoch = 0

  run(one: Operation, ms: number): void {
    const { script } = this.#room
    script.time += ms
    const from = script.entries.length
    const applied = this.#do(one)
    for (const { lockEvents } of applied) for (const event of lockEvents ?? []) this.#taken(event)
    const outcome = applied[0]?.answer?.outcome
    this.told.add(`${one.do} ${outcome?.type === 'failed' ? outcome.failure.code : outcome?.type}`)
    for (const entry of script.entries.slice(from)) applyEntry(this.#follower, entry)
    this.#check()
  }

  /** T1 */
  #taken(event: NonNullable<Applied['lockEvents']>[number]): void {
    if (event.type !== 'lock.taken' || (event.how !== 'granted' && event.how !== 'upgraded')) return
    const { name, mode, token, session } = event
    const before = this.#newest.get(name) ?? { token: 0, session: 0 }
    expect(token).toBeGreaterThanOrEqual(before.token)
    if (mode === 'exclusive' && session !== before.session) expect(token).toBeGreaterThan(before.token)
    this.#newest.set(name, { token, session })
  }

  /** S-10: restored is replayed. Nobody waits for what can never come. */
  #check(): void {
    const { state } = this.#room.script
    const bytes = encodeMachine(state)
    expect(Buffer.compare(encodeMachine(this.#follower), bytes)).toBe(0)
    this.#follower = decodeMachine(bytes)
    expect(this.#follower).toEqual(state)
    const waits = registered.flatMap(([, primitive]) => primitive.waits?.(state) ?? [])
    expect(deadlockOf([...new Set(waits.map(({ node }) => node))], waits)).toBeNull()
  }

  #do(one: Operation): Applied[] {
    const { script, sessions } = this.#room
    switch (one.do) {
      case 'ask': {
        const { do: _, peer, names, kind, ...options } = one
        const how = { ifAvailable: kind === 'if available', steal: kind === 'steal' }
        return [script.send(sessions[peer], acquire(names, { ...options, ...how, ...(how.steal && exclusive) }))]
      }
      case 'plain':
        return [script.send(sessions[one.peer], lock(one.name, { mode: one.mode, ...(one.steal && thief) }))]
      case 'permits': {
        const { do: _, peer, name, count, ...options } = one
        return [script.send(sessions[peer], permits(name, count, options))]
      }
      case 'resize':
        return [script.send(sessions.ann, { type: 'semaphore.resize', name: one.name, permits: 3, to: one.to })]
      case 'revoke':
        return [script.send(sessions.ann, { type: 'lock.revoke', name: one.name, grace: one.grace })]
      case 'fork':
        this.#epoch += 1
        return [script.apply({ type: 'fork', epoch: this.#epoch, forkId: `f${this.#epoch}`, seconds: one.seconds })]
      case 'pass':
        return [script.apply({ type: 'tick', term: script.term })]
      case 'replace':
      case 'goodbye':
      case 'death':
      case 'expire':
        return this.#end(one.do, one.peer, one.silence)
      default:
        return this.#change(one.do, one.pick)
    }
  }

  /** Its page goes on in a session of its own. */
  #end(how: End, peer: (typeof peers)[number], silence: number): Applied[] {
    const { script, sessions } = this.#room
    const applied: Applied[] = []
    this.#lives += 2
    if (how === 'expire') applied.push(script.expire(sessions[peer], silence))
    else if (how !== 'replace') {
      const incarnation = { counter: this.#lives - 1, nonce: 'gone' }
      applied.push(script.apply({ type: 'close', peerId: peer, incarnation, ...(how === 'death' && { proof: how }) }))
    }
    if (how !== 'expire' || !script.state.sessions.has(sessions[peer])) sessions[peer] = script.open(peer, this.#lives)
    return applied
  }

  #change(what: Change, pick: number): Applied[] {
    const { script } = this.#room
    const resources = [...script.state.locks.resources.values()]
    const one = <T>(all: readonly T[]): T | undefined => all[pick % Math.max(1, all.length)]
    if (what === 'give') {
      const all = [...script.state.semaphores.byName.values()].flatMap(({ held, queue }) => [...held, ...queue])
      const { session, request } = one(all) ?? nobody
      return [script.send(session, { type: 'semaphore.release', request })]
    }
    if (what === 'withdraw') {
      const { session, request } = one(resources.flatMap(({ queue }) => queue)) ?? nobody
      return [script.send(session, release(request))]
    }
    const holds = resources.flatMap(({ name, held }) => held.map((hold) => ({ name, ...hold })))
    const shares = holds.filter(({ mode }) => mode === 'shared')
    const { name, session, request, revoke } = one(what === 'upgrade' ? shares : holds) ?? nobody
    if (what === 'acknowledge')
      return [script.send(session, { type: 'lock.acknowledge', request, name, grace: revoke?.grace ?? 0 })]
    if (what === 'release' && pick % 2) return [script.send(session, release(request))]
    return [script.send(session, { type: `lock.${what}`, request, name })]
  }
}

const exclusive = { mode: 'exclusive' } as const
const thief = { ...exclusive, steal: true }
const nobody = { name: 'a', session: 1, request: 1, revoke: undefined }

it('[S-10][T1] nobody waits for what can never come, tokens rise, and what is restored is what was replayed', () => {
  fc.assert(
    fc.property(steps, (steps) => {
      const play = new Play()
      for (const [one, ms] of steps) play.run(one, ms)
    }),
    { numRuns: 150 },
  )
})

it('the histories are worth their name: everything that can be answered is', () => {
  const told = new Set<string>()
  for (const sample of fc.sample(steps, { numRuns: 200, seed: 1 })) {
    const play = new Play()
    for (const [one, ms] of sample) play.run(one, ms)
    for (const words of play.told) told.add(words)
  }
  const asked = ['lock.granted', 'lock.queued', 'lock.unavailable', 'deadlock'].map((words) => `ask ${words}`)
  const given = ['granted', 'queued'].map((words) => `permits semaphore.${words}`)
  const changed = ['upgrade lock.upgraded', 'upgrade lock.queued', 'upgrade deadlock', 'downgrade lock.downgraded']
  const others = ['permits deadlock', 'plain lock.granted', 'plain lock.queued', 'resize deadlock']
  expect([...told]).toEqual(expect.arrayContaining([...asked, ...given, ...changed, ...others]))
})
