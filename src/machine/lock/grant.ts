import { compareStrings } from '../../shared/codec.js'
import type { Grant } from '../outcome.js'
import type { Context } from '../state.js'
import { addHeld, changed, dropUnused, endOf, replaceHeld, resourceOf, shown, takeWaiting, touch } from './books.js'
import { lockHoldersMax } from './limits.js'
import { coverOf, isGrantable, wants, wantsUpgrade } from './obstacles.js'
import { type Held, type LocksState, namesOf, ownerOf, type Resource, type Waiting } from './state.js'
import { tokenOf } from './token.js'

/**
 * T1: a token of this entry's; where its owner is already, that hold's own. Nobody keeps by coming in again what he would lose: it ends no later than
 * the holds that let him in, and what is asked back of these is asked back of it.
 */
export function grant(context: Context, names: readonly string[], waiting: Waiting, reenters: boolean): Grant {
  const { state, index } = context
  const since = state.clusterTime
  const { names: _, ...claim } = waiting
  const covers = names.map((name) => (reenters ? coverOf(state.locks, waiting, name) : null))
  const endsAt = endOfGrant(context, waiting, covers)
  const tokens = names.map((name, i) => {
    const cover = covers[i]
    const token = cover?.resource.name === name ? cover.held.token : tokenOf(context)
    const held: Held = {
      ...{ ...claim, since, token, granted: index, place: context.grants },
      ...(endsAt !== null && { expiresAt: endsAt }),
      ...(cover?.held.revoke && { revoke: cover.held.revoke }),
    }
    context.grants += 1
    const resource = resourceOf(state.locks, name)
    addHeld(state.locks, resource, held)
    context.lockEvents.push({
      type: 'lock.taken',
      ...shown(context, resource, held),
      how: cover ? 'reentered' : 'granted',
    })
    changed(context, name)
    return { name, token }
  })
  const token = tokens[0]?.token ?? 0
  return {
    token,
    since,
    ...(endsAt !== null && { endsAt }),
    ...(tokens.some((one) => one.token !== token) && { tokens }),
  }
}

/** One for all its names: its page hears of it with the grant (S-7). Requests that are granted together do not bound each other. */
function endOfGrant({ state, index }: Context, { beyond }: Waiting, covers: readonly Cover[]): number | null {
  const maxHold = beyond?.maxHold ?? null
  const own = maxHold === null ? Number.POSITIVE_INFINITY : state.clusterTime + maxHold
  const ends = covers.map((cover) => (cover && cover.held.granted < index ? endOf(cover.held) : null))
  const end = Math.min(own, ...ends.map((one) => one ?? Number.POSITIVE_INFINITY))
  return end === Number.POSITIVE_INFINITY ? null : end
}

type Cover = ReturnType<typeof coverOf>

/** T1: exclusive from now on, under a new token. */
export function upgraded(context: Context, resource: Resource, held: Held): { token: number; since: number } {
  const { state } = context
  const { upgrade: _, ...rest } = held
  const token = tokenOf(context)
  const next: Held = { ...rest, mode: 'exclusive', token, since: state.clusterTime }
  replaceHeld(context, resource, held, next)
  context.lockEvents.push({ type: 'lock.taken', ...shown(context, resource, next), how: 'upgraded' })
  return { token, since: next.since }
}

/**
 * Grants what can be granted around these names, and drops those that nobody uses any more. Who is before whom is fixed, so the order of
 * looking decides nothing but the order of the grants; a grant may let in somebody at a name that was looked at before, and its owner's other
 * requests wherever it covers them.
 */
export function settle(context: Context, touched: Iterable<string>): void {
  const { locks } = context.state
  const around = new Set(touched)
  const names = () => [...around].sort(compareStrings)
  for (let again = true; again; ) {
    again = false
    for (const name of names()) {
      const resource = locks.resources.get(name)
      if (resource && settleOne(context, resource, around)) again = locks.uses.beyond > 0
    }
  }
  for (const name of names()) {
    const resource = locks.resources.get(name)
    if (resource) dropUnused(locks, resource)
  }
}

function settleOne(context: Context, resource: Resource, around: Set<string>): boolean {
  const { locks } = context.state
  let granted = false
  for (const held of resource.held.filter(({ upgrade }) => upgrade !== undefined)) {
    if (!isGrantable(locks, wantsUpgrade(resource.name, held, held.upgrade?.requested ?? 0))) continue
    const { session, request } = held
    context.events.push({
      type: 'lock.upgraded',
      session,
      request,
      name: resource.name,
      ...upgraded(context, resource, held),
    })
    if (ownerOf(held) !== null) touch(locks, around, resource.name, held)
    granted = true
  }
  for (const waiting of [...resource.queue]) {
    const wanted = wants(resource.name, waiting)
    if (isGrantable(locks, wanted) && !isCrowded(locks, wanted.names)) {
      grantWaiting(context, resource.name, waiting)
      if (ownerOf(waiting) !== null) for (const name of wanted.names) touch(locks, around, name, waiting)
      granted = true
    } else if (locks.uses.beyond === 0) break
  }
  return granted
}

/** Nobody more is let in before somebody goes. */
export function isCrowded(locks: LocksState, names: readonly string[]): boolean {
  return names.some((name) => (locks.resources.get(name)?.held.length ?? 0) >= lockHoldersMax)
}

function grantWaiting(context: Context, name: string, waiting: Waiting): void {
  const { session, request } = waiting
  const names = namesOf(name, waiting)
  takeWaiting(context, name, waiting)
  const got = grant(context, names, waiting, true)
  context.events.push({ type: 'lock.granted', session, request, name: names[0] ?? name, ...got })
}
