/**
 * The page's side of the mesh: one WebRTC connection per remote peer that it is told of, redialed for as long as it is
 * wanted. Channels go to the worker as they are made; frames of the page itself (goodbyes, M1) go over simple-peer's own
 * channel. Signals travel by whatever the caller has, and are to be authenticated before they come here.
 */

import type { Failure } from '../shared/failure.js'
import type { DownReason } from './link.js'
import { MeshRemote, type RemoteState } from './mesh-remote.js'
import { foreignVersion, parseMeshMessage } from './mesh-signal.js'
import { systemTimers, type Timers } from './timers.js'

/** PLATFORM 29: beyond this a full mesh of data channels does not hold. */
export const meshPeersMax = 32

export interface MeshEvents {
  /**
   * In the task that made the channels: hand them to the worker there and then (`handOver`), or they cannot be transferred
   * (PLATFORM 3). They are not open yet, and `onClosed` may follow without their ever having been.
   */
  onConnection(connection: MeshConnectionEvent): void
  /** Once per connection that `onConnection` told of, and for attempts that did not come so far. */
  onClosed(closed: { peerId: string; connectionId: string; reason: DownReason }): void
  /** For display. `connected` holds while ICE calls a connection failed and it may still heal (PLATFORM 27). */
  onState?(peerId: string, state: RemoteState): void
  /** What the other page sent with `sendPageFrame`. Not validated. */
  onPageFrame?(peerId: string, bytes: Uint8Array): void
  /** That page signals in a version that is not spoken here: no connection will come about. At each of its attempts. */
  onForeign?(peerId: string, version: number): void
  /** Nothing can be dialed in this browser. Once. */
  onFailure?(failure: Failure): void
}

export interface MeshConnectionEvent {
  readonly peerId: string
  readonly connectionId: string
  readonly control: RTCDataChannel
  readonly bulk: RTCDataChannel
}

export interface MeshOptions {
  readonly peerId: string
  readonly iceServers?: RTCIceServer[]
  /** Best effort: what is lost is made good by the next attempt. Must not throw. */
  readonly sendSignal: (to: string, data: string) => void
  readonly events: MeshEvents
  readonly timers?: Timers
  readonly random?: () => number
}

export class MeshManager {
  readonly #options: MeshOptions
  readonly #remotes = new Map<string, MeshRemote>()
  /** Not wanted any more, and not closed yet. */
  readonly #dismissed = new Set<MeshRemote>()
  #isDestroyed = false
  #isUnsupported = false

  constructor(options: MeshOptions) {
    this.#options = options
  }

  /**
   * Exactly these peers are wanted, the most important first: those beyond `meshPeersMax` are not connected to. The own id is
   * left out. `isPassive`: what there is stays and what is asked for is answered, but nothing is dialed or asked for.
   */
  setPeers(peers: Iterable<{ readonly peerId: string; readonly isPassive?: boolean }>): void {
    const others = [...peers].filter(({ peerId }) => peerId !== this.#options.peerId)
    const wanted = new Map(others.slice(0, meshPeersMax).map(({ peerId, isPassive = false }) => [peerId, isPassive]))
    for (const peerId of [...this.#remotes.keys()]) if (!wanted.has(peerId)) this.removePeer(peerId)
    for (const [peerId, isPassive] of wanted) this.addPeer(peerId, isPassive)
  }

  /** Idempotent. A peer beyond `meshPeersMax` is not connected to. */
  addPeer(peerId: string, isPassive = false): void {
    this.#remotes.get(peerId)?.setPassive(isPassive)
    if (this.#isDestroyed || peerId === this.#options.peerId || this.#remotes.has(peerId)) return
    if (!this.#isSupported() || this.#remotes.size >= meshPeersMax) return
    const { sendSignal, iceServers = [], timers = systemTimers, random = Math.random } = this.#options
    const { events } = this.#options
    const remote = new MeshRemote({
      isDialer: this.#options.peerId < peerId,
      iceServers,
      timers,
      random,
      events: {
        sendSignal: (text) => sendSignal(peerId, text),
        onConnection: (connectionId, control, bulk) => events.onConnection({ peerId, connectionId, control, bulk }),
        onClosed: (connectionId, reason) => events.onClosed({ peerId, connectionId, reason }),
        onState: (state) => events.onState?.(peerId, state),
        onPageFrame: (bytes) => events.onPageFrame?.(peerId, bytes),
      },
    })
    this.#remotes.set(peerId, remote)
    remote.setPassive(isPassive)
    remote.ensure()
  }

  /**
   * Gives its connections up: lost, and not closed, since the other side would take that for a goodbye of a peer that lives on
   * (M1).
   */
  removePeer(peerId: string): void {
    const remote = this.#remotes.get(peerId)
    if (!remote) return
    this.#remotes.delete(peerId)
    this.#dismissed.add(remote)
    remote.dismiss(() => this.#dismissed.delete(remote))
  }

  /**
   * Anything may come here: what is not a message for an attempt of this mesh is dropped. True: this peer is not wanted, and asks
   * for a connection.
   */
  receiveSignal(from: string, data: string): boolean {
    const remote = this.#remotes.get(from)
    const message = parseMeshMessage(data)
    const foreign = message || !remote ? undefined : foreignVersion(data)
    if (foreign !== undefined) this.#options.events.onForeign?.(from, foreign)
    if (!message) return false
    remote?.receive(message)
    return !remote && (message.kind === 'want' || message.signal.type === 'offer')
  }

  /** On `online`, `visibilitychange`, `pageshow`: does not wait for back-offs. */
  kick(): void {
    for (const remote of this.#remotes.values()) remote.kick()
  }

  /** What was signaled to that peer may not have come: whatever is not connected with it begins anew. */
  restart(peerId: string): void {
    this.#remotes.get(peerId)?.restart()
  }

  /** The worker has ended the link. The peer is dialed anew for as long as it is wanted. */
  closeConnection(connectionId: string): void {
    for (const remote of this.#remotes.values()) if (remote.retire(connectionId)) return
  }

  /** False: not sent, since no connection to that page is open. */
  sendPageFrame(peerId: string, bytes: Uint8Array): boolean {
    return this.#remotes.get(peerId)?.sendPageFrame(bytes) ?? false
  }

  /** DTLS fingerprints of both ends once both descriptions are known: an authentication is bound to them. */
  fingerprints(connectionId: string): { local: string; remote: string } | undefined {
    for (const remote of this.#remotes.values()) {
      const connection = remote.connection(connectionId)
      if (connection) return connection.fingerprints()
    }
    return undefined
  }

  /** Closes everything before it returns and tells of nothing: in `pagehide` (PLATFORM 17, 24). */
  destroy(): void {
    this.#isDestroyed = true
    for (const remote of [...this.#remotes.values(), ...this.#dismissed]) remote.destroy()
    this.#remotes.clear()
    this.#dismissed.clear()
  }

  #isSupported(): boolean {
    if (typeof RTCPeerConnection === 'function') return true
    if (!this.#isUnsupported) {
      this.#isUnsupported = true
      const message =
        'this browser, or its settings, has no RTCPeerConnection: peers in other browsers cannot be reached'
      // Later, so that a caller never hears of it inside its own call.
      queueMicrotask(() =>
        this.#options.events.onFailure?.({ code: 'unsupported', message, details: { missing: 'webrtc' } }),
      )
    }
    return false
  }
}
