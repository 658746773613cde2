import { Coverage } from './coverage.js'
import { Prng } from './prng.js'
import { Trace } from './trace.js'

/** What a run was convicted of. */
export class Violation extends Error {
  override readonly name = 'Violation'
  /** The checker's own word for it: stable, for tables and pinned seeds. */
  readonly rule: string

  constructor(rule: string, sentence: string) {
    super(`${rule}: ${sentence}`)
    this.rule = rule
  }
}

interface Event {
  readonly time: number
  /** Events of one moment happen in the order in which they were planned. */
  readonly order: number
  readonly label: string
  readonly run: () => void
  cancelled: boolean
}

export interface Planned {
  cancel(): void
}

/** True time, and everything that is going to happen in it. Nothing runs but by an event of this list. */
export class World {
  readonly prng: Prng
  readonly trace: Trace
  readonly coverage = new Coverage()
  #now = 0
  #order = 0
  #events = 0
  readonly #heap: Event[] = []
  readonly #checks: (() => void)[] = []
  #violation: Violation | null = null
  /** Whose task the present event runs: what may have changed. */
  active: { readonly name: string } | null = null

  constructor(seed: string, trace = new Trace()) {
    this.prng = new Prng(seed)
    this.trace = trace
  }

  /** True time in ms since the beginning. No simulated code may read it: they have clocks. */
  get now(): number {
    return this.#now
  }

  /** How many events have happened. */
  get events(): number {
    return this.#events
  }

  get violation(): Violation | null {
    return this.#violation
  }

  /** The first conviction counts; the run ends with the event that brought it. */
  convict(rule: string, sentence: string): void {
    if (this.#violation) return
    this.#violation = new Violation(rule, sentence)
    this.note(`VIOLATION ${rule}: ${sentence}`)
  }

  note(line: string): void {
    this.trace.line(this.#now, line)
  }

  /** Runs after every event, when nothing is left to be done in its moment. */
  check(run: () => void): void {
    this.#checks.push(run)
  }

  after(delay: number, label: string, run: () => void): Planned {
    const event: Event = { time: this.#now + Math.max(0, delay), order: this.#order++, label, run, cancelled: false }
    push(this.#heap, event)
    return {
      cancel: () => {
        event.cancelled = true
      },
    }
  }

  /** Until that much time has passed, or the condition holds after an event, or the run is convicted. */
  async run(ms: number, until: () => boolean = () => false): Promise<boolean> {
    const end = this.#now + ms
    while (!this.#violation) {
      if (until()) return true
      const next = this.#heap[0]
      if (!next || next.time > end) break
      await this.#step(next)
    }
    if (this.#violation) throw this.#violation
    this.#now = Math.max(this.#now, end)
    return until()
  }

  async #step(event: Event): Promise<void> {
    pop(this.#heap)
    if (event.cancelled) return
    this.#now = event.time
    this.#events += 1
    this.active = null
    this.trace.event(event.time, event.label)
    try {
      event.run()
    } catch (error) {
      this.convict('uncaught', `${event.label}: ${error instanceof Error ? error.stack : String(error)}`)
    }
    await settled()
    for (const check of this.#checks) check()
  }
}

/**
 * Resolves when no microtask is left: a macrotask begins only then. So every promise that an event has settled has had
 * all its consequences before the next event, and the order of everything is that of the list alone.
 */
function settled(): Promise<void> {
  return new Promise((resolve) => macrotask(resolve))
}

const macrotask: (run: () => void) => void = createMacrotask()

/** What neither waits nor is throttled: Node's `setImmediate`, elsewhere a message to itself. */
function createMacrotask(): (run: () => void) => void {
  const { setImmediate } = globalThis as { setImmediate?: (run: () => void) => unknown }
  if (setImmediate) return (run) => void setImmediate(run)
  const { port1, port2 } = new MessageChannel()
  const waiting: (() => void)[] = []
  port1.onmessage = () => waiting.shift()?.()
  return (run) => {
    waiting.push(run)
    port2.postMessage(null)
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.time < b.time || (a.time === b.time && a.order < b.order)
}

function push(heap: Event[], event: Event): void {
  let at = heap.length
  heap.push(event)
  while (at > 0) {
    const parent = (at - 1) >> 1
    const above = heap[parent]
    if (!above || isBefore(above, event)) break
    heap[at] = above
    at = parent
  }
  heap[at] = event
}

function pop(heap: Event[]): void {
  const last = heap.pop()
  if (!last || heap.length === 0) return
  let at = 0
  while (true) {
    const left = heap[2 * at + 1]
    const right = heap[2 * at + 2]
    const child = right && left && isBefore(right, left) ? right : left
    if (!child || isBefore(last, child)) break
    heap[at] = child
    at = child === left ? 2 * at + 1 : 2 * at + 2
  }
  heap[at] = last
}
