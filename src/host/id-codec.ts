import type { EntryId, Incarnation, PeerId } from '../raft/entry.js'
import {
  type ByteReader,
  type ByteWriter,
  readCount,
  readText,
  refuse,
  writeCount,
  writeText,
} from '../shared/bytes.js'
import { isPeerId } from './configuration-schema.js'

/** Of every id and nonce, in letters. */
const idLengthMax = 64

export function readShortText(reader: ByteReader): string {
  return readText(reader, idLengthMax)
}

export function readPeerId(reader: ByteReader): PeerId {
  const peerId = readShortText(reader)
  return isPeerId(peerId) ? peerId : refuse('a peer id that cannot be')
}

export function writeIncarnation(writer: ByteWriter, { counter, nonce }: Incarnation): void {
  writeCount(writer, counter)
  writeText(writer, nonce)
}

export function readIncarnation(reader: ByteReader): Incarnation {
  const counter = readCount(reader)
  return { counter, nonce: readShortText(reader) }
}

export function writeEntryId(writer: ByteWriter, { term, index }: EntryId): void {
  writeCount(writer, term)
  writeCount(writer, index)
}

export function readEntryId(reader: ByteReader): EntryId {
  const term = readCount(reader)
  return { term, index: readCount(reader) }
}
