/** What a page does for its peer's links to other browsers: signaling, dialing, and carrying what cannot be transferred. */
import type { WorkerPort } from '../bridge/client.js'
import type { Claimed, RegistrarApi } from '../bridge/protocol.js'
import type { Goodbye, MemberRecord, Reply } from '../host/page.js'
import { type MeshConnectionEvent, MeshManager } from '../network/mesh.js'
import { handOver } from '../network/webrtc.js'
import type { Failure } from '../shared/failure.js'
import { SignalingClient, type SignalingEvent, SignalingFailure } from '../signaling/client.js'
import type { RoomConnection } from './connection.js'
import type { Joining } from './options.js'
import { TabSignaling } from './tab-signaling.js'
import { Topology } from './topology.js'

export interface PageNetworkEvents {
  /** No signaling server was reached at first, or all refused. */
  failed(failure: Failure): void
}

export class PageNetwork {
  readonly #joining: Joining
  readonly #claimed: Claimed
  readonly #port: WorkerPort
  readonly #connection: RoomConnection
  readonly #events: PageNetworkEvents
  readonly #signaling: SignalingClient | null
  readonly #tabs: TabSignaling | null
  readonly #mesh: MeshManager
  readonly #topology = new Topology()
  /** Whom signaling shows, with their browsers. */
  readonly #visible = new Map<string, string>()
  readonly #unlisten: () => void
  #members: readonly MemberRecord[] = []
  #entered: { readonly promise: Promise<string | null>; resolve(roomId: string | null): void }
  #again: ReturnType<typeof setTimeout> | null = null
  #isEntered = false
  #isSignalingUp = false

  constructor(
    joining: Joining,
    claimed: Claimed,
    port: WorkerPort,
    connection: RoomConnection,
    events: PageNetworkEvents,
  ) {
    this.#joining = joining
    this.#claimed = claimed
    this.#port = port
    this.#connection = connection
    this.#events = events
    let resolve: (roomId: string | null) => void = () => {}
    const promise = new Promise<string | null>((settle) => {
      resolve = settle
    })
    this.#entered = { promise, resolve }
    this.#mesh = this.#createMesh()
    this.#signaling = joining.urls.length > 0 ? this.#createSignaling() : null
    this.#tabs = joining.links === 'webrtc' ? this.#createTabs() : null
    this.#unlisten = connection.listen({ signal: (from, text) => this.#receiveSignal(from, text) })
    port.onended = (connectionId) => this.#mesh.closeConnection(connectionId)
    this.#signaling?.connect()
  }

  /** For the worker: where the room's id is registered (N1); null without servers. */
  get registrar(): RegistrarApi | null {
    const signaling = this.#signaling
    if (!signaling) return null
    return {
      lookUp: async () => ({ ok: true, value: await this.#entered.promise }),
      register: (roomId, existing) => settled(signaling.register(roomId, existing)),
    }
  }

  /** The network may be back: dial at once. */
  kick(): void {
    this.#signaling?.kick()
    this.#mesh.kick()
  }

  setMembers(members: readonly MemberRecord[]): void {
    this.#members = members
    this.#wantPeers()
  }

  /** M1: by simple-peer's own channel; those of tabs of this browser are posted elsewhere. */
  sendGoodbyes(goodbyes: readonly Goodbye[]): void {
    for (const { peerId, link, frame } of goodbyes) {
      if (link === 'webrtc' || link === 'webrtc-relayed') this.#mesh.sendPageFrame(peerId, frame)
    }
  }

  /** Synchronous, for `pagehide`. */
  close(): void {
    this.#unlisten()
    if (this.#again !== null) clearTimeout(this.#again)
    this.#again = null
    this.#mesh.destroy()
    this.#tabs?.close()
    this.#signaling?.close()
  }

  #createMesh(): MeshManager {
    const { peerId } = this.#claimed
    return new MeshManager({
      peerId,
      iceServers: this.#joining.iceServers,
      sendSignal: (to, data) => this.#sendSignal(to, data),
      events: {
        onConnection: (connection) => this.#hand(connection),
        onClosed: ({ connectionId, reason }) => this.#port.disconnect(connectionId, reason),
        onPageFrame: (from, bytes) => this.#connection.pageFrame(from, bytes),
        onForeign: (from, version) => this.#connection.foreign(from, version),
        onFailure: (failure) => this.#events.failed(failure),
      },
    })
  }

  #hand({ peerId, connectionId, control, bulk }: MeshConnectionEvent): void {
    const transfer = this.#joining.channels === 'page' ? 'never' : 'auto'
    handOver(control, bulk, (handed) => this.#port.connect({ peerId, connectionId, ...handed }), transfer)
  }

  #createSignaling(): SignalingClient {
    const { urls, room, token } = this.#joining
    const { peerId, browserId, incarnation } = this.#claimed
    return new SignalingClient({
      urls,
      room,
      peerId,
      browserId,
      incarnation: incarnation.counter,
      ...(token && { token }),
      onEvent: (event) => this.#onSignaling(event),
    })
  }

  #onSignaling(event: SignalingEvent): void {
    switch (event.type) {
      case 'up':
        if (!this.#isEntered) this.#entered.resolve(event.roomId)
        this.#isEntered = true
        this.#isSignalingUp = true
        this.#visible.clear()
        for (const { peerId, browserId } of event.peers) this.#see(peerId, browserId)
        this.#wantPeers()
        this.#mesh.kick()
        break
      case 'down':
        this.#isSignalingUp = false
        break
      case 'peer-entered':
        this.#see(event.peerId, event.browserId)
        this.#wantPeers()
        break
      case 'peer-left':
        this.#visible.delete(event.peerId)
        this.#wantPeers()
        break
      case 'signal':
        this.#receiveSignal(event.from, event.data)
        break
      case 'failed':
        this.#events.failed(event.failure)
        break
    }
  }

  /**
   * It has entered the server's room, or this page has: what the two have signaled before may have gone with the server, or with the
   * other half of an attempt, and nobody would answer it any more.
   */
  #see(peerId: string, browserId: string): void {
    this.#visible.set(peerId, browserId)
    this.#mesh.restart(peerId)
  }

  #createTabs(): TabSignaling {
    const { room } = this.#joining
    return new TabSignaling(room, this.#claimed.peerId, {
      entered: (peerId) => {
        this.#visible.set(peerId, this.#claimed.browserId)
        this.#wantPeers()
      },
      signal: (from, data) => this.#receiveSignal(from, data),
    })
  }

  /** By whatever sees that peer; where no server does, the peers in between pass it on. */
  #sendSignal(to: string, data: string): void {
    if (this.#tabs?.send(to, data)) return
    const isSent = this.#isSignalingUp && this.#visible.has(to) && this.#signaling?.signal(to, data)
    if (!isSent) this.#connection.sendSignal(to, data)
  }

  #receiveSignal(from: string, data: string): void {
    if (!this.#mesh.receiveSignal(from, data)) return
    // It may need what this side does not.
    this.#topology.asked(from, performance.now())
    this.#wantPeers()
    this.#mesh.receiveSignal(from, data)
  }

  /**
   * Of whoever can be seen, and whoever belongs to the room: a link outlives the server that made it. Tabs of this browser have
   * links of their own.
   */
  #wantPeers(): void {
    const { peerId: self, browserId: here } = this.#claimed
    const isAbroad = (browserId: string) => this.#joining.links === 'webrtc' || browserId !== here
    const members = this.#members.filter(({ peerId, browserId }) => peerId === self || isAbroad(browserId))
    const visible = [...this.#visible].filter(([, browserId]) => isAbroad(browserId)).map(([peerId]) => peerId)
    const { peers, againIn } = this.#topology.wanted({ self, members, visible }, performance.now())
    if (this.#again !== null) clearTimeout(this.#again)
    this.#again = againIn === null ? null : setTimeout(() => this.#wantPeers(), againIn)
    this.#mesh.setPeers(peers)
  }
}

async function settled(promise: Promise<string>): Promise<Reply<string>> {
  try {
    return { ok: true, value: await promise }
  } catch (error) {
    if (error instanceof SignalingFailure) return { ok: false, failure: error.failure }
    return { ok: false, failure: { code: 'signaling', message: String(error) } }
  }
}
