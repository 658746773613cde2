import { assert } from './assert.js'
import { type ConfigurationAt, isVoter } from './configuration.js'
import { type Configuration, type Entry, type EntryId, emptyConfiguration, noEntry, type PeerId } from './entry.js'
import type { Snapshot } from './message.js'
import type { HardState } from './ready.js'
import type { Promised } from './state.js'

/** A write handed to the caller and not yet reported durable. */
export interface PendingWrite {
  readonly sequence: number
  /** Up to here the log was written; lowered when the log is cut below it meanwhile (B8). */
  lastIndex: number
  readonly term: number
  readonly promise: Promised | null
}

/**
 * The log in memory and how far each thing has come with it. Invariants:
 * base.index <= applied <= applying <= commit <= lastIndex; stable <= written <= lastIndex; commit never goes down.
 */
export interface Log {
  /** The id just before `entries[0]`: all before it is only in a snapshot. */
  base: EntryId
  baseTime: number
  readonly entries: Entry[]
  /** The newest snapshot, for followers that need what is gone. Its index is at least `base.index`. */
  snapshot: Snapshot | null
  /** Ascending by index; the last one is in force (effective on append, dissertation 4.1), the first one is committed. */
  readonly configurations: ConfigurationAt[]
  commit: number
  /** Handed out for application. */
  applying: number
  applied: number
  /** Handed out for writing. */
  written: number
  /** Durable here. */
  stable: number
  /** A received snapshot that no Ready has carried yet. */
  unwrittenSnapshot: Snapshot | null
  /** In order of their sequence. */
  readonly writes: PendingWrite[]
}

export interface Restored {
  readonly hardState: HardState
  readonly snapshot: Snapshot | null
  /** Without gaps. They may begin before the snapshot's end: a tail kept for laggards. */
  readonly entries: readonly Entry[]
}

export function createLog(restored: Restored | undefined): Log {
  const meta = restored?.snapshot?.meta
  let base: EntryId = meta ? { term: meta.term, index: meta.index } : noEntry
  let baseTime = meta?.time ?? 0
  let entries = restored?.entries ?? []
  const first = entries[0]
  if (first !== undefined && first.index <= base.index) {
    // The id before a kept tail is not stored: the tail's first entry serves as the base instead.
    base = { term: first.term, index: first.index }
    baseTime = first.time
    entries = entries.slice(1)
  }
  const log: Log = {
    base,
    baseTime,
    entries: [],
    snapshot: restored?.snapshot ?? null,
    configurations: [{ index: meta?.index ?? 0, configuration: meta?.configuration ?? emptyConfiguration }],
    commit: 0,
    applying: meta?.index ?? 0,
    applied: meta?.index ?? 0,
    written: 0,
    stable: 0,
    unwrittenSnapshot: null,
    writes: [],
  }
  appendEntries(log, entries)
  log.commit = Math.max(restored?.hardState.commitIndex ?? 0, log.applied)
  log.written = log.stable = lastIndex(log)
  assert(log.commit <= lastIndex(log), 'a stored log reaches at least to its commit index and its snapshot')
  return log
}

export function lastIndex(log: Log): number {
  return log.base.index + log.entries.length
}

export function lastId(log: Log): EntryId {
  const last = log.entries[log.entries.length - 1] ?? log.base
  return { term: last.term, index: last.index }
}

export function lastTime(log: Log): number {
  return log.entries[log.entries.length - 1]?.time ?? log.baseTime
}

/** Null for what is compacted or not there. */
export function termAt(log: Log, index: number): number | null {
  const offset = index - log.base.index - 1
  if (offset === -1) return log.base.term
  return offset < 0 ? null : (log.entries[offset]?.term ?? null)
}

/** The raw slots `from`..`to`, both included; the caller knows that they are there. */
export function entriesBetween(log: Log, from: number, to: number): Entry[] {
  return log.entries.slice(from - log.base.index - 1, to - log.base.index)
}

export function configurationOf(log: Log): Configuration {
  return log.configurations[log.configurations.length - 1]?.configuration ?? emptyConfiguration
}

export function configurationIndexOf(log: Log): number {
  return log.configurations[log.configurations.length - 1]?.index ?? 0
}

/** The newest configuration that is known to be committed, and all later ones: whichever is in force elsewhere is among them. */
export function possibleConfigurations(log: Log): Configuration[] {
  const { configurations, commit } = log
  let first = configurations.length - 1
  while (first > 0 && (configurations[first]?.index ?? 0) > commit) first--
  return configurations.slice(Math.max(0, first)).map(({ configuration }) => configuration)
}

/** A voter of the newest configuration that is known to be committed, or of a later one. */
export function mayBeNeeded(log: Log, peerId: PeerId): boolean {
  return possibleConfigurations(log).some((configuration) => isVoter(configuration, peerId))
}

export function appendEntries(log: Log, entries: readonly Entry[]): void {
  for (const entry of entries) appendEntry(log, entry)
}

export function appendEntry(log: Log, entry: Entry): void {
  assert(entry.index === lastIndex(log) + 1, 'the log has no gaps')
  log.entries.push(entry)
  // What a snapshot covers is in its own configuration already.
  if (entry.type === 'configuration' && entry.index > (log.configurations[0]?.index ?? 0)) {
    log.configurations.push({ index: entry.index, configuration: entry.configuration })
  }
}

/** Cuts the log from `index` on. A configuration in the cut part is no longer in force (B10). */
export function truncateFrom(log: Log, index: number): void {
  assert(index > log.commit, 'a committed entry is never cut')
  log.entries.length = index - log.base.index - 1
  while (log.configurations.length > 1 && configurationIndexOf(log) >= index) log.configurations.pop()
  forgetWritesAbove(log, index - 1)
}

/** Completions of writes under way must not vouch for other entries that come to stand at the same indices (B8). */
function forgetWritesAbove(log: Log, index: number): void {
  log.written = Math.min(log.written, index)
  log.stable = Math.min(log.stable, index)
  for (const write of log.writes) write.lastIndex = Math.min(write.lastIndex, index)
}

/**
 * The last place at or before `index` whose term is at most `term`: past it two logs cannot agree if the other one has
 * `term` there. Terms never fall along a log, hence the binary search (S28: thousands of entries, few terms).
 */
export function lastWithTermAtMost(log: Log, index: number, term: number): EntryId {
  const bound = Math.min(index, lastIndex(log))
  if (bound < log.base.index) return { term: 0, index: bound }
  let low = log.base.index
  let high = bound
  if (log.base.term > term) return { term: 0, index: Math.max(0, low - 1) }
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if ((termAt(log, middle) ?? 0) <= term) low = middle
    else high = middle - 1
  }
  return { term: termAt(log, low) ?? 0, index: low }
}

/** Forgets the log for a snapshot that is ahead of it. The caller replaces the machine's state with the next Ready. */
export function installSnapshot(log: Log, snapshot: Snapshot): void {
  const { meta } = snapshot
  assert(meta.index > log.commit, 'a snapshot never rolls committed state back')
  // What was committed is part of the snapshot and may already be durable; nothing else of the old log counts.
  forgetWritesAbove(log, log.commit)
  log.base = { term: meta.term, index: meta.index }
  log.baseTime = meta.time
  log.entries.length = 0
  log.snapshot = snapshot
  log.unwrittenSnapshot = snapshot
  log.configurations.splice(0, log.configurations.length, { index: meta.index, configuration: meta.configuration })
  log.commit = log.applying = log.applied = log.written = meta.index
}

/** Takes the caller's own snapshot and drops the entries before `keepFrom`. One older than what is there is ignored. */
export function compactLog(log: Log, snapshot: Snapshot, keepFrom: number): void {
  const { meta } = snapshot
  if (log.snapshot !== null && meta.index <= log.snapshot.meta.index) return
  assert(meta.index <= log.applied && meta.index <= log.stable, 'a snapshot covers what is applied and durable')
  assert(termAt(log, meta.index) === meta.term, 'a snapshot names the entry that it ends with')
  assert(keepFrom <= meta.index + 1, 'what a snapshot does not cover is kept')
  log.snapshot = snapshot
  const before = keepFrom - 1
  if (before > log.base.index) {
    const last = log.entries[before - log.base.index - 1]
    assert(last !== undefined, 'compaction ends inside the log')
    log.entries.splice(0, before - log.base.index)
    log.base = { term: last.term, index: last.index }
    log.baseTime = last.time
  }
  // Below the commit index nothing is ever cut, so older configurations can no longer come back.
  while ((log.configurations[1]?.index ?? Number.POSITIVE_INFINITY) <= log.commit) log.configurations.shift()
}
