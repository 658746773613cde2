import * as v from 'valibot'
import { byLiteral } from '../shared/by-literal.js'
import type { Command, SessionId } from './command.js'
import { counterCommandSchema, counterOutcomeSchema, counterPrimitive } from './counter/primitive.js'
import { lockPrimitive } from './lock/primitive.js'
import { lockCommandSchema, lockOutcomeSchema } from './lock/schema.js'
import type { CommandType, Outcome } from './outcome.js'
import type { Primitive } from './primitive.js'
import { failedOutcome } from './schema.js'
import { semaphorePrimitive } from './semaphore/primitive.js'
import { semaphoreCommandSchema, semaphoreOutcomeSchema } from './semaphore/schema.js'
import type { Caller, Context, MachineState } from './state.js'
import { storePrimitive } from './store/primitive.js'
import { storeCommandSchema, storeOutcomeSchema } from './store/schema.js'
import type { Wait } from './waiting/graph.js'

type PrefixOf<T extends string> = T extends `${infer P}.${string}` ? P : never
export type Prefix = PrefixOf<CommandType>
type CommandOf<P extends Prefix> = Extract<Command, { readonly type: `${P}.${string}` }>

/** One line per primitive, by the prefix of its commands. Sessions end in this order. */
const primitives: { readonly [P in Prefix]: Primitive<CommandOf<P>> } = {
  lock: lockPrimitive,
  store: storePrimitive,
  semaphore: semaphorePrimitive,
  counter: counterPrimitive,
}
export const commandSchema = byLiteral(
  v.variant('type', [lockCommandSchema, storeCommandSchema, semaphoreCommandSchema, counterCommandSchema]),
)
export const outcomeSchema = byLiteral(
  v.variant('type', [
    failedOutcome,
    lockOutcomeSchema,
    storeOutcomeSchema,
    semaphoreOutcomeSchema,
    counterOutcomeSchema,
  ]),
)

export const registered = Object.entries(primitives) as readonly [Prefix, Primitive<Command>][]

export function applyCommand(context: Context, caller: Caller, command: Command): Outcome {
  const prefix = command.type.slice(0, command.type.indexOf('.')) as Prefix
  const primitive = primitives[prefix] as Primitive<Command>
  return primitive.apply(context, caller, command)
}

/** Who waits in the other primitives. */
export function waitsBeside(state: MachineState, prefix: string): Wait[] {
  return registered.flatMap(([name, primitive]) => (name === prefix ? [] : (primitive.waits?.(state) ?? [])))
}

export function leasesOf(state: MachineState, session: SessionId): number[] {
  return registered.flatMap(([, primitive]) => primitive.leases(state, session))
}
