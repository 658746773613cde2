/** The client on a real host's side of locks and permits, under whatever may happen between page, host and room. */
import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { observeLock } from '../machine/lock/view.js'
import type { Applied } from '../machine/outcome.js'
import { acquire, lock, permits, release, Script } from '../machine/test-script.js'
import { RoomConnection } from './connection.js'
import type { Lock } from './lock.js'
import type { LockOptions } from './lock-options.js'
import { RoomLocks } from './locks.js'
import type { Permit } from './permit.js'
import { RoomSemaphores } from './semaphore.js'
import { PageHost, settled } from './test-page-host.js'
import { TestClock } from './test-port.js'

const defaults = { whenNoQuorum: 'wait', timing: () => ({ heartbeat: 50, lease: 10_000 }) } as const

/** What a call may end with besides what it was asked for; of a request never that its outcome is unknown. */
const ends = ['AbortError', 'lock-lost', 'lock-timeout', 'deadlock']
const endsOfOthers = [...ends, 'InvalidStateError', 'outcome-unknown']

/** One page with its host of the moment, and bob, who is in the way of it. */
class World {
  readonly script = new Script()
  readonly clock = new TestClock()
  readonly #connection = new RoomConnection(this.clock, null)
  readonly locks = new RoomLocks(this.#connection, defaults)
  readonly semaphore = new RoomSemaphores(this.#connection, defaults).get('s', { permits: 2 })
  readonly got: (Lock | Permit)[] = []
  /** Calls that have not come to an end. */
  readonly open = new Map<AbortController, string>()
  readonly faults: string[] = []
  host: PageHost | null = null
  readonly #bob: number
  readonly #bobs: { readonly request: number; readonly type: 'lock.release' | 'semaphore.release' }[] = []
  #lives = 0

  constructor() {
    this.script.found()
    this.script.raise()
    this.#bob = this.script.open('bob')
    this.start()
  }

  start(): void {
    if (this.host) return
    this.#lives += 1
    this.host = new PageHost(this.script, this.#lives)
    this.#connection.attach(this.host)
  }

  stop(): void {
    this.host?.close()
    if (this.host) this.#connection.detach()
    this.host = null
  }

  async restart(): Promise<void> {
    this.stop()
    await settled()
    this.start()
  }

  /** Into the log. */
  readonly append = (applied: Applied) => this.host?.applied(applied)

  pass(ms: number): void {
    this.clock.pass(ms)
    this.script.time += ms
  }

  call<T>(what: string, run: (signal: AbortSignal) => Promise<T>, isRequest = false): Promise<T | null> {
    const controller = new AbortController()
    this.open.set(controller, what)
    return run(controller.signal).then(
      (value) => {
        this.open.delete(controller)
        return value
      },
      (error: Error & { readonly code?: unknown }) => {
        this.open.delete(controller)
        const how = error instanceof DOMException ? error.name : String(error.code ?? error.name)
        if (!(isRequest ? ends : endsOfOthers).includes(how)) this.faults.push(`${what}: ${how}`)
        return null
      },
    )
  }

  request(what: string, run: (signal: AbortSignal) => Promise<Lock | Permit | null>): void {
    void this.call(what, run, true).then((one) => one && this.got.push(one))
  }

  /** Held until it is aborted. */
  requestAll(mode: 'exclusive' | 'shared', inPart: boolean): void {
    const hold = (signal: AbortSignal) =>
      this.locks.requestAll(['a', 'a/b'], { mode, signal }, async (locks: readonly Lock[]) => {
        this.got.push(...locks)
        if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve))
        if (inPart) void locks[0]?.release()
      })
    void this.call('all', hold, true)
  }

  get living(): (Lock | Permit)[] {
    return this.got.filter(({ state }) => state === 'held' || state === 'unsure')
  }

  bobDoes(command: Parameters<Script['send']>[1], end: 'lock.release' | 'semaphore.release' | null): void {
    const sent = this.script.send(this.#bob, command)
    this.append(sent)
    if (end) this.#bobs.push({ request: sent.number, type: end })
  }

  bobReleases(): void {
    const one = this.#bobs.shift()
    if (one) this.bobDoes(one.type === 'lock.release' ? release(one.request) : { ...one, type: one.type }, null)
  }

  /** Nothing goes wrong any more. */
  async calm(): Promise<void> {
    this.start()
    while (this.#bobs.length > 0) this.bobReleases()
    for (let i = 0; i < 12; i += 1) {
      this.host?.catchUp()
      this.host?.session.leaderChanged()
      this.host?.context.commit(this.append)
      this.host?.hear(this.clock.now())
      await this.host?.deliver(Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY)
      await settled()
    }
  }

  /** What the room has of this page. */
  get held(): string[] {
    const isOurs = ({ session }: { readonly session: number }) => session !== this.#bob
    const { locks, semaphores } = this.script.state
    const all = [...locks.resources.values(), ...semaphores.byName.values()]
    return all.flatMap(({ name, held, queue }) => [...held, ...queue].filter(isOurs).map(() => name))
  }
}

const step = (label: string, run: (world: World) => unknown) => ({ run, [fc.toStringMethod]: () => label })
const plain = (...steps: readonly (readonly [string, (world: World) => unknown])[]) =>
  fc.constantFrom(...steps.map(([label, run]) => step(label, run)))
const pick = <T>(all: readonly T[], at: number) => all[at % Math.max(1, all.length)]

const timeout = fc.constantFrom({}, {}, { timeout: 300 })
const way = fc.constantFrom<LockOptions>(
  {},
  {},
  {},
  { mode: 'shared' },
  { mode: 'shared' },
  { ifAvailable: true },
  { steal: true },
)
const lockStep = fc
  .tuple(fc.constantFrom('a', 'a/b'), way, fc.constantFrom({}, {}, { owner: 'o' }), timeout)
  .map(([name, way, owner, timeout]) => {
    const options = { ...way, ...owner, ...timeout }
    const label = `lock ${name} ${JSON.stringify(options)}`
    return step(label, (world) => world.request(label, (signal) => world.locks.acquire(name, { ...options, signal })))
  })
const permitStep = fc.tuple(fc.integer({ min: 1, max: 2 }), timeout).map(([count, timeout]) => {
  const label = `permits ${count} ${JSON.stringify(timeout)}`
  return step(label, (world) =>
    world.request(label, (signal) => world.semaphore.acquire(count, { ...timeout, signal })),
  )
})
const allStep = fc
  .tuple(fc.constantFrom('exclusive' as const, 'shared' as const), fc.boolean())
  .map(([mode, inPart]) => step(`all ${mode} ${inPart}`, (world) => world.requestAll(mode, inPart)))
const changeStep = fc
  .tuple(fc.constantFrom('release', 'release', 'upgrade', 'hasty upgrade', 'downgrade', 'abort'), fc.nat(99))
  .map(([what, at]) =>
    step(`${what} ${at}`, (world) => {
      const one = pick(world.living, at)
      if (what === 'abort') pick([...world.open.keys()], at)?.abort()
      else if (one && what === 'release') void world.call(what, () => one.release())
      else if (!one || !('upgrade' in one)) return
      else if (what === 'downgrade') void world.call(what, () => one.downgrade())
      else void world.call(what, (signal) => one.upgrade(what === 'upgrade' ? { signal } : { timeout: 200 }))
    }),
  )
const bobStep = plain(
  ['bob locks', (world) => world.bobDoes(lock('a'), 'lock.release')],
  ['bob shares', (world) => world.bobDoes(lock('a', { mode: 'shared' }), 'lock.release')],
  ['bob steals', (world) => world.bobDoes(acquire('a', { steal: true, scope: 'tree' }), 'lock.release')],
  ['bob takes permits', (world) => world.bobDoes(permits('s', 2, { permits: 2 }), 'semaphore.release')],
  ['bob revokes', (world) => world.bobDoes({ type: 'lock.revoke', name: 'a', grace: 500 }, null)],
)
const deliverStep = fc
  .tuple(fc.constantFrom(0, 1, 3, 99), fc.constantFrom(0, 1, 3, 99))
  .map(([events, answers]) => step(`deliver ${events} ${answers}`, (world) => world.host?.deliver(events, answers)))
const passStep = fc.constantFrom(100, 400, 4_000).map((ms) => step(`pass ${ms}`, (world) => world.pass(ms)))
const mishap = plain(
  [
    'the session expires',
    (world) => world.host?.session.id && world.append(world.script.expire(world.host.session.id, 1e9)),
  ],
  ['the host lags', (world) => world.host && Object.assign(world.host, { lags: true })],
  ['the host catches up', (world) => world.host?.catchUp()],
  ['commands are lost', (world) => world.host?.context.taken()],
  ['a new leader', (world) => !world.host?.lags && world.host?.session.leaderChanged()],
)
const hostStep = plain(
  ['the host stops', (world) => world.stop()],
  ['another host', (world) => world.start()],
  ['back at once', (world) => world.restart()],
)

const steps = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: lockStep },
    { weight: 5, arbitrary: permitStep },
    { weight: 2, arbitrary: allStep },
    { weight: 5, arbitrary: changeStep },
    { weight: 4, arbitrary: bobStep },
    { weight: 4, arbitrary: plain(['bob releases', (world) => world.bobReleases()]) },
    { weight: 6, arbitrary: plain(['commit', (world) => world.host?.context.commit(world.append)]) },
    { weight: 5, arbitrary: plain(['hear', (world) => world.host?.hear(world.clock.now())]) },
    { weight: 8, arbitrary: deliverStep },
    { weight: 3, arbitrary: passStep },
    { weight: 2, arbitrary: mishap },
    { weight: 1, arbitrary: hostStep },
  ),
  { minLength: 15, maxLength: 70, size: 'max' },
)

it('[S-8][S-9] whatever happens between page, host and room: what is held is held, and what is given back is free', async () => {
  const play = fc.asyncProperty(steps, async (steps) => {
    const world = new World()
    for (const { run } of steps) {
      await run(world)
      await settled()
    }
    await world.calm()
    for (const one of world.got) {
      if (one.state !== 'held' || !('upgrade' in one)) continue
      const { holders } = observeLock(world.script.state, one.name)
      const { token, mode } = one
      expect(holders).toContainEqual(expect.objectContaining({ peerId: 'me', token, mode }))
    }
    for (let i = 0; i < 6; i += 1) {
      for (const controller of world.open.keys()) controller.abort()
      for (const one of world.living) void one.release()
      world.script.time += 1_000
      await world.calm()
    }
    expect([world.held, [...world.open.values()], world.faults]).toEqual([[], [], []])
  })
  await fc.assert(play, { numRuns: 500, seed: 2 })
})
