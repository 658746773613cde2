import { registered } from '../registry.js'
import type { MachineState } from '../state.js'
import type { Blocker, Wait, World } from './graph.js'

export type WaitView = Omit<Wait, 'behind' | 'node'> & {
  readonly peerId: string
  readonly behind: readonly BlockerView[]
}
export type BlockerView = Omit<Blocker, 'node' | 'session'> & { readonly peerId: string }

const now: World = { isGone: () => false, isGranted: () => false }

/** Who waits, for what, and who is in the way of each. */
export function viewWaits(state: MachineState): WaitView[] {
  const peerOf = (session: number) => state.sessions.get(session)?.peerId ?? ''
  return registered
    .flatMap(([, primitive]) => primitive.waits?.(state) ?? [])
    .map(({ session, owner, request, kind, names, mode, position, behind }) => {
      const blockers = behind(now).map(({ session, owner, name, state }) => ({
        peerId: peerOf(session),
        owner,
        name,
        state,
      }))
      return { session, peerId: peerOf(session), owner, request, kind, names, mode, position, behind: blockers }
    })
}
