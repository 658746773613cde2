/**
 * What travels between hosts. A frame carries everything that one turn has for one peer, for all groups, under a header
 * that says who speaks to whom in which life of which room (F1). A frame that does not decode, or whose header is not
 * meant for this very life, never reaches a core.
 */
import type { EntryId, Incarnation, PeerId } from '../raft/entry.js'
import type { Message } from '../raft/message.js'
import {
  assertEnd,
  type ByteReader,
  type ByteWriter,
  readBytes,
  readCount,
  readerOf,
  readFlag,
  refuse,
  skipBytes,
  writeBytes,
  writeCount,
  writeFlag,
  writeText,
  written,
} from '../shared/bytes.js'
import type { GroupId, Lineage } from '../storage/storage.js'
import { type Dialect, dialectOf, type Protocol, protocol } from './dialect.js'
import { greetingVersion, type HelloItem, readHello, readRange, writeHello, writeRange } from './greeting.js'
import type { Claim } from './histories.js'
import { readEntryId, readIncarnation, readPeerId, readShortText, writeEntryId, writeIncarnation } from './id-codec.js'

export { protocolVersion } from './dialect.js'

/** One thing said to one peer. */
export type Item =
  /** All that a greeting has (greeting.ts), and nothing of any other frame. */
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
  | {
      readonly type: 'goodbye'
      readonly session: number
      readonly lastNumber: number
      readonly vote: number | null
      /** Of a leader: who shall lead next. */
      readonly heir?: PeerId
    }
  /** Tells the leader that a peer has gone for good: it said goodbye to the sender, or the sender holds both its locks (L2). */
  | {
      readonly type: 'departed'
      readonly peerId: PeerId
      readonly incarnation: Incarnation
      readonly proof: 'goodbye' | 'death'
      readonly lastNumber: number
    }
  /** The sender wants to begin a history anew with those who are left (N3): how far has the receiver come? */
  | { readonly type: 'recover'; readonly forkId: string }
  /** Null: it is in touch with a quorum. */
  | {
      readonly type: 'position'
      readonly forkId: string
      readonly position: { readonly term: number; readonly last: EntryId } | null
    }
  /** The receiver has the best log: it begins that history, in that term. */
  | { readonly type: 'lead'; readonly forkId: string; readonly term: number; readonly members: number }
  /** To a peer of another history: what the sender's own has come to (N2, N3). */
  | { readonly type: 'claim'; readonly claim: Claim }
  | { readonly type: 'ping'; readonly time: number }
  /** The sender led two voters and stops: the receiver has its vote of that term (M2). It will be back. */
  | { readonly type: 'yield'; readonly vote: number }
  /** How the sender's page is, and how long it has been so (M4, condition.ts). */
  | {
      readonly type: 'condition'
      readonly visible: boolean
      readonly phone: boolean
      readonly frozen: boolean
      readonly learnerOnly: boolean
      readonly stayed: number
      readonly fitFor: number
      readonly rtt: number | null
    }
  | { readonly type: 'pong'; readonly time: number }
  /** M6: the sender waits in vain for a leader that may have slowed down. */
  | { readonly type: 'wake' }
  /** With whom the sender is linked, without anybody in between. Replaces what it said before. */
  | { readonly type: 'links'; readonly peerIds: readonly PeerId[] }
  /** From one page's mesh to another's, passed on at most once: the signaling server of those who have none. */
  | { readonly type: 'signal'; readonly from: PeerId; readonly to: PeerId; readonly text: string }
  /** Of a link between two peers who cannot connect: passed on once, and sealed between them (F4). */
  | { readonly type: 'relay'; readonly from: PeerId; readonly to: PeerId; readonly body: Uint8Array }

export interface Header {
  /** What the two ends have agreed on for their link; 0 in a greeting. */
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

const itemsMax = 4_096
/** Entries and instructions, in all items together: one of a byte is an object of many. Far above what one turn sends to one peer. */
const partsMax = 2 ** 18

/** The head of one link's last frame and its bytes: most of what a small frame is, and it changes only with a hello. */
export interface KnownHead {
  header: Header | null
  bytes: Uint8Array
}

export function noHead(): KnownHead {
  return { header: null, bytes: new Uint8Array() }
}

/** A view, as `written` gives it. Throws on what cannot be said in that version: a caller leaves out what it does not know. */
export function encodeFrame(frame: Frame, known: KnownHead = noHead(), spoken: Protocol = protocol): Uint8Array {
  if (known.header === null || !isSameHead(known.header, frame)) {
    const { version, lineage, from, fromIncarnation, to, toIncarnation } = frame
    // First of all: what cannot be written throws, and the bytes that are there would go out as those of this head.
    known.bytes = written((writer) => writeHead(writer, frame)).slice()
    known.header = { version, lineage, from, fromIncarnation, to, toIncarnation }
  }
  if (frame.version === greetingVersion) return encodeGreeting(frame, known.bytes)
  const dialect = dialectOf(spoken, frame.version) ?? refuse(`version ${frame.version} is not spoken here`)
  return written((writer) => {
    writeCount(writer, frame.version)
    writeBytes(writer, known.bytes)
    writeCount(writer, frame.items.length)
    for (const item of frame.items) dialect.writeItem(writer, item)
  })
}

function encodeGreeting({ items }: Frame, head: Uint8Array): Uint8Array {
  const [hello, ...others] = items
  if (hello?.type !== 'hello' || others.length > 0) return refuse('a greeting is one hello')
  return written((writer) => {
    writeCount(writer, greetingVersion)
    writeRange(writer, hello.speaks)
    writeBytes(writer, head)
    writeHello(writer, hello)
  })
}

export type DecodedFrame =
  | { readonly ok: true; readonly frame: Frame }
  | { readonly ok: false; readonly reason: 'malformed' }
  | { readonly ok: false; readonly reason: 'version'; readonly version: number }

/** Never throws: whatever the bytes are, the answer is a valid frame or the reason why not. */
export function decodeFrame(data: Uint8Array, known: KnownHead = noHead(), spoken: Protocol = protocol): DecodedFrame {
  try {
    const reader = readerOf(data)
    const version = readCount(reader)
    if (version === greetingVersion) return { ok: true, frame: decodeGreeting(reader, known) }
    const dialect = dialectOf(spoken, version)
    if (dialect === null) return { ok: false, reason: 'version', version }
    const head = readHead(reader, version, known)
    const items = readItems(reader, dialect, head)
    assertEnd(reader)
    return { ok: true, frame: { ...head, items } }
  } catch {
    return { ok: false, reason: 'malformed' }
  }
}

function decodeGreeting(reader: ByteReader, known: KnownHead): Frame {
  const speaks = readRange(reader)
  const head = readHead(reader, greetingVersion, known)
  return { ...head, items: [readHello(reader, speaks)] }
}

function readHead(reader: ByteReader, version: number, known: KnownHead): Header {
  const header = skipBytes(reader, known.bytes) ? known.header : null
  const { lineage, from, fromIncarnation, to, toIncarnation } = header ?? learnHead(reader, version, known)
  return { version, lineage, from, fromIncarnation, to, toIncarnation }
}

/** By identity: lineage and incarnations are values that a host holds, and makes anew when they change. */
function isSameHead(a: Header, b: Header): boolean {
  return (
    a.from === b.from &&
    a.to === b.to &&
    a.version === b.version &&
    a.lineage === b.lineage &&
    a.fromIncarnation === b.fromIncarnation &&
    a.toIncarnation === b.toIncarnation
  )
}

function writeHead(writer: ByteWriter, { lineage, from, fromIncarnation, to, toIncarnation }: Header): void {
  writeFlag(writer, lineage !== null)
  if (lineage) writeLineage(writer, lineage)
  writeText(writer, from)
  writeIncarnation(writer, fromIncarnation)
  writeText(writer, to)
  writeFlag(writer, toIncarnation !== null)
  if (toIncarnation) writeIncarnation(writer, toIncarnation)
}

function learnHead(reader: ByteReader, version: number, known: KnownHead): Header {
  const bytes = readBytes(reader)
  const head = readerOf(bytes)
  const lineage = readFlag(head) ? readLineage(head) : null
  const from = readPeerId(head)
  const fromIncarnation = readIncarnation(head)
  const to = readPeerId(head)
  const toIncarnation = readFlag(head) ? readIncarnation(head) : null
  assertEnd(head)
  known.bytes = bytes
  known.header = { version, lineage, from, fromIncarnation, to, toIncarnation }
  return known.header
}

function readItems(reader: ByteReader, dialect: Dialect, { from, to }: Header): readonly Item[] {
  const count = readCount(reader)
  if (count > itemsMax) refuse('more items than a turn has')
  const items: Item[] = []
  let parts = 0
  for (let i = 0; i < count; i++) {
    const item = dialect.readItem(reader, from, to)
    parts += partsOf(item)
    if (parts > partsMax) refuse('more entries than a turn has')
    items.push(item)
  }
  return items
}

function partsOf(item: Item): number {
  if (item.type === 'submit') return item.instructions.length
  return item.type === 'raft' && item.message.type === 'append' ? item.message.entries.length : 0
}

function writeLineage(writer: ByteWriter, { roomId, epoch, forkId, foundation }: Lineage): void {
  writeText(writer, roomId)
  writeCount(writer, epoch)
  writeText(writer, forkId)
  writeFlag(writer, foundation !== undefined)
  if (!foundation) return
  writeEntryId(writer, foundation)
  writeCount(writer, foundation.previousTerm)
  writeCount(writer, foundation.members)
}

function readLineage(reader: ByteReader): Lineage {
  const roomId = readShortText(reader)
  if (roomId === '') refuse('a room without an id')
  const epoch = readCount(reader)
  const forkId = readShortText(reader)
  if (!readFlag(reader)) return { roomId, epoch, forkId }
  const first = readEntryId(reader)
  const previousTerm = readCount(reader)
  return { roomId, epoch, forkId, foundation: { ...first, previousTerm, members: readCount(reader) } }
}

export function sameIncarnation(a: Incarnation, b: Incarnation): boolean {
  return a.counter === b.counter && a.nonce === b.nonce
}

export function sameLineage(a: Lineage, b: Lineage): boolean {
  return a.roomId === b.roomId && a.epoch === b.epoch && a.forkId === b.forkId
}
