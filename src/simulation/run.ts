import { defaultLimits, defaultSettings, defaultTiming } from '../machine/settings.js'
import { Ambush } from './ambush.js'
import { Attention } from './attention.js'
import { type Clamps, clampTimers, drawClamps } from './clamps.js'
import { drawWeights, Faults, type FaultWeights } from './faults.js'
import { checkHistory } from './linearizability/check.js'
import type { Operation } from './linearizability/history.js'
import { breakMinority } from './minority.js'
import { fairWeather } from './network.js'
import { Prng } from './prng.js'
import { inQueuesOf } from './queues.js'
import { playSchism } from './schism.js'
import { Simulation, type SimulationOptions, type Surgery } from './simulation.js'
import type { SimTab } from './tab.js'
import { Trace } from './trace.js'
import { drawUpheavals, Upheavals, type UpheavalWeights } from './upheavals.js'
import { Workload } from './workload.js'
import { Violation } from './world.js'

export type Edition = 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8

export interface RunOptions {
  /** Gets every line of the run. */
  readonly print?: (line: string) => void
  readonly faults?: Partial<FaultWeights>
  readonly surgery?: Surgery
  /** How long faults strike, ms of virtual time. */
  readonly chaosMs?: number
  /**
   * As what a run was: 1 before there were upheavals, 2 with them, 3 with drawn sizes of snapshots and `compareAndSet` as well, 4 with pages that are hidden and
   * frozen as browsers announce it, rooms that are soon idle, timers that are clamped for all, browsers that never connect, ambushes, and rooms that
   * come apart, 5 with users of a semaphore and a counter, 6 with users of what locks have beyond Web Locks, 7 with users who watch the store and who
   * write by fenced transactions, 8 with resized semaphores (default). Seeds are pinned with the edition in which they failed.
   */
  readonly edition?: Edition
}

export interface RunResult {
  readonly seed: string
  readonly violation: Violation | null
  /** Equal for two runs of one seed. */
  readonly hash: string
  readonly tail: readonly string[]
  readonly events: number
  readonly virtualMs: number
  readonly entries: number
  readonly elections: number
  readonly checkedOperations: number
  readonly done: ReadonlyMap<string, number>
  /** How often each fault struck, and each branch of core and host was gone through. */
  readonly coverage: ReadonlyMap<string, number>
  /** Every operation of the users, by true time: also of a run that was convicted. */
  readonly history: readonly Operation[]
  /** Keys and locks whose part of the history was too much for the checker. */
  readonly undecided: readonly string[]
}

/** What a seed decides beside the rest, from a stream of its own: pinned seeds stay what they were. */
interface Extras {
  readonly prng: Prng
  readonly upheavals: UpheavalWeights | null
  /** A snapshot after every so many entries, instead of what the options say. */
  readonly snapshotEvery: number | null
  /** Whether the run ends with some who are broken for ever. */
  readonly breaksMinority: boolean
  /** Whether users look at their pages and away. */
  readonly attention: Prng | null
  readonly clamps: Clamps | null
  /** Whether two of three browsers never connect: whoever is in a third one relays them (F4). */
  readonly estranges: boolean
  /** Whether the room comes apart into several histories at the end (N2, N3). */
  readonly schism: Prng | null
  /** Whether leaders are cut off while they change the members. */
  readonly ambush: Prng | null
  /** Whether the pages share a semaphore and a counter too. */
  readonly shares: boolean
  /** ... and resize the semaphore. */
  readonly resizes: boolean
  /** Whether they use what locks have beyond Web Locks. */
  readonly settles: boolean
  /** Whether they watch the store. */
  readonly watches: boolean
  /** Whether they write by fenced transactions. */
  readonly fences: boolean
}

/** Elections, a lease of someone who is not there any more, a few retries: after that a healthy room works. */
const settleWithin = 60_000

/** A healthy quorum gets on within that time whatever the others do: an election or two, and a few retries. */
const progressWithin = 15_000

/** One run, decided by its seed: a room under a random workload, first with faults, then without. */
export async function runSeed(seed: string | number, options: RunOptions = {}): Promise<RunResult> {
  const { edition = 8, surgery = {} } = options
  const extras = drawExtras(String(seed), edition)
  const drawn = drawOptions(String(seed), edition, extras)
  const sim = new Simulation(String(seed), { ...drawn, surgery }, new Trace(options.print ?? null))
  const workload = new Workload(sim, { compareAndSet: edition >= 3, ...extras })
  sim.onpage = (page, tab) => workload.start(page, tab)
  let undecided: readonly string[] = []
  try {
    await story(sim, workload, options, extras)
    undecided = judge(sim, workload)
  } catch (error) {
    if (!(error instanceof Violation)) sim.world.convict('harness', String((error as Error).stack))
  }
  const { world } = sim
  return {
    seed: String(seed),
    violation: world.violation,
    hash: world.trace.hash,
    tail: world.trace.tail,
    events: world.events,
    virtualMs: world.now,
    entries: sim.log.lastIndex,
    elections: sim.raft.elections,
    checkedOperations: sim.history.checked,
    done: workload.done,
    coverage: world.coverage.counts,
    history: workload.recorder.history,
    undecided,
  }
}

/** The users' own court: it knows nothing of logs, only what they asked, what they were answered, and when. */
function judge({ world }: Simulation, workload: Workload): readonly string[] {
  const { failures, undecided } = checkHistory(workload.recorder.history)
  const [failure] = failures
  if (failure) world.convict('linearizability', failure.explanation)
  return undecided
}

async function story(sim: Simulation, workload: Workload, options: RunOptions, extras: Extras): Promise<void> {
  const prng = sim.world.prng.fork('story')
  openTabs(sim, prng)
  const attention = extras.attention && new Attention(sim, extras.attention)
  const ambush = extras.ambush && new Ambush(sim, extras.ambush)
  const isEstranged = extras.estranges && estrange(sim)
  await sim.world.run(prng.between(500, 3_000))
  const faults = new Faults(sim, { ...drawWeights(prng), ...options.faults }, prng.between(200, 1_800))
  const upheavals = extras.upheavals && new Upheavals(sim, extras.prng, extras.upheavals, () => faults.mend())
  if (extras.clamps) clampTimers(sim, extras.clamps, () => faults.isOver)
  await sim.world.run(options.chaosMs ?? prng.between(5_000, 18_000))
  upheavals?.end()
  attention?.end()
  ambush?.end()
  faults.end()
  await sim.world.run(4_000)
  for (const court of sim.courts.all) court.log.locks.checkDeadlocks()
  workload.stop()
  await checkLiveness(sim, workload)
  await workload.watchers?.checkCaughtUp(settleWithin)
  // Parts of one browser see each other, whatever happens; and whoever is broken for ever has no part in coming together.
  if (extras.schism && sim.registrar && !isEstranged) await playSchism(sim, extras.schism)
  // Who is healthy without the only relay is nevertheless two rooms.
  else if (extras.breaksMinority && !isEstranged) await checkHealthyQuorum(sim, extras.prng)
  for (const record of sim.hosts) sim.courts.of(record).log.compareNow(record)
}

/** F4: two of three browsers never connect. */
function estrange({ browsers, ether, world }: Simulation): boolean {
  const [a, b, c] = browsers
  if (!a || !b || !c) return false
  ether.estrange(a.id, b.id)
  world.coverage.hit('fault estranged')
  return true
}

function openTabs(sim: Simulation, prng: Prng): void {
  const browsers = sim.options.registrar ? prng.integer(1, 3) : 1
  for (let i = 0; i < browsers; i++) {
    sim.createBrowser({
      rate: prng.between(0.9905, 1.0095),
      wallOffset: prng.chance(0.3) ? prng.between(-3e10, 3e10) : prng.between(-5_000, 5_000),
      countsSleep: prng.chance(0.5),
    })
  }
  const tabs = Math.max(browsers, prng.pick([1, 2, 3, 3, 3, 3, 4, 5]))
  for (let i = 0; i < tabs; i++) {
    const browser = sim.browsers[i] ?? prng.pick(sim.browsers)
    sim.world.after(prng.chance(0.5) ? 0 : prng.between(0, 1_500), 'open tab', () => void sim.openTab(browser))
  }
}

/** Faults are off: a leader, every page ready, every page gets a lock, and nothing is left over. */
async function checkLiveness(sim: Simulation, workload: Workload): Promise<void> {
  const { world } = sim
  const pages = () => sim.tabs.filter((tab) => tab.isOpen).map((tab) => tab.page)
  const isReady = () => pages().every((page) => page.room.status === 'ready')
  if (!(await world.run(settleWithin, isReady))) {
    const states = pages().map((page) => `${page.thread.name} ${page.peerId} ${page.room.status}`)
    world.convict('liveness', `not every page is ready: ${states.join(', ')}; leader ${sim.leader?.self.peerId}`)
    return
  }
  for (const group of inQueuesOf(sim, pages())) {
    const waiting = new Set(group)
    for (const page of group) {
      page.room.locks
        .request('fresh', () => {})
        .then(
          () => waiting.delete(page),
          (error: unknown) => world.convict('liveness', `${page.thread.name} was refused a lock: ${String(error)}`),
        )
    }
    if (!(await world.run(settleWithin, () => waiting.size === 0)))
      world.convict('liveness', `no lock for ${[...waiting].map((page) => page.thread.name).join(', ')}`)
  }
  const isIdle = () =>
    workload.waiting.length === 0 &&
    pages().every((page) => page.unanswered.length === 0) &&
    sim.log.machine.locks.resources.size === 0 &&
    sim.log.machine.semaphores.byName.size === 0
  if (!(await world.run(settleWithin, isIdle))) {
    const locks = [...sim.log.machine.locks.resources.values()].map(
      ({ name, held, queue }) => `${name}: held by ${held.map((h) => h.session)}, ${queue.length} wait`,
    )
    const calls = pages().map((page) => `${page.thread.name} ${page.unanswered.join('+')}`)
    world.convict(
      'leftovers',
      `unanswered: ${calls.join(', ')}; locks: ${locks.join(', ')}; semaphores: ${sim.log.machine.semaphores.byName.size}; waiting: ${workload.waiting.join(', ')}`,
    )
  }
}

/** Some are broken for ever: whoever is whole gets lock after lock all the same. */
async function checkHealthyQuorum(sim: Simulation, prng: Prng): Promise<void> {
  const { world } = sim
  const healthy = breakMinority(sim, prng)
  if (!healthy) return
  for (const name of ['then', 'and then']) {
    const waiting = new Set<SimTab>(healthy)
    for (const tab of healthy) {
      const settled = () => waiting.delete(tab)
      tab.page.room.locks
        .request(name, () => {})
        .then(settled, (error: unknown) => {
          world.convict('progress', `${tab.name} was refused a lock: ${String(error)}`)
        })
    }
    if (!(await world.run(progressWithin, () => waiting.size === 0)))
      world.convict('progress', `a quorum is whole, and no lock for ${[...waiting].map((tab) => tab.name).join(', ')}`)
    await world.run(prng.between(500, 3_000))
  }
}

function drawExtras(seed: string, edition: Edition): Extras {
  const prng = new Prng(`${seed}/upheavals`)
  const isCalm = prng.chance(0.4)
  const upheavals = drawUpheavals(prng)
  const snapshotEvery = prng.chance(0.2) ? prng.pick([1, 2, 5]) : null
  const breaksMinority = prng.chance(0.4)
  const shares = edition >= 5 && new Prng(`${seed}/shares`).chance(0.4)
  const resizes = edition >= 8 && shares && new Prng(`${seed}/resizes`).chance(0.5)
  const settles = edition >= 6 && new Prng(`${seed}/settles`).chance(0.4)
  const watches = edition >= 7 && new Prng(`${seed}/watches`).chance(0.4)
  const fences = edition >= 7 && new Prng(`${seed}/fences`).chance(0.3)
  const since4 = { ...(edition < 4 ? before4 : drawSince4(seed)), shares, resizes, settles, watches, fences }
  if (edition === 1) return { prng, upheavals: null, snapshotEvery: null, breaksMinority: false, ...since4 }
  if (isCalm) return { prng, upheavals: null, snapshotEvery: null, breaksMinority, ...since4 }
  return { prng, upheavals, snapshotEvery, breaksMinority, ...since4 }
}

const before4 = { attention: null, clamps: null, estranges: false, schism: null, ambush: null } as const

function drawSince4(seed: string): Pick<Extras, 'attention' | 'clamps' | 'estranges' | 'schism' | 'ambush'> {
  const attention = new Prng(`${seed}/attention`)
  const schism = new Prng(`${seed}/schism`)
  const ambush = new Prng(`${seed}/ambush`)
  const estranges = new Prng(`${seed}/strangers`).chance(0.4)
  return {
    attention: attention.chance(0.6) ? attention : null,
    clamps: drawClamps(seed),
    estranges,
    schism: !estranges && schism.chance(0.4) ? schism : null,
    ambush: ambush.chance(0.25) ? ambush : null,
  }
}

/** Everything that is not the story: timing, sizes, weather. */
function drawOptions(seed: string, edition: Edition, extras: Extras): Partial<SimulationOptions> {
  const prng = new Simulation(`${seed} options`).world.prng
  const usual = prng.pick([12, 30, 100, 1_000])
  const snapshotEvery = extras.snapshotEvery ?? usual
  const drawn: Partial<SimulationOptions> = {
    registrar: prng.chance(0.6),
    ...(extras.clamps && { idleAfter: extras.clamps.idleAfter }),
    goodbyeLost: prng.pick([0, 0.3, 1]),
    weather: { ...fairWeather, remoteDelay: prng.pick([2, 8, 40]), tabDelay: prng.pick([0.1, 0.4, 3]) },
    settings: {
      ...defaultSettings,
      timing: { ...defaultTiming, lease: prng.pick([2_000, 4_000, 10_000]) },
      limits: { ...defaultLimits, snapshotEvery, lockQueue: prng.pick([8, 64]) },
    },
  }
  if (edition < 3) return drawn
  // Short tails make snapshots needed, small chunks make streams of them (S47).
  const snapshotSizes = { tailEntries: prng.pick([4, 40, 256]), chunkBytes: prng.pick([50, 500, 64 * 1024]) }
  return { ...drawn, snapshotSizes }
}
