import type { Primitive } from '../primitive.js'
import { applyLock } from './apply.js'
import { heldBy } from './books.js'
import type { LockCommand } from './command.js'
import { endLocks, expireLocks, fireLocks, nextDue } from './ending.js'
import { loadLocks, saveLocks } from './saved.js'
import { lockWaits } from './waits.js'

export const lockPrimitive: Primitive<LockCommand> = {
  apply: applyLock,
  sessionEnded: endLocks,
  sessionSilent: expireLocks,
  leases: (state, session) => heldBy(state.locks, session).map(({ held }) => held.lease),
  save: ({ locks }) => saveLocks(locks),
  load: loadLocks,
  nextDeadline: nextDue,
  fire: fireLocks,
  waits: ({ locks }) => lockWaits(locks),
}
