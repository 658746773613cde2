import type { PeerId } from '../raft/entry.js'

/** Smoothing of round trips and of their spread, as TCP does it (RFC 6298). */
const gain = 1 / 8
const spreadGain = 1 / 4
/** An answer that took longer, ms, came from somebody who was frozen: it says nothing of the way. Nor is it waited for. */
const sampleMax = 5_000

type Kind = 'beat' | 'ping'

interface Estimate {
  smoothed: number
  spread: number
  /** The last three as they came: their median counts, for one that was late says nothing of the next. */
  readonly recent: number[]
}

/**
 * How long it takes to be answered by each peer, by heartbeats and by pings. One message of each kind is timed at a time, so that a
 * peer that thaws and answers a hundred at once is one sample, not a hundred.
 */
export class RoundTrips {
  readonly #timed = new Map<PeerId, Map<Kind, { readonly key: number; readonly at: number }>>()
  readonly #estimates = new Map<PeerId, Estimate>()

  /** A message of that kind leaves; `key` grows with each. */
  sent(peerId: PeerId, kind: Kind, key: number, now: number): void {
    const timed = this.#timed.get(peerId) ?? new Map<Kind, { key: number; at: number }>()
    const before = timed.get(kind)
    // A key that went back is of another term: what is timed will never be answered.
    if (before && key > before.key && now - before.at < sampleMax) return
    timed.set(kind, { key, at: now })
    this.#timed.set(peerId, timed)
  }

  /** The message of that key, or a later one, has been answered. */
  answered(peerId: PeerId, kind: Kind, key: number, now: number): void {
    const timed = this.#timed.get(peerId)?.get(kind)
    if (!timed || key < timed.key) return
    this.#timed.get(peerId)?.delete(kind)
    if (now - timed.at < sampleMax) this.#learn(peerId, Math.max(0, now - timed.at))
  }

  /** The last link to it went down: the next one may lead another way. */
  forget(peerId: PeerId): void {
    this.#timed.delete(peerId)
    this.#estimates.delete(peerId)
  }

  /** What an election needs over that link: three typical round trips, and what they differ by. Null until measured. */
  need(peerId: PeerId): number | null {
    const estimate = this.#estimates.get(peerId)
    return estimate ? 3 * estimate.smoothed + 4 * estimate.spread : null
  }

  #learn(peerId: PeerId, raw: number): void {
    const known = this.#estimates.get(peerId)
    if (!known) {
      this.#estimates.set(peerId, { smoothed: raw, spread: raw / 2, recent: [raw] })
      return
    }
    known.recent.push(raw)
    if (known.recent.length > 3) known.recent.shift()
    const sample = median(known.recent)
    known.spread += (Math.abs(sample - known.smoothed) - known.spread) * spreadGain
    known.smoothed += (sample - known.smoothed) * gain
  }
}

/** Of two the smaller: one alone may be an accident. */
function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  return sorted[(sorted.length - 1) >> 1] ?? 0
}
