import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { decodeMachine, encodeMachine } from '../machine.js'
import type { LockEvent } from '../outcome.js'
import { acquire, release, Script, testTokenBase } from '../test-script.js'
import type { LockMode, LockScope } from './command.js'
import { observeLock } from './view.js'

// The rules once more, slowly: two flat lists, every question asked of everybody. It shares no code with the machine.

interface Ask {
  readonly id: string
  readonly peer: string
  readonly names: readonly string[]
  readonly scope: LockScope
  readonly mode: LockMode
  readonly owner: string | null
  readonly priority: number
  readonly maxHold: number | null
  readonly lockDelay: number
  readonly since: number
  readonly index: number
}
interface Hold {
  readonly ask: Ask
  readonly name: string
  mode: LockMode
  token: number
  endsAt: number
  readonly granted: number
  grace: number | null
  revokedAt: number
  /** The index of the upgrade that waits. */
  upgrade: number | null
}
interface Want {
  readonly ask: Ask
  readonly names: readonly string[]
  readonly mode: LockMode
  readonly hold: Hold | null
  readonly rank: readonly [number, number, number]
}

const isUnder = (name: string, root: string) => name.startsWith(`${root}/`)
const meet = (a: string, as: LockScope, b: string, bs: LockScope) =>
  a === b || (as === 'tree' && isUnder(b, a)) || (bs === 'tree' && isUnder(a, b))
const areOne = (a: Ask, b: Ask) => a === b || (a.peer === b.peer && a.owner !== null && a.owner === b.owner)
const compare = (a: number, b: number) => (a === b ? 0 : a - b)
const nodeOf = (ask: Ask) => (ask.owner === null ? ask.id : `${ask.peer} of ${ask.owner}`)
const before = (a: Want, b: Want) => {
  const at = a.rank.findIndex((part, i) => part !== b.rank[i])
  return at >= 0 && (a.rank[at] ?? 0) < (b.rank[at] ?? 0)
}

/** Whether `other`, of the same owner, asks for all that `want` wants of that name. */
const isPart = (want: Want, name: string, other: Want) =>
  areOne(want.ask, other.ask) &&
  (other.mode === 'exclusive' || want.mode === 'shared') &&
  other.names.some((one) =>
    one === name
      ? other.ask.scope === 'tree' || want.ask.scope === 'exact'
      : other.ask.scope === 'tree' && isUnder(name, one),
  )

class Model {
  holds: Hold[] = []
  waits: Ask[] = []
  delays: { name: string; scope: LockScope; until: number }[] = []
  now = 0
  index = 0
  /** Tokens that were used up by holds which ended in the entry that began them (T1). */
  usedUp = 0

  wants(extra: readonly Ask[] = []): Want[] {
    const upgrades = this.holds.flatMap((hold): Want[] =>
      hold.upgrade === null
        ? []
        : [{ ask: hold.ask, names: [hold.name], mode: 'exclusive', hold, rank: [0, hold.upgrade, 0] }],
    )
    const asked = [...this.waits, ...extra].map((ask): Want => {
      return {
        ask,
        names: ask.names,
        mode: ask.mode,
        hold: null,
        rank: [1, ask.since - 1_000 * ask.priority, ask.index],
      }
    })
    return [...upgrades, ...asked]
  }

  /** The nodes that it waits for, with those names of its own. */
  behind(want: Want, all: readonly Want[], holds = this.holds, mine = want.names): Ask[] {
    const isInWay = (ask: Ask, names: readonly string[], mode: LockMode) =>
      !areOne(ask, want.ask) &&
      (mode === 'exclusive' || want.mode === 'exclusive') &&
      names.some((name) => mine.some((one) => meet(name, ask.scope, one, want.ask.scope)))
    return [
      ...holds.filter((hold) => isInWay(hold.ask, [hold.name], hold.mode)).map(({ ask }) => ask),
      ...all
        .filter((other) => before(other, want) && isInWay(other.ask, other.names, other.mode))
        .map(({ ask }) => ask),
    ]
  }

  /** Whoever is in the way where its owner is already does not matter: it is there. */
  canGo(want: Want, all: readonly Want[], holds = this.holds): boolean {
    const missing = want.hold ? want.names : want.names.filter((name) => !this.cover(want.ask, name, holds))
    const isShut = this.delays.some(({ name, scope }) => missing.some((one) => meet(name, scope, one, want.ask.scope)))
    return !isShut && this.behind(want, all, holds, missing).length === 0
  }

  /** Nodes that would wait for ever. What one of an owner's requests gets in time lets in another that asks for no more. */
  stuck(all: readonly Want[], holds = this.holds): Set<string> {
    const open = new Set(all)
    const isLeft = (ask: Ask) => [...open].some((want) => nodeOf(want.ask) === nodeOf(ask))
    const isEntered = (want: Want) =>
      want.ask.owner !== null &&
      !want.hold &&
      want.names.every((name) => all.some((other) => !open.has(other) && !other.hold && isPart(want, name, other)))
    for (let again = true; again; ) {
      again = false
      for (const want of open) {
        const isFree = this.canGo(want, all, holds) || !this.behind(want, all, holds).some(isLeft)
        if (!isFree && !isEntered(want)) continue
        open.delete(want)
        again = true
      }
    }
    return new Set([...open].map(({ ask }) => nodeOf(ask)))
  }

  cover(ask: Ask, name: string, holds = this.holds): Hold | undefined {
    const own = holds.filter(
      (hold) =>
        ask.owner !== null &&
        areOne(hold.ask, ask) &&
        (hold.mode === 'exclusive' || ask.mode === 'shared') &&
        (hold.name === name
          ? hold.ask.scope === 'tree' || ask.scope === 'exact'
          : hold.ask.scope === 'tree' && isUnder(name, hold.name)),
    )
    const sorted = own.sort(
      (a, b) => b.token - a.token || compare(b.endsAt, a.endsAt) || compare(a.revokedAt, b.revokedAt),
    )
    return sorted.find((hold) => hold.name === name) ?? sorted[0]
  }

  ask(ask: Ask, kind: string): string {
    const meets = (hold: Hold) => ask.names.some((name) => meet(hold.name, hold.ask.scope, name, ask.scope))
    const all = this.wants([ask])
    const mine = all.find((want) => want.ask === ask && !want.hold)
    if (!mine) throw new Error('it is there')
    const goes = kind === 'steal' || this.canGo(mine, all)
    if (!goes && kind === 'ifAvailable') return 'lock.unavailable'
    const ownShare = this.holds.some(
      (hold) =>
        hold.mode === 'shared' &&
        ask.mode === 'exclusive' &&
        ask.owner !== null &&
        areOne(hold.ask, ask) &&
        ask.names.some((name) => meet(hold.name, hold.ask.scope, name, ask.scope) && !this.cover(ask, name)),
    )
    if (!goes && ownShare) return 'deadlock'
    const rest = kind === 'steal' ? this.holds.filter((hold) => !meets(hold)) : this.holds
    const upgrades = this.wants().filter(({ hold }) => hold === null || rest.includes(hold))
    const then = goes ? upgrades : all
    const taken = goes ? ask.names.map((name) => this.hold(ask, name, 0)) : []
    if (this.stuck(then, [...rest, ...taken]).has(nodeOf(ask))) return 'deadlock'
    if (!goes) {
      this.waits.push(ask)
      return 'lock.queued'
    }
    this.keep((hold) => rest.includes(hold))
    this.grant(ask, kind !== 'steal')
    this.process()
    return 'lock.granted'
  }

  get token(): number {
    return testTokenBase + this.index + this.usedUp
  }

  /** The other holds end. */
  keep(isKept: (hold: Hold) => boolean): void {
    const usesUp = this.holds.some((hold) => !isKept(hold) && hold.token === this.token)
    this.holds = this.holds.filter(isKept)
    if (usesUp) this.usedUp += 1
  }

  hold(ask: Ask, name: string, token: number): Hold {
    const endsAt = ask.maxHold === null ? Number.POSITIVE_INFINITY : this.now + ask.maxHold
    const granted = this.index
    const revokedAt = Number.POSITIVE_INFINITY
    return { ask, name, mode: ask.mode, token, endsAt, granted, grace: null, revokedAt, upgrade: null }
  }

  grant(ask: Ask, reenters: boolean): void {
    const made = ask.names.map((name) => {
      const cover = reenters ? this.cover(ask, name) : undefined
      const hold = this.hold(ask, name, cover?.name === name ? cover.token : this.token)
      const { grace, revokedAt } = cover ?? hold
      const covers = ask.names.flatMap((name) => (reenters && this.cover(ask, name)) || [])
      const ends = covers.filter(({ granted }) => granted < this.index)
      hold.endsAt = Math.min(hold.endsAt, ...ends.flatMap(({ endsAt, revokedAt }) => [endsAt, revokedAt]))
      return Object.assign(hold, { grace, revokedAt })
    })
    this.holds.push(...made)
  }

  process(): void {
    for (let again = true; again; ) {
      again = false
      const all = this.wants()
      const [next] = all.filter((want) => this.canGo(want, all)).sort((a, b) => (before(a, b) ? -1 : 1))
      if (!next) return
      again = true
      if (next.hold) Object.assign(next.hold, { mode: 'exclusive', token: this.token, upgrade: null })
      else {
        this.waits.splice(this.waits.indexOf(next.ask), 1)
        this.grant(next.ask, true)
      }
    }
  }

  upgrade(hold: Hold): string {
    if (hold.mode === 'exclusive') return 'lock.upgraded'
    if (hold.upgrade !== null) return 'lock.queued'
    const isRivalled = this.holds.some(
      (other) => other.name === hold.name && other.upgrade !== null && !areOne(other.ask, hold.ask),
    )
    hold.upgrade = this.index
    const all = this.wants()
    const mine = all.find((want) => want.hold === hold)
    const goes = mine !== undefined && this.canGo(mine, all)
    if ((!goes && isRivalled) || this.stuck(all).has(nodeOf(hold.ask))) {
      hold.upgrade = null
      return 'deadlock'
    }
    this.process()
    return goes ? 'lock.upgraded' : 'lock.queued'
  }

  remove(isIt: (ask: Ask, name: string | null) => boolean, unclean = false): void {
    for (const { ask, name } of this.holds.filter((hold) => isIt(hold.ask, hold.name)))
      if (unclean && ask.lockDelay > 0) this.delays.push({ name, scope: ask.scope, until: this.now + ask.lockDelay })
    this.keep((hold) => !isIt(hold.ask, hold.name))
    this.waits = this.waits.filter((ask) => !isIt(ask, null))
    this.process()
  }

  pass(ms: number): void {
    this.now += ms
    this.keep((hold) => Math.min(hold.endsAt, hold.revokedAt) > this.now)
    this.delays = this.delays.filter(({ until }) => until > this.now)
    this.process()
  }
}

const names = ['a', 'a/b', 'a/c', 'b']
const peers = ['ann', 'bob', 'cid']
const rarely = <T>(value: T, usual: T) => fc.constantFrom(usual, usual, usual, value)
const operation = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('ask' as const),
      peer: fc.constantFrom(...peers),
      names: fc.uniqueArray(fc.constantFrom(...names), { minLength: 1, maxLength: 2 }),
      scope: rarely<LockScope>('tree', 'exact'),
      mode: fc.constantFrom<LockMode>('exclusive', 'shared'),
      owner: fc.constantFrom(null, 'o', 'p'),
      priority: fc.constantFrom(0, 0, 1, -1),
      maxHold: rarely<number | null>(700, null),
      lockDelay: rarely(600, 0),
      kind: fc.constantFrom('wait', 'wait', 'wait', 'wait', 'wait', 'ifAvailable', 'steal'),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('release' as const), pick: fc.nat(99), part: fc.boolean() }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constantFrom('upgrade' as const, 'downgrade' as const), pick: fc.nat(99) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constantFrom('revoke' as const, 'acknowledge' as const), pick: fc.nat(99) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constantFrom('replace' as const, 'goodbye' as const), pick: fc.nat(99) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(100, 400, 1_000) }) },
)

const step = fc.record({ one: operation, ms: fc.constantFrom(0, 0, 0, 0, 100, 400) })
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never
const steps = fc.array(step, { maxLength: 40, size: 'max' })

class Play {
  readonly script = new Script()
  readonly model = new Model()
  readonly sessions = new Map<string, number>()
  readonly told = new Set<string>()
  readonly #newest = new Map<string, { readonly token: number; readonly session: number }>()
  #lives = 1

  constructor() {
    this.script.found()
    this.script.raise()
    for (const peer of peers) this.sessions.set(peer, this.script.open(peer))
    const append = this.script.append.bind(this.script)
    this.script.append = (body) => {
      const applied = append(body)
      for (const event of applied.lockEvents ?? []) this.#taken(event)
      return applied
    }
  }

  /** T1: for those who come after one another within one entry, too. One session's own holds may have one token, if they are one owner's. */
  #taken({ type, how, name, mode, token, session }: LockEvent): void {
    if (type !== 'lock.taken' || (how !== 'granted' && how !== 'upgraded')) return
    const newest = this.#newest.get(name) ?? { token: 0, session: 0 }
    expect(token).toBeGreaterThanOrEqual(newest.token)
    if (mode === 'exclusive' && session !== newest.session) expect(token).toBeGreaterThan(newest.token)
    this.#newest.set(name, { token, session })
  }

  /** What is due within `ms` happens in the entry of the operation, before it (C1). */
  run({ one, ms }: Step): void {
    const { script, model } = this
    const { index } = script
    model.index = index + 1
    const passed = ms + (one.do === 'pass' ? one.ms : 0)
    script.time += passed
    model.pass(passed)
    this.#run(one)
    if (script.index === index) script.apply({ type: 'tick', term: script.term })
  }

  #run(one: Step['one']): void {
    const { script } = this
    if (one.do === 'ask') this.#ask(one)
    else if (one.do === 'pass') script.apply({ type: 'tick', term: script.term })
    else if (one.do === 'replace' || one.do === 'goodbye') this.#end(one.do, peers[one.pick % peers.length] ?? '')
    else this.#one(one.do, one.pick, 'part' in one && one.part)
  }

  #ask({ kind, peer, do: _, ...asked }: Extract<Step['one'], { do: 'ask' }>): void {
    const session = this.sessions.get(peer) ?? 0
    const options = { ...asked, ifAvailable: kind === 'ifAvailable', steal: kind === 'steal' }
    const { outcome, number } = this.script.send(session, acquire(asked.names, options))
    const ask = { ...asked, peer, id: `${session}/${number}`, since: this.model.now, index: this.model.index }
    const expected = this.model.ask(ask, kind)
    expect(outcome?.type === 'failed' ? outcome.failure.code : outcome?.type).toBe(expected)
    this.told.add(expected)
  }

  #end(how: 'replace' | 'goodbye', peer: string): void {
    this.#lives += 1
    if (how === 'goodbye') {
      this.script.close(peer, this.#lives)
      this.model.remove((ask) => ask.peer === peer)
      this.model.index += 1
    }
    this.sessions.set(peer, this.script.open(peer, this.#lives))
    this.model.remove((ask) => ask.peer === peer, true)
  }

  #one(what: 'release' | 'upgrade' | 'downgrade' | 'revoke' | 'acknowledge', pick: number, part: boolean): void {
    const { model, script } = this
    // Shares are the ones to upgrade, while there are any.
    const shares = what === 'upgrade' ? model.holds.filter(({ mode }) => mode === 'shared') : []
    const holds = shares.length > 0 ? shares : model.holds
    const hold = holds[pick % Math.max(1, holds.length)]
    const waits = model.waits[pick % Math.max(1, model.waits.length)]
    const ask = what === 'release' && !part && waits && pick % 3 === 0 ? waits : hold?.ask
    if (!ask || !hold) return
    const [session, request] = ask.id.split('/').map(Number)
    if (session === undefined || request === undefined) return
    const { name } = hold
    if (what === 'release') {
      script.send(session, part ? { type: 'lock.release', request, name } : release(request))
      model.remove((one, held) => one.id === ask.id && (!part || held === name))
    } else if (what === 'upgrade') {
      const { outcome } = script.send(session, { type: 'lock.upgrade', request, name })
      const expected = model.upgrade(hold)
      expect(outcome?.type === 'failed' ? outcome.failure.code : outcome?.type).toBe(expected)
      this.told.add(`${what} ${expected}`)
    } else if (what === 'downgrade') {
      script.send(session, { type: 'lock.downgrade', request, name })
      Object.assign(hold, { mode: 'shared', upgrade: null })
      model.process()
    } else if (what === 'revoke') {
      script.send(session, { type: 'lock.revoke', name, grace: 300 })
      for (const one of model.holds)
        if (one.name === name && model.now + 300 < one.revokedAt && one.grace === null) one.grace = 300
    } else {
      script.send(session, { type: 'lock.acknowledge', request, name, grace: 300 })
      if (hold.grace !== null) hold.revokedAt = Math.min(hold.revokedAt, model.now + hold.grace)
      hold.grace = null
    }
  }

  check(): void {
    const { script, model } = this
    const idOf = ({ session, request }: { session: number; request: number }) => `${session}/${request}`
    for (const name of names) {
      const { holders, waiters } = observeLock(script.state, name)
      const held = model.holds.filter((hold) => hold.name === name)
      expect(holders.map((view) => `${idOf(view)} ${view.mode} ${view.token}`).sort()).toEqual(
        held.map(({ ask, mode, token }) => `${ask.id} ${mode} ${token}`).sort(),
      )
      const all = model.wants().filter((want) => !want.hold && want.names.includes(name))
      const ordered = all.sort((a, b) => (before(a, b) ? -1 : 1)).map(({ ask }) => ask.id)
      expect(waiters.map(idOf)).toEqual(ordered)
    }
    const all = model.wants()
    expect(
      all.filter((want) => model.canGo(want, all)),
      'nobody who could go waits',
    ).toEqual([])
    expect(model.stuck(all), 'no deadlock stands').toEqual(new Set())
    for (const a of model.holds)
      for (const b of model.holds)
        if (a.mode === 'exclusive' && !areOne(a.ask, b.ask))
          expect(meet(a.name, a.ask.scope, b.name, b.ask.scope), 'one owner to a territory').toBe(false)
  }
}

it('[C1][S-7][S-10][T1] territories, owners, priorities, several names, upgrades, revokes and delays are what the slow model says', () => {
  fc.assert(
    fc.property(steps, (steps) => {
      const play = new Play()
      for (const one of steps) {
        play.run(one)
        play.check()
        expect(decodeMachine(encodeMachine(play.script.state))).toEqual(play.script.state)
      }
    }),
    { numRuns: 300 },
  )
})

it('the histories are worth their name: everything that can be answered is', () => {
  const told = new Set<string>()
  for (const sample of fc.sample(steps, { numRuns: 300, seed: 1 })) {
    const play = new Play()
    for (const one of sample) play.run(one)
    for (const word of play.told) told.add(word)
  }
  const words = ['lock.granted', 'lock.queued', 'lock.unavailable', 'deadlock']
  const upgrades = ['upgrade lock.upgraded', 'upgrade lock.queued', 'upgrade deadlock']
  expect([...told]).toEqual(expect.arrayContaining([...words, ...upgrades]))
})
