import type { Lineage } from '../storage/storage.js'

/** Tells the histories of a room apart (N2, N3). */
export function historyKey({ roomId, epoch, forkId }: Lineage): string {
  return `${roomId} ${epoch} ${forkId}`
}
