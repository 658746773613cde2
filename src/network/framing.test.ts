import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { abortPiece, cut, type Joined, Joiner } from './framing.js'
import { frameBytesMax, pieceBytesMax } from './link.js'

function joinAll(pieces: Iterable<Uint8Array>, joiner = new Joiner()): Joined[] {
  return [...pieces].map((piece) => joiner.push(piece))
}

function frames(joined: Joined[]): Uint8Array[] {
  return joined.flatMap((one) => (one.type === 'frame' ? [one.frame] : []))
}

const filled = (length: number) => Uint8Array.from({ length }, (_, i) => (i * 7 + (i >> 8)) & 0xff)

describe('framing', () => {
  it('joins what it cut, at every size around a piece, and no piece is larger than allowed', () => {
    const sizes = [0, 1, pieceBytesMax - 2, pieceBytesMax - 1, pieceBytesMax, pieceBytesMax + 1, 5 * pieceBytesMax]
    for (const size of sizes) {
      const frame = filled(size)
      const pieces = [...cut(frame)]
      expect(Math.max(...pieces.map((piece) => piece.byteLength))).toBeLessThanOrEqual(pieceBytesMax)
      expect(frames(joinAll(pieces))).toEqual([frame])
    }
  })

  it('joins any sequence of frames with any size of piece', () => {
    const property = fc.property(
      fc.array(fc.uint8Array({ maxLength: 500 }), { maxLength: 10 }),
      fc.integer({ min: 7, max: 64 }),
      (all, pieceBytes) => {
        const pieces = all.flatMap((frame) => [...cut(frame, pieceBytes)])
        expect(frames(joinAll(pieces)).map((frame) => [...frame])).toEqual(all.map((frame) => [...frame]))
      },
    )
    fc.assert(property, { numRuns: 200 })
  })

  it('never throws, delivers at most what came, and refuses for ever after a refusal, whatever comes', () => {
    const piece = fc.oneof(
      fc.uint8Array({ maxLength: 40 }),
      fc
        .tuple(fc.integer({ min: 0, max: 5 }), fc.uint8Array({ maxLength: 40 }))
        .map(([head, body]) => Uint8Array.of(head, ...body)),
    )
    const property = fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
      const joined = joinAll(pieces, new Joiner({ frameBytesMax: 100 }))
      const refused = joined.findIndex((one) => one.type === 'refused')
      if (refused >= 0) expect(joined.slice(refused).every((one) => one.type === 'refused')).toBe(true)
      const bytes = frames(joined).reduce((sum, frame) => sum + frame.byteLength, 0)
      expect(bytes).toBeLessThanOrEqual(pieces.reduce((sum, one) => sum + one.byteLength, 0))
    })
    fc.assert(property, { numRuns: 500 })
  })

  it('refuses a missing, a repeated and a foreign piece', () => {
    const pieces = [...cut(filled(100), 20)]
    const without = pieces.filter((_, i) => i !== 2)
    expect(joinAll(without).at(-1)?.type).toBe('refused')
    const twice = pieces.flatMap((piece, i) => (i === 2 ? [piece, piece] : [piece]))
    expect(joinAll(twice).at(-1)?.type).toBe('refused')
    for (const bytes of [[], [9, 1], [2, 1], [3, 1], [1, 0, 0, 0, 1], [1, 0, 0]]) {
      expect(new Joiner().push(Uint8Array.from(bytes)).type).toBe('refused')
    }
  })

  it('refuses an announced length and a piece above the limit before it keeps anything', () => {
    const announced = new Uint8Array(10)
    announced[0] = 1
    new DataView(announced.buffer).setUint32(1, frameBytesMax + 1)
    expect(new Joiner().push(announced)).toMatchObject({ type: 'refused' })
    expect(new Joiner().push(new Uint8Array(pieceBytesMax + 1))).toMatchObject({ type: 'refused' })
  })

  it('[M1] takes an abort anywhere, also inside a frame', () => {
    const [first] = cut(filled(100), 20)
    if (!first) throw new Error('no piece')
    expect(joinAll([first, abortPiece()]).map((one) => one.type)).toEqual(['partial', 'refused'])
  })
})
