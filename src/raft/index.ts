/**
 * `comity/raft`: the Raft core as a pure state machine, to be driven by a host of your own. See `Raft` for the inputs
 * and `Ready` for the caller's duties; `RaftGroups` for many cores in one process.
 */
export { InvariantError } from './assert.js'
export {
  type Configuration,
  type Entry,
  type EntryId,
  emptyConfiguration,
  type Incarnation,
  noEntry,
  type PeerId,
} from './entry.js'
export {
  type GroupId,
  type GroupOptions,
  type GroupStatus,
  type PeerMessage,
  RaftGroups,
  type RaftGroupsOptions,
  type RaftView,
} from './groups.js'
export type { Restored } from './log.js'
export type { Message, MessageOf, Snapshot, SnapshotMeta } from './message.js'
export type { ProposeProblem, ProposeResult } from './proposal.js'
export { Raft } from './raft.js'
export type { HardState, ProgressStatus, ReadState, Ready, Role, SnapshotStatus, Status, Write } from './ready.js'
export { recoverRestored } from './restored.js'
export type { RaftOptions, RaftTiming } from './state.js'
export type { TransferResult } from './transfer.js'
