import type { Incarnation } from '../raft/entry.js'
import { StorageFault } from '../shared/storage-fault.js'
import { MemoryDisk } from '../storage/memory.js'
import type { Storage, StoredState, WriteBatch } from '../storage/storage.js'
import { JournalBooks } from './journal-books.js'
import type { Prng } from './prng.js'
import type { Thread } from './thread.js'
import type { World } from './world.js'

/** What an identity's database is like at the moment. */
export interface DiskCondition {
  /** Typical time of a durable write, ms. */
  writeMs: number
  /** Every write takes at least this long: the disk is busy with something else. */
  stallMs: number
  /** Writes fail: the quota is used up. */
  isFull: boolean
  /** The next write is undone: the browser aborts its transaction. */
  aborts: boolean
  /** Whoever writes next dies of it: a moment before it is durable, or a moment after. */
  trap: { readonly moment: 'before' | 'after'; readonly spring: (writer: Thread) => void } | null
}

/** Told of every transaction that takes effect, and of what it found. */
export type WriteListener = (peerId: string, batch: WriteBatch, before: StoredState) => void

interface Pending {
  readonly batch: WriteBatch
  readonly commit: () => void
}

/** One identity's database: outlives all who open it. */
export class SimDisk {
  readonly memory = new MemoryDisk()
  readonly condition: DiskCondition = { writeMs: 0.5, stallMs: 0, isFull: false, aborts: false, trap: null }
  readonly #journal = new JournalBooks()
  readonly #world: World
  readonly #peerId: string
  readonly #onwrite: WriteListener
  readonly #prng: Prng
  /** Under way, in the order in which they take effect. */
  #pending: Pending[] = []
  #idleAt = 0
  #open: SimStorage | null = null

  constructor(world: World, peerId: string, onwrite: WriteListener = () => {}) {
    this.#world = world
    this.#peerId = peerId
    this.#onwrite = onwrite
    this.#prng = world.prng.fork(`disk ${peerId}`)
  }

  /** What a reader would find now: only what is durable. */
  read(): StoredState {
    return this.memory.read()
  }

  open(thread: Thread): SimStorage {
    this.#interrupt()
    this.memory.incarnation = { counter: this.memory.incarnation.counter + 1, nonce: this.#prng.text() }
    const storage = new SimStorage(this, thread, this.memory.incarnation, this.read())
    this.#journal.reopen()
    const contradiction = this.#journal.contradiction(storage.stored)
    if (contradiction !== null) this.#world.convict('F2', contradiction)
    this.#open = storage
    thread.onDeath(() => {
      if (this.memory.incarnation === storage.incarnation) this.#interrupt()
    })
    return storage
  }

  /** The browser deletes it, though somebody has it open: what was under way is undone. */
  delete(): void {
    this.#interrupt()
    this.#open?.lose()
  }

  /** A transaction of that incarnation: `done` is called on the thread when it is durable, or has failed. */
  write(thread: Thread, incarnation: Incarnation, batch: WriteBatch, done: (error: Error | null) => void): void {
    const { writeMs, stallMs } = this.condition
    const took = this.#prng.tail(writeMs, writeMs * 50) + stallMs
    this.#idleAt = Math.max(this.#idleAt, this.#world.now) + took
    const tell = (error: Error | null) => thread.post(0, error ? 'write failed' : 'written', () => done(error))
    const pending: Pending = {
      batch,
      commit: () => {
        // F3: the incarnation record is read first, in the same transaction.
        const refusal = this.#refusal(incarnation)
        if (!refusal) this.#apply(batch)
        tell(refusal)
      },
    }
    this.#pending.push(pending)
    this.#world.after(this.#idleAt - this.#world.now, `disk of ${thread.name}`, () => {
      const at = this.#pending.indexOf(pending)
      if (at < 0) return
      const { trap } = this.condition
      this.condition.trap = null
      if (trap?.moment === 'before') trap.spring(thread)
      // By then it has been dealt with as every write of the dead.
      if (thread.isDead) return
      this.#pending.splice(at, 1)
      pending.commit()
      if (trap?.moment === 'after') trap.spring(thread)
    })
  }

  #refusal(incarnation: Incarnation): Error | null {
    const { condition } = this
    const { coverage } = this.#world
    if (this.memory.incarnation !== incarnation) {
      coverage.hit('disk write of an earlier incarnation')
      return new Error('another incarnation has opened this storage')
    }
    if (condition.isFull) {
      coverage.hit('disk write over the quota')
      return new DOMException('the quota is used up', 'QuotaExceededError')
    }
    if (!condition.aborts) return null
    condition.aborts = false
    coverage.hit('disk write aborted')
    return new DOMException('the transaction was aborted', 'AbortError')
  }

  #apply(batch: WriteBatch): void {
    this.#onwrite(this.#peerId, batch, this.memory.read())
    this.overwrite(batch)
  }

  /** What stands on the disk from now on, whoever wrote it. */
  overwrite(batch: WriteBatch): void {
    this.memory.apply(batch)
    this.#journal.write(batch)
  }

  /** A copy of everything, as a cloned profile has it (F2). */
  copyFrom(other: SimDisk): void {
    const { lineage, groups } = other.read()
    this.memory.incarnation = other.memory.incarnation
    this.overwrite({
      reset: true,
      ...(lineage && { lineage }),
      groups: [...groups].map(([group, { hardState, snapshot, entries }]) => ({
        group,
        hardState,
        entries,
        ...(snapshot && { installed: snapshot }),
      })),
    })
  }

  /** The writer is gone: of what was under way some of the first transactions took effect, the rest never will. */
  #interrupt(): void {
    const pending = this.#pending
    this.#pending = []
    this.#idleAt = 0
    const done = pending.slice(0, this.#prng.integer(0, pending.length))
    this.#world.coverage.hit('disk write finished after a crash', done.length)
    this.#world.coverage.hit('disk write lost in a crash', pending.length - done.length)
    for (const { commit } of done) commit()
  }
}

/** A database opened for one incarnation, on one thread. */
export class SimStorage implements Storage {
  readonly incarnation: Incarnation
  readonly stored: StoredState
  readonly #disk: SimDisk
  readonly #thread: Thread
  #failure: Error | null = null
  #onlost: (fault: StorageFault) => void = () => {}

  constructor(disk: SimDisk, thread: Thread, incarnation: Incarnation, stored: StoredState) {
    this.#disk = disk
    this.#thread = thread
    this.incarnation = incarnation
    this.stored = stored
  }

  write(batch: WriteBatch): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#failure) {
        reject(this.#failure)
        return
      }
      this.#disk.write(this.#thread, this.incarnation, batch, (error) => {
        this.#failure ??= error
        if (this.#failure) reject(this.#failure)
        else resolve()
      })
    })
  }

  setDurability(): void {}

  whenLost(tell: (fault: StorageFault) => void): void {
    this.#onlost = tell
  }

  /** The browser has deleted the database under its user. */
  lose(): void {
    const fault = new StorageFault('cleared', 'the database was deleted')
    this.#failure ??= fault
    this.#thread.post(0, 'database deleted', () => this.#onlost(fault))
  }

  close(): void {
    this.#failure ??= new Error('the storage is closed')
  }
}
