/**
 * What cores say to each other, as bytes. Who speaks to whom is in the frame's head (F1), so a message cannot pretend to be
 * somebody else's. An entry says nothing that the one before it has said: its index follows, its term and time are mostly the same.
 */
import * as v from 'valibot'
import type { Configuration, Entry, PeerId } from '../raft/entry.js'
import type { Message, MessageOf } from '../raft/message.js'
import {
  type ByteReader,
  type ByteWriter,
  readByte,
  readBytes,
  readCount,
  readFlag,
  readTime,
  refuse,
  writeByte,
  writeBytes,
  writeCount,
  writeFlag,
  writeText,
  writeTime,
} from '../shared/bytes.js'
import { decode, encode } from '../shared/codec.js'
import { configurationSchema, isPeerId } from './configuration-schema.js'
import { readEntryId, readShortText, writeEntryId } from './id-codec.js'

/** Never given twice: a number that is no longer used stays free. */
const codeOf = {
  preVote: 0,
  preVoteReply: 1,
  vote: 2,
  voteReply: 3,
  append: 4,
  commit: 5,
  stable: 6,
  appendReply: 7,
  heartbeat: 8,
  heartbeatReply: 9,
  timeoutNow: 10,
  snapshot: 11,
  readIndex: 12,
  readIndexReply: 13,
  snapshotReply: 14,
} as const satisfies Readonly<Record<Message['type'], number>>

const entriesMax = 16_384
const electionTicksMax = 600_000

export function writeMessage(writer: ByteWriter, message: Message): void {
  writeByte(writer, codeOf[message.type])
  writeCount(writer, message.term)
  switch (message.type) {
    case 'preVote':
    case 'commit':
      writeEntryId(writer, message.last)
      break
    case 'vote':
      writeEntryId(writer, message.last)
      writeFlag(writer, message.transfer)
      break
    case 'preVoteReply':
    case 'voteReply':
      writeFlag(writer, message.granted)
      break
    case 'append':
      writeAppend(writer, message)
      break
    case 'stable':
      writeCount(writer, message.index)
      break
    case 'appendReply':
      writeFlag(writer, message.rejected)
      writeCount(writer, message.index)
      if (message.rejected) writeEntryId(writer, message.hint)
      break
    case 'heartbeat':
      writeCount(writer, message.commitIndex)
      writeCount(writer, message.round)
      writeCount(writer, message.electionTicks)
      writeText(writer, message.heir ?? '')
      writeFlag(writer, message.quiet === true)
      break
    case 'heartbeatReply':
      writeCount(writer, message.round)
      writeCount(writer, message.priority ?? 0)
      writeFlag(writer, message.quiet === true)
      break
    case 'timeoutNow':
      break
    case 'snapshot':
      writeSnapshot(writer, message)
      break
    case 'snapshotReply':
      writeEntryId(writer, message.snapshot)
      writeCount(writer, message.offset)
      break
    case 'readIndex':
      writeCount(writer, message.id)
      break
    case 'readIndexReply':
      writeCount(writer, message.id)
      writeCount(writer, message.index)
      writeFlag(writer, message.rejected)
      break
    default:
      message satisfies never
  }
}

/** Throws on anything that `writeMessage` would not have written. */
export function readMessage(reader: ByteReader, from: PeerId, to: PeerId): Message {
  const code = readByte(reader)
  const term = readCount(reader)
  switch (code) {
    case codeOf.preVote:
      return { type: 'preVote', from, to, term, last: readEntryId(reader) }
    case codeOf.preVoteReply:
      return { type: 'preVoteReply', from, to, term, granted: readFlag(reader) }
    case codeOf.vote:
      return { type: 'vote', from, to, term, last: readEntryId(reader), transfer: readFlag(reader) }
    case codeOf.voteReply:
      return { type: 'voteReply', from, to, term, granted: readFlag(reader) }
    case codeOf.append:
      return readAppend(reader, from, to, term)
    case codeOf.commit:
      return { type: 'commit', from, to, term, last: readEntryId(reader) }
    case codeOf.stable:
      return { type: 'stable', from, to, term, index: readCount(reader) }
    case codeOf.appendReply:
      return readAppendReply(reader, from, to, term)
    case codeOf.heartbeat:
      return readHeartbeat(reader, from, to, term)
    case codeOf.heartbeatReply: {
      const round = readCount(reader)
      const priority = readCount(reader)
      const quiet = readFlag(reader)
      const plain = { type: 'heartbeatReply', from, to, term, round } as const
      return { ...plain, ...(priority !== 0 && { priority }), ...(quiet && { quiet }) }
    }
    case codeOf.timeoutNow:
      return { type: 'timeoutNow', from, to, term }
    case codeOf.snapshot:
      return readSnapshot(reader, from, to, term)
    case codeOf.snapshotReply: {
      const snapshot = readEntryId(reader)
      return { type: 'snapshotReply', from, to, term, snapshot, offset: readCount(reader) }
    }
    case codeOf.readIndex:
      return { type: 'readIndex', from, to, term, id: readCount(reader) }
    case codeOf.readIndexReply: {
      const id = readCount(reader)
      const index = readCount(reader)
      return { type: 'readIndexReply', from, to, term, id, index, rejected: readFlag(reader) }
    }
    default:
      return refuse('a message of no kind')
  }
}

function readAppendReply(reader: ByteReader, from: PeerId, to: PeerId, term: number): MessageOf<'appendReply'> {
  const rejected = readFlag(reader)
  const index = readCount(reader)
  if (!rejected) return { type: 'appendReply', from, to, term, rejected, index }
  return { type: 'appendReply', from, to, term, rejected, index, hint: readEntryId(reader) }
}

function readHeartbeat(reader: ByteReader, from: PeerId, to: PeerId, term: number): MessageOf<'heartbeat'> {
  const commitIndex = readCount(reader)
  const round = readCount(reader)
  const electionTicks = readCount(reader)
  if (electionTicks < 1 || electionTicks > electionTicksMax) refuse('an election time-out that cannot be')
  const heir = readShortText(reader)
  const quiet = readFlag(reader)
  if (heir !== '' && !isPeerId(heir)) refuse('an heir that cannot be')
  const plain = { type: 'heartbeat', from, to, term, commitIndex, round, electionTicks } as const
  return { ...plain, ...(heir !== '' && { heir }), ...(quiet && { quiet }) }
}

function writeSnapshot(writer: ByteWriter, message: MessageOf<'snapshot'>): void {
  const { meta, size, checksum, offset, data } = message
  writeEntryId(writer, meta)
  writeTime(writer, meta.time)
  writeConfiguration(writer, meta.configuration)
  writeCount(writer, size)
  writeCount(writer, checksum)
  writeCount(writer, offset)
  writeBytes(writer, data)
}

function readSnapshot(reader: ByteReader, from: PeerId, to: PeerId, term: number): MessageOf<'snapshot'> {
  const id = readEntryId(reader)
  const time = readTime(reader)
  const meta = { ...id, configuration: readConfiguration(reader), time }
  const size = readCount(reader)
  const checksum = readCount(reader)
  const offset = readCount(reader)
  const data = readBytes(reader)
  if (checksum >= 2 ** 32) refuse('a checksum of more than 32 bits')
  if (offset + data.byteLength > size) refuse('a chunk outside its snapshot')
  return { type: 'snapshot', from, to, term, meta, size, checksum, offset, data }
}

/** Rare and small: by name, as everywhere else. */
function writeConfiguration(writer: ByteWriter, configuration: Configuration): void {
  writeBytes(writer, encode(configuration))
}

function readConfiguration(reader: ByteReader): Configuration {
  return v.parse(configurationSchema, decode(readBytes(reader)), { abortEarly: true })
}

/** One byte before each entry: its kind, and what is not as in the entry before it (or in the message). */
const kind = { command: 0, configuration: 1, noop: 2 } as const
const kindBits = 3
const termBit = 4
const timeBit = 8

function writeAppend(writer: ByteWriter, { term, previous, commitIndex, entries }: MessageOf<'append'>): void {
  writeEntryId(writer, previous)
  writeCount(writer, commitIndex)
  writeCount(writer, entries.length)
  let lastTerm = term
  let lastTime = 0
  for (const entry of entries) {
    const isOtherTerm = entry.term !== lastTerm
    const isOtherTime = entry.time !== lastTime
    writeByte(writer, kind[entry.type] | (isOtherTerm ? termBit : 0) | (isOtherTime ? timeBit : 0))
    if (isOtherTerm) writeCount(writer, entry.term)
    if (isOtherTime) writeTime(writer, entry.time)
    lastTerm = entry.term
    lastTime = entry.time
    if (entry.type === 'command') writeBytes(writer, entry.data)
    else if (entry.type === 'configuration') writeConfiguration(writer, entry.configuration)
  }
}

function readAppend(reader: ByteReader, from: PeerId, to: PeerId, term: number): MessageOf<'append'> {
  const previous = readEntryId(reader)
  const commitIndex = readCount(reader)
  const count = readCount(reader)
  if (count > entriesMax || previous.index + count > Number.MAX_SAFE_INTEGER) refuse('more entries than can be')
  const entries: Entry[] = []
  let lastTerm = term
  let time = 0
  for (let index = previous.index + 1; index <= previous.index + count; index++) {
    const head = readByte(reader)
    if (head > (kindBits | termBit | timeBit)) refuse('an entry of no kind')
    if (head & termBit) lastTerm = readCount(reader)
    if (head & timeBit) time = readTime(reader)
    entries.push(readEntry(reader, head & kindBits, lastTerm, index, time))
  }
  return { type: 'append', from, to, term, previous, entries, commitIndex }
}

function readEntry(reader: ByteReader, kindCode: number, term: number, index: number, time: number): Entry {
  switch (kindCode) {
    case kind.command:
      return { type: 'command', term, index, time, data: readBytes(reader) }
    case kind.configuration:
      return { type: 'configuration', term, index, time, configuration: readConfiguration(reader) }
    case kind.noop:
      return { type: 'noop', term, index, time }
    default:
      return refuse('an entry of no kind')
  }
}
