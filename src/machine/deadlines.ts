/**
 * What the machine does by itself, in time: the end of a hold, of a grace, of a lock-delay. It happens when the first entry is applied whose
 * time has come to it, before that entry's own instruction, and in a total order (C1). So the leader has only to see to it that some entry
 * comes: `nextDeadline` tells it when.
 */
import { compareDeadlines, type Deadline } from './deadline.js'
import { registered } from './registry.js'
import type { Context, MachineState } from './state.js'

/** The cluster time at which the machine has something to do by itself, or null. */
export function nextDeadline(state: MachineState): number | null {
  return earliest(state)?.at ?? null
}

/** Lets everything happen that is due by the cluster time. */
export function fireDue(context: Context): void {
  const { state } = context
  for (let due = earliest(state); due && due.at <= state.clusterTime; due = earliest(state)) due.fire(context)
}

function earliest(state: MachineState): (Deadline & { readonly fire: (context: Context) => void }) | null {
  let first: (Deadline & { readonly fire: (context: Context) => void }) | null = null
  for (const [, primitive] of registered) {
    const next = primitive.nextDeadline?.(state)
    if (next && (!first || compareDeadlines(next, first) < 0))
      first = { ...next, fire: (context) => primitive.fire?.(context) }
  }
  return first
}
