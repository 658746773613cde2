/** What the test, its page and the worker of that page say to each other. */

import type { DownReason, Lane, LinkKind } from '../../../src/network/link.js'
import type { HandedOver } from '../../../src/network/webrtc.js'

export interface TabOptions {
  readonly mode: 'transferred' | 'relayed' | 'broadcast'
  readonly room: string
  readonly peerId: string
  readonly peers: readonly string[]
}

export type ToWorker =
  | { readonly type: 'start'; readonly options: TabOptions }
  | { readonly type: 'connection'; readonly peerId: string; readonly connectionId: string; readonly handed: HandedOver }
  | { readonly type: 'closed'; readonly connectionId: string; readonly reason: DownReason }
  /** Together, so that they are sent in one turn. */
  | { readonly type: 'send'; readonly frames: readonly { linkId: string; lane: Lane; frame: Uint8Array }[] }
  | { readonly type: 'close'; readonly linkId: string }
  | { readonly type: 'close-network' }
  /** Sends a frame every `everyMs`, for `forMs`, and reports when each was sent and answered. */
  | { readonly type: 'measure'; readonly linkId: string; readonly everyMs: number; readonly forMs: number }
  /** Answers what `measure` of the other side sends, and tells nobody. */
  | { readonly type: 'echo' }

/** Of the system's clock, which is the same in every process, ms. */
export interface Span {
  readonly from: number
  readonly until: number
}

export type FromWorker =
  | { readonly type: 'up'; readonly linkId: string; readonly peerId: string; readonly kind: LinkKind }
  | { readonly type: 'frame'; readonly linkId: string; readonly lane: Lane; readonly frame: Uint8Array }
  | { readonly type: 'down'; readonly linkId: string; readonly reason: DownReason }
  | { readonly type: 'measured'; readonly trips: readonly Span[] }
  /** For the page alone. */
  | { readonly type: 'ended'; readonly connectionId: string }

/** As the page reports it to the test: bytes as base64, since the binding carries JSON. */
export type Report =
  | Exclude<FromWorker, { type: 'frame' }>
  | { readonly type: 'frame'; readonly linkId: string; readonly lane: Lane; readonly base64: string }
  | { readonly type: 'page-frame'; readonly from: string; readonly base64: string }
  | { readonly type: 'state'; readonly peerId: string; readonly state: string }

/** Large frames of the contract are zeros where their content does not matter: then their length says it all. */
export interface TextFrame {
  readonly linkId: string
  readonly lane: Lane
  readonly content: { readonly base64: string } | { readonly zeros: number }
}

/** What the test calls in the page, as `window.tab`. */
export interface TabApi {
  start(options: TabOptions): void
  toWorker(message: Exclude<ToWorker, { type: 'send' }>): void
  send(frames: readonly TextFrame[]): void
  sendPageFrame(to: string, base64: string): boolean
  setPeers(peers: readonly string[]): void
  closeConnections(): void
  destroyMesh(): void
  /** In `pagehide` sends this to all peers and closes everything, as the client does (M1). */
  sayGoodbyeOnHide(base64: string): void
  /** Spoils the next signals from this page. */
  spoilSignals(count: number): void
  fingerprints(): ({ local: string; remote: string } | undefined)[]
  block(ms: number): Span
}
