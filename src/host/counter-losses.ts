import { readCounter } from '../machine/counter/primitive.js'
import { decodeInstruction } from '../machine/instruction.js'
import type { MachineState } from '../machine/machine.js'
import type { Entry } from '../raft/entry.js'
import type { CounterLoss } from './page.js'

/**
 * The counters that may have been changed at that index or later. The machine keeps no revision of them, so what `log` says of them is theirs,
 * and of those that it does not name it can only be said that they are older than it begins.
 */
export function countersSince(
  index: number,
  machine: MachineState,
  log: readonly Entry[],
  firstIndex: number,
): CounterLoss[] {
  const revisions = new Map([...machine.counters.keys()].map((name) => [name, firstIndex - 1]))
  for (const entry of log) {
    const instruction = entry.type === 'command' ? decodeInstruction(entry.data) : null
    const command = instruction?.type === 'numbered' ? instruction.command : null
    if (command?.type === 'counter.add' || command?.type === 'counter.compareAndSet')
      revisions.set(command.name, entry.index)
  }
  return [...revisions]
    .filter(([, revision]) => revision >= index)
    .map(([key, revision]) => ({ key, value: readCounter(machine, key), revision }))
}
