import { compareStrings } from '../../shared/codec.js'
import type { MachineState } from '../state.js'

/** What was written at that index or later and is there, the oldest first. */
export function storedSince(
  state: MachineState,
  index: number,
): { key: string; value: Uint8Array; revision: number }[] {
  return [...state.store.items]
    .filter(([, { revision }]) => revision >= index)
    .map(([key, { value, revision }]) => ({ key, value, revision }))
    .sort((a, b) => a.revision - b.revision)
}

/** The value as it was encoded; not to be written to. */
export function readStore(state: MachineState, key: string): { value: Uint8Array; revision: number } | undefined {
  const item = state.store.items.get(key)
  return item && { value: item.value, revision: item.revision }
}

/** Every key that begins so, in the order of code units. The values are as they were encoded; not to be written to. */
export function listStore(
  state: MachineState,
  prefix: string,
): { key: string; value: Uint8Array; revision: number; ephemeral: boolean }[] {
  return [...state.store.items]
    .filter(([key]) => key.startsWith(prefix))
    .sort(([a], [b]) => compareStrings(a, b))
    .map(([key, { value, revision, session }]) => ({ key, value, revision, ephemeral: session !== null }))
}
