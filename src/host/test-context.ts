/** A host's inside for the tests of its parts: a real machine under a log written by hand, everything else a double. */

import type { Instruction } from '../machine/command.js'
import { decodeInstruction } from '../machine/instruction.js'
import type { MachineState } from '../machine/machine.js'
import type { Applied } from '../machine/outcome.js'
import { Script } from '../machine/test-script.js'
import { type Configuration, emptyConfiguration, type Incarnation, type PeerId } from '../raft/entry.js'
import type { Raft } from '../raft/raft.js'
import type { Role } from '../raft/ready.js'
import type { RaftTiming } from '../raft/state.js'
import { encode } from '../shared/codec.js'
import { type Abilities, productAbilities } from './abilities.js'
import type { HostContext } from './context.js'
import type { Item } from './frame.js'
import type { Claim } from './histories.js'
import type { HostEvent } from './page.js'
import type { Peer, Peers, Self, Stranger } from './peers.js'

/** As much of the core as the parts look at. */
export interface TestRaft {
  role: Role
  term: number
  leader: PeerId | null
  commitIndex: number
  currentRound: number
  confirmedRound: number
  committedInTerm: boolean
  configuration: Configuration
  promisedVote: { readonly to: PeerId; readonly term: number } | null
  reads: number[]
  lastIndex: number
  /** A leader that hears a quorum. */
  hasQuorum: boolean
  /** Of a leader that is settled: who is heard. */
  members: PeerId[]
  /** What it was told to live by, the last one last. */
  retimed: RaftTiming[]
  read(id: number): void
  retime(timing: RaftTiming): void
  laggardsWhenIdle(): PeerId[]
  entryTerm(index: number): number | null
  status(): { readonly progress: readonly { readonly peerId: PeerId }[] }
  revokePromise(): void
}

export class TestContext implements HostContext {
  readonly self: Self = { peerId: 'me', incarnation: { counter: 1, nonce: 'nonce 1' }, browserId: 'b', resident: false }
  abilities: Abilities = productAbilities
  readonly script: Script
  readonly core: TestRaft = {
    role: 'follower',
    term: 1,
    leader: 'ann',
    commitIndex: 0,
    currentRound: 0,
    confirmedRound: 0,
    committedInTerm: true,
    configuration: emptyConfiguration,
    promisedVote: null,
    reads: [],
    lastIndex: 0,
    hasQuorum: false,
    members: [],
    retimed: [],
    read(id) {
      this.reads.push(id)
    },
    retime(timing) {
      this.retimed.push(timing)
    },
    laggardsWhenIdle: () => [],
    entryTerm: (index) => this.script.entries[index - 1]?.term ?? null,
    status() {
      return { progress: this.members.map((peerId) => ({ peerId })) }
    },
    revokePromise() {
      this.promisedVote = null
    },
  }
  /** Peers of other histories, and what they were told. */
  readonly strangers: Stranger[] = []
  readonly claims: { readonly to: PeerId; readonly claim: Claim }[] = []
  /** Who is linked, and in which life. */
  readonly linked = new Map<PeerId, Incarnation>()
  readonly emitted: HostEvent[] = []
  readonly sent: { readonly to: PeerId; readonly item: Item }[] = []
  /** Instructions that were handed over, a row for each call. */
  readonly submitted: Instruction[][] = []
  /** Bytes that wait on each link. */
  buffered = 0
  /** Whether a leader takes instructions now. */
  accepts = true
  now = { monotonic: 1_000, wall: 5_000_000 }
  clusterTime = 0
  isCalm = false
  patience = 300
  readonly raft = this.core as unknown as Raft
  readonly peers = {
    peer: (peerId: PeerId) => {
      const incarnation = this.linked.get(peerId)
      return incarnation
        ? { peerId, incarnation, browserId: 'b', founded: true, joined: true, resident: false, canApply: 1 }
        : null
    },
    all: () => [...this.linked.keys()].flatMap((peerId) => this.peers.peer(peerId) ?? []),
    buffered: () => this.buffered,
    link: (peerId: PeerId) => (this.linked.has(peerId) ? { kind: 'webrtc' } : null),
    strangers: () => this.strangers,
    sendToStranger: (to: PeerId, { claim }: { readonly claim: Claim }) => this.claims.push({ to, claim }),
    frameFor: (peer: Peer, items: readonly Item[]) => encode([peer.peerId, items]),
  } as unknown as Peers

  /** `script`: of a room that there is already. */
  constructor(script: Script | null = null) {
    this.script = script ?? new Script()
    if (!script) this.script.found()
  }

  get machine(): MachineState {
    return this.script.state
  }

  /** Both clocks, unless they are told to differ. */
  wait(ms: number, wallMs = ms): void {
    this.now = { monotonic: this.now.monotonic + ms, wall: this.now.wall + wallMs }
  }

  emit(event: HostEvent): void {
    this.emitted.push(event)
  }

  readonly send = (to: PeerId, item: Item): void => {
    this.sent.push({ to, item })
  }

  submit(instructions: readonly Uint8Array[]): boolean {
    if (!this.accepts) return false
    this.submitted.push(
      instructions.map((bytes) => {
        const instruction = decodeInstruction(bytes)
        if (!instruction) throw new Error('an instruction that nobody understands')
        return instruction
      }),
    )
    return true
  }

  /** What was handed over since the last call, in one row. */
  taken(): Instruction[] {
    return this.submitted.splice(0).flat()
  }

  /** Puts into the log what was handed over since the last call. */
  commit(tell: (applied: Applied) => void): void {
    for (const instruction of this.taken()) tell(this.script.apply(instruction))
  }
}
