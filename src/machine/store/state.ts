import type { SessionId } from '../command.js'
import type { FenceCheck } from './command.js'

export interface StoreState {
  readonly items: Map<string, Item>
  /** Sum of `itemSize` over all items: follows from them. */
  size: number
}

export interface Item {
  readonly value: Uint8Array
  /** The index of the entry that wrote it. */
  readonly revision: number
  /** The newest token that wrote this key while it existed (T2), or null. */
  readonly fence: FenceCheck | null
  /** The session that it ends with, or null. */
  readonly session: SessionId | null
}
