/** How a peer gets its identity and its room, before there is a host. */

import type { RoomSettings } from '../machine/command.js'
import { encodeInstruction } from '../machine/instruction.js'
import type { Entry, PeerId } from '../raft/entry.js'
import type { Clock } from '../shared/instant.js'
import { foundingLockName, identityLockName, lifeLockName } from '../shared/life.js'
import type { Lineage, Storage, StoredGroup, StoredState } from '../storage/storage.js'
import type { HeldLock, IdentityStore, LockService, Registrar } from './browser.js'
import { HostFailure } from './host-failure.js'

/** A reload waits this long for its own identity, which the page before it may still be letting go (L1), ms. */
const reclaimWithin = 1_000
/** ... and for the life lock of an identity that seems free: another tab may be looking at it this very moment. */
const otherWithin = 100
/** Tokens of one founding: about a million grants a second before the next second's base (T1). */
const tokensPerSecond = 2 ** 20

/** What a room begins with: who is in it, and what it was founded with. */
const foundingEntries = 2

export interface Claim {
  readonly peerId: PeerId
  readonly storage: Storage
  /** The identity lock (L1). */
  readonly lock: HeldLock
}

export interface BootOptions {
  readonly room: string
  readonly locks: LockService
  readonly identities: IdentityStore
  readonly clock: Clock
}

/** L1: the identity that this tab had before, else the newest that is free, else a new one. */
export async function claimIdentity(
  { room, locks, identities, clock }: BootOptions,
  preferred: PeerId | null,
): Promise<Claim> {
  const known = await identities.list()
  if (preferred !== null && known.some(({ peerId }) => peerId === preferred)) {
    const lock = await holdWithin(locks, identityLockName(room, preferred), clock, reclaimWithin)
    const claim = lock && (await openIfOver({ locks, identities, clock }, preferred, lock, reclaimWithin))
    if (claim) return claim
  }
  for (const { peerId } of known) {
    if (peerId === preferred) continue
    const lock = await locks.hold(identityLockName(room, peerId), { ifAvailable: true })
    const claim = lock && (await openIfOver({ locks, identities, clock }, peerId, lock, otherWithin))
    if (claim) return claim
  }
  while (true) {
    const { peerId } = await identities.create()
    // Another tab that looks for a free one may see it first: then it has it, and this one makes the next.
    const lock = await locks.hold(identityLockName(room, peerId), { ifAvailable: true })
    if (lock) return open(identities, peerId, lock)
  }
}

/**
 * L2: a free identity proves nothing, since a worker can die under a living page, which still believes what it holds: a new
 * life would end that page's session at once. Only when the page of the last life is gone too is the identity taken.
 */
async function openIfOver(
  { locks, identities, clock }: Pick<BootOptions, 'locks' | 'identities' | 'clock'>,
  peerId: PeerId,
  lock: HeldLock,
  within: number,
): Promise<Claim | null> {
  const last = await identities.lastIncarnation(peerId)
  // A database that has seen no life, of an identity that was there before: it was lost, with all that this voter had
  // promised (B13). Its lives would be counted from one again, and after a few of them the room would believe it.
  const lifeLock = last && (await holdWithin(locks, lifeLockName(peerId, last), clock, within))
  if (!lifeLock) {
    lock.release()
    return null
  }
  try {
    return await open(identities, peerId, lock)
  } finally {
    lifeLock.release()
  }
}

/** Waits for a lock no longer than that; null if it did not come. */
export async function holdWithin(locks: LockService, name: string, clock: Clock, ms: number): Promise<HeldLock | null> {
  const controller = new AbortController()
  const timer = clock.after(ms, () => controller.abort())
  try {
    return await locks.hold(name, { signal: controller.signal })
  } catch (error) {
    if (controller.signal.aborted) return null
    throw error
  } finally {
    timer.cancel()
  }
}

async function open(identities: IdentityStore, peerId: PeerId, lock: HeldLock): Promise<Claim> {
  try {
    return { peerId, lock, storage: await identities.open(peerId) }
  } catch (error) {
    lock.release()
    throw error
  }
}

export interface Settled {
  readonly stored: StoredState
  /** The room to look for when this peer is not in it yet. */
  readonly expectedRoomId: string | null
}

export interface SettleOptions extends BootOptions {
  readonly registrar: Registrar | null
  /** What the room gets if this peer founds it. */
  readonly settings: RoomSettings
  readonly randomText: () => string
}

/**
 * N1: a peer that carries the room goes on with it; else the first in this browser (by lock) and the first at the
 * signaling servers (by compare-and-set) founds it: written locally, then registered, and only then acknowledged.
 */
export async function settleRoom(claim: Claim, options: SettleOptions): Promise<Settled> {
  const { stored } = claim.storage
  const { room, locks, identities, registrar } = options
  const founding = await locks.hold(foundingLockName(room))
  try {
    const known = await identities.roomId()
    if (stored.lineage) return await goOn(claim, stored.lineage, known, options)
    // What is only heard of is not noted: this browser knows a room once it has a copy of it.
    const registered = known ?? (await registrar?.lookUp()) ?? null
    return registered === null ? await found(claim, options) : { stored, expectedRoomId: registered }
  } finally {
    founding?.release()
  }
}

/** A founding that crashed before this browser noted it was never acknowledged: it yields to the one that was. */
async function goOn(
  claim: Claim,
  lineage: Lineage,
  known: string | null,
  { identities, registrar }: SettleOptions,
): Promise<Settled> {
  // Not noted: whoever founded it may have died before it was registered, and somebody else have founded the room since.
  const winner = known ?? (await registrar?.register(lineage.roomId, false)) ?? lineage.roomId
  if (winner !== lineage.roomId) {
    if (!isMereFounding(claim)) throw foreignLog(lineage.roomId, winner)
    return giveUp(claim, winner)
  }
  if (known === null) await identities.setRoomId(lineage.roomId)
  // The servers may have restarted and forgotten the room; nothing here waits for them.
  else void registrar?.register(lineage.roomId, true).catch(() => {})
  return { stored: claim.storage.stored, expectedRoomId: lineage.roomId }
}

async function found(
  claim: Claim,
  { registrar, identities, settings, randomText, clock }: SettleOptions,
): Promise<Settled> {
  const roomId = randomText()
  const lineage = { roomId, epoch: 0, forkId: '' }
  const group = foundingGroup(claim, roomId, settings, Math.floor(clock.now().wall / 1000))
  await claim.storage.write({ lineage, groups: [{ group: 0, hardState: group.hardState, entries: group.entries }] })
  const winner = registrar ? await registrar.register(roomId, false) : roomId
  if (winner === roomId) {
    await identities.setRoomId(roomId)
    return { stored: { lineage, groups: new Map([[0, group]]) }, expectedRoomId: roomId }
  }
  return giveUp(claim, winner)
}

/** Only a founding that nobody was told of may be forgotten: its founder has done nothing else yet. */
function isMereFounding({ storage }: Claim): boolean {
  const group = storage.stored.groups.get(0)
  return !group || (group.snapshot === null && group.entries.length <= foundingEntries)
}

function foreignLog(roomId: string, winner: string): HostFailure {
  const message = `the log of this identity is that of the room ${roomId}, and this browser's room is ${winner}`
  return new HostFailure({ code: 'storage', message })
}

/** Forgets the room that was founded here and nobody was told of. */
async function giveUp({ storage }: Claim, winner: string): Promise<Settled> {
  await storage.write({ reset: true, groups: [] })
  return { stored: { lineage: null, groups: new Map() }, expectedRoomId: winner }
}

/** The first two entries of a room: who is in it, and what it was founded with. Committed, since its founder is all of it. */
function foundingGroup(
  { peerId, storage }: Claim,
  roomId: string,
  settings: RoomSettings,
  seconds: number,
): StoredGroup {
  const configuration = {
    voters: [peerId],
    outgoing: [],
    learners: [],
    learnersNext: [],
    incarnations: { [peerId]: storage.incarnation },
  }
  const data = encodeInstruction({ type: 'found', roomId, tokenBase: seconds * tokensPerSecond, settings })
  const entries: Entry[] = [
    { term: 1, index: 1, time: 0, type: 'configuration', configuration },
    { term: 1, index: 2, time: 0, type: 'command', data },
  ]
  return { hardState: { term: 1, votedFor: null, promisedTo: null, commitIndex: 2 }, snapshot: null, entries }
}
