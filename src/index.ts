export type { Counter } from './client/counter.js'
export * from './client/errors.js'
export { createFence, type FenceClaim, type FenceOptions, type FenceState, type ResourceFence } from './client/fence.js'
export type { Histogram } from './client/histogram.js'
export { join } from './client/join.js'
export type { Lock, LockMode } from './client/lock.js'
export type { LockInfo, LockManagerSnapshot, Wait, WaitGraph } from './client/lock-info.js'
export type { LockMetrics, LockNumbers } from './client/lock-metrics.js'
export type { LockObservation } from './client/lock-observation.js'
export type { LockOptions, RevokeOptions, WaitOptions } from './client/lock-options.js'
export type { LockEvent } from './client/lock-watch.js'
export type {
  AvailableLocksCallback,
  LockGrantedCallback,
  LockManager,
  LocksGrantedCallback,
  LocksOf,
} from './client/locks.js'
export type { Observable, Subscription } from './client/observable.js'
export type { JoinOptions } from './client/options.js'
export type { Permit } from './client/permit.js'
export type { Member, Metrics, Room, RoomEventMap, RoomReset, RoomStatus, Settings } from './client/room.js'
export type { AcquireOptions, Semaphore, SemaphoreOptions } from './client/semaphore.js'
export type {
  Entries,
  Entry,
  Expectation,
  Fence,
  ReadOptions,
  Revised,
  SetOptions,
  Store,
  WriteOptions,
} from './client/store.js'
export type {
  Change,
  DeleteChange,
  ResyncChange,
  SetChange,
  WatchOptions,
  WatchPosition,
} from './client/store-watch.js'
export type { Compare, Operation, OperationResult, Transaction, TransactionOutcome } from './client/transaction.js'
export type { Limits, Timing } from './machine/command.js'
export type { StorageReason } from './shared/storage-fault.js'
export type { Storable, Value } from './shared/value.js'
