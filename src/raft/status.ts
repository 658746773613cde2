import { configurationIndexOf, configurationOf, lastId, lastIndex } from './log.js'
import type { ProgressStatus, SnapshotStatus, Status } from './ready.js'
import { isInReserve } from './reserve.js'
import type { RaftState } from './state.js'
import type { Stream } from './stream.js'

export function statusOf(state: RaftState): Status {
  const { log } = state
  return {
    peerId: state.peerId,
    role: state.role,
    term: state.term,
    votedFor: state.votedFor,
    promisedTo: state.promise?.to ?? null,
    transferringTo: state.leading?.transfer?.to ?? null,
    leader: state.leader,
    firstIndex: log.base.index + 1,
    lastIndex: lastIndex(log),
    lastTerm: lastId(log).term,
    stableIndex: log.stable,
    commitIndex: log.commit,
    appliedIndex: log.applied,
    configuration: configurationOf(log),
    configurationIndex: configurationIndexOf(log),
    progress: progressOf(state),
  }
}

function progressOf(state: RaftState): ProgressStatus[] {
  if (state.leading === null) return []
  return [...state.leading.progress.values()].map((progress) => {
    const { peerId, match, next, active, round, stream } = progress
    return {
      peerId,
      state: progress.state,
      matchIndex: match,
      nextIndex: next,
      active,
      round,
      inReserve: isInReserve(state, progress),
      snapshot: stream && snapshotOf(stream),
    }
  })
}

function snapshotOf({ offer, acked }: Stream): SnapshotStatus {
  const { meta, data } = offer.snapshot
  return { term: meta.term, index: meta.index, size: data.length, offset: acked }
}
