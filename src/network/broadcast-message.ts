/**
 * What tabs of one browser say to each other over BroadcastChannel, and the goodbye that a page posts for its worker (M1).
 * Any script of the origin can post here: whatever is not exactly one of these messages, addressed to this life, is ignored.
 *
 * `comity:<room>`               hello: to all, or as the answer to one
 * `comity:<room>:<low>:<high>`  one channel per pair of peers, everything else. A shared inbox per peer would hand every
 *                               frame for it to each tab that wants to write to it.
 */

import * as v from 'valibot'
import { byLiteral } from '../shared/by-literal.js'

/** What BroadcastNetwork uses of a BroadcastChannel. */
export interface BroadcastPort {
  onmessage: ((event: MessageEvent) => void) | null
  postMessage(message: unknown): void
  close(): void
}
export type CreateChannel = (name: string) => BroadcastPort

const version = 1
const name = v.pipe(v.string(), v.minLength(1), v.maxLength(256))
const count = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
const bytes = v.instance(Uint8Array)

const helloSchema = v.variant('type', [
  v.object({ v: v.literal(version), type: v.literal('hello'), from: name, life: name }),
  v.object({ v: v.literal(version), type: v.literal('answer'), from: name, life: name, to: name, toLife: name }),
])
export type HelloMessage = v.InferOutput<typeof helloSchema>

/** What a hello of every version has, so that tabs with older and newer code know of each other, at least that. */
const anyHelloSchema = v.looseObject({ v: count, type: v.literal('hello'), from: name, life: name })
export type AnyHello = Pick<v.InferOutput<typeof anyHelloSchema>, 'v' | 'from' | 'life'>

/** F1: every message names both lives, so that nothing of a former one is taken for the present. */
const address = { v: v.literal(version), from: name, life: name, to: name, toLife: name }
const pairSchema = byLiteral(
  v.variant('type', [
    v.object({ ...address, type: v.literal('welcome'), heard: v.boolean() }),
    v.object({ ...address, type: v.literal('control'), sequence: count, bytes }),
    v.object({ ...address, type: v.literal('bulk'), sequence: count, bytes }),
    v.object({ ...address, type: v.literal('took'), sequence: count, count }),
    v.object({ ...address, type: v.literal('reset') }),
    v.object({ ...address, type: v.literal('bye') }),
    v.object({ ...address, type: v.literal('goodbye'), payload: v.optional(bytes) }),
  ]),
)
export type PairMessage = v.InferOutput<typeof pairSchema>
export type Address = Pick<PairMessage, 'v' | 'from' | 'life' | 'to' | 'toLife'>
export type NumberedMessage = Extract<PairMessage, { sequence: number }>

export function parseHello(data: unknown): HelloMessage | undefined {
  const parsed = v.safeParse(helloSchema, data)
  return parsed.success ? parsed.output : undefined
}

/** The hello of a version that is not spoken here. */
export function parseForeignHello(data: unknown): AnyHello | undefined {
  const parsed = v.safeParse(anyHelloSchema, data)
  return parsed.success && parsed.output.v !== version ? parsed.output : undefined
}

export function parsePairMessage(data: unknown): PairMessage | undefined {
  const parsed = v.safeParse(pairSchema, data)
  return parsed.success ? parsed.output : undefined
}

export function addressOf(from: string, life: string, to: string, toLife: string): Address {
  return { v: version, from, life, to, toLife }
}

export function helloMessage(from: string, life: string): HelloMessage {
  return { v: version, type: 'hello', from, life }
}

export function sharedChannelName(room: string): string {
  return `comity:${room}`
}

export function pairChannelName(room: string, a: string, b: string): string {
  return a < b ? `comity:${room}:${a}:${b}` : `comity:${room}:${b}:${a}`
}

/** A goodbye made ahead by the worker, ready to be posted by the page: plain data that can be cloned. */
export interface Goodbye {
  readonly channel: string
  readonly message: PairMessage
}

export interface GoodbyeOptions {
  readonly room: string
  readonly from: string
  readonly life: string
  readonly to: string
  readonly toLife: string
  /** The last frame on the control lane of this link: the receiver hears it, and then that the link is down. */
  readonly payload?: Uint8Array
}

export function goodbyeMessage(options: GoodbyeOptions): Goodbye {
  const { room, from, life, to, toLife, payload } = options
  const address = addressOf(from, life, to, toLife)
  return {
    channel: pairChannelName(room, from, to),
    message: payload
      ? { ...address, type: 'goodbye', payload: new Uint8Array(payload) }
      : { ...address, type: 'goodbye' },
  }
}

/**
 * Posts goodbyes in `pagehide`, on channels of the page that live for this call only: a page-side channel that stays open
 * puts the page out of the back/forward cache at its first message (later probes). Never throws.
 */
export function postGoodbye(goodbyes: Iterable<Goodbye>, createChannel: CreateChannel = openChannel): void {
  for (const goodbye of goodbyes) {
    try {
      const channel = createChannel(goodbye.channel)
      channel.postMessage(goodbye.message)
      channel.close()
    } catch {
      // The page is on its way out and has nobody to tell; the others notice the death by the locks (L2).
    }
  }
}

export function openChannel(channelName: string): BroadcastPort {
  return new BroadcastChannel(channelName)
}
