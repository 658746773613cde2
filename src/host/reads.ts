import type { ReadState } from '../raft/ready.js'
import type { Failure } from '../shared/failure.js'
import type { HostContext } from './context.js'
import { kickRound } from './leases.js'

interface Read {
  /** Null until a leader has confirmed it. */
  index: number | null
  /** The last command of this session that was submitted before the read: it must be seen (read your writes). */
  readonly after: () => boolean
  readonly serve: () => void
  readonly fail: (failure: Failure) => void
  /** Failed for want of a leader: to be asked again when there is one. */
  parked: boolean
}

/** Linearizable reads (R1): confirmed by a leader that surely is one, then served from this peer's own machine. */
export class Reads {
  readonly #context: HostContext
  readonly #reads = new Map<number, Read>()
  #lastId: number = kickRound

  constructor(context: HostContext) {
    this.#context = context
  }

  get pending(): number {
    return this.#reads.size
  }

  read(after: () => boolean, serve: () => void, fail: (failure: Failure) => void): void {
    this.#lastId += 1
    this.#reads.set(this.#lastId, { index: null, after, serve, fail, parked: false })
    this.#context.raft.read(this.#lastId)
  }

  confirmed(states: readonly ReadState[]): void {
    for (const { id, index } of states) {
      const read = this.#reads.get(id)
      if (!read) continue
      if (index === null) read.parked = true
      else read.index = index
    }
  }

  /** A leader is known: what failed for want of one is asked again. */
  leaderChanged(): void {
    for (const [id, read] of this.#reads) {
      if (!read.parked) continue
      read.parked = false
      this.#context.raft.read(id)
    }
  }

  /** Parked reads are asked again from time to time too: a reply may have been lost under the same leader. */
  tick(): void {
    if (this.#context.raft.leader !== null) this.leaderChanged()
  }

  /** Serves what the machine has caught up with. */
  serve(): void {
    const { appliedIndex } = this.#context.machine
    for (const [id, read] of this.#reads) {
      if (read.index === null || read.index > appliedIndex || !read.after()) continue
      this.#reads.delete(id)
      read.serve()
    }
  }

  fail(failure: Failure): void {
    const all = [...this.#reads.values()]
    this.#reads.clear()
    for (const read of all) read.fail(failure)
  }
}
