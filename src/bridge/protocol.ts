/**
 * What crosses the worker boundary. Calls are comlink's, and answered by values (comlink drops an error's class, `code`
 * and `cause`); events are messages of their own, so that they keep their order. Signals do not travel: cancelling is a call.
 */
import type { Shared } from '../host/inheritance.js'
import type { Answers, Call, CallType, HostEvent, Notice, Reply } from '../host/page.js'
import type { RoomSettings } from '../machine/command.js'
import type { Incarnation, PeerId } from '../raft/entry.js'

/** The version of this protocol: page and worker may come from different deployments when a file is cached. */
export const bridgeVersion = 2

export interface ClaimRequest {
  readonly room: string
  /** The identity that this tab had before a reload. */
  readonly preferred: PeerId | null
  readonly storage: 'indexeddb' | 'memory'
}

export interface Claimed {
  readonly peerId: PeerId
  readonly browserId: string
  readonly incarnation: Incarnation
  /** What really keeps the log: memory where the browser would not open a database. */
  readonly storage: 'indexeddb' | 'memory'
}

export interface BeginRequest {
  /** Tabs of this browser link by BroadcastChannel too, or by data channels only. */
  readonly links: 'auto' | 'webrtc'
  readonly learnerOnly: boolean
  /** First declared state, encoded. */
  readonly state: Uint8Array | null
  /** What the room gets if this peer founds it. */
  readonly settings: RoomSettings
  /** The highest token of a history that this page was in and that has ended; 0 if there is none (T1). */
  readonly tokenFloor: number
  /** What that history and the one in which the page goes on have in common; null when it comes from nowhere (N3). */
  readonly shared: Shared | null
}

/** The page's access to the signaling servers, called by the worker. Answered by values. */
export interface RegistrarApi {
  lookUp(): Promise<Reply<string | null>>
  register(roomId: string, existing: boolean): Promise<Reply<string>>
}

/** A connection's channels on their way to the worker: transferred, or the ports of relays. */
export interface Handover {
  readonly peerId: PeerId
  readonly connectionId: string
  readonly kind: 'webrtc' | 'webrtc-relayed'
  readonly control: RTCDataChannel | MessagePort
  readonly bulk: RTCDataChannel | MessagePort
}

/** What the worker exposes. */
export interface WorkerApi {
  claim(request: ClaimRequest): Promise<Reply<Claimed>>
  /** Founds or joins; from here on events come. `registrar`: null without signaling. */
  begin(request: BeginRequest, registrar: RegistrarApi | null): Promise<Reply<null>>
  call<T extends CallType>(call: Extract<Call, { type: T }>): Promise<Reply<Answers[T]>>
}

/**
 * What the page posts, besides comlink's own messages: what needs no answer, and channels, whose transfer must fail in the
 * very task that tries it.
 */
export type PageMessage =
  | { readonly comity: 'notice'; readonly notice: Notice }
  | { readonly comity: 'connect'; readonly handover: Handover }
  /** What the page knows of the connection's end. */
  | { readonly comity: 'disconnect'; readonly connectionId: string; readonly reason: 'local' | 'remote' | 'lost' }

/** What the worker posts, besides comlink's own messages. */
export type WorkerMessage =
  /** First of all: the worker runs. */
  | { readonly comity: 'hello'; readonly version: number }
  | { readonly comity: 'event'; readonly event: HostEvent }
  /** L3: the browser has taken the identity lock away, and nothing follows: only a new life is believed. */
  | { readonly comity: 'lost' }
  /** A link over this connection has ended: the page may close it. */
  | { readonly comity: 'ended'; readonly connectionId: string }

/** A page's access to its host, over whatever lies between. */
export interface HostPort {
  /** Never rejects. Not answered any more once the port is closed. */
  call<T extends CallType>(call: Extract<Call, { type: T }>): Promise<Reply<Answers[T]>>
  notice(notice: Notice): void
  /** Set once, before the first event. */
  onevent: ((event: HostEvent) => void) | null
  /** The host is gone with this, at once. Idempotent. */
  close(): void
}
