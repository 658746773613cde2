import type { PeerId } from './entry.js'
import { configurationIndexOf, configurationOf } from './log.js'
import type { Progress } from './progress.js'
import type { Leading, RaftState } from './state.js'

/**
 * News is that something is committed, and what it is where only committed entries are sent (S55). Who waits for it hears it at once: the
 * proposer, whoever reads (R1), and whom the caller names. The others hear of it `newsTicks` after the last news at the latest, or with the next
 * entries that they have to acknowledge. A busy group would else send a message for each commit to everybody, most of them to
 * members where nothing comes of it. No quorum waits for that, nor does the first news after a while.
 */
export function hearsLater(state: RaftState, leading: Leading, progress: Progress, end: number): boolean {
  const { clock, log, newsTicks } = state
  const isNews = log.commit > progress.toldCommit && !isAwaited(progress)
  if (!isNews || clock - progress.toldAt >= newsTicks || leading.transfer !== null) return false
  const owesNews = progress.state === 'replicate' && !progress.owed && progress.departing === 0
  const owesEntries = end > log.commit && progress.next <= end
  // Of members everybody knows at once (S54), and a leader that votes alone keeps nothing to itself.
  const isSettled = configurationIndexOf(log) <= progress.toldCommit && configurationOf(log).voters.length > 1
  return owesNews && !owesEntries && isSettled
}

function isAwaited({ isWaiting, proposed, toldCommit }: Progress): boolean {
  return isWaiting || proposed > toldCommit
}

/** Leader: somebody at that member waits for what has been committed. */
export function awaitNews(leading: Leading, peerId: PeerId): void {
  const progress = leading.progress.get(peerId)
  if (progress === undefined) return
  progress.isWaiting = true
  leading.dirty = true
}

/** An entry or a message says so. */
export function noteTold({ clock }: RaftState, progress: Progress, commit: number): void {
  if (commit <= progress.toldCommit) return
  progress.toldCommit = commit
  progress.toldAt = clock
}

/** Somebody has not heard yet. */
export function keepNews({ newsTicks }: RaftState, leading: Leading, { toldAt }: Progress): void {
  leading.newsDue = Math.min(leading.newsDue, toldAt + newsTicks)
}

export function tellIfDue({ clock }: RaftState, leading: Leading): void {
  if (clock >= leading.newsDue) leading.dirty = true
}
