import * as v from 'valibot'
import { compareStrings } from '../../shared/codec.js'
import type { Primitive } from '../primitive.js'
import { applyLock, endLocks, expireLocks } from './apply.js'
import type { LockCommand } from './command.js'
import { heldBy, isGrantable, remember } from './queue.js'
import { savedLocksSchema } from './schema.js'

export const lockPrimitive: Primitive<LockCommand> = {
  apply: applyLock,
  sessionEnded: endLocks,
  sessionSilent: expireLocks,
  leases: (state, session) => heldBy(state.locks, session).map(({ held }) => held.lease),
  save: (state) => [...state.locks.resources.values()].sort((a, b) => compareStrings(a.name, b.name)),
  load: (state, saved) => {
    for (const resource of v.parse(savedLocksSchema, saved)) {
      const { name, held, queue } = resource
      const [head] = queue
      if (held.length + queue.length === 0) throw new TypeError('a snapshot has a lock that nobody uses')
      if (head && isGrantable(resource, head.mode, 0)) throw new TypeError('a snapshot has a lock that nobody granted')
      if (held.length > 1 && held.some((one) => one.mode === 'exclusive')) {
        throw new TypeError('a snapshot has an exclusive lock with two holders')
      }
      if ((resource.share !== null) !== (held[0]?.mode === 'shared')) {
        throw new TypeError('a snapshot has a share that nobody holds')
      }
      for (const request of [...held, ...queue]) {
        if (!state.sessions.has(request.session)) throw new TypeError('a snapshot has a lock of no session')
        remember(state.locks, name, request)
      }
      state.locks.resources.set(name, resource)
    }
  },
}
