import * as v from 'valibot'
import { assert } from './assert.js'

type Variant = v.VariantSchema<string, v.VariantOptions<string>, undefined>

/**
 * The same schema, asked for the one option that the discriminator names. A variant by itself tries its options in turn and makes an issue
 * of each that is not meant, with a text of what it saw: for a command, one of thirty, that is most of what reading it takes.
 */
export function byLiteral<TSchema extends Variant>(
  variant: TSchema,
): v.GenericSchema<v.InferInput<TSchema>, v.InferOutput<TSchema>> {
  const options = new Map<unknown, v.GenericSchema | null>()
  for (const [literal, option] of literalsOf(variant)) options.set(literal, options.has(literal) ? null : option)
  // What no option is for, or more than one, the variant itself judges.
  return v.lazy((input) => options.get(discriminatorOf(input, variant.key)) ?? variant) as v.GenericSchema<
    v.InferInput<TSchema>,
    v.InferOutput<TSchema>
  >
}

function literalsOf({ key, options }: Variant): (readonly [unknown, v.GenericSchema])[] {
  return options.flatMap((option) => {
    if ('options' in option) return literalsOf(option as Variant)
    const named = option.entries[key] as v.LiteralSchema<v.Literal, undefined>
    assert(named.type === 'literal', `each option has one ${key}`)
    return [[named.literal, option as v.GenericSchema] as const]
  })
}

function discriminatorOf(input: unknown, key: string): unknown {
  return typeof input === 'object' && input !== null ? (input as Record<string, unknown>)[key] : undefined
}
