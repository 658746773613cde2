import type { PeerId } from './entry.js'
import { configurationOf, lastIndex } from './log.js'
import type { Progress } from './progress.js'
import { type Leading, type RaftState, send } from './state.js'

/**
 * - `started`: its target is told to campaign once it has the whole log; until then nothing is proposed.
 * - `not-leader`: only the leader hands over.
 * - `not-voter`: only a voter other than this one can take over.
 */
export type TransferResult = 'started' | 'not-leader' | 'not-voter'

/** Dissertation 3.10. A later transfer replaces an earlier one; the same again changes nothing (S62). */
export function transferLeadership(state: RaftState, to: PeerId): TransferResult {
  const { leading } = state
  if (leading === null) return 'not-leader'
  const progress = leading.progress.get(to)
  if (progress === undefined || !configurationOf(state.log).voters.includes(to)) return 'not-voter'
  if (leading.transfer?.to === to) return 'started'
  leading.transfer = { to, due: state.clock + state.timing.electionTicks, isTold: false }
  leading.dirty = true
  handOver(state, leading, progress)
  return 'started'
}

/** The target has acknowledged something: perhaps all. */
export function handOver(state: RaftState, leading: Leading, progress: Progress): void {
  const { transfer } = leading
  if (transfer?.to !== progress.peerId || transfer.isTold || progress.match !== lastIndex(state.log)) return
  transfer.isTold = true
  leading.hasHandedOver = true
  const { peerId: from, term } = state
  send(state, { type: 'timeoutNow', from, to: transfer.to, term })
}

/** It did not come about within an election time-out: this leader goes on (S61). */
export function expireTransfer({ clock }: RaftState, leading: Leading): void {
  if (leading.transfer !== null && clock >= leading.transfer.due) leading.transfer = null
}

/** Its target cannot be reached. */
export function abandonTransfer(leading: Leading, peerId: PeerId): void {
  if (leading.transfer?.to === peerId) leading.transfer = null
}
