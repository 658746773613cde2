import type { MachineState } from './state.js'

/** Above it, base + index would stop being a safe integer one day (T1). As founding time it is the year 2106. */
export const tokenBaseMax = 2 ** 52

/** T1: never lower. */
export function raiseTokenBase(state: MachineState, base: number): void {
  state.tokenBase = Math.min(tokenBaseMax, Math.max(state.tokenBase, base))
}
