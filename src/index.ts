export * from './client/errors.js'
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
} from './client/locks.js'
export type { Observable, Subscription } from './client/observable.js'
export type { JoinOptions } from './client/options.js'
export type { Member, Metrics, Room, RoomEventMap, RoomReset, RoomStatus, Settings } from './client/room.js'
export type { Expectation, Fence, Revised, SetOptions, Store, WriteOptions } from './client/store.js'
export type { Limits, Timing } from './machine/command.js'
export type { StorageReason } from './shared/storage-fault.js'
export type { Value } from './shared/value.js'
