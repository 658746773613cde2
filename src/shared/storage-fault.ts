import type { Failure } from './failure.js'

/** Why the disk of a peer cannot be counted on. Part of the public contract: a reason is never renamed. */
export type StorageReason =
  /** What was to be written does not fit. */
  | 'quota'
  /** Somebody has deleted the database: the log is gone, and with it the identity (B13). */
  | 'cleared'
  /** The browser has closed it: its data were cleared, or its disk failed. */
  | 'closed'
  /** Another tab runs newer code and has taken the database over: this page has to be reloaded. */
  | 'upgraded'
  /** The database was written by newer code than this page runs: it has to be reloaded. */
  | 'newer-schema'
  /** It does not open: most likely another tab runs older code and does not let go. */
  | 'blocked'
  /** A later life of this identity writes now (F3). */
  | 'taken-over'
  /** The browser has taken the lock of the identity away (L3). */
  | 'lock-lost'
  /** This browser, or this origin, stores nothing: private mode. */
  | 'unavailable'
  /** Whatever else the browser said. */
  | 'failed'

/** A failure of the disk on its way through promises. */
export class StorageFault extends Error {
  override readonly name = 'StorageFault'
  readonly reason: StorageReason

  constructor(reason: StorageReason, message: string, options: { readonly cause?: unknown } = {}) {
    super(message, options)
    this.reason = reason
  }
}

/** What the browser said, as a fault. `otherwise`: what it is if its name tells nothing. */
export function storageFaultOf(error: unknown, otherwise: StorageReason = 'failed'): StorageFault {
  if (error instanceof StorageFault) return error
  const name = error instanceof Error ? error.name : ''
  const message = error instanceof Error ? `${error.name}: ${error.message}` : String(error)
  const reason = name === 'QuotaExceededError' ? 'quota' : name === 'VersionError' ? 'newer-schema' : otherwise
  return new StorageFault(reason, message, { cause: error })
}

/** The failure that a fault is for the page. */
export function storageFailure(error: unknown, what: string): Failure {
  const { reason, message } = storageFaultOf(error)
  return { code: 'storage', message: `${what}: ${message}`, details: { reason } }
}
