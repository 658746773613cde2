import { unreachable } from '../../shared/assert.js'
import { compareStrings } from '../../shared/codec.js'
import type { SessionId } from '../command.js'
import { currentToken, isHeldUnder } from '../lock/fence.js'
import type { Outcome } from '../outcome.js'
import { type Caller, type Context, limitExceeded, type MachineState } from '../state.js'
import { type Expected, type FenceCheck, type StoreCommand, storeKeyMax, valueBytesMax } from './command.js'
import { storeBytesMax, storeKeysMax } from './limits.js'
import { type Item, itemSize } from './state.js'

type StoreSet = Extract<StoreCommand, { type: 'store.set' }>
type StoreCompareAndSet = Extract<StoreCommand, { type: 'store.compareAndSet' }>

export function applyStore(context: Context, caller: Caller, command: StoreCommand): Outcome {
  const { key } = command
  if (key.length > storeKeyMax) {
    return limitExceeded('storeKey', storeKeyMax, `a key has at most ${storeKeyMax} code units`)
  }
  const fence = command.type === 'store.compareAndSet' ? null : command.fence
  const stale = fence && staleness(context.state, fence)
  if (stale) return stale
  switch (command.type) {
    case 'store.set':
      return set(context, caller, command)
    case 'store.delete': {
      const existed = remove(context, key)
      return { type: 'store.deleted', revision: context.index, existed }
    }
    case 'store.compareAndSet':
      return compareAndSet(context, command)
    default:
      return unreachable(command)
  }
}

/** T2: it must be held under that very token at this index; that no newer token wrote is not enough. */
function staleness(state: MachineState, { name, token }: FenceCheck): Outcome | null {
  if (isHeldUnder(state, name, token)) return null
  const current = currentToken(state, name)
  const now = current === null ? 'free' : `held under token ${current}`
  const message = `expected lock ${JSON.stringify(name.slice(0, 100))} to be held under token ${token}, it is ${now}`
  return { type: 'failed', failure: { code: 'stale-fence', message, details: { name, token, current } } }
}

function set(context: Context, caller: Caller, { key, value, fence, ephemeral }: StoreSet): Outcome {
  const refusal = write(context, key, { value, fence, session: ephemeral ? caller.session : null })
  return refusal ?? { type: 'store.set', revision: context.index }
}

/** Only what would be stored has to find room: one that does not match is answered, however full the store is. */
function compareAndSet(context: Context, { key, expected, next }: StoreCompareAndSet): Outcome {
  const refusal = ('value' in expected ? oversize(expected.value) : null) ?? oversize(next)
  if (refusal) return refusal
  const swapped = isAsExpected(context.state.store.items.get(key), expected)
  const full = swapped ? write(context, key, { value: next, fence: null, session: null }) : null
  return full ?? { type: 'store.compared', revision: context.index, swapped }
}

function isAsExpected(item: Item | undefined, expected: Expected): boolean {
  if ('revision' in expected) return (item?.revision ?? 0) === expected.revision
  const { value } = expected
  return item?.value.length === value.length && item.value.every((byte, i) => byte === value[i])
}

function oversize({ length }: Uint8Array): Outcome | null {
  if (length <= valueBytesMax) return null
  return limitExceeded('value', valueBytesMax, `a value takes at most ${valueBytesMax} bytes, got ${length}`)
}

/** Null when it is written; else the answer that says why not. */
function write(context: Context, key: string, { value, fence, session }: Omit<Item, 'revision'>): Outcome | null {
  const { store } = context.state
  const old = store.items.get(key)
  const refusal = oversize(value)
  if (refusal) return refusal
  if (!old && store.items.size >= storeKeysMax) {
    return limitExceeded('storeKeys', storeKeysMax, `the room stores ${storeKeysMax} keys already`)
  }
  const size = store.size - (old ? itemSize(key, old.value) : 0) + itemSize(key, value)
  if (size > storeBytesMax) {
    return limitExceeded('storeBytes', storeBytesMax, `the room stores at most ${storeBytesMax} bytes`)
  }
  store.size = size
  store.items.set(key, {
    value,
    revision: context.index,
    fence: newer(old?.fence ?? null, fence),
    session,
  })
  changed(context, key)
  return null
}

function newer(a: FenceCheck | null, b: FenceCheck | null): FenceCheck | null {
  if (!a || !b) return a ?? b
  return b.token >= a.token ? b : a
}

function remove(context: Context, key: string): boolean {
  const { store } = context.state
  const old = store.items.get(key)
  if (!old) return false
  store.items.delete(key)
  store.size -= itemSize(key, old.value)
  changed(context, key)
  return true
}

/** What was stored as ephemeral ends with the session that stored it. */
export function endItems(context: Context, session: SessionId): void {
  const items = [...context.state.store.items].filter(([, item]) => item.session === session)
  for (const key of items.map(([key]) => key).sort(compareStrings)) remove(context, key)
}

function changed(context: Context, key: string): void {
  context.lateEvents.set(`store.changed ${key}`, { type: 'store.changed', key })
}
