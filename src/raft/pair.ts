import { isVoter } from './configuration.js'
import type { PeerId } from './entry.js'
import { hearLeader } from './follower.js'
import { configurationOf, termAt } from './log.js'
import type { MessageOf } from './message.js'
import { isInReserve } from './reserve.js'
import { type Leading, type RaftState, send } from './state.js'

/**
 * Where two are a quorum, the leader and one follower are one: a follower that knows what is durable at the leader knows by itself what is
 * committed, a round trip before the leader could tell. Its clients wait for one round trip instead of two. Reads have to
 * know of it: what a follower may have acknowledged so is not yet committed in the leader's eyes (`claimed`).
 */
export function isPairQuorum({ log }: RaftState, one: PeerId, other: PeerId): boolean {
  const configuration = configurationOf(log)
  const { voters, outgoing } = configuration
  return outgoing.length === 0 && voters.length <= 3 && isVoter(configuration, one) && isVoter(configuration, other)
}

/** Leader: a write has become durable. Worth a message only to whoever waits for what is in it. */
export function tellStable(state: RaftState, leading: Leading): void {
  const { log, peerId: from, term } = state
  const index = log.stable
  if (index <= log.commit || termAt(log, index) !== term) return
  for (const progress of leading.progress.values()) {
    const { peerId: to } = progress
    const isWaiting = progress.proposed > log.commit && progress.toldStable < index
    if (!isWaiting || progress.state !== 'replicate' || !isPairQuorum(state, from, to)) continue
    if (isInReserve(state, progress)) continue
    send(state, { type: 'stable', from, to, term, index })
    progress.toldStable = index
    leading.claimed = index
  }
}

export function onStable(state: RaftState, { from, index }: MessageOf<'stable'>): void {
  hearLeader(state, from)
  const before = state.leaderStable?.index ?? 0
  state.leaderStable = { peerId: from, index: Math.max(before, index) }
  advanceByPair(state)
}

/**
 * Follower: as the leader would count it, with the entries of this term only (Raft paper 5.4.2). An entry of this term is the
 * leader's own, wherever it stands; and as long as this peer is in the term it has helped nobody to another one.
 */
export function advanceByPair(state: RaftState): void {
  const { log, leaderStable, peerId, term } = state
  if (leaderStable === null) return
  const index = Math.min(log.stable, leaderStable.index)
  if (index <= log.commit || termAt(log, index) !== term) return
  if (isPairQuorum(state, peerId, leaderStable.peerId)) log.commit = index
}
