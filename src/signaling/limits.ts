/** Everything that the signaling server bounds (PLATFORM, Security practice 6). */
import { frameBytesMax, peersListMax } from './protocol.js'

export interface SignalingLimits {
  /** Open connections in all. */
  connections: number
  /** Open connections of one address. Tabs behind one NAT share it. */
  connectionsPerAddress: number
  rooms: number
  peersPerRoom: number
  /** Frames of one connection: the steady rate, and what may come at once (ICE candidates come in bursts). */
  messagesPerSecond: number
  messagesBurst: number
  /** A larger frame is refused. */
  frameBytes: number
  /** What may wait for a connection that does not read; beyond, it is closed with 1013. */
  bufferedBytes: number
  /** A connection that has not entered a room by then is closed. */
  enterMs: number
  /** A connection that answers no ping until the next one is cut. */
  pingMs: number
  /** How long the registration of an empty room is kept. */
  roomIdleMs: number
}

export const defaultSignalingLimits: Readonly<SignalingLimits> = {
  connections: 5_000,
  connectionsPerAddress: 64,
  rooms: 1_000,
  peersPerRoom: 64,
  messagesPerSecond: 30,
  messagesBurst: 120,
  frameBytes: frameBytesMax,
  bufferedBytes: 1024 * 1024,
  enterMs: 10_000,
  pingMs: 20_000,
  roomIdleMs: 60_000,
}

/** Longest delay of a timer: beyond, Node fires it at once. */
const timerMsMax = 2 ** 31 - 1

/** Throws TypeError for an unknown name and RangeError for a value that is not a positive finite number. */
export function completeLimits(given: Partial<SignalingLimits> = {}): SignalingLimits {
  const limits = { ...defaultSignalingLimits }
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(limits, name)) throw new TypeError(`limits.${name}: unknown limit`)
    if (value === undefined) continue
    if (!(value > 0) || !Number.isFinite(value) || (name.endsWith('Ms') && value > timerMsMax)) {
      throw new RangeError(`limits.${name}: expected a positive number, got ${value}`)
    }
    limits[name as keyof SignalingLimits] = value
  }
  // A client would not believe the list of a larger room.
  if (limits.peersPerRoom > peersListMax) {
    throw new RangeError(`limits.peersPerRoom: expected at most ${peersListMax}, got ${limits.peersPerRoom}`)
  }
  return limits
}
