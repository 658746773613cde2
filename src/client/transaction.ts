/** `store.transact`: what it takes and gives. */
import type { Answers } from '../host/page.js'
import type { Comparison, TransactionOperation } from '../machine/store/command.js'
import { itemSize, transactionBytesMax, transactionOpsMax } from '../machine/store/limits.js'
import { decodeValue, type Value } from '../shared/value.js'
import { checkObject, typeOf } from './arguments.js'
import { LimitExceededError } from './errors.js'
import type { Revised, SetOptions, WriteOptions } from './store.js'
import { checkFence, checkKey, checkRevision, checkValue } from './store-arguments.js'

/**
 * What a key must be. By revision, that of its last write, 0 if it is not there; by value, as for `compareAndSet`, where of a key that is
 * not there nothing holds, not even `!=` (as in etcd); or by whether it is there. `is` is `=` unless said.
 */
export type Compare =
  | {
      readonly key: string
      readonly revision: number
      readonly is?: '=' | '!=' | '<' | '>'
      readonly value?: never
      readonly exists?: never
    }
  | {
      readonly key: string
      readonly value: Value
      readonly is?: '=' | '!='
      readonly revision?: never
      readonly exists?: never
    }
  | {
      readonly key: string
      readonly exists: boolean
      readonly is?: never
      readonly revision?: never
      readonly value?: never
    }

/** Each as the method of that name does it, in the order of the list: `get` sees what stands before it. */
export type Operation =
  | ({
      readonly set: string
      readonly value: Value
      readonly delete?: never
      readonly get?: never
    } & Readonly<Omit<SetOptions, 'whenNoQuorum'>>)
  | ({ readonly delete: string; readonly set?: never; readonly get?: never } & Readonly<
      Omit<WriteOptions, 'whenNoQuorum'>
    >)
  | { readonly get: string; readonly set?: never; readonly delete?: never }

/** Each list has at most 128 items; all keys and values together take at most 256 KiB, and so do the values that are read. */
export interface Transaction {
  /** All have to hold. None: they do. */
  readonly compare?: readonly Compare[]
  /** Done if they hold. */
  readonly then?: readonly Operation[]
  /** Done if they do not. */
  readonly else?: readonly Operation[]
}

/** What became of one operation. */
export type OperationResult =
  | { readonly set: string; readonly revision: number }
  | { readonly delete: string; readonly existed: boolean }
  | { readonly get: string; readonly found: Revised<Value> | undefined }

export interface TransactionOutcome {
  /** Whether the comparisons held, and so which of the lists was done. */
  readonly succeeded: boolean
  /** The index of the transaction: the revision of each key that it set. */
  readonly revision: number
  /** Of the list that was done, in its order. */
  readonly results: readonly OperationResult[]
}

export interface Checked {
  readonly compare: readonly Comparison[]
  readonly success: readonly TransactionOperation[]
  readonly failure: readonly TransactionOperation[]
}

export function checkTransaction(ops: unknown): Checked {
  const given = checkObject(ops, 'ops')
  const { compare, success, failure } = {
    compare: listOf(given['compare'], 'ops.compare'),
    success: listOf(given['then'], 'ops.then'),
    failure: listOf(given['else'], 'ops.else'),
  }
  const checked: Checked = {
    compare: compare.map((one, i) => checkCompare(checkObject(one, `ops.compare[${i}]`), `ops.compare[${i}]`)),
    success: checkOperations(success, 'ops.then'),
    failure: checkOperations(failure, 'ops.else'),
  }
  const parts = [...checked.compare, ...checked.success, ...checked.failure]
  const bytes = parts.reduce((sum, part) => sum + itemSize(part.key, 'value' in part ? part.value : nothing), 0)
  if (bytes <= transactionBytesMax) return checked
  const message = `ops: expected at most ${transactionBytesMax} bytes of keys and values, got ${bytes}`
  throw new LimitExceededError(message, 'transactionBytes', transactionBytesMax)
}

const nothing = new Uint8Array()

type Given = Readonly<Record<string, unknown>>

function checkCompare(given: Given, at: string): Comparison {
  const key = checkKey(given['key'], `${at}.key`)
  const kinds = ['revision', 'value', 'exists'].filter((kind) => kind in given)
  const [kind] = kinds
  if (kinds.length !== 1 || kind === undefined) {
    const got = kinds.length === 0 ? 'none of them' : kinds.join(' and ')
    throw new TypeError(`${at}: expected one of revision, value and exists, got ${got}`)
  }
  const { is = '=' } = given
  // Read once: it may be an accessor.
  const what = given[kind]
  if (kind === 'exists') {
    if (typeof what !== 'boolean') throw new TypeError(`${at}.exists: expected a boolean, got ${typeOf(what)}`)
    if ('is' in given) throw new TypeError(`${at}.is: expected nothing beside exists`)
    return { key, is: what ? '!=' : '=', revision: 0 }
  }
  if (is === '=' || is === '!=') {
    return kind === 'value'
      ? { key, is, value: checkValue(what, `${at}.value`) }
      : { key, is, revision: checkRevision(what, `${at}.revision`) }
  }
  if (kind === 'revision' && (is === '<' || is === '>')) {
    return { key, is, revision: checkRevision(what, `${at}.revision`) }
  }
  const comparisons = kind === 'value' ? "'=' or '!='" : "'=', '!=', '<' or '>'"
  throw new TypeError(`${at}.is: expected ${comparisons}, got ${String(is)}`)
}

function checkOperations(given: readonly unknown[], list: string): TransactionOperation[] {
  const written = new Set<string>()
  return given.map((one, i) => {
    const operation = checkOperation(checkObject(one, `${list}[${i}]`), `${list}[${i}]`)
    const { type, key } = operation
    if (type !== 'get' && written.has(key)) {
      const shown = JSON.stringify(key.slice(0, 100))
      throw new TypeError(`${list}[${i}].${type}: the key ${shown} is written twice in one list`)
    }
    if (type !== 'get') written.add(key)
    return operation
  })
}

function checkOperation(given: Given, at: string): TransactionOperation {
  const kinds = ['set', 'delete', 'get'].filter((kind) => kind in given)
  const [kind] = kinds
  if (kinds.length !== 1 || kind === undefined) {
    const got = kinds.length === 0 ? 'none of them' : kinds.join(' and ')
    throw new TypeError(`${at}: expected one of set, delete and get, got ${got}`)
  }
  const key = checkKey(given[kind], `${at}.${kind}`)
  if (kind === 'get') return { type: 'get', key }
  const fence = checkFence(given['fence'], `${at}.fence`)
  if (kind === 'delete') return { type: 'delete', key, fence }
  if (!('value' in given)) throw new TypeError(`${at}.value: expected a value, got nothing`)
  const value = checkValue(given['value'], `${at}.value`)
  return { type: 'set', key, value, fence, ephemeral: Boolean(given['ephemeral']) }
}

function listOf(given: unknown, at: string): readonly unknown[] {
  if (given === undefined) return []
  if (!Array.isArray(given)) throw new TypeError(`${at}: expected an array, got ${typeOf(given)}`)
  if (given.length <= transactionOpsMax) return Array.from(given)
  const message = `${at}: expected at most ${transactionOpsMax} items, got ${given.length}`
  throw new LimitExceededError(message, 'transactionOps', transactionOpsMax)
}

/** The machine's answer in the caller's words. */
export function outcomeOf(
  { success, failure }: Checked,
  { succeeded, revision, results }: Answers['store.transact'],
): TransactionOutcome {
  const operations = succeeded ? success : failure
  return {
    succeeded,
    revision,
    results: operations.map(({ key }, i): OperationResult => {
      const result = results[i]
      if (result?.type === 'get') {
        const { record } = result
        const found = record ? { value: decodeValue(record.value), revision: record.revision } : undefined
        return { get: key, found }
      }
      return result?.type === 'delete' ? { delete: key, existed: result.existed } : { set: key, revision }
    }),
  }
}
