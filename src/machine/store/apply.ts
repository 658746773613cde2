import { unreachable } from '../../shared/assert.js'
import type { Outcome } from '../outcome.js'
import type { Caller, Context } from '../state.js'
import type { Expected, StoreCommand } from './command.js'
import { overlong, oversize, remove, staleness, write } from './items.js'
import type { Item } from './state.js'
import { transact } from './transact.js'

type StoreSet = Extract<StoreCommand, { type: 'store.set' }>
type StoreDelete = Extract<StoreCommand, { type: 'store.delete' }>
type StoreCompareAndSet = Extract<StoreCommand, { type: 'store.compareAndSet' }>

export function applyStore(context: Context, caller: Caller, command: StoreCommand): Outcome {
  switch (command.type) {
    case 'store.set':
      return set(context, caller, command)
    case 'store.delete':
      return erase(context, command)
    case 'store.compareAndSet':
      return compareAndSet(context, command)
    case 'store.transact':
      return transact(context, caller, command)
    default:
      return unreachable(command)
  }
}

function set(context: Context, caller: Caller, { key, value, fence, ephemeral }: StoreSet): Outcome {
  const refusal =
    overlong(key) ??
    (fence && staleness(context.state, fence)) ??
    write(context, key, { value, fence, session: ephemeral ? caller.session : null })
  return refusal ?? { type: 'store.set', revision: context.index }
}

function erase(context: Context, { key, fence }: StoreDelete): Outcome {
  const refusal = overlong(key) ?? (fence && staleness(context.state, fence))
  return refusal ?? { type: 'store.deleted', revision: context.index, existed: remove(context, key) }
}

/** Only what would be stored has to find room: one that does not match is answered, however full the store is. */
function compareAndSet(context: Context, { key, expected, next }: StoreCompareAndSet): Outcome {
  const refusal = overlong(key) ?? ('value' in expected ? oversize(expected.value) : null) ?? oversize(next)
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
