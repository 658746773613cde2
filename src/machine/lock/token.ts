import type { Context } from '../state.js'
import { raiseTokenBase } from '../token-base.js'

/** T1: the base plus the index of this entry. */
export function tokenOf({ state, index }: Context): number {
  return state.tokenBase + index
}

/**
 * T1: an entry can let somebody in by its time, and then take it away again and let the next one in by what it says. If that token is this
 * entry's, whoever comes next has a higher one, and so has everybody after it.
 */
export function useUp(context: Context, token: number): void {
  if (token === tokenOf(context)) raiseTokenBase(context.state, context.state.tokenBase + 1)
}
