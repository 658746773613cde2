/** The lock requests of this peer's page: which command stands for each, and what the page has been told of it. */

import { requestState } from '../machine/lock/view.js'
import type { MachineEvent, Outcome } from '../machine/outcome.js'
import type { Failure } from '../shared/failure.js'
import type { HostContext } from './context.js'
import type { OwnSession } from './own-session.js'
import type { Answers, Call, LockHandle, LockLoss, Reply } from './page.js'

type RequestCall = Extract<Call, { type: 'lock.request' }>
type RequestReply = (reply: Reply<Answers['lock.request']>) => void

interface Request {
  readonly call: RequestCall
  /** The number of its command in the present session. */
  number: number | null
  state: 'asked' | 'queued' | 'held'
  readonly settle: (result: Outcome | Failure) => void
}

export class PageLocks {
  readonly #context: HostContext
  readonly #session: OwnSession
  readonly #requests = new Map<LockHandle, Request>()
  readonly #handles = new Map<number, LockHandle>()

  constructor(context: HostContext, session: OwnSession) {
    this.#context = context
    this.#session = session
  }

  request(call: RequestCall, reply: RequestReply): void {
    let answered = false
    const settle = (result: Outcome | Failure) => {
      const told = this.#settled(call.handle, result)
      if (!told) {
        // Its page has let go of it, so this says nothing any more; but a call is answered.
        if (!answered) reply({ ok: true, value: { state: 'unavailable' } })
        answered = true
        return
      }
      // Events, since they keep their order: a reply comes later than an event that was told after it.
      if (told.ok && told.value.state === 'granted') this.#emitGrant(call.handle, told.value)
      if (told.ok && told.value.state === 'unavailable')
        this.#context.emit({ type: 'lock.unavailable', handle: call.handle })
      // A request that is made again in a later session has had its answer: the page then hears events only.
      if (!answered) reply(told)
      else if (!told.ok) this.#context.emit({ type: 'lock.refused', handle: call.handle, failure: told.failure })
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
      if (this.#session.withdraw(request.settle)) request.settle({ type: 'lock.unavailable' })
      done()
      return
    }
    this.#session.submit({ type: 'lock.release', request: request.number }, { exempt: true, settle: done })
  }

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
      if (event.type === 'lock.granted' && event.session === this.#session.id) this.#granted(event.request, event)
      if (event.type === 'lock.lost' && event.session === this.#session.id) this.#lost(event.request, event.reason)
    }
  }

  /** All that the session held has ended with it; what waited is asked for again, at the tail. */
  sessionEnded(): void {
    this.#handles.clear()
    for (const [handle, request] of [...this.#requests]) {
      const { state } = request
      request.number = null
      if (state === 'held') this.#lose(handle, 'expired')
      else if (state === 'queued') this.#askAgain(handle, request)
    }
  }

  /** S-10: what happened to these requests inside a snapshot. */
  reconcile(): void {
    const session = this.#session.id
    if (session === null) return
    for (const [handle, request] of [...this.#requests]) {
      if (request.number === null || request.state === 'asked') continue
      const now = requestState(this.#context.machine, session, request.number)
      if (now.type === 'held' && request.state === 'queued') this.#granted(request.number, now)
      else if (now.type === 'gone' && request.state === 'held') this.#lose(handle, 'expired')
      else if (now.type === 'gone') this.#askAgain(handle, request)
    }
  }

  /** It is on its way from now on: if the session ends meanwhile, it goes to the next one by itself, as every command does that may. */
  #askAgain(handle: LockHandle, request: Request): void {
    request.state = 'asked'
    this.#submit(handle)
  }

  #submit(handle: LockHandle): void {
    const request = this.#requests.get(handle)
    if (!request) return
    const { name, mode, ifAvailable, steal, lease, attributes } = request.call
    this.#session.submit(
      { type: 'lock.request', name, mode, ifAvailable, steal, lease, attributes },
      {
        // What waits for a lock is bounded by the room (limits `locks` and `lockQueue`), which answers for itself.
        exempt: true,
        numbered: (number) => this.#numbered(handle, number),
        wanted: () => this.#requests.get(handle) === request,
        settle: request.settle,
      },
    )
  }

  #numbered(handle: LockHandle, number: number): void {
    const request = this.#requests.get(handle)
    if (!request) return
    if (request.number !== null) this.#handles.delete(request.number)
    request.number = number
    this.#handles.set(number, handle)
  }

  /** What the page is to be told, or null when it has let go of the request meanwhile. */
  #settled(handle: LockHandle, result: Outcome | Failure): Reply<Answers['lock.request']> | null {
    const request = this.#requests.get(handle)
    if (!request) return null
    if (!('type' in result)) return this.#refuse(handle, result)
    switch (result.type) {
      case 'lock.granted':
        request.state = 'held'
        return { ok: true, value: { state: 'granted', token: result.token, since: result.since, endsAt: null } }
      case 'lock.queued':
        request.state = 'queued'
        return { ok: true, value: { state: 'queued' } }
      case 'lock.unavailable':
        this.#forget(handle)
        return { ok: true, value: { state: 'unavailable' } }
      case 'failed':
        return this.#refuse(handle, result.failure)
      default:
        return this.#refuse(handle, {
          code: 'outcome-unknown',
          message: `a lock request was answered by ${result.type}`,
        })
    }
  }

  #refuse(handle: LockHandle, failure: Failure): Reply<never> {
    this.#forget(handle)
    return { ok: false, failure }
  }

  #granted(number: number, grant: { readonly token: number; readonly since: number }): void {
    const handle = this.#handles.get(number)
    const request = handle === undefined ? undefined : this.#requests.get(handle)
    if (handle === undefined || request?.state !== 'queued') return
    request.state = 'held'
    this.#emitGrant(handle, grant)
  }

  #emitGrant(handle: LockHandle, { token, since }: { readonly token: number; readonly since: number }): void {
    this.#context.emit({ type: 'lock.granted', handle, token, since, endsAt: null })
  }

  #lost(number: number, reason: LockLoss): void {
    const handle = this.#handles.get(number)
    const request = handle === undefined ? undefined : this.#requests.get(handle)
    // What only waited is asked for again when the session's end is told.
    if (handle !== undefined && request?.state === 'held') this.#lose(handle, reason)
  }

  #lose(handle: LockHandle, reason: LockLoss): void {
    const name = this.#requests.get(handle)?.call.name ?? ''
    this.#forget(handle)
    this.#context.emit({ type: 'lock.lost', handle, name, reason })
  }

  #forget(handle: LockHandle): void {
    const request = this.#requests.get(handle)
    if (request?.number !== null && request?.number !== undefined) this.#handles.delete(request.number)
    this.#requests.delete(handle)
  }
}
