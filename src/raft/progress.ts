import type { PeerId } from './entry.js'
import { createInflight, type Inflight, resetInflight } from './inflight.js'
import type { Stream } from './stream.js'

/**
 * What the leader knows of one other member.
 * - `probe`: where the logs agree is unknown; one append at a time.
 * - `replicate`: appends are pipelined within the in-flight window.
 * - `snapshot`: what it needs is compacted; a snapshot is on its way, and no appends.
 * Invariants: match < next; `stream` is there exactly in `snapshot`.
 */
export interface Progress {
  readonly peerId: PeerId
  state: 'probe' | 'replicate' | 'snapshot'
  /** Known to be durable there and equal to the leader's log. Never goes down within a term. */
  match: number
  next: number
  /** What `match` was when it last answered a heartbeat. */
  matchAtBeat: number
  /** In `probe`: one append is under way; a reply, or a heartbeat reply if it was lost, frees it. */
  paused: boolean
  stream: Stream | null
  /** An append, or a chunk, is owed even if it carries nothing, because earlier ones or their replies may be lost. */
  owed: boolean
  /** The commit index last told in an append that the member can act on. */
  toldCommit: number
  /** The newest entry that was appended at its request: it waits for the commit. */
  proposed: number
  /** On the leader's clock: when it last heard of a commit (news.ts). */
  toldAt: number
  /** Somebody there waits for what is committed. */
  isWaiting: boolean
  /** What it was last told to be durable at the leader. */
  toldStable: number
  active: boolean
  /** How fit it said it is to lead. */
  priority: number
  round: number
  /** Commits in a row that came about without it (reserve.ts). */
  unneeded: number
  /** 0, or the index of the configuration that removed it: it is served until it knows (S57). */
  departing: number
  readonly inflight: Inflight
}

export function createProgress(peerId: PeerId, next: number, active: boolean, window: number): Progress {
  return {
    peerId,
    state: 'probe',
    match: 0,
    next,
    matchAtBeat: 0,
    paused: false,
    stream: null,
    owed: false,
    toldCommit: 0,
    proposed: 0,
    toldAt: Number.NEGATIVE_INFINITY,
    isWaiting: false,
    toldStable: 0,
    active,
    priority: 0,
    round: 0,
    unneeded: 0,
    departing: 0,
    inflight: createInflight(window),
  }
}

export function becomeProbe(progress: Progress, next: number): void {
  progress.state = 'probe'
  progress.next = Math.max(next, progress.match + 1)
  progress.paused = false
  progress.stream = null
  progress.toldCommit = 0
  progress.toldStable = 0
  resetInflight(progress.inflight)
}

export function becomeReplicate(progress: Progress): void {
  const { toldCommit } = progress
  becomeProbe(progress, progress.match + 1)
  progress.state = 'replicate'
  // The append that it has just acknowledged said so.
  progress.toldCommit = toldCommit
}

export function becomeSnapshot(progress: Progress, stream: Stream): void {
  const { meta, data } = stream.offer.snapshot
  becomeProbe(progress, meta.index + 1)
  progress.state = 'snapshot'
  progress.stream = stream
  // Of an empty one no chunk would say that it is there.
  progress.owed = data.length === 0
}

/** Everything up to `index` is durable there. False when that is not news. */
export function acknowledge(progress: Progress, index: number): boolean {
  if (index <= progress.match) return false
  progress.match = index
  progress.next = Math.max(progress.next, index + 1)
  return true
}

/**
 * An append after `refused` did not fit; the logs may agree up to `hint`. False when the refusal is stale: in the
 * pipeline every append after a lost one is refused, and only the first refusal says something.
 */
export function decrease(progress: Progress, refused: number, hint: number): boolean {
  if (progress.state === 'snapshot' || refused <= progress.match) return false
  if (progress.state === 'probe' && progress.next - 1 !== refused) return false
  becomeProbe(progress, Math.min(refused, hint + 1))
  return true
}
