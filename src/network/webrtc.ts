/**
 * One WebRTC connection in the page: simple-peer negotiates it, and a subclass of RTCPeerConnection, handed over by its
 * documented `wrtc` option, opens the channels of the link on it. Nothing here waits for simple-peer's own `connect`.
 */

import type { Signal } from './mesh-signal.js'
import { parseSignal } from './mesh-signal.js'
import { relay } from './relay.js'

/** Stream ids of the negotiated channels, the same on both sides (PLATFORM 4, 33). */
export const channelIds = { control: 101, bulk: 102 } as const

/** What we use of simple-peer. */
export interface SimplePeerInstance {
  signal(data: Signal): void
  send(data: Uint8Array): void
  destroy(error?: Error): void
  on(event: 'signal' | 'data', listener: (value: unknown) => void): void
  on(event: 'error', listener: (error: Error & { readonly code?: string }) => void): void
  on(event: 'close', listener: () => void): void
}
export type SimplePeerClass = new (options: {
  initiator: boolean
  trickle: boolean
  config: RTCConfiguration
  wrtc: {
    RTCPeerConnection: typeof RTCPeerConnection
    RTCSessionDescription: typeof RTCSessionDescription
    RTCIceCandidate: typeof RTCIceCandidate
  }
}) => SimplePeerInstance

let loading: Promise<SimplePeerClass> | undefined

/** Its 28 KB are loaded when the first peer of another browser is met. A load that failed is tried anew next time. */
export function loadSimplePeer(): Promise<SimplePeerClass> {
  loading ??= importSimplePeer().catch((error: unknown) => {
    loading = undefined
    throw error
  })
  return loading
}

async function importSimplePeer(): Promise<SimplePeerClass> {
  const module = await import('simple-peer/simplepeer.min.js')
  // A bundler gives the UMD file a default export; a bare module script leaves it with a global (later probes).
  const found: unknown = module.default ?? Reflect.get(globalThis, 'SimplePeer')
  if (!isSimplePeer(found))
    throw new TypeError('simple-peer/simplepeer.min.js exports no class and sets no global SimplePeer')
  return found
}

function isSimplePeer(value: unknown): value is SimplePeerClass {
  return typeof value === 'function' && 'WEBRTC_SUPPORT' in value
}

export interface WebRtcPeerOptions {
  readonly isInitiator: boolean
  readonly iceServers: RTCIceServer[]
  /** In the task that creates the channels: only now can they be transferred (PLATFORM 3). */
  readonly onChannels: (control: RTCDataChannel, bulk: RTCDataChannel) => void
  readonly onSignal: (signal: Signal) => void
  /** The true state, `failed` too. Hints: a crashed peer shows nothing for 7 s (PLATFORM 23). */
  readonly onState: (state: RTCPeerConnectionState) => void
  /** A message on simple-peer's own channel, page to page. */
  readonly onData: (bytes: Uint8Array) => void
  /** Not for a close from this side. `remote`: the other side closed its connection. */
  readonly onClosed: (reason: 'remote' | 'lost') => void
}

export class WebRtcPeer {
  readonly #options: WebRtcPeerOptions
  readonly #peer: SimplePeerInstance
  #connection: RTCPeerConnection | undefined
  #endedBy: 'remote' | 'lost' = 'remote'
  #isClosed = false

  constructor(SimplePeer: SimplePeerClass, options: WebRtcPeerOptions) {
    this.#options = options
    this.#peer = new SimplePeer({
      initiator: options.isInitiator,
      trickle: true,
      // Always said: without it simple-peer asks public STUN servers of its own choice.
      config: { iceServers: options.iceServers },
      wrtc: {
        RTCPeerConnection: tapped(RTCPeerConnection, {
          onChannels: options.onChannels,
          onCreated: (connection) => {
            this.#connection = connection
          },
          onState: (state) => {
            if (!this.#isClosed) options.onState(state)
          },
        }),
        RTCSessionDescription,
        RTCIceCandidate,
      },
    })
    this.#peer.on('signal', (value) => this.#onSignal(value))
    this.#peer.on('data', (value) => this.#onData(value))
    this.#peer.on('error', (error) => {
      // An orderly close by the other side comes as an error of the channel (PLATFORM 22).
      if (error.code !== 'ERR_DATA_CHANNEL') this.#endedBy = 'lost'
    })
    this.#peer.on('close', () => this.#onClose())
  }

  /** Of both ends, as the descriptions have them: what an authentication of the peers is bound to. */
  fingerprints(): { local: string; remote: string } | undefined {
    const local = fingerprintOf(this.#connection?.localDescription)
    const remote = fingerprintOf(this.#connection?.remoteDescription)
    return local && remote ? { local, remote } : undefined
  }

  /** A signal that cannot be used ends this connection only, never throws. */
  signal(signal: Signal): void {
    if (this.#isClosed) return
    try {
      this.#peer.signal(signal)
    } catch {
      this.#endedBy = 'lost'
      this.#peer.destroy()
    }
  }

  /** On simple-peer's own channel. False when it is not open (which does not depend on simple-peer's `connect`). */
  send(bytes: Uint8Array): boolean {
    if (this.#isClosed) return false
    try {
      this.#peer.send(bytes)
      return true
    } catch {
      return false
    }
  }

  /** Synchronous, for `pagehide`: simple-peer alone would close in a microtask. */
  close(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#connection?.close()
    this.#peer.destroy()
  }

  #onSignal(value: unknown): void {
    const signal = parseSignal(value)
    if (signal && !this.#isClosed) this.#options.onSignal(signal)
  }

  #onData(value: unknown): void {
    if (value instanceof Uint8Array && !this.#isClosed) this.#options.onData(value)
  }

  #onClose(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#options.onClosed(this.#endedBy)
  }
}

interface Tap {
  onChannels(control: RTCDataChannel, bulk: RTCDataChannel): void
  onCreated(connection: RTCPeerConnection): void
  onState(state: RTCPeerConnectionState): void
}

/** The class that simple-peer instantiates. */
function tapped(Base: typeof RTCPeerConnection, tap: Tap): typeof RTCPeerConnection {
  return class extends Base {
    constructor(configuration?: RTCConfiguration) {
      super(configuration)
      tap.onCreated(this)
      this.addEventListener('connectionstatechange', () => tap.onState(super.connectionState))
      const open = (label: string, id: number) => this.createDataChannel(label, { negotiated: true, id, ordered: true })
      const control = open('comity-control', channelIds.control)
      tap.onChannels(control, open('comity-bulk', channelIds.bulk))
    }

    // simple-peer destroys itself at `failed`, but a suspended peer comes back on the same connection (PLATFORM 27).
    override get connectionState(): RTCPeerConnectionState {
      return super.connectionState === 'failed' ? 'disconnected' : super.connectionState
    }

    override get iceConnectionState(): RTCIceConnectionState {
      return super.iceConnectionState === 'failed' ? 'disconnected' : super.iceConnectionState
    }
  }
}

function fingerprintOf(description: RTCSessionDescription | null | undefined): string | undefined {
  return /^a=fingerprint:(\S+ \S+)/m.exec(description?.sdp ?? '')?.[1]
}

export type HandedOver =
  | { readonly kind: 'webrtc'; readonly control: RTCDataChannel; readonly bulk: RTCDataChannel }
  | { readonly kind: 'webrtc-relayed'; readonly control: MessagePort; readonly bulk: MessagePort }

/**
 * Gives the channels of a connection to the worker: themselves where the browser can (PLATFORM 2), else the ports of two
 * relays. `post` must call `postMessage` there and then, and let what it throws through.
 */
export function handOver(
  control: RTCDataChannel,
  bulk: RTCDataChannel,
  post: (handed: HandedOver, transfer: Transferable[]) => void,
  transfer: 'auto' | 'never' = 'auto',
): void {
  if (transfer === 'auto') {
    try {
      post({ kind: 'webrtc', control, bulk }, [control, bulk])
      return
    } catch {
      // Cannot be transferred here: DataCloneError. Anything else will happen again below, and goes to the caller.
    }
  }
  const ports = { control: new MessageChannel(), bulk: new MessageChannel() }
  relay(control, ports.control.port1)
  relay(bulk, ports.bulk.port1)
  const handed = { kind: 'webrtc-relayed', control: ports.control.port2, bulk: ports.bulk.port2 } as const
  post(handed, [handed.control, handed.bulk])
}
