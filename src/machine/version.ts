/**
 * The version of the machine (F5): what an entry means. It is part of the replicated state, begins at 1, and is raised by an entry of
 * the leader once every member can apply the next one. So a peer of older code either means the same by every entry or stops.
 *
 * What version n adds says so in the log: its instructions carry `needs: n`. While the room is below n they are refused, in the
 * same way by all: by older code without knowing what they are, by newer code although it knows. Bytes that are no
 * instruction at all, and do not say that they are of a later version, are nothing to everybody, and stop nobody.
 */
import type { Command } from './command.js'
import type { CommandType } from './outcome.js'

/** The highest version that this code can apply. */
export const machineVersion = 2

/** Commands that came after version 1, and with which. */
const since: Partial<Record<CommandType, number>> = {
  'store.transact': 2,
  'semaphore.acquire': 2,
  'semaphore.release': 2,
  'semaphore.resize': 2,
  'counter.add': 2,
  'counter.compareAndSet': 2,
  'lock.acquire': 2,
  'lock.upgrade': 2,
  'lock.downgrade': 2,
  'lock.revoke': 2,
  'lock.acknowledge': 2,
}

/** Which version of the machine that command needs. */
export function versionNeeded(command: Command): number {
  // A field may be younger than its command.
  if (command.type === 'lock.release' && command.name !== undefined) return 2
  return since[command.type] ?? 1
}

/** An entry or a snapshot means more than this code knows: whoever goes on without it is another machine from there on. */
export class NewerMachineError extends Error {
  override readonly name = 'NewerMachineError'
  readonly version: number

  constructor(version: number, canApply: number) {
    super(`the room's machine has version ${version}, and this peer can apply ${canApply} (F5)`)
    this.version = version
  }
}
