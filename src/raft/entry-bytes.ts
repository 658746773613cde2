import type { Entry } from './entry.js'

/** Counted for each entry beside its data, so that empty commands are not free. */
export const entryOverheadBytes = 32
/** A round figure: configurations are rare and small. */
const configurationBytes = 1024

/** What an entry counts in append batches and in-flight windows. */
export function entryBytes(entry: Entry): number {
  if (entry.type === 'command') return entryOverheadBytes + entry.data.byteLength
  return entry.type === 'configuration' ? configurationBytes : entryOverheadBytes
}

/** What an entry counts in the uncommitted tail: commands only, since nothing else may ever be refused for lack of room. */
export function proposalBytes(entry: Entry): number {
  return entry.type === 'command' ? entryBytes(entry) : 0
}
