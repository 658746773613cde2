/** The lock requests of this peer's page: which command stands for each, and what the page has been told of it. */

import type { LockCommand } from '../machine/lock/command.js'
import { findLocks } from '../machine/lock/view.js'
import type { Grant, LockView, MachineEvent, Outcome } from '../machine/outcome.js'
import type { Failure } from '../shared/failure.js'
import type { HostContext } from './context.js'
import type { OwnSession } from './own-session.js'
import type { Answers, Call, LockGrant, LockHandle, LockLoss, Reply } from './page.js'
import { PageUpgrades } from './page-upgrades.js'

type RequestCall = Extract<Call, { type: 'lock.request' }>
type RequestReply = (reply: Reply<Answers['lock.request']>) => void

interface Request {
  readonly call: RequestCall
  /** The number of its command in the present session. */
  number: number | null
  state: 'asked' | 'queued' | 'held'
  /** What the page has of it; of several names some may be gone. */
  readonly held: Set<string>
  /** Of which the page knows that it is asked to give them back. */
  readonly revoked: Set<string>
  readonly settle: (result: Outcome | Failure) => void
}

type Own = Extract<MachineEvent, { readonly type: `lock.${string}`; readonly session: number }>

export class PageLocks {
  readonly #context: HostContext
  readonly #session: OwnSession
  readonly #confirm: (run: () => void) => void
  readonly #requests = new Map<LockHandle, Request>()
  readonly #handles = new Map<number, LockHandle>()
  readonly #upgrades = new PageUpgrades()

  /** `confirm`: runs once the page has dealt with what it was told before now. */
  constructor(context: HostContext, session: OwnSession, confirm: (run: () => void) => void) {
    this.#context = context
    this.#session = session
    this.#confirm = confirm
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
    const [held, revoked] = [new Set<string>(), new Set<string>()]
    this.#requests.set(call.handle, { call, number: null, state: 'asked', held, revoked, settle })
    this.#submit(call.handle)
  }

  /** `name`: only that one of what it holds. */
  release(handle: LockHandle, name: string | null, reply: (reply: Reply<null>) => void): void {
    const request = this.#requests.get(handle)
    const done = () => reply({ ok: true, value: null })
    if (!request || (name !== null && request.held.size > 0 && !request.held.has(name))) {
      done()
      return
    }
    const { number } = request
    const isPart = name !== null && request.held.size > 1
    if (isPart) this.#letGo(handle, request, name)
    else this.#forget(handle)
    if (number === null) {
      if (this.#session.withdraw(request.settle)) request.settle({ type: 'lock.unavailable' })
      done()
      return
    }
    const command: LockCommand = { type: 'lock.release', request: number }
    this.#session.submit(isPart ? { ...command, name } : command, { exempt: true, settle: done })
  }

  upgrade(handle: LockHandle, name: string, reply: (reply: Reply<Answers['lock.upgrade']>) => void): void {
    const number = this.#numberOf(handle, name)
    if (number === null) {
      reply({ ok: false, failure: lost(name) })
      return
    }
    const pending = this.#upgrades.begin(handle, name, reply)
    this.#session.submit(
      { type: 'lock.upgrade', request: number, name },
      { settle: (result) => this.#upgrades.answered(pending, result, this.#numberOf(handle, name) !== null) },
    )
  }

  downgrade(handle: LockHandle, name: string, reply: (reply: Reply<Answers['lock.downgrade']>) => void): void {
    const number = this.#numberOf(handle, name)
    if (number === null) {
      reply({ ok: false, failure: lost(name) })
      return
    }
    const settle = (result: Outcome | Failure) => {
      // One that still waits was given up by this.
      this.#upgrades.fail(handle, name)
      if (!('type' in result)) reply({ ok: false, failure: result })
      else if (result.type === 'failed') reply({ ok: false, failure: result.failure })
      else if (result.type === 'lock.downgraded') reply({ ok: true, value: { token: result.token } })
      else reply({ ok: false, failure: lost(name) })
    }
    this.#session.submit({ type: 'lock.downgrade', request: number, name }, { exempt: true, settle })
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
    for (const event of events) if (isOfLocks(event) && event.session === this.#session.id) this.#happened(event)
  }

  #happened(event: Own): void {
    const handle = this.#handles.get(event.request)
    const request = handle === undefined ? undefined : this.#requests.get(handle)
    if (handle === undefined || !request) return
    switch (event.type) {
      case 'lock.granted':
        if (request.state === 'queued') this.#granted(handle, request, grantOf(event))
        break
      case 'lock.lost':
        // What only waited is asked for again when the session's end is told.
        if (request.state === 'held') this.#lose(handle, request, event.name, event.reason)
        break
      case 'lock.revoked':
        this.#revoked(handle, request, event.name)
        break
      case 'lock.upgraded':
        this.#upgrades.done(handle, event.name, event)
    }
  }

  /** All that the session held has ended with it; what waited is asked for again, at the tail. */
  sessionEnded(): void {
    this.#handles.clear()
    for (const [handle, request] of [...this.#requests]) {
      const { state } = request
      request.number = null
      if (state === 'held') for (const name of [...request.held]) this.#lose(handle, request, name, 'expired')
      else if (state === 'queued') this.#askAgain(handle, request)
    }
  }

  /** S-10: what happened to these requests inside a snapshot. */
  reconcile(): void {
    const session = this.#session.id
    if (session === null) return
    for (const [handle, request] of [...this.#requests]) {
      if (request.number === null || request.state === 'asked') continue
      const views = findLocks(this.#context.machine, session, request.number)
      const held = views.filter(({ position }) => position === 0)
      if (held.length > 0 && request.state === 'queued')
        this.#granted(handle, request, grantIn(held, namesOf(request.call)))
      if (request.state === 'held') this.#reconcileHeld(handle, request, held)
      else if (views.length === 0) this.#askAgain(handle, request)
    }
  }

  #reconcileHeld(handle: LockHandle, request: Request, views: readonly LockView[]): void {
    for (const name of [...request.held]) {
      const view = views.find((one) => one.name === name)
      if (!view) this.#lose(handle, request, name, 'expired')
      else {
        if (view.mode === 'exclusive') this.#upgrades.done(handle, name, view)
        else if (!view.upgrading) this.#upgrades.fail(handle, name)
        this.#revoked(handle, request, name)
      }
    }
  }

  /**
   * S-7: the page knows what is left at least, and has dealt with that, before the room hears that its grace may begin: it could be cut off
   * before it hears of the end.
   */
  #revoked(handle: LockHandle, request: Request, name: string): void {
    const { machine } = this.#context
    const { number } = request
    const views = number === null ? [] : findLocks(machine, this.#session.id ?? 0, number)
    const view = views.find((one) => one.name === name)
    if (!view?.revoked || number === null || !request.held.has(name)) return
    if (!request.revoked.has(name)) this.#context.emit({ type: 'lock.revoked', handle, name, endsAt: null })
    request.revoked.add(name)
    if (view.grace === null) {
      this.#context.emit({ type: 'lock.revoked', handle, name, endsAt: view.endsAt })
      return
    }
    const { grace } = view
    const atLeast = Math.min(machine.clusterTime + grace, view.endsAt ?? Number.POSITIVE_INFINITY)
    this.#context.emit({ type: 'lock.revoked', handle, name, endsAt: atLeast })
    this.#confirm(() => {
      if (this.#numberOf(handle, name) !== number) return
      this.#session.submit(
        { type: 'lock.acknowledge', request: number, name, grace },
        { exempt: true, settle: () => {} },
      )
    })
  }

  /** It is on its way from now on: if the session ends meanwhile, it goes to the next one by itself, as every command does that may. */
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
    this.#session.submit(commandOf(request.call), {
      // What waits for a lock is bounded by the room (limits `locks` and `lockQueue`), which answers for itself.
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

  /** Of the request's command, while that name of it is held. */
  #numberOf(handle: LockHandle, name: string): number | null {
    const request = this.#requests.get(handle)
    return request?.held.has(name) ? request.number : null
  }

  /** What the page is to be told, or null when it has let go of the request meanwhile. */
  #settled(handle: LockHandle, result: Outcome | Failure): Reply<Answers['lock.request']> | null {
    const request = this.#requests.get(handle)
    if (!request) return null
    if (!('type' in result)) return this.#refuse(handle, result)
    switch (result.type) {
      case 'lock.granted':
        this.#has(request)
        return { ok: true, value: { state: 'granted', ...grantOf(result) } }
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

  #has(request: Request): void {
    request.state = 'held'
    for (const name of namesOf(request.call)) request.held.add(name)
  }

  #granted(handle: LockHandle, request: Request, grant: LockGrant): void {
    this.#has(request)
    this.#emitGrant(handle, grant)
  }

  #emitGrant(handle: LockHandle, { token, since, endsAt, tokens }: LockGrant): void {
    const request = this.#requests.get(handle)
    // Where it came in again its owner may be asked for it already: the page is to know with the grant.
    for (const name of request?.held ?? []) if (request) this.#revoked(handle, request, name)
    this.#context.emit({ type: 'lock.granted', handle, token, since, endsAt, ...(tokens && { tokens }) })
  }

  #lose(handle: LockHandle, request: Request, name: string, reason: LockLoss): void {
    if (!request.held.has(name)) return
    this.#letGo(handle, request, name)
    this.#context.emit({ type: 'lock.lost', handle, name, reason })
  }

  #letGo(handle: LockHandle, request: Request, name: string): void {
    request.held.delete(name)
    this.#upgrades.fail(handle, name)
    if (request.held.size === 0) this.#forget(handle)
  }

  #forget(handle: LockHandle): void {
    const request = this.#requests.get(handle)
    for (const name of request?.held ?? []) this.#upgrades.fail(handle, name)
    if (request?.number !== null && request?.number !== undefined) this.#handles.delete(request.number)
    this.#requests.delete(handle)
  }
}

function isOfLocks(event: MachineEvent): event is Own {
  return event.type.startsWith('lock.') && 'session' in event
}

function namesOf({ name, beyond }: RequestCall): readonly string[] {
  return beyond ? [...new Set([name, ...beyond.also])] : [name]
}

/** F5: what Web Locks have as well is asked for as ever, so that rooms with older code go on. */
function commandOf(call: RequestCall): LockCommand {
  const { name, mode, ifAvailable, steal, lease, attributes, beyond } = call
  const plain = { mode, ifAvailable, steal, lease, attributes }
  if (!beyond) return { type: 'lock.request', name, ...plain }
  const { owner, priority, scope, maxHold, lockDelay } = beyond
  return { type: 'lock.acquire', names: namesOf(call), ...plain, owner, scope, priority, maxHold, lockDelay }
}

function grantOf({ token, since, endsAt, tokens }: Grant): LockGrant {
  return { token, since, endsAt: endsAt ?? null, ...(tokens && { tokens: byName(tokens) }) }
}

/** The same, read off what is held. */
function grantIn(views: readonly LockView[], names: readonly string[]): LockGrant {
  const first = views.find(({ name }) => name === names[0]) ?? views[0]
  const token = first?.token ?? 0
  const tokens = views.some((view) => view.token !== token) ? { tokens: byName(views) } : {}
  return { token, since: first?.since ?? 0, endsAt: first?.endsAt ?? null, ...tokens }
}

function byName(tokens: readonly { readonly name: string; readonly token: number }[]): Record<string, number> {
  return Object.fromEntries(tokens.map(({ name, token }) => [name, token]))
}

function lost(name: string): Failure {
  const message = `the lock ${JSON.stringify(name.slice(0, 100))} is not held by this request any more`
  return { code: 'lock-lost', message, details: { name } }
}
