/**
 * What two pages say to each other to get connected, carried by whatever transport the mesh was given. Validated before it
 * reaches simple-peer, which destroys itself on what it cannot read.
 */

import * as v from 'valibot'
import { signalTextMax } from './limits.js'

const version = 1
const connectionId = v.pipe(v.string(), v.regex(/^[0-9a-f]{32}$/))
const sdp = v.pipe(v.string(), v.maxLength(64 * 1024))
const candidate = v.pipe(
  v.object({
    candidate: v.pipe(v.string(), v.maxLength(4 * 1024)),
    sdpMLineIndex: v.nullable(v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(65_535))),
    sdpMid: v.nullable(v.pipe(v.string(), v.maxLength(256))),
  }),
  // RTCIceCandidate throws without either.
  v.check(({ sdpMLineIndex, sdpMid }) => sdpMLineIndex !== null || sdpMid !== null),
)

/** The signals of simple-peer that we use: nothing is ever renegotiated. */
const signalSchema = v.variant('type', [
  v.object({ type: v.literal('offer'), sdp }),
  v.object({ type: v.literal('answer'), sdp }),
  v.object({ type: v.literal('candidate'), candidate }),
])
export type Signal = v.InferOutput<typeof signalSchema>

const messageSchema = v.variant('kind', [
  /** Of one attempt: what belongs to another one is stale. */
  v.object({ v: v.literal(version), kind: v.literal('signal'), connectionId, signal: signalSchema }),
  /** From the side that does not dial: it has no connection. */
  v.object({ v: v.literal(version), kind: v.literal('want') }),
])
export type MeshMessage = v.InferOutput<typeof messageSchema>

export function parseSignal(signal: unknown): Signal | undefined {
  const parsed = v.safeParse(signalSchema, signal, { abortEarly: true })
  return parsed.success ? parsed.output : undefined
}

export function signalText(id: string, signal: Signal): string {
  return JSON.stringify({ v: version, kind: 'signal', connectionId: id, signal } satisfies MeshMessage)
}

export function wantText(): string {
  return JSON.stringify({ v: version, kind: 'want' } satisfies MeshMessage)
}

export function parseMeshMessage(text: string): MeshMessage | undefined {
  if (text.length > signalTextMax) return undefined
  try {
    const parsed = v.safeParse(messageSchema, JSON.parse(text), { abortEarly: true })
    return parsed.success ? parsed.output : undefined
  } catch {
    return undefined
  }
}

/** What every version of a message has: by which version it was written, if it is not spoken here. */
const anySchema = v.looseObject({ v: v.pipe(v.number(), v.safeInteger(), v.minValue(0)) })

export function foreignVersion(text: string): number | undefined {
  if (text.length > signalTextMax) return undefined
  try {
    const parsed = v.safeParse(anySchema, JSON.parse(text))
    return parsed.success && parsed.output.v !== version ? parsed.output.v : undefined
  } catch {
    return undefined
  }
}

export function newConnectionId(): string {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('')
}
