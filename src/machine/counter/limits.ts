/** Longest name, in UTF-16 code units. */
export const counterNameMax = 1024
/** Most counters of a room that are not at 0. */
export const countersMax = 1024
