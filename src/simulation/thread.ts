import type { Clock, Instant, Timer } from '../shared/instant.js'
import type { DeviceClock } from './clock.js'
import type { Prng } from './prng.js'
import type { World } from './world.js'

type Source = 'timer' | 'message'

interface Task {
  readonly label: string
  readonly run: () => void
  cancelled?: boolean
}

/**
 * A page's or a worker's thread: it does one thing after another, may be blocked by its own code, frozen by the browser,
 * and may die at any moment. What comes for it meanwhile waits, as in a real event loop.
 */
export class Thread {
  readonly name: string
  readonly #world: World
  readonly #device: DeviceClock
  readonly #prng: Prng
  /** `performance.now()` of each thread has its own zero. */
  readonly #origin: number
  readonly #waiting: Record<Source, Task[]> = { timer: [], message: [] }
  readonly #onDeath: (() => void)[] = []
  #isDead = false
  #blockers = 0
  #freezers = 0
  #isCatchingUp = false
  /** Timers fire only at multiples of this: what browsers do to pages that nobody sees. */
  timerGrain = 0

  constructor(world: World, name: string, device: DeviceClock) {
    this.#world = world
    this.name = name
    this.#device = device
    this.#prng = world.prng.fork(`thread ${name}`)
    this.#origin = this.#prng.between(-1_000_000, 0)
  }

  readonly clock: Clock = {
    now: () => this.now,
    after: (ms, run) => this.#timer(ms, run),
  }

  get now(): Instant {
    const { monotonic, wall } = this.#device.now
    return { monotonic: monotonic - this.#origin, wall }
  }

  /** A timer of this thread, as a promise. */
  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.clock.after(ms, resolve))
  }

  get isDead(): boolean {
    return this.#isDead
  }

  /** Its code is not running and will not before it is thawed: nobody reads anything in it. */
  get isFrozen(): boolean {
    return this.#freezers > 0
  }

  get isBlocked(): boolean {
    return this.#blockers > 0
  }

  /** How many tasks wait. */
  get backlog(): number {
    return this.#waiting.timer.length + this.#waiting.message.length
  }

  /** A task for this thread that comes after that time. Dropped if the thread is dead by then. */
  post(delay: number, label: string, run: () => void): void {
    this.#world.after(delay, `${this.name} ${label}`, () => this.#arrive('message', { label, run }))
  }

  /** Several causes may block or freeze it at once. */
  block(): void {
    this.#blockers += 1
  }

  unblock(): void {
    this.#blockers = Math.max(0, this.#blockers - 1)
    this.#catchUp()
  }

  freeze(): void {
    this.#freezers += 1
  }

  thaw(): void {
    this.#freezers = Math.max(0, this.#freezers - 1)
    this.#catchUp()
  }

  /** Nothing holds it back any more. */
  wake(): void {
    this.#blockers = 0
    this.#freezers = 0
    this.#catchUp()
  }

  die(): void {
    if (this.#isDead) return
    this.#isDead = true
    this.#waiting.timer.length = 0
    this.#waiting.message.length = 0
    for (const run of this.#onDeath) run()
  }

  /** What the rest of the world does when this thread is gone. */
  onDeath(run: () => void): void {
    this.#onDeath.push(run)
  }

  #timer(ms: number, run: () => void): Timer {
    const due = this.#device.now.monotonic + Math.max(0, ms)
    const task: Task = { label: 'timer', run }
    const plan = () => {
      const wait = (due - this.#device.now.monotonic) / this.#device.rate
      const grain = this.timerGrain
      const late = grain > 0 ? grain - ((this.#world.now + wait) % grain) : this.#prng.between(0, 0.5)
      this.#world.after(wait + late, `${this.name} timer`, () => {
        // A monotonic clock that stood still in sleep: it is not time yet.
        if (!task.cancelled && this.#device.now.monotonic < due - 1) plan()
        else this.#arrive('timer', task)
      })
    }
    plan()
    return {
      cancel: () => {
        task.cancelled = true
      },
    }
  }

  #arrive(source: Source, task: Task): void {
    if (this.#isDead || task.cancelled) return
    if (this.#isStopped || this.#isCatchingUp) this.#waiting[source].push(task)
    else this.#run(task)
  }

  #run(task: Task): void {
    this.#world.active = this
    task.run()
  }

  get #isStopped(): boolean {
    return this.#blockers > 0 || this.#freezers > 0
  }

  /** One waiting task after the other; timers and messages are queues of their own, and nobody says which goes first. */
  #catchUp(): void {
    if (this.#isCatchingUp || this.#isStopped || this.#isDead) return
    this.#isCatchingUp = true
    const next = () => {
      if (this.#isDead) return
      if (this.#isStopped || this.backlog === 0) {
        this.#isCatchingUp = false
        return
      }
      const { timer, message } = this.#waiting
      const queue = timer.length > 0 && (message.length === 0 || this.#prng.chance(0.5)) ? timer : message
      const task = queue.shift()
      if (task && !task.cancelled) this.#run(task)
      this.#world.after(0.01, `${this.name} catches up`, next)
    }
    this.#world.after(0, `${this.name} goes on`, next)
  }
}

/** Messages from one thread to another, in order. */
export class Channel {
  readonly #world: World
  readonly #to: Thread
  readonly #delay: () => number
  #lastAt = 0

  constructor(world: World, to: Thread, delay: () => number) {
    this.#world = world
    this.#to = to
    this.#delay = delay
  }

  post(label: string, run: () => void): void {
    this.#lastAt = Math.max(this.#lastAt, this.#world.now + this.#delay())
    this.#to.post(this.#lastAt - this.#world.now, label, run)
  }
}
