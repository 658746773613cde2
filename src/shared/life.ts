/** Names by which pages and workers of one browser know each other's lives (L1). */

interface Life {
  readonly counter: number
  readonly nonce: string
}

/** An incarnation as text, for the names of locks and channels. */
export function lifeOf({ counter, nonce }: Life): string {
  return `${counter}.${nonce}`
}

/** Guards the database of an identity; held by the worker (L1). */
export function identityLockName(room: string, peerId: string): string {
  return `comity:identity:${room}:${peerId}`
}

/** Says that this life's page is there; held by the page, watched by the other tabs (L1). */
export function lifeLockName(peerId: string, life: Life): string {
  return `comity:life:${peerId}:${lifeOf(life)}`
}

/** Held by a worker that looks whether that tab is dead, and for as long as it carries its node on (L1, L4). */
export function keptLockName(room: string, peerId: string): string {
  return `comity:kept:${room}:${peerId}`
}

/** Held by a tab that would be that peer itself: whoever carries its node on lets it go. */
export function wantedLockName(room: string, peerId: string): string {
  return `comity:wanted:${room}:${peerId}`
}

/** Held by a tab that carries the room in its memory alone: while one does, this browser founds it no second time (N1). */
export function memoryRoomLockName(room: string): string {
  return `comity:memory:${room}`
}

/** One founding at a time in a browser (N1). */
export function foundingLockName(room: string): string {
  return `comity:found:${room}`
}
