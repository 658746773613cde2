/** The page's peer in one room: its worker, its links, its last moment, and its return from the back/forward cache. */
import { startWorker, type WorkerPort } from '../bridge/client.js'
import type { Claimed } from '../bridge/protocol.js'
import type { Shared } from '../host/inheritance.js'
import type { Goodbye, MemberRecord, Successor } from '../host/page.js'
import type { RoomSettings } from '../machine/command.js'
import { goodbyeMessage, postGoodbye } from '../network/broadcast-message.js'
import type { Failure } from '../shared/failure.js'
import { lifeLockName, lifeOf } from '../shared/life.js'
import { systemClock } from '../shared/system-clock.js'
import type { Value } from '../shared/value.js'
import { RoomConnection } from './connection.js'
import { ComityError, errorOf, RoomLeftError } from './errors.js'
import { pageTimelines } from './lock-timeline.js'
import type { Joining } from './options.js'
import { followCondition } from './page-condition.js'
import type { PageNetwork } from './page-network.js'
import type { RoomHandle, SharedRoom } from './room.js'

/** A goodbye that is not answered by then is given up: the other peers notice by other means, ms. */
const leaveWithin = 1_000

export class PagePeer implements SharedRoom {
  readonly connection = new RoomConnection(systemClock, pageTimelines)
  readonly #joining: Joining
  readonly #onClosed: () => void
  readonly #handles = new Set<RoomHandle<Value>>()
  readonly #peerChanged = new Set<() => void>()
  readonly #failures = new Set<(failure: Failure) => void>()
  #claimed: Claimed | null = null
  #port: WorkerPort | null = null
  #network: PageNetwork | null = null
  #goodbyes: readonly Goodbye[] = []
  #members: readonly MemberRecord[] = []
  #settings: RoomSettings
  #endLife: () => void = () => {}
  #unfollow: () => void = () => {}
  #linger: ReturnType<typeof setTimeout> | null = null
  /** Of histories that have ended here (T1). */
  #tokenFloor = 0
  /** For the next begin alone. */
  #shared: Shared | null = null
  #isSuspended = false
  #isClosed = false
  #leaving: Promise<void> | null = null

  constructor(joining: Joining, onClosed: () => void) {
    this.#joining = joining
    this.#onClosed = onClosed
    this.#settings = joining.settings
    this.connection.listen({
      members: (members) => {
        this.#members = members
        this.#network?.setMembers(members)
      },
      settings: (settings) => {
        this.#settings = settings
      },
      testament: ({ goodbyes }) => {
        this.#goodbyes = goodbyes
      },
      reset: (_reset, successor) => {
        if (successor) this.#comeBack(successor)
      },
      failed: () => this.#fail(),
    })
  }

  get name(): string {
    return this.#joining.room
  }

  get peerId(): string {
    return this.#claimed?.peerId ?? ''
  }

  get storage(): 'indexeddb' | 'memory' {
    return this.#claimed?.storage ?? 'indexeddb'
  }

  get suspended(): boolean {
    return this.#isSuspended
  }

  /** It says goodbye, until that is over: nobody can have a part in it any more. */
  get leaving(): Promise<void> | null {
    return this.#leaving
  }

  get settings(): RoomSettings {
    return this.#settings
  }

  get members(): readonly MemberRecord[] {
    return this.#members
  }

  /** Claims the identity and begins to join. Rejects with a typed error, and then nothing is left behind. */
  async open(): Promise<void> {
    try {
      await this.#enter()
    } catch (error) {
      this.#end(error instanceof ComityError ? error : errorOf({ code: 'storage', message: String(error) }))
      throw error
    }
    addEventListener('pagehide', this.#onPageHide)
    addEventListener('pageshow', this.#onPageShow)
    addEventListener('online', this.#onKick)
    document.addEventListener('visibilitychange', this.#onKick)
    this.#unfollow = followCondition(this.connection, () => isLoneVoter(this.#members))
  }

  onpeerchange(listener: () => void): () => void {
    this.#peerChanged.add(listener)
    return () => this.#peerChanged.delete(listener)
  }

  /** Told when signaling cannot be had. */
  onfailure(listener: (failure: Failure) => void): () => void {
    this.#failures.add(listener)
    return () => this.#failures.delete(listener)
  }

  hold(handle: RoomHandle<Value>): void {
    this.#handles.add(handle)
    if (this.#linger !== null) clearTimeout(this.#linger)
    this.#linger = null
  }

  async release(handle: RoomHandle<Value>): Promise<void> {
    this.#handles.delete(handle)
    if (this.#handles.size > 0 || this.#isClosed) return
    const leave = () => {
      this.#leaving ??= this.#leave()
      return this.#leaving
    }
    if (this.#joining.linger === 0) await leave()
    else this.#linger = setTimeout(leave, this.#joining.linger)
  }

  async #enter(): Promise<void> {
    // A chunk of its own, loading while the worker starts: a room of tabs alone never needs it.
    const isNetworked = this.#joining.urls.length > 0 || this.#joining.links === 'webrtc'
    const loading = isNetworked ? import('./page-network.js') : null
    const started = await startWorker(this.#joining.worker ?? undefined)
    if (!started.ok) throw errorOf(started.failure)
    const port = started.value
    this.#port = port
    const { room, learnerOnly, state, settings, links, storage } = this.#joining
    const claim = await port.claim({ room, preferred: recall(room), storage })
    if (!claim.ok) throw errorOf(claim.failure)
    this.#claimed = claim.value
    if (claim.value.storage === 'indexeddb') remember(room, claim.value.peerId)
    const lost = () => {
      if (this.#port === port) this.#beginAnew()
    }
    this.#endLife = await beginLife(claim.value, lost)
    if (loading) this.#startNetwork((await loading).PageNetwork, claim.value, port)
    // Nobody wanted it any more, and what was to be closed was not there yet.
    if (this.#isClosed) {
      this.#disconnect()
      throw this.connection.ended ?? new RoomLeftError()
    }
    const begin = async () => {
      const shared = this.#shared
      this.#shared = null
      const begun = await port.begin(
        { links, learnerOnly, state, settings, tokenFloor: this.#tokenFloor, shared },
        this.#network?.registrar ?? null,
      )
      if (this.#port !== port) return
      if (begun.ok) this.connection.attach(port)
      else this.#end(errorOf(begun.failure))
    }
    void begin()
    port.whenLost(lost)
    for (const tell of this.#peerChanged) tell()
  }

  #startNetwork(Network: typeof PageNetwork, claimed: Claimed, port: WorkerPort): void {
    this.#network = new Network(this.#joining, claimed, port, this.connection, {
      failed: (failure) => {
        for (const tell of this.#failures) tell(failure)
      },
    })
  }

  /** In an orderly way: the others hear it before the links close. */
  async #leave(): Promise<void> {
    if (this.#isClosed) return
    const goodbye = this.connection.call({ type: 'leave' })
    await Promise.race([goodbye.catch(() => {}), new Promise((resolve) => setTimeout(resolve, leaveWithin))])
    this.#network?.sendGoodbyes(this.#goodbyes)
    this.#end(new RoomLeftError())
  }

  #end(error: ComityError): void {
    this.connection.end(error)
    this.#shut()
    for (const tell of this.#peerChanged) tell()
  }

  /** M1: the peer has stopped itself, and can hold nothing any more: the others go on at once. */
  #fail(): void {
    this.connection.letGo()
    this.#sayGoodbye()
    this.#shut()
  }

  #shut(): void {
    if (this.#isClosed) return
    this.#isClosed = true
    if (this.#linger !== null) clearTimeout(this.#linger)
    removeEventListener('pagehide', this.#onPageHide)
    removeEventListener('pageshow', this.#onPageShow)
    removeEventListener('online', this.#onKick)
    document.removeEventListener('visibilitychange', this.#onKick)
    this.#unfollow()
    this.#disconnect()
    this.#onClosed()
  }

  #disconnect(): void {
    this.#network?.close()
    this.#port?.close()
    this.#endLife()
    this.#network = null
    this.#port = null
  }

  /**
   * M1, in this order: every handle is lost, the goodbyes leave by the page, connections close, the worker ends (which frees
   * the identity lock). The page may be put into the back/forward cache: then it comes back as a new life.
   */
  readonly #onPageHide = (): void => {
    this.#isSuspended = true
    this.#endThisLife()
    for (const tell of this.#peerChanged) tell()
  }

  #endThisLife(): void {
    this.connection.detach()
    this.#sayGoodbye()
    this.#disconnect()
  }

  /** L3: without one of its locks nobody would see this life end, or somebody else may be the same peer: half of what proves its death is there. */
  #beginAnew(): void {
    this.#endThisLife()
    this.#reenter()
  }

  #sayGoodbye(): void {
    const claimed = this.#claimed
    this.#network?.sendGoodbyes(this.#goodbyes)
    if (claimed) postGoodbye(this.#goodbyes.flatMap((goodbye) => this.#tabGoodbye(claimed, goodbye)))
  }

  #tabGoodbye(claimed: Claimed, { link, peerId, incarnation, frame }: Goodbye) {
    if (link !== 'broadcast') return []
    const { room } = this.#joining
    const life = lifeOf(claimed.incarnation)
    return [
      goodbyeMessage({ room, from: claimed.peerId, life, to: peerId, toLife: lifeOf(incarnation), payload: frame }),
    ]
  }

  /** L3: nothing in memory is believed after the back/forward cache. */
  readonly #onPageShow = ({ persisted }: PageTransitionEvent): void => {
    if (!persisted || !this.#isSuspended) {
      this.#onKick()
      return
    }
    this.#isSuspended = false
    this.#reenter()
  }

  /** N2, N3: the room goes on in another history, and this tab comes back to it as another peer. */
  #comeBack({ tokenFloor, shared }: Successor): void {
    this.#tokenFloor = Math.max(this.#tokenFloor, tokenFloor)
    this.#shared = shared
    this.connection.detach('reset')
    this.#disconnect()
    this.#reenter()
  }

  #reenter(): void {
    this.#enter().catch((error: unknown) => {
      this.#end(error instanceof ComityError ? error : errorOf({ code: 'storage', message: String(error) }))
    })
  }

  readonly #onKick = (): void => {
    if (document.visibilityState === 'visible') this.#network?.kick()
  }
}

/** One votes, and somebody else who is here could. */
function isLoneVoter(members: readonly MemberRecord[]): boolean {
  const voters = members.filter(({ role }) => role === 'voter')
  return voters.length === 1 && members.some(({ role, connected }) => role === 'learner' && connected)
}

/** The browser's own, kept from before a page may put `room.locks` in its place: a life must not wait for its own room. */
const browserLocks = globalThis.navigator?.locks

/** Holds the life lock (L1) until the function that it resolves with is called, or the browser takes it away. */
function beginLife({ peerId, incarnation }: Claimed, onlost: () => void): Promise<() => void> {
  return new Promise((resolve, reject) => {
    let isHeld = false
    const hold = () =>
      new Promise<void>((release) => {
        isHeld = true
        resolve(release)
      })
    browserLocks.request(lifeLockName(peerId, incarnation), hold).catch((error: unknown) => {
      if (isHeld) onlost()
      else reject(error)
    })
  })
}

function key(room: string): string {
  return `comity:identity:${room}`
}

/** The identity of this tab before a reload. A duplicated tab has a copy of it, and finds it taken (L1). */
function recall(room: string): string | null {
  try {
    return sessionStorage.getItem(key(room))
  } catch {
    return null
  }
}

function remember(room: string, peerId: string): void {
  try {
    sessionStorage.setItem(key(room), peerId)
  } catch {
    // Without it a reload takes any free identity.
  }
}
