import type { PeerId } from './entry.js'
import { holdsLease } from './lease.js'
import type { MessageOf } from './message.js'
import { awaitNews } from './news.js'
import { hasCommittedInTerm, type Leading, type RaftState, send, sendAfterWrite } from './state.js'

/**
 * A forwarded read is given up after so many election time-outs. Only a message that was lost unnoticed needs it: another term or
 * a broken connection fails the reads at once, and across slow links an answer takes two round trips.
 */
export const patience = 32

/**
 * Linearizable reads without a log entry (dissertation 6.4, R1). The leader answers with its commit index once a quorum
 * has acknowledged a heartbeat round that began after the request. Every read is answered or fails (B28).
 */
export function requestRead(state: RaftState, id: number): void {
  if (state.leading !== null) {
    if (holdsLease(state, state.leading)) state.out.reads.push({ id, index: state.log.commit })
    else state.leading.waitingReads.push({ from: state.peerId, id })
  } else if (state.leader !== null) {
    const wireId = state.nextForwardedRead++
    state.forwardedReads.set(wireId, { id, to: state.leader, due: state.clock + state.electionTicks * patience })
    send(state, { type: 'readIndex', from: state.peerId, to: state.leader, term: state.term, id: wireId })
  } else {
    state.out.reads.push({ id, index: null })
  }
}

export function onReadIndex(state: RaftState, message: MessageOf<'readIndex'>): void {
  const { leading } = state
  const { from, id } = message
  if (leading === null) {
    refuseRead(state, from, id)
    return
  }
  const progress = leading.progress.get(from)
  if (progress !== undefined) progress.active = true
  if (!holdsLease(state, leading)) {
    leading.waitingReads.push({ from, id })
    return
  }
  awaitNews(leading, from)
  const { peerId, term, log } = state
  send(state, { type: 'readIndexReply', from: peerId, to: from, term, id, index: log.commit, rejected: false })
}

export function refuseRead(state: RaftState, to: PeerId, id: number): void {
  const { peerId: from, term } = state
  sendAfterWrite(state, { type: 'readIndexReply', from, to, term, id, index: 0, rejected: true })
}

/** A deposed leader's answer never comes here: it has an older term, or the read failed when the term changed (S64). */
export function onReadIndexReply(state: RaftState, message: MessageOf<'readIndexReply'>): void {
  const read = state.forwardedReads.get(message.id)
  if (read === undefined || message.from !== read.to) return
  state.forwardedReads.delete(message.id)
  state.out.reads.push({ id: read.id, index: message.rejected ? null : message.index })
}

/** Ties the waiting reads to a round that is about to begin: all reads of one turn share it. */
export function joinRound(state: RaftState, leading: Leading): void {
  if (leading.waitingReads.length === 0 || !hasCommittedInTerm(state)) return
  for (const { from, id } of leading.waitingReads) {
    const index = Math.max(state.log.commit, leading.claimed)
    leading.confirmingReads.push({ from, id, index, round: leading.round })
  }
  leading.waitingReads.length = 0
}

export function releaseReads(state: RaftState, leading: Leading): void {
  const reads = leading.confirmingReads
  let count = 0
  for (; count < reads.length; count++) {
    const read = reads[count]
    if (read === undefined || read.round > leading.confirmedRound || read.index > state.log.commit) break
    const { id, index } = read
    if (read.from === state.peerId) state.out.reads.push({ id, index })
    else {
      const { peerId: from, term } = state
      awaitNews(leading, read.from)
      send(state, { type: 'readIndexReply', from, to: read.from, term, id, index, rejected: false })
    }
  }
  if (count > 0) reads.splice(0, count)
}

/** Leadership is lost, or its quorum: what is open will not be confirmed. */
export function failLeaderReads(state: RaftState, leading: Leading): void {
  for (const { from, id } of [...leading.confirmingReads.splice(0), ...leading.waitingReads.splice(0)]) {
    if (from === state.peerId) state.out.reads.push({ id, index: null })
    else refuseRead(state, from, id)
  }
}

export function failForwardedReads(state: RaftState): void {
  for (const { id } of state.forwardedReads.values()) state.out.reads.push({ id, index: null })
  state.forwardedReads.clear()
}

/** What was sent to that peer, or its answer, may be lost. */
export function failReadsOf(state: RaftState, peerId: PeerId): void {
  for (const [wireId, { id, to }] of state.forwardedReads) {
    if (to !== peerId) continue
    state.forwardedReads.delete(wireId)
    state.out.reads.push({ id, index: null })
  }
}

/** The request or its answer was lost. */
export function expireForwardedReads(state: RaftState): void {
  for (const [wireId, read] of state.forwardedReads) {
    if (read.due > state.clock) continue
    state.forwardedReads.delete(wireId)
    state.out.reads.push({ id: read.id, index: null })
  }
}
