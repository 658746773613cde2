/** One peer in its worker: claims an identity, finds or founds the room, and runs the host on what the browser has. */
import type { Remote } from 'comlink'
import { productAbilities } from '../host/abilities.js'
import { knowRoom, leaveHistory, type Settled, settleRoom } from '../host/boot.js'
import type { HeldLock, IdentityStore, Registrar } from '../host/browser.js'
import { DeathWatch } from '../host/death-watch.js'
import { Host } from '../host/host.js'
import { failureIn, HostFailure } from '../host/host-failure.js'
import type { Answers, Call, CallType, HostEvent, Notice, Reply, Successor } from '../host/page.js'
import { isQuorumGone, type Resident, Residents } from '../host/residents.js'
import { Tidying } from '../host/tidying.js'

import { BroadcastNetwork } from '../network/broadcast-channel.js'
import { DataChannelNetwork } from '../network/data-channel.js'
import type { Network } from '../network/link.js'
import { MemoryHub } from '../network/memory.js'
import { PeerRelayNetwork, patienceMs, residentPatienceMs } from '../network/peer-relay.js'
import type { Incarnation, PeerId } from '../raft/entry.js'
import { afterQueued } from '../shared/after-queued.js'
import { lifeOf, memoryRoomLockName } from '../shared/life.js'
import { StorageFault, storageFailure } from '../shared/storage-fault.js'
import { systemClock } from '../shared/system-clock.js'
import { randomText } from '../storage/identities.js'
import type { Storage } from '../storage/storage.js'
import type {
  BeginRequest,
  Claimed,
  ClaimRequest,
  Handover,
  RegistrarApi,
  WorkerApi,
  WorkerMessage,
} from './protocol.js'
import { claim, type Kept } from './worker-claim.js'
import { BrowserLocks } from './worker-locks.js'

/** Without a leader for this long, dead tabs' nodes are looked for, and then every so often (L4), ms. */
const adoptAfter = 400
/** ... and all of them after this, whoever votes as far as this tab knows, ms. */
const adoptAllAfter = 3_000

type Founded = Settled & { readonly tokenFloor: number }

export class WorkerPeer implements WorkerApi {
  readonly #post: (message: WorkerMessage) => void
  readonly #locks = new BrowserLocks()
  readonly #channels = new DataChannelNetwork({
    onEnded: (connectionId) => this.#post({ comity: 'ended', connectionId }),
  })
  /** Links hosts of this very worker: the page's own and the residents. */
  readonly #hub = new MemoryHub()
  #room = ''
  #kept: Kept | null = null
  /** The room is carried in this memory: other tabs of the browser found it no second time (N1). */
  #carrier: HeldLock | null = null
  readonly #ended = new AbortController()
  #host: Host | null = null
  #watch: DeathWatch | null = null
  #residents: Residents | null = null
  #tidying: Tidying | null = null
  #broadcasts = new Set<BroadcastNetwork>()
  #leaderlessSince: number | null = null
  #registrar: Registrar | null = null
  #archiving: Promise<void> = Promise.resolve()
  #isLost = false

  constructor(post: (message: WorkerMessage) => void) {
    this.#post = post
  }

  async claim(request: ClaimRequest): Promise<Reply<Claimed>> {
    return answered(async () => {
      this.#room = request.room
      this.#kept = await claim(request, this.#locks)
      const { browserId, storage } = this.#kept
      const { peerId, storage: opened, lock } = this.#kept.claim
      lock.onlost = () => this.#lose()
      return { peerId, browserId, incarnation: opened.incarnation, storage }
    })
  }

  async begin(request: BeginRequest, registrar: Remote<RegistrarApi> | RegistrarApi | null): Promise<Reply<null>> {
    return answered(async () => {
      const kept = this.#kept
      if (!kept || this.#isLost) throw new Error('begin without a claim')
      this.#registrar = registrar && registrarOf(registrar)
      const settled = await settleRoom(kept.claim, {
        room: this.#room,
        locks: this.#locks,
        identities: kept.identities,
        clock: systemClock,
        registrar: this.#registrar,
        settings: request.settings,
        machineVersion: productAbilities.canApply,
        randomText,
        inMemory: kept.storage === 'memory',
      })
      this.#carrier = settled.carrier
      const tokenFloor = Math.max(request.tokenFloor, await kept.identities.tokenFloor())
      this.#start(kept, request, { ...settled, tokenFloor })
      return null
    })
  }

  call<T extends CallType>(call: Extract<Call, { type: T }>): Promise<Reply<Answers[T]>> {
    return new Promise((resolve) => {
      if (this.#host) this.#host.call<T>(call, resolve)
      else resolve({ ok: false, failure: { code: 'room-left', message: 'the room has not been joined' } })
      if (call.type === 'leave') this.#leave()
    })
  }

  notice(notice: Notice): void {
    this.#host?.notice(notice)
  }

  connect({ peerId, connectionId, kind, control, bulk }: Handover): void {
    this.#channels.add(peerId, connectionId, control, bulk, kind)
  }

  disconnect(connectionId: string, reason: 'local' | 'remote' | 'lost'): void {
    this.#channels.closeConnection(connectionId, reason)
  }

  #start(kept: Kept, request: BeginRequest, { stored, expectedRoomId, tokenFloor }: Founded): void {
    const { claim, identities, browserId, attic } = kept
    const { peerId, storage } = claim
    const self = { peerId, incarnation: storage.incarnation, browserId, resident: false }
    this.#watch = new DeathWatch(this.#room, this.#locks, systemClock, (life) => this.#died(life))
    this.#residents = new Residents({
      room: this.#room,
      locks: this.#locks,
      identities,
      onDead: (life) => this.#died(life),
      start: (dead, disk) => this.#startResident(dead, disk, request, kept),
    })
    this.#tidying =
      attic && new Tidying({ room: this.#room, self: peerId, locks: this.#locks, attic, clock: systemClock })
    const host = new Host({
      self,
      storage,
      stored,
      expectedRoomId,
      clock: systemClock,
      soon: afterQueued,
      networks: this.#networks(peerId, storage.incarnation, request.links, [this.#channels]),
      relays: relaysOf(peerId, storage.incarnation),
      seed: randomSeed(),
      randomText,
      tokenFloor,
      shared: request.shared,
      learnerOnly: request.learnerOnly,
      settings: request.settings,
      inMemory: kept.storage === 'memory',
      state: request.state,
      emit: (event) => {
        if (event.type === 'status') {
          const since = this.#leaderlessSince ?? performance.now()
          this.#leaderlessSince = event.status.raftLeader === null ? since : null
        }
        if (this.#isLost) return
        if (event.type === 'reset' && event.successor) this.#leaveHistory(peerId, event, event.successor, identities)
        else this.#post({ comity: 'event', event })
      },
      listener: {
        joined: ({ roomId }) => void this.#remember(roomId, kept),
        foundedAnew: ({ roomId }) => {
          knowRoom({ room: this.#room, locks: this.#locks, identities }, roomId).catch(reportError)
        },
        met: (peer) => {
          if (peer.browserId === browserId) this.#watch?.watch(peer)
        },
        parted: (life) => this.#watch?.unwatch(life),
        stopped: () => this.#end(),
      },
    })
    this.#host = host
    identities.whenLost((fault) => host.fail(storageFailure(fault, "this browser's registry of identities is lost")))
    host.start()
    this.#lookAfterResidents()
  }

  #startResident(peerId: PeerId, storage: Storage, request: BeginRequest, { browserId, identities }: Kept): Resident {
    let isOver = false
    let archiving: Promise<void> | null = null
    const host = new Host({
      self: { peerId, incarnation: storage.incarnation, browserId, resident: true },
      storage,
      stored: storage.stored,
      expectedRoomId: storage.stored.lineage?.roomId ?? null,
      clock: systemClock,
      soon: afterQueued,
      networks: this.#networks(peerId, storage.incarnation, request.links, []),
      relays: relaysOf(peerId, storage.incarnation, residentPatienceMs),
      seed: randomSeed(),
      randomText,
      // It has no session, and asks for no token.
      tokenFloor: 0,
      learnerOnly: true,
      state: null,
      emit: (event) => {
        if (event.type === 'reset' && event.successor) archiving = this.#archive(peerId, event.successor, identities)
      },
      listener: {
        stopped: () => {
          isOver = true
        },
      },
    })
    host.start()
    return {
      get isOver() {
        return isOver
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

  #networks(
    peerId: PeerId,
    incarnation: Incarnation,
    links: BeginRequest['links'],
    others: readonly Network[],
  ): Network[] {
    const networks: Network[] = [this.#hub.join(peerId), ...others]
    if (links === 'webrtc') return networks
    const broadcast = new BroadcastNetwork({ room: this.#room, peerId, life: lifeOf(incarnation) })
    this.#broadcasts.add(broadcast)
    return [...networks, broadcast]
  }

  #died(life: { readonly peerId: PeerId; readonly incarnation: Incarnation }): void {
    for (const broadcast of this.#broadcasts) broadcast.peerGone(life.peerId, lifeOf(life.incarnation))
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
    void this.#residents?.adopt([peerId]).catch(reportError)
  }

  /** N1: this browser carries the room now, and a server that restarts is to hear of it from everyone who does. */
  async #remember(roomId: string, { identities, storage }: Kept): Promise<void> {
    if (storage === 'memory') void this.#carry().catch(() => {})
    if ((await identities.roomId()) === null) await identities.setRoomId(roomId)
    await this.#registrar?.register(roomId, true).catch(() => {})
  }

  /** N2, N3: the page hears of it when the next life of this tab is sure to be another peer's, in the room that goes on. */
  #leaveHistory(peerId: PeerId, event: HostEvent, successor: Successor, identities: IdentityStore): void {
    this.#archiving = this.#archive(peerId, successor, identities).then(() => this.#post({ comity: 'event', event }))
  }

  #archive(peerId: PeerId, successor: Successor, identities: IdentityStore): Promise<void> {
    return leaveHistory({ room: this.#room, locks: this.#locks, identities }, peerId, successor).catch(reportError)
  }

  /** One tab after the other holds the lock, so that it is held while any of them lives. */
  async #carry(): Promise<void> {
    this.#carrier ??= await this.#locks.hold(memoryRoomLockName(this.#room), { signal: this.#ended.signal })
  }

  /** Looks on a timer of its own: a room without a leader is silent. */
  #lookAfterResidents(): void {
    systemClock.after(adoptAfter, () => {
      const host = this.#host
      if (!host) return
      this.#residents?.review()
      void this.#tidying?.look(host).catch(reportError)
      const missing = host.unreachableVoters
      const leaderlessFor = this.#leaderlessSince === null ? 0 : performance.now() - this.#leaderlessSince
      // What this tab's own log says may be old: in the end whoever has died here is taken in.
      const isKnown = host.status.configuration.voters.length > 0 && leaderlessFor < adoptAllAfter
      if (missing.length > 0 && host.status.leader !== null) void this.#residents?.prove(missing).catch(reportError)
      else if (leaderlessFor >= adoptAfter)
        void this.#residents
          ?.adopt(isKnown ? [...missing, ...(this.#residents?.missing ?? [])] : null)
          .catch(reportError)
      this.#lookAfterResidents()
    })
  }

  /** L3: another life of this identity may begin any moment. This one ends, without a word of its own: the page comes back as a new one. */
  #lose(): void {
    this.#isLost = true
    this.#post({ comity: 'lost' })
    this.#host?.fail(
      storageFailure(new StorageFault('lock-lost', 'the browser took it away'), 'the lock of this identity'),
    )
  }

  #leave(): void {
    this.#host?.leave()
  }

  #end(): void {
    this.#host = null
    this.#watch?.close()
    this.#residents?.close()
    this.#ended.abort()
    this.#carrier?.release()
    const kept = this.#kept
    void this.#archiving.then(() => {
      kept?.claim.lock.release()
      kept?.identities.close()
    })
  }
}

async function answered<T>(run: () => Promise<T>): Promise<Reply<T>> {
  try {
    return { ok: true, value: await run() }
  } catch (error) {
    const failure = failureIn(error)
    return { ok: false, failure: failure ?? storageFailure(error, 'this peer could not begin') }
  }
}

function registrarOf(api: Remote<RegistrarApi> | RegistrarApi): Registrar {
  const value = <T>(reply: Reply<T>): T => {
    if (!reply.ok) throw new HostFailure(reply.failure)
    return reply.value
  }
  return {
    lookUp: async () => value(await api.lookUp()),
    register: async (roomId, existing) => value(await api.register(roomId, existing)),
  }
}

function relaysOf(peerId: PeerId, incarnation: Incarnation, patience = patienceMs): PeerRelayNetwork {
  return new PeerRelayNetwork({ peerId, incarnation, patience, secret: crypto.getRandomValues(new Uint8Array(32)) })
}

function randomSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0] ?? 1
}
