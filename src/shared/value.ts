import { decode as decodeCbor, encode as encodeCbor, type TagDecoder, Token, Type } from 'cborg'
import type { TokenOrNestedTokens } from 'cborg/interface'
import { compareStrings, decodeRawString, stringTokens, tagRawString } from './codec.js'

/**
 * What may travel: JSON and what structured clone adds to it, without cycles. Objects are plain objects (own enumerable
 * string keys, sorted; a symbol key or an accessor's nature is not kept); a Map and a Set keep their order, which is
 * part of their value; an object found at two places comes back as two. `DataView`, `SharedArrayBuffer`, errors, regular
 * expressions, boxed primitives and instances of classes are refused.
 */
export type Value =
  | undefined
  | null
  | boolean
  | number
  | string
  | bigint
  | Date
  | ArrayBuffer
  | TypedArray
  | readonly Value[]
  | { readonly [key: string]: Value }
  | ReadonlyMap<Value, Value>
  | ReadonlySet<Value>

/**
 * T, if it may travel though it is no `Value` by itself: an interface, which to TypeScript has no index signature, is looked at member by member.
 * What cannot travel in it is `never`, so that the error names the member.
 */
export type Storable<T> = T extends Value
  ? T
  : T extends (...parameters: never) => unknown
    ? never
    : T extends ReadonlyMap<infer K, infer V>
      ? ReadonlyMap<Storable<K>, Storable<V>>
      : T extends ReadonlySet<infer V>
        ? ReadonlySet<Storable<V>>
        : T extends object
          ? { [K in keyof T]: Storable<T[K]> }
          : never

export type TypedArray =
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array
  | BigInt64Array
  | BigUint64Array

/** Deepest nesting of a value, so that every peer's stack is large enough to decode it. */
export const valueDepthMax = 256

/** Far above what `valueBytesMax` lets through: a sparse array could be long without taking any memory. */
const arrayLengthMax = 2 ** 22

/** Of RFC 8949, RFC 8746 (little-endian, as every platform of ours is) and the IANA registry; the last two are our own. */
const tag = { bigint: 2, negativeBigint: 3, set: 258, map: 259, arrayBuffer: 41_001, date: 41_002 } as const

type Builder = (buffer: ArrayBuffer) => TypedArray
/** `Uint8Array` is CBOR's own byte string and needs no tag. */
const typedArrays: ReadonlyMap<string, { readonly tag: number; readonly build: Builder }> = new Map([
  ['Uint8ClampedArray', { tag: 68, build: (buffer): TypedArray => new Uint8ClampedArray(buffer) }],
  ['Uint16Array', { tag: 69, build: (buffer): TypedArray => new Uint16Array(buffer) }],
  ['Uint32Array', { tag: 70, build: (buffer): TypedArray => new Uint32Array(buffer) }],
  ['BigUint64Array', { tag: 71, build: (buffer): TypedArray => new BigUint64Array(buffer) }],
  ['Int8Array', { tag: 72, build: (buffer): TypedArray => new Int8Array(buffer) }],
  ['Int16Array', { tag: 77, build: (buffer): TypedArray => new Int16Array(buffer) }],
  ['Int32Array', { tag: 78, build: (buffer): TypedArray => new Int32Array(buffer) }],
  ['BigInt64Array', { tag: 79, build: (buffer): TypedArray => new BigInt64Array(buffer) }],
  ['Float32Array', { tag: 85, build: (buffer): TypedArray => new Float32Array(buffer) }],
  ['Float64Array', { tag: 86, build: (buffer): TypedArray => new Float64Array(buffer) }],
] satisfies [string, { tag: number; build: Builder }][])

/**
 * Canonical bytes: equal values give equal bytes on every peer. Throws a TypeError that names the place and what stands
 * there. The size of the result is the caller's to check (`valueBytesMax`).
 */
export function encodeValue(value: unknown, name = 'value'): Uint8Array {
  const tokens = toTokens(value, name, [])
  return encodeCbor(null, { typeEncoders: { null: () => tokens } })
}

/** The value back. Throws on anything that is not the encoding of exactly one value. */
export function decodeValue(bytes: Uint8Array): Value {
  return decodeCbor(bytes, {
    strict: true,
    allowIndefinite: false,
    allowBigInt: false,
    rejectDuplicateMapKeys: true,
    tags: tagDecoders,
  })
}

function toTokens(value: unknown, path: string, parents: readonly object[]): TokenOrNestedTokens {
  switch (typeof value) {
    case 'undefined':
      return new Token(Type.undefined, undefined)
    case 'boolean':
      return value ? new Token(Type.true, true) : new Token(Type.false, false)
    case 'number':
      return numberToken(value)
    case 'string':
      return stringTokens(value)
    case 'bigint':
      return bigintTokens(value)
    case 'object':
      return value === null ? new Token(Type.null, null) : objectTokens(value, path, parents)
    default:
      return refuse(path, `a ${typeof value}`)
  }
}

function objectTokens(value: object, path: string, parents: readonly object[]): TokenOrNestedTokens {
  if (parents.includes(value)) return refuse(path, 'a cycle')
  if (parents.length >= valueDepthMax) return refuse(path, `nested deeper than ${valueDepthMax}`)
  const inside = [...parents, value]
  if (Array.isArray(value)) {
    if (value.length > arrayLengthMax) return refuse(path, `an array of ${value.length} items`)
    // By index: a hole is `undefined`, and what else an array carries is not part of it.
    const items = Array.from(value, (item, i) => toTokens(item, `${path}[${i}]`, inside))
    return [new Token(Type.array, items.length), items]
  }
  if (ArrayBuffer.isView(value)) return viewTokens(value, path)
  // Not `instanceof`: a value may come from another realm, such as a frame.
  const brand = Object.prototype.toString.call(value).slice(8, -1)
  switch (brand) {
    case 'Date':
      return [new Token(Type.tag, tag.date), numberToken(Date.prototype.getTime.call(value))]
    case 'ArrayBuffer':
      return [new Token(Type.tag, tag.arrayBuffer), new Token(Type.bytes, copyOf(value))]
    case 'Map':
      return mapTokens(value, path, inside)
    case 'Set':
      return setTokens(value, path, inside)
    case 'Object':
      return plainTokens(value, path, inside)
    default:
      return refuse(path, article(brand))
  }
}

/** Throws a TypeError for an object that only calls itself an ArrayBuffer. */
function copyOf(value: object): Uint8Array {
  return new Uint8Array(ArrayBuffer.prototype.slice.call(value as ArrayBuffer, 0))
}

function plainTokens(value: object, path: string, inside: readonly object[]): TokenOrNestedTokens {
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== null && Object.getPrototypeOf(prototype) !== null) {
    return refuse(path, `an instance of ${nameOfClass(prototype)}`)
  }
  const entries = Object.entries(value).sort(([a], [b]) => compareStrings(a, b))
  return [
    new Token(Type.map, entries.length),
    ...entries.map(([key, item]) => [stringTokens(key), toTokens(item, pathOf(path, key), inside)]),
  ]
}

function mapTokens(value: object, path: string, inside: readonly object[]): TokenOrNestedTokens {
  const entries = [...Map.prototype.entries.call(value)]
  return [
    new Token(Type.tag, tag.map),
    new Token(Type.array, entries.length * 2),
    ...entries.map(([key, item], i) => [
      toTokens(key, `${path}[map key ${i}]`, inside),
      toTokens(item, `${path}[map value ${i}]`, inside),
    ]),
  ]
}

function setTokens(value: object, path: string, inside: readonly object[]): TokenOrNestedTokens {
  const items = [...Set.prototype.values.call(value)]
  return [
    new Token(Type.tag, tag.set),
    new Token(Type.array, items.length),
    ...items.map((item, i) => toTokens(item, `${path}[set item ${i}]`, inside)),
  ]
}

function viewTokens(view: ArrayBufferView, path: string): TokenOrNestedTokens {
  const brand = Object.prototype.toString.call(view).slice(8, -1)
  const bytes = new Token(Type.bytes, new Uint8Array(view.buffer, view.byteOffset, view.byteLength))
  if (brand === 'Uint8Array') return bytes
  const typed = typedArrays.get(brand)
  return typed ? [new Token(Type.tag, typed.tag), bytes] : refuse(path, article(brand))
}

function numberToken(value: number): Token {
  if (!Number.isSafeInteger(value) || Object.is(value, -0)) return new Token(Type.float, value)
  return new Token(value < 0 ? Type.negint : Type.uint, value)
}

function bigintTokens(value: bigint): TokenOrNestedTokens {
  const digits = (value < 0n ? -1n - value : value).toString(16)
  const even = digits.length % 2 === 0 ? digits : `0${digits}`
  const bytes = Uint8Array.from({ length: even.length / 2 }, (_, i) =>
    Number.parseInt(even.slice(2 * i, 2 * i + 2), 16),
  )
  return [new Token(Type.tag, value < 0n ? tag.negativeBigint : tag.bigint), new Token(Type.bytes, bytes)]
}

function refuse(path: string, what: string): never {
  throw new TypeError(`${path} is ${what}: not a value`)
}

function article(noun: string): string {
  return `${/^[AEIOU]/.test(noun) ? 'an' : 'a'} ${noun}`
}

function nameOfClass(prototype: unknown): string {
  const made: unknown = (prototype as { constructor?: unknown }).constructor
  return typeof made === 'function' && made.name ? made.name : 'a class'
}

function pathOf(path: string, key: string): string {
  return /^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`
}

const tagDecoders: { readonly [tag: number]: TagDecoder } = {
  [tagRawString]: decodeRawString,
  [tag.bigint]: (content) => decodeBigint(bytesOf(content())),
  [tag.negativeBigint]: (content) => -1n - decodeBigint(bytesOf(content())),
  [tag.date]: (content) => {
    const time = content()
    if (typeof time !== 'number') throw new TypeError('a date is not a number')
    return new Date(time)
  },
  [tag.arrayBuffer]: (content) => bufferOf(content()),
  [tag.set]: (content) => {
    const items = itemsOf(content())
    const set = new Set(items)
    if (set.size !== items.length) throw new TypeError('a set holds an item twice')
    return set
  },
  [tag.map]: (content) => decodeMap(itemsOf(content())),
  ...Object.fromEntries(
    [...typedArrays.values()].map(({ tag, build }): [number, TagDecoder] => [
      tag,
      (content) => build(bufferOf(content())),
    ]),
  ),
}

function decodeMap(items: readonly unknown[]): Map<unknown, unknown> {
  const map = new Map<unknown, unknown>()
  for (let i = 0; i < items.length; i += 2) map.set(items[i], items[i + 1])
  if (map.size * 2 !== items.length) throw new TypeError('a map holds a key twice or half an entry')
  return map
}

function decodeBigint(bytes: Uint8Array): bigint {
  const digits = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('')
  return BigInt(`0x${digits || '0'}`)
}

function itemsOf(content: unknown): readonly unknown[] {
  if (!Array.isArray(content)) throw new TypeError('a collection is not a list')
  return content
}

function bytesOf(content: unknown): Uint8Array {
  if (!(content instanceof Uint8Array)) throw new TypeError('a tagged item is not bytes')
  return content
}

/** A buffer of its own, of exactly these bytes. */
function bufferOf(content: unknown): ArrayBuffer {
  const copy = new Uint8Array(bytesOf(content))
  return copy.buffer
}
