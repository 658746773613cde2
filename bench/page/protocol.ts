/** What the benchmark calls in its pages, as `window.bench`, and what a page says to its probe worker. */
import type { JoinOptions } from '../../src/index.js'

export type PageJoinOptions = Pick<JoinOptions, 'signaling' | 'links' | 'linger'>

/** Times are the page's `performance.timeOrigin + performance.now()`, durations are ms. */
export interface BenchApi {
  clock(): number
  /** From the call of `join` until it resolves, and until a lock asked for then is granted. */
  join(room: string, options: PageJoinOptions): Promise<{ peerId: string; joinMs: number; lockMs: number }>
  state(): Promise<PageState>
  /** One after the other: how long from the request to the grant, and from the release until the room has agreed. */
  acquireAndRelease(count: number): Promise<{ acquire: number[]; release: number[] }>
  /** `lease`: how long the lock outlives a silent page, ms; the room's own by default. */
  acquire(name: string, lease?: number): Promise<void>
  /** Resolves once the request is in the queue. */
  queueFor(name: string): Promise<void>
  /** When the lock that was queued for was granted. */
  granted(name: string): Promise<number>
  /** When `release` was called; resolves when the room has agreed. */
  release(name: string): Promise<number>
  /** Users of this page who take and give back locks, one after the other each. Resolves with every hold, in the order of their ends. */
  takeTurns(plan: TurnPlan): Promise<Hold[]>
  /** Begins to acquire and release a lock of its own again and again, and to watch for another leader than that one. */
  watchFailover(leader: string): void
  failover(): Promise<Failover>
  /** The `pagehide` of the last page of this browser that went, by its clock. */
  lastPageHide(): number | null
  /** The last `freeze` of this page, by its clock. */
  lastFreeze(): number | null
  /** The next page of this tab joins the same room in its first script. */
  rejoinAfterReload(): void
  /** How this page came back by that: its first script, `join` resolved, a lock granted, by its clock. */
  rejoined(): Promise<Rejoined>
  /** One end of the link to that probe: a BroadcastChannel. */
  openBroadcast(to: ProbeId, name: string): Promise<void>
  /** One end of the link to that probe: an RTCDataChannel, handed to the worker. Descriptions carry all candidates. */
  offer(to: ProbeId): Promise<string>
  answer(to: ProbeId, offer: string): Promise<string>
  accept(to: ProbeId, answer: string): Promise<void>
  /** Worker to worker and back; the other end echoes. `rest`: so long a pause before each, ms. */
  roundTrips(to: ProbeId, count: number, rest: number): Promise<number[]>
  /** From the worker: one transaction with one put, made durable, and waited for. */
  writes(count: number, rest: number): Promise<number[]>
  /**
   * As probe `me` of three that pass a turn around, with the messages and writes that a lock has and nothing else: when this page had each
   * of its turns. Number 0 leads, and begins.
   */
  passTurns(me: ProbeId, count: number): Promise<number[]>
}

/** The number of a page among those that are probed together. */
export type ProbeId = 0 | 1 | 2

export interface TurnPlan {
  /** The room's locks, or `navigator.locks` in its place. */
  readonly locks: 'room' | 'browser'
  /** The names that each user takes, in turns; as many users as lists. */
  readonly users: readonly (readonly string[])[]
}

export interface Hold {
  readonly name: string
  readonly askedAt: number
  readonly grantedAt: number
  /** When the callback ended, and with it the hold. */
  readonly endedAt: number
}

export interface Rejoined {
  readonly peerId: string
  readonly scriptAt: number
  readonly readyAt: number
  readonly lockedAt: number
}

export interface PageState {
  readonly peerId: string
  readonly leader: string | null
  readonly term: number
  readonly ready: boolean
  readonly voters: number
  readonly connected: number
  readonly learners: number
  readonly commitIndex: number
  readonly writes: number
  /** The host's own smoothed time of one durable write. */
  readonly writeMs: number
  readonly framesSent: number
  readonly framesReceived: number
  readonly frameBytes: number
  readonly links: string
}

export interface Failover {
  /** Another leader was known. */
  readonly knownAt: number
  /** The first grant after that, and when it had been asked for. */
  readonly grantedAt: number
  readonly askedAt: number
}

export type ToProbe =
  | { readonly id: number; readonly type: 'broadcast'; readonly to: ProbeId; readonly name: string }
  | { readonly id: number; readonly type: 'channel'; readonly to: ProbeId; readonly channel: RTCDataChannel }
  | {
      readonly id: number
      readonly type: 'roundTrips'
      readonly to: ProbeId
      readonly count: number
      readonly rest: number
    }
  | { readonly id: number; readonly type: 'writes'; readonly count: number; readonly rest: number }
  | { readonly id: number; readonly type: 'passTurns'; readonly me: ProbeId; readonly count: number }
  /** The page gives back the turn that it was given. */
  | { readonly id: number; readonly type: 'passOn' }

/** The answer to the message of that id; with a number of its own, a turn for the page. */
export type FromProbe = { readonly id: number; readonly samples: number[] } | { readonly turn: number }
