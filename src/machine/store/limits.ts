/** Most keys of a room. */
export const storeKeysMax = 4096
/** Most bytes of all values, and of all keys at two bytes per code unit. */
export const storeBytesMax = 16 * 1024 * 1024
/** Most comparisons, and most operations of either list, of a transaction: etcd's default (`--max-txn-ops`). */
export const transactionOpsMax = 128
/**
 * Most bytes of a transaction's keys (two per code unit) and values, and most of the values that it reads. It is one entry: on a link
 * that takes long over it, heartbeats wait behind it.
 */
export const transactionBytesMax = 256 * 1024

/** What a key counts towards the bytes of a room, or of a transaction. */
export function itemSize(key: string, value: Uint8Array): number {
  return key.length * 2 + value.length
}
