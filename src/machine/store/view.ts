import type { MachineState } from '../state.js'

/** The value as it was encoded; not to be written to. */
export function readStore(state: MachineState, key: string): { value: Uint8Array; revision: number } | undefined {
  const item = state.store.items.get(key)
  return item && { value: item.value, revision: item.revision }
}
