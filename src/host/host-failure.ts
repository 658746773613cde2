import { NewerMachineError } from '../machine/version.js'
import type { Failure } from '../shared/failure.js'

/** A failure on its way to whoever stops the host, or to the page that asked for it. */
export class HostFailure extends Error {
  override readonly name = 'HostFailure'
  readonly failure: Failure

  constructor(failure: Failure) {
    super(failure.message)
    this.failure = failure
  }
}

/** What the error says, if it says it in our words; else null. */
export function failureIn(error: unknown): Failure | null {
  if (error instanceof HostFailure) return error.failure
  // F5: it stops, it never skips.
  return error instanceof NewerMachineError ? { code: 'incompatible-peer', message: error.message } : null
}
