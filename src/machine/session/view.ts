import type { Incarnation, PeerId } from '../../raft/entry.js'
import type { SessionId } from '../command.js'
import type { Outcome } from '../outcome.js'
import { leasesOf } from '../registry.js'
import { type MachineState, type Session, settingsOf } from '../state.js'

/** A living session as hosts see it. */
export interface SessionView {
  readonly session: SessionId
  readonly peerId: PeerId
  readonly incarnation: Incarnation
  readonly attempt: number
  readonly browserId: string
  /** The peer's declared state, encoded, or null; not to be written to. */
  readonly state: Uint8Array | null
  /** How long it outlives a silent page now, ms (S-3). */
  readonly lease: number
  /** The number of its last command that was applied: the next one is this plus 1 (S-2). */
  readonly lastNumber: number
}

export function findSession(state: MachineState, session: SessionId): SessionView | null {
  const found = state.sessions.get(session)
  return found ? view(state, found) : null
}

/** The living session of a peer: it has at most one (S-1). */
export function findSessionOfPeer(state: MachineState, peerId: PeerId): SessionView | null {
  const record = state.peers.get(peerId)
  return record ? findSession(state, record.session) : null
}

/** All living sessions, the oldest first. */
export function listSessions(state: MachineState): SessionView[] {
  return [...state.sessions.values()].map((session) => view(state, session))
}

/** How long the session lives in silence: the room's own lease, or the longest that the session holds (S-3). */
export function longestLease(state: MachineState, session: SessionId): number {
  return leasesOf(state, session).reduce((a, b) => Math.max(a, b), settingsOf(state).timing.lease)
}

/** After this much silence an `expire` ends something: the smallest lease held, or the session's own. */
export function nextLease(state: MachineState, session: SessionId): number {
  return leasesOf(state, session).reduce((a, b) => Math.min(a, b), longestLease(state, session))
}

/** Whether an `expire` with this silence would change anything; false for a session that has ended. */
export function pendingExpiry(state: MachineState, session: SessionId, silence: number): boolean {
  return state.sessions.has(session) && silence >= nextLease(state, session)
}

/** The answer to a command that its client has not acknowledged yet (S-2), for a host that reconciles (S-10). */
export function storedAnswer(state: MachineState, session: SessionId, number: number): Outcome | null {
  return state.sessions.get(session)?.answers.get(number) ?? null
}

function view(state: MachineState, session: Session): SessionView {
  const { id, peerId, incarnation, attempt, browserId, lastNumber } = session
  const lease = longestLease(state, id)
  return { session: id, peerId, incarnation, attempt, browserId, state: session.state, lease, lastNumber }
}
