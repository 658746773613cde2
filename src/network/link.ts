/**
 * What the host knows of a connection to another peer. A link is reliable and ordered while it is up, or it is down: it
 * may die at any moment without a sign, and then everything sent and not answered may or may not have arrived.
 */
export interface Link {
  /** Unique among the links of this process. */
  readonly id: string
  /** Whom the other end claims to be. The host compares it with the hello that comes over the link. */
  readonly peerId: string
  readonly kind: LinkKind
  /**
   * Sends one frame of any size (the link cuts and joins it). Frames of one lane arrive whole and in order; a bulk frame
   * never delays a control frame by more than one piece. Never throws; a frame sent on a link that is down is dropped.
   */
  send(lane: Lane, frame: Uint8Array): void
  /** Bytes accepted and not yet handed to the network, per lane. */
  buffered(lane: Lane): number
  /** Idempotent. The listener hears `down` once, also for a close from this side: then before `close` returns. */
  close(reason: string): void
}

/**
 * `webrtc-relayed`: the page carries the bytes of a data channel that could not be transferred to the worker. `peer-relay`: a
 * third peer carries them, sealed (F4).
 */
export type LinkKind = 'broadcast' | 'webrtc' | 'webrtc-relayed' | 'memory' | 'peer-relay'
export const lanes = ['control', 'bulk'] as const
export type Lane = (typeof lanes)[number]

/** Why a link went down. `remote`: the other side closed it (M1 counts that as a goodbye); `lost`: it broke or fell silent. */
export type DownReason = 'local' | 'remote' | 'lost'

export interface LinkListener {
  up(link: Link): void
  frame(link: Link, lane: Lane, frame: Uint8Array): void
  down(link: Link, reason: DownReason): void
  /** Somebody wants a link by a version of this network's own protocol that is not spoken here: there will be none. */
  foreign?(peerId: string, version: number): void
}

/** A source of links. Several sources serve one host: BroadcastChannel between tabs, data channels between browsers. */
export interface Network {
  /** Called once. Links may come up from now on. */
  listen(listener: LinkListener): void
  /** Closes every link and stops. Idempotent. */
  close(): void
}

/** A frame larger than this is refused by every link, in both directions: it is a bug or an attack. */
export const frameBytesMax = 32 * 1024 * 1024
/** The largest piece of a frame on a wire (PLATFORM 31). */
export const pieceBytesMax = 16 * 1024
