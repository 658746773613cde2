import type { Branch } from '../machine/command.js'
import { bodyBytesMax } from '../network/carried.js'
import { signalTextMax } from '../network/limits.js'
import type { PeerId } from '../raft/entry.js'
import {
  type ByteReader,
  type ByteWriter,
  readByte,
  readBytes,
  readCount,
  readFlag,
  readText,
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
import { readEntryId, readIncarnation, readPeerId, readShortText, writeEntryId, writeIncarnation } from './id-codec.js'
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
  recover: 10,
  position: 11,
  lead: 12,
  claim: 13,
  condition: 14,
  yield: 15,
  wake: 16,
  links: 20,
  signal: 21,
  relay: 22,
} as const satisfies Readonly<Record<Exclude<Item['type'], 'hello'>, number>>

const instructionsMax = 1_024
/** Tabs of a browser and peers of others, twice over. */
export const linksMax = 128

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
      writeFlag(writer, item.heir !== undefined)
      if (item.heir !== undefined) writeText(writer, item.heir)
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
    case 'recover':
      writeText(writer, item.forkId)
      break
    case 'position':
      writeText(writer, item.forkId)
      writeFlag(writer, item.position !== null)
      if (item.position) {
        writeCount(writer, item.position.term)
        writeEntryId(writer, item.position.last)
      }
      break
    case 'lead':
      writeText(writer, item.forkId)
      writeCount(writer, item.term)
      writeCount(writer, item.members)
      break
    case 'claim':
      writeFlag(writer, item.claim.hasQuorum)
      writeCount(writer, item.claim.foundedAt)
      writeEntryId(writer, item.claim.lastCommand)
      writeBranches(writer, item.claim.branches)
      break
    case 'yield':
      writeCount(writer, item.vote)
      break
    case 'condition':
      writeFlag(writer, item.visible)
      writeFlag(writer, item.phone)
      writeFlag(writer, item.frozen)
      writeFlag(writer, item.learnerOnly)
      writeTime(writer, item.stayed)
      writeTime(writer, item.fitFor)
      writeFlag(writer, item.rtt !== null)
      if (item.rtt !== null) writeTime(writer, item.rtt)
      break
    case 'wake':
      break
    case 'links':
      writeCount(writer, item.peerIds.length)
      for (const peerId of item.peerIds) writeText(writer, peerId)
      break
    case 'signal':
      writeText(writer, item.from)
      writeText(writer, item.to)
      writeText(writer, item.text)
      break
    case 'relay':
      writeText(writer, item.from)
      writeText(writer, item.to)
      writeBytes(writer, item.body)
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
      const vote = readFlag(reader) ? readCount(reader) : null
      return { type: 'goodbye', session, lastNumber, vote, ...(readFlag(reader) && { heir: readPeerId(reader) }) }
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
    case codeOf.recover:
      return { type: 'recover', forkId: readShortText(reader) }
    case codeOf.position: {
      const forkId = readShortText(reader)
      if (!readFlag(reader)) return { type: 'position', forkId, position: null }
      const term = readCount(reader)
      return { type: 'position', forkId, position: { term, last: readEntryId(reader) } }
    }
    case codeOf.lead: {
      const forkId = readShortText(reader)
      const term = readCount(reader)
      return { type: 'lead', forkId, term, members: readCount(reader) }
    }
    case codeOf.claim: {
      const hasQuorum = readFlag(reader)
      const foundedAt = readCount(reader)
      const lastCommand = readEntryId(reader)
      return { type: 'claim', claim: { hasQuorum, foundedAt, lastCommand, branches: readBranches(reader) } }
    }
    case codeOf.yield:
      return { type: 'yield', vote: readCount(reader) }
    case codeOf.condition: {
      const [visible, phone, frozen] = [readFlag(reader), readFlag(reader), readFlag(reader)]
      const learnerOnly = readFlag(reader)
      const [stayed, fitFor] = [readSpan(reader), readSpan(reader)]
      const rtt = readFlag(reader) ? readSpan(reader) : null
      return { type: 'condition', visible, phone, frozen, learnerOnly, stayed, fitFor, rtt }
    }
    case codeOf.wake:
      return { type: 'wake' }
    case codeOf.links:
      return { type: 'links', peerIds: readPeerIds(reader) }
    case codeOf.signal: {
      const from = readPeerId(reader)
      const to = readPeerId(reader)
      return { type: 'signal', from, to, text: readText(reader, signalTextMax) }
    }
    case codeOf.relay: {
      const from = readPeerId(reader)
      const to = readPeerId(reader)
      return { type: 'relay', from, to, body: readBody(reader) }
    }
    default:
      return refuse('an item of no kind')
  }
}

/** A time that has passed, ms. */
function readSpan(reader: ByteReader): number {
  const value = readTime(reader)
  return value >= 0 ? value : refuse('less than no time')
}

function writeBranches(writer: ByteWriter, branches: readonly Branch[]): void {
  writeCount(writer, branches.length)
  for (const { forkId, members, lastCommand } of branches) {
    writeText(writer, forkId)
    writeCount(writer, members)
    writeEntryId(writer, lastCommand)
  }
}

function readBranches(reader: ByteReader): readonly Branch[] {
  const branches: Branch[] = []
  for (let count = readCount(reader); count > 0; count--) {
    const forkId = readShortText(reader)
    const members = readCount(reader)
    branches.push({ forkId, members, lastCommand: readEntryId(reader) })
  }
  return branches
}

function readInstructions(reader: ByteReader): readonly Uint8Array[] {
  const count = readCount(reader)
  if (count > instructionsMax) refuse('more instructions than a turn has')
  const instructions: Uint8Array[] = []
  for (let i = 0; i < count; i++) instructions.push(readBytes(reader))
  return instructions
}

function readPeerIds(reader: ByteReader): readonly PeerId[] {
  const count = readCount(reader)
  if (count > linksMax) refuse('more links than a peer has')
  return Array.from({ length: count }, () => readPeerId(reader))
}

function readBody(reader: ByteReader): Uint8Array {
  const body = readBytes(reader)
  return body.byteLength <= bodyBytesMax ? body : refuse('more than one piece of a frame')
}
