import { compareStrings } from '../../shared/codec.js'
import type { Blocker, NodeKey, Wait, World } from '../waiting/graph.js'
import { isFirst } from './books.js'
import { isGrantable, nodeOfClaim, obstacles, type Wanted, wants, wantsUpgrade } from './obstacles.js'
import { type LocksState, namesOf, ownerOf, type Resource, scopeOf, type Waiting } from './state.js'
import { covers } from './territory.js'

interface LockWait extends Wait {
  readonly wanted: Wanted
}

/** All that wait for locks, by name and place in the queue; upgrades first. */
export function lockWaits(locks: LocksState): Wait[] {
  const byNode = new Map<NodeKey, LockWait[]>()
  const add = (kind: Wait['kind'], wanted: Wanted, position: number) => {
    const node = nodeOfClaim(wanted.claim)
    const own = byNode.get(node) ?? []
    byNode.set(node, own)
    const wait = waitOf(locks, wanted, own, kind, position)
    own.push(wait)
    return wait
  }
  const resources = [...locks.resources.values()]
    .filter(({ held, queue }) => queue.length > 0 || held.some(({ upgrade }) => upgrade))
    .sort((a, b) => compareStrings(a.name, b.name))
  return resources.flatMap((resource) => [
    ...resource.held.flatMap((held) =>
      held.upgrade ? [add('upgrade', wantsUpgrade(resource.name, held, held.upgrade.requested), 0)] : [],
    ),
    ...resource.queue.flatMap((waiting) =>
      isFirst(resource.name, waiting)
        ? [add('lock', wants(resource.name, waiting), positionOf(locks, resource, waiting))]
        : [],
    ),
  ])
}

/** In the queue where it is the last. */
function positionOf(locks: LocksState, { name }: Resource, waiting: Waiting): number {
  const places = namesOf(name, waiting).map((one) => locks.resources.get(one)?.queue.indexOf(waiting) ?? 0)
  return Math.max(...places) + 1
}

function waitOf(
  locks: LocksState,
  wanted: Wanted,
  own: readonly LockWait[],
  kind: Wait['kind'],
  position: number,
): LockWait {
  const { claim, names, mode } = wanted
  const { session, request } = claim
  const owner = ownerOf(claim)
  let found: readonly Blocker[] | null = null
  /** What else its owner waited for, and has in that world, covers all of it: it comes in with that. */
  const isEntered = (world: World) => {
    const got = owner === null || kind === 'upgrade' ? [] : own.filter((one) => world.isGranted(one))
    return (
      got.length > 0 && names.every((name) => got.some((one) => one.kind === 'lock' && covering(one, name, wanted)))
    )
  }
  const behind = (world: World) => {
    found ??= blockers(locks, wanted)
    const left = found.filter(({ node }) => !world.isGone(node))
    return left.length > 0 && isEntered(world) ? [] : left
  }
  return { wanted, node: nodeOfClaim(claim), session, owner, request, kind, names, mode, position, behind }
}

function covering({ wanted }: LockWait, name: string, { claim, mode }: Wanted): boolean {
  const isEnough = wanted.mode === 'exclusive' || mode === 'shared'
  return isEnough && wanted.names.some((one) => covers(one, scopeOf(wanted.claim), name, scopeOf(claim)))
}

/** Each node once for each name, what it holds before what it waits for. Nobody, if it goes with the very entry that this is asked for. */
function blockers(locks: LocksState, wanted: Wanted): Blocker[] {
  if (isGrantable(locks, wanted)) return []
  const found = new Map<string, Blocker & { readonly place: number }>()
  for (const { name, claim, state } of obstacles(locks, wanted)) {
    const { session, requested } = claim
    const blocker = { node: nodeOfClaim(claim), session, owner: ownerOf(claim), name, state, place: requested }
    const key = `${state} ${blocker.node} ${name}`
    if ((found.get(key)?.place ?? Number.POSITIVE_INFINITY) > requested) found.set(key, blocker)
  }
  return [...found.values()]
    .sort((a, b) => compareStrings(a.state, b.state) || a.place - b.place || compareStrings(a.name, b.name))
    .map(({ place: _, ...blocker }) => blocker)
}
