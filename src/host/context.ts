import type { MachineState } from '../machine/machine.js'
import type { PeerId } from '../raft/entry.js'
import type { Raft } from '../raft/raft.js'
import type { Failure } from '../shared/failure.js'
import type { Instant } from '../shared/instant.js'
import type { Abilities } from './abilities.js'
import type { Item } from './frame.js'
import type { HostEvent } from './page.js'
import type { Peers, Self } from './peers.js'

/** What the parts of a host share. The host owns it; the parts read it and speak through it. */
export interface HostContext {
  readonly self: Self
  readonly abilities: Abilities
  readonly raft: Raft
  readonly peers: Peers
  /** Replaced when a snapshot is installed: never keep it. */
  readonly machine: MachineState
  /** The time of this turn. */
  readonly now: Instant
  /** The leader's cluster time (C1); another peer's best lower bound. */
  readonly clusterTime: number
  /** Nothing is expected before the leader's next heartbeat (M6). */
  readonly isCalm: boolean
  /** The longest election time-out that this peer's links need (M5), or what an answer of its leader needs, if that is more; ms. */
  readonly patience: number
  emit(event: HostEvent): void
  /** To a peer, or to this host itself. A property: parts hand it on by itself. */
  readonly send: (to: PeerId, item: Item) => void
  /** Hands instructions to the log if this host leads; else to the leader if one is known. False: neither. */
  submit(instructions: readonly Uint8Array[]): boolean
}

export type Settled<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly failure: Failure }
