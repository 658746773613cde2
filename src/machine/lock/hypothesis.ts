import { isSame, resourceOf } from './books.js'
import type { Wanted } from './obstacles.js'
import { insert } from './order.js'
import type { Held, LocksState, Resource } from './state.js'

/**
 * The locks as they would be with that request granted (after those thefts) or, with null, queued; with an upgrade, while it waits. Only who
 * is in whose way is to be read from it. The original is not touched.
 */
export function supposed(
  locks: LocksState,
  { claim, names, upgrade }: Wanted,
  steals: readonly { readonly resource: Resource; readonly held: Held }[] | null,
): LocksState {
  const then: LocksState = {
    ...locks,
    resources: new Map(locks.resources),
    uses: { ...locks.uses, beyond: 1, trees: 1 },
  }
  const copy = (name: string): Resource => {
    const known = resourceOf(then, name)
    const resource = { ...known, held: [...known.held], queue: [...known.queue] }
    then.resources.set(name, resource)
    return resource
  }
  for (const { resource, held } of steals ?? []) {
    const { held: all } = copy(resource.name)
    all.splice(all.indexOf(held), 1)
  }
  for (const name of names) {
    const { held, queue } = copy(name)
    if (upgrade !== undefined) {
      const at = held.findIndex((one) => isSame(one, claim))
      const share = held[at]
      if (share) held[at] = { ...share, upgrade: { requested: upgrade } }
    } else if (steals === null) insert(queue, claim)
    else held.push({ ...claim, token: 0, granted: 0, place: 0 })
  }
  return then
}
