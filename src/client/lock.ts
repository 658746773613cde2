/// <reference lib="esnext.disposable" preserve="true" />
import type { LockLoss } from '../host/page.js'
import type { RoomConnection } from './connection.js'
import { errorOf, type LockLossReason, LockLostError } from './errors.js'

export type LockMode = 'exclusive' | 'shared'

/**
 * A lock that this page was granted: W3C's `Lock` with what a lock over a network needs besides.
 * What it guards outside the room needs the token: only the guarded resource can refuse a holder that is late.
 */
export interface Lock extends AsyncDisposable {
  readonly name: string
  readonly mode: LockMode
  /** Fencing token: grows with every exclusive grant of a name. Compare it within one room only. */
  readonly token: number
  /**
   * Computed at each read, so it is right in the first line after a freeze: `held` while the cluster surely has not passed
   * it on, `unsure` when its lease may have run out unheard, `lost` when it has been taken, `released` when given back.
   */
  readonly state: 'held' | 'unsure' | 'lost' | 'released'
  /** Aborts when the lock is lost (it may lag `state` by a task), with a `LockLostError`. Never after a release. */
  readonly signal: AbortSignal
  /** The page's `performance.now()` at which certainty ends unless it is renewed. */
  readonly deadline: number
  /** Throws `LockLostError` unless `state` is `held`, and `InvalidStateError` after a release. */
  assertHeld(): void
  /** A round trip to a quorum: resolves if it was still mine at some time during the call, else rejects with `LockLostError`. */
  verify(): Promise<void>
  /** Gives the lock back; resolves when the room has agreed. Does nothing the second time, or when the lock is lost. */
  release(): Promise<void>
}

export interface Grant {
  readonly name: string
  readonly mode: LockMode
  readonly lease: number
  readonly token: number
  readonly handle: number
}

export class HeldLock implements Lock {
  readonly #connection: RoomConnection
  readonly #grant: Grant
  readonly #controller = new AbortController()
  readonly #onEnd: (loss: LockLostError | null) => void
  #phase: 'mine' | 'lost' | 'released' = 'mine'
  #reason: LockLossReason = 'expired'
  #released: Promise<void> | null = null

  /** `onEnd` is told once: null for a release, the error for a loss. */
  constructor(connection: RoomConnection, grant: Grant, onEnd: (loss: LockLostError | null) => void) {
    this.#connection = connection
    this.#grant = grant
    this.#onEnd = onEnd
    if (typeof Symbol.asyncDispose === 'symbol') {
      Object.defineProperty(this, Symbol.asyncDispose, { value: () => this.release() })
    }
  }

  declare [Symbol.asyncDispose]: () => Promise<void>

  /** As the platform's own shows itself. */
  get [Symbol.toStringTag](): string {
    return 'Lock'
  }

  get name(): string {
    return this.#grant.name
  }

  get mode(): LockMode {
    return this.#grant.mode
  }

  get token(): number {
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

  assertHeld(): void {
    const { state, name } = this
    if (state === 'held') return
    if (state === 'released')
      throw new DOMException(`the lock ${JSON.stringify(name)} was released`, 'InvalidStateError')
    throw new LockLostError(name, this.#reason)
  }

  async verify(): Promise<void> {
    const { name, token } = this
    if (this.#phase === 'released')
      throw new DOMException(`the lock ${JSON.stringify(name)} was released`, 'InvalidStateError')
    if (this.#phase === 'lost') throw new LockLostError(name, this.#reason)
    const { held } = await this.#connection.call({ type: 'lock.query' })
    if (held.some((record) => record.name === name && record.token === token && record.handle === this.#grant.handle))
      return
    throw new LockLostError(name, this.#reason)
  }

  release(): Promise<void> {
    if (this.#phase === 'lost') return Promise.resolve()
    this.#released ??= this.#giveBack()
    return this.#released
  }

  /** The room, or the page's end, has taken it. */
  lose(reason: LockLoss | 'left' | 'reset'): void {
    if (this.#phase !== 'mine') return
    this.#phase = 'lost'
    this.#reason = reason
    const error = new LockLostError(this.name, reason)
    this.#onEnd(error)
    this.#controller.abort(error)
  }

  async #giveBack(): Promise<void> {
    this.#phase = 'released'
    const { handle } = this.#grant
    this.#connection.forget(handle)
    this.#onEnd(null)
    try {
      await this.#connection.call({ type: 'lock.release', handle })
    } catch (error) {
      // With the peer gone, or its session ended, the room has let the lock go as well.
      if (this.#connection.ended || isUnknown(error)) return
      throw error
    }
  }
}

function isUnknown(error: unknown): boolean {
  return (
    error instanceof Error && 'code' in error && error.code === errorOf({ code: 'outcome-unknown', message: '' }).code
  )
}
