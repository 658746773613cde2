import { applyEntry, createMachine, decodeMachine, encodeMachine, type MachineState } from '../machine/machine.js'
import type { Applied } from '../machine/outcome.js'
import { defaultSettings } from '../machine/settings.js'
import { machineVersion, NewerMachineError } from '../machine/version.js'
import { type Configuration, type Entry, emptyConfiguration } from '../raft/entry.js'
import type { Snapshot } from '../raft/message.js'
import { Tombstones } from './tombstones.js'

export interface SnapshotSizes {
  /** How many entries before a snapshot stay for followers that are a little behind. */
  readonly tailEntries: number
  /** Bytes of a snapshot in one message. */
  readonly chunkBytes: number
}

export const defaultSnapshotSizes: SnapshotSizes = { tailEntries: 256, chunkBytes: 64 * 1024 }

/** What the committed entries have come to: the machine, and what a snapshot says besides. */
export class Replicated {
  #machine: MachineState
  /** As of the applied index; the log's may be ahead. */
  #configuration: Configuration
  #snapshotIndex: number
  #tombstones: Tombstones
  readonly #tailEntries: number

  readonly #canApply: number

  /** `canApply`: the highest version of the machine. What is above it throws a `NewerMachineError`, here and later (F5). */
  constructor(snapshot: Snapshot | null, { tailEntries }: SnapshotSizes, canApply: number = machineVersion) {
    this.#tailEntries = tailEntries
    this.#canApply = canApply
    this.#machine = snapshot ? decodeMachine(snapshot.data, canApply) : createMachine()
    this.#configuration = snapshot?.meta.configuration ?? emptyConfiguration
    this.#snapshotIndex = snapshot?.meta.index ?? 0
    this.#tombstones = new Tombstones(this.#snapshotIndex + 1)
  }

  get machine(): MachineState {
    return this.#machine
  }

  get snapshotIndex(): number {
    return this.#snapshotIndex
  }

  apply(entry: Entry): Applied {
    if (entry.type === 'configuration') this.#configuration = entry.configuration
    const applied = applyEntry(this.#machine, entry, this.#canApply)
    this.#tombstones.note(applied, this.#machine)
    return applied
  }

  /** What the machine would be after these entries too, as far as this code can apply them, and what had been deleted by then. */
  ahead(entries: readonly Entry[]): { readonly machine: MachineState; readonly tombstones: Tombstones } {
    const machine = decodeMachine(encodeMachine(this.#machine), this.#canApply)
    const tombstones = this.#tombstones.copy()
    try {
      for (const entry of entries) tombstones.note(applyEntry(machine, entry, this.#canApply), machine)
    } catch (error) {
      if (!(error instanceof NewerMachineError)) throw error
    }
    return { machine, tombstones }
  }

  /** A leader's snapshot replaces everything (S-10). */
  install({ meta, data }: Snapshot): void {
    this.#machine = decodeMachine(data, this.#canApply)
    this.#configuration = meta.configuration
    this.#snapshotIndex = meta.index
    this.#tombstones = new Tombstones(meta.index + 1)
  }

  /** A snapshot of all that is applied, if the room's settings call for one and the log has it durably. */
  compact(stableIndex: number): { readonly snapshot: Snapshot; readonly keepFrom: number } | null {
    const { limits } = this.#machine.settings ?? defaultSettings
    const { appliedIndex: index, appliedTerm: term, clusterTime: time } = this.#machine
    if (index - this.#snapshotIndex < Math.min(limits.snapshotEvery, limits.logEntries) || index > stableIndex)
      return null
    this.#snapshotIndex = index
    const meta = { term, index, time, configuration: this.#configuration }
    const keepFrom = Math.max(1, index - this.#tailEntries + 1)
    return { snapshot: { meta, data: encodeMachine(this.#machine) }, keepFrom }
  }
}
