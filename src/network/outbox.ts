/**
 * The waiting frames of one lane of a link: cut as late as possible, handed out while the wire takes more. A lane never
 * waits for another one (PLATFORM 32: heartbeats must not queue behind snapshots).
 */

import { cut } from './framing.js'

/** What may wait in one lane. A peer that takes less than it is sent loses its link instead of our memory. */
export const laneBytesMax = 64 * 1024 * 1024

export class Outbox {
  readonly #pieceBytes: number
  #frames: Uint8Array[] = []
  #pieces: Generator<Uint8Array<ArrayBuffer>, void> | undefined
  /** Invariant: bytes of the frames in `#frames` and of what is left of the one being cut, without heads. */
  #bytes = 0
  #left = 0

  constructor(pieceBytes: number) {
    this.#pieceBytes = pieceBytes
  }

  get bytes(): number {
    return this.#bytes
  }

  /** False: the lane is full. The frame belongs to the outbox from here: its bytes must not change. */
  add(frame: Uint8Array): boolean {
    if (this.#bytes + frame.byteLength > laneBytesMax) return false
    this.#frames.push(frame)
    this.#bytes += frame.byteLength
    return true
  }

  /** The next piece in order, or undefined when nothing waits. */
  next(): Uint8Array<ArrayBuffer> | undefined {
    for (;;) {
      const piece = this.#pieces?.next()
      if (piece && !piece.done) {
        const body = Math.min(this.#left, piece.value.byteLength - 1)
        this.#left -= body
        this.#bytes -= body
        return piece.value
      }
      this.#bytes -= this.#left
      this.#left = 0
      const frame = this.#frames.shift()
      if (!frame) {
        this.#pieces = undefined
        return undefined
      }
      this.#left = frame.byteLength
      this.#pieces = cut(frame, this.#pieceBytes)
    }
  }

  clear(): void {
    this.#frames = []
    this.#pieces = undefined
    this.#bytes = 0
    this.#left = 0
  }
}
