import type { MachineState } from '../state.js'

/** The token that fences compare with: the holder's, or the first of the uninterrupted share; null while it is free. */
export function currentToken(state: MachineState, name: string): number | null {
  const resource = state.locks.resources.get(name)
  return resource?.share ?? resource?.held[0]?.token ?? null
}

/** T2: held at this index under that very token; every holder of a share may also show the share's first one. */
export function isHeldUnder(state: MachineState, name: string, token: number): boolean {
  const resource = state.locks.resources.get(name)
  return resource !== undefined && (resource.share === token || resource.held.some((held) => held.token === token))
}
