import type { BeginRequest, Claimed } from '../bridge/protocol.js'
import { type Abilities, productAbilities } from '../host/abilities.js'
import { type Claim, claimIdentity, knowRoom, leaveHistory, type Settled, settleRoom } from '../host/boot.js'
import type { IdentityStore, LockService, Registrar } from '../host/browser.js'
import { DeathWatch } from '../host/death-watch.js'
import { Host } from '../host/host.js'
import { failureIn } from '../host/host-failure.js'
import type { Shared } from '../host/inheritance.js'
import type { Answers, Call, CallType, HostEvent, Notice, Reply, Successor } from '../host/page.js'
import type { Self } from '../host/peers.js'
import { isQuorumGone, type Resident, Residents } from '../host/residents.js'
import { Tidying } from '../host/tidying.js'
import type { RoomSettings } from '../machine/command.js'
import { PeerRelayNetwork, patienceMs, residentPatienceMs } from '../network/peer-relay.js'
import type { PeerId } from '../raft/entry.js'
import type { Failure } from '../shared/failure.js'
import { lifeOf } from '../shared/life.js'
import type { Storage, StoredState } from '../storage/storage.js'
import type { SimBrowser } from './browser.js'
import type { SimNetwork } from './network.js'
import type { Simulation } from './simulation.js'
import type { Thread } from './thread.js'

/** As in bridge/worker-peer.ts. */
const adoptAfter = 400
const adoptAllAfter = 3_000

/** A host as the checkers see it. */
export interface HostRecord {
  readonly self: Self
  readonly host: Host
  readonly thread: Thread
  readonly browser: SimBrowser
  readonly network: SimNetwork
  /** Undefined while it runs; null when it was stopped in an orderly way. */
  stopped: Failure | null | undefined
}

/** One peer in its worker, wired as bridge/worker-peer.ts wires it: only the platform under it is a double. */
export class SimWorker {
  readonly thread: Thread
  readonly #sim: Simulation
  readonly #browser: SimBrowser
  readonly #emit: (event: HostEvent) => void
  readonly #locks: LockService
  readonly #identities: IdentityStore
  readonly #records: HostRecord[] = []
  #claim: Claim | null = null
  #host: Host | null = null
  #watch: DeathWatch | null = null
  #residents: Residents | null = null
  #tidying: Tidying | null = null
  #leaderlessSince: number | null = null
  #registrar: Registrar | null = null
  #archiving: Promise<void> = Promise.resolve()

  constructor(sim: Simulation, browser: SimBrowser, thread: Thread, emit: (event: HostEvent) => void) {
    this.#sim = sim
    this.#browser = browser
    this.thread = thread
    this.#emit = emit
    const { surgery } = sim.options
    const locks = browser.locks.of(thread)
    this.#locks = surgery.locks?.(locks) ?? locks
    this.#identities = browser.identitiesOf(thread, surgery.storage)
    this.#registrar = sim.registrar?.of(thread) ?? null
  }

  /** The page's own host, for tests and checkers. */
  get record(): HostRecord | null {
    return this.#records.find(({ self }) => !self.resident) ?? null
  }

  get records(): readonly HostRecord[] {
    return this.#records
  }

  async claim(preferred: PeerId | null): Promise<Reply<Claimed>> {
    return answered(async () => {
      const { room } = this.#sim
      const browserId = await this.#identities.browserId()
      const options = { room, locks: this.#locks, identities: this.#identities, clock: this.thread.clock }
      this.#claim = await claimIdentity(options, preferred)
      const { peerId, storage } = this.#claim
      return { peerId, browserId, incarnation: storage.incarnation, storage: 'indexeddb' as const }
    })
  }

  async begin(request: BeginRequest): Promise<Reply<null>> {
    return answered(async () => {
      const claim = this.#claim
      if (!claim) throw new Error('begin before claim')
      const settled = await settleRoom(claim, {
        room: this.#sim.room,
        locks: this.#locks,
        identities: this.#identities,
        clock: this.thread.clock,
        registrar: this.#registrar,
        settings: request.settings,
        machineVersion: this.#abilities(this.#selfOf(claim)).canApply,
        inMemory: false,
        randomText: () => `room-${this.#sim.world.prng.fork(`room of ${this.thread.name}`).text()}`,
      })
      const tokenFloor = Math.max(request.tokenFloor, await this.#identities.tokenFloor())
      this.#start(claim, request, { ...settled, tokenFloor })
      return null
    })
  }

  call<T extends CallType>(call: Extract<Call, { type: T }>): Promise<Reply<Answers[T]>> {
    return new Promise((resolve) => {
      if (this.#host) this.#host.call<T>(call, resolve)
      else resolve({ ok: false, failure: { code: 'room-left', message: 'the room has not been joined' } })
      if (call.type === 'leave') this.#host?.leave()
    })
  }

  notice(notice: Notice): void {
    this.#host?.notice(notice)
  }

  #start(
    claim: Claim,
    request: BeginRequest,
    { stored, expectedRoomId, tokenFloor }: Settled & { readonly tokenFloor: number },
  ): void {
    const { peerId, storage } = claim
    const self = this.#selfOf(claim)
    const { room } = this.#sim
    this.#watch = new DeathWatch(room, this.#locks, this.thread.clock, (life) => this.#died(life))
    this.#residents = new Residents({
      room,
      locks: this.#locks,
      identities: this.#identities,
      onDead: (life) => this.#died(life),
      start: (dead, disk) => this.#startResident(dead, disk),
    })
    const attic = this.#browser.atticOf(this.thread)
    this.#tidying = new Tidying({ room, self: peerId, locks: this.#locks, attic, clock: this.thread.clock })
    const record = this.#createHost(self, storage, {
      stored,
      expectedRoomId,
      learnerOnly: request.learnerOnly,
      settings: request.settings,
      state: request.state,
      tokenFloor,
      shared: request.shared,
      emit: (event) => {
        if (event.type === 'reset' && event.successor) this.#leaveHistory(peerId, event, event.successor)
        else this.#heard(event)
      },
      joined: (roomId) => void this.#remember(roomId),
      foundedAnew: (roomId) => {
        this.#sim.world.note(`${peerId} founds the room anew as ${roomId}`)
        void knowRoom({ room, locks: this.#locks, identities: this.#identities }, roomId)
      },
      met: (peer) => {
        if (peer.browserId === this.#browser.id) this.#watch?.watch(peer)
      },
      parted: (life) => this.#watch?.unwatch(life),
      stopped: () => this.#end(),
    })
    this.#host = record.host
    record.host.start()
    this.#lookAfterResidents()
  }

  #selfOf({ peerId, storage }: Claim): Self {
    return { peerId, incarnation: storage.incarnation, browserId: this.#browser.id, resident: false }
  }

  #abilities(self: Self): Abilities {
    return { ...productAbilities, ...this.#sim.options.surgery.abilities?.(self) }
  }

  #heard(event: HostEvent): void {
    if (event.type === 'status') {
      const since = this.#leaderlessSince ?? this.thread.clock.now().monotonic
      this.#leaderlessSince = event.status.raftLeader === null ? since : null
    }
    this.#emit(event)
  }

  #createHost(self: Self, storage: Storage, wiring: Wiring): HostRecord {
    const { surgery, snapshotSizes, idleAfter } = this.#sim.options
    const { peerId, incarnation } = self
    const station = {
      peerId,
      life: lifeOf(incarnation),
      browser: this.#browser.id,
      thread: this.thread,
      isResident: self.resident,
    }
    const network = this.#sim.ether.join(station)
    const histories = this.#sim.world.prng.fork(`histories of ${peerId} ${lifeOf(incarnation)}`)
    const host = new Host({
      self,
      storage,
      stored: wiring.stored,
      expectedRoomId: wiring.expectedRoomId,
      clock: surgery.hostClock?.(this.thread.clock) ?? this.thread.clock,
      soon: (run) => this.thread.post(0, 'settles', run),
      networks: [surgery.network?.(network, self) ?? network],
      relays: new PeerRelayNetwork({
        ...{ peerId, incarnation, secret: this.#secretOf(self) },
        patience: self.resident ? residentPatienceMs : patienceMs,
      }),
      seed: this.#sim.world.prng.fork(`host ${peerId} ${lifeOf(incarnation)}`).uint32(),
      randomText: () => histories.text(),
      tokenFloor: wiring.tokenFloor,
      shared: wiring.shared,
      learnerOnly: wiring.learnerOnly,
      settings: wiring.settings,
      state: wiring.state,
      snapshotSizes,
      ...(idleAfter !== null && { idleAfter }),
      abilities: this.#abilities(self),
      emit: wiring.emit,
      listener: {
        joined: ({ roomId }) => wiring.joined(roomId),
        foundedAnew: ({ roomId }) => wiring.foundedAnew(roomId),
        met: wiring.met,
        parted: wiring.parted,
        handedOver: (to) => {
          this.#sim.world.coverage.hit('host handed leadership to a better peer')
          this.#sim.world.note(`${peerId} hands over to ${to}`)
        },
        applied: (entry, machine) => this.#sim.applied(record, entry, machine),
        stopped: (failure) => {
          record.stopped = failure
          this.#sim.world.coverage.hit(failure ? `host stopped: ${failure.code}` : 'host left')
          this.#sim.world.note(`host ${peerId} stops${failure ? `: ${failure.message}` : ''}`)
          // A failed assertion, and not a disk that failed: somebody was wrong about itself.
          if (failure?.message.startsWith('this peer stopped itself'))
            this.#sim.world.convict('invariant', failure.message)
          wiring.stopped()
        },
      },
    })
    const record: HostRecord = { self, host, thread: this.thread, browser: this.#browser, network, stopped: undefined }
    this.#records.push(record)
    this.#sim.hostStarted(record)
    return record
  }

  #secretOf({ peerId, incarnation }: Self): Uint8Array {
    const prng = this.#sim.world.prng.fork(`secret ${peerId} ${lifeOf(incarnation)}`)
    return Uint8Array.from({ length: 32 }, () => prng.integer(0, 255))
  }

  #startResident(peerId: PeerId, storage: Storage): Resident {
    let archiving: Promise<void> | null = null
    const self = { peerId, incarnation: storage.incarnation, browserId: this.#browser.id, resident: true }
    const record = this.#createHost(self, storage, {
      stored: storage.stored,
      expectedRoomId: storage.stored.lineage?.roomId ?? null,
      learnerOnly: true,
      settings: this.#sim.options.settings,
      state: null,
      tokenFloor: 0,
      shared: null,
      emit: (event) => {
        if (event.type === 'reset' && event.successor) archiving = this.#archive(peerId, event.successor)
      },
      joined: () => {},
      foundedAnew: () => {},
      met: () => {},
      parted: () => {},
      stopped: () => {},
    })
    this.#sim.world.note(`${this.thread.name} takes in ${peerId}`)
    const { host } = record
    host.start()
    return {
      get isOver() {
        return record.stopped !== undefined
      },
      get archiving() {
        return archiving
      },
      get unreachableVoters() {
        return host.unreachableVoters
      },
      get configuration() {
        const { configuration, configurationIndex, commitIndex } = host.status
        return configurationIndex <= commitIndex ? configuration : null
      },
      stop: () => host.leave(),
    }
  }

  #died(life: { readonly peerId: PeerId; readonly incarnation: Self['incarnation'] }): void {
    this.#sim.world.coverage.hit('host proof of death')
    this.#sim.world.note(`${this.thread.name} has proof that ${life.peerId} ${lifeOf(life.incarnation)} is dead`)
    for (const { network } of this.#records) network.peerGone(life.peerId, lifeOf(life.incarnation))
    this.#host?.provenDead(life)
    this.#adoptNow(life.peerId)
  }

  /** L4: without the vote of the one who has just died nobody can lead, so nobody needs to be waited for. */
  #adoptNow(peerId: PeerId): void {
    const host = this.#host
    if (!host) return
    const { leader, configuration } = host.status
    const { voters } = configuration
    if (leader !== null || !voters.includes(peerId) || !isQuorumGone(voters, [...host.unreachableVoters, peerId]))
      return
    void this.#residents
      ?.adopt([peerId])
      .catch((error: unknown) => this.#sim.world.convict('uncaught', `residents: ${String(error)}`))
  }

  async #remember(roomId: string): Promise<void> {
    if ((await this.#identities.roomId()) === null) await this.#identities.setRoomId(roomId)
    await this.#registrar?.register(roomId, true).catch(() => {})
  }

  #leaveHistory(peerId: PeerId, event: HostEvent, successor: Successor): void {
    this.#sim.world.coverage.hit('host went over to another history')
    this.#archiving = this.#archive(peerId, successor).then(() => this.#heard(event))
  }

  #archive(peerId: PeerId, successor: Successor): Promise<void> {
    this.#sim.world.note(`${this.thread.name} leaves the history of ${peerId} for ${successor.roomId}`)
    return leaveHistory({ room: this.#sim.room, locks: this.#locks, identities: this.#identities }, peerId, successor)
  }

  #lookAfterResidents(): void {
    this.thread.clock.after(adoptAfter, () => {
      const host = this.#host
      if (!host) return
      this.#residents?.review()
      void this.#tidying?.look(host).then((forgotten) => {
        for (const peerId of forgotten) this.#sim.world.note(`${this.thread.name} forgets ${peerId}`)
        if (forgotten.length > 0) this.#sim.world.coverage.hit('browser identity forgotten')
      })
      const missing = host.unreachableVoters
      const leaderlessFor =
        this.#leaderlessSince === null ? 0 : this.thread.clock.now().monotonic - this.#leaderlessSince
      // What this tab's own log says may be old: in the end whoever has died here is taken in.
      const isKnown = host.status.configuration.voters.length > 0 && leaderlessFor < adoptAllAfter
      const report = (error: unknown) => this.#sim.world.convict('uncaught', `residents: ${String(error)}`)
      if (missing.length > 0 && host.status.leader !== null) void this.#residents?.prove(missing).catch(report)
      else if (leaderlessFor >= adoptAfter)
        void this.#residents?.adopt(isKnown ? [...missing, ...(this.#residents?.missing ?? [])] : null).catch(report)
      this.#lookAfterResidents()
    })
  }

  #end(): void {
    this.#host = null
    this.#watch?.close()
    this.#residents?.close()
    void this.#archiving.then(() => this.#claim?.lock.release())
  }
}

interface Wiring {
  readonly stored: StoredState
  readonly expectedRoomId: string | null
  readonly learnerOnly: boolean
  readonly settings: RoomSettings
  readonly state: Uint8Array | null
  readonly tokenFloor: number
  readonly shared: Shared | null
  readonly emit: (event: HostEvent) => void
  readonly joined: (roomId: string) => void
  readonly foundedAnew: (roomId: string) => void
  readonly met: (peer: {
    readonly peerId: PeerId
    readonly browserId: string
    readonly resident: boolean
    readonly incarnation: Self['incarnation']
  }) => void
  readonly parted: (life: Pick<Self, 'peerId' | 'incarnation'>) => void
  readonly stopped: () => void
}

async function answered<T>(run: () => Promise<T>): Promise<Reply<T>> {
  try {
    return { ok: true, value: await run() }
  } catch (error) {
    const failure = failureIn(error)
    if (failure) return { ok: false, failure }
    const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
    return { ok: false, failure: { code: 'storage', message } }
  }
}
