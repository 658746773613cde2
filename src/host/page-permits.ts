/** The requests of this peer's page for permits: which command stands for each, and what the page has been told of it. */

import type { MachineEvent, Outcome } from '../machine/outcome.js'
import { tooManyPermits } from '../machine/semaphore/apply.js'
import { permitState } from '../machine/semaphore/view.js'
import type { Failure } from '../shared/failure.js'
import type { HostContext } from './context.js'
import type { OwnSession } from './own-session.js'
import type { Answers, Call, LockHandle, LockLoss, Reply } from './page.js'

type AcquireCall = Extract<Call, { type: 'semaphore.acquire' }>
type AcquireReply = Reply<Answers['semaphore.acquire']>

interface Request {
  readonly call: AcquireCall
  /** The number of its command in the present session. */
  number: number | null
  state: 'asked' | 'queued' | 'held'
  readonly settle: (result: Outcome | Failure) => void
}

export class PagePermits {
  readonly #context: HostContext
  readonly #session: OwnSession
  readonly #requests = new Map<LockHandle, Request>()
  readonly #handles = new Map<number, LockHandle>()

  constructor(context: HostContext, session: OwnSession) {
    this.#context = context
    this.#session = session
  }

  acquire(call: AcquireCall, reply: (reply: AcquireReply) => void): void {
    let answered = false
    const settle = (result: Outcome | Failure) => {
      // Null: its page has let go of it, so this says nothing any more; but a call is answered.
      const told = this.#settled(call.handle, result)
      if (!answered) reply(told ?? { ok: true, value: { state: 'unavailable' } })
      // A request that is made again in a later session has had its answer: the page then hears events only.
      else if (told) this.#tell(call.handle, told)
      answered = true
    }
    this.#requests.set(call.handle, { call, number: null, state: 'asked', settle })
    this.#submit(call.handle)
  }

  release(handle: LockHandle, reply: (reply: Reply<null>) => void): void {
    const request = this.#requests.get(handle)
    const done = () => reply({ ok: true, value: null })
    if (!request) {
      done()
      return
    }
    this.#forget(handle)
    if (request.number === null) {
      if (this.#session.withdraw(request.settle)) request.settle({ type: 'semaphore.unavailable' })
      done()
      return
    }
    this.#session.submit({ type: 'semaphore.release', request: request.number }, { exempt: true, settle: done })
  }

  /** The page's handle of the request with that number, if it is one for permits. */
  handleOf(number: number): LockHandle | null {
    return this.#handles.get(number) ?? null
  }

  shortestLease(): number | null {
    let shortest: number | null = null
    for (const { call } of this.#requests.values())
      if (shortest === null || call.lease < shortest) shortest = call.lease
    return shortest
  }

  happened(events: readonly MachineEvent[]): void {
    for (const event of events) {
      if (!('session' in event) || event.session !== this.#session.id) continue
      if (event.type === 'semaphore.granted') this.#granted(event.request, event)
      else if (event.type === 'semaphore.lost') this.#lost(event.request, event.reason)
      else if (event.type === 'semaphore.refused')
        this.#refused(event.request, tooManyPermits(event.name, event.count, event.size))
    }
  }

  /** All that the session held has ended with it; what waited is asked for again, and keeps no place. */
  sessionEnded(): void {
    this.#handles.clear()
    for (const [handle, request] of [...this.#requests]) {
      const { state } = request
      request.number = null
      if (state === 'held') this.#lose(handle, 'expired')
      else if (state === 'queued') this.#askAgain(handle, request)
    }
  }

  /** S-10: what happened to these requests inside a snapshot. One that a `resize` has refused is refused when it asks again. */
  reconcile(): void {
    const session = this.#session.id
    if (session === null) return
    for (const [handle, request] of [...this.#requests]) {
      if (request.number === null || request.state === 'asked') continue
      const now = permitState(this.#context.machine, session, request.number)
      if (now.type === 'held' && request.state === 'queued') this.#granted(request.number, now)
      else if (now.type === 'gone' && request.state === 'held') this.#lose(handle, 'expired')
      else if (now.type === 'gone') this.#askAgain(handle, request)
    }
  }

  #askAgain(handle: LockHandle, request: Request): void {
    request.state = 'asked'
    // The number was that of what it asked before: whoever cancels it before it has another takes it back unsent.
    if (request.number !== null) this.#handles.delete(request.number)
    request.number = null
    this.#submit(handle)
  }

  #submit(handle: LockHandle): void {
    const request = this.#requests.get(handle)
    if (!request) return
    const { handle: _, ...command } = request.call
    this.#session.submit(command, {
      // What waits for permits is bounded by the room, which answers for itself.
      exempt: true,
      numbered: (number) => this.#numbered(handle, number),
      wanted: () => this.#requests.get(handle) === request,
      settle: request.settle,
    })
  }

  #numbered(handle: LockHandle, number: number): void {
    const request = this.#requests.get(handle)
    if (!request) return
    if (request.number !== null) this.#handles.delete(request.number)
    request.number = number
    this.#handles.set(number, handle)
  }

  /** What the page is to be told, or null when it has let go of the request meanwhile. */
  #settled(handle: LockHandle, result: Outcome | Failure): AcquireReply | null {
    const request = this.#requests.get(handle)
    if (!request) return null
    if (!('type' in result)) return this.#refuse(handle, result)
    switch (result.type) {
      case 'semaphore.granted':
        request.state = 'held'
        return { ok: true, value: { state: 'granted', token: result.token, since: result.since } }
      case 'semaphore.queued':
        request.state = 'queued'
        return { ok: true, value: { state: 'queued' } }
      case 'semaphore.unavailable':
        this.#forget(handle)
        return { ok: true, value: { state: 'unavailable' } }
      case 'failed':
        return this.#refuse(handle, result.failure)
      default: {
        const message = `a request for permits was answered by ${result.type}`
        return this.#refuse(handle, { code: 'outcome-unknown', message })
      }
    }
  }

  #refuse(handle: LockHandle, failure: Failure): Reply<never> {
    this.#forget(handle)
    return { ok: false, failure }
  }

  #tell(handle: LockHandle, told: AcquireReply): void {
    if (!told.ok) this.#context.emit({ type: 'permit.refused', handle, failure: told.failure })
    else if (told.value.state === 'granted') this.#emitGrant(handle, told.value)
  }

  #granted(number: number, grant: { readonly token: number; readonly since: number }): void {
    const handle = this.#handles.get(number)
    const request = handle === undefined ? undefined : this.#requests.get(handle)
    if (handle === undefined || request?.state !== 'queued') return
    request.state = 'held'
    this.#emitGrant(handle, grant)
  }

  #emitGrant(handle: LockHandle, { token, since }: { readonly token: number; readonly since: number }): void {
    this.#context.emit({ type: 'permit.granted', handle, token, since })
  }

  #lost(number: number, reason: LockLoss): void {
    const handle = this.#handles.get(number)
    const request = handle === undefined ? undefined : this.#requests.get(handle)
    // What only waited is asked for again when the session's end is told.
    if (handle !== undefined && request?.state === 'held') this.#lose(handle, reason)
  }

  #refused(number: number, failure: Failure): void {
    const handle = this.#handles.get(number)
    if (handle === undefined) return
    this.#forget(handle)
    this.#context.emit({ type: 'permit.refused', handle, failure })
  }

  #lose(handle: LockHandle, reason: LockLoss): void {
    this.#forget(handle)
    this.#context.emit({ type: 'permit.lost', handle, reason })
  }

  #forget(handle: LockHandle): void {
    const request = this.#requests.get(handle)
    if (request?.number !== null && request?.number !== undefined) this.#handles.delete(request.number)
    this.#requests.delete(handle)
  }
}
