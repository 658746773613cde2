import type { Outcome } from '../outcome.js'
import { type Caller, type Context, limitExceeded, settingsOf } from '../state.js'
import { valueBytesMax } from '../store/command.js'
import { ownerMax, priorityMax } from '../waiting/limits.js'
import { deadlock, refuseDeadlock } from '../waiting/refusal.js'
import { addWaiting, changed, takeHeld, tellLost, touch } from './books.js'
import { type LockAcquire, lockNameMax } from './command.js'
import { grant, isCrowded, settle } from './grant.js'
import { supposed } from './hypothesis.js'
import { lockHoldersMax, lockHoldMax, lockLeaseMax, lockNamesMax } from './limits.js'
import { isGrantable, nodeOfClaim, ownShare, type Wanted } from './obstacles.js'
import { type Held, ownerOf, type Resource, scopeOf, type Waiting } from './state.js'
import { namesAround, territoriesMeet } from './territory.js'
import { lockWaits } from './waits.js'

/** What a request comes to, decided before anything changes. */
type Verdict =
  | { readonly type: 'refused'; readonly outcome: Outcome }
  | { readonly type: 'queued' }
  | { readonly type: 'granted'; readonly steals: readonly { readonly resource: Resource; readonly held: Held }[] }

/** A plain request is a general one that asks for nothing more: `isPlain`. A request that is refused changes nothing. */
export function request(context: Context, caller: Caller, command: LockAcquire, isPlain: boolean): Outcome {
  const refused = outOfBounds(command)
  if (refused) return refused
  const names = [...new Set(command.names)]
  const waiting = claim(context, caller, command, names, isPlain)
  const verdict = judge(context, command, names, waiting)
  switch (verdict.type) {
    case 'refused':
      return verdict.outcome
    case 'queued':
      for (const name of names) {
        addWaiting(context.state.locks, name, waiting)
        changed(context, name)
      }
      return { type: 'lock.queued' }
    case 'granted':
      return take(context, command, names, waiting, verdict.steals)
  }
}

function claim(
  { state, index }: Context,
  { session, number }: Caller,
  command: LockAcquire,
  names: readonly string[],
  isPlain: boolean,
): Waiting {
  const { mode, lease, attributes, owner, scope, priority, maxHold, lockDelay } = command
  return {
    ...{ session, request: number, mode, lease, attributes, requested: index, since: state.clusterTime },
    ...(!isPlain && { beyond: { owner, scope, priority, maxHold, lockDelay } }),
    ...(names.length > 1 && { names }),
  }
}

function take(
  context: Context,
  { steal }: LockAcquire,
  names: readonly string[],
  waiting: Waiting,
  steals: readonly { readonly resource: Resource; readonly held: Held }[],
): Outcome {
  const { locks } = context.state
  const touched = new Set<string>()
  for (const { resource, held } of steals) {
    touch(locks, touched, resource.name, held)
    takeHeld(context, resource, held, 'stolen')
    tellLost(context, resource.name, held, 'stolen')
  }
  const got = grant(context, names, waiting, !steal)
  // A stolen share may be compatible with those who wait, and its owner's other requests may be covered by it.
  if (ownerOf(waiting) !== null) for (const name of names) touch(locks, touched, name, waiting)
  settle(context, touched)
  return { type: 'lock.granted', ...got }
}

function judge(context: Context, command: LockAcquire, names: readonly string[], waiting: Waiting): Verdict {
  const { locks } = context.state
  const full = noRoomForNames(context, names)
  if (full) return { type: 'refused', outcome: full }
  const wanted: Wanted = { claim: waiting, names, mode: waiting.mode }
  // W3C: every holder loses it, and the thief is granted ahead of the queue.
  const steals = command.steal ? holdersAround(context, wanted) : []
  const isThere = command.steal || isGrantable(locks, wanted)
  if (!isThere && command.ifAvailable) return { type: 'refused', outcome: { type: 'lock.unavailable' } }
  const verdict: Verdict = isThere ? { type: 'granted', steals } : { type: 'queued' }
  const outcome =
    (isThere ? crowded(context, command, names) : queueFull(context, names)) ?? deadlocks(context, wanted, verdict)
  return outcome ? { type: 'refused', outcome } : verdict
}

/** Requests of Web Locks alone never wait in a circle: none has one thing and waits for another. */
function deadlocks(context: Context, wanted: Wanted, verdict: Verdict): Outcome | null {
  const { state } = context
  const { locks } = state
  const { claim } = wanted
  if (locks.uses.beyond === 0 && !claim.beyond) return null
  const share = verdict.type === 'queued' ? ownShare(locks, claim, wanted.names) : null
  if (share !== null) return deadlock(state, [{ session: claim.session, owner: ownerOf(claim), name: share }])
  const then = supposed(locks, wanted, verdict.type === 'granted' ? verdict.steals : null)
  return refuseDeadlock(state, [nodeOfClaim(claim)], [...lockWaits(then), ...context.waitsBeside(state, 'lock')])
}

/** Everything held that meets it, also what is the thief's own, in the order of the grants. */
function holdersAround({ state }: Context, { claim, names }: Wanted): { resource: Resource; held: Held }[] {
  const { locks } = state
  const scope = scopeOf(claim)
  const meets = (resource: Resource, held: Held) =>
    names.some((name) => territoriesMeet(resource.name, scopeOf(held), name, scope))
  const around = new Set(names.flatMap((name) => namesAround(locks, name, scope)))
  const found = [...around].flatMap((resource) =>
    resource.held.filter((held) => meets(resource, held)).map((held) => ({ resource, held })),
  )
  return found.sort((a, b) => a.held.granted - b.held.granted || a.held.place - b.held.place)
}

function outOfBounds(command: LockAcquire): Outcome | null {
  const { names, lease, attributes, owner, priority, maxHold, lockDelay } = command
  if (names.length === 0 || names.length > lockNamesMax)
    return limitExceeded('lockNames', lockNamesMax, `a request has 1 to ${lockNamesMax} names, got ${names.length}`)
  if (names.some((name) => name.length > lockNameMax))
    return limitExceeded('lockName', lockNameMax, `a lock name has at most ${lockNameMax} code units`)
  if (lease < 1 || lease > lockLeaseMax)
    return limitExceeded('lease', lockLeaseMax, `a lease is 1 to ${lockLeaseMax} ms, got ${lease}`)
  if (attributes && attributes.length > valueBytesMax)
    return limitExceeded('attributes', valueBytesMax, `attributes take at most ${valueBytesMax} bytes`)
  if (owner !== null && owner.length > ownerMax)
    return limitExceeded('owner', ownerMax, `an owner has at most ${ownerMax} code units`)
  if (Math.abs(priority) > priorityMax)
    return limitExceeded('priority', priorityMax, `a priority is -${priorityMax} to ${priorityMax}, got ${priority}`)
  if (maxHold !== null && (maxHold < 1 || maxHold > lockHoldMax))
    return limitExceeded('maxHold', lockHoldMax, `maxHold is 1 to ${lockHoldMax} ms, got ${maxHold}`)
  if (lockDelay < 0 || lockDelay > lease)
    return limitExceeded('lockDelay', lease, `a lock-delay is 0 to the lease, ${lease} ms, got ${lockDelay}`)
  return null
}

function noRoomForNames({ state }: Context, names: readonly string[]): Outcome | null {
  const { limits } = settingsOf(state)
  const { resources } = state.locks
  const more = names.filter((name) => !resources.has(name)).length
  if (more === 0 || resources.size + more <= limits.locks) return null
  return limitExceeded('locks', limits.locks, `the room uses ${limits.locks} lock names already`)
}

function queueFull({ state }: Context, names: readonly string[]): Outcome | null {
  const { lockQueue } = settingsOf(state).limits
  if (names.every((name) => (state.locks.resources.get(name)?.queue.length ?? 0) < lockQueue)) return null
  return limitExceeded('lockQueue', lockQueue, `${lockQueue} requests wait for this lock already`)
}

function crowded({ state }: Context, { steal }: LockAcquire, names: readonly string[]): Outcome | null {
  if (steal || !isCrowded(state.locks, names)) return null
  return limitExceeded('lockHolders', lockHoldersMax, `${lockHoldersMax} sessions share this lock already`)
}
