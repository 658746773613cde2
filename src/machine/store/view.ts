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
