/**
 * All that a page does to stay connected with one other page: who dials, when again, which connection counts. The peer with
 * the smaller id dials; the other answers, and asks for a dial while it has nothing.
 */

import type { DownReason } from './link.js'
import { MeshConnection } from './mesh-connection.js'
import { type MeshMessage, newConnectionId, type Signal, signalText, wantText } from './mesh-signal.js'
import type { Timers } from './timers.js'

export const redialMsMin = 200
export const redialMsMax = 5_000
/** An offer is likely on its way when a peer is first met: only then does the answering side ask. */
const firstWantMs = 300

export type RemoteState = 'connecting' | 'connected' | 'closed'

export interface RemoteEvents {
  sendSignal(text: string): void
  onConnection(connectionId: string, control: RTCDataChannel, bulk: RTCDataChannel): void
  onClosed(connectionId: string, reason: DownReason): void
  onState(state: RemoteState): void
  onPageFrame(bytes: Uint8Array): void
}

export interface RemoteOptions {
  readonly isDialer: boolean
  readonly iceServers: RTCIceServer[]
  readonly timers: Timers
  /** In [0, 1). */
  readonly random: () => number
  readonly events: RemoteEvents
}

export class MeshRemote {
  readonly #options: RemoteOptions
  /** At most one is connecting and one connected; a suspect one stays until another is connected. */
  readonly #connections = new Map<string, MeshConnection>()
  /** Ended for everybody, and not closed yet. */
  readonly #retired = new Set<MeshConnection>()
  #timer: { cancel(): void } | undefined
  #gone: () => void = () => {}
  /** Dials or requests since the last stable connection. */
  #tries = 0
  #state: RemoteState = 'closed'
  #isClosed = false
  #isPassive = false

  constructor(options: RemoteOptions) {
    this.#options = options
  }

  /** Nothing is dialed or asked for any more; what is there stays, and what the other side asks for is answered. */
  setPassive(isPassive: boolean): void {
    if (this.#isPassive === isPassive) return
    this.#isPassive = isPassive
    this.ensure()
  }

  /** Starts whatever is missing. Idempotent. */
  ensure(): void {
    if (this.#isClosed) return
    if (this.#isPassive || this.#has('connected') || this.#has('connecting')) {
      this.#timer?.cancel()
      this.#timer = undefined
    } else {
      this.#timer ??= this.#options.timers.after(this.#delayMs(), () => this.#try())
    }
    this.#tellState()
  }

  /** The network is back, or the page: what waits is tried at once, and what got no answer is tried anew. */
  kick(): void {
    if (this.#isClosed || this.#isPassive || this.#has('connected')) return
    for (const connection of this.#all('connecting')) {
      if (connection.isFresh || connection.isAnswered) return
      connection.close('lost')
    }
    this.#tries = 0
    this.#timer?.cancel()
    this.#try()
  }

  /** Signals of what is under way may be lost, and no answer to them will come. */
  restart(): void {
    if (this.#isClosed || this.#isPassive || this.#has('connected')) return
    for (const connection of this.#all('connecting')) connection.close('lost')
    this.#tries = 0
    this.#timer?.cancel()
    this.#try()
  }

  receive(message: MeshMessage): void {
    if (this.#isClosed) return
    if (message.kind === 'want') this.#onWant()
    else this.#onSignal(message.connectionId, message.signal)
  }

  /** False when no channel of the page is open. */
  sendPageFrame(bytes: Uint8Array): boolean {
    let isSent = false
    for (const connection of this.#connections.values()) isSent = connection.send(bytes) || isSent
    return isSent
  }

  /** Ends a connection on the word of the worker; the peer is dialed anew. */
  retire(connectionId: string): boolean {
    const connection = this.#connections.get(connectionId)
    if (connection) this.#retire(connection, 'local')
    return connection !== undefined
  }

  connection(connectionId: string): MeshConnection | undefined {
    return this.#connections.get(connectionId)
  }

  /** Gives everything up; `gone` is called when nothing of it is left. */
  dismiss(gone: () => void): void {
    this.#stop()
    this.#gone = gone
    for (const connection of [...this.#connections.values()]) this.#retire(connection, 'lost')
    this.#tellState()
    if (this.#retired.size === 0) gone()
  }

  destroy(): void {
    this.#stop()
    for (const connection of this.#connections.values()) connection.destroy()
    this.#connections.clear()
    this.#dropRetired()
  }

  #retire(connection: MeshConnection, reason: DownReason): void {
    this.#retired.add(connection)
    connection.retire(reason, () => {
      this.#retired.delete(connection)
      if (this.#retired.size === 0) this.#gone()
    })
  }

  #dropRetired(): void {
    for (const connection of this.#retired) connection.destroy()
    this.#retired.clear()
  }

  #stop(): void {
    this.#isClosed = true
    this.#timer?.cancel()
  }

  #try(): void {
    this.#timer = undefined
    this.#tries += 1
    if (this.#options.isDialer) {
      this.#dial()
    } else {
      this.#options.events.sendSignal(wantText())
      this.ensure()
    }
  }

  #dial(): void {
    this.#timer?.cancel()
    this.#timer = undefined
    this.#connect(newConnectionId())
  }

  #onWant(): void {
    if (!this.#options.isDialer) return
    for (const connection of [...this.#all('connecting'), ...this.#all('connected')]) {
      // It asked before this attempt, or its answer, came to it.
      if (connection.isFresh) return
      if (connection.state === 'connecting' && connection.isAnswered) return
    }
    for (const connection of this.#all('connecting')) connection.close('lost')
    this.#dial()
  }

  #onSignal(connectionId: string, signal: Signal): void {
    const known = this.#connections.get(connectionId)
    if (known) known.signal(signal)
    else if (signal.type === 'offer' && !this.#options.isDialer) this.#onOffer(connectionId, signal)
    // Else of an attempt that is over.
  }

  #onOffer(connectionId: string, signal: Signal): void {
    // The other side has given its earlier attempt up, or has forgotten it.
    for (const connection of this.#all('connecting')) connection.close('lost')
    this.#connect(connectionId).signal(signal)
  }

  #connect(connectionId: string): MeshConnection {
    const { isDialer, iceServers, timers, events } = this.#options
    const connection = new MeshConnection({
      connectionId,
      isInitiator: isDialer,
      iceServers,
      timers,
      events: {
        onChannels: (control, bulk) => events.onConnection(connectionId, control, bulk),
        onSignal: (signal) => events.sendSignal(signalText(connectionId, signal)),
        onData: (bytes) => events.onPageFrame(bytes),
        onState: () => this.#onConnectionState(connection),
        onStable: () => {
          this.#tries = 0
        },
        onClosed: (reason) => {
          this.#connections.delete(connectionId)
          events.onClosed(connectionId, reason)
          this.ensure()
        },
      },
    })
    this.#connections.set(connectionId, connection)
    this.ensure()
    return connection
  }

  #onConnectionState(connection: MeshConnection): void {
    if (connection.state === 'connected') {
      for (const other of [...this.#connections.values()]) {
        // An attempt under way goes on: both sides must come to the same end, and the newest is the one they both know.
        if (other !== connection && other.state !== 'connecting') this.#retire(other, 'lost')
      }
    }
    this.ensure()
  }

  #all(state: MeshConnection['state']): MeshConnection[] {
    return [...this.#connections.values()].filter((connection) => connection.state === state)
  }

  #has(state: MeshConnection['state']): boolean {
    return this.#all(state).length > 0
  }

  #delayMs(): number {
    if (this.#tries === 0) return this.#options.isDialer ? 0 : firstWantMs
    const backoff = Math.min(redialMsMax, redialMsMin * 2 ** (this.#tries - 1))
    return backoff * (0.5 + this.#options.random() / 2)
  }

  #tellState(): void {
    const state = this.#stateNow()
    if (state === this.#state) return
    this.#state = state
    this.#options.events.onState(state)
  }

  #stateNow(): RemoteState {
    if (this.#isClosed) return 'closed'
    // A suspect one is not surfaced: heartbeats tell death, not ICE.
    if (this.#has('connected') || this.#has('suspect')) return 'connected'
    return 'connecting'
  }
}
