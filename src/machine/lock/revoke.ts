import type { Outcome } from '../outcome.js'
import { type Caller, type Context, limitExceeded } from '../state.js'
import { claimsOf, endOf, replaceHeld } from './books.js'
import type { LockCommand } from './command.js'
import { lockHoldMax } from './limits.js'
import type { Held, Resource } from './state.js'

type Acknowledge = Extract<LockCommand, { type: 'lock.acknowledge' }>

/** Asks every holder. S-7: nothing is taken before it knows; one that never answers keeps it until its lease ends. */
export function revoke(context: Context, name: string, grace: number): Outcome {
  if (grace < 0 || grace > lockHoldMax)
    return limitExceeded('grace', lockHoldMax, `a grace is 0 to ${lockHoldMax} ms, got ${grace}`)
  const { locks, sessions } = context.state
  const resource = locks.resources.get(name)
  const asked = (resource?.held ?? []).map((held) => {
    const { session, token } = held
    if (resource) ask(context, resource, held, grace)
    return { peerId: sessions.get(session)?.peerId ?? '', token }
  })
  return { type: 'lock.revoked', asked }
}

/** A second revoke shortens what the first has left, never lengthens it; and the holder has to know of that as well. */
function ask(context: Context, resource: Resource, held: Held, grace: number): void {
  const before = held.revoke ?? { grace: null, endsAt: null }
  const isShorter = before.grace === null || grace < before.grace
  const end = before.endsAt
  if (!isShorter || (end !== null && context.state.clusterTime + grace >= end)) return
  const { session, request } = held
  replaceHeld(context, resource, held, { ...held, revoke: { grace, endsAt: end } })
  context.events.push({ type: 'lock.revoked', session, request, name: resource.name, endsAt: null })
}

/** S-7: the grace begins here. */
export function acknowledge(context: Context, { session }: Caller, { request, name, grace }: Acknowledge): Outcome {
  const found = claimsOf(context.state.locks, session, request).held.find(({ resource }) => resource.name === name)
  const asked = found?.held.revoke
  if (!found || !asked || asked.grace === null) return { type: 'lock.acknowledged', endsAt: asked?.endsAt ?? null }
  // It is on its way to a page that may be blocked before it hears of the shorter one: that has an acknowledgement of its own.
  if (grace > asked.grace) return { type: 'lock.acknowledged', endsAt: asked.endsAt }
  const { resource, held } = found
  const end = context.state.clusterTime + asked.grace
  const next: Held = {
    ...held,
    revoke: { grace: null, endsAt: asked.endsAt === null ? end : Math.min(asked.endsAt, end) },
  }
  replaceHeld(context, resource, held, next)
  const endsAt = endOf(next)
  context.events.push({ type: 'lock.revoked', session, request, name, endsAt })
  return { type: 'lock.acknowledged', endsAt }
}
