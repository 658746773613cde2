/** What a host's code can do, of the wire and of the log: the product's, unless a test has older or newer code in mind. */
import type { Command } from '../machine/command.js'
import { machineVersion, versionNeeded } from '../machine/version.js'
import { type Protocol, protocol } from './dialect.js'

export interface Abilities {
  /** The versions of the protocol that it speaks. */
  readonly protocol: Protocol
  /** F5: the highest version of the machine that it can apply. */
  readonly canApply: number
  /** F5: which version of the machine a command needs. */
  readonly versionNeeded: (command: Command) => number
}

export const productAbilities: Abilities = { protocol, canApply: machineVersion, versionNeeded }
