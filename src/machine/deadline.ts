export interface Deadline {
  /** Cluster time, ms. */
  readonly at: number
  /** The index of the entry that has set it: of two at the same time the older is first. */
  readonly index: number
}

/** C1: what is due fires in this order. */
export function compareDeadlines(a: Deadline, b: Deadline): number {
  return a.at - b.at || a.index - b.index
}
