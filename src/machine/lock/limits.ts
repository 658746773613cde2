import { durationMax } from '../settings.js'

/** Longest lease of a lock, ms. */
export const lockLeaseMax = durationMax
/** Most holders of one name: only shared locks come near it. */
export const lockHoldersMax = 1024
