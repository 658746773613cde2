/** One peer in its worker: claims an identity, finds or founds the room, and runs the host on what the browser has. */
import type { Remote } from 'comlink'
import { type Claim, claimIdentity, settleRoom } from '../host/boot.js'
import type { Registrar } from '../host/browser.js'
import { DeathWatch } from '../host/death-watch.js'
import { Host } from '../host/host.js'
import { failureIn, HostFailure } from '../host/host-failure.js'
import type { Answers, Call, CallType, Notice, Reply } from '../host/page.js'
import { type Resident, Residents } from '../host/residents.js'
import { BroadcastNetwork } from '../network/broadcast-channel.js'
import { DataChannelNetwork } from '../network/data-channel.js'
import type { Network } from '../network/link.js'
import { MemoryHub } from '../network/memory.js'
import type { Incarnation, PeerId } from '../raft/entry.js'
import type { Failure } from '../shared/failure.js'
import { lifeOf } from '../shared/life.js'
import { systemClock } from '../shared/system-clock.js'
import { Identities, randomText } from '../storage/identities.js'
import type { Storage, StoredState } from '../storage/storage.js'
import type {
  BeginRequest,
  Claimed,
  ClaimRequest,
  Handover,
  RegistrarApi,
  WorkerApi,
  WorkerMessage,
} from './protocol.js'
import { BrowserLocks } from './worker-locks.js'

/** Without a leader for this long, dead tabs' nodes are looked for, and then every so often (L4), ms. */
const adoptAfter = 400
/** ... and all of them after this, whoever votes as far as this tab knows, ms. */
const adoptAllAfter = 3_000

export class WorkerPeer implements WorkerApi {
  readonly #post: (message: WorkerMessage) => void
  readonly #locks = new BrowserLocks()
  readonly #channels = new DataChannelNetwork({
    onEnded: (connectionId) => this.#post({ comity: 'ended', connectionId }),
  })
  /** Links hosts of this very worker: the page's own and the residents. */
  readonly #hub = new MemoryHub()
  #room = ''
  #browserId = ''
  #identities: Identities | null = null
  #claim: Claim | null = null
  #host: Host | null = null
  #watch: DeathWatch | null = null
  #residents: Residents | null = null
  #broadcasts = new Set<BroadcastNetwork>()
  #leaderlessSince: number | null = null
  #registrar: Registrar | null = null

  constructor(post: (message: WorkerMessage) => void) {
    this.#post = post
  }

  async claim(request: ClaimRequest): Promise<Reply<Claimed>> {
    return answered('storage', async () => {
      this.#room = request.room
      const identities = await Identities.openRegistry(request.room)
      this.#identities = identities
      this.#browserId = await identities.browserId()
      const options = { room: request.room, locks: this.#locks, identities, clock: systemClock }
      this.#claim = await claimIdentity(options, request.preferred)
      const { peerId, storage } = this.#claim
      return { peerId, browserId: this.#browserId, incarnation: storage.incarnation, storage: 'indexeddb' as const }
    })
  }

  async begin(request: BeginRequest, registrar: Remote<RegistrarApi> | RegistrarApi | null): Promise<Reply<null>> {
    return answered('storage', async () => {
      const claim = this.#claim
      const identities = this.#identities
      if (!claim || !identities) throw new Error('begin before claim')
      this.#registrar = registrar && registrarOf(registrar)
      const settled = await settleRoom(claim, {
        room: this.#room,
        locks: this.#locks,
        identities,
        clock: systemClock,
        registrar: this.#registrar,
        settings: request.settings,
        randomText,
      })
      this.#start(claim, request, settled.stored, settled.expectedRoomId, identities)
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

  #start(
    claim: Claim,
    request: BeginRequest,
    stored: StoredState,
    expectedRoomId: string | null,
    identities: Identities,
  ): void {
    const { peerId, storage } = claim
    const self = { peerId, incarnation: storage.incarnation, browserId: this.#browserId, resident: false }
    this.#watch = new DeathWatch(this.#room, this.#locks, systemClock, (life) => this.#died(life))
    this.#residents = new Residents({
      room: this.#room,
      locks: this.#locks,
      identities,
      onDead: (life) => this.#died(life),
      start: (dead, disk) => this.#startResident(dead, disk, request),
    })
    const host = new Host({
      self,
      storage,
      stored,
      expectedRoomId,
      clock: systemClock,
      networks: this.#networks(peerId, storage.incarnation, request.links, [this.#channels]),
      seed: randomSeed(),
      learnerOnly: request.learnerOnly,
      state: request.state,
      emit: (event) => {
        if (event.type === 'status') {
          const since = this.#leaderlessSince ?? performance.now()
          this.#leaderlessSince = event.status.raftLeader === null ? since : null
        }
        this.#post({ comity: 'event', event })
      },
      listener: {
        joined: ({ roomId }) => void this.#remember(roomId, identities),
        met: (peer) => {
          if (peer.browserId === this.#browserId) this.#watch?.watch(peer)
        },
        parted: (life) => this.#watch?.unwatch(life),
        stopped: () => this.#end(),
      },
    })
    this.#host = host
    claim.lock.onlost = () => host.fail({ code: 'storage', message: 'the browser took the lock of this identity away' })
    host.start()
    this.#lookAfterResidents()
  }

  #startResident(peerId: PeerId, storage: Storage, request: BeginRequest): Resident {
    let isOver = false
    const host = new Host({
      self: { peerId, incarnation: storage.incarnation, browserId: this.#browserId, resident: true },
      storage,
      stored: storage.stored,
      expectedRoomId: storage.stored.lineage?.roomId ?? null,
      clock: systemClock,
      networks: this.#networks(peerId, storage.incarnation, request.links, []),
      seed: randomSeed(),
      learnerOnly: true,
      state: null,
      emit: () => {},
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
  }

  /** N1: this browser carries the room now, and a server that restarts is to hear of it from everyone who does. */
  async #remember(roomId: string, identities: Identities): Promise<void> {
    if ((await identities.roomId()) === null) await identities.setRoomId(roomId)
    await this.#registrar?.register(roomId, true).catch(() => {})
  }

  /** Looks on a timer of its own: a room without a leader is silent. */
  #lookAfterResidents(): void {
    systemClock.after(adoptAfter, () => {
      const host = this.#host
      if (!host) return
      this.#residents?.review()
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

  #leave(): void {
    this.#host?.leave()
  }

  #end(): void {
    this.#host = null
    this.#watch?.close()
    this.#residents?.close()
    this.#claim?.lock.release()
    this.#identities?.close()
  }
}

async function answered<T>(code: Failure['code'], run: () => Promise<T>): Promise<Reply<T>> {
  try {
    return { ok: true, value: await run() }
  } catch (error) {
    const failure = failureIn(error)
    if (failure) return { ok: false, failure }
    const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
    return { ok: false, failure: { code, message } }
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

function randomSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0] ?? 1
}
