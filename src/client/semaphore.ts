import { permitLeaseMax, permitsMax, semaphoreNameMax } from '../machine/semaphore/limits.js'
import {
  checkDuration,
  checkInteger,
  checkMembers,
  checkOwner,
  checkPriority,
  checkSignal,
  checkText,
  checkTimeout,
  checkWhenNoQuorum,
} from './arguments.js'
import type { RoomConnection } from './connection.js'
import { ComityError, PermitTimeoutError, RoomLeftError } from './errors.js'
import type { LockDefaults } from './locks.js'
import { type HeldPermit, type Permit, type PermitParameters, PermitRequest } from './permit.js'
import { ask, boundWait, openRequest, type WaitBounds } from './wait.js'

export interface SemaphoreOptions {
  /**
   * How many permits there are, 1 to 1,000,000: taken from the first peer that finds the semaphore unused, and the same for all from then on.
   * Those who bring another number use what there is; `resize` changes it.
   */
  permits: number
}

export interface AcquireOptions {
  /** Now or not at all: resolves with null if there are not enough, or others wait. */
  ifAvailable?: boolean
  /** Aborts the request while it waits, with its own reason. */
  signal?: AbortSignal
  /** Longest wait, ms; then `PermitTimeoutError`. Default: none. */
  timeout?: number
  /** How long the permits outlive a page that has gone silent or is blocked, ms; at least three heartbeats. Default `timing.lease`. */
  lease?: number
  /** A whole number from -1,000 to 1,000: each level counts as a second of waiting, so that nobody waits for ever. Default 0. */
  priority?: number
  /** Who of this page asks, for the refusal of deadlocks. Permits are not re-entrant: each request needs its own. */
  owner?: string
  /** What to do while there is no quorum; default as given to `join`. */
  whenNoQuorum?: 'wait' | 'reject'
}

/**
 * A number of permits that the peers of a room share. A semaphore needs no setting up, and one that nobody uses costs nothing; of a room
 * 256 may be in use, and 64 requests wait for one of them (`LimitExceededError`).
 */
export interface Semaphore {
  readonly name: string
  /**
   * So many permits at once, default 1. First come, first served, and nobody passes the first: a large request is not starved by small ones.
   * Rejects with `LimitExceededError` (limit `permits`) when it asks for more than there are, also later, when a `resize` makes it so;
   * with the signal's reason, `PermitTimeoutError`, `NoQuorumError`, `RoomLeftError`.
   */
  acquire(count: number | undefined, options: AcquireOptions & { ifAvailable: true }): Promise<Permit | null>
  acquire(count?: number, options?: AcquireOptions): Promise<Permit>
  /** How many can be had now, linearizable; 0 also while more are out than there are since a `resize`. */
  available(): Promise<number>
  /**
   * From now on there are so many, for everybody. Nobody loses a permit: where more are out, they become fewer as they come back. It is
   * kept when nobody uses the semaphore, until somebody who finds it unused brings that very number, or it is undone.
   * A waiting request that is larger than that is refused (`LimitExceededError`). Rejects with `DeadlockError`, and changes nothing, when with so
   * few some of those who wait would wait for each other for ever: none of them would be told otherwise.
   */
  resize(permits: number): Promise<void>
}

/** The semaphores of one handle on a room. */
export class RoomSemaphores {
  readonly #connection: RoomConnection
  readonly #defaults: LockDefaults
  readonly #open = new Set<() => void>()
  #left = false

  constructor(connection: RoomConnection, defaults: LockDefaults) {
    this.#connection = connection
    this.#defaults = defaults
  }

  get(name: unknown, options: unknown): Semaphore {
    const text = checkText(name, 'name', 'semaphoreName', semaphoreNameMax)
    const { permits } = checkMembers(options, 'options')
    return new RoomSemaphore(this, text, checkInteger(permits, 'options.permits', 1, permitsMax))
  }

  /** The handle is left: what was asked or acquired through it is given back. */
  leave(): void {
    this.#left = true
    for (const cancel of [...this.#open]) cancel()
  }

  /** Throws if nothing can be asked any more. */
  connect(): RoomConnection {
    if (this.#connection.ended) throw this.#connection.ended
    if (this.#left) throw new RoomLeftError()
    return this.#connection
  }

  /** From checked options to a request, bounded by its signal, its time-out, the quorum and this handle. */
  acquire(parameters: PermitParameters, bounds: WaitBounds): Promise<HeldPermit | null> {
    const connection = this.connect()
    bounds.signal?.throwIfAborted()
    return new Promise((resolve, reject) => {
      const request = new PermitRequest(connection, parameters, {
        granted: (permit) => {
          if (permit) wait.granted()
          else wait.ended()
          resolve(permit)
        },
        failed: (error) => {
          wait.ended()
          reject(error)
        },
        ended: () => wait.ended(),
      })
      const late = (timeout: number) => {
        connection.permitMeter.count(parameters.name, 'timeouts')
        return new PermitTimeoutError(parameters.name, timeout)
      }
      const wait = openRequest(this.#open, {
        bound: (giveUp) => boundWait(connection, bounds, late, giveUp),
        cancel: () => request.cancel(),
        failed: reject,
      })
    })
  }

  async available(name: string): Promise<number | null> {
    const found = await ask(this.connect(), this.#defaults.whenNoQuorum, { type: 'semaphore.get', name })
    return found ? found.free : null
  }

  async resize(name: string, permits: number, to: number): Promise<void> {
    const connection = this.connect()
    try {
      await ask(connection, this.#defaults.whenNoQuorum, { type: 'semaphore.resize', name, permits, to })
    } catch (error) {
      if (error instanceof ComityError && error.code === 'deadlock') connection.permitMeter.count(name, 'deadlocks')
      throw error
    }
  }

  /** The options that a request goes by, and what bounds its wait. */
  check(options: unknown): { asked: Omit<PermitParameters, 'name' | 'permits' | 'count'>; bounds: WaitBounds } {
    const given = checkMembers(options, 'options')
    const whenNoQuorum = checkWhenNoQuorum(given['whenNoQuorum']) ?? this.#defaults.whenNoQuorum
    const signal = checkSignal(given['signal'], 'options.signal')
    const timeout = checkTimeout(given['timeout'])
    const timing = this.#defaults.timing()
    const least = 3 * timing.heartbeat
    const lease = checkDuration(given['lease'], 'options.lease', least, permitLeaseMax) ?? timing.lease
    return {
      asked: {
        ifAvailable: Boolean(given['ifAvailable']),
        lease: Math.floor(lease),
        priority: checkPriority(given['priority']),
        owner: checkOwner(given['owner']) ?? null,
      },
      bounds: { whenNoQuorum, ...(signal && { signal }), ...(timeout !== undefined && { timeout }) },
    }
  }
}

class RoomSemaphore implements Semaphore {
  readonly name: string
  readonly #room: RoomSemaphores
  readonly #permits: number

  constructor(room: RoomSemaphores, name: string, permits: number) {
    this.#room = room
    this.name = name
    this.#permits = permits
  }

  acquire(count: number | undefined, options: AcquireOptions & { ifAvailable: true }): Promise<Permit | null>
  acquire(count?: number, options?: AcquireOptions): Promise<Permit>
  async acquire(count: number = 1, options?: AcquireOptions): Promise<Permit | null> {
    const whole = checkInteger(count, 'count', 1, permitsMax)
    const { asked, bounds } = this.#room.check(options)
    return this.#room.acquire({ name: this.name, permits: this.#permits, count: whole, ...asked }, bounds)
  }

  async available(): Promise<number> {
    return (await this.#room.available(this.name)) ?? this.#permits
  }

  async resize(permits: number): Promise<void> {
    const to = checkInteger(permits, 'permits', 1, permitsMax)
    await this.#room.resize(this.name, this.#permits, to)
  }
}
