/**
 * Identities that nobody needs any more are forgotten, with their databases: tabs that are reopened while their own are taken make new
 * ones, and a browser would keep them for ever. Never one that votes, or may vote as far as anybody could know.
 */
import { isJoint, membersOf } from '../raft/configuration.js'
import type { Incarnation, PeerId } from '../raft/entry.js'
import type { Status } from '../raft/ready.js'
import type { Clock } from '../shared/instant.js'
import { lifeLockName } from '../shared/life.js'
import type { Lineage } from '../storage/storage.js'
import type { LockService } from './browser.js'
import { Holding } from './holding.js'

/** What an identity's database holds, as far as it tells whether anybody may need it. */
export interface Remains {
  /** Of its last life, null if it never had one. */
  readonly incarnation: Incarnation | null
  /** Null if it never was in the room. */
  readonly lineage: Lineage | null
  /** Of the last entry of its log, 0 if there is none. */
  readonly lastIndex: number
}

/** The identities of one room in one browser, as who tidies up has them. */
export interface Attic {
  /** Without those that are archived. `lastUsed`: when it was claimed last, ms of wall time. */
  list(): Promise<readonly { readonly peerId: PeerId; readonly lastUsed: number }[]>
  /** Only under its identity lock. */
  remains(peerId: PeerId): Promise<Remains>
  /** Nothing is left of it. Only under both of its locks (L2). */
  remove(peerId: PeerId): Promise<void>
}

export interface TidyingOptions {
  readonly room: string
  readonly self: PeerId
  readonly locks: LockService
  readonly attic: Attic
  readonly clock: Clock
}

/** This peer's own node. */
interface Node {
  readonly lineage: Lineage | null
  readonly status: Pick<Status, 'leader' | 'configuration' | 'configurationIndex' | 'commitIndex'>
}

/** A room that has been well for so long is worth a look, and then every so often, ms. */
const lookEvery = 600_000
/** What was used since then may be wanted back, however many there are: a tab is closed and opened again, ms. */
const sparedFor = 600_000
/** So many are kept for tabs to come. */
const keptMax = 8
/** ... unless nobody has used them for so long, ms. */
const unusedFor = 30 * 24 * 3_600_000

export class Tidying {
  readonly #options: TidyingOptions
  #dueAt: number | null = null

  constructor(options: TidyingOptions) {
    this.#options = options
  }

  /** To be called now and then; looks seldom. Resolves with those that it has forgotten. */
  async look(node: Node): Promise<readonly PeerId[]> {
    const now = this.#options.clock.now().monotonic
    if (!this.#isInOrder(node)) {
      this.#dueAt = null
      return []
    }
    this.#dueAt ??= now + lookEvery
    if (now < this.#dueAt) return []
    this.#dueAt = now + lookEvery
    const forgotten: PeerId[] = []
    for (const peerId of await this.#spare(node)) if (await this.#forget(peerId, node)) forgotten.push(peerId)
    return forgotten
  }

  /** Only a member of a room that has a leader knows who does not belong to it, and only once that is agreed. */
  #isInOrder({ lineage, status }: Node): boolean {
    const { leader, configuration, configurationIndex, commitIndex } = status
    if (lineage === null || leader === null || isJoint(configuration) || configurationIndex > commitIndex) return false
    return membersOf(configuration).includes(this.#options.self)
  }

  async #spare({ status }: Node): Promise<PeerId[]> {
    const { attic, clock, self } = this.#options
    const { wall } = clock.now()
    const members = membersOf(status.configuration)
    const spare = (await attic.list()).filter(({ peerId }) => peerId !== self && !members.includes(peerId))
    const newestFirst = [...spare].sort((a, b) => b.lastUsed - a.lastUsed)
    return newestFirst
      .filter(({ lastUsed }, i) => wall - lastUsed > (i < keptMax ? unusedFor : sparedFor))
      .map(({ peerId }) => peerId)
  }

  /** L2: under both locks of its last life, or not at all. */
  async #forget(peerId: PeerId, node: Node): Promise<boolean> {
    const { room, locks, attic } = this.#options
    const held = new Holding(locks)
    try {
      if (!(await held.takeIdentity(room, peerId))) return false
      const remains = await attic.remains(peerId)
      const { incarnation } = remains
      if (incarnation && !(await held.take(lifeLockName(peerId, incarnation)))) return false
      if (!isSuperseded(remains, node)) return false
      await attic.remove(peerId)
      return true
    } finally {
      held.release()
    }
  }
}

/**
 * The history that it was in is this node's own, which has come at least as far and does without it. Of another history, or of a later part of
 * this one, it may be the voter that somebody waits for, or the only copy.
 */
function isSuperseded({ lineage, lastIndex }: Remains, node: Node): boolean {
  if (lineage === null) return lastIndex === 0
  const own = node.lineage
  const isSame = own?.roomId === lineage.roomId && own.epoch === lineage.epoch && own.forkId === lineage.forkId
  return isSame && lastIndex <= node.status.commitIndex
}
