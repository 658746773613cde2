/** One run: the script is played, then everything is put right, the room has to be ready, and its history is judged. */
import { setTimeout } from 'node:timers/promises'
import { clock, reasonOf, until, within } from '../../bench/waiting.js'
import type { Operation } from '../../src/simulation/linearizability/history.js'
import { Witness } from '../browser/witness.js'
import { judge } from './judge.js'
import type { PageState } from './page/protocol.js'
import { writeScript } from './script.js'
import { type Seat, Stage } from './stage.js'

export interface RunOptions {
  readonly seed: number
  /** How long misfortunes go on, ms. */
  readonly ms: number
  readonly browsers: number
  readonly tabs: number
  readonly executablePath: string
  /** For the profiles; the caller removes it. */
  readonly folder: string
  readonly site: string
  /** Hears each line of the log as it comes. */
  readonly print?: (line: string) => void
}

export interface RunResult {
  readonly violations: readonly string[]
  /** What the search for an order was given up for. */
  readonly undecided: readonly string[]
  readonly history: readonly Operation[]
  readonly log: readonly string[]
  /** How often each misfortune came true, and what could not be arranged. */
  readonly done: Readonly<Record<string, number>>
  readonly troubles: number
  /** From the end of the last misfortune until every tab was ready, ms; null: never. */
  readonly readyMs: number | null
}

/** How long the room and its users may take once nothing is in their way: leases of the dead are among it. */
const recoverWithin = 30_000
const readWithin = 60_000

export async function runChaos(options: RunOptions): Promise<RunResult> {
  const run = new Run(options)
  try {
    return await run.play()
  } finally {
    await run.close()
  }
}

class Run {
  readonly #options: RunOptions
  readonly #log: string[] = []
  readonly #violations: string[] = []
  readonly #witness = new Witness()
  /** Calls that neither returned nor failed, by the life of their page. */
  readonly #open = new Map<string, string>()
  readonly #stage: Stage
  #begun = clock()

  constructor(options: RunOptions) {
    this.#options = options
    const { seed, executablePath, folder, site, browsers, tabs } = options
    this.#stage = new Stage({
      ...{ executablePath, folder, site, browsers, tabs },
      part: { room: `chaos ${seed}`, locks: ['alpha', 'beta'], restMs: 100, seasonMs: 5_000 },
      log: (line) => this.#note(line),
      hear: (told) => {
        if (told.type === 'call') {
          if (told.op !== 'release') this.#open.set(told.id, `${told.op} ${told.key}`)
        } else if (told.type !== 'notBefore') {
          this.#open.delete(told.id)
        }
        this.#witness.hear(told)
      },
    })
  }

  close(): Promise<void> {
    return this.#stage.close()
  }

  async play(): Promise<RunResult> {
    await this.#stage.open()
    // The first room has to be there before it can be tried.
    await this.#everyTab('ready at first', recoverWithin, isReady)
    this.#begun = clock()
    const done = await this.#misfortunes()
    await this.#stage.settled()
    this.#note('all is put right')
    const readyMs = await this.#recover()
    const { history } = this.#witness
    const { violations, undecided } = judge(history)
    this.#violations.push(...violations)
    this.#violations.push(...this.#log.filter((line) => line.includes(' FAILED ')))
    return {
      ...{ violations: this.#violations, undecided, history, log: this.#log, done, readyMs },
      troubles: this.#stage.troubles,
    }
  }

  async #misfortunes(): Promise<Record<string, number>> {
    const { seed, browsers, tabs, ms } = this.#options
    const done: Record<string, number> = {}
    for (const step of writeScript(seed, { browsers, tabs, ms })) {
      await setTimeout(Math.max(0, this.#begun + step.at - clock()))
      const isBegun = this.#stage.begin(step)
      const { kind, target } = step
      const on = kind === 'server' ? '' : kind === 'kill' ? ` ${target}` : ` ${this.#stage.seats[target]?.name}`
      this.#note(`${isBegun ? '>' : '(busy)'} ${kind}${on} for ${step.ms} ms`)
      if (isBegun) done[kind] = (done[kind] ?? 0) + 1
    }
    return done
  }

  /** Everybody is ready, everybody's calls are answered, every lock can be had, and all that was written is read. */
  async #recover(): Promise<number | null> {
    const from = clock()
    const isRecovered = await this.#everyTab('ready again', recoverWithin, isReady)
    const readyMs = isRecovered ? clock() - from : null
    if (readyMs === null) return null
    const ends = (seat: Seat) => seat.page?.evaluate(() => window.chaos?.finish()).then(() => true)
    if (!(await this.#everyTab('answers to all calls', recoverWithin, ends))) return readyMs
    const probe = (seat: Seat) => seat.page?.evaluate(() => window.chaos?.probe()).then(() => true)
    if (!(await this.#everyTab('a write and every lock', recoverWithin, probe))) return readyMs
    const { history } = this.#witness
    const keys = new Set(history.filter(({ op }) => op === 'set' || op === 'compareAndSet').map(({ key }) => key))
    const shares = this.#stage.seats.map((_, i) => [...keys].filter((_, k) => k % this.#stage.seats.length === i))
    const read = (seat: Seat, i: number) =>
      seat.page?.evaluate((keys) => window.chaos?.read(keys), shares[i] ?? []).then(() => true)
    await this.#everyTab('reading everything', readWithin, read)
    return readyMs
  }

  /** False, and a violation, if one of the tabs does not do it in time. */
  async #everyTab(
    what: string,
    ms: number,
    does: (seat: Seat, at: number) => Promise<boolean | undefined> | undefined,
  ): Promise<boolean> {
    const deadline = clock() + ms
    const outcomes = await Promise.allSettled(
      this.#stage.seats.map((seat, at) =>
        until(
          what,
          async () => {
            const left = Math.max(1, Math.ceil(deadline - clock()))
            const isDone = await within(left, what, does(seat, at) ?? Promise.resolve(false))
            return isDone ? true : null
          },
          ms,
        ),
      ),
    )
    const failed = this.#stage.seats.flatMap((seat, i) => {
      const outcome = outcomes[i]
      return outcome?.status === 'rejected' ? [{ seat, reason: reasonOf(outcome.reason) }] : []
    })
    if (failed.length === 0) return true
    const names = failed.map(({ seat }) => seat.name).join(', ')
    this.#violations.push(`not live: ${what}: ${names}, within ${ms} ms (${failed[0]?.reason})`)
    for (const seat of this.#stage.seats) this.#note(await this.#describe(seat))
    for (const seat of this.#stage.firstOfEach) {
      const asked = seat.page?.evaluate(() => window.chaos?.locks()) ?? Promise.resolve([])
      const locks = await within(2_000, 'its locks', asked).catch((error) => [reasonOf(error)])
      this.#note(`locks of browser ${seat.name[0]}: ${locks?.join('; ')}`)
    }
    return false
  }

  async #describe({ name, page }: Seat): Promise<string> {
    try {
      const state = await within(
        2_000,
        'its state',
        page?.evaluate(() => window.chaos?.state()) ?? Promise.resolve(null),
      )
      const asked = page?.evaluate(() => window.chaos?.metrics()) ?? Promise.resolve(null)
      const metrics = await within(2_000, 'its metrics', asked).catch(reasonOf)
      const open = [...this.#open].filter(([id]) => state && id.startsWith(state.life)).map((call) => call.join(': '))
      return `${name}: ${JSON.stringify(state)} waits for [${open.join(', ')}] ${JSON.stringify(metrics)}`
    } catch (error) {
      return `${name}: ${reasonOf(error)}`
    }
  }

  #note(line: string): void {
    const text = `${((clock() - this.#begun) / 1_000).toFixed(3).padStart(7)} ${line}`
    this.#log.push(text)
    this.#options.print?.(text)
  }
}

async function isReady({ page }: Seat): Promise<boolean> {
  const state: PageState | undefined | null = await page?.evaluate(() => window.chaos?.state())
  return state?.status === 'ready'
}
