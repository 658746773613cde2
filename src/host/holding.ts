/** Locks of the browser, waited for no longer than that, held and let go together. */
import type { PeerId } from '../raft/entry.js'
import type { Clock } from '../shared/instant.js'
import { identityLockName, keptLockName } from '../shared/life.js'
import type { HeldLock, LockService } from './browser.js'

/** Waits for a lock no longer than that; null if it did not come. */
export async function holdWithin(locks: LockService, name: string, clock: Clock, ms: number): Promise<HeldLock | null> {
  const controller = new AbortController()
  const timer = clock.after(ms, () => controller.abort())
  try {
    return await locks.hold(name, { signal: controller.signal })
  } catch (error) {
    if (controller.signal.aborted) return null
    throw error
  } finally {
    timer.cancel()
  }
}

/** How a lock is asked for: the longest wait, or nothing for one that must be free. */
type Patience = { readonly clock: Clock; readonly ms: number } | undefined

export class Holding {
  readonly #locks: LockService
  readonly #held: HeldLock[] = []

  constructor(locks: LockService) {
    this.#locks = locks
  }

  /** Whether it could be had. */
  async take(name: string, patience?: Patience): Promise<boolean> {
    const lock = await (patience
      ? holdWithin(this.#locks, name, patience.clock, patience.ms)
      : this.#locks.hold(name, { ifAvailable: true }))
    if (lock) this.#held.push(lock)
    return lock !== null
  }

  /**
   * The identity of a tab that may be dead, to look whether it is. The kept lock goes first, and last when all are let go: a
   * tab that starts holds that one while it asks for the identity, so what it is refused is a living tab's (L1).
   */
  async takeIdentity(room: string, peerId: PeerId, patience?: Patience): Promise<boolean> {
    return (await this.take(keptLockName(room, peerId), patience)) && this.take(identityLockName(room, peerId))
  }

  release(): void {
    for (const lock of this.#held.splice(0).reverse()) lock.release()
  }
}
