import * as v from 'valibot'
import { compareStrings } from '../../shared/codec.js'
import type { MachineState } from '../state.js'
import { addHeld, addWaiting, isFirst, resourceOf, setDelays } from './books.js'
import { isGrantable, obstacles, wants, wantsUpgrade } from './obstacles.js'
import { savedLocksSchema } from './schema.js'
import { type LocksState, namesOf, type Resource } from './state.js'

/** Sorted by name; a request that waits for several names comes once. */
export function saveLocks({ resources }: LocksState): unknown {
  return [...resources.values()]
    .sort((a, b) => compareStrings(a.name, b.name))
    .map((resource) => ({ ...resource, queue: resource.queue.filter((waiting) => isFirst(resource.name, waiting)) }))
}

export function loadLocks(state: MachineState, saved: unknown): void {
  const { locks } = state
  for (const { name, share, held, queue, delays } of v.parse(savedLocksSchema, saved)) {
    const resource = resourceOf(locks, name)
    for (const request of [...held, ...queue])
      if (!state.sessions.has(request.session)) throw new TypeError('a snapshot has a lock of no session')
    for (const one of held) addHeld(locks, resource, one)
    // Whichever token the share has, it is not to be guessed from those who are left.
    if ((share !== null) !== (resource.share !== null)) throw new TypeError('a snapshot has a share that nobody holds')
    resource.share = share
    for (const waiting of queue) for (const one of namesOf(name, waiting)) addWaiting(locks, one, waiting)
    if (delays) setDelays(locks, resource, delays)
  }
  for (const resource of locks.resources.values()) check(locks, resource)
}

function check(locks: LocksState, resource: Resource): void {
  const { name, held, queue, delays } = resource
  if (held.length + queue.length === 0 && !delays) throw new TypeError('a snapshot has a lock that nobody uses')
  const canGo = [
    ...held.flatMap((one) => (one.upgrade ? [wantsUpgrade(name, one, one.upgrade.requested)] : [])),
    ...queue.map((waiting) => wants(name, waiting)),
  ]
  if (canGo.some((wanted) => isGrantable(locks, wanted)))
    throw new TypeError('a snapshot has a lock that nobody granted')
  if (new Set(held.map(({ session, request }) => `${session} ${request}`)).size < held.length)
    throw new TypeError('a snapshot has one request among two holders')
  for (const one of held) {
    // A share alone meets nobody but those who would have an exclusive one, and they are asked as well.
    if (one.mode === 'shared') continue
    for (const { state } of obstacles(locks, { claim: one, names: [name], mode: one.mode, upgrade: 0 }))
      if (state === 'held') throw new TypeError('a snapshot has an exclusive lock with two holders')
  }
}
