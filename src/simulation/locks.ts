import type { HeldLock, LockService } from '../host/browser.js'
import type { Prng } from './prng.js'
import type { Thread } from './thread.js'
import type { World } from './world.js'

interface Request {
  readonly thread: Thread
  readonly name: string
  readonly granted: () => void
  state: 'waiting' | 'held' | 'over'
}

/** The locks of one browser (Web Locks): one queue per name, seen by all its threads, freed when their holder dies. */
export class SimLocks {
  readonly #world: World
  readonly #prng: Prng
  readonly #queues = new Map<string, Request[]>()
  readonly #known = new Set<Thread>()
  readonly #releasedUntil = new WeakMap<Thread, number>()

  constructor(world: World, browser: string) {
    this.#world = world
    this.#prng = world.prng.fork(`locks ${browser}`)
  }

  /** The service as one thread has it. */
  of(thread: Thread): LockService {
    if (!this.#known.has(thread)) {
      this.#known.add(thread)
      // The browser takes its time to see a crash; frames that were sent before may come earlier or later than that.
      thread.onDeath(() =>
        this.#world.after(this.#prng.tail(4, 60), `locks of ${thread.name} freed`, () => this.#free(thread)),
      )
    }
    return { hold: (name, options = {}) => this.#hold(thread, name, options) }
  }

  /** The page was put into the back/forward cache, or its worker terminated: its locks are free though it may live. */
  freeAll(thread: Thread): void {
    this.#free(thread)
  }

  #hold(
    thread: Thread,
    name: string,
    { ifAvailable = false, signal }: { readonly ifAvailable?: boolean; readonly signal?: AbortSignal },
  ): Promise<HeldLock | null> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(signal.reason)
        return
      }
      const held: HeldLock = { release: () => this.#release(request), onlost: null }
      const request: Request = {
        thread,
        name,
        state: 'waiting',
        granted: () => {
          thread.post(this.#delay(), `granted ${name}`, () => {
            signal?.removeEventListener('abort', abort)
            if (request.state === 'held') resolve(held)
          })
        },
      }
      const abort = () => {
        this.#release(request)
        reject(signal?.reason)
      }
      signal?.addEventListener('abort', abort)
      this.#world.after(this.#delay(), `${thread.name} asks for ${name}`, () => {
        if (request.state === 'over' || thread.isDead) return
        const queue = this.#queueOf(name)
        if (ifAvailable && queue.length > 0) {
          request.state = 'over'
          thread.post(this.#delay(), `refused ${name}`, () => resolve(null))
          return
        }
        queue.push(request)
        this.#advance(name)
      })
    })
  }

  #release(request: Request): void {
    if (request.state === 'over') return
    request.state = 'over'
    // Browsers hear of what one thread lets go of in its order.
    const at = Math.max(this.#world.now + this.#delay(), this.#releasedUntil.get(request.thread) ?? 0)
    this.#releasedUntil.set(request.thread, at)
    this.#world.after(at - this.#world.now, `${request.thread.name} lets go of ${request.name}`, () =>
      this.#remove(request),
    )
  }

  #free(thread: Thread): void {
    for (const queue of [...this.#queues.values()]) {
      for (const request of queue.filter((request) => request.thread === thread)) {
        request.state = 'over'
        this.#remove(request)
      }
    }
  }

  #remove(request: Request): void {
    const queue = this.#queueOf(request.name)
    const at = queue.indexOf(request)
    if (at >= 0) queue.splice(at, 1)
    this.#advance(request.name)
  }

  /** The first in the queue is the holder. */
  #advance(name: string): void {
    const queue = this.#queueOf(name)
    const [first] = queue
    if (!first) this.#queues.delete(name)
    else if (first.state === 'waiting') {
      first.state = 'held'
      first.granted()
    }
  }

  #queueOf(name: string): Request[] {
    const queue = this.#queues.get(name) ?? []
    this.#queues.set(name, queue)
    return queue
  }

  #delay(): number {
    return this.#prng.tail(0.1, 5)
  }
}
