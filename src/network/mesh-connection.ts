/**
 * One attempt to connect with another page, and the connection that comes of it. Every attempt has an id of its own, which
 * its signals carry. Knows nothing of other attempts: mesh-remote.ts decides what they mean together.
 */

import type { DownReason } from './link.js'
import type { Signal } from './mesh-signal.js'
import type { Timers } from './timers.js'
import { loadSimplePeer, WebRtcPeer } from './webrtc.js'

export const connectTimeoutMs = 10_000
/** How long a connection that ICE calls failed may heal: a peer that was suspended comes back on it (PLATFORM 27). */
export const suspectMs = 60_000
/** After this a connection counts as stable: the next redial starts from the shortest back-off. */
export const stableMs = 5_000
/** What came within this is too young to be replaced because the other side asks for a connection. */
const freshMs = 1_500
/** Signals that may wait for simple-peer to be loaded. */
const pendingMax = 64
/** The worker is told of an end first, and may still send its last words. */
const flushMs = 250

export interface ConnectionEvents {
  onChannels(control: RTCDataChannel, bulk: RTCDataChannel): void
  onSignal(signal: Signal): void
  onData(bytes: Uint8Array): void
  /** `state` of the connection has changed, to anything but `closed`. */
  onState(): void
  onStable(): void
  /** Once, whoever ended it. */
  onClosed(reason: DownReason): void
}

export interface ConnectionOptions {
  readonly connectionId: string
  readonly isInitiator: boolean
  readonly iceServers: RTCIceServer[]
  readonly timers: Timers
  readonly events: ConnectionEvents
}

export class MeshConnection {
  readonly connectionId: string
  readonly #options: ConnectionOptions
  readonly #pending: Signal[] = []
  #state: 'connecting' | 'connected' | 'suspect' | 'closed' = 'connecting'
  #peer: WebRtcPeer | undefined
  #timer: { cancel(): void }
  #freshTimer: { cancel(): void }
  #stableTimer: { cancel(): void } | undefined
  #isFresh = true
  #hasDescription = false

  constructor(options: ConnectionOptions) {
    this.#options = options
    this.connectionId = options.connectionId
    this.#timer = options.timers.after(connectTimeoutMs, () => this.close('lost'))
    this.#freshTimer = this.#freshen()
    loadSimplePeer().then(
      (SimplePeer) => this.#open(SimplePeer),
      () => this.close('lost'),
    )
  }

  get state(): 'connecting' | 'connected' | 'suspect' | 'closed' {
    return this.#state
  }

  /** Began, or was connected, a moment ago. */
  get isFresh(): boolean {
    return this.#isFresh
  }

  /** The other side has been heard of in this attempt. */
  get isAnswered(): boolean {
    return this.#hasDescription
  }

  fingerprints(): { local: string; remote: string } | undefined {
    return this.#peer?.fingerprints()
  }

  signal(signal: Signal): void {
    if (this.#state === 'closed') return
    if (signal.type !== 'candidate') {
      // One description per attempt, and the right one: a second would make simple-peer destroy a good connection.
      if (this.#hasDescription || signal.type !== (this.#options.isInitiator ? 'answer' : 'offer')) return
      this.#hasDescription = true
    }
    if (this.#peer) this.#peer.signal(signal)
    else if (this.#pending.length < pendingMax) this.#pending.push(signal)
  }

  send(bytes: Uint8Array): boolean {
    return this.#peer?.send(bytes) ?? false
  }

  /** Synchronous. */
  close(reason: DownReason): void {
    if (this.#state === 'closed') return
    this.#end(reason)
    this.#peer?.close()
  }

  /** The worker ends the link now, the connection goes a moment later. */
  retire(reason: DownReason, gone: () => void): void {
    if (this.#state === 'closed') return
    this.#end(reason)
    this.#timer = this.#options.timers.after(flushMs, () => {
      this.#peer?.close()
      gone()
    })
  }

  /** For `pagehide`: nobody is told. */
  destroy(): void {
    this.#state = 'closed'
    this.#cancelTimers()
    this.#peer?.close()
  }

  #open(SimplePeer: ConstructorParameters<typeof WebRtcPeer>[0]): void {
    if (this.#state === 'closed') return
    const { isInitiator, iceServers, events } = this.#options
    try {
      this.#peer = new WebRtcPeer(SimplePeer, {
        isInitiator,
        iceServers,
        onChannels: (control, bulk) => events.onChannels(control, bulk),
        onSignal: (signal) => {
          if (this.#state !== 'closed') events.onSignal(signal)
        },
        onState: (state) => this.#onState(state),
        onData: (bytes) => {
          if (this.#state !== 'closed') events.onData(bytes)
        },
        // Before it was connected it is an attempt that failed, whatever the other side did.
        onClosed: (reason) => this.close(this.#state === 'connecting' ? 'lost' : reason),
      })
    } catch {
      this.close('lost')
      return
    }
    for (const signal of this.#pending.splice(0)) this.#peer.signal(signal)
  }

  #onState(state: RTCPeerConnectionState): void {
    if (this.#state === 'closed') return
    if (state === 'connected') this.#onConnected()
    else if (state === 'failed') this.#onFailed()
  }

  #onConnected(): void {
    if (this.#state === 'connected') return
    this.#timer.cancel()
    this.#state = 'connected'
    this.#freshTimer = this.#freshen()
    this.#stableTimer?.cancel()
    this.#stableTimer = this.#options.timers.after(stableMs, () => this.#options.events.onStable())
    this.#options.events.onState()
  }

  #onFailed(): void {
    if (this.#state === 'connecting') {
      this.close('lost')
      return
    }
    this.#state = 'suspect'
    this.#stableTimer?.cancel()
    this.#timer.cancel()
    this.#timer = this.#options.timers.after(suspectMs, () => this.close('lost'))
    this.#options.events.onState()
  }

  #freshen(): { cancel(): void } {
    this.#freshTimer?.cancel()
    this.#isFresh = true
    return this.#options.timers.after(freshMs, () => {
      this.#isFresh = false
    })
  }

  #end(reason: DownReason): void {
    this.#state = 'closed'
    this.#cancelTimers()
    this.#options.events.onClosed(reason)
  }

  #cancelTimers(): void {
    this.#timer.cancel()
    this.#freshTimer.cancel()
    this.#stableTimer?.cancel()
  }
}
