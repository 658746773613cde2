import { durationMax } from '../settings.js'

/** Longest name, in UTF-16 code units. */
export const semaphoreNameMax = 1024
/** Most permits of one semaphore, and so of one request. */
export const permitsMax = 1_000_000
/** Longest lease of a permit, ms. */
export const permitLeaseMax = durationMax
/** Most names of a room that are in use, or have another size than their users bring. */
export const semaphoresMax = 256
/** Most requests that wait for one semaphore. */
export const semaphoreQueueMax = 64
/** With so many holders of one semaphore nobody else is let in. */
export const semaphoreHoldersMax = 1024
