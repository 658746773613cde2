import * as v from 'valibot'
import { integer, natural, positive } from '../schema.js'

/** What is out of bounds is let through: the machine answers it, so that the caller hears why. */
export const semaphoreCommandSchema = v.variant('type', [
  v.strictObject({
    type: v.literal('semaphore.acquire'),
    name: v.string(),
    permits: integer,
    count: integer,
    ifAvailable: v.boolean(),
    lease: integer,
    priority: integer,
    owner: v.nullable(v.string()),
  }),
  v.strictObject({ type: v.literal('semaphore.release'), request: positive }),
  v.strictObject({ type: v.literal('semaphore.resize'), name: v.string(), permits: integer, to: integer }),
])

export const semaphoreOutcomeSchema = v.variant('type', [
  v.strictObject({ type: v.literal('semaphore.granted'), token: natural, since: natural }),
  v.strictObject({ type: v.literal('semaphore.queued') }),
  v.strictObject({ type: v.literal('semaphore.unavailable') }),
  v.strictObject({ type: v.literal('semaphore.released') }),
  v.strictObject({ type: v.literal('semaphore.resized') }),
])

const waiting = {
  session: positive,
  request: positive,
  count: positive,
  lease: positive,
  priority: integer,
  owner: v.nullable(v.string()),
  requested: positive,
  since: natural,
}

/** The part of a snapshot: semaphores sorted by name. */
export const savedSemaphoresSchema = v.strictObject({
  lastToken: natural,
  semaphores: v.array(
    v.strictObject({
      name: v.string(),
      size: positive,
      declared: positive,
      held: v.array(v.strictObject({ ...waiting, token: positive })),
      queue: v.array(v.strictObject(waiting)),
    }),
  ),
})
