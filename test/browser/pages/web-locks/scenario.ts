/**
 * What one test does with a lock manager, whichever it is: the browser's own and a room's are put through the same, and
 * what they answer must be equal. Loaded by the page that runs them and, for the titles, by the test.
 */

/** As much as both have. */
export interface LocksUnderTest {
  request(...args: readonly unknown[]): Promise<unknown>
  query(): Promise<Snapshot>
}

interface Info {
  readonly name?: string
  readonly mode?: string
  readonly clientId?: string
}

export interface Snapshot {
  readonly held?: readonly Info[]
  readonly pending?: readonly Info[]
}

export interface Scenario {
  readonly title: string
  /** What the specification asks for where Chromium does something else: then only the room is put through it. */
  readonly expected?: unknown
  /** Resolves with plain data: what was seen. */
  run(bench: Bench): Promise<unknown>
}

/** Thrown by scenarios that want to see an exception come through. */
export class Mine extends Error {
  override readonly name = 'Mine'
}

/** A lock that is held, or waited for, until the scenario says otherwise. */
export interface Hold {
  readonly label: string
  /** Resolves when the callback is called, with its lock. */
  readonly granted: Promise<{ readonly name: string; readonly mode: string } | null>
  readonly isGranted: () => boolean
  /** Settles the callback. */
  release(value?: unknown): void
  fail(error: unknown): void
  /** How the promise of the request has settled. */
  readonly outcome: Promise<string>
}

/** The tools of one run. */
export class Bench {
  readonly locks: LocksUnderTest
  /** What has happened, in order. */
  readonly log: string[] = []
  readonly #run: string
  readonly #holds: Hold[] = []
  #names = 0

  constructor(locks: LocksUnderTest, run: string) {
    this.locks = locks
    this.#run = run
  }

  /** A name that no other run uses. */
  name(suffix = ''): string {
    this.#names += 1
    return `${this.#run} ${this.#names}${suffix}`
  }

  note(text: string): void {
    this.log.push(text)
  }

  /** Requests and keeps. Its log entries are `<label> called`, `<label> resolved ...` and the like. */
  hold(name: string, options: Record<string, unknown> = {}, label = 'it'): Hold {
    let release: (value: unknown) => void = () => {}
    let fail: (error: unknown) => void = () => {}
    let isGranted = false
    let tell: (lock: { name: string; mode: string } | null) => void = () => {}
    const granted = new Promise<{ name: string; mode: string } | null>((resolve) => {
      tell = resolve
    })
    const end = new Promise((resolve, reject) => {
      release = resolve
      fail = reject
    })
    end.catch(() => {})
    const request = this.locks.request(name, options, (lock: { name: string; mode: string } | null) => {
      this.note(lock ? `${label} called` : `${label} called with null`)
      isGranted = true
      tell(lock)
      return end
    })
    const outcome = settled(request)
    void outcome.then((text) => this.note(`${label} ${text}`))
    const hold: Hold = {
      label,
      granted,
      isGranted: () => isGranted,
      release: (value) => release(value),
      fail: (error) => fail(error),
      outcome,
    }
    this.#holds.push(hold)
    return hold
  }

  /** What the manager shows of these names, as `a:exclusive`. */
  async state(names: Readonly<Record<string, string>>): Promise<{ held: string[]; pending: string[] }> {
    const { held = [], pending = [] } = await this.locks.query()
    const shown = (infos: readonly Info[]) =>
      Object.entries(names).flatMap(([label, name]) =>
        infos.filter((info) => info.name === name).map(({ mode }) => `${label}:${mode}`),
      )
    return { held: shown(held), pending: shown(pending) }
  }

  /** Resolves once that many wait for the name. */
  async pending(name: string, count: number): Promise<void> {
    for (;;) {
      const { pending = [] } = await this.locks.query()
      if (pending.filter((info) => info.name === name).length === count) return
    }
  }

  /** Everything that was asked before now has happened, and so has whatever that set going. */
  async quiet(): Promise<void> {
    let before = -1
    while (this.log.length > before) {
      before = this.log.length
      await this.locks.query()
      await tasks(3)
    }
  }

  /** Lets go of whatever a scenario has left. */
  async clear(): Promise<void> {
    for (const hold of this.#holds) hold.release()
    await Promise.race([Promise.all(this.#holds.map(({ outcome }) => outcome)), delay(1_000)])
  }
}

export function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** Several turns of the event loop. */
export async function tasks(count: number): Promise<void> {
  for (let i = 0; i < count; i += 1) await delay(0)
}

/** How a promise settles, as text: the kind of an error, never its message. */
export function settled(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    (value) => `resolved ${describeValue(value)}`,
    (error: unknown) => `rejected ${describeError(error)}`,
  )
}

export function describeError(error: unknown): string {
  if (error instanceof DOMException) return `DOMException ${error.name}`
  if (error instanceof Error) return error.name
  return `with ${describeValue(error)}`
}

export function describeValue(value: unknown): string {
  return typeof value === 'string' ? JSON.stringify(value) : String(value)
}

/** What a call does: never by a throw, as every operation that returns a promise. */
export function attempt(call: () => Promise<unknown>): Promise<string> {
  try {
    return settled(call())
  } catch (error) {
    return Promise.resolve(`threw ${describeError(error)}`)
  }
}
