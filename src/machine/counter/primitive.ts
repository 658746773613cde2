import * as v from 'valibot'
import { unreachable } from '../../shared/assert.js'
import { compareStrings } from '../../shared/codec.js'
import type { Outcome } from '../outcome.js'
import type { Primitive } from '../primitive.js'
import { integer } from '../schema.js'
import { type Context, limitExceeded, type MachineState } from '../state.js'
import type { CounterCommand } from './command.js'
import { counterNameMax, countersMax } from './limits.js'

export const counterCommandSchema = v.variant('type', [
  v.strictObject({ type: v.literal('counter.add'), name: v.string(), by: integer }),
  v.strictObject({ type: v.literal('counter.compareAndSet'), name: v.string(), expected: integer, next: integer }),
])

export const counterOutcomeSchema = v.variant('type', [
  v.strictObject({ type: v.literal('counter.added'), value: integer }),
  v.strictObject({ type: v.literal('counter.overflowed'), value: integer }),
  v.strictObject({ type: v.literal('counter.compared'), value: integer, swapped: v.boolean() }),
])

/** The part of a snapshot: sorted by name. One at 0 is none. */
const savedCountersSchema = v.array(
  v.strictObject({
    name: v.string(),
    value: v.pipe(
      integer,
      v.check((value) => value !== 0, 'a counter at 0'),
    ),
  }),
)

/** A counter belongs to the room, not to a session: only its value decides whether it is kept. */
export const counterPrimitive: Primitive<CounterCommand> = {
  apply: (context, _caller, command) => applyCounter(context, command),
  sessionEnded: () => {},
  sessionSilent: () => {},
  leases: () => [],
  save: ({ counters }) =>
    counters.size === 0
      ? undefined
      : [...counters].sort(([a], [b]) => compareStrings(a, b)).map(([name, value]) => ({ name, value })),
  load: ({ counters }, saved) => {
    if (saved === undefined) return
    for (const { name, value } of v.parse(savedCountersSchema, saved)) counters.set(name, value)
  },
}

export function readCounter({ counters }: MachineState, name: string): number {
  return counters.get(name) ?? 0
}

function applyCounter({ state }: Context, command: CounterCommand): Outcome {
  const { name } = command
  if (name.length > counterNameMax) {
    return limitExceeded(
      'counterName',
      counterNameMax,
      `the name of a counter has at most ${counterNameMax} code units`,
    )
  }
  const value = readCounter(state, name)
  switch (command.type) {
    case 'counter.add': {
      const sum = value + command.by
      if (!Number.isSafeInteger(sum)) return { type: 'counter.overflowed', value }
      return set(state, name, sum) ?? { type: 'counter.added', value: sum }
    }
    case 'counter.compareAndSet': {
      if (value !== command.expected) return { type: 'counter.compared', value, swapped: false }
      return set(state, name, command.next) ?? { type: 'counter.compared', value: command.next, swapped: true }
    }
    default:
      return unreachable(command)
  }
}

/** Null when it is done; else the answer that says why not. -0 is 0: two states that are equal have equal bytes. */
function set({ counters }: MachineState, name: string, value: number): Outcome | null {
  if (value === 0) counters.delete(name)
  else if (counters.has(name) || counters.size < countersMax) counters.set(name, value)
  else return limitExceeded('counters', countersMax, `${countersMax} counters of the room are not at 0 already`)
  return null
}
