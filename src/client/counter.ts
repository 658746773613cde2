import type { Answers, Call } from '../host/page.js'
import { counterNameMax } from '../machine/counter/limits.js'
import { checkInteger, checkText } from './arguments.js'
import type { RoomConnection } from './connection.js'
import { RoomLeftError } from './errors.js'
import { ask, type WhenNoQuorum } from './wait.js'

/**
 * A whole number that the peers of a room share; linearizable. It begins at 0, belongs to nobody, and never expires; at 0 it costs nothing.
 * A room has up to 1,024 that are not at 0 (`LimitExceededError`).
 */
export interface Counter {
  readonly name: string
  /**
   * Adds a whole number, default 1, and resolves with the sum: once, however often the network makes this peer ask. `OutcomeUnknownError` when
   * this peer's session has ended before the answer came, or with `whenNoQuorum: 'reject'` the quorum has gone. Rejects with `RangeError`, and
   * changes nothing, if the sum were no safe integer.
   */
  add(n?: number): Promise<number>
  /** As of some moment during the call. */
  get(): Promise<number>
  /** Sets it to `next` if it is `expected`, in one step; resolves with whether it did. */
  compareAndSet(expected: number, next: number): Promise<boolean>
}

export class RoomCounters {
  readonly #connection: RoomConnection
  readonly #whenNoQuorum: WhenNoQuorum
  #left = false

  constructor(connection: RoomConnection, whenNoQuorum: WhenNoQuorum = 'wait') {
    this.#connection = connection
    this.#whenNoQuorum = whenNoQuorum
  }

  get(name: unknown): Counter {
    return new RoomCounter(this, checkText(name, 'name', 'counterName', counterNameMax))
  }

  leave(): void {
    this.#left = true
  }

  async ask<T extends CounterCall>(call: Extract<Call, { type: T }>): Promise<Answers[T]> {
    if (this.#left) throw new RoomLeftError()
    return ask(this.#connection, this.#whenNoQuorum, call)
  }
}

type CounterCall = 'counter.add' | 'counter.compareAndSet' | 'counter.get'

class RoomCounter implements Counter {
  readonly name: string
  readonly #room: RoomCounters

  constructor(room: RoomCounters, name: string) {
    this.#room = room
    this.name = name
  }

  async add(n: number = 1): Promise<number> {
    const by = checkInteger(n, 'n')
    const { value, overflowed } = await this.#room.ask({ type: 'counter.add', name: this.name, by })
    if (!overflowed) return value
    throw new RangeError(`n: the counter is at ${value}, and adding ${by} would leave the safe integers`)
  }

  async compareAndSet(expected: number, next: number): Promise<boolean> {
    const values = { expected: checkInteger(expected, 'expected'), next: checkInteger(next, 'next') }
    const { swapped } = await this.#room.ask({ type: 'counter.compareAndSet', name: this.name, ...values })
    return swapped
  }

  async get(): Promise<number> {
    return this.#room.ask({ type: 'counter.get', name: this.name })
  }
}
