/** The shape of what cores say to each other, checked before a core sees it. */
import * as v from 'valibot'

export const safeIndex = v.pipe(v.number(), v.safeInteger(), v.minValue(0))
/** Milliseconds of some clock: finite, with a fraction. */
export const safeTime = v.pipe(v.number(), v.finite())
/** A name that every object has is nobody's: ids are keys of objects here and there. */
export const peerIdSchema = v.pipe(
  v.string(),
  v.regex(/^[A-Za-z0-9_-]{1,64}$/),
  v.check((peerId) => !(peerId in Object.prototype)),
)

const entryIdSchema = v.strictObject({ term: safeIndex, index: safeIndex })
const peers = v.pipe(v.array(peerIdSchema), v.maxLength(256))
const incarnationSchema = v.strictObject({ counter: safeIndex, nonce: v.pipe(v.string(), v.maxLength(64)) })
const bytes = v.instance(Uint8Array)

export const configurationSchema = v.strictObject({
  voters: peers,
  outgoing: peers,
  learners: peers,
  learnersNext: peers,
  incarnations: v.record(peerIdSchema, incarnationSchema),
})

const entryHead = { term: safeIndex, index: safeIndex, time: safeTime }
export const entrySchema = v.variant('type', [
  v.strictObject({ ...entryHead, type: v.literal('command'), data: bytes }),
  v.strictObject({ ...entryHead, type: v.literal('configuration'), configuration: configurationSchema }),
  v.strictObject({ ...entryHead, type: v.literal('noop') }),
])

export const snapshotSchema = v.strictObject({
  meta: v.strictObject({ term: safeIndex, index: safeIndex, configuration: configurationSchema, time: safeTime }),
  data: bytes,
})

const addressed = { from: peerIdSchema, to: peerIdSchema, term: safeIndex }
export const messageSchema = v.variant('type', [
  v.strictObject({ ...addressed, type: v.literal('preVote'), last: entryIdSchema }),
  v.strictObject({ ...addressed, type: v.literal('preVoteReply'), granted: v.boolean() }),
  v.strictObject({ ...addressed, type: v.literal('vote'), last: entryIdSchema, transfer: v.boolean() }),
  v.strictObject({ ...addressed, type: v.literal('voteReply'), granted: v.boolean() }),
  v.pipe(
    v.strictObject({
      ...addressed,
      type: v.literal('append'),
      previous: entryIdSchema,
      entries: v.pipe(v.array(entrySchema), v.maxLength(16_384)),
      commitIndex: safeIndex,
    }),
    v.check(
      ({ previous, entries }) => entries.every((entry, i) => entry.index === previous.index + 1 + i),
      'entries must follow previous without a gap',
    ),
  ),
  v.strictObject({ ...addressed, type: v.literal('commit'), last: entryIdSchema }),
  v.strictObject({ ...addressed, type: v.literal('stable'), index: safeIndex }),
  v.variant('rejected', [
    v.strictObject({ ...addressed, type: v.literal('appendReply'), rejected: v.literal(false), index: safeIndex }),
    v.strictObject({
      ...addressed,
      type: v.literal('appendReply'),
      rejected: v.literal(true),
      index: safeIndex,
      hint: entryIdSchema,
    }),
  ]),
  v.strictObject({
    ...addressed,
    type: v.literal('heartbeat'),
    commitIndex: safeIndex,
    round: safeIndex,
    electionTicks: v.pipe(safeIndex, v.minValue(1), v.maxValue(600_000)),
    heir: v.optional(peerIdSchema),
    quiet: v.optional(v.boolean()),
  }),
  v.strictObject({
    ...addressed,
    type: v.literal('heartbeatReply'),
    round: safeIndex,
    priority: v.optional(safeIndex),
    quiet: v.optional(v.boolean()),
  }),
  v.strictObject({ ...addressed, type: v.literal('timeoutNow') }),
  v.strictObject({ ...addressed, type: v.literal('snapshot'), snapshot: snapshotSchema }),
  v.strictObject({ ...addressed, type: v.literal('readIndex'), id: safeIndex }),
  v.strictObject({
    ...addressed,
    type: v.literal('readIndexReply'),
    id: safeIndex,
    index: safeIndex,
    rejected: v.boolean(),
  }),
])
