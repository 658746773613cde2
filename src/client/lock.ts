/// <reference lib="esnext.disposable" preserve="true" />
import type { LockLoss } from '../host/page.js'
import type { RoomConnection } from './connection.js'
import {
  ComityError,
  type LockLossReason,
  LockLostError,
  LockRevokedError,
  LockTimeoutError,
  RoomLeftError,
} from './errors.js'
import { checkWait, type WaitOptions } from './lock-options.js'
import { boundWait } from './wait.js'

export type LockMode = 'exclusive' | 'shared'

/**
 * A lock that this page was granted: W3C's `Lock` with what a lock over a network needs besides.
 * What it guards outside the room needs the token: only the guarded resource can refuse a holder that is late.
 */
export interface Lock extends AsyncDisposable {
  readonly name: string
  /** Changes by `upgrade` and `downgrade` only. */
  readonly mode: LockMode
  /** Fencing token: grows with every exclusive grant of a name, an upgrade included. Compare it within one room only. */
  readonly token: number
  /**
   * Computed at each read, so it is right in the first line after a freeze: `held` while the cluster surely has not passed
   * it on, `unsure` when its lease may have run out unheard, `lost` when it has been taken, `released` when given back.
   */
  readonly state: 'held' | 'unsure' | 'lost' | 'released'
  /** Aborts when the lock is lost (it may lag `state` by a task), with a `LockLostError`. Never after a release. */
  readonly signal: AbortSignal
  /**
   * Aborts when somebody asked for the lock back (`revoke`), with a `LockRevokedError` that has the grace: it is held until `deadline`,
   * and lost then. Finish and release it before. Never after a release or a loss.
   */
  readonly revoking: AbortSignal
  /**
   * The page's `performance.now()` at which certainty ends unless it is renewed: the earlier of the lease, which is renewed with every
   * heartbeat, and of what ends the lock for good (`maxHold`, the grace of a revoke).
   */
  readonly deadline: number
  /** Throws `LockLostError` unless `state` is `held`, and `InvalidStateError` after a release. */
  assertHeld(): void
  /**
   * A round trip to a quorum: resolves if it was still mine at some time during the call, else rejects with `LockLostError`, or after a release
   * of its own as `assertHeld` does.
   */
  verify(): Promise<void>
  /**
   * Makes a shared lock exclusive, with a new token, once all others have released theirs; ahead of all that wait for the lock. It stays held as shared
   * meanwhile. Of two that upgrade the same lock the second is refused at once (`DeadlockError`), since each would wait for the other.
   * Rejects with `signal.reason`, `LockTimeoutError`, `LockLostError`; the lock is then shared as before. With `RoomLeftError` when the handle is
   * left: the lock is then released. Does nothing to an exclusive lock.
   */
  upgrade(options?: WaitOptions): Promise<void>
  /** Makes an exclusive lock shared and lets other shared requests in; it keeps its token. An `upgrade` that waits ends with `AbortError`. */
  downgrade(): Promise<void>
  /** Gives the lock back; resolves when the room has agreed. Does nothing the second time, or when the lock is lost. */
  release(): Promise<void>
}

export interface Grant {
  readonly name: string
  readonly mode: LockMode
  readonly lease: number
  readonly token: number
  readonly handle: number
  /** Cluster time at which `maxHold` ends it, or null. */
  readonly endsAt: number | null
}

/** The request behind a lock. */
export interface LockSource {
  /** The lock has ended: null for a release, the error for a loss. Told once, before anything is sent. */
  ended(lock: HeldLock, loss: LockLostError | null): void
  /** Tells the room of a release. */
  giveBack(lock: HeldLock): Promise<unknown>
}

export class HeldLock implements Lock {
  readonly #connection: RoomConnection
  readonly #grant: Grant
  readonly #source: LockSource
  readonly #controller = new AbortController()
  readonly #revoking = new AbortController()
  readonly #since: number
  #mode: LockMode
  #token: number
  #endsAt: number | null
  /** Of a revoke, as far as the room has agreed on it. */
  #graceEndsAt: number | null = null
  #isRevoked = false
  #isRevokeTold = false
  #phase: 'mine' | 'lost' | 'released' = 'mine'
  #reason: LockLossReason = 'expired'
  #released: Promise<void> | null = null
  #upgrade: { readonly fail: (error: unknown) => void } | null = null

  constructor(connection: RoomConnection, grant: Grant, source: LockSource) {
    this.#connection = connection
    this.#grant = grant
    this.#source = source
    this.#since = connection.meter.now()
    this.#mode = grant.mode
    this.#token = grant.token
    this.#endsAt = grant.endsAt
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
    return this.#mode
  }

  get token(): number {
    return this.#token
  }

  get state(): 'held' | 'unsure' | 'lost' | 'released' {
    if (this.#phase !== 'mine') return this.#phase
    return this.#connection.isCertain(this.#grant.lease, this.#endsAt) ? 'held' : 'unsure'
  }

  get signal(): AbortSignal {
    return this.#controller.signal
  }

  get revoking(): AbortSignal {
    return this.#revoking.signal
  }

  get deadline(): number {
    return this.#connection.deadline(this.#grant.lease, this.#endsAt)
  }

  assertHeld(): void {
    if (this.state === 'held') return
    this.#mustBeMine()
    throw new LockLostError(this.name, this.#doubt)
  }

  async verify(): Promise<void> {
    this.#mustBeMine()
    const before = this.#token
    const { held } = await this.#connection.call({ type: 'lock.query' })
    const { name, handle } = this.#grant
    const record = held.find((one) => one.handle === handle && one.name === name)
    // An upgrade or a downgrade may have been under way.
    const isMine = record?.token === before || record?.token === this.#token
    if (record && isMine && (record.mode === 'exclusive' || this.#mode === 'shared')) return
    // Its own release may have come first.
    this.#mustBeMine()
    throw new LockLostError(name, this.#doubt)
  }

  async upgrade(options?: WaitOptions): Promise<void> {
    const checked = checkWait(options)
    this.#mustBeMine()
    checked.signal?.throwIfAborted()
    if (this.#upgrade) throw invalid(`the lock ${JSON.stringify(this.name)} is being upgraded already`)
    if (this.#mode === 'exclusive') return
    await new Promise<void>((resolve, reject) => this.#askForUpgrade(checked, resolve, reject))
  }

  async downgrade(): Promise<void> {
    this.#mustBeMine()
    const before = this.#mode
    if (before === 'shared' && !this.#upgrade) return
    this.#upgrade?.fail(new DOMException('the upgrade was withdrawn by downgrade()', 'AbortError'))
    // From the very call on: others may be let in before the answer comes.
    this.#mode = 'shared'
    try {
      await this.#askForShared()
    } catch (error) {
      if (!isUnknown(error)) this.#mode = before
      throw this.#refusal(error)
    }
  }

  release(): Promise<void> {
    if (this.#phase === 'lost') return Promise.resolve()
    this.#released ??= this.#giveBack()
    return this.#released
  }

  /** The handle is left, and a release follows: an upgrade that waits hears of it as requests do. */
  leave(): void {
    this.#upgrade?.fail(new RoomLeftError())
  }

  /** The room, or the page's end, has taken it. */
  lose(reason: LockLoss | 'left' | 'reset'): void {
    if (this.#phase !== 'mine') return
    this.#reason = reason === 'expired' ? this.#doubt : reason
    this.#phase = 'lost'
    const error = new LockLostError(this.name, this.#reason)
    this.#connection.meter.ended(this, this.#since, this.#reason)
    this.#upgrade?.fail(error)
    this.#source.ended(this, error)
    this.#controller.abort(error)
  }

  /** Somebody asked for it back. `endsAt`: null while the room has not agreed on when: no grace can be named then. */
  revoke(endsAt: number | null): void {
    if (this.#phase !== 'mine') return
    if (!this.#isRevoked) this.#connection.meter.count(this.name, 'revocations')
    this.#isRevoked = true
    if (endsAt === null) return
    // The room has the last word: at first the least that is left, and what it is once it knows that this page has heard (S-7).
    this.#graceEndsAt = endsAt
    this.#endsAt = Math.min(this.#grant.endsAt ?? endsAt, endsAt)
    const grace = this.#connection.remaining(this.#endsAt)
    const isFirst = !this.#isRevokeTold
    this.#isRevokeTold = true
    // A page that was blocked hears of the least when that is over: its grace is still to come.
    if (isFirst && grace === 0) return
    const message = `the lock ${JSON.stringify(this.name)} was asked back: it is lost in ${grace} ms`
    if (!this.#revoking.signal.aborted) this.#revoking.abort(new LockRevokedError(message, grace))
  }

  /** Why it is not certain, as far as this page can tell. */
  get #doubt(): LockLossReason {
    if (this.#endsAt === null || !this.#connection.isCertain(this.#grant.lease)) return this.#connection.silence
    // Asked back, it may still have come to its own end first.
    return this.#graceEndsAt === this.#endsAt ? 'revoked' : 'expired'
  }

  #mustBeMine(): void {
    if (this.#phase === 'released') throw invalid(`the lock ${JSON.stringify(this.name)} was released`)
    if (this.#phase === 'lost') throw new LockLostError(this.name, this.#reason)
  }

  #askForUpgrade(bounds: WaitOptions, resolve: () => void, reject: (error: unknown) => void): void {
    const { name, handle, lease } = this.#grant
    const { meter } = this.#connection
    const askedAt = meter.now()
    let stopWaiting = () => {}
    const end = (settle: () => void) => {
      if (this.#upgrade !== upgrade) return
      this.#upgrade = null
      stopWaiting()
      settle()
    }
    const upgrade = { fail: (error: unknown) => end(() => reject(error)) }
    const giveUp = (error: unknown) => {
      this.#mode = 'shared'
      this.#askForShared().catch(() => {})
      upgrade.fail(error)
    }
    this.#upgrade = upgrade
    const late = (timeout: number) => {
      meter.count(name, 'timeouts')
      return new LockTimeoutError(name, timeout)
    }
    stopWaiting = boundWait(this.#connection, bounds, late, giveUp)
    const granted = () =>
      end(() => {
        meter.granted(this, askedAt)
        resolve()
      })
    this.#connection.call({ type: 'lock.upgrade', handle, name }).then(
      ({ token }) => {
        if (this.#phase !== 'mine') return
        // Also when it was given up meanwhile: the downgrade behind it keeps this token (T2).
        this.#token = token
        if (this.#upgrade !== upgrade) return
        this.#mode = 'exclusive'
        this.#connection.whenCertain(lease, granted)
      },
      (error: unknown) => end(() => reject(this.#refusal(error))),
    )
  }

  /** The room may have granted an upgrade just before, of which this page hears nothing any more: its token stays (T2). */
  async #askForShared(): Promise<void> {
    const { name, handle } = this.#grant
    const { token } = await this.#connection.call({ type: 'lock.downgrade', handle, name })
    if (this.#phase === 'mine') this.#token = token
  }

  #refusal(error: unknown): unknown {
    if (this.#phase === 'lost') return new LockLostError(this.name, this.#reason)
    if (!(error instanceof ComityError)) return error
    if (error.code === 'deadlock') this.#connection.meter.count(this.name, 'deadlocks')
    // The host has taken it already: word of it is on its way.
    return error.code === 'lock-lost' ? new LockLostError(this.name, this.#doubt) : error
  }

  async #giveBack(): Promise<void> {
    this.#phase = 'released'
    this.#connection.meter.ended(this, this.#since, null)
    this.#upgrade?.fail(invalid(`the lock ${JSON.stringify(this.name)} was released`))
    this.#source.ended(this, null)
    try {
      await this.#source.giveBack(this)
    } catch (error) {
      // With the peer gone, or its session ended, the room has let the lock go as well.
      if (this.#connection.ended || isUnknown(error)) return
      throw error
    }
  }
}

function invalid(message: string): DOMException {
  return new DOMException(message, 'InvalidStateError')
}

function isUnknown(error: unknown): boolean {
  return error instanceof ComityError && error.code === 'outcome-unknown'
}
