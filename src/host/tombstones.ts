/**
 * Which keys were deleted, and by which entries: what a history that ends has to tell besides its values (N2, N3), since in the one that goes on
 * they may be there. In the memory of this life alone, and of the last ones only.
 */
import type { MachineState } from '../machine/machine.js'
import type { Applied } from '../machine/outcome.js'
import { readStore } from '../machine/store/view.js'

/** Keys are at most 1,024 code units long: a few hundred KiB at worst. */
const keptMax = 256

export interface Deletion {
  readonly key: string
  readonly revision: number
}

export class Tombstones {
  readonly #revisions: Map<string, number>
  #completeFrom: number

  /** All deletions from that index on will be noted. */
  constructor(completeFrom: number, revisions: ReadonlyMap<string, number> = new Map()) {
    this.#completeFrom = completeFrom
    this.#revisions = new Map(revisions)
  }

  copy(): Tombstones {
    return new Tombstones(this.#completeFrom, this.#revisions)
  }

  /** `machine`: after that entry. What ends with its session was deleted by nobody. */
  note({ answer, events }: Applied, machine: MachineState): void {
    if (answer?.outcome?.type !== 'store.deleted') return
    for (const event of events) {
      if (event.type !== 'store.changed' || readStore(machine, event.key)) continue
      this.#revisions.delete(event.key)
      this.#revisions.set(event.key, machine.appliedIndex)
    }
    const [oldest] = this.#revisions
    if (this.#revisions.size <= keptMax || !oldest) return
    this.#revisions.delete(oldest[0])
    this.#completeFrom = oldest[1] + 1
  }

  /** What was deleted at that index or later and is not there, the oldest first; and whether that is all of it. */
  since(index: number, machine: MachineState): { readonly deleted: readonly Deletion[]; readonly complete: boolean } {
    const deleted = [...this.#revisions]
      .filter(([key, revision]) => revision >= index && !readStore(machine, key))
      .map(([key, revision]) => ({ key, revision }))
    return { deleted, complete: index >= this.#completeFrom }
  }
}
