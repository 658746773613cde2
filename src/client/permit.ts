/// <reference lib="esnext.disposable" preserve="true" />
import type { Answers, LockLoss } from '../host/page.js'
import type { GrantListener, RoomConnection } from './connection.js'
import { ComityError, OutcomeUnknownError, type PermitLossReason, PermitLostError } from './errors.js'

/** What one `acquire` of a semaphore has given: so many of its permits, given back together. */
export interface Permit extends AsyncDisposable {
  /** The name of the semaphore. */
  readonly name: string
  /** How many. */
  readonly count: number
  /** No other grant of the room has the same, and later ones have higher ones. Compare it within one room only. */
  readonly id: number
  /**
   * Computed at each read, as that of a lock: `held` while the room surely has not passed them on, `unsure` when the lease may have run
   * out unheard, `lost` when they have been taken, `released` when given back.
   */
  readonly state: 'held' | 'unsure' | 'lost' | 'released'
  /** Aborts when they are lost (it may lag `state` by a task), with a `PermitLostError`. Never after a release. */
  readonly signal: AbortSignal
  /** The page's `performance.now()` at which certainty ends unless it is renewed. */
  readonly deadline: number
  /** Gives them back; resolves when the room has agreed. Does nothing the second time, or when they are lost. */
  release(): Promise<void>
}

export interface PermitParameters {
  readonly name: string
  /** The size that the semaphore gets if nobody uses it. */
  readonly permits: number
  readonly count: number
  readonly ifAvailable: boolean
  readonly lease: number
  readonly priority: number
  readonly owner: string | null
}

interface Grant {
  readonly name: string
  readonly count: number
  readonly lease: number
  readonly token: number
  readonly handle: number
}

export class HeldPermit implements Permit {
  readonly #connection: RoomConnection
  readonly #grant: Grant
  readonly #controller = new AbortController()
  readonly #onEnd: () => void
  readonly #since: number
  #phase: 'mine' | 'lost' | 'released' = 'mine'
  #released: Promise<void> | null = null

  /** `onEnd` is told once, of a release or a loss. */
  constructor(connection: RoomConnection, grant: Grant, onEnd: () => void) {
    this.#connection = connection
    this.#grant = grant
    this.#onEnd = onEnd
    this.#since = connection.permitMeter.now()
    if (typeof Symbol.asyncDispose === 'symbol') {
      Object.defineProperty(this, Symbol.asyncDispose, { value: () => this.release() })
    }
  }

  declare [Symbol.asyncDispose]: () => Promise<void>

  get name(): string {
    return this.#grant.name
  }

  get count(): number {
    return this.#grant.count
  }

  get id(): number {
    return this.#grant.token
  }

  get state(): 'held' | 'unsure' | 'lost' | 'released' {
    if (this.#phase !== 'mine') return this.#phase
    return this.#connection.isCertain(this.#grant.lease) ? 'held' : 'unsure'
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  get deadline(): number {
    return this.#connection.deadline(this.#grant.lease)
  }

  release(): Promise<void> {
    if (this.#phase === 'lost') return Promise.resolve()
    this.#released ??= this.#giveBack()
    return this.#released
  }

  /** The room, or the page's end, has taken them. */
  lose(reason: PermitLossReason): void {
    if (this.#phase !== 'mine') return
    this.#phase = 'lost'
    this.#connection.permitMeter.ended(this, this.#since, reason)
    this.#onEnd()
    this.#controller.abort(new PermitLostError(this.name, reason))
  }

  async #giveBack(): Promise<void> {
    this.#phase = 'released'
    this.#connection.permitMeter.ended(this, this.#since, null)
    const { handle } = this.#grant
    this.#connection.forget(handle)
    this.#onEnd()
    try {
      await this.#connection.call({ type: 'semaphore.release', handle })
    } catch (error) {
      // With the peer gone, or its session ended, the room has them back as well.
      if (this.#connection.ended || error instanceof OutcomeUnknownError) return
      throw error
    }
  }
}

export interface PermitListener {
  /** They are certainly held; null when there were not enough. Once, unless `failed` comes instead. */
  granted(permit: HeldPermit | null): void
  failed(error: unknown): void
  /** After `granted`: released or lost. */
  ended(): void
}

/** One request from its first word to its end: asked, queued, granted, certain, given back. */
export class PermitRequest implements GrantListener {
  readonly #connection: RoomConnection
  readonly #parameters: PermitParameters
  readonly #listener: PermitListener
  readonly #askedAt: number
  #handle: number
  /** Answers to an earlier asking are void: the permits that they speak of are gone. */
  #asked = 0
  #phase: 'waiting' | 'granted' | 'ended' = 'waiting'
  #permit: HeldPermit | null = null

  constructor(connection: RoomConnection, parameters: PermitParameters, listener: PermitListener) {
    this.#connection = connection
    this.#parameters = parameters
    this.#listener = listener
    this.#askedAt = connection.permitMeter.now()
    this.#handle = connection.expectGrant(this)
    if (connection.attached) this.#ask()
  }

  /** Leaves the queue, or gives back what was granted meanwhile (S-9). Nothing is told any more. */
  cancel(): void {
    if (this.#phase === 'ended') return
    this.#phase = 'ended'
    if (this.#permit) void this.#permit.release().catch(() => {})
    else this.#withdraw()
  }

  granted({ token }: { readonly token: number }): void {
    if (this.#phase !== 'waiting') return
    this.#phase = 'granted'
    this.#connection.holds(this.#handle, [])
    // S-8. An earlier grant may have been taken back before it was certain.
    const asked = this.#asked
    this.#connection.whenCertain(this.#parameters.lease, () => {
      if (this.#asked === asked) this.#deliver(token)
    })
  }

  lost(reason: LockLoss | 'left' | 'reset'): void {
    if (this.#phase === 'ended') return
    // Nothing is told of this handle any more, and what is asked for anew has another.
    this.#connection.forget(this.#handle)
    if (this.#permit) {
      this.#phase = 'ended'
      this.#permit.lose(reason === 'left' || reason === 'reset' ? reason : 'expired')
    } else if (this.#connection.ended) {
      this.#phase = 'ended'
      this.#listener.failed(this.#connection.ended)
    } else this.#askAnew()
  }

  /** Granted and taken before it could be called certain: to the page it has been waiting all the time. */
  #askAnew(): void {
    this.#phase = 'waiting'
    this.#asked += 1
    this.#handle = this.#connection.expectGrant(this)
    if (this.#connection.attached) this.#ask()
  }

  restarted(): void {
    if (this.#phase === 'waiting') this.#ask()
  }

  refused(error: unknown): void {
    if (this.#phase !== 'waiting') return
    this.#phase = 'ended'
    this.#connection.forget(this.#handle)
    if (error instanceof ComityError && error.code === 'deadlock') this.#count('deadlocks')
    this.#listener.failed(error)
  }

  #ask(): void {
    this.#asked += 1
    const asked = this.#asked
    this.#connection.call({ type: 'semaphore.acquire', handle: this.#handle, ...this.#parameters }).then(
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

  #answered(answer: Answers['semaphore.acquire']): void {
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

  #deliver(token: number): void {
    if (this.#phase !== 'granted' || this.#permit) return
    const { name, count, lease } = this.#parameters
    this.#permit = new HeldPermit(this.#connection, { name, count, lease, token, handle: this.#handle }, () => {
      this.#phase = 'ended'
      this.#listener.ended()
    })
    this.#connection.permitMeter.granted(this.#permit, this.#askedAt)
    this.#listener.granted(this.#permit)
  }

  #count(what: 'contentions' | 'deadlocks'): void {
    this.#connection.permitMeter.count(this.#parameters.name, what)
  }

  #withdraw(): void {
    this.#connection.forget(this.#handle)
    if (!this.#connection.attached) return
    this.#connection.call({ type: 'semaphore.release', handle: this.#handle }).catch(() => {})
  }
}
