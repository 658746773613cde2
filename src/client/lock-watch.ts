/** Grants and ends of locks for bystanders: in order, without a gap, and never skipped in silence. */
import type { LockEventRecord } from '../host/page.js'
import type { RoomConnection } from './connection.js'
import { LimitExceededError, type LockLossReason } from './errors.js'
import type { LockMode } from './lock.js'

/** One thing that happened to one hold of a lock, in the order of the room's log. */
export interface LockEvent {
  /**
   * `granted`: also when its owner re-entered, under the token that it had. `released`: by its holder, in an orderly way. `lost`: in any other way, which
   * `reason` names.
   */
  readonly type: 'granted' | 'released' | 'lost' | 'upgraded' | 'downgraded'
  readonly name: string
  /** The holder's peer. */
  readonly clientId: string
  /** From now on; of one that ended: the last. */
  readonly mode: LockMode
  readonly token: number
  /** Cluster time, ms. */
  readonly at: number
  readonly reason?: LockLossReason
  /**
   * Not seen as it happened: what is held when the watch begins, or what has changed while this peer had no part in the room. How a lock
   * ended is not always known then: `released` says only that it ended.
   */
  readonly resync?: true
}

/** Events that wait to be taken from one iterator. */
const bufferMax = 10_000

interface Taker {
  readonly resolve: (result: IteratorResult<LockEvent, undefined>) => void
  readonly reject: (error: unknown) => void
}

/** One iteration: told from its first moment on, whether or not somebody takes the events at once. */
export class LockWatch implements AsyncIterableIterator<LockEvent, undefined> {
  readonly #stop: () => void
  readonly #onEnd: () => void
  #buffer: LockEvent[] = []
  #takers: Taker[] = []
  /** No further events come: it ends, or with an error, once the buffer is empty. */
  #end: { readonly error: unknown } | null = null
  /** What the iteration was told and not yet told the end of. */
  #holds: LockEvent[] = []
  /** The next batch is all that is held, as another host sees it. */
  #isRestarted = false

  constructor(connection: RoomConnection, prefix: string, onEnd: () => void) {
    this.#onEnd = onEnd
    const stopWatch = connection.watch(
      { type: 'locks', prefix },
      (watched) => {
        if (watched.type === 'locks') this.#tell(watched.events, watched.resync)
      },
      () => {
        this.#isRestarted = true
      },
    )
    const stopListening = connection.listen({
      ended: (error) => this.end(error.code === 'room-left' ? undefined : error),
    })
    this.#stop = () => {
      stopWatch()
      stopListening()
    }
    if (connection.ended) this.end(connection.ended.code === 'room-left' ? undefined : connection.ended)
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  next(): Promise<IteratorResult<LockEvent, undefined>> {
    const event = this.#buffer.shift()
    if (event) return Promise.resolve({ done: false, value: event })
    if (!this.#end) return new Promise((resolve, reject) => this.#takers.push({ resolve, reject }))
    const { error } = this.#end
    // An error is thrown once, as a generator does.
    this.#end = { error: undefined }
    return error === undefined ? Promise.resolve({ done: true, value: undefined }) : Promise.reject(error)
  }

  return(): Promise<IteratorResult<LockEvent, undefined>> {
    this.#buffer = []
    this.end(undefined)
    this.#end = { error: undefined }
    return Promise.resolve({ done: true, value: undefined })
  }

  /** `error`: why, or undefined for an orderly end. What was told is taken first. */
  end(error: unknown): void {
    if (this.#end) return
    this.#end = { error }
    this.#holds = []
    this.#stop()
    this.#onEnd()
    const [first, ...others] = this.#takers
    this.#takers = []
    if (error === undefined) first?.resolve({ done: true, value: undefined })
    else if (first) {
      this.#end = { error: undefined }
      first.reject(error)
    }
    for (const { resolve } of others) resolve({ done: true, value: undefined })
  }

  #tell(records: readonly LockEventRecord[], resync: boolean): void {
    const isRestarted = this.#isRestarted
    this.#isRestarted = false
    if (!isRestarted) for (const record of records) this.#push(eventOf(record, resync), record.before)
    else for (const event of this.#difference(records.map((record) => eventOf(record, resync)))) this.#push(event)
  }

  /** `before`: as it was, of a hold that changes. */
  #push(event: LockEvent, before?: LockEventRecord['before']): void {
    if (this.#end) return
    this.#remember(event, before)
    const taker = this.#takers.shift()
    if (taker) taker.resolve({ done: false, value: event })
    else if (this.#buffer.length < bufferMax) this.#buffer.push(event)
    else
      this.end(new LimitExceededError(`more than ${bufferMax} lock events wait to be taken`, 'lockEvents', bufferMax))
  }

  /** What another host sees, as what it differs by from what was told. */
  #difference(held: readonly LockEvent[]): LockEvent[] {
    const gone = [...this.#holds]
    const taken = held.filter((event) => {
      const at = gone.findIndex((hold) => isSame(hold, event))
      if (at >= 0) gone.splice(at, 1)
      return at < 0
    })
    const at = held.at(-1)?.at ?? 0
    return [
      ...gone.map((hold): LockEvent => ({ ...hold, type: 'released', at: Math.max(at, hold.at), resync: true })),
      ...taken,
    ]
  }

  #remember(event: LockEvent, before?: LockEventRecord['before']): void {
    const was = { ...event, ...before }
    const at = event.type === 'granted' ? -1 : this.#holds.findIndex((hold) => isSame(hold, was))
    if (at >= 0) this.#holds.splice(at, 1)
    if (event.type !== 'released' && event.type !== 'lost') this.#holds.push(event)
  }
}

function isSame(hold: LockEvent, event: LockEvent): boolean {
  const { name, clientId, mode, token } = event
  return hold.name === name && hold.clientId === clientId && hold.mode === mode && hold.token === token
}

function eventOf({ what, name, peerId, mode, token, how, at }: LockEventRecord, resync: boolean): LockEvent {
  const common = { name, clientId: peerId, mode, token, at, ...(resync && ({ resync } as const)) }
  if (what === 'taken') {
    return { type: how === 'upgraded' || how === 'downgraded' ? how : 'granted', ...common }
  }
  if (how === 'expired' || how === 'stolen' || how === 'left' || how === 'revoked') {
    return { type: 'lost', ...common, reason: how }
  }
  return { type: 'released', ...common }
}
