/**
 * Nodes of dead tabs of this browser, reopened from the disk that they left (L4): tabs that die together never cost the
 * room its quorum. A resident votes and replicates; it holds no session, and goes as soon as the room does without it.
 */
import { membersOf } from '../raft/configuration.js'
import type { Configuration, Incarnation, PeerId } from '../raft/entry.js'
import { lifeLockName, wantedLockName } from '../shared/life.js'
import type { Storage } from '../storage/storage.js'
import type { IdentityStore, LockService } from './browser.js'
import { Holding } from './holding.js'

export interface Resident {
  /** The committed configuration that its own log has come to, null while another is under way. */
  readonly configuration: Configuration | null
  /** Voters of that configuration, or of a newer one in its log, to whom it has no link. */
  readonly unreachableVoters: readonly PeerId[]
  /** It has stopped itself: its disk failed. */
  readonly isOver: boolean
  /** Its history has ended (N2, N3): settled when its disk is known to be an archive. */
  readonly archiving: Promise<void> | null
  stop(): void
}

export interface ResidentsOptions {
  readonly room: string
  readonly locks: LockService
  readonly identities: IdentityStore
  /** Both locks of that life were held: it is over (L2). */
  readonly onDead: (life: { readonly peerId: PeerId; readonly incarnation: Incarnation }) => void
  /** Starts a host on that disk. */
  readonly start: (peerId: PeerId, storage: Storage) => Resident
}

/** A leader with a quorum needs far fewer to remove somebody (each takes a look of the worker, 400 ms). */
const provenMax = 8

/** Whether those voters are so many that the room cannot elect anybody before one of them is reopened. */
export function isQuorumGone(voters: readonly PeerId[], unreachable: readonly PeerId[]): boolean {
  return voters.filter((peerId) => unreachable.includes(peerId)).length * 2 >= voters.length
}

interface Dead {
  readonly peerId: PeerId
  readonly incarnation: Incarnation
  /** Released unless the node is kept. */
  readonly locks: Holding
}

interface Kept {
  readonly resident: Resident
  readonly locks: Holding
}

export class Residents {
  readonly #options: ResidentsOptions
  readonly #kept = new Map<PeerId, Kept>()
  /** How often each one's death was told of, while the room went on counting on it. */
  readonly #proven = new Map<PeerId, number>()
  /** Their disks hold what this code cannot begin with: another tab's may (F5). */
  readonly #unfit = new Set<PeerId>()
  #failures: unknown[] = []
  #busy = false
  #closed = false

  constructor(options: ResidentsOptions) {
    this.#options = options
  }

  /**
   * The room has no leader: whoever of these voters died in this browser is taken in; null, when nobody knows who votes:
   * whoever died. One attempt at a time.
   */
  adopt(voters: readonly PeerId[] | null): Promise<void> {
    return this.#exclusively(async () => {
      const identities = await this.#options.identities.list()
      await this.#withDead(voters ?? identities.map(({ peerId }) => peerId), identities, (dead) => this.#takeIn(dead))
    })
  }

  /**
   * The room does without these voters for now: those that died in this browser, unseen by anyone, are told of. A leader that
   * was told again and again and still has them waits for their votes, without which no change of members can end: then
   * they are taken in as if there were no leader. Not those whose log is of a history that has ended (N2, N3): it is of no use
   * to this room, and nobody else can tell that they will not come back.
   */
  prove(voters: readonly PeerId[]): Promise<void> {
    for (const peerId of this.#proven.keys()) if (!voters.includes(peerId)) this.#proven.delete(peerId)
    return this.#exclusively(async () => {
      const { identities } = this.#options
      await this.#withDead(voters, await identities.list(), async (dead) => {
        const { peerId } = dead
        const times = (this.#proven.get(peerId) ?? 0) + 1
        this.#proven.set(peerId, times)
        return times > provenMax ? this.#takeIn(dead) : this.#tell(dead)
      })
      await this.#withDead(voters, await identities.archived(), async (dead) => this.#tell(dead))
    })
  }

  #tell({ peerId, incarnation }: Dead): 'done' {
    this.#options.onDead({ peerId, incarnation })
    return 'done'
  }

  async #takeIn(dead: Dead): Promise<'kept' | 'done'> {
    const { identities } = this.#options
    // N2, N3: its history may have ended since it was listed.
    if (!(await identities.list()).some(({ peerId }) => peerId === dead.peerId)) return 'done'
    const storage = await identities.open(dead.peerId).catch(() => null)
    // A disk that cannot be opened is a voter that stays away.
    if (!storage) return 'done'
    // Its new life is watched as any other: this tab may die in its turn.
    await dead.locks.take(lifeLockName(dead.peerId, storage.incarnation))
    const resident = this.#start(dead.peerId, storage)
    if (!resident) return 'done'
    this.#kept.set(dead.peerId, { resident, locks: dead.locks })
    // L2: the node lives on, and opens no session. That of the life before it, and its locks, are nobody else's to end.
    this.#tell(dead)
    return 'kept'
  }

  /** One that cannot be started keeps nobody from the others. */
  #start(peerId: PeerId, storage: Storage): Resident | null {
    try {
      return this.#options.start(peerId, storage)
    } catch (error) {
      storage.close()
      this.#unfit.add(peerId)
      this.#failures.push(error)
      return null
    }
  }

  /** Whom the residents miss: their logs may know of voters that this tab's own has never heard of. */
  get missing(): readonly PeerId[] {
    return [...this.#kept.values()].flatMap(({ resident }) => (resident.isOver ? [] : resident.unreachableVoters))
  }

  /**
   * Lets those go that the room has removed, those that stopped, which may be taken in again, and those that a tab would be
   * itself: it has a page, so it reaches other browsers, and a resident reaches no further than its own tab does.
   */
  review(): void {
    for (const [peerId, { resident }] of this.#kept) {
      void this.#yield(peerId).catch(() => {})
      if (resident.isOver) {
        this.release(peerId)
        continue
      }
      if (!resident.configuration) continue
      const members = membersOf(resident.configuration)
      if (members.length > 0 && !members.includes(peerId)) this.release(peerId)
    }
  }

  async #yield(peerId: PeerId): Promise<void> {
    const { room, locks } = this.#options
    const unwanted = await locks.hold(wantedLockName(room, peerId), { ifAvailable: true })
    if (unwanted) unwanted.release()
    else this.release(peerId)
  }

  /** Stops that resident, whatever the room thinks: its identity is free again. */
  release(peerId: PeerId): void {
    const kept = this.#kept.get(peerId)
    this.#kept.delete(peerId)
    if (!kept) return
    const unlock = () => kept.locks.release()
    kept.resident.stop()
    // N2, N3: nobody may take it for one of this room before it is known to be an archive.
    if (kept.resident.archiving) void kept.resident.archiving.finally(unlock).catch(() => {})
    else unlock()
  }

  close(): void {
    this.#closed = true
    for (const peerId of [...this.#kept.keys()]) this.release(peerId)
  }

  /** One attempt at a time. */
  async #exclusively(run: () => Promise<void>): Promise<void> {
    if (this.#busy || this.#closed) return
    this.#busy = true
    try {
      await run()
    } finally {
      this.#busy = false
    }
  }

  async #withDead(
    voters: readonly PeerId[],
    identities: readonly { readonly peerId: PeerId }[],
    use: (dead: Dead) => Promise<'kept' | 'done'>,
  ): Promise<void> {
    const known = new Set(identities.map(({ peerId }) => peerId))
    for (const peerId of voters)
      if (known.has(peerId) && !this.#kept.has(peerId) && !this.#unfit.has(peerId)) await this.#ifDead(peerId, use)
    const [failure] = this.#failures.splice(0)
    if (failure !== undefined) throw failure
  }

  /** Both locks, or nothing: one alone proves no death (L2). They stay held only if the node is kept. */
  async #ifDead(peerId: PeerId, use: (dead: Dead) => Promise<'kept' | 'done'>): Promise<void> {
    const { room, locks, identities } = this.#options
    const held = new Holding(locks)
    let outcome: 'kept' | 'done' = 'done'
    try {
      if (!(await held.takeIdentity(room, peerId))) return
      const incarnation = await identities.lastIncarnation(peerId)
      if (!incarnation || !(await held.take(lifeLockName(peerId, incarnation))) || this.#closed) return
      outcome = await use({ peerId, incarnation, locks: held })
    } finally {
      if (outcome === 'done') held.release()
    }
  }
}
