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
  /** What this page has of it. */
  readonly mine: 'none' | 'waiting' | 'held' | 'unsure'
  /** The holder's. */
  readonly attributes: Value
}

const nobody: LockObservation = { holder: null, mode: null, waiters: [], mine: 'none', attributes: undefined }

export class LockObservations {
  readonly #connection: RoomConnection
  readonly #lease: () => number
  readonly #observed = new Map<
    string,
    { readonly value: ObservableValue<LockObservation>; readonly stop: () => void }
  >()
  #left = false

  /** `lease`: what locks of the room have that ask for none. */
  constructor(connection: RoomConnection, lease: () => number) {
    this.#connection = connection
    this.#lease = lease
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
    return {
      holder: first?.peerId ?? null,
      mode: first?.mode ?? null,
      waiters: waiters.map(({ peerId }) => peerId),
      mine: this.#mine(holders, waiters),
      attributes: attributesOf(first),
    }
  }

  #mine(holders: readonly LockRecord[], waiters: readonly LockRecord[]): LockObservation['mine'] {
    const own = holders.filter(({ handle }) => handle !== null)
    if (own.length > 0) {
      return own.some(({ endsAt }) => this.#connection.isCertain(this.#lease(), endsAt)) ? 'held' : 'unsure'
    }
    return waiters.some(({ handle }) => handle !== null) ? 'waiting' : 'none'
  }
}
