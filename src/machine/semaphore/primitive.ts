import * as v from 'valibot'
import { compareStrings } from '../../shared/codec.js'
import type { Primitive } from '../primitive.js'
import type { MachineState } from '../state.js'
import { applySemaphore, endPermits, expirePermits } from './apply.js'
import type { SemaphoreCommand } from './command.js'
import { compareRanks, freeOf, heldBy, isUnused, remember } from './queue.js'
import { savedSemaphoresSchema } from './schema.js'
import type { Semaphore } from './state.js'
import { semaphoresInUse } from './view.js'
import { semaphoreWaits } from './waits.js'

export const semaphorePrimitive: Primitive<SemaphoreCommand> = {
  apply: applySemaphore,
  sessionEnded: endPermits,
  sessionSilent: expirePermits,
  leases: (state, session) => heldBy(state.semaphores, session).map(({ held }) => held.lease),
  waits: (state) => semaphoresInUse(state).flatMap(semaphoreWaits),
  save: ({ semaphores: { byName, lastToken } }) =>
    byName.size === 0 && lastToken === 0
      ? undefined
      : { lastToken, semaphores: [...byName.values()].sort((a, b) => compareStrings(a.name, b.name)) },
  load: (state, saved) => {
    if (saved === undefined) return
    const { lastToken, semaphores } = v.parse(savedSemaphoresSchema, saved)
    state.semaphores.lastToken = lastToken
    for (const semaphore of semaphores) {
      check(state, semaphore)
      for (const request of [...semaphore.held, ...semaphore.queue]) remember(state.semaphores, semaphore.name, request)
      state.semaphores.byName.set(semaphore.name, semaphore)
    }
  },
}

/** Throws on what no sequence of commands comes to. */
function check({ sessions, semaphores }: MachineState, semaphore: Semaphore): void {
  const { size, declared, held, queue } = semaphore
  const [head] = queue
  if (isUnused(semaphore) && size === declared) throw new TypeError('a snapshot has a semaphore that nobody uses')
  if (head && head.count <= freeOf(semaphore)) throw new TypeError('a snapshot has a semaphore that nobody granted')
  if (queue.some(({ count }) => count > size)) throw new TypeError('a snapshot has a request that is too large')
  if (queue.some((one, i) => compareRanks(queue[i - 1] ?? one, one) > 0))
    throw new TypeError('a snapshot has a semaphore with its queue in disorder')
  if (held.some(({ token }, i) => token > semaphores.lastToken || token <= (held[i - 1]?.token ?? 0)))
    throw new TypeError('a snapshot has permits that were granted out of order')
  if ([...held, ...queue].some(({ session }) => !sessions.has(session)))
    throw new TypeError('a snapshot has a permit of no session')
}
