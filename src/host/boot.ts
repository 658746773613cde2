/** How a peer gets its identity and its room, before there is a host. */

import type { Instruction, RoomSettings } from '../machine/command.js'
import { encodeInstruction, tokensPerSecond } from '../machine/instruction.js'
import type { Entry, PeerId } from '../raft/entry.js'
import type { Clock } from '../shared/instant.js'
import {
  foundingLockName,
  identityLockName,
  keptLockName,
  lifeLockName,
  memoryRoomLockName,
  wantedLockName,
} from '../shared/life.js'
import type { Lineage, Storage, StoredGroup, StoredState } from '../storage/storage.js'
import type { HeldLock, IdentityStore, LockService, Registrar } from './browser.js'
import { Holding, holdWithin } from './holding.js'
import type { Successor } from './page.js'

/** A reload waits this long for its own identity, which the page before it may still be letting go (L1), ms. */
const reclaimWithin = 1_000
/** ... and for the life lock of an identity that seems free: another tab may be looking at it this very moment. */
const otherWithin = 100

/** Of the entries that a room is founded with. Whatever is written later has a higher one, since somebody was elected. */
const foundingTerm = 1

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

/** L1: the identity that this tab had before, else one that another tab carries on, else the newest that is free, else a new one. */
export async function claimIdentity(options: BootOptions, preferred: PeerId | null): Promise<Claim> {
  const { room, locks, identities, clock } = options
  const known = await identities.list()
  if (preferred !== null && known.some(({ peerId }) => peerId === preferred)) {
    const lock = await holdWithin(locks, identityLockName(room, preferred), clock, reclaimWithin)
    const claim = lock && (await openIfOver({ locks, identities, clock }, preferred, lock, reclaimWithin))
    if (claim) return claim
  }
  for (const { peerId } of known) {
    const claim = await claimKnown(options, peerId, false)
    if (claim) return claim
  }
  for (const { peerId } of known) {
    if (peerId === preferred) continue
    const claim = await claimKnown(options, peerId, true)
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
 * L4: a node that another tab carries on is one that the room needs. A tab of its own serves it better: two that are carried on in
 * two browsers do not reach each other, and a room that needs both would never be ready again. Others only if `orFree`.
 */
async function claimKnown(options: BootOptions, peerId: PeerId, orFree: boolean): Promise<Claim | null> {
  const { room, locks, clock } = options
  const asked = new Holding(locks)
  try {
    // Others hold it while they ask here, and whoever carries the node on for a moment.
    if (!(await asked.take(wantedLockName(room, peerId), { clock, ms: otherWithin }))) return null
    const kept = keptLockName(room, peerId)
    const isFree = await asked.take(kept)
    if (isFree && !orFree) return null
    if (!isFree && !(await asked.take(kept, { clock, ms: reclaimWithin }))) return null
    // L1: while it holds the kept lock nobody looks whether that tab is dead. Who has the identity now is a tab that lives.
    const lock = await locks.hold(identityLockName(room, peerId), { ifAvailable: true })
    asked.release()
    return lock && (await openIfOver(options, peerId, lock, isFree ? otherWithin : reclaimWithin))
  } finally {
    asked.release()
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
    // N2, N3: its history may have ended since it was listed. Its locks were freed after it was archived.
    if ((await identities.list()).some((known) => known.peerId === peerId)) return await open(identities, peerId, lock)
    lock.release()
    return null
  } finally {
    lifeLock.release()
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
  /** Says that this browser has the room, for as long as this peer carries it in its memory alone (N1). */
  readonly carrier: HeldLock | null
}

export interface SettleOptions extends BootOptions {
  readonly registrar: Registrar | null
  /** What the room gets if this peer founds it. */
  readonly settings: RoomSettings
  /** F5: the version of the machine that a room has if this peer founds it. */
  readonly machineVersion: number
  readonly randomText: () => string
  /** The claim's log ends with its tab. */
  readonly inMemory: boolean
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
    return registered === null
      ? await foundUnlessCarried(claim, options)
      : { stored, expectedRoomId: registered, carrier: null }
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
  if (winner !== lineage.roomId && isUntold(claim.storage.stored)) return giveUp(claim, winner)
  if (known === null) await identities.setRoomId(winner)
  // The servers may have restarted and forgotten the room; nothing here waits for them.
  if (known !== null) void registrar?.register(lineage.roomId, true).catch(() => {})
  return { stored: claim.storage.stored, expectedRoomId: lineage.roomId, carrier: null }
}

/** It never got beyond its founding. A room that did has something to lose, and ends only when it meets the other one (N2). */
function isUntold({ lineage, groups }: StoredState): boolean {
  const group = groups.get(0)
  return lineage?.epoch === 0 && !group?.snapshot && (group?.entries ?? []).every(({ term }) => term === foundingTerm)
}

/** N1: a room that lives in the memory of other tabs alone stands on no disk, and is found by meeting one of them. */
async function foundUnlessCarried(claim: Claim, options: SettleOptions): Promise<Settled> {
  const { locks, room, inMemory } = options
  const carrier = await locks.hold(memoryRoomLockName(room), { ifAvailable: true })
  if (!carrier) return { stored: claim.storage.stored, expectedRoomId: null, carrier: null }
  let settled: Settled | null = null
  try {
    settled = await found(claim, options)
  } finally {
    if (!inMemory || !settled?.stored.lineage) carrier.release()
  }
  return inMemory && settled.stored.lineage ? { ...settled, carrier } : settled
}

async function found(claim: Claim, options: SettleOptions): Promise<Settled> {
  const { registrar, identities, randomText } = options
  const roomId = randomText()
  const lineage = { roomId, epoch: 0, forkId: '' }
  const group = foundingGroup(claim, roomId, options)
  await claim.storage.write({ lineage, groups: [{ group: 0, hardState: group.hardState, entries: group.entries }] })
  const winner = registrar ? await registrar.register(roomId, false) : roomId
  if (winner === roomId) {
    await identities.setRoomId(roomId)
    return { stored: { lineage, groups: new Map([[0, group]]) }, expectedRoomId: roomId, carrier: null }
  }
  return giveUp(claim, winner)
}

/** Forgets the room that was founded here and nobody was told of. */
async function giveUp({ storage }: Claim, winner: string): Promise<Settled> {
  await storage.write({ reset: true, groups: [] })
  return { stored: { lineage: null, groups: new Map() }, expectedRoomId: winner, carrier: null }
}

/**
 * The first entries of a room: who is in it, what it was founded with, and that its machine is as new as the founder's code (F5).
 * Committed, since its founder is all of it.
 */
function foundingGroup(
  { peerId, storage }: Claim,
  roomId: string,
  { settings: chosen, inMemory, clock, machineVersion }: SettleOptions,
): StoredGroup {
  const configuration = {
    voters: [peerId],
    outgoing: [],
    learners: [],
    learnersNext: [],
    incarnations: { [peerId]: storage.incarnation },
  }
  const settings: RoomSettings = inMemory ? { ...chosen, storage: 'memory' } : chosen
  const tokenBase = Math.floor(clock.now().wall / 1000) * tokensPerSecond
  const instructions: Instruction[] = [{ type: 'found', roomId, tokenBase, settings }]
  if (machineVersion > 1) instructions.push({ type: 'raise', version: machineVersion })
  const commands = instructions.map(
    (instruction, i): Entry => ({
      term: foundingTerm,
      index: i + 2,
      time: 0,
      type: 'command',
      data: encodeInstruction(instruction),
    }),
  )
  const first: Entry = { term: foundingTerm, index: 1, time: 0, type: 'configuration', configuration }
  const entries = [first, ...commands]
  const hardState = { term: foundingTerm, votedFor: null, promisedTo: null, commitIndex: entries.length }
  return { hardState, snapshot: null, entries }
}

/**
 * N2, N3, B13: that identity's history has ended in this browser, which goes on in the successor's room. It is never claimed again. Rejects with
 * what the registry fails with: then it comes back as the one that it was, and meets the other history again.
 */
export async function leaveHistory(
  { room, locks, identities }: Pick<BootOptions, 'room' | 'locks' | 'identities'>,
  peerId: PeerId,
  { roomId, tokenFloor }: Successor,
): Promise<void> {
  await identities.archive(peerId, tokenFloor)
  await knowRoom({ room, locks, identities }, roomId)
}

/** From now on this browser goes by that id: the room of that name went on in it, or was founded anew. */
export async function knowRoom(
  { room, locks, identities }: Pick<BootOptions, 'room' | 'locks' | 'identities'>,
  roomId: string,
): Promise<void> {
  const founding = await locks.hold(foundingLockName(room))
  try {
    await identities.setRoomId(roomId)
  } finally {
    founding?.release()
  }
}
