/** What users of the server see of its service. Apart, so that their types need no others than Node's own. */
import type { Refusal } from './protocol.js'

/** What `authorize` may judge by. Like an `IncomingMessage`, with the token that the client sent after connecting. */
export interface AuthorizeRequest {
  readonly url: string
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly token: string | undefined
}
export type Authorize = (request: AuthorizeRequest, room: string) => boolean | Promise<boolean>

/** Plain counters. `connections`, `rooms` and `peers` are as of now, the others since the start. */
export interface SignalingMetrics {
  readonly connections: number
  readonly rooms: number
  readonly peers: number
  /** Frames received. */
  readonly messages: number
  /** Signals passed on, and signals whose receiver was not in the room. */
  readonly signals: number
  readonly undeliverable: number
  /** Rooms that were given an id. */
  readonly registrations: number
  readonly refused: Readonly<Record<RefusalReason, number>>
}

/** Refused at the handshake with an HTTP status: no WebSocket, no `error` frame. */
export const handshakeRefusals = { origin: 403, 'address-full': 429, 'server-full': 503 } as const
export type RefusalReason = Refusal | keyof typeof handshakeRefusals
