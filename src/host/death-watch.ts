/**
 * Tabs of one browser watch each other's locks: the browser frees them the moment a tab is gone, however it went. Holding
 * both locks of a life proves that it is over (L2); one alone proves nothing.
 */
import type { Incarnation, PeerId } from '../raft/entry.js'
import type { Clock } from '../shared/instant.js'
import { identityLockName, lifeLockName } from '../shared/life.js'
import type { LockService } from './browser.js'
import { Holding, holdWithin } from './holding.js'

/** The identity lock of a dead tab is free at once too; a new tab may have taken it, and then says so itself. */
const identityWithin = 2_000
const lifeWithin = 100

/**
 * A page that says goodbye frees its life lock too. Its goodbye is waited for that long, ms: asking for a lock of a page that
 * has gone into the back/forward cache would throw the page out of it (PLATFORM 19).
 */
const goodbyeWithin = 50

interface Life {
  readonly peerId: PeerId
  readonly incarnation: Incarnation
}

export class DeathWatch {
  readonly #room: string
  readonly #locks: LockService
  readonly #clock: Clock
  readonly #onDead: (life: Life) => void
  readonly #watched = new Map<PeerId, { readonly incarnation: Incarnation; readonly controller: AbortController }>()
  #closed = false

  constructor(room: string, locks: LockService, clock: Clock, onDead: (life: Life) => void) {
    this.#room = room
    this.#locks = locks
    this.#clock = clock
    this.#onDead = onDead
  }

  /** Watches that life from now on, instead of an earlier one of the same peer. */
  watch(life: Life): void {
    const known = this.#watched.get(life.peerId)
    if (this.#closed || (known && known.incarnation.counter >= life.incarnation.counter)) return
    known?.controller.abort()
    const controller = new AbortController()
    this.#watched.set(life.peerId, { incarnation: life.incarnation, controller })
    void this.#await(life, controller.signal).catch(() => {})
  }

  /** It said goodbye: nothing is left to prove. */
  unwatch({ peerId, incarnation }: Life): void {
    const known = this.#watched.get(peerId)
    if (known && known.incarnation.counter <= incarnation.counter) known.controller.abort()
  }

  close(): void {
    this.#closed = true
    for (const { controller } of this.#watched.values()) controller.abort()
    this.#watched.clear()
  }

  async #await(life: Life, signal: AbortSignal): Promise<void> {
    const name = lifeLockName(life.peerId, life.incarnation)
    const sign = await this.#locks.hold(name, { signal })
    // Free is but a sign. Whoever needs both locks takes the identity's first: else two could wait for each other.
    sign?.release()
    await new Promise<void>((resolve) => this.#clock.after(goodbyeWithin, resolve))
    if (!sign || signal.aborted) return
    if (await this.#prove(life, signal)) return
    // The worker may outlive its page for a moment.
    const identity = identityLockName(this.#room, life.peerId)
    const freed = await holdWithin(this.#locks, identity, this.#clock, identityWithin)
    freed?.release()
    if (freed) await this.#prove(life, signal)
  }

  /** False if there is a worker of that identity. */
  async #prove(life: Life, signal: AbortSignal): Promise<boolean> {
    const clock = this.#clock
    const held = new Holding(this.#locks)
    try {
      if (!(await held.takeIdentity(this.#room, life.peerId, { clock, ms: identityWithin }))) return false
      // Another tab may be looking at this very moment; a page that lives keeps it for longer.
      const isFree = await held.take(lifeLockName(life.peerId, life.incarnation), { clock, ms: lifeWithin })
      // Held together for this moment: that is the proof. Kept no longer, so that a reload gets its identity back.
      if (isFree && !signal.aborted) this.#onDead(life)
      return true
    } finally {
      held.release()
    }
  }
}
