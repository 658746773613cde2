/** Locks as a user interface shows them: local, and as fresh as this peer's log. */
import type { LockRecord } from '../host/page.js'
import type { Value } from '../shared/value.js'
import type { RoomConnection } from './connection.js'
import type { LockMode } from './lock.js'
import { attributesOf } from './lock-info.js'
import { type Observable, ObservableValue } from './observable.js'

/** One lock as a user interface shows it. */
export interface LockObservation {
  /** The peer that holds it (the first, when it is shared), or null. */
  readonly holder: string | null
  readonly mode: LockMode | null
  /** The peers that wait, in the order of the queue. */
  readonly waiters: readonly string[]
  /** What this page has of it. `held` and `unsure` are judged at each read, as `lock.state` is. */
  readonly mine: 'none' | 'waiting' | 'held' | 'unsure'
  /** The holder's. */
  readonly attributes: Value
}

const nobody: LockObservation = { holder: null, mode: null, waiters: [], mine: 'none', attributes: undefined }

export class LockObservations {
  readonly #connection: RoomConnection
  readonly #observed = new Map<
    string,
    { readonly value: ObservableValue<LockObservation>; readonly stop: () => void }
  >()
  #left = false

  constructor(connection: RoomConnection) {
    this.#connection = connection
  }

  observe(lockName: string): Observable<LockObservation> {
    const known = this.#observed.get(lockName)
    if (known) return known.value
    const value = new ObservableValue<LockObservation>(nobody)
    if (this.#left) {
      value.end()
      return value
    }
    const stop = this.#connection.watch({ type: 'lock', name: lockName }, (watched) => {
      if (watched.type === 'lock') value.set(this.#observation(watched.holders, watched.waiters))
    })
    this.#observed.set(lockName, { value, stop })
    return value
  }

  leave(): void {
    this.#left = true
    for (const { value, stop } of this.#observed.values()) {
      stop()
      value.end()
    }
  }

  #observation(holders: readonly LockRecord[], waiters: readonly LockRecord[]): LockObservation {
    const first = holders[0]
    // Whoever has it exclusively may share it with itself besides.
    const isExclusive = holders.some(({ mode }) => mode === 'exclusive')
    const mine = () => this.#mine(holders, waiters)
    return {
      holder: first?.peerId ?? null,
      mode: isExclusive ? 'exclusive' : (first?.mode ?? null),
      waiters: waiters.map(({ peerId }) => peerId),
      get mine() {
        return mine()
      },
      attributes: attributesOf(first),
    }
  }

  #mine(holders: readonly LockRecord[], waiters: readonly LockRecord[]): LockObservation['mine'] {
    const own = holders.flatMap(({ name, handle }) => (handle === null ? [] : [{ name, handle }]))
    if (own.length > 0)
      return own.some(({ name, handle }) => this.#connection.surelyHas(handle, name)) ? 'held' : 'unsure'
    return waiters.some(({ handle }) => handle !== null) ? 'waiting' : 'none'
  }
}
