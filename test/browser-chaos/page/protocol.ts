/** What the page of the chaos and its test say to each other. */
/** Where the page learns its part: in its address, so that it plays it again after a reload. */
export interface Part {
  readonly room: string
  readonly signaling: string
  /** The tab's place, as `a2`: browsers have letters. */
  readonly tab: string
  readonly locks: readonly string[]
  /** Longest rest between two calls of a user, ms. */
  readonly restMs: number
  /** So long is one register in use: unknown outcomes of one are not to pile up. */
  readonly seasonMs: number
}

export interface PageState {
  readonly life: string
  readonly peerId: string | null
  readonly status: string | null
  readonly leader: string | null
  /** Who the members are for it, and by what it reaches them. */
  readonly links: readonly string[]
}

export interface ChaosPage {
  state(): PageState
  /** What its peer says of itself; rejects without a room. */
  metrics(): Promise<unknown>
  /** The locks that tabs of its browser hold, one group for each that holds some: who has whose identity and life. */
  locks(): Promise<readonly string[]>
  /** A write, a read, and every lock once: resolves when the room has done them all. */
  probe(): Promise<void>
  /** Users begin nothing new; resolves when they have all their answers. */
  finish(): Promise<void>
  /** Reads those keys for the history. */
  read(keys: readonly string[]): Promise<void>
  block(ms: number): void
}

declare global {
  interface Window {
    chaos?: ChaosPage
    /** Exposed by the test: something that people want to know when they look for a cause. */
    note?: (life: string, what: string) => Promise<void>
    /** Exposed by the test: resolves after so long. Timers of hidden pages come once a second. */
    rest?: (ms: number) => Promise<void>
  }
}
