import type { PeerId } from '../raft/entry.js'
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
import type { Item } from './frame.js'
import { readIncarnation, readPeerId, writeIncarnation } from './id-codec.js'
import { readMessage, writeMessage } from './message-codec.js'

/** Never given twice: a number that is no longer used stays free. */
const codeOf = {
  raft: 0,
  // 1 was the hello, which has a frame of its own now (greeting.ts).
  submit: 2,
  alive: 3,
  echo: 4,
  admit: 5,
  goodbye: 6,
  departed: 7,
  ping: 8,
  pong: 9,
} as const satisfies Readonly<Record<Exclude<Item['type'], 'hello'>, number>>

const instructionsMax = 1_024

export function writeItem(writer: ByteWriter, item: Item): void {
  if (item.type === 'hello') refuse('a hello has a frame of its own')
  writeByte(writer, codeOf[item.type])
  switch (item.type) {
    case 'raft':
      writeCount(writer, item.group)
      writeMessage(writer, item.message)
      break
    case 'submit':
      writeCount(writer, item.instructions.length)
      for (const instruction of item.instructions) writeBytes(writer, instruction)
      break
    case 'alive':
      writeCount(writer, item.session)
      writeTime(writer, item.monotonic)
      writeTime(writer, item.wall)
      break
    case 'echo':
      writeCount(writer, item.session)
      writeTime(writer, item.monotonic)
      writeTime(writer, item.wall)
      writeTime(writer, item.clusterTime)
      writeCount(writer, item.commitIndex)
      break
    case 'admit':
      writeFlag(writer, item.learnerOnly)
      break
    case 'goodbye':
      writeCount(writer, item.session)
      writeCount(writer, item.lastNumber)
      writeFlag(writer, item.vote !== null)
      if (item.vote !== null) writeCount(writer, item.vote)
      break
    case 'departed':
      writeText(writer, item.peerId)
      writeIncarnation(writer, item.incarnation)
      writeFlag(writer, item.proof === 'death')
      writeCount(writer, item.lastNumber)
      break
    case 'ping':
    case 'pong':
      writeTime(writer, item.time)
      break
    default:
      item satisfies never
  }
}

/** Throws on anything that `writeItem` would not have written. `from` and `to` as the frame's head names them. */
export function readItem(reader: ByteReader, from: PeerId, to: PeerId): Item {
  switch (readByte(reader)) {
    case codeOf.raft: {
      const group = readCount(reader)
      return { type: 'raft', group, message: readMessage(reader, from, to) }
    }
    case codeOf.submit:
      return { type: 'submit', instructions: readInstructions(reader) }
    case codeOf.alive: {
      const session = readCount(reader)
      const monotonic = readTime(reader)
      return { type: 'alive', session, monotonic, wall: readTime(reader) }
    }
    case codeOf.echo: {
      const session = readCount(reader)
      const monotonic = readTime(reader)
      const wall = readTime(reader)
      const clusterTime = readTime(reader)
      return { type: 'echo', session, monotonic, wall, clusterTime, commitIndex: readCount(reader) }
    }
    case codeOf.admit:
      return { type: 'admit', learnerOnly: readFlag(reader) }
    case codeOf.goodbye: {
      const session = readCount(reader)
      const lastNumber = readCount(reader)
      return { type: 'goodbye', session, lastNumber, vote: readFlag(reader) ? readCount(reader) : null }
    }
    case codeOf.departed: {
      const peerId = readPeerId(reader)
      const incarnation = readIncarnation(reader)
      const proof = readFlag(reader) ? 'death' : 'goodbye'
      return { type: 'departed', peerId, incarnation, proof, lastNumber: readCount(reader) }
    }
    case codeOf.ping:
      return { type: 'ping', time: readTime(reader) }
    case codeOf.pong:
      return { type: 'pong', time: readTime(reader) }
    default:
      return refuse('an item of no kind')
  }
}

function readInstructions(reader: ByteReader): readonly Uint8Array[] {
  const count = readCount(reader)
  if (count > instructionsMax) refuse('more instructions than a turn has')
  const instructions: Uint8Array[] = []
  for (let i = 0; i < count; i++) instructions.push(readBytes(reader))
  return instructions
}
