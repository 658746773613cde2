import type { Value } from '../shared/value.js'
import { whenAborted } from './aborted.js'
import { type ComityError, errorOf, OptionsMismatchError, UnsupportedError } from './errors.js'
import { checkJoin, type Joining, type JoinOptions } from './options.js'
import { PagePeer } from './page-peer.js'
import { type Room, RoomHandle } from './room.js'

interface Shared {
  readonly joining: Joining
  readonly peer: PagePeer
  readonly opened: Promise<void>
}

/** One peer per room and page, whatever the number of handles. */
const shared = new Map<string, Shared>()

/**
 * Joins the room of that name, or founds it. Resolves with a handle of its own when the room is ready: this peer has its
 * session, and knows who leads. All handles of a page share one peer, which stays `linger` ms after the last of them left.
 *
 * Rejects with `TypeError` and `RangeError` for arguments, with `signal.reason`, `UnsupportedError`, `WorkerBlockedError`,
 * `OptionsMismatchError`, `SignalingError`, `RoomAuthError`, `IncompatiblePeerError`, `StorageError`. Importing this module touches nothing of the
 * page, so it may be imported on a server.
 */
export async function join<P extends Value = Value>(room: string, options: JoinOptions<P> = {}): Promise<Room<P>> {
  const joining = checkJoin(room, options)
  joining.signal?.throwIfAborted()
  requirePlatform(joining)
  const { peer, opened } = shareWith(joining, options)
  const handle = new RoomHandle<P>(peer, joining.whenNoQuorum)
  peer.hold(handle as unknown as RoomHandle<Value>)
  try {
    await withAbort(untilJoined(peer, opened, handle, joining), joining.signal)
    return handle
  } catch (error) {
    void handle.leave().catch(() => {})
    throw error
  }
}

function shareWith(joining: Joining, options: JoinOptions): Shared {
  const known = shared.get(joining.room)
  const leaving = known?.peer.leaving ?? null
  if (known && !leaving) {
    refuseContradiction(known.joining, joining, options)
    return known
  }
  const peer = new PagePeer(joining, () => {
    if (shared.get(joining.room)?.peer === peer) shared.delete(joining.room)
  })
  // It may be the only one that has the room, and has the identity that this page goes by: two at a time would be in each other's way.
  const opened = leaving ? leaving.then(() => peer.open()) : peer.open()
  const entry = { joining, peer, opened }
  shared.set(joining.room, entry)
  opened.catch(() => {})
  return entry
}

/** Only what the second `join` says itself can contradict the first. */
function refuseContradiction(first: Joining, second: Joining, given: JoinOptions): void {
  if (given.signaling !== undefined && first.urls.join() !== second.urls.join())
    throw new OptionsMismatchError('signaling')
  if (given.links !== undefined && first.links !== second.links) throw new OptionsMismatchError('links')
  if (given.storage !== undefined && first.storage !== second.storage) throw new OptionsMismatchError('storage')
  if (given.role !== undefined && first.learnerOnly !== second.learnerOnly) throw new OptionsMismatchError('role')
  if (given.channels !== undefined && first.channels !== second.channels) throw new OptionsMismatchError('channels')
}

async function untilJoined<P extends Value>(
  peer: PagePeer,
  opened: Promise<void>,
  handle: RoomHandle<P>,
  joining: Joining,
): Promise<void> {
  await opened
  if (joining.until === 'local') return
  let fail: (error: ComityError) => void = () => {}
  const failed = new Promise<never>((_resolve, reject) => {
    fail = reject
  })
  const stop = peer.onfailure((failure) => {
    // Another tab may lead into the room all the same: then it will be ready without the server.
    const isReachable =
      handle.leader !== null || handle.members.current.some(({ self, connected }) => !self && connected)
    if (failure.code !== 'signaling' || !isReachable) fail(errorOf(failure))
  })
  try {
    await Promise.race([handle.ready, failed])
  } finally {
    stop()
  }
}

function withAbort<T>(promise: Promise<T>, signal: AbortSignal | null): Promise<T> {
  if (!signal) return promise
  return new Promise((resolve, reject) => {
    const stop = whenAborted(signal, () => reject(signal.reason))
    promise.then(resolve, reject).finally(stop)
  })
}

function requirePlatform({ links, urls, storage }: Joining): void {
  if (typeof window === 'undefined') {
    throw new UnsupportedError('workers', 'join() needs a page: this module runs in Node only to be imported')
  }
  if (!window.isSecureContext) {
    throw new UnsupportedError(
      'secure-context',
      `${location.origin} is not a secure context, so the browser has no Web Locks and no WebCrypto here: use https or localhost`,
    )
  }
  if (typeof Worker === 'undefined') throw new UnsupportedError('workers', 'this browser has no workers')
  if (!navigator.locks) throw new UnsupportedError('web-locks', 'this browser has no Web Locks API')
  if (storage === 'indexeddb' && typeof indexedDB === 'undefined')
    throw new UnsupportedError('indexeddb', 'this browser has no IndexedDB')
  if ((urls.length > 0 || links === 'webrtc') && typeof RTCPeerConnection === 'undefined') {
    throw new UnsupportedError('webrtc', 'this browser has no WebRTC')
  }
}
