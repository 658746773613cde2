import type { PeerId } from './entry.js'
import { confirmRounds } from './heartbeat.js'
import { freeInflight } from './inflight.js'
import { advanceCommit } from './leader.js'
import { lastIndex, lastWithTermAtMost, termAt } from './log.js'
import type { MessageOf } from './message.js'
import { acknowledge, becomeProbe, becomeReplicate, decrease, type Progress } from './progress.js'
import { wantedBy } from './replication.js'
import { callReserve } from './reserve.js'
import type { Leading, RaftState } from './state.js'
import { acknowledgeChunks, askIfSilent } from './stream.js'
import { abandonTransfer, handOver } from './transfer.js'

/** What followers answer to the leader of their term, and what the caller knows of the ways to them. */
export function onAppendReply(state: RaftState, message: MessageOf<'appendReply'>): void {
  const { leading } = state
  const progress = leading?.progress.get(message.from)
  if (leading === null || progress === undefined) return
  progress.active = true
  if (message.rejected) {
    // The follower's hint skips its terms that are not here; this skips ours that are not there (B29).
    const hint = lastWithTermAtMost(state.log, message.hint.index, message.hint.term)
    if (decrease(progress, message.index, hint.index)) leading.dirty = true
    return
  }
  if (message.index > lastIndex(state.log)) return
  const news = acknowledge(progress, message.index)
  if (!news && !(progress.state === 'probe' && progress.match === message.index)) return
  leading.dirty = true
  resume(state, progress)
  if (news && message.index > state.log.commit) advanceCommit(state, leading)
  if (state.leading !== null) handOver(state, leading, progress)
}

function resume(state: RaftState, progress: Progress): void {
  switch (progress.state) {
    case 'probe':
      becomeReplicate(progress)
      break
    case 'snapshot': {
      // Any place that this log still reaches will do, whether the snapshot brought it there or not (etcd-io/raft#110).
      const end = progress.stream?.offer.snapshot.meta.index ?? 0
      const reachable = progress.match >= end || termAt(state.log, progress.match) !== null
      if (reachable) becomeReplicate(progress)
      break
    }
    case 'replicate':
      freeInflight(progress.inflight, progress.match)
      break
  }
}

export function onSnapshotReply(state: RaftState, { from, snapshot: id, offset }: MessageOf<'snapshotReply'>): void {
  const { leading } = state
  const progress = leading?.progress.get(from)
  if (leading === null || progress === undefined) return
  progress.active = true
  const { stream } = progress
  const meta = stream?.offer.snapshot.meta
  if (stream === null || meta?.index !== id.index || meta.term !== id.term) return
  if (acknowledgeChunks(stream, offset)) leading.dirty = true
}

export function onHeartbeatReply(state: RaftState, message: MessageOf<'heartbeatReply'>): void {
  const { leading } = state
  const progress = leading?.progress.get(message.from)
  if (leading === null || progress === undefined) return
  progress.active = true
  progress.priority = message.priority ?? 0
  if (message.round > progress.round && message.round <= leading.round) {
    progress.round = message.round
    confirmRounds(state, leading)
  }
  progress.paused = false
  // It lives, so what was sent before may have been lost: ask again, also when it seems caught up (S31, S32). Who has acknowledged
  // something since the beat before is at work on the rest, unless its window is full: then nothing more would be sent to it.
  const { count, capacity, bytes } = progress.inflight
  const isFull = count === capacity || bytes >= state.limits.inflightBytes
  const isAtWork = progress.match > progress.matchAtBeat && !isFull
  progress.matchAtBeat = progress.match
  if ((isAtWork && progress.state === 'replicate') || (progress.stream !== null && !askIfSilent(progress.stream)))
    return
  if (progress.match < wantedBy(state, progress) || progress.state !== 'replicate') {
    progress.owed = true
    leading.dirty = true
  }
}

/** Messages to it were lost: probe instead of filling the pipeline. */
export function reportUnreachable(leading: Leading, peerId: PeerId): void {
  abandonTransfer(leading, peerId)
  callReserve(leading)
  const progress = leading.progress.get(peerId)
  if (progress === undefined || progress.state === 'probe') return
  becomeProbe(progress, progress.match + 1)
  // The next heartbeat reply says that it is back.
  progress.paused = true
}
