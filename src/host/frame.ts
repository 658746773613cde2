/**
 * What travels between hosts. A frame carries everything that one turn has for one peer, for all groups, under a header
 * that says who speaks to whom in which life of which room (F1). A frame that does not decode, or whose header is not
 * meant for this very life, never reaches a core.
 */
import * as v from 'valibot'
import type { Incarnation, PeerId } from '../raft/entry.js'
import type { Message } from '../raft/message.js'
import { decode, encode } from '../shared/codec.js'
import type { GroupId, Lineage } from '../storage/storage.js'
import { messageSchema, peerIdSchema, safeIndex, safeTime } from './message-schema.js'

export const protocolVersion = 1

/** One thing said to one peer. */
export type Item =
  | HelloItem
  | { readonly type: 'raft'; readonly group: GroupId; readonly message: Message }
  /** Instructions for the leader to propose, in this order. */
  | { readonly type: 'submit'; readonly instructions: readonly Uint8Array[] }
  /** The sender's page was alive at `sentAt`, by its own clocks (S-4). */
  | { readonly type: 'alive'; readonly session: number; readonly monotonic: number; readonly wall: number }
  /** The leader's echo of it (S-5), with its cluster time (S-7) and what must be applied before it is believed (S-8). */
  | {
      readonly type: 'echo'
      readonly session: number
      readonly monotonic: number
      readonly wall: number
      readonly clusterTime: number
      readonly commitIndex: number
    }
  /** Asks the leader to take the sender into the configuration. */
  | { readonly type: 'admit'; readonly learnerOnly: boolean }
  /**
   * The last word of a life (M1): nothing numbered after `lastNumber` counts. `vote`: the term in which the receiver has the
   * sender's vote, if it was promised that (M2).
   */
  | { readonly type: 'goodbye'; readonly session: number; readonly lastNumber: number; readonly vote: number | null }
  /** Tells the leader that a peer has gone for good: it said goodbye to the sender, or the sender holds both its locks (L2). */
  | {
      readonly type: 'departed'
      readonly peerId: PeerId
      readonly incarnation: Incarnation
      readonly proof: 'goodbye' | 'death'
      readonly lastNumber: number
    }
  | { readonly type: 'ping'; readonly time: number }
  | { readonly type: 'pong'; readonly time: number }

/** The first item on a link, and again whenever it changes. */
export interface HelloItem {
  readonly type: 'hello'
  readonly browserId: string
  /** False while the sender is not yet part of a room: it then takes over the lineage of whoever is. */
  readonly founded: boolean
  /** A dead tab's node, reopened from its disk by a survivor (L4): it votes while the room needs it, and holds no session. */
  readonly resident: boolean
}

export interface Header {
  readonly version: number
  /** Null while the sender belongs to no room. */
  readonly lineage: Lineage | null
  readonly from: PeerId
  readonly fromIncarnation: Incarnation
  readonly to: PeerId
  /** Null in a hello to a peer whose incarnation is not known yet. */
  readonly toIncarnation: Incarnation | null
}

export interface Frame extends Header {
  readonly items: readonly Item[]
}

const incarnationSchema = v.strictTuple([safeIndex, v.pipe(v.string(), v.maxLength(64))])
const lineageSchema = v.strictTuple([
  v.pipe(v.string(), v.minLength(1), v.maxLength(64)),
  safeIndex,
  v.pipe(v.string(), v.maxLength(64)),
])
const bytes = v.instance(Uint8Array)
const incarnationObject = v.strictObject({ counter: safeIndex, nonce: v.pipe(v.string(), v.maxLength(64)) })

const itemSchema = v.variant('type', [
  v.strictObject({
    type: v.literal('hello'),
    browserId: v.pipe(v.string(), v.maxLength(64)),
    founded: v.boolean(),
    resident: v.boolean(),
  }),
  v.strictObject({ type: v.literal('raft'), group: safeIndex, message: messageSchema }),
  v.strictObject({ type: v.literal('submit'), instructions: v.pipe(v.array(bytes), v.maxLength(1024)) }),
  v.strictObject({ type: v.literal('alive'), session: safeIndex, monotonic: safeTime, wall: safeTime }),
  v.strictObject({
    type: v.literal('echo'),
    session: safeIndex,
    monotonic: safeTime,
    wall: safeTime,
    clusterTime: safeTime,
    commitIndex: safeIndex,
  }),
  v.strictObject({ type: v.literal('admit'), learnerOnly: v.boolean() }),
  v.strictObject({
    type: v.literal('goodbye'),
    session: safeIndex,
    lastNumber: safeIndex,
    vote: v.nullable(safeIndex),
  }),
  v.strictObject({
    type: v.literal('departed'),
    peerId: peerIdSchema,
    incarnation: incarnationObject,
    proof: v.picklist(['goodbye', 'death']),
    lastNumber: safeIndex,
  }),
  v.strictObject({ type: v.literal('ping'), time: safeTime }),
  v.strictObject({ type: v.literal('pong'), time: safeTime }),
])

const frameSchema = v.strictTuple([
  v.literal(protocolVersion),
  v.nullable(lineageSchema),
  peerIdSchema,
  incarnationSchema,
  peerIdSchema,
  v.nullable(incarnationSchema),
  v.pipe(v.array(itemSchema), v.maxLength(4096)),
])

export function encodeFrame(frame: Frame): Uint8Array {
  const { lineage, fromIncarnation, toIncarnation } = frame
  return encode([
    frame.version,
    lineage && [lineage.roomId, lineage.epoch, lineage.forkId],
    frame.from,
    [fromIncarnation.counter, fromIncarnation.nonce],
    frame.to,
    toIncarnation && [toIncarnation.counter, toIncarnation.nonce],
    frame.items,
  ])
}

export type DecodedFrame =
  | { readonly ok: true; readonly frame: Frame }
  | { readonly ok: false; readonly reason: 'malformed' }
  | { readonly ok: false; readonly reason: 'version'; readonly version: number }

/** Never throws: whatever the bytes are, the answer is a valid frame or the reason why not. */
export function decodeFrame(data: Uint8Array): DecodedFrame {
  let raw: unknown
  try {
    raw = decode(data)
  } catch {
    return { ok: false, reason: 'malformed' }
  }
  if (Array.isArray(raw) && Number.isSafeInteger(raw[0]) && raw[0] !== protocolVersion) {
    return { ok: false, reason: 'version', version: raw[0] as number }
  }
  const parsed = v.safeParse(frameSchema, raw, { abortEarly: true })
  if (!parsed.success) return { ok: false, reason: 'malformed' }
  const [version, lineage, from, fromIncarnation, to, toIncarnation, items] = parsed.output
  return {
    ok: true,
    frame: {
      version,
      lineage: lineage && { roomId: lineage[0], epoch: lineage[1], forkId: lineage[2] },
      from,
      fromIncarnation: { counter: fromIncarnation[0], nonce: fromIncarnation[1] },
      to,
      toIncarnation: toIncarnation && { counter: toIncarnation[0], nonce: toIncarnation[1] },
      items: items as readonly Item[],
    },
  }
}

export function sameIncarnation(a: Incarnation, b: Incarnation): boolean {
  return a.counter === b.counter && a.nonce === b.nonce
}

export function sameLineage(a: Lineage, b: Lineage): boolean {
  return a.roomId === b.roomId && a.epoch === b.epoch && a.forkId === b.forkId
}
