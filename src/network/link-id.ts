import type { LinkKind } from './link.js'

let count = 0

/** Unique among the links of this process, whichever network made them; the peer stands in it for whoever reads a log. */
export function nextLinkId(kind: LinkKind, peerId: string): string {
  count += 1
  return `${kind}:${peerId}:${count}`
}
