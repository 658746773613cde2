import { durationMax } from '../settings.js'

/** Longest lease of a lock, ms. */
export const lockLeaseMax = durationMax
/** Longest `maxHold` and longest grace of a revoke, ms. */
export const lockHoldMax = durationMax
/** Most holders of one name: only shared locks come near it. */
export const lockHoldersMax = 1024
/** Most names of one request. */
export const lockNamesMax = 64
