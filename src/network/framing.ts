/**
 * Frames on a wire that carries small messages in order: a frame is cut into pieces with a head of one byte, and joined
 * again at the other end. Knows nothing of channels or lanes; each lane of a link has a joiner of its own (PLATFORM 31, 33).
 *
 *   whole  | body
 *   first  | length of the frame, 4 bytes, big-endian | body
 *   middle | body
 *   last   | body
 *   abort  |                the sender gives the link up: it is lost, not closed (M1 would count a close as a goodbye)
 */

import { frameBytesMax, pieceBytesMax } from './link.js'

const head = { whole: 0, first: 1, middle: 2, last: 3, abort: 4 } as const
const headBytes = 1
const lengthBytes = 4

/** The piece that tells the other end that this link is given up. */
export function abortPiece(): Uint8Array<ArrayBuffer> {
  return Uint8Array.of(head.abort)
}

/** The pieces of one frame, made one at a time so that a large frame is never held twice. */
export function* cut(frame: Uint8Array, pieceBytes: number = pieceBytesMax): Generator<Uint8Array<ArrayBuffer>, void> {
  if (frame.byteLength + headBytes <= pieceBytes) {
    yield piece(head.whole, frame)
    return
  }
  let at = pieceBytes - headBytes - lengthBytes
  const first = new Uint8Array(pieceBytes)
  first[0] = head.first
  new DataView(first.buffer).setUint32(headBytes, frame.byteLength)
  first.set(frame.subarray(0, at), headBytes + lengthBytes)
  yield first
  const bodyBytes = pieceBytes - headBytes
  for (; frame.byteLength - at > bodyBytes; at += bodyBytes)
    yield piece(head.middle, frame.subarray(at, at + bodyBytes))
  yield piece(head.last, frame.subarray(at))
}

function piece(kind: number, body: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(headBytes + body.byteLength)
  bytes[0] = kind
  bytes.set(body, headBytes)
  return bytes
}

export type Joined =
  | { readonly type: 'frame'; readonly frame: Uint8Array }
  | { readonly type: 'partial' }
  | { readonly type: 'refused'; readonly reason: string }

/**
 * Joins the pieces of one lane. Never throws; after a refusal everything is refused, since the stream has lost its place.
 * Memory follows what has arrived (at most twice that), not what a first piece announces.
 */
export class Joiner {
  readonly #frameBytesMax: number
  readonly #pieceBytesMax: number
  /** Invariant: holds the first `#filled` of `#length` bytes; undefined between frames. */
  #buffer: Uint8Array | undefined
  #filled = 0
  #length = 0
  #refusal: string | undefined

  constructor(limits: { frameBytesMax?: number; pieceBytesMax?: number } = {}) {
    this.#frameBytesMax = limits.frameBytesMax ?? frameBytesMax
    this.#pieceBytesMax = limits.pieceBytesMax ?? pieceBytesMax
  }

  /** A whole frame may be a view on the piece: the caller gives the piece away. */
  push(bytes: Uint8Array): Joined {
    if (this.#refusal !== undefined) return { type: 'refused', reason: this.#refusal }
    if (bytes.byteLength > this.#pieceBytesMax) {
      return this.#refuse(`a piece of ${bytes.byteLength} bytes, at most ${this.#pieceBytesMax} expected`)
    }
    switch (bytes[0]) {
      case head.whole:
        return this.#onWhole(bytes.subarray(headBytes))
      case head.first:
        return this.#onFirst(bytes)
      case head.middle:
        return this.#onMore(bytes.subarray(headBytes), false)
      case head.last:
        return this.#onMore(bytes.subarray(headBytes), true)
      case head.abort:
        return this.#refuse('given up by the other side')
      default:
        return this.#refuse(`a piece with the head ${bytes[0] ?? 'missing'}`)
    }
  }

  #onWhole(body: Uint8Array): Joined {
    if (this.#buffer) return this.#refuse('a whole frame inside another')
    if (body.byteLength > this.#frameBytesMax) return this.#refuse(`a frame of ${body.byteLength} bytes`)
    return { type: 'frame', frame: body }
  }

  #onFirst(bytes: Uint8Array): Joined {
    if (this.#buffer) return this.#refuse('a first piece inside another frame')
    if (bytes.byteLength <= headBytes + lengthBytes) return this.#refuse('a first piece without a body')
    const length = new DataView(bytes.buffer, bytes.byteOffset).getUint32(headBytes)
    if (length > this.#frameBytesMax) {
      return this.#refuse(`a frame of ${length} bytes, at most ${this.#frameBytesMax} expected`)
    }
    this.#length = length
    this.#filled = 0
    this.#buffer = new Uint8Array(0)
    return this.#onMore(bytes.subarray(headBytes + lengthBytes), false)
  }

  #onMore(body: Uint8Array, isLast: boolean): Joined {
    if (!this.#buffer) return this.#refuse('a later piece without a first one')
    if (body.byteLength === 0) return this.#refuse('an empty piece')
    const filled = this.#filled + body.byteLength
    // Exactly the last piece completes a frame: anything else means that a piece is missing or was never ours.
    if (isLast ? filled !== this.#length : filled >= this.#length) {
      return this.#refuse(`${filled} of ${this.#length} bytes after ${isLast ? 'the last' : 'a middle'} piece`)
    }
    const buffer = this.#roomFor(this.#buffer, filled)
    buffer.set(body, this.#filled)
    this.#buffer = isLast ? undefined : buffer
    this.#filled = filled
    return isLast ? { type: 'frame', frame: buffer } : { type: 'partial' }
  }

  #roomFor(buffer: Uint8Array, bytes: number): Uint8Array {
    if (bytes <= buffer.byteLength) return buffer
    const grown = new Uint8Array(Math.min(this.#length, Math.max(bytes, 2 * buffer.byteLength)))
    grown.set(buffer.subarray(0, this.#filled))
    return grown
  }

  #refuse(reason: string): Joined {
    this.#refusal = reason
    this.#buffer = undefined
    return { type: 'refused', reason }
  }
}
