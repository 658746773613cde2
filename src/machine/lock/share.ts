import type { Outcome } from '../outcome.js'
import type { Caller, Context } from '../state.js'
import { deadlock, refuseDeadlock } from '../waiting/refusal.js'
import { claimsOf, replaceHeld, shown, touch } from './books.js'
import { settle, upgraded } from './grant.js'
import { supposed } from './hypothesis.js'
import { isGrantable, isOfOneOwner, nodeOfClaim, wantsUpgrade } from './obstacles.js'
import { type Held, ownerOf, type Resource } from './state.js'
import { lockWaits } from './waits.js'

/** Its share is kept until it is alone: then it is exclusive, under a new token. */
export function upgrade(context: Context, caller: Caller, request: number, name: string): Outcome {
  const found = holdOf(context, caller, request, name)
  if (!found) return notHeld(name)
  const { resource, held } = found
  const { locks } = context.state
  if (held.mode === 'exclusive') return { type: 'lock.upgraded', token: held.token, since: held.since }
  if (held.upgrade) return { type: 'lock.queued' }
  const isAlone = isGrantable(locks, wantsUpgrade(name, held, context.index))
  const refused = (isAlone ? null : rival(context, resource, held)) ?? circle(context, held, name)
  if (refused) return refused
  if (isAlone) {
    const now = upgraded(context, resource, held)
    const touched = new Set<string>()
    if (ownerOf(held) !== null) touch(locks, touched, name, held)
    // What else its owner waits for there, it covers now.
    settle(context, touched)
    return { type: 'lock.upgraded', ...now }
  }
  replaceHeld(context, resource, held, { ...held, upgrade: { requested: context.index } })
  return { type: 'lock.queued' }
}

/** Two that share and both want to be alone wait for each other: the second one is told at once. */
function rival({ state }: Context, resource: Resource, held: Held): Outcome | null {
  const other = resource.held.find((one) => one.upgrade && !isOfOneOwner(one, held))
  if (!other) return null
  const steps = [held, other].map((one) => ({ session: one.session, owner: ownerOf(one), name: resource.name }))
  return deadlock(state, steps)
}

function circle(context: Context, held: Held, name: string): Outcome | null {
  const { state, index } = context
  const then = supposed(state.locks, wantsUpgrade(name, held, index), null)
  return refuseDeadlock(state, [nodeOfClaim(held)], [...lockWaits(then), ...context.waitsBeside(state, 'lock')])
}

/** T2: its token stays, and is that of the share. */
export function downgrade(context: Context, caller: Caller, request: number, name: string): Outcome {
  const found = holdOf(context, caller, request, name)
  if (!found) return notHeld(name)
  const { resource, held } = found
  const { token } = held
  if (held.mode === 'shared' && !held.upgrade) return { type: 'lock.downgraded', token }
  const { upgrade: _, ...rest } = held
  const next: Held = { ...rest, mode: 'shared' }
  replaceHeld(context, resource, held, next)
  if (held.mode === 'exclusive')
    context.lockEvents.push({ type: 'lock.taken', ...shown(context, resource, next), how: 'downgraded' })
  const touched = new Set<string>()
  touch(context.state.locks, touched, name, next)
  settle(context, touched)
  return { type: 'lock.downgraded', token }
}

function holdOf({ state }: Context, { session }: Caller, request: number, name: string) {
  return claimsOf(state.locks, session, request).held.find(({ resource }) => resource.name === name) ?? null
}

function notHeld(name: string): Outcome {
  const message = `the lock ${JSON.stringify(name.slice(0, 100))} is not held by this request any more`
  return { type: 'failed', failure: { code: 'lock-lost', message, details: { name } } }
}
