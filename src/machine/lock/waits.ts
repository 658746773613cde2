import { compareStrings } from '../../shared/codec.js'
import type { Blocker, Wait, World } from '../waiting/graph.js'
import { isFirst } from './books.js'
import { isGrantable, nodeOfClaim, obstacles, type Wanted, wants, wantsUpgrade } from './obstacles.js'
import { type LocksState, namesOf, ownerOf, type Resource, type Waiting } from './state.js'

/** All that wait for locks, by name and place in the queue; upgrades first. */
export function lockWaits(locks: LocksState): Wait[] {
  const resources = [...locks.resources.values()]
    .filter(({ held, queue }) => queue.length > 0 || held.some(({ upgrade }) => upgrade))
    .sort((a, b) => compareStrings(a.name, b.name))
  return resources.flatMap((resource) => [
    ...resource.held.flatMap((held) =>
      held.upgrade ? [waitOf(locks, 'upgrade', wantsUpgrade(resource.name, held, held.upgrade.requested), 0)] : [],
    ),
    ...resource.queue.flatMap((waiting) =>
      isFirst(resource.name, waiting)
        ? [waitOf(locks, 'lock', wants(resource.name, waiting), positionOf(locks, resource, waiting))]
        : [],
    ),
  ])
}

/** In the queue where it is the last. */
function positionOf(locks: LocksState, { name }: Resource, waiting: Waiting): number {
  const places = namesOf(name, waiting).map((one) => locks.resources.get(one)?.queue.indexOf(waiting) ?? 0)
  return Math.max(...places) + 1
}

function waitOf(locks: LocksState, kind: 'lock' | 'upgrade', wanted: Wanted, position: number): Wait {
  const { claim, names, mode } = wanted
  const { session, request } = claim
  let found: Blocker[] | null = null
  const behind = (world: World) => {
    found ??= blockers(locks, wanted)
    return found.filter(({ node }) => !world.isGone(node))
  }
  return { node: nodeOfClaim(claim), session, owner: ownerOf(claim), request, kind, names, mode, position, behind }
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
