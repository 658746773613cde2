/** Most keys of a room. */
export const storeKeysMax = 4096
/** Most bytes of all values, and of all keys at two bytes per code unit. */
export const storeBytesMax = 16 * 1024 * 1024
