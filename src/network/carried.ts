/** The contract of links that other links carry: between a network of such links and the host that has the others. */
import type { Lane, Network } from './link.js'

/** What such a network needs of whoever has the other links. */
export interface Carrier {
  /** Monotonic, ms, as of the present turn. */
  readonly now: number
  /** Over a link to `via`, which passes it on to `to`, once. May be lost, as anything may. */
  send(via: string, to: string, lane: Lane, body: Uint8Array): void
  /** Who has links of their own to this peer, as they say, and to this host; the best first. */
  routesTo(peerId: string): readonly string[]
  /** Something leads to this peer, and it was heard over it lately. */
  isLinked(peerId: string): boolean
  /** The same without anybody in between. */
  isDirect(peerId: string): boolean
  /** With whom this host should be linked. */
  wanted(): readonly string[]
}

export interface CarriedNetwork extends Network {
  /** Called once, before `listen`. */
  carry(carrier: Carrier): void
  /** To be called every 100 ms or so. */
  tick(): void
  /** Somebody is linked with somebody else now: links whose route is gone are lost. */
  routesChanged(): void
  /** `via` says that this is from `from`. Anything may come. */
  receive(via: string, from: string, lane: Lane, body: Uint8Array): void
}

/** Of one body: a piece of a frame, its seal, and what says which it is. */
export const bodyBytesMax = 17 * 1024
/** Of one lane and direction of a carried link: so much may be on its way and not acknowledged, and wait at a relay. */
export const windowBytes = 256 * 1024
