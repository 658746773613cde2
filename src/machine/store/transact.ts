/** `store.transact`: compares, then one of two lists of operations, as one step and whole or not at all (etcd's Txn). */
import { unreachable } from '../../shared/assert.js'
import type { Outcome, TransactionResult } from '../outcome.js'
import { type Caller, type Context, limitExceeded, type MachineState } from '../state.js'
import type { Comparison, FenceCheck, StoreCommand, TransactionOperation } from './command.js'
import { emptied, filled, fillOf, overfull, overlong, oversize, place, remove, staleness } from './items.js'
import { itemSize, transactionBytesMax, transactionOpsMax } from './limits.js'
import type { Item } from './state.js'

type StoreTransact = Extract<StoreCommand, { type: 'store.transact' }>
type Operations = readonly TransactionOperation[]
/** As the caller names the two lists. */
type Branch = 'then' | 'else'

/**
 * What is wrong with the command itself is refused whatever the room is like; of the two lists only the one that is to be done has to
 * hold its fences and find room, as a `compareAndSet` that does not match is answered however full the store is.
 */
export function transact(context: Context, caller: Caller, command: StoreTransact): Outcome {
  const { compare, success, failure, fence } = command
  const malformed =
    beyondSize(command) ??
    each('compare', compare, (one) => overlong(one.key) ?? ('value' in one ? oversize(one.value) : null)) ??
    branchRefusal('then', success) ??
    branchRefusal('else', failure)
  if (malformed) return malformed
  const succeeded = compare.every((one) => holds(context.state.store.items.get(one.key), one))
  const [branch, operations] = succeeded ? (['then', success] as const) : (['else', failure] as const)
  const refusal = (fence && staleness(context.state, fence)) ?? impossible(context.state, branch, operations)
  if (refusal) return refusal
  const results = operations.map((operation) => perform(context, caller, operation, fence))
  return { type: 'store.transacted', revision: context.index, succeeded, results }
}

function beyondSize({ compare, success, failure }: StoreTransact): Outcome | null {
  if ([compare, success, failure].some(({ length }) => length > transactionOpsMax)) {
    return limitExceeded('transactionOps', transactionOpsMax, `each list has at most ${transactionOpsMax} items`)
  }
  const parts = [...compare, ...success, ...failure]
  const bytes = parts.reduce((sum, part) => sum + itemSize(part.key, 'value' in part ? part.value : nothing), 0)
  if (bytes <= transactionBytesMax) return null
  const message = `the keys and values of a transaction take at most ${transactionBytesMax} bytes, got ${bytes}`
  return limitExceeded('transactionBytes', transactionBytesMax, message)
}

const nothing = new Uint8Array()

/** As etcd's "duplicate key given in txn request": which of two writes of one key should last? */
function branchRefusal(branch: Branch, operations: Operations): Outcome | null {
  const written = new Set<string>()
  return each(branch, operations, (operation) => {
    const { key, type } = operation
    const refusal = overlong(key) ?? (type === 'set' ? oversize(operation.value) : null)
    if (refusal || type === 'get') return refusal
    if (!written.has(key)) {
      written.add(key)
      return null
    }
    const message = `the key ${JSON.stringify(key.slice(0, 100))} is written twice in one branch`
    return { type: 'failed', failure: { code: 'conflict', message } }
  })
}

/** What stands in the way of doing all of them: a fence that is stale, no room when all is done, answers of no bound. */
function impossible(state: MachineState, branch: Branch, operations: Operations): Outcome | null {
  const { items } = state.store
  let fill = fillOf(state.store)
  for (const operation of operations) {
    const { type, key } = operation
    const old = items.get(key)
    if (type === 'delete') fill = emptied(fill, key, old)
    else if (type === 'set' && isSmaller(operation.value, old)) fill = filled(fill, key, operation.value, old)
  }
  let read = 0
  /** The lengths of the values as they are by then: a `get` sees what the list wrote before it. */
  const lengths = new Map<string, number>()
  return each(branch, operations, (operation) => {
    const { type, key } = operation
    if (type === 'get') {
      read += lengths.get(key) ?? items.get(key)?.value.length ?? 0
      if (read <= transactionBytesMax) return null
      const message = `the values that a transaction reads take at most ${transactionBytesMax} bytes`
      return limitExceeded('transactionBytes', transactionBytesMax, message)
    }
    const stale = operation.fence && staleness(state, operation.fence)
    if (stale) return stale
    lengths.set(key, type === 'set' ? operation.value.length : 0)
    const old = items.get(key)
    if (type === 'delete' || isSmaller(operation.value, old)) return null
    fill = filled(fill, key, operation.value, old)
    return overfull(fill)
  })
}

/** It makes room, wherever it stands in the list. */
function isSmaller({ length }: Uint8Array, old: Item | undefined): boolean {
  return old !== undefined && length < old.value.length
}

function perform(
  context: Context,
  caller: Caller,
  operation: TransactionOperation,
  fence: FenceCheck | null,
): TransactionResult {
  const { key } = operation
  switch (operation.type) {
    case 'set': {
      const { value, ephemeral } = operation
      place(context, key, { value, fence: operation.fence ?? fence, session: ephemeral ? caller.session : null })
      return { type: 'set' }
    }
    case 'delete':
      return { type: 'delete', existed: remove(context, key) }
    case 'get': {
      const item = context.state.store.items.get(key)
      return { type: 'get', record: item ? { value: item.value, revision: item.revision } : null }
    }
    default:
      return unreachable(operation)
  }
}

/** What is not there has the revision 0; of its value no comparison holds, not even that it differs (etcd, applyCompare). */
function holds(item: Item | undefined, comparison: Comparison): boolean {
  const { is } = comparison
  if ('value' in comparison) {
    const { value } = comparison
    return item !== undefined && isEqual(item.value, value) === (is === '=')
  }
  const { revision } = comparison
  const actual = item?.revision ?? 0
  switch (is) {
    case '=':
      return actual === revision
    case '!=':
      return actual !== revision
    case '<':
      return actual < revision
    case '>':
      return actual > revision
    default:
      return unreachable(is)
  }
}

function isEqual(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, i) => byte === b[i])
}

/** The first refusal, saying of which item it is. */
function each<T>(list: 'compare' | Branch, items: readonly T[], check: (item: T) => Outcome | null): Outcome | null {
  for (const [i, item] of items.entries()) {
    const refusal = check(item)
    if (refusal?.type !== 'failed') continue
    const { code, message, details } = refusal.failure
    const op = `${list}[${i}]`
    return { type: 'failed', failure: { code, message: `${op}: ${message}`, details: { ...details, op } } }
  }
  return null
}
