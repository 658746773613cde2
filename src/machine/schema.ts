import * as v from 'valibot'
import { failureCodes } from '../shared/failure.js'

/** Longest peer id, browser id, room id and nonce, in UTF-16 code units. */
export const idMax = 256

/** The checks that several schemas of the machine share. */
export const id = v.pipe(v.string(), v.minLength(1), v.maxLength(idMax))
/** The same, or nothing. */
export const label = v.pipe(v.string(), v.maxLength(idMax))
/** A whole number that may be any. */
export const integer = v.pipe(v.number(), v.safeInteger())
/** A count, a time, a term: 0 or more. */
export const natural = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
/** A log index, a command number, an incarnation's attempt: 1 or more. */
export const positive = v.pipe(v.number(), v.safeInteger(), v.minValue(1))
export const bytes = v.instance(Uint8Array)
export const incarnation = v.strictObject({ counter: natural, nonce: label })

export const successorSchema = v.strictObject({
  roomId: id,
  epoch: natural,
  forkId: label,
  foundation: v.nullable(v.strictObject({ term: natural, index: natural, previousTerm: natural, members: natural })),
  partsAt: v.exactOptional(positive),
})

export const failedOutcome = v.strictObject({
  type: v.literal('failed'),
  failure: v.strictObject({
    code: v.picklist(failureCodes),
    message: v.string(),
    details: v.exactOptional(v.record(v.string(), v.unknown())),
  }),
})
