/**
 * A host's side of locks and permits for the tests of the client: the real session, requests and machine, and between page and host two
 * queues. What is told keeps its order; an answer comes after what was told before it, and maybe later than what was told after it.
 */
import type { HostPort } from '../bridge/protocol.js'
import { OwnSession } from '../host/own-session.js'
import type { Answers, Call, CallType, HostEvent, Reply } from '../host/page.js'
import { PageLocks } from '../host/page-locks.js'
import { PagePermits } from '../host/page-permits.js'
import { TestContext } from '../host/test-context.js'
import { decodeMachine, encodeMachine } from '../machine/machine.js'
import type { Applied } from '../machine/outcome.js'
import { findSessionOfPeer } from '../machine/session/view.js'
import type { Script } from '../machine/test-script.js'
import type { Instant } from '../shared/instant.js'

type Answer<T extends CallType> = (reply: Reply<Answers[T]>) => void

export class PageHost implements HostPort {
  readonly context: TestContext
  readonly session: OwnSession
  readonly #locks: PageLocks
  readonly #permits: PagePermits
  readonly #events: (() => void)[] = []
  readonly #answers: { readonly after: number; readonly run: () => void }[] = []
  #posted = 0
  #told = 0
  /** It hears nothing of the log, until a snapshot. */
  lags = false
  #isOver = false
  onevent: ((event: HostEvent) => void) | null = null

  /** `life`: the how many-th of this page's. */
  constructor(script: Script, life: number) {
    this.context = new TestContext(script)
    Object.assign(this.context.self, { incarnation: { counter: life, nonce: `nonce ${life}` } })
    this.context.emit = (event) => this.#post(() => this.onevent?.(structuredClone(event)))
    this.session = new OwnSession(this.context, {
      ...{ pendingMax: () => 128, state: null, tokenFloor: 0, opened: () => {} },
      ended: () => {
        this.#locks.sessionEnded()
        this.#permits.sessionEnded()
      },
    })
    this.#locks = new PageLocks(this.context, this.session, (run) =>
      this.#post(() =>
        queueMicrotask(() => {
          if (!this.#isOver) run()
        }),
      ),
    )
    this.#permits = new PagePermits(this.context, this.session)
    this.session.open()
  }

  call<T extends CallType>(call: Extract<Call, { type: T }>): Promise<Reply<Answers[T]>> {
    return new Promise((resolve) => {
      const reply: Answer<T> = (reply) =>
        this.#answers.push({ after: this.#posted, run: () => resolve(structuredClone(reply)) })
      if (!this.#isOver) this.#take(call, reply as (reply: Reply<never>) => void)
    })
  }

  #take(call: Call, reply: (reply: Reply<never>) => void): void {
    if (call.type === 'lock.request') this.#locks.request(call, reply as Answer<'lock.request'>)
    else if (call.type === 'lock.release')
      this.#locks.release(call.handle, call.name ?? null, reply as Answer<'lock.release'>)
    else if (call.type === 'lock.upgrade') this.#locks.upgrade(call.handle, call.name, reply as Answer<'lock.upgrade'>)
    else if (call.type === 'lock.downgrade')
      this.#locks.downgrade(call.handle, call.name, reply as Answer<'lock.downgrade'>)
    else if (call.type === 'semaphore.acquire') this.#permits.acquire(call, reply as Answer<'semaphore.acquire'>)
    else if (call.type === 'semaphore.release') this.#permits.release(call.handle, reply as Answer<'semaphore.release'>)
    else throw new Error(`a call of ${call.type}`)
  }

  notice(): void {}

  close(): void {
    this.#isOver = true
  }

  applied(applied: Applied): void {
    if (this.lags || this.#isOver) return
    this.#locks.happened(applied.events)
    this.#permits.happened(applied.events)
    this.session.applied(applied)
  }

  /** S-10: by a snapshot. */
  catchUp(): void {
    if (!this.lags) return
    this.lags = false
    const { script, self } = this.context
    script.state = decodeMachine(encodeMachine(script.state))
    this.session.reconcile(findSessionOfPeer(this.context.machine, self.peerId))
    this.#locks.reconcile()
    this.#permits.reconcile()
  }

  /** An echo of what the page said at that time. */
  hear(sentAt: Instant): void {
    const { id } = this.session
    if (id === null || this.lags) return
    this.context.emit({ type: 'heard', session: id, sentAt, clusterTime: this.context.script.time })
  }

  /** So many of each arrive. */
  async deliver(events: number, answers: number): Promise<void> {
    for (let i = 0; i < events && this.#events.length > 0; i += 1) {
      this.#told += 1
      this.#events.shift()?.()
      await settled()
    }
    for (let i = 0; i < answers && (this.#answers[0]?.after ?? Number.POSITIVE_INFINITY) <= this.#told; i += 1) {
      this.#answers.shift()?.run()
      await settled()
    }
  }

  #post(run: () => void): void {
    this.#posted += 1
    this.#events.push(run)
  }
}

/** What promises set going has happened, as far as it needs no timer. */
export async function settled(): Promise<void> {
  for (let i = 0; i < 12; i += 1) await null
}
