import type { Answers, LockGrant, LockLoss } from '../host/page.js'
import type { GrantListener, RoomConnection } from './connection.js'
import { ComityError, type LockLostError } from './errors.js'
import { HeldLock } from './lock.js'
import type { RequestParameters } from './lock-options.js'

export interface RequestListener {
  /** The locks are certainly held, in the order of their names; null when they were not available. Once, unless `failed` comes instead. */
  granted(locks: readonly HeldLock[] | null): void
  failed(error: unknown): void
  /** After `granted`: a lock has ended, by a release (null) or a loss. `isLast`: no other is left. */
  ended(loss: LockLostError | null, isLast: boolean): void
}

/** One request from its first word to its end: asked, queued, granted, certain, given back. */
export class LockRequest implements GrantListener {
  readonly #connection: RoomConnection
  readonly #parameters: RequestParameters
  readonly #listener: RequestListener
  readonly #askedAt: number
  #handle: number
  /** Answers to an earlier asking are void: the lock that they speak of is gone. */
  #asked = 0
  #phase: 'waiting' | 'granted' | 'ended' = 'waiting'
  /** Those that are held still, by name; null until they are handed over. */
  #locks: Map<string, HeldLock> | null = null
  /** Asked back before they were handed over. */
  readonly #revoked = new Map<string, number | null>()
  /** One word to the room for all that is left. */
  #together: { sent: Promise<unknown> | null } | null = null

  constructor(connection: RoomConnection, parameters: RequestParameters, listener: RequestListener) {
    this.#connection = connection
    this.#parameters = parameters
    this.#listener = listener
    this.#askedAt = connection.meter.now()
    this.#handle = connection.expectGrant(this)
    if (connection.attached) this.#ask()
  }

  /** Gives back all that is held still, by one word to the room. */
  release(): void {
    const locks = [...(this.#locks?.values() ?? [])]
    this.#together = { sent: null }
    for (const lock of locks) void lock.release().catch(() => {})
  }

  /** Leaves the queue, or gives back what is held, since its handle is left (S-9). Nothing is told any more, but to upgrades that wait. */
  cancel(): void {
    if (this.#phase === 'ended') return
    this.#phase = 'ended'
    for (const lock of this.#locks?.values() ?? []) lock.leave()
    if (this.#locks) this.release()
    else this.#withdraw()
  }

  granted(grant: LockGrant): void {
    if (this.#phase !== 'waiting') return
    this.#phase = 'granted'
    this.#connection.holds(this.#handle, this.#parameters.names)
    // An earlier grant may have been taken back before it was certain.
    const asked = this.#asked
    this.#connection.whenCertain(this.#parameters.lease, () => {
      if (this.#asked === asked) this.#deliver(grant)
    })
  }

  lost(reason: LockLoss | 'left' | 'reset', name?: string): void {
    if (this.#phase === 'ended') return
    if (this.#locks) {
      for (const lock of [...this.#locks.values()]) if (name === undefined || lock.name === name) lock.lose(reason)
      return
    }
    this.#forget(name)
    if (this.#connection.ended) {
      this.#phase = 'ended'
      this.#listener.failed(this.#connection.ended)
    } else if (reason === 'stolen') {
      // As in W3C, and a thief that asked again would rob whoever robbed it.
      this.#phase = 'ended'
      this.#listener.failed(stolenError())
    } else this.#askAnew()
  }

  revoked(name: string, endsAt: number | null): void {
    if (this.#locks) this.#locks.get(name)?.revoke(endsAt)
    else this.#revoked.set(name, endsAt)
  }

  has(name: string): boolean {
    return this.#locks?.get(name)?.state === 'held'
  }

  /** Granted and taken before it could be called certain: to the page it has been waiting all the time. */
  #askAnew(): void {
    this.#phase = 'waiting'
    this.#asked += 1
    this.#revoked.clear()
    this.#handle = this.#connection.expectGrant(this)
    if (this.#connection.attached) this.#ask()
  }

  restarted(): void {
    if (this.#phase === 'waiting') this.#ask()
  }

  #ask(): void {
    this.#asked += 1
    const asked = this.#asked
    const { names, ...parameters } = this.#parameters
    const [name = ''] = names
    this.#connection.call({ type: 'lock.request', handle: this.#handle, name, ...parameters }).then(
      (answer) => {
        if (this.#asked === asked) this.#answered(answer)
      },
      (error: unknown) => {
        // The host went away before it answered, and took whatever it had granted with it: the next one is asked.
        const isOver = this.#connection.attached || this.#connection.ended !== null
        if (this.#asked === asked && isOver) this.refused(error)
      },
    )
  }

  #answered(answer: Answers['lock.request']): void {
    if (this.#phase !== 'waiting') return
    if (answer.state === 'granted') this.granted(answer)
    else if (answer.state === 'unavailable') this.unavailable()
    else this.#count('contentions')
  }

  unavailable(): void {
    if (this.#phase !== 'waiting') return
    this.#count('contentions')
    this.#phase = 'ended'
    this.#connection.forget(this.#handle)
    this.#listener.granted(null)
  }

  refused(error: unknown): void {
    if (this.#phase !== 'waiting') return
    this.#phase = 'ended'
    this.#connection.forget(this.#handle)
    if (error instanceof ComityError && error.code === 'deadlock') this.#count('deadlocks')
    this.#listener.failed(error)
  }

  #deliver({ token, endsAt, tokens }: LockGrant): void {
    if (this.#phase !== 'granted' || this.#locks) return
    const { names, mode, lease } = this.#parameters
    const handle = this.#handle
    const locks = names.map((name) => {
      const own = tokens && Object.hasOwn(tokens, name) ? tokens[name] : undefined
      return new HeldLock(this.#connection, { name, mode, lease, token: own ?? token, handle, endsAt }, this)
    })
    this.#locks = new Map(locks.map((lock) => [lock.name, lock]))
    for (const lock of locks) this.#connection.meter.granted(lock, this.#askedAt)
    for (const [name, end] of this.#revoked) this.#locks.get(name)?.revoke(end)
    this.#listener.granted(locks)
  }

  ended(lock: HeldLock, loss: LockLostError | null): void {
    this.#locks?.delete(lock.name)
    const left = [...(this.#locks?.keys() ?? [])]
    if (left.length > 0) this.#connection.holds(this.#handle, left)
    else {
      this.#phase = 'ended'
      this.#connection.forget(this.#handle)
    }
    this.#listener.ended(loss, left.length === 0)
  }

  giveBack({ name }: HeldLock): Promise<unknown> {
    const release = { type: 'lock.release', handle: this.#handle } as const
    if (this.#together) {
      this.#together.sent ??= this.#connection.call(release)
      return this.#together.sent
    }
    const isOneOfMany = (this.#locks?.size ?? 0) > 0
    return this.#connection.call(isOneOfMany ? { ...release, name } : release)
  }

  #count(what: 'contentions' | 'deadlocks'): void {
    for (const name of this.#parameters.names) this.#connection.meter.count(name, what)
  }

  /** One of several was taken: what is left of them is of no use to whoever asked for all. */
  #forget(name: string | undefined): void {
    if (name !== undefined && this.#parameters.names.length > 1) this.#withdraw()
    else this.#connection.forget(this.#handle)
  }

  #withdraw(): void {
    this.#connection.forget(this.#handle)
    if (this.#connection.attached) this.#connection.call({ type: 'lock.release', handle: this.#handle }).catch(() => {})
  }
}

/** What the victim of a `steal` hears (W3C). */
export function stolenError(): DOMException {
  return new DOMException('the lock was stolen by another request', 'AbortError')
}
