import type { Command, SessionId } from './command.js'
import type { Deadline } from './deadline.js'
import type { LossReason, Outcome } from './outcome.js'
import type { Caller, Context, MachineState } from './state.js'
import type { Wait } from './waiting/graph.js'

/** What each primitive brings: its commands, what a session's end means to it, and its part of a snapshot. */
export interface Primitive<C extends Command> {
  /** Applies a command of a living session. A command that it refuses changes nothing. */
  apply(context: Context, caller: Caller, command: C): Outcome
  /** Ends everything that the session has here. `unclean`: its page did not say so itself, and may still act. */
  sessionEnded(context: Context, session: SessionId, reason: LossReason, unclean: boolean): void
  /** Ends what does not outlive `silence` ms of a session that itself does (S-3). */
  sessionSilent(context: Context, session: SessionId, silence: number): void
  /** The leases of what the session holds here: its own is at least the longest (S-3). */
  leases(state: MachineState, session: SessionId): readonly number[]
  /**
   * Plain data, the same for equal states: sorted wherever order carries no meaning. Undefined while there is nothing of a primitive that
   * came after version 1: older code reads the snapshots of a room that nobody has raised (F5).
   */
  save(state: MachineState): unknown
  /** What is due first here, or null while nothing is (C1). */
  nextDeadline?(state: MachineState): Deadline | null
  /** Lets happen all that is due here: afterwards `nextDeadline` names something later, or nothing. */
  fire?(context: Context): void
  /** Who waits here, and for whom (`waiting/graph.ts`): for the refusal of deadlocks across primitives. */
  waits?(state: MachineState): readonly Wait[]
  /** Fills its part of a new state whose sessions are there. Throws on anything that `save` cannot have given. */
  load(state: MachineState, saved: unknown): void
}
