import type { Instruction } from '../machine/command.js'
import { decodeInstruction } from '../machine/instruction.js'
import type { MachineState } from '../machine/machine.js'
import { sameIncarnation } from './frame.js'
import type { Peer } from './peers.js'

/**
 * What another peer hands to the leader, read; null for what it may not ask for. It speaks for itself only: it opens its own
 * session, and commands in it. Who has ended, how late it is (S-6), and what the machine can do (F5) is the leader's to say.
 */
export function readSubmission(bytes: Uint8Array, peer: Peer, machine: MachineState): Instruction | null {
  const instruction = decodeInstruction(bytes)
  switch (instruction?.type) {
    case 'open': {
      const isOwn = instruction.peerId === peer.peerId && sameIncarnation(instruction.incarnation, peer.incarnation)
      return isOwn ? instruction : null
    }
    case 'numbered': {
      // A session that this leader has not applied yet, or that has ended, is for the machine to judge.
      const owner = machine.sessions.get(instruction.session)?.peerId ?? peer.peerId
      return owner === peer.peerId ? instruction : null
    }
    default:
      return null
  }
}
