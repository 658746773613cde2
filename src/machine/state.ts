import type { EntryId, Incarnation, PeerId } from '../raft/entry.js'
import type { Branch, Limits, RoomSettings, SessionId, Successor } from './command.js'
import type { LocksState } from './lock/state.js'
import type { LockEvent, MachineEvent, Outcome } from './outcome.js'
import type { SemaphoresState } from './semaphore/state.js'
import { defaultSettings } from './settings.js'
import type { StoreState } from './store/state.js'
import type { Wait } from './waiting/graph.js'

/** Everything that the room agrees on. Plain data: only `applyEntry` changes it; bytes inside are never written to. */
export interface MachineState {
  /** What entries mean; only ever raised, by an entry (F5). */
  version: number
  /** Never goes back (C1). */
  clusterTime: number
  appliedIndex: number
  appliedTerm: number
  /** Null until the room is founded. */
  roomId: string | null
  /** Base of the fencing tokens (T1). */
  tokenBase: number
  settings: RoomSettings | null
  /** Wall time of the founding in seconds; 0 until then. */
  foundedAt: number
  /** The last command of a session that was applied. */
  lastCommand: EntryId
  /** The forks on the way from the founding to this history, one for each epoch (N3). */
  branches: readonly Branch[]
  /** Where the room went on when this history ended; null while it has not. */
  successor: Successor | null
  /** The sessions that live, by id. */
  readonly sessions: Map<SessionId, Session>
  /** The newest life that each peer opened a session with; the one whose last `open` is the longest ago stands first. */
  readonly peers: Map<PeerId, PeerRecord>
  readonly locks: LocksState
  readonly store: StoreState
  readonly semaphores: SemaphoresState
  /** Those that are not at 0. */
  readonly counters: Map<string, number>
}

export interface Session {
  /** The index of its `open` (S-1). */
  readonly id: SessionId
  readonly peerId: PeerId
  readonly incarnation: Incarnation
  readonly attempt: number
  readonly browserId: string
  /** The peer's declared state, encoded, or null. */
  readonly state: Uint8Array | null
  /** The number of the last command that was applied. */
  lastNumber: number
  /** Answers up to here have come and are forgotten; at most `lastNumber`. */
  answered: number
  /** The answers of `answered + 1` to `lastNumber`, in this order (S-2). */
  readonly answers: Map<number, Outcome>
}

/** Outlives the session, so that a late `open` of an older life finds it (S-1). */
export interface PeerRecord {
  readonly incarnation: Incarnation
  readonly attempt: number
  /** The session that this life and attempt opened; it may have ended since. */
  readonly session: SessionId
}

/** Who submitted a command. */
export interface Caller {
  readonly session: SessionId
  readonly number: number
}

/** One entry on its way through the machine. */
export interface Context {
  readonly state: MachineState
  readonly index: number
  readonly term: number
  readonly events: MachineEvent[]
  /** Events that are told once per entry, after all others, by what they are about. */
  readonly lateEvents: Map<string, MachineEvent>
  /** For those who watch locks. */
  readonly lockEvents: LockEvent[]
  /** How many locks this entry has granted. */
  grants: number
  /** Who waits in the primitives but that one. */
  readonly waitsBeside: (state: MachineState, prefix: string) => Wait[]
}

export function createMachine(): MachineState {
  return {
    version: 1,
    clusterTime: 0,
    appliedIndex: 0,
    appliedTerm: 0,
    roomId: null,
    tokenBase: 0,
    settings: null,
    foundedAt: 0,
    lastCommand: { term: 0, index: 0 },
    branches: [],
    successor: null,
    sessions: new Map(),
    peers: new Map(),
    locks: { resources: new Map(), bySession: new Map(), uses: { beyond: 0, trees: 0, timed: 0 } },
    store: { items: new Map(), size: 0 },
    semaphores: { byName: new Map(), bySession: new Map(), lastToken: 0 },
    counters: new Map(),
  }
}

export function settingsOf(state: MachineState): RoomSettings {
  return state.settings ?? defaultSettings
}

/** An answer that refuses a command because of a limit. `limit` is the name that the public error shows. */
export function limitExceeded(limit: keyof Limits | (string & {}), value: number, message: string): Outcome {
  return { type: 'failed', failure: { code: 'limit-exceeded', message, details: { limit, value } } }
}
