/**
 * Nodes of dead tabs of this browser, reopened from the disk that they left (L4): tabs that die together never cost the
 * room its quorum. A resident votes and replicates; it holds no session, and goes as soon as the room does without it.
 */
import type { Configuration, PeerId } from '../raft/entry.js'
import { identityLockName, lifeLockName } from '../shared/life.js'
import type { Storage } from '../storage/storage.js'
import type { HeldLock, IdentityStore, LockService } from './browser.js'

export interface Resident {
  /** The configuration that its own log has come to. */
  readonly configuration: Configuration
  stop(): void
}

export interface ResidentsOptions {
  readonly room: string
  readonly locks: LockService
  readonly identities: IdentityStore
  /** Starts a host on that disk. */
  readonly start: (peerId: PeerId, storage: Storage) => Resident
}

interface Kept {
  readonly resident: Resident
  readonly locks: readonly HeldLock[]
}

export class Residents {
  readonly #options: ResidentsOptions
  readonly #kept = new Map<PeerId, Kept>()
  #busy = false
  #closed = false

  constructor(options: ResidentsOptions) {
    this.#options = options
  }

  /** The room has no leader: whoever of these voters died in this browser is taken in. One attempt at a time. */
  async adopt(voters: readonly PeerId[]): Promise<void> {
    if (this.#busy || this.#closed) return
    this.#busy = true
    try {
      const known = new Set((await this.#options.identities.list()).map(({ peerId }) => peerId))
      for (const peerId of voters) if (known.has(peerId) && !this.#kept.has(peerId)) await this.#tryToAdopt(peerId)
    } finally {
      this.#busy = false
    }
  }

  /** Lets those go that the room has removed. */
  review(): void {
    for (const [peerId, { resident }] of this.#kept) {
      const { voters, outgoing, learners } = resident.configuration
      if (voters.length > 0 && ![...voters, ...outgoing, ...learners].includes(peerId)) this.release(peerId)
    }
  }

  /** Stops that resident, whatever the room thinks: its identity is free again. */
  release(peerId: PeerId): void {
    const kept = this.#kept.get(peerId)
    this.#kept.delete(peerId)
    kept?.resident.stop()
    for (const lock of kept?.locks ?? []) lock.release()
  }

  close(): void {
    this.#closed = true
    for (const peerId of [...this.#kept.keys()]) this.release(peerId)
  }

  /** Both locks, or nothing: one alone proves no death (L2). */
  async #tryToAdopt(peerId: PeerId): Promise<void> {
    const { room, locks, identities, start } = this.#options
    const identityLock = await locks.hold(identityLockName(room, peerId), { ifAvailable: true })
    if (!identityLock) return
    const last = await identities.lastIncarnation(peerId)
    const lifeLock = last ? await locks.hold(lifeLockName(peerId, last), { ifAvailable: true }) : null
    if (!last || !lifeLock || this.#closed) {
      lifeLock?.release()
      identityLock.release()
      return
    }
    try {
      const storage = await identities.open(peerId)
      this.#kept.set(peerId, { resident: start(peerId, storage), locks: [identityLock, lifeLock] })
    } catch {
      // A disk that cannot be opened is a voter that stays away.
      lifeLock.release()
      identityLock.release()
    }
  }
}
