import { unreachable } from '../../shared/assert.js'
import { compareStrings } from '../../shared/codec.js'
import type { SessionId } from '../command.js'
import { currentToken, isHeldUnder } from '../lock/fence.js'
import type { Outcome } from '../outcome.js'
import { type Caller, type Context, limitExceeded, type MachineState } from '../state.js'
import { type FenceCheck, type StoreCommand, storeKeyMax, valueBytesMax } from './command.js'
import { storeBytesMax, storeKeysMax } from './limits.js'
import { itemSize } from './state.js'

type StoreSet = Extract<StoreCommand, { type: 'store.set' }>

export function applyStore(context: Context, caller: Caller, command: StoreCommand): Outcome {
  const { key, fence } = command
  if (key.length > storeKeyMax) {
    return limitExceeded('storeKey', storeKeyMax, `a key has at most ${storeKeyMax} code units`)
  }
  const stale = fence && staleness(context.state, fence)
  if (stale) return stale
  switch (command.type) {
    case 'store.set':
      return set(context, caller, command)
    case 'store.delete': {
      const existed = remove(context, key)
      return { type: 'store.deleted', revision: context.index, existed }
    }
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
  const { store } = context.state
  const old = store.items.get(key)
  if (value.length > valueBytesMax) {
    return limitExceeded('value', valueBytesMax, `a value takes at most ${valueBytesMax} bytes, got ${value.length}`)
  }
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
    session: ephemeral ? caller.session : null,
  })
  changed(context, key)
  return { type: 'store.set', revision: context.index }
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
