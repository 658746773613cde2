/** Time and locks of a browser, for tests of who holds what. */
import type { Clock } from '../shared/instant.js'
import type { HeldLock, LockService } from './browser.js'

/** Time that the test lets pass. */
export class ManualClock implements Clock {
  time = 0
  readonly #timers = new Map<object, { readonly at: number; readonly run: () => void }>()

  now() {
    return { monotonic: this.time, wall: 1_780_000_000_000 + this.time }
  }

  after(ms: number, run: () => void) {
    const timer = { cancel: () => void this.#timers.delete(timer) }
    this.#timers.set(timer, { at: this.time + ms, run })
    return timer
  }

  async pass(ms: number): Promise<void> {
    await quiet()
    this.time += ms
    for (const [timer, { at, run }] of [...this.#timers]) {
      if (at > this.time) continue
      this.#timers.delete(timer)
      run()
    }
    await quiet()
  }
}

export const quiet = () => new Promise<void>((resolve) => setTimeout(resolve))

/** The locks of a browser: exclusive, in the order of the requests. */
export class TestLocks implements LockService {
  readonly #queues = new Map<string, object[]>()
  readonly #wakes = new Map<object, () => void>()

  hold(name: string, options: { ifAvailable?: boolean; signal?: AbortSignal } = {}): Promise<HeldLock | null> {
    const { ifAvailable = false, signal } = options
    const queue = this.#queues.get(name) ?? []
    this.#queues.set(name, queue)
    if (ifAvailable && queue.length > 0) return Promise.resolve(null)
    const request = {}
    queue.push(request)
    const release = () => {
      const at = queue.indexOf(request)
      if (at < 0) return
      queue.splice(at, 1)
      this.#wakes.get(queue[0] ?? request)?.()
    }
    return new Promise((resolve, reject) => {
      const grant = () => resolve({ release, onlost: null })
      this.#wakes.set(request, grant)
      signal?.addEventListener('abort', () => {
        release()
        reject(signal.reason)
      })
      if (queue[0] === request) grant()
    })
  }

  isHeld(name: string): boolean {
    return (this.#queues.get(name)?.length ?? 0) > 0
  }
}
