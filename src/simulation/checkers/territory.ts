/** What a holder has, as the checkers see it. They share no code with the machine. */
export interface Territory {
  readonly name: string
  readonly scope: 'exact' | 'tree'
  /** Two of one owner never exclude each other. */
  readonly owner: string
}

export function ownerKey(session: number, request: number, owner: string | null): string {
  return owner === null ? `${session}/${request}` : `${session} of ${owner}`
}

/** If one of them holds it exclusively, the other may not. */
export function excludes(a: Territory, b: Territory): boolean {
  if (a.owner === b.owner) return false
  if (a.name === b.name) return true
  return isWithin(a, b) || isWithin(b, a)
}

function isWithin(inner: Territory, outer: Territory): boolean {
  return outer.scope === 'tree' && inner.name.startsWith(`${outer.name}/`)
}
