import type { Answers, LockLoss } from '../host/page.js'
import type { GrantListener, RoomConnection } from './connection.js'
import type { LockLostError } from './errors.js'
import { HeldLock, type LockMode } from './lock.js'

export interface RequestParameters {
  readonly name: string
  readonly mode: LockMode
  readonly ifAvailable: boolean
  readonly steal: boolean
  readonly lease: number
  readonly attributes: Uint8Array | null
}

export interface RequestListener {
  /** The lock is certainly held; null when it was not available. Once, unless `failed` comes instead. */
  granted(lock: HeldLock | null): void
  failed(error: unknown): void
  /** After `granted`: the lock has ended, by a release (null) or a loss. */
  ended(loss: LockLostError | null): void
}

/** One request from its first word to its end: asked, queued, granted, certain, given back. */
export class LockRequest implements GrantListener {
  readonly #connection: RoomConnection
  readonly #parameters: RequestParameters
  readonly #listener: RequestListener
  #handle: number
  /** Answers to an earlier asking are void: the lock that they speak of is gone. */
  #asked = 0
  #phase: 'waiting' | 'granted' | 'ended' = 'waiting'
  #lock: HeldLock | null = null

  constructor(connection: RoomConnection, parameters: RequestParameters, listener: RequestListener) {
    this.#connection = connection
    this.#parameters = parameters
    this.#listener = listener
    this.#handle = connection.expectGrant(this)
    if (connection.attached) this.#ask()
  }

  /** Leaves the queue, or gives back what was granted meanwhile (S-9). Nothing is told any more. */
  cancel(): void {
    if (this.#phase === 'ended') return
    this.#phase = 'ended'
    if (this.#lock) void this.#lock.release().catch(() => {})
    else this.#withdraw()
  }

  granted({ token }: { readonly token: number }): void {
    if (this.#phase !== 'waiting') return
    this.#phase = 'granted'
    this.#connection.holds(this.#handle, this.#parameters.name)
    // An earlier grant may have been taken back before it was certain.
    const asked = this.#asked
    this.#connection.whenCertain(this.#parameters.lease, () => {
      if (this.#asked === asked) this.#deliver(token)
    })
  }

  lost(reason: LockLoss | 'left' | 'reset'): void {
    if (this.#phase === 'ended') return
    if (this.#lock) {
      this.#phase = 'ended'
      this.#lock.lose(reason)
    } else if (this.#connection.ended) {
      this.#phase = 'ended'
      this.#listener.failed(this.#connection.ended)
    } else if (reason === 'stolen') {
      // As in W3C, and a thief that asked again would rob whoever robbed it.
      this.#phase = 'ended'
      this.#listener.failed(stolenError())
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

  #ask(): void {
    this.#asked += 1
    const asked = this.#asked
    this.#connection.call({ type: 'lock.request', handle: this.#handle, ...this.#parameters }).then(
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
    if (answer.state === 'unavailable') this.unavailable()
  }

  unavailable(): void {
    if (this.#phase !== 'waiting') return
    this.#phase = 'ended'
    this.#connection.forget(this.#handle)
    this.#listener.granted(null)
  }

  refused(error: unknown): void {
    if (this.#phase !== 'waiting') return
    this.#phase = 'ended'
    this.#connection.forget(this.#handle)
    this.#listener.failed(error)
  }

  #deliver(token: number): void {
    if (this.#phase !== 'granted' || this.#lock) return
    const { name, mode, lease } = this.#parameters
    const grant = { name, mode, lease, token, handle: this.#handle }
    this.#lock = new HeldLock(this.#connection, grant, (loss) => {
      this.#phase = 'ended'
      this.#listener.ended(loss)
    })
    this.#listener.granted(this.#lock)
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
