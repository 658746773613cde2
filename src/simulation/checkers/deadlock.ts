import type { MachineState } from '../../machine/machine.js'
import { registered } from '../../machine/registry.js'
import type { Wait } from '../../machine/waiting/graph.js'
import type { World } from '../world.js'

/** No circle ever stands: whoever waits is served once those who wait for nothing have given back all they have, and so on. */
export function checkDeadlocks(world: World, machine: MachineState): void {
  const stuck = new Set(registered.flatMap(([, primitive]) => primitive.waits?.(machine) ?? []))
  const isGone = (node: string) => ![...stuck].some((wait) => wait.node === node)
  const granted = new Set<Wait>()
  for (let before = -1; before !== granted.size; ) {
    before = granted.size
    for (const wait of stuck) {
      if (wait.behind({ isGone, isGranted: (one) => granted.has(one) }).length > 0) continue
      granted.add(wait)
      stuck.delete(wait)
    }
  }
  const who = [...stuck].map(({ node, names }) => `${node} for ${names.join('+')}`)
  if (who.length > 0)
    world.convict('deadlock', `after entry ${machine.appliedIndex} these wait for ever: ${who.join(', ')}`)
}
