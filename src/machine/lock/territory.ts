import type { LockScope } from './command.js'
import type { LocksState, Resource } from './state.js'

// A territory is a name, or a name and everything under it. Two claims are about the same thing if their territories meet.

export function territoriesMeet(a: string, aScope: LockScope, b: string, bScope: LockScope): boolean {
  return a === b || (aScope === 'tree' && isUnder(b, a)) || (bScope === 'tree' && isUnder(a, b))
}

/** Whether a claim to `a` is a claim to all of `b`. */
export function covers(a: string, aScope: LockScope, b: string, bScope: LockScope): boolean {
  if (a === b) return aScope === 'tree' || bScope === 'exact'
  return aScope === 'tree' && isUnder(b, a)
}

/** All names in use of which a claim could meet this one. Whoever needs an order sorts. */
export function namesAround(locks: LocksState, name: string, scope: LockScope): Resource[] {
  const { resources, uses } = locks
  const names = new Set([name])
  if (uses.trees > 0) for (const above of ancestors(name)) names.add(above)
  if (scope === 'tree') for (const other of resources.keys()) if (isUnder(other, name)) names.add(other)
  return [...names].flatMap((one) => resources.get(one) ?? [])
}

function isUnder(name: string, root: string): boolean {
  return name.length > root.length && name.startsWith(root) && name[root.length] === '/'
}

function* ancestors(name: string): Iterable<string> {
  for (let at = name.indexOf('/'); at >= 0; at = name.indexOf('/', at + 1)) yield name.slice(0, at)
}
