import type { Claimed, HostPort } from '../bridge/protocol.js'
import { RoomConnection } from '../client/connection.js'
import { errorOf, RoomLeftError } from '../client/errors.js'
import { RoomHandle, type SharedRoom } from '../client/room.js'
import type { Shared } from '../host/inheritance.js'
import type { Goodbye, HostEvent, MemberRecord, PageCondition, Reply, Successor } from '../host/page.js'
import type { RoomSettings } from '../machine/command.js'
import { lifeLockName } from '../shared/life.js'
import type { Value } from '../shared/value.js'
import type { SimBrowser } from './browser.js'
import type { Prng } from './prng.js'
import type { Simulation } from './simulation.js'
import { Channel, type Thread } from './thread.js'
import { SimWorker } from './worker.js'

/** As in client/page-peer.ts. */
const leaveWithin = 1_000

/** The real page client in a simulated page: what client/page-peer.ts does with a worker, by doubles of the platform. */
export class SimPage implements SharedRoom {
  readonly connection: RoomConnection
  readonly room: RoomHandle<Value>
  readonly thread: Thread
  readonly #sim: Simulation
  readonly #browser: SimBrowser
  readonly #prng: Prng
  readonly #peerChanged = new Set<() => void>()
  readonly #session: { peerId: string | null }
  #lives = 0
  #worker: SimWorker | null = null
  #claimed: Claimed | null = null
  #goodbyes: readonly Goodbye[] = []
  #members: readonly MemberRecord[] = []
  #settings: RoomSettings
  #endLife: () => void = () => {}
  #tokenFloor = 0
  #shared: Shared | null = null
  #isSuspended = false
  #isClosed = false
  #port: SimPort | null = null

  /** `session`: what the tab remembers over a reload. `condition`: null if nobody ever says. */
  constructor(
    sim: Simulation,
    browser: SimBrowser,
    thread: Thread,
    session: { peerId: string | null },
    condition: PageCondition | null,
  ) {
    this.#sim = sim
    this.#browser = browser
    this.thread = thread
    this.#session = session
    this.#prng = sim.world.prng.fork(`page ${thread.name}`)
    this.#settings = sim.options.settings
    this.connection = new RoomConnection(sim.options.surgery.pageClock?.(thread.clock) ?? thread.clock)
    this.connection.listen({
      members: (members) => {
        this.#members = members
      },
      settings: (settings) => {
        this.#settings = settings
      },
      testament: ({ goodbyes }) => {
        this.#goodbyes = goodbyes
      },
      reset: (_reset, successor) => {
        if (successor) this.#comeBack(successor)
      },
      failed: () => this.#fail(),
    })
    if (condition) this.connection.become(condition)
    this.room = new RoomHandle(this, 'wait')
    this.#open()
  }

  get name(): string {
    return this.#sim.room
  }

  get peerId(): string {
    return this.#claimed?.peerId ?? ''
  }

  readonly storage = 'indexeddb'

  get suspended(): boolean {
    return this.#isSuspended
  }

  get settings(): RoomSettings {
    return this.#settings
  }

  get members(): readonly MemberRecord[] {
    return this.#members
  }

  get worker(): SimWorker | null {
    return this.#worker
  }

  /** Calls to the host that are not answered. */
  get unanswered(): readonly string[] {
    return this.#port ? [...this.#port.unanswered] : []
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Nothing is dialed here that could fail. */
  onfailure(): () => void {
    return () => {}
  }

  onpeerchange(listener: () => void): () => void {
    this.#peerChanged.add(listener)
    return () => this.#peerChanged.delete(listener)
  }

  /** In an orderly way, as `linger: 0` has it. */
  async release(): Promise<void> {
    if (this.#isClosed) return
    const goodbye = this.connection.call({ type: 'leave' })
    const late = this.thread.sleep(leaveWithin)
    await Promise.race([goodbye.catch(() => {}), late])
    this.#sendGoodbyes(false)
    this.#end(new RoomLeftError())
  }

  /** M1: what `pagehide` does. `arrives`: whether the browser lets the page's last frames out. */
  hide(arrives: boolean): void {
    this.#isSuspended = true
    this.connection.detach()
    if (arrives) this.#sendGoodbyes(true)
    this.#disconnect()
    for (const tell of this.#peerChanged) tell()
  }

  /** L3: from the back/forward cache, as a new life. */
  show(): void {
    if (!this.#isSuspended) return
    this.#isSuspended = false
    this.#open()
  }

  /** N2, N3. */
  #comeBack({ tokenFloor, shared }: Successor): void {
    this.#tokenFloor = Math.max(this.#tokenFloor, tokenFloor)
    this.#shared = shared
    this.connection.detach('reset')
    this.#disconnect()
    this.#open()
  }

  #open(): void {
    this.#enter().catch((error: unknown) => this.#end(errorOf({ code: 'storage', message: String(error) })))
  }

  async #enter(): Promise<void> {
    const { world } = this.#sim
    this.#lives += 1
    const thread = this.#sim.createThread(`${this.thread.name}/w${this.#lives}`, this.#browser)
    const worker: SimWorker = new SimWorker(this.#sim, this.#browser, thread, (event) => port.emit(event))
    const port = new SimPort(this.#sim, this.thread, worker)
    this.#worker = worker
    this.#port = port
    const claim = await port.ask('claim', () => worker.claim(this.#session.peerId))
    if (!claim.ok) throw errorOf(claim.failure)
    if (this.#worker !== worker) return
    this.#claimed = claim.value
    this.#session.peerId = claim.value.peerId
    const { peerId, incarnation } = claim.value
    world.note(`${this.thread.name} is ${peerId} ${incarnation.counter}.${incarnation.nonce}`)
    const life = await this.#browser.locks.of(this.thread).hold(lifeLockName(peerId, incarnation))
    if (this.#worker !== worker) {
      life?.release()
      return
    }
    this.#endLife = () => life?.release()
    const { settings } = this.#sim.options
    const shared = this.#shared
    this.#shared = null
    const begun = await port.ask('begin', () =>
      worker.begin({
        links: 'auto',
        learnerOnly: this.#browser.isLearnerOnly,
        state: null,
        settings,
        tokenFloor: this.#tokenFloor,
        shared,
      }),
    )
    if (this.#worker !== worker) return
    const wrapped = this.#sim.options.surgery.port?.(port, this.thread.clock) ?? port
    if (begun.ok) this.connection.attach(wrapped)
    else this.#end(errorOf(begun.failure))
    for (const tell of this.#peerChanged) tell()
  }

  #sendGoodbyes(tabsToo: boolean): void {
    const record = this.#worker?.record
    if (!record) return
    for (const goodbye of this.#goodbyes) {
      if (goodbye.link === 'broadcast' && !tabsToo) continue
      if (this.#prng.chance(this.#sim.options.goodbyeLost)) continue
      this.#sim.sendGoodbye(record, goodbye)
    }
  }

  #end(error: Parameters<RoomConnection['end']>[0]): void {
    this.connection.end(error)
    this.#shut()
    for (const tell of this.#peerChanged) tell()
  }

  /** As client/page-peer.ts: nothing is held any more, and the others hear it from the page (M1). */
  #fail(): void {
    this.connection.letGo()
    this.#sendGoodbyes(true)
    this.#shut()
  }

  #shut(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#sim.world.note(`${this.thread.name} ends its room: ${this.room.error?.message ?? 'left'}`)
    this.#disconnect()
  }

  #disconnect(): void {
    this.#worker?.thread.die()
    this.#worker = null
    this.#port = null
    this.#endLife()
  }
}

/** The bridge between a page and its worker: two ordered ways with delays. */
class SimPort implements HostPort {
  readonly #sim: Simulation
  readonly #worker: SimWorker
  readonly #toWorker: Channel
  readonly #toPage: Channel
  #onevent: ((event: HostEvent) => void) | null = null
  #early: HostEvent[] = []
  #closed = false
  readonly unanswered = new Set<string>()
  #calls = 0

  constructor(sim: Simulation, page: Thread, worker: SimWorker) {
    const prng = sim.world.prng.fork(`bridge ${worker.thread.name}`)
    const delay = () => prng.tail(0.1, 20)
    this.#sim = sim
    this.#worker = worker
    this.#toWorker = new Channel(sim.world, worker.thread, delay)
    this.#toPage = new Channel(sim.world, page, delay)
  }

  get onevent(): ((event: HostEvent) => void) | null {
    return this.#onevent
  }

  set onevent(listener: ((event: HostEvent) => void) | null) {
    this.#onevent = listener
    const early = this.#early
    this.#early = []
    for (const event of early) this.#tell(event)
  }

  call: HostPort['call'] = (call) => {
    const copy = structuredClone(call)
    this.#calls += 1
    const label = `${call.type} ${this.#calls}`
    this.unanswered.add(label)
    return this.ask(call.type, () => this.#worker.call(copy)).then((reply) => {
      this.unanswered.delete(label)
      return reply as never
    })
  }

  notice(notice: Parameters<HostPort['notice']>[0]): void {
    const copy = structuredClone(notice)
    if (!this.#closed) this.#toWorker.post(`notice ${notice.type}`, () => this.#worker.notice(copy))
  }

  close(): void {
    this.#closed = true
    this.#worker.thread.die()
  }

  emit(event: HostEvent): void {
    const copy = structuredClone(event)
    this.#toPage.post(`event ${event.type}`, () => {
      if (!this.#closed) this.#tell(copy)
    })
  }

  /** As comlink does it: a message there, the promise's value back. */
  ask<T>(label: string, run: () => Promise<Reply<T>>): Promise<Reply<T>> {
    return new Promise((resolve) => {
      if (this.#closed) return
      this.#toWorker.post(label, () => {
        run().then(
          (reply) => {
            const copy = structuredClone(reply)
            this.#toPage.post(`answer ${label}`, () => resolve(copy))
          },
          (error: unknown) => this.#sim.world.convict('uncaught', `${label}: ${String(error)}`),
        )
      })
    })
  }

  #tell(event: HostEvent): void {
    if (this.#onevent) this.#onevent(event)
    else this.#early.push(event)
  }
}
