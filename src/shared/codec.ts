import { decode as decodeCbor, encode as encodeCbor, objectToTokens, type TagDecoder, Token, Type } from 'cborg'
import type { EncodeOptions, OptionalTypeEncoder, Reference, TokenOrNestedTokens } from 'cborg/interface'

/** Own CBOR tag: a string that UTF-8 would not bring back, as its UTF-16 code units, big end first. */
export const tagRawString = 41_000

/** Bytes of a plain structure: the same structure gives the same bytes on every peer (CBOR, shorter keys first). */
export function encode(value: unknown): Uint8Array {
  return encodeCbor(value, { typeEncoders: { string: encodeOddString, Object: encodeOddKeys } })
}

/** The structure back. Throws on anything that is not one well-formed item: callers at trust edges catch it. */
export function decode(bytes: Uint8Array): unknown {
  return decodeCbor(bytes, { rejectDuplicateMapKeys: true, allowIndefinite: false, tags })
}

/**
 * UTF-8 has no lone surrogates, and a text decoder swallows a byte order mark at the front. The names of locks and keys
 * may hold both: the Web Locks test-suite does it.
 */
export function isOddString(text: string): boolean {
  return text.charCodeAt(0) === 0xfeff || /\p{Surrogate}/u.test(text)
}

/** One string as CBOR tokens, so that exactly this string comes back. */
export function stringTokens(text: string): TokenOrNestedTokens {
  if (!isOddString(text)) return new Token(Type.string, text)
  const units = new Uint8Array(text.length * 2)
  for (let i = 0; i < text.length; i += 1) {
    const unit = text.charCodeAt(i)
    units[2 * i] = unit >> 8
    units[2 * i + 1] = unit & 0xff
  }
  return [new Token(Type.tag, tagRawString), new Token(Type.bytes, units)]
}

export const decodeRawString: TagDecoder = (content) => {
  const units = content()
  if (!(units instanceof Uint8Array) || units.length % 2 !== 0) throw new TypeError('a raw string is not UTF-16 units')
  let text = ''
  for (let i = 0; i < units.length; i += 2) {
    text += String.fromCharCode(((units[i] ?? 0) << 8) | (units[i + 1] ?? 0))
  }
  return text
}

const tags = { [tagRawString]: decodeRawString }

/** The order of strings on every peer: by UTF-16 code units, never by locale. */
export function compareStrings(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}

const encodeOddString: OptionalTypeEncoder = (text: string) => (isOddString(text) ? stringTokens(text) : null)

/** cborg sorts keys by their first token, which two tagged keys share: such a map is sorted here. */
const encodeOddKeys: OptionalTypeEncoder = (
  object: Readonly<Record<string, unknown>>,
  _type: string,
  options: EncodeOptions,
  stack?: Reference,
) => {
  const keys = Object.keys(object)
  if (!keys.some(isOddString)) return null
  keys.sort(compareStrings)
  return [
    new Token(Type.map, keys.length),
    ...keys.flatMap((key) => [stringTokens(key), objectToTokens(object[key], options, stack)]),
  ]
}
