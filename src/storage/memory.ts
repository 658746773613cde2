import type { Entry, Incarnation } from '../raft/entry.js'
import type { Snapshot } from '../raft/message.js'
import type { HardState } from '../raft/ready.js'
import { StorageFault } from '../shared/storage-fault.js'
import type { GroupId, GroupWrite, Lineage, Storage, StoredGroup, StoredState, WriteBatch } from './storage.js'

const noHardState: HardState = { term: 0, votedFor: null, promisedTo: null, commitIndex: 0 }

interface Group {
  hardState: HardState
  snapshot: Snapshot | null
  entries: Entry[]
}

/** What a disk holds of one identity. Storages come and go; it stays. */
export class MemoryDisk {
  incarnation: Incarnation = { counter: 0, nonce: '' }
  #lineage: Lineage | null = null
  readonly #groups = new Map<GroupId, Group>()

  /** A copy: what a storage that opens now finds. */
  read(): StoredState {
    const groups = new Map<GroupId, StoredGroup>()
    for (const [id, { hardState, snapshot, entries }] of this.#groups)
      groups.set(id, { hardState, snapshot, entries: [...entries] })
    return { lineage: this.#lineage, groups }
  }

  apply(batch: WriteBatch): void {
    if (batch.reset) {
      this.#lineage = null
      this.#groups.clear()
    }
    if (batch.lineage) this.#lineage = batch.lineage
    for (const write of batch.groups) this.#applyGroup(write)
  }

  #applyGroup(write: GroupWrite): void {
    const group = this.#groups.get(write.group) ?? { hardState: noHardState, snapshot: null, entries: [] }
    this.#groups.set(write.group, group)
    if (write.hardState) group.hardState = write.hardState
    if (write.installed) {
      group.snapshot = write.installed
      group.entries = []
    }
    const first = write.entries[0]
    if (first) group.entries = [...group.entries.filter((entry) => entry.index < first.index), ...write.entries]
    if (write.compacted) {
      const { snapshot, keepFrom } = write.compacted
      group.snapshot = snapshot
      group.entries = group.entries.filter((entry) => entry.index >= keepFrom)
    }
  }
}

/** A storage that lasts as long as its disk object: `storage: 'memory'`, and tests. */
export class MemoryStorage implements Storage {
  readonly incarnation: Incarnation
  readonly stored: StoredState
  readonly #disk: MemoryDisk
  #closed = false

  /** Opens the disk for a new incarnation: whoever had it open before can write no more (F3). */
  constructor(disk: MemoryDisk, nonce: string) {
    this.incarnation = { counter: disk.incarnation.counter + 1, nonce }
    disk.incarnation = this.incarnation
    this.#disk = disk
    this.stored = disk.read()
  }

  async write(batch: WriteBatch): Promise<void> {
    if (this.#closed) throw new StorageFault('closed', 'the storage is closed')
    if (this.#disk.incarnation !== this.incarnation)
      throw new StorageFault('taken-over', 'another incarnation has opened this storage')
    this.#disk.apply(batch)
  }

  setDurability(): void {}

  /** Never: it is gone only with its owner. */
  whenLost(): void {}

  close(): void {
    this.#closed = true
  }
}
