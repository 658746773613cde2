import { crc32 } from './checksum.js'
import type { EntryId } from './entry.js'
import type { MessageOf } from './message.js'

/**
 * What has come of a snapshot, in memory only: a restart begins anew, and nobody ever sees a part of it (S47). It outlives leaders and
 * terms, so that whoever has the same snapshot goes on with it.
 */
export interface PartialSnapshot {
  readonly id: EntryId
  readonly size: number
  readonly checksum: number
  /** Of the leader that last sent some of it. */
  term: number
  /** Grows with what has come: what is only announced costs nothing. */
  bytes: Uint8Array
  received: number
  /** Of what has come. */
  crc: number
}

function createPartial({ meta, size, checksum, term }: MessageOf<'snapshot'>): PartialSnapshot {
  const id = { term: meta.term, index: meta.index }
  return { id, size, checksum, term, bytes: new Uint8Array(), received: 0, crc: 0 }
}

/** The partial snapshot that this chunk belongs to; null when it is a late one, of a snapshot that its leader has left behind. */
export function partialFor(current: PartialSnapshot | null, message: MessageOf<'snapshot'>): PartialSnapshot | null {
  if (current === null) return createPartial(message)
  const { meta, term } = message
  if (isPartOf(current, message)) {
    current.term = term
    return current
  }
  // Within a term snapshots only get newer. A new leader may have an older one than its predecessor, and no other.
  return term > current.term || meta.index > current.id.index ? createPartial(message) : null
}

function isPartOf({ id, size, checksum }: PartialSnapshot, message: MessageOf<'snapshot'>): boolean {
  const { meta } = message
  return id.index === meta.index && id.term === meta.term && size === message.size && checksum === message.checksum
}

/** Takes what continues the bytes that are here; what comes before a gap is closed comes again. */
export function addChunk(partial: PartialSnapshot, offset: number, data: Uint8Array): void {
  const { received } = partial
  if (offset > received || offset + data.length <= received) return
  const fresh = data.subarray(received - offset)
  const end = received + fresh.length
  // Copied, and into one piece: a small view would keep its whole frame alive, and many small ones cost more than they hold.
  if (end > partial.bytes.length) grow(partial, end)
  partial.bytes.set(fresh, received)
  partial.received = end
  partial.crc = crc32(fresh, partial.crc)
}

function grow(partial: PartialSnapshot, atLeast: number): void {
  const bytes = new Uint8Array(Math.min(partial.size, Math.max(atLeast, 2 * partial.bytes.length)))
  bytes.set(partial.bytes.subarray(0, partial.received))
  partial.bytes = bytes
}
