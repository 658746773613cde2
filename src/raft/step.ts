import { onPreVoteReply, onTimeoutNow, onVoteReply } from './candidate.js'
import { becomeFollower, onAppend, onCommit, onHeartbeat, onSnapshot } from './follower.js'
import { lastId } from './log.js'
import type { Message } from './message.js'
import { onStable } from './pair.js'
import { onReadIndex, onReadIndexReply, refuseRead } from './read-index.js'
import { onAppendReply, onHeartbeatReply, onSnapshotReply } from './reply.js'
import { type RaftState, sendAfterWrite } from './state.js'
import { isSticky, onPreVote, onVote } from './vote.js'

/** A term that far ahead is an error or an attack: adopting it would wear the numbers out (F1). */
export const termLeapMax = 2 ** 20

export function step(state: RaftState, message: Message): void {
  if (message.to !== state.peerId || message.from === state.peerId) return
  if (message.term > state.term + termLeapMax) return
  if (message.term < state.term) answerStale(state, message)
  else if (message.term === state.term || adoptTerm(state, message)) route(state, message)
}

function route(state: RaftState, message: Message): void {
  switch (message.type) {
    case 'preVote':
      onPreVote(state, message)
      break
    case 'preVoteReply':
      onPreVoteReply(state, message)
      break
    case 'vote':
      onVote(state, message)
      break
    case 'voteReply':
      onVoteReply(state, message)
      break
    case 'append':
      if (state.role !== 'leader') onAppend(state, message)
      break
    case 'appendReply':
      onAppendReply(state, message)
      break
    case 'commit':
      if (state.role !== 'leader') onCommit(state, message)
      break
    case 'stable':
      if (state.role !== 'leader') onStable(state, message)
      break
    case 'heartbeat':
      if (state.role !== 'leader') onHeartbeat(state, message)
      break
    case 'heartbeatReply':
      onHeartbeatReply(state, message)
      break
    case 'snapshot':
      if (state.role !== 'leader') onSnapshot(state, message)
      break
    case 'snapshotReply':
      onSnapshotReply(state, message)
      break
    case 'timeoutNow':
      onTimeoutNow(state, message)
      break
    case 'readIndex':
      onReadIndex(state, message)
      break
    case 'readIndexReply':
      onReadIndexReply(state, message)
      break
    default:
      message satisfies never
  }
}

/** Raft paper 5.1: whoever sees a higher term follows. False when the message is not to be heard at all. */
function adoptTerm(state: RaftState, message: Message): boolean {
  switch (message.type) {
    case 'preVote':
      return true
    case 'preVoteReply':
      // A grant names the term that this peer asked about, which nobody is in yet.
      if (message.granted) return true
      break
    case 'vote':
      if (isSticky(state) && !message.transfer) return false
      break
    case 'append':
    case 'commit':
    case 'stable':
    case 'heartbeat':
    case 'snapshot':
      becomeFollower(state, message.term, message.from)
      return true
  }
  // Answers of somebody who is no member cannot depose a leader (B23).
  if (message.type !== 'vote' && state.leading !== null && !state.leading.progress.has(message.from)) return false
  becomeFollower(state, message.term, null)
  return true
}

/**
 * The sender is behind. What could keep it waiting is answered with this peer's term: a candidate gives up, and a
 * leader that can no longer reach this peer at its term steps down, which frees a peer that got ahead (B17, B18, S3).
 */
function answerStale(state: RaftState, message: Message): void {
  const { peerId: from, term } = state
  const to = message.from
  switch (message.type) {
    case 'preVote':
      sendAfterWrite(state, { type: 'preVoteReply', from, to, term, granted: false })
      break
    case 'vote':
      sendAfterWrite(state, { type: 'voteReply', from, to, term, granted: false })
      break
    case 'heartbeat':
      sendAfterWrite(state, { type: 'heartbeatReply', from, to, term, round: message.round })
      break
    case 'append':
      answerStaleLeader(state, to, message.previous.index)
      break
    case 'snapshot':
      answerStaleLeader(state, to, message.meta.index)
      break
    case 'readIndex':
      refuseRead(state, to, message.id)
      break
  }
}

function answerStaleLeader(state: RaftState, to: string, index: number): void {
  const { peerId: from, term } = state
  sendAfterWrite(state, { type: 'appendReply', from, to, term, rejected: true, index, hint: lastId(state.log) })
}
