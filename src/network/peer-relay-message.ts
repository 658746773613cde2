/** What the two ends of a carried link say to each other, as bytes. Whatever comes, reading it gives a message or null. */
import type { Incarnation } from '../raft/entry.js'
import {
  assertEnd,
  type ByteReader,
  type ByteWriter,
  readByte,
  readBytes,
  readCount,
  readerOf,
  readFlag,
  readText,
  refuse,
  writeByte,
  writeBytes,
  writeCount,
  writeFlag,
  writeText,
  written,
} from '../shared/bytes.js'
import type { Lane } from './link.js'
import { keyBytes, nonceBytes, tagBytes } from './peer-relay-seal.js'

/** In the clear. */
export type RelayMessage =
  | ({ readonly type: 'open' } & Introduction)
  /** `echo`: the nonce of the `open` that this answers. */
  | ({ readonly type: 'accept'; readonly echo: Uint8Array } & Introduction)
  /** `number`: its place in its lane, from 0. */
  | { readonly type: 'sealed'; readonly tag: Uint8Array; readonly number: number; readonly sealed: Uint8Array }

export interface Introduction {
  readonly incarnation: Incarnation
  readonly publicKey: Uint8Array
  readonly nonce: Uint8Array
}

/** Under the seal. */
export type SealedMessage =
  | { readonly type: 'piece'; readonly piece: Uint8Array }
  /** So many bytes of pieces of that lane have come in all. */
  | { readonly type: 'ack'; readonly lane: Lane; readonly bytes: number }
  /** The first of the side that opened the link. */
  | { readonly type: 'ready' }
  /** This end closes the link: by its own will, and what follows from that (M1). */
  | { readonly type: 'close' }
  /** This end gives it up. */
  | { readonly type: 'abort' }

const nonceTextMax = 64

export function writeRelayMessage(message: RelayMessage): Uint8Array {
  return written((writer) => {
    switch (message.type) {
      case 'open':
        writeByte(writer, 0)
        writeIntroduction(writer, message)
        break
      case 'accept':
        writeByte(writer, 1)
        writeIntroduction(writer, message)
        writeBytes(writer, message.echo)
        break
      case 'sealed':
        writeByte(writer, 2)
        writeBytes(writer, message.tag)
        writeCount(writer, message.number)
        writeBytes(writer, message.sealed)
        break
      default:
        message satisfies never
    }
  })
}

export function readRelayMessage(body: Uint8Array): RelayMessage | null {
  return attempt(body, (reader) => {
    switch (readByte(reader)) {
      case 0:
        return { type: 'open', ...readIntroduction(reader) }
      case 1:
        return { type: 'accept', ...readIntroduction(reader), echo: readExactly(reader, nonceBytes) }
      case 2: {
        const tag = readExactly(reader, tagBytes)
        const number = readCount(reader)
        return { type: 'sealed', tag, number, sealed: readBytes(reader) }
      }
      default:
        return refuse('a message of no kind')
    }
  })
}

export function writeSealed(message: SealedMessage): Uint8Array {
  return written((writer) => {
    switch (message.type) {
      case 'piece':
        writeByte(writer, 0)
        writeBytes(writer, message.piece)
        break
      case 'ack':
        writeByte(writer, 1)
        writeFlag(writer, message.lane === 'bulk')
        writeCount(writer, message.bytes)
        break
      case 'ready':
        writeByte(writer, 2)
        break
      case 'close':
        writeByte(writer, 3)
        break
      case 'abort':
        writeByte(writer, 4)
        break
      default:
        message satisfies never
    }
  })
}

export function readSealed(plain: Uint8Array): SealedMessage | null {
  return attempt(plain, (reader): SealedMessage => {
    switch (readByte(reader)) {
      case 0:
        return { type: 'piece', piece: readBytes(reader) }
      case 1: {
        const lane = readFlag(reader) ? 'bulk' : 'control'
        return { type: 'ack', lane, bytes: readCount(reader) }
      }
      case 2:
        return { type: 'ready' }
      case 3:
        return { type: 'close' }
      case 4:
        return { type: 'abort' }
      default:
        return refuse('a message of no kind')
    }
  })
}

function attempt<T>(bytes: Uint8Array, read: (reader: ByteReader) => T): T | null {
  try {
    const reader = readerOf(bytes)
    const message = read(reader)
    assertEnd(reader)
    return message
  } catch {
    return null
  }
}

function writeIntroduction(writer: ByteWriter, { incarnation, publicKey, nonce }: Introduction): void {
  writeCount(writer, incarnation.counter)
  writeText(writer, incarnation.nonce)
  writeBytes(writer, publicKey)
  writeBytes(writer, nonce)
}

function readIntroduction(reader: ByteReader): Introduction {
  const incarnation = { counter: readCount(reader), nonce: readText(reader, nonceTextMax) }
  const publicKey = readExactly(reader, keyBytes)
  return { incarnation, publicKey, nonce: readExactly(reader, nonceBytes) }
}

function readExactly(reader: ByteReader, length: number): Uint8Array {
  const bytes = readBytes(reader)
  return bytes.byteLength === length ? bytes : refuse(`${bytes.byteLength} bytes instead of ${length}`)
}
