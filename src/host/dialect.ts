/**
 * Which versions of the protocol this code speaks, and how each of them looks. Two peers speak, on each link, the highest version
 * that both know (greeting.ts), so neighbouring versions share a room. A version that adds something gets a dialect of its own:
 * - an item type that it adds is one that only its `knows` admits: it is not sent to whoever speaks an older one;
 * - a field that it adds is written and read by its codec only; the older ones write what they always wrote;
 * - what it takes away, or gives another meaning, stays as it was in the older ones, for as long as those are spoken.
 */
import type { PeerId } from '../raft/entry.js'
import type { ByteReader, ByteWriter } from '../shared/bytes.js'
import type { Item } from './frame.js'
import { readItem, writeItem } from './item-codec.js'

/** What is said after the greeting, in one version. */
export interface Dialect {
  readonly version: number
  /** Whether this version has such an item. */
  knows(item: Item): boolean
  writeItem(writer: ByteWriter, item: Item): void
  /** Throws on anything that `writeItem` would not have written. */
  readItem(reader: ByteReader, from: PeerId, to: PeerId): Item
}

/** The oldest version first, without a gap. */
export type Protocol = readonly [Dialect, ...Dialect[]]

/** The newest version of the protocol. Raised when something is added; versions below 3 had no greeting. */
export const protocolVersion = 3

export const protocol: Protocol = [{ version: protocolVersion, knows: () => true, writeItem, readItem }]

/** Versions, both ends included. */
export interface VersionRange {
  readonly oldest: number
  readonly newest: number
}

export function rangeOf(protocol: Protocol): VersionRange {
  const [oldest] = protocol
  return { oldest: oldest.version, newest: (protocol.at(-1) ?? oldest).version }
}

export function dialectOf(protocol: Protocol, version: number): Dialect | null {
  return protocol.find((dialect) => dialect.version === version) ?? null
}

/** The highest version that both know, null if there is none. */
export function agreedVersion(a: VersionRange, b: VersionRange): number | null {
  const newest = Math.min(a.newest, b.newest)
  return newest >= Math.max(a.oldest, b.oldest) ? newest : null
}

export function describeRange({ oldest, newest }: VersionRange): string {
  return oldest === newest ? String(oldest) : `${oldest} to ${newest}`
}
