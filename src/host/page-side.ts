/** All that a host does for its page: its session and lease, its calls, what it watches, and what it is shown. */

import { readCounter } from '../machine/counter/primitive.js'
import { queryLocks } from '../machine/lock/view.js'
import type { MachineState } from '../machine/machine.js'
import type { Applied, LockView, Outcome } from '../machine/outcome.js'
import { readSemaphore } from '../machine/semaphore/view.js'
import { findSessionOfPeer } from '../machine/session/view.js'
import { defaultSettings } from '../machine/settings.js'
import { listStore, readStore } from '../machine/store/view.js'
import { viewWaits } from '../machine/waiting/view.js'
import type { Entry, PeerId } from '../raft/entry.js'
import type { ReadState } from '../raft/ready.js'
import { unreachable } from '../shared/assert.js'
import type { Failure } from '../shared/failure.js'
import type { HostContext } from './context.js'
import type { Item } from './frame.js'
import { OwnLease } from './own-lease.js'
import { OwnSession } from './own-session.js'
import type { Answers, Call, HostMetrics, Notice, Reply } from './page.js'
import { PageLocks } from './page-locks.js'
import { PagePermits } from './page-permits.js'
import { Reads } from './reads.js'
import { Showing } from './showing.js'
import { StoreWatches } from './store-watches.js'
import { Testament } from './testament.js'
import { lockRecord, Watches } from './watches.js'

export interface PageSideOptions {
  /** First declared state, encoded. */
  readonly state: Uint8Array | null
  readonly tokenFloor: number
  readonly metrics: () => Omit<HostMetrics, 'session' | 'pendingCommands'>
  readonly recover: (reply: (reply: Reply<null>) => void) => void
  /** Of a leader: who shall lead next. */
  readonly heir: () => PeerId | null
}

/** The calls that become one entry, and resolve when it is applied. */
type Write =
  | 'store.set'
  | 'store.delete'
  | 'store.compareAndSet'
  | 'store.transact'
  | 'semaphore.resize'
  | 'counter.add'
  | 'counter.compareAndSet'

export class PageSide {
  readonly #context: HostContext
  readonly #options: PageSideOptions
  readonly #session: OwnSession
  readonly #locks: PageLocks
  readonly #permits: PagePermits
  readonly #lease: OwnLease
  readonly #reads: Reads
  readonly #watches: Watches
  readonly #storeWatches: StoreWatches
  readonly #showing: Showing
  readonly #testament: Testament

  constructor(context: HostContext, options: PageSideOptions) {
    this.#context = context
    this.#options = options
    this.#session = new OwnSession(context, {
      pendingMax: () => (context.machine.settings ?? defaultSettings).limits.pendingProposals,
      state: options.state,
      tokenFloor: options.tokenFloor,
      opened: () => this.#lease.sessionOpened(),
      ended: () => {
        this.#lease.sessionEnded()
        this.#locks.sessionEnded()
        this.#permits.sessionEnded()
      },
    })
    this.#locks = new PageLocks(context, this.#session, (run) => this.#lease.confirm(run))
    this.#permits = new PagePermits(context, this.#session)
    this.#lease = new OwnLease(
      context,
      () => this.#session.id,
      () => shorter(this.#locks.shortestLease(), this.#permits.shortestLease()),
    )
    this.#reads = new Reads(context)
    const whenCurrent = (run: () => void) => this.#reads.read(isPrompt, run, () => {})
    this.#watches = new Watches(context, (view) => this.#record(view), whenCurrent)
    this.#storeWatches = new StoreWatches(context, whenCurrent)
    this.#showing = new Showing(
      context,
      () => this.#session.id !== null && this.#lease.heardSession === this.#session.id,
    )
    this.#testament = new Testament(
      context,
      () => ({
        session: this.#session.id ?? 0,
        lastNumber: this.#session.lastNumber,
      }),
      options.heir,
    )
  }

  /** The host belongs to a room: the page gets its session. */
  open(): void {
    this.#session.open()
    this.#lease.ask()
  }

  call(call: Call, reply: (reply: Reply<never>) => void): void {
    switch (call.type) {
      case 'lock.request':
        this.#lease.askFor(call.lease)
        this.#locks.request(call, answerTo<'lock.request'>(reply))
        for (const name of [call.name, ...(call.beyond?.also ?? [])]) this.#watches.touchLock(name)
        break
      case 'lock.release':
        this.#locks.release(call.handle, call.name ?? null, answerTo<'lock.release'>(reply))
        break
      case 'lock.upgrade':
        this.#locks.upgrade(call.handle, call.name, answerTo<'lock.upgrade'>(reply))
        break
      case 'lock.downgrade':
        this.#locks.downgrade(call.handle, call.name, answerTo<'lock.downgrade'>(reply))
        break
      case 'lock.revoke':
        this.#revoke(call, answerTo<'lock.revoke'>(reply))
        break
      case 'lock.waitGraph':
        this.#read(answerTo<'lock.waitGraph'>(reply), (machine) => this.#waitGraph(machine))
        break
      case 'lock.query':
        this.#read(answerTo<'lock.query'>(reply), (machine) => this.#query(machine))
        break
      case 'store.get':
        this.#get(call, answerTo<'store.get'>(reply))
        break
      case 'store.entries':
        this.#entries(call, answerTo<'store.entries'>(reply))
        break
      case 'store.set':
      case 'store.delete':
      case 'store.compareAndSet':
      case 'store.transact':
      case 'semaphore.resize':
      case 'counter.add':
      case 'counter.compareAndSet':
        this.#write(call, answerTo<Write>(reply))
        break
      case 'semaphore.acquire':
        this.#lease.askFor(call.lease)
        this.#permits.acquire(call, answerTo<'semaphore.acquire'>(reply))
        break
      case 'semaphore.release':
        this.#permits.release(call.handle, answerTo<'semaphore.release'>(reply))
        break
      case 'semaphore.get':
        this.#read(answerTo<'semaphore.get'>(reply), (machine) => readSemaphore(machine, call.name))
        break
      case 'counter.get':
        this.#read(answerTo<'counter.get'>(reply), (machine) => readCounter(machine, call.name))
        break
      case 'metrics':
        answerTo<'metrics'>(reply)({ ok: true, value: this.#metrics() })
        break
      case 'recover':
        this.#options.recover(answerTo<'recover'>(reply))
        break
      case 'leave':
        this.#session.close()
        answerTo<'leave'>(reply)({ ok: true, value: null })
        break
      default:
        unreachable(call)
    }
  }

  notice(notice: Exclude<Notice, { type: 'frame' | 'condition' | 'signal' | 'foreign' }>): void {
    switch (notice.type) {
      case 'alive':
        this.#lease.alive(notice.sentAt)
        break
      case 'watch':
        if (notice.what.type === 'changes') this.#storeWatches.watch(notice.id, notice.what)
        else this.#watches.watch(notice.id, notice.what)
        break
      case 'unwatch':
        this.#watches.unwatch(notice.id)
        this.#storeWatches.unwatch(notice.id)
        break
      case 'taken':
        this.#storeWatches.taken(notice.id)
        break
      case 'testament':
        this.#testament.confirmed(notice.number)
        break
      default:
        unreachable(notice)
    }
  }

  applied(entry: Entry, applied: Applied): void {
    this.#locks.happened(applied.events)
    this.#permits.happened(applied.events)
    this.#session.applied(applied)
    this.#watches.happened(applied)
    this.#storeWatches.happened(entry.index, applied.events)
    this.#showing.happened(entry, applied.events)
  }

  /** The machine was replaced by a snapshot (S-10). */
  reconcile(): void {
    this.#session.reconcile(findSessionOfPeer(this.#context.machine, this.#context.self.peerId))
    this.#locks.reconcile()
    this.#permits.reconcile()
    this.#watches.reconcile()
    this.#storeWatches.reconcile()
    this.#showing.changed()
  }

  confirmed(reads: readonly ReadState[]): void {
    this.#reads.confirmed(reads)
  }

  echoed(echo: Extract<Item, { type: 'echo' }>): void {
    const { session, monotonic, wall, clusterTime, commitIndex } = echo
    this.#lease.echoed({ session, sentAt: { monotonic, wall }, clusterTime, commitIndex })
  }

  leaderChanged(): void {
    this.#session.leaderChanged()
    this.#lease.leaderChanged()
    this.#reads.leaderChanged()
  }

  /** N3: this peer belongs to a new history, with its session and its locks. */
  wentOver(): void {
    this.#session.wentOver()
    this.#context.emit({
      type: 'reset',
      reset: { cause: 'forked', store: [], deleted: [], counters: [], complete: true },
      successor: null,
    })
    this.membersChanged()
  }

  membersChanged(): void {
    this.#showing.changed()
    this.#testament.changed()
  }

  refused(peerId: string, failure: Failure): void {
    this.#showing.refused(peerId, failure)
  }

  /** Within a turn, after each batch: what waited for the machine is served. */
  serve(): void {
    this.#reads.serve()
    this.#lease.deliver()
  }

  /** At the end of a turn. */
  settle(): void {
    this.#reads.serve()
    this.#lease.deliver()
    this.#watches.flush()
    this.#storeWatches.flush()
    this.#showing.flush()
    this.#testament.flush()
  }

  tick(): void {
    this.#session.tick()
    this.#lease.tick()
    this.#reads.tick()
    this.#showing.tick()
    this.#testament.changed()
  }

  /** The page waits for something that the room has to agree on. */
  get isWaiting(): boolean {
    return this.#session.isWaiting || this.#reads.pending > 0
  }

  /** A heartbeat of an idle room (M6). */
  beat(): void {
    this.#lease.beat()
  }

  /** The last word of this life to that peer (M1). */
  goodbye(peerId: PeerId): Extract<Item, { type: 'goodbye' }> {
    return this.#testament.goodbye(peerId)
  }

  /** M2: makes sure that no promised vote can be shown any more. True once that is so; else it is asked again later. */
  withdrawVote(): boolean {
    return this.#testament.withdrawVote()
  }

  fail(failure: Failure): void {
    this.#session.fail(failure)
    this.#reads.fail(failure)
  }

  #get(call: Extract<Call, { type: 'store.get' }>, reply: (reply: Reply<Answers['store.get']>) => void): void {
    const get = (machine: MachineState) => readStore(machine, call.key) ?? null
    if (call.consistency === 'local') reply({ ok: true, value: get(this.#context.machine) })
    else this.#read(reply, get)
  }

  #entries(
    { prefix, consistency }: Extract<Call, { type: 'store.entries' }>,
    reply: (reply: Reply<Answers['store.entries']>) => void,
  ): void {
    const list = (machine: MachineState) => ({
      revision: machine.appliedIndex,
      entries: listStore(machine, prefix),
    })
    if (consistency === 'local') reply({ ok: true, value: list(this.#context.machine) })
    else this.#read(reply, list)
  }

  #write(call: Extract<Call, { type: Write }>, reply: (reply: Reply<Answers[Write]>) => void): void {
    this.#session.submit(call, { settle: (result) => reply(written(result)) })
  }

  /** Linearizable, and after everything that this page submitted before (R1). */
  #read<T>(reply: (reply: Reply<T>) => void, view: (machine: MachineState) => T): void {
    const after = this.#session.barrier()
    this.#reads.read(
      after,
      () => reply({ ok: true, value: view(this.#context.machine) }),
      (failure) => reply({ ok: false, failure }),
    )
  }

  #query(machine: MachineState): Answers['lock.query'] {
    const { held, pending } = queryLocks(machine)
    return { held: held.map((view) => this.#record(view)), pending: pending.map((view) => this.#record(view)) }
  }

  #revoke(
    { name, grace }: Extract<Call, { type: 'lock.revoke' }>,
    reply: (reply: Reply<Answers['lock.revoke']>) => void,
  ) {
    const settle = (result: Outcome | Failure) => {
      if (!('type' in result)) reply({ ok: false, failure: result })
      else if (result.type === 'lock.revoked') reply({ ok: true, value: { asked: result.asked } })
      else if (result.type === 'failed') reply({ ok: false, failure: result.failure })
      else
        reply({ ok: false, failure: { code: 'outcome-unknown', message: `a revoke was answered by ${result.type}` } })
    }
    this.#session.submit({ type: 'lock.revoke', name, grace }, { settle })
  }

  #waitGraph(machine: MachineState): Answers['lock.waitGraph'] {
    const waits = viewWaits(machine).map(({ session, request, ...wait }) => ({
      ...wait,
      handle: session === this.#session.id ? (this.#locks.handleOf(request) ?? this.#permits.handleOf(request)) : null,
    }))
    return { waits }
  }

  #record(view: LockView) {
    return lockRecord(view, view.session === this.#session.id ? this.#locks.handleOf(view.request) : null)
  }

  #metrics(): HostMetrics {
    return { ...this.#options.metrics(), session: this.#session.id, pendingCommands: this.#session.pending }
  }
}

/** It waits for nothing that this page has submitted. */
const isPrompt = () => true

/** A call's reply has the type that its call says: the one place where the compiler is told so. */
function answerTo<T extends keyof Answers>(reply: (reply: Reply<never>) => void): (reply: Reply<Answers[T]>) => void {
  return reply as (reply: Reply<Answers[T]>) => void
}

function shorter(a: number | null, b: number | null): number | null {
  return a === null || b === null ? (a ?? b) : Math.min(a, b)
}

function written(result: Outcome | Failure): Reply<Answers[Write]> {
  if (!('type' in result)) return { ok: false, failure: result }
  switch (result.type) {
    case 'store.set':
      return { ok: true, value: { revision: result.revision } }
    case 'store.deleted':
      return { ok: true, value: { revision: result.revision, existed: result.existed } }
    case 'store.compared':
      return { ok: true, value: { revision: result.revision, swapped: result.swapped } }
    case 'store.transacted':
      return {
        ok: true,
        value: { revision: result.revision, succeeded: result.succeeded, results: result.results },
      }
    case 'semaphore.resized':
      return { ok: true, value: null }
    case 'counter.added':
    case 'counter.overflowed':
      return { ok: true, value: { value: result.value, overflowed: result.type === 'counter.overflowed' } }
    case 'counter.compared':
      return { ok: true, value: { swapped: result.swapped } }
    case 'failed':
      return { ok: false, failure: result.failure }
    default:
      return { ok: false, failure: { code: 'outcome-unknown', message: `a write was answered by ${result.type}` } }
  }
}
