/**
 * Numbers, words and bytes one after another, without names: for what both ends know the order of. lib0's encoding (numbers by seven
 * bits, words as UTF-8), and every end of the bytes and every range checked on the way back: a reader throws, and never reads on.
 */
import { createDecoder, type Decoder, hasContent, readFloat64, readVarString, readVarUint } from 'lib0/decoding'
import {
  createEncoder,
  type Encoder,
  verifyLen,
  write,
  writeFloat64,
  writeVarString,
  writeVarUint,
} from 'lib0/encoding'

export type ByteWriter = Encoder
export type ByteReader = Decoder

/** Small enough that a part of it which is kept does not keep much more. */
const slabBytes = 8_192

/** One for all: nothing is awaited while bytes are written. What it has written stays in its slab, and the next goes behind it. */
const shared: ByteWriter = createEncoder()
startSlab()

function startSlab(): void {
  shared.bufs = []
  shared.cbuf = new Uint8Array(slabBytes)
  shared.cpos = 0
}

/**
 * What `fill` writes. Mostly a view on a buffer that holds other things too (a buffer of its own for each frame costs more than all
 * that goes into it): whoever transfers or clones it has to copy it first. Not to be called inside `fill`.
 */
export function written(fill: (writer: ByteWriter) => void): Uint8Array {
  const begin = shared.cpos
  try {
    fill(shared)
    if (shared.bufs.length === 0) return new Uint8Array(shared.cbuf.buffer, begin, shared.cpos - begin)
    const [first, ...rest] = [...shared.bufs, shared.cbuf.subarray(0, shared.cpos)]
    return joined([first?.subarray(begin) ?? new Uint8Array(), ...rest])
  } finally {
    if (shared.bufs.length > 0 || shared.cpos > slabBytes - slabBytes / 8) startSlab()
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, { byteLength }) => sum + byteLength, 0))
  let at = 0
  for (const part of parts) {
    bytes.set(part, at)
    at += part.byteLength
  }
  return bytes
}

export function readerOf(bytes: Uint8Array): ByteReader {
  return createDecoder(bytes)
}

export function refuse(what: string): never {
  throw new RangeError(what)
}

/** Nothing may come after what was read. */
export function assertEnd(reader: ByteReader): void {
  if (hasContent(reader)) refuse('more bytes than expected')
}

export function writeByte(writer: ByteWriter, value: number): void {
  write(writer, value)
}

export function readByte(reader: ByteReader): number {
  return reader.arr[reader.pos++] ?? refuse('the bytes end too early')
}

export function writeFlag(writer: ByteWriter, value: boolean): void {
  write(writer, value ? 1 : 0)
}

export function readFlag(reader: ByteReader): boolean {
  const value = readByte(reader)
  return value > 1 ? refuse('neither true nor false') : value === 1
}

/** A whole number from 0 to 2^53 - 1. */
export function writeCount(writer: ByteWriter, value: number): void {
  if (!Number.isSafeInteger(value) || value < 0)
    throw new RangeError(`${value} is not a whole number from 0 to 2^53 - 1`)
  if (value < 128) write(writer, value)
  else writeVarUint(writer, value)
}

export function readCount(reader: ByteReader): number {
  const first = reader.arr[reader.pos]
  if (first !== undefined && first < 128) {
    reader.pos++
    return first
  }
  const value = readVarUint(reader)
  return value <= Number.MAX_SAFE_INTEGER ? value : refuse('a number above 2^53 - 1')
}

/** Milliseconds of some clock: any finite number. */
export function writeTime(writer: ByteWriter, value: number): void {
  writeFloat64(writer, value)
}

export function readTime(reader: ByteReader): number {
  const value = readFloat64(reader)
  return Number.isFinite(value) ? value : refuse('not a finite number')
}

export function writeText(writer: ByteWriter, value: string): void {
  writeVarString(writer, value)
}

/** At most `lengthMax` UTF-16 code units. */
export function readText(reader: ByteReader, lengthMax: number): string {
  const value = readVarString(reader)
  return value.length <= lengthMax ? value : refuse(`a word of ${value.length} letters`)
}

export function writeBytes(writer: ByteWriter, value: Uint8Array): void {
  const { byteLength } = value
  writeCount(writer, byteLength)
  verifyLen(writer, byteLength)
  writer.cbuf.set(value, writer.cpos)
  writer.cpos += byteLength
}

/** A copy: a view would hold the whole frame in memory, and IndexedDB would store all that is behind it. */
export function readBytes(reader: ByteReader): Uint8Array {
  const length = readCount(reader)
  const { arr, pos } = reader
  if (length > arr.length - pos) refuse('the bytes end too early')
  reader.pos = pos + length
  return arr.slice(pos, pos + length)
}

/** Passes over what `writeBytes` wrote, if it is exactly that. */
export function skipBytes(reader: ByteReader, expected: Uint8Array): boolean {
  const { arr, pos } = reader
  const { byteLength } = expected
  if (byteLength === 0 || readCount(reader) !== byteLength || byteLength > arr.length - reader.pos) {
    reader.pos = pos
    return false
  }
  const begin = reader.pos
  for (let i = 0; i < byteLength; i++) {
    if (arr[begin + i] === expected[i]) continue
    reader.pos = pos
    return false
  }
  reader.pos = begin + byteLength
  return true
}
