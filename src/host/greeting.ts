/**
 * The part of the wire that never changes, so that peers of any two versions understand each other this far:
 *
 *   frame    = version, rest                     version: a number by seven bits (shared/bytes.ts), as all numbers here
 *   greeting = 0, oldest, newest, head, hello    the frame whose version is 0
 *   head     = length, lineage or 0, sender, its incarnation, receiver, its incarnation or 0      (frame.ts)
 *   hello    = browser id, founded, joined, resident, canApply, roomVersion, and whatever later versions add
 *
 * `oldest` to `newest` is what the sender speaks. A version may add to the end of the hello, which older ones skip, and may
 * change everything else of a frame that has a version of its own.
 */
import {
  type ByteReader,
  type ByteWriter,
  readCount,
  readFlag,
  refuse,
  writeCount,
  writeFlag,
  writeText,
} from '../shared/bytes.js'
import type { VersionRange } from './dialect.js'
import { readShortText } from './id-codec.js'

/** The first number of a greeting, in every version. */
export const greetingVersion = 0

/** The first frame on a link, and again whenever it changes. */
export interface HelloItem {
  readonly type: 'hello'
  readonly speaks: VersionRange
  readonly browserId: string
  /** False while the sender is not yet part of a room: it then takes over the lineage of whoever is. */
  readonly founded: boolean
  /** In this life it has heard the room's leader, or led it: so the room lives, whoever else may come. */
  readonly joined: boolean
  /** A dead tab's node, reopened from its disk by a survivor (L4): it votes while the room needs it, and holds no session. */
  readonly resident: boolean
  /** F5: the highest version of the machine that the sender can apply. */
  readonly canApply: number
  /** F5: the version of the room's machine as far as the sender has applied its log; 1 is the first. */
  readonly roomVersion: number
}

export function writeRange(writer: ByteWriter, { oldest, newest }: VersionRange): void {
  writeCount(writer, oldest)
  writeCount(writer, newest)
}

export function readRange(reader: ByteReader): VersionRange {
  const oldest = readCount(reader)
  const newest = readCount(reader)
  return oldest > greetingVersion && newest >= oldest ? { oldest, newest } : refuse('versions that cannot be')
}

export function writeHello(writer: ByteWriter, hello: HelloItem): void {
  writeText(writer, hello.browserId)
  writeFlag(writer, hello.founded)
  writeFlag(writer, hello.joined)
  writeFlag(writer, hello.resident)
  writeCount(writer, hello.canApply)
  writeCount(writer, hello.roomVersion)
}

/** What comes after it is of a later version. */
export function readHello(reader: ByteReader, speaks: VersionRange): HelloItem {
  const browserId = readShortText(reader)
  const founded = readFlag(reader)
  const joined = readFlag(reader)
  const resident = readFlag(reader)
  const canApply = readCount(reader)
  return { type: 'hello', speaks, browserId, founded, joined, resident, canApply, roomVersion: readCount(reader) }
}
