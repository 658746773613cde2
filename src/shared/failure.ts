/**
 * A failure as a value. Errors lose their class, `code` and `cause` on the way through a worker boundary or a log, so
 * everything below the client speaks of failures and the client alone builds error objects from them.
 */
export interface Failure {
  readonly code: FailureCode
  /** A sentence with what was expected, what came, and the ids concerned. Never parsed. */
  readonly message: string
  /** What the error's own fields are made from: plain data. */
  readonly details?: Readonly<Record<string, unknown>>
}

/** The codes of the public contract. A code is never renamed. */
export const failureCodes = [
  'no-quorum',
  'room-left',
  'room-auth',
  'incompatible-peer',
  'signaling',
  'unsupported',
  'worker-blocked',
  'options-mismatch',
  'storage',
  'limit-exceeded',
  'outcome-unknown',
  'lock-timeout',
  'lock-lost',
  'lock-revoked',
  'deadlock',
  'stale-fence',
  'conflict',
  'barrier-broken',
] as const
export type FailureCode = (typeof failureCodes)[number]
