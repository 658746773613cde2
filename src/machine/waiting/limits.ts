/** Longest owner, in UTF-16 code units. */
export const ownerMax = 256
/** A priority is a whole number from minus this to this. */
export const priorityMax = 1_000
/** So much earlier, in cluster time, a request is taken to have come for each level of its priority, ms. */
export const ageStep = 1_000
