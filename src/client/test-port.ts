/** The far side of a page for the tests of the client: a host that answers as the test says, and a clock that it sets. */
import type { HostPort } from '../bridge/protocol.js'
import type { Answers, Call, CallType, HostEvent, Notice, Reply } from '../host/page.js'
import type { Clock, Instant, Timer } from '../shared/instant.js'

export class TestClock implements Clock {
  monotonic = 1_000
  wall = 1_000_000
  readonly #timers = new Map<object, { readonly at: number; readonly run: () => void }>()

  now(): Instant {
    return { monotonic: this.monotonic, wall: this.wall }
  }

  after(ms: number, run: () => void): Timer {
    const timer = { cancel: () => void this.#timers.delete(timer) }
    this.#timers.set(timer, { at: this.monotonic + ms, run })
    return timer
  }

  get timers(): number {
    return this.#timers.size
  }

  pass(ms: number, wallMs = ms): void {
    this.monotonic += ms
    this.wall += wallMs
    for (const [timer, { at, run }] of [...this.#timers]) {
      if (at > this.monotonic) continue
      this.#timers.delete(timer)
      run()
    }
  }
}

/** What a lock record says of a plain request, besides who and what. */
export const plainRecord = {
  owner: null,
  scope: 'exact',
  priority: 0,
  endsAt: null,
  revoked: false,
  upgrading: false,
} as const

interface Asked {
  readonly call: Call
  readonly reply: (reply: Reply<never>) => void
}

export class TestPort implements HostPort {
  readonly asked: Asked[] = []
  readonly notices: Notice[] = []
  onevent: ((event: HostEvent) => void) | null = null
  isClosed = false

  call<T extends CallType>(call: Extract<Call, { type: T }>): Promise<Reply<Answers[T]>> {
    return new Promise((resolve) => {
      this.asked.push({ call: call as Call, reply: resolve as (reply: Reply<never>) => void })
    })
  }

  notice(notice: Notice): void {
    this.notices.push(notice)
  }

  close(): void {
    this.isClosed = true
  }

  tell(event: HostEvent): void {
    this.onevent?.(event)
  }

  /** An echo: the page was heard at that time. */
  hear(sentAt: Instant, session = 1, clusterTime = 0): void {
    this.tell({ type: 'heard', session, sentAt, clusterTime })
  }

  /** The calls of that type which have not been answered. */
  calls<T extends CallType>(type: T): Extract<Call, { type: T }>[] {
    return this.asked.flatMap(({ call }) => (call.type === type ? [call as Extract<Call, { type: T }>] : []))
  }

  /** Answers the oldest call of that type. */
  async answer<T extends CallType>(type: T, value: Answers[T]): Promise<void> {
    this.#take(type).reply({ ok: true, value: value as never })
    await quiet()
  }

  async refuse(type: CallType, failure: Extract<Reply<never>, { ok: false }>['failure']): Promise<void> {
    this.#take(type).reply({ ok: false, failure })
    await quiet()
  }

  #take(type: CallType): Asked {
    const at = this.asked.findIndex(({ call }) => call.type === type)
    const [asked] = at < 0 ? [] : this.asked.splice(at, 1)
    if (!asked) throw new Error(`nobody has asked for ${type}`)
    return asked
  }
}

/** Everything that promises set going has happened. */
export function quiet(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve))
}
