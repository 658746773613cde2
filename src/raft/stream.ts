import { crc32 } from './checksum.js'
import type { Snapshot } from './message.js'
import type { Limits } from './state.js'

/** A snapshot for whoever needs it, with the checksum of its data: computed once, however many ask. */
export interface Offer {
  readonly snapshot: Snapshot
  readonly checksum: number
}

/**
 * A snapshot on its way to one follower, in chunks within a window by bytes (S47). It holds what it sends, so that a newer
 * compaction does not change it under way. Invariant: acked <= sent <= the snapshot's size.
 */
export interface Stream {
  readonly offer: Offer
  /** So many bytes are there without a gap. */
  acked: number
  sent: number
  /**
   * False until it is known what is there: the follower may have kept a part of the same snapshot from an earlier leader or link, so
   * only one chunk is risked.
   */
  isOpen: boolean
  /** Since the last heartbeat reply. */
  hasMoved: boolean
  /** Chunks may be lost: it was asked what is there, and may say that it is less than before. */
  isAsked: boolean
}

export function createStream(offer: Offer): Stream {
  return { offer, acked: 0, sent: 0, isOpen: false, hasMoved: true, isAsked: false }
}

export function createOffer(snapshot: Snapshot): Offer {
  return { snapshot, checksum: crc32(snapshot.data) }
}

/** How many bytes may follow now; 0 while the window is full, and when all is sent. */
export function nextChunk({ offer, acked, sent, isOpen }: Stream, limits: Limits): number {
  const bytes = Math.min(limits.chunkBytes, offer.snapshot.data.length - sent)
  const room = isOpen ? limits.inflightChunkBytes - (sent - acked) : 0
  // A chunk larger than the window goes alone.
  return sent === acked || bytes <= room ? bytes : 0
}

/** The follower says how much is there. False when that changes nothing. */
export function acknowledgeChunks(stream: Stream, offset: number): boolean {
  if (offset > stream.offer.snapshot.data.length) return false
  const isNews = offset > stream.acked
  // Late and repeated answers come by themselves; only an answer that was asked for may take something back.
  if (!isNews && !stream.isAsked) return false
  // Going back: what was sent after it is lost, or the follower has dropped it (a restart, a wrong checksum).
  stream.sent = isNews ? Math.max(stream.sent, offset) : offset
  stream.acked = offset
  stream.isOpen = isNews
  stream.hasMoved = true
  stream.isAsked = false
  return true
}

/**
 * The follower lives. True when nothing has moved since it last said so, and it is to be asked. An empty chunk does: in an ordered lane it
 * comes after what is merely slow, so that nothing is sent twice over a slow link.
 */
export function askIfSilent(stream: Stream): boolean {
  stream.isAsked = !stream.hasMoved
  stream.hasMoved = false
  return stream.isAsked
}
