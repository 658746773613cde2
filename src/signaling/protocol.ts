/**
 * What travels between the signaling server and its clients: JSON text frames, one tagged union per direction, checked
 * by a schema on both sides since neither trusts the other (ARCHITECTURE, Security). `data` is opaque here: with a room
 * secret it is encrypted, and `room` is a hash. This file must run in a page and in Node.
 */
import * as v from 'valibot'

/** Raised when a frame changes its meaning. Unknown fields are ignored, so adding one needs no new version. */
export const signalingVersion = 1

/** A client sends no larger frame; a server refuses one. */
export const frameBytesMax = 64 * 1024
/** The opaque payload of one `signal`: an SDP with its candidates is 2-6 KiB. */
export const dataBytesMax = 16 * 1024
export const roomLengthMax = 256
export const idLengthMax = 128
export const tokenLengthMax = 8 * 1024
export const messageLengthMax = 1024
/** A client believes no longer list of peers: the server's own limit is lower by default. */
export const peersListMax = 1024

/** Clients dial again after at most this long: jitter only shortens it. */
export const backOffMaxMs = 1_000
/** N1: a server that restarted registers no new id for twice the longest back-off, so that members come back first. */
export const settleMsDefault = 2 * backOffMaxMs
/** A `wait` longer than this is not believed. */
export const waitMsMax = 60_000

/** Why a server refuses. The code travels in an `error` frame, the number beside it is the close code that follows. */
export const refusals = {
  malformed: 1008,
  'not-entered': 1008,
  'already-entered': 1008,
  rate: 1008,
  'too-large': 1009,
  'server-error': 1011,
  slow: 1013,
  replaced: 4001,
  version: 4002,
  unauthorized: 4003,
  idle: 4004,
  'room-full': 4005,
  'server-full': 4006,
} as const
export type Refusal = keyof typeof refusals
export const refusalNames = Object.keys(refusals) as readonly Refusal[]

/** Close codes that follow no `error` frame. */
export const closeCodes = { normal: 1000, shutdown: 1001 } as const

const roomSchema = v.pipe(v.string(), v.minLength(1), v.maxLength(roomLengthMax))
const idSchema = v.pipe(v.string(), v.minLength(1), v.maxLength(idLengthMax))
const dataSchema = v.pipe(v.string(), v.maxBytes(dataBytesMax))
const peerSchema = v.object({ peerId: idSchema, browserId: idSchema })

const clientMessageSchema = v.variant('type', [
  v.object({
    type: v.literal('enter'),
    version: v.literal(signalingVersion),
    room: roomSchema,
    peerId: idSchema,
    browserId: idSchema,
    /** F2: which life of the identity this is. A lower one never replaces a higher one. */
    incarnation: v.optional(v.pipe(v.number(), v.safeInteger(), v.minValue(0))),
    /** The server life that this client knew before: another one proves to the server that it restarted (N1). */
    lastServerId: v.optional(idSchema),
    token: v.optional(v.pipe(v.string(), v.maxLength(tokenLengthMax))),
  }),
  /** N1: compare-and-set of the room's id. `existing`: the room was founded before and this peer carries it. */
  v.object({ type: v.literal('register'), roomId: idSchema, existing: v.boolean() }),
  v.object({ type: v.literal('signal'), to: idSchema, data: dataSchema }),
  /** A page cannot see the protocol's own pings; without this a half-dead connection looks alive for minutes. */
  v.object({ type: v.literal('ping') }),
  v.object({ type: v.literal('leave') }),
])
export type ClientMessage = v.InferOutput<typeof clientMessageSchema>
export type Enter = Extract<ClientMessage, { type: 'enter' }>

const serverMessageSchema = v.variant('type', [
  v.object({
    type: v.literal('entered'),
    /** Drawn at each start of the server. */
    serverId: idSchema,
    /** The others in the room. */
    peers: v.pipe(v.array(peerSchema), v.maxLength(peersListMax)),
    roomId: v.nullable(idSchema),
  }),
  /** The winner's id, which may be another than the one asked for. Comes unasked when another peer registers the room. */
  v.object({ type: v.literal('registered'), roomId: idSchema }),
  /** Answer to a `register` of a new id while the server settles: ask again after `ms`. */
  v.object({ type: v.literal('wait'), ms: v.pipe(v.number(), v.minValue(0), v.maxValue(waitMsMax)) }),
  /** Comes again for a peer that is known already when it has come back on a new connection. */
  v.object({ type: v.literal('peer-entered'), peerId: idSchema, browserId: idSchema }),
  v.object({ type: v.literal('peer-left'), peerId: idSchema }),
  v.object({ type: v.literal('signal'), from: idSchema, data: dataSchema }),
  v.object({ type: v.literal('pong') }),
  /** Always the last frame of a connection. `code` is open: a newer server may have reasons unknown here. */
  v.object({
    type: v.literal('error'),
    code: v.pipe(v.string(), v.maxLength(idLengthMax)),
    message: v.pipe(v.string(), v.maxLength(messageLengthMax)),
  }),
])
export type ServerMessage = v.InferOutput<typeof serverMessageSchema>
export type SignalingPeer = v.InferOutput<typeof peerSchema>

export type Parsed<M> = { ok: true; message: M } | { ok: false; code: 'malformed' | 'version'; reason: string }

export function parseClientMessage(text: string): Parsed<ClientMessage> {
  return parse(text, clientMessageSchema)
}

export function parseServerMessage(text: string): Parsed<ServerMessage> {
  return parse(text, serverMessageSchema)
}

function parse<M extends ClientMessage | ServerMessage>(text: string, schema: v.GenericSchema<unknown, M>): Parsed<M> {
  let raw: unknown
  try {
    raw = JSON.parse(text)
  } catch {
    return { ok: false, code: 'malformed', reason: 'expected JSON' }
  }
  const result = v.safeParse(schema, raw, { abortEarly: true, abortPipeEarly: true })
  if (result.success) return { ok: true, message: result.output }
  const path = v.getDotPath(result.issues[0]) ?? 'the frame'
  if (path === 'version') {
    return { ok: false, code: 'version', reason: `expected signaling version ${signalingVersion}` }
  }
  // Names the field and never its value: the frame may carry a token.
  return { ok: false, code: 'malformed', reason: `unexpected ${path.slice(0, idLengthMax)}` }
}

/** Whether `data` fits into one `signal`. UTF-16 length first: it spares the encoding of what is far too long. */
export function isSignalData(data: string): boolean {
  return data.length <= dataBytesMax && v.is(dataSchema, data)
}
