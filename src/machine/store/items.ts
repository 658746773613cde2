/** What every command of the store does to its items, and what keeps it from doing so. */
import { compareStrings } from '../../shared/codec.js'
import type { SessionId } from '../command.js'
import { currentToken, isHeldUnder } from '../lock/fence.js'
import type { Outcome } from '../outcome.js'
import { type Context, limitExceeded, type MachineState } from '../state.js'
import { type FenceCheck, storeKeyMax, valueBytesMax } from './command.js'
import { itemSize, storeBytesMax, storeKeysMax } from './limits.js'
import type { Item, StoreState } from './state.js'

/** T2: it must be held under that very token at this index; that no newer token wrote is not enough. */
export function staleness(state: MachineState, { name, token }: FenceCheck): Outcome | null {
  if (isHeldUnder(state, name, token)) return null
  const current = currentToken(state, name)
  const now = current === null ? 'free' : `held under token ${current}`
  const message = `expected lock ${JSON.stringify(name.slice(0, 100))} to be held under token ${token}, it is ${now}`
  return { type: 'failed', failure: { code: 'stale-fence', message, details: { name, token, current } } }
}

export function overlong(key: string): Outcome | null {
  if (key.length <= storeKeyMax) return null
  return limitExceeded('storeKey', storeKeyMax, `a key has at most ${storeKeyMax} code units`)
}

export function oversize({ length }: Uint8Array): Outcome | null {
  if (length <= valueBytesMax) return null
  return limitExceeded('value', valueBytesMax, `a value takes at most ${valueBytesMax} bytes, got ${length}`)
}

/** How much the store holds, or would hold. */
export interface Fill {
  readonly keys: number
  /** Sum of `itemSize`. */
  readonly bytes: number
}

export function fillOf({ items, size }: StoreState): Fill {
  return { keys: items.size, bytes: size }
}

/** With that key set instead of what it is, `old`. */
export function filled({ keys, bytes }: Fill, key: string, value: Uint8Array, old: Item | undefined): Fill {
  return {
    keys: old ? keys : keys + 1,
    bytes: bytes - (old ? itemSize(key, old.value) : 0) + itemSize(key, value),
  }
}

/** With that key deleted. */
export function emptied({ keys, bytes }: Fill, key: string, old: Item | undefined): Fill {
  return old ? { keys: keys - 1, bytes: bytes - itemSize(key, old.value) } : { keys, bytes }
}

export function overfull({ keys, bytes }: Fill): Outcome | null {
  if (keys > storeKeysMax) {
    return limitExceeded('storeKeys', storeKeysMax, `the room stores ${storeKeysMax} keys already`)
  }
  if (bytes > storeBytesMax) {
    return limitExceeded('storeBytes', storeBytesMax, `the room stores at most ${storeBytesMax} bytes`)
  }
  return null
}

/** Null when it is written; else the answer that says why not. */
export function write(context: Context, key: string, item: Omit<Item, 'revision'>): Outcome | null {
  const { store } = context.state
  const refusal = oversize(item.value) ?? overfull(filled(fillOf(store), key, item.value, store.items.get(key)))
  if (!refusal) place(context, key, item)
  return refusal
}

/** Writes what there is room for. */
export function place(context: Context, key: string, { value, fence, session }: Omit<Item, 'revision'>): void {
  const { store } = context.state
  const old = store.items.get(key)
  store.size = filled(fillOf(store), key, value, old).bytes
  const item = { value, revision: context.index, fence: newer(old?.fence ?? null, fence), session }
  store.items.set(key, item)
  changed(context, key, item, old ?? null)
}

export function remove(context: Context, key: string): boolean {
  const { store } = context.state
  const old = store.items.get(key)
  if (!old) return false
  store.size = emptied(fillOf(store), key, old).bytes
  store.items.delete(key)
  changed(context, key, null, old)
  return true
}

/** What was stored as ephemeral ends with the session that stored it. */
export function endItems(context: Context, session: SessionId): void {
  const items = [...context.state.store.items].filter(([, item]) => item.session === session)
  for (const key of items.map(([key]) => key).sort(compareStrings)) remove(context, key)
}

function newer(a: FenceCheck | null, b: FenceCheck | null): FenceCheck | null {
  if (!a || !b) return a ?? b
  return b.token >= a.token ? b : a
}

/** No entry changes a key twice: a command writes each of its keys once, and the end of a session is an entry without a command. */
function changed(context: Context, key: string, item: Item | null, previous: Item | null): void {
  context.lateEvents.set(`store.changed ${key}`, { type: 'store.changed', key, item, previous })
}
