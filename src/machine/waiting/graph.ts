/**
 * Who waits for whom, over all primitives, and whether that can ever end: the reduction of the resource graph (Holt, 1972). Whoever waits
 * for nothing is assumed to give back all it has; who can then be granted what it waits for is assumed to do the same; and so on. Who is
 * left waits for ever. A request after which its owner would be among them is refused, and changes nothing; so is a `resize` of a semaphore
 * after which anybody would.
 *
 * Nodes are owners: what one owner has it never waits for. A request without an owner is a node of its own.
 */
import type { LockMode } from '../lock/command.js'

/** Names a node: the same text for everything that one owner has or waits for. */
export type NodeKey = string

/** Everything that the owner of a session asked for, whatever the primitive; without one, this one request. */
export function nodeOf(who: {
  readonly session: number
  readonly request: number
  readonly owner: string | null
}): NodeKey {
  return who.owner === null ? `${who.session} request ${who.request}` : `${who.session} owner ${who.owner}`
}

/** How far a reduction has come. */
export interface World {
  /** That node has given back everything, or never had anything. */
  isGone(node: NodeKey): boolean
  /** That one was granted, which for a wait means: its node has it until it is gone. */
  isGranted(wait: Wait): boolean
}

/** One whom somebody waits for. */
export interface Blocker {
  readonly node: NodeKey
  readonly session: number
  readonly owner: string | null
  /** Of the lock or semaphore. */
  readonly name: string
  readonly state: 'held' | 'waiting'
}

/** One request that is not granted. */
export interface Wait {
  readonly node: NodeKey
  readonly session: number
  readonly owner: string | null
  /** The number of the request's command; an upgrade: of the request that it upgrades. */
  readonly request: number
  readonly kind: 'lock' | 'upgrade' | 'semaphore'
  /** What it waits for. */
  readonly names: readonly string[]
  /** Null for permits. */
  readonly mode: LockMode | null
  /** Place in the queue from 1; 0: ahead of it. */
  readonly position: number
  /**
   * Who is in the way in that world, in an order that follows from the state; nobody: it can be granted. In a world where nobody is gone and
   * nothing granted it names all who could ever be in the way; it never gets longer as more are gone.
   */
  behind(world: World): readonly Blocker[]
}

export interface CycleStep {
  readonly session: number
  readonly owner: string | null
  /** What it waits for. */
  readonly name: string
}

/**
 * A circle of nodes that wait for each other, and for ever, through one of those nodes: the first that has one. `nodes`: all whose waits
 * are new, or are harder to meet than they were, where nobody waited for ever before. Null: nobody will.
 */
export function deadlockOf(nodes: readonly NodeKey[], waits: readonly Wait[]): readonly CycleStep[] | null {
  const related = waitsBehind(nodes, waits)
  const stuck = reduce([...related.values()].flat())
  for (const node of nodes) {
    const cycle = stuck.isGone(node) ? null : cycleFrom(node, related, stuck)
    if (cycle) return cycle
  }
  return null
}

/** The waits of the nodes and of all on whom they depend. */
function waitsBehind(nodes: readonly NodeKey[], waits: readonly Wait[]): Map<NodeKey, Wait[]> {
  const byNode = grouped(waits)
  const related = new Map<NodeKey, Wait[]>()
  const open = [...nodes]
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const mine = byNode.get(next)
    if (!mine || related.has(next)) continue
    related.set(next, mine)
    for (const wait of mine) for (const blocker of wait.behind(beginning)) open.push(blocker.node)
  }
  return related
}

const beginning: World = { isGone: () => false, isGranted: () => false }

function reduce(waits: readonly Wait[]): World {
  const left = new Map([...grouped(waits)].map(([node, mine]) => [node, mine.length]))
  const granted = new Set<Wait>()
  const world: World = { isGone: (node) => (left.get(node) ?? 0) === 0, isGranted: (wait) => granted.has(wait) }
  for (let before = -1; before < granted.size; ) {
    before = granted.size
    for (const wait of waits) {
      if (granted.has(wait) || wait.behind(world).length > 0) continue
      granted.add(wait)
      left.set(wait.node, (left.get(wait.node) ?? 1) - 1)
    }
  }
  return world
}

/**
 * The shortest way from the node back to it, or null: it may be stuck behind a circle that it is not part of. But the stuck always have
 * some among them that wait for none but each other, and had these no new or harder wait, they would have been stuck before: so of the
 * nodes that `deadlockOf` is given one has a way back. Who waits for permits waits for any of several, so not every way is one.
 */
function cycleFrom(node: NodeKey, waits: ReadonlyMap<NodeKey, readonly Wait[]>, world: World): CycleStep[] | null {
  const ways = new Map<NodeKey, readonly CycleStep[]>([[node, []]])
  for (const [at, before] of ways) {
    for (const wait of waits.get(at) ?? []) {
      if (world.isGranted(wait)) continue
      for (const blocker of wait.behind(world)) {
        if (world.isGone(blocker.node)) continue
        const way = [...before, { session: wait.session, owner: wait.owner, name: blocker.name }]
        if (blocker.node === node) return way
        if (!ways.has(blocker.node)) ways.set(blocker.node, way)
      }
    }
  }
  return null
}

function grouped(waits: readonly Wait[]): Map<NodeKey, Wait[]> {
  const groups = new Map<NodeKey, Wait[]>()
  for (const wait of waits) {
    const group = groups.get(wait.node)
    if (group) group.push(wait)
    else groups.set(wait.node, [wait])
  }
  return groups
}
