/** Where a peer's identity and log are kept: on the browser's disk, or in memory where that is asked for or nothing else can be had. */
import { type Claim, claimIdentity } from '../host/boot.js'
import type { IdentityStore } from '../host/browser.js'
import type { Attic } from '../host/tidying.js'
import { type StorageFault, storageFaultOf } from '../shared/storage-fault.js'
import { systemClock } from '../shared/system-clock.js'
import { Identities, randomText } from '../storage/identities.js'
import { type KnownOfBrowser, MemoryIdentities } from '../storage/memory-identities.js'
import type { ClaimRequest } from './protocol.js'
import type { BrowserLocks } from './worker-locks.js'

/** The browser's id where it cannot be stored: in the name of a lock, which every such tab holds or waits for. */
const browserLockPrefix = 'comity:browser:'

export interface Kept {
  readonly claim: Claim
  readonly identities: IdentityStore & { whenLost(tell: (fault: StorageFault) => void): void; close(): void }
  readonly browserId: string
  readonly storage: 'indexeddb' | 'memory'
  /** Null where nothing is kept that could be forgotten. */
  readonly attic: Attic | null
}

/** Rejects with a `StorageFault` where there is a disk that cannot be used now: a reload, or free space, may help. */
export async function claim(request: ClaimRequest, locks: BrowserLocks): Promise<Kept> {
  if (request.storage === 'memory') return claimInMemory(request.room, locks)
  try {
    return await claimOnDisk(request, locks)
  } catch (error) {
    // Private mode: there is nothing that could be read again later either, so nothing is forgotten by going on without.
    if (storageFaultOf(error).reason !== 'unavailable') throw error
    return claimInMemory(request.room, locks)
  }
}

async function claimOnDisk({ room, preferred }: ClaimRequest, locks: BrowserLocks): Promise<Kept> {
  const identities = await Identities.openRegistry(room)
  try {
    const browserId = await identities.browserId()
    const claim = await claimIdentity({ room, locks, identities, clock: systemClock }, preferred)
    return { claim, identities, browserId, storage: 'indexeddb', attic: identities }
  } catch (error) {
    identities.close()
    throw error
  }
}

async function claimInMemory(room: string, locks: BrowserLocks): Promise<Kept> {
  const known = (await knownOnDisk(room)) ?? { browserId: await browserIdByLock(locks), roomId: null }
  const identities = new MemoryIdentities(known)
  const claim = await claimIdentity({ room, locks, identities, clock: systemClock }, null)
  return { claim, identities, browserId: known.browserId, storage: 'memory', attic: null }
}

/** N1: a browser that carries the room does not found it again, whatever this tab keeps of it. Null where nothing is stored. */
async function knownOnDisk(room: string): Promise<KnownOfBrowser | null> {
  try {
    const identities = await Identities.openRegistry(room)
    try {
      return { browserId: await identities.browserId(), roomId: await identities.roomId() }
    } finally {
      identities.close()
    }
  } catch {
    return null
  }
}

async function browserIdByLock(locks: BrowserLocks): Promise<string> {
  const turn = await locks.hold('comity:browser')
  try {
    const names = await locks.heldNames()
    const known = names.find((name) => name.startsWith(browserLockPrefix))
    const id = known?.slice(browserLockPrefix.length) ?? randomText()
    // For as long as this worker lives; granted when those before it are gone.
    void locks.hold(browserLockPrefix + id)
    return id
  } finally {
    turn?.release()
  }
}
