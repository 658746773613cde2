import { durationMax } from '../settings.js'

/** Longest lease of a lock, ms. */
export const lockLeaseMax = durationMax
/** Longest `maxHold` and longest grace of a revoke, ms. */
export const lockHoldMax = durationMax
/** Most holders of one name: only shared locks come near it. */
export const lockHoldersMax = 1024
/** Most names of one request. */
export const lockNamesMax = 64
/** Longest owner, in UTF-16 code units. */
export const lockOwnerMax = 256
/** A priority is a whole number from minus this to this. */
export const lockPriorityMax = 1_000
/** A request of one level less that came so much earlier, ms, goes first: nobody starves. */
export const lockAgeStep = 1_000
