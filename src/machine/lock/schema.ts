import * as v from 'valibot'
import { bytes, integer, natural, positive } from '../schema.js'

const mode = v.picklist(['exclusive', 'shared'])

/** Names, leases and attributes out of bounds are let through: the machine answers them, so that the caller hears why. */
export const lockCommandSchema = v.variant('type', [
  v.strictObject({
    type: v.literal('lock.request'),
    name: v.string(),
    mode,
    ifAvailable: v.boolean(),
    steal: v.boolean(),
    lease: integer,
    attributes: v.nullable(bytes),
  }),
  v.strictObject({ type: v.literal('lock.release'), request: positive }),
])

export const lockOutcomeSchema = v.variant('type', [
  v.strictObject({ type: v.literal('lock.granted'), token: natural, since: natural }),
  v.strictObject({ type: v.literal('lock.queued') }),
  v.strictObject({ type: v.literal('lock.unavailable') }),
  v.strictObject({ type: v.literal('lock.released') }),
])

const waiting = {
  session: positive,
  request: positive,
  mode,
  lease: positive,
  attributes: v.nullable(bytes),
  requested: positive,
  since: natural,
}

/** The part of a snapshot: resources sorted by name. */
export const savedLocksSchema = v.array(
  v.strictObject({
    name: v.string(),
    share: v.nullable(natural),
    held: v.array(v.strictObject({ ...waiting, token: natural, granted: positive, place: natural })),
    queue: v.array(v.strictObject(waiting)),
  }),
)
