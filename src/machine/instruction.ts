import * as v from 'valibot'
import { assert } from '../shared/assert.js'
import { byLiteral } from '../shared/by-literal.js'
import { decode, encode } from '../shared/codec.js'
import type { Instruction } from './command.js'
import { commandSchema } from './registry.js'
import { bytes, id, incarnation, label, natural, positive, successorSchema } from './schema.js'
import { settingsSchema } from './settings.js'
import { valueBytesMax } from './store/command.js'
import { tokenBaseMax } from './token-base.js'
import { versionNeeded } from './version.js'

/** Tokens of one founding: about a million grants a second before the next second's base (T1). */
export const tokensPerSecond = 2 ** 20

/** Far above every version that will ever be, and low enough to be counted with. */
const raised = v.pipe(positive, v.minValue(2), v.maxValue(2 ** 20))

const schema: v.GenericSchema<unknown, Instruction> = byLiteral(
  v.variant('type', [
    v.strictObject({
      type: v.literal('found'),
      roomId: id,
      tokenBase: v.pipe(natural, v.maxValue(tokenBaseMax)),
      settings: settingsSchema,
    }),
    v.strictObject({
      type: v.literal('fork'),
      epoch: positive,
      forkId: id,
      seconds: natural,
      members: v.exactOptional(positive),
    }),
    v.strictObject({ type: v.literal('yield'), to: successorSchema, lastCommand: v.nullable(natural) }),
    v.strictObject({
      type: v.literal('open'),
      peerId: id,
      incarnation,
      attempt: natural,
      browserId: label,
      state: v.nullable(v.pipe(bytes, v.maxLength(valueBytesMax))),
      tokenFloor: v.pipe(natural, v.maxValue(tokenBaseMax)),
    }),
    v.pipe(
      v.strictObject({
        type: v.literal('numbered'),
        session: positive,
        number: positive,
        answered: natural,
        needs: v.exactOptional(raised),
        command: commandSchema,
      }),
      v.check(({ number, answered }) => answered < number, 'a command is answered before it is sent'),
      v.check(({ command, needs = 1 }) => versionNeeded(command) <= needs, 'a command says which version it needs'),
    ),
    v.strictObject({
      type: v.literal('close'),
      peerId: id,
      incarnation,
      proof: v.exactOptional(v.literal('death')),
    }),
    v.strictObject({ type: v.literal('expire'), session: positive, silence: natural, term: natural }),
    v.strictObject({ type: v.literal('tick'), term: natural }),
    v.strictObject({ type: v.literal('raise'), version: raised }),
  ]),
)

/**
 * A command of a version after the first that this code does not know, or that is none: code of the first version could not tell, so
 * every code answers it alike (S-2, F5).
 */
const unknownSchema = v.pipe(
  v.strictObject({
    type: v.literal('numbered'),
    session: positive,
    number: positive,
    answered: natural,
    needs: raised,
    command: v.unknown(),
  }),
  v.check(({ number, answered }) => answered < number, 'a command is answered before it is sent'),
  v.transform((unknown) => ({ ...unknown, command: null })),
)

/** Asserts what `decodeInstruction` will ask: an entry that every peer ignores would leave its caller without an answer. */
export function encodeInstruction(instruction: Instruction): Uint8Array {
  const checked = v.safeParse(schema, instruction)
  const problem = checked.issues?.map((issue) => `${v.getDotPath(issue) ?? 'it'}: ${issue.message}`).join('; ')
  assert(checked.success, `an instruction ${instruction.type} is malformed: ${problem}`)
  return encode(instruction)
}

/** Null for anything that is not exactly one instruction: every peer then applies the entry as nothing. */
export function decodeInstruction(data: Uint8Array): Instruction | null {
  try {
    const said = decode(data)
    const parsed = v.safeParse(schema, said, { abortEarly: true })
    if (parsed.success) return parsed.output
    const unknown = v.safeParse(unknownSchema, said, { abortEarly: true })
    return unknown.success ? unknown.output : null
  } catch {
    return null
  }
}
