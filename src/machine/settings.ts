import * as v from 'valibot'
import type { Limits, RoomSettings, Timing } from './command.js'

/** Longest of any time that a room may be founded with, and of any lease. */
export const durationMax = 24 * 60 * 60 * 1000
/** Largest of any limit that a room may be founded with, except those that have their own. */
export const limitMax = 1_000_000
/** A larger quorum only makes every commit slower (dissertation 11.7.1). */
export const votersMax = 7

export const defaultTiming: Timing = {
  heartbeat: 50,
  electionMin: 150,
  electionMax: 300,
  preVote: 100,
  lease: 10_000,
  barrier: 30_000,
  ballot: 30_000,
  reelection: 15_000,
}

export const defaultLimits: Limits = {
  voters: 7,
  logEntries: 10_000,
  snapshotEvery: 1_000,
  pendingProposals: 128,
  locks: 256,
  lockQueue: 64,
  barriers: 64,
}

export const defaultSettings: RoomSettings = {
  durability: 'strict',
  partition: 'pause',
  timing: defaultTiming,
  limits: defaultLimits,
}

const duration = v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(durationMax))
const limit = v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(limitMax))

const timingSchema = v.pipe(
  v.strictObject({
    heartbeat: duration,
    electionMin: duration,
    electionMax: duration,
    preVote: duration,
    lease: duration,
    barrier: duration,
    ballot: duration,
    reelection: duration,
  }),
  v.check((timing) => timing.electionMin <= timing.electionMax, 'electionMin is above electionMax'),
)

const limitsSchema = v.strictObject({
  voters: v.pipe(v.number(), v.safeInteger(), v.minValue(1), v.maxValue(votersMax)),
  logEntries: limit,
  snapshotEvery: limit,
  pendingProposals: limit,
  locks: limit,
  lockQueue: limit,
  barriers: limit,
})

/** What `found` accepts: every time and limit a whole number within bounds. */
export const settingsSchema = v.strictObject({
  durability: v.picklist(['strict', 'relaxed']),
  partition: v.picklist(['pause', 'continue']),
  timing: timingSchema,
  limits: limitsSchema,
  storage: v.exactOptional(v.literal('memory')),
})
