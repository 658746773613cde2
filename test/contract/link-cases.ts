/**
 * What every link keeps, as cases that know no test runner: link-contract.ts registers them with vitest, the browser spec
 * with Playwright.
 */

import assert from 'node:assert/strict'
import type { DownReason, Lane, Link, LinkListener, Network } from '../../src/network/link.js'
import { frameBytesMax } from '../../src/network/link.js'

/** Two networks, not listening yet, that will have one link between peers `peer-a` and `peer-b`. */
export interface LinkPair {
  readonly a: Network
  readonly b: Network
  teardown(): Promise<void> | void
  /** The links are elsewhere and answer later: what holds within one call cannot be seen. */
  readonly isRemote?: boolean
  /** Puts something that no link sends on the wire of a lane, as if `a` had sent it. Called once the link is up. */
  garbage?(lane: Lane): void
  /** What garbage does to the link: `lost` where only the other end can have sent it, `ignored` where anybody can. */
  readonly onGarbage?: 'lost' | 'ignored'
}

export interface LinkCase {
  readonly title: string
  readonly isFor?: (pair: LinkPair) => boolean
  run(pair: LinkPair): Promise<void>
}

const waitMs = 15_000

/** Hears everything, and lets a case wait for it. */
export class Witness implements LinkListener {
  readonly ups: Link[] = []
  readonly frames: { lane: Lane; frame: Uint8Array }[] = []
  readonly downs: DownReason[] = []
  readonly foreigners: [string, number][] = []
  onFrame: (link: Link) => void = () => {}
  readonly #over = new Set<Link>()
  #waiting: (() => void)[] = []

  up(link: Link): void {
    this.ups.push(link)
    this.#changed()
  }

  frame(link: Link, lane: Lane, frame: Uint8Array): void {
    assert.ok(this.ups.includes(link) && !this.#over.has(link), 'frames come between up and down')
    this.frames.push({ lane, frame: frame.slice() })
    this.onFrame(link)
    this.#changed()
  }

  down(link: Link, reason: DownReason): void {
    assert.ok(this.ups.includes(link) && !this.#over.has(link), 'down comes once, after up')
    this.#over.add(link)
    this.downs.push(reason)
    this.#changed()
  }

  foreign(peerId: string, version: number): void {
    this.foreigners.push([peerId, version])
    this.#changed()
  }

  of(lane: Lane): Uint8Array[] {
    return this.frames.filter((heard) => heard.lane === lane).map((heard) => heard.frame)
  }

  async until(what: string, holds: () => boolean): Promise<void> {
    const deadline = Date.now() + waitMs
    while (!holds()) {
      const left = deadline - Date.now()
      if (left <= 0) {
        const seen = `${this.ups.length} up, ${this.frames.length} frames, down [${this.downs}]`
        throw new Error(`waited ${waitMs} ms for ${what}; seen: ${seen}`)
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, Math.min(left, 200))
        this.#waiting.push(() => {
          clearTimeout(timer)
          resolve()
        })
      })
    }
  }

  #changed(): void {
    for (const resolve of this.#waiting.splice(0)) resolve()
  }
}

export async function linked(pair: Pick<LinkPair, 'a' | 'b'>): Promise<{ a: Witness; b: Witness; ab: Link; ba: Link }> {
  const a = new Witness()
  const b = new Witness()
  pair.a.listen(a)
  pair.b.listen(b)
  await a.until('a to be up', () => a.ups.length > 0)
  await b.until('b to be up', () => b.ups.length > 0)
  const [ab] = a.ups
  const [ba] = b.ups
  assert.ok(ab && ba)
  return { a, b, ab, ba }
}

/** Bytes that differ by seed and place, so that a piece out of place shows. */
export function frameOf(length: number, seed: number): Uint8Array<ArrayBuffer> {
  const frame = new Uint8Array(length)
  for (let i = 0; i < length; i += 1) frame[i] = (i * 31 + (i >> 8) * 17 + seed * 101 + 1) & 0xff
  return frame
}

function assertFrames(actual: Uint8Array[], expected: Uint8Array[]): void {
  assert.equal(actual.length, expected.length)
  for (const [i, frame] of expected.entries()) {
    const got = actual[i]
    assert.ok(
      got && Buffer.compare(got, frame) === 0,
      `frame ${i} of ${frame.byteLength} bytes, got ${got?.byteLength}`,
    )
  }
}

/** Time for what must not come. */
export const settle = (ms = 150): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

const mebibyte = 1024 * 1024

export const linkCases: readonly LinkCase[] = [
  {
    title: 'comes up once on each side, with the id of the other peer',
    async run(pair) {
      const { a, b, ab, ba } = await linked(pair)
      await settle()
      assert.deepEqual([a.ups.length, b.ups.length, a.downs.length, b.downs.length], [1, 1, 0, 0])
      assert.deepEqual([ab.peerId, ba.peerId], ['peer-b', 'peer-a'])
      assert.notEqual(ab.id, '')
    },
  },
  {
    title: 'keeps the frames of each lane whole and in order, in both directions',
    async run(pair) {
      const { a, b, ab, ba } = await linked(pair)
      const sizes = [0, 1, 2, 16_000, 16_383, 16_384, 16_385, 40_000, 5, 32_768, 100, 70_000]
      const control = sizes.map((size, i) => frameOf(size, i))
      const bulk = sizes.map((size, i) => frameOf(size * 3, i + 50))
      for (const [i, frame] of control.entries()) {
        ab.send('control', frame)
        ab.send('bulk', bulk[i] ?? frame)
        ba.send('bulk', frame)
      }
      await b.until('all frames at b', () => b.frames.length === 2 * sizes.length)
      await a.until('all frames at a', () => a.frames.length === sizes.length)
      assertFrames(b.of('control'), control)
      assertFrames(b.of('bulk'), bulk)
      assertFrames(a.of('bulk'), control)
    },
  },
  {
    title: 'carries bulk frames of 1 MiB and 3 MiB whole',
    async run(pair) {
      const { b, ab } = await linked(pair)
      const frames = [frameOf(mebibyte, 1), frameOf(3 * mebibyte, 2)]
      for (const frame of frames) ab.send('bulk', frame)
      await b.until('both frames', () => b.frames.length === 2)
      assertFrames(b.of('bulk'), frames)
    },
  },
  {
    title: 'does not let control wait for bulk that was sent before',
    async run(pair) {
      const { b, ab } = await linked(pair)
      for (let i = 0; i < 8; i += 1) ab.send('bulk', new Uint8Array(mebibyte))
      ab.send('control', frameOf(10, 1))
      await b.until('all frames', () => b.frames.length === 9)
      const place = b.frames.findIndex((heard) => heard.lane === 'control')
      assert.ok(place < 5, `control came after ${place} of 8 bulk frames`)
    },
  },
  {
    title: 'sends a view as its own bytes only',
    async run(pair) {
      const { b, ab } = await linked(pair)
      const whole = frameOf(1_000, 3)
      ab.send('control', whole.subarray(100, 200))
      ab.send('bulk', whole.subarray(500, 600))
      await b.until('both frames', () => b.frames.length === 2)
      assertFrames(b.of('control'), [whole.slice(100, 200)])
      assertFrames(b.of('bulk'), [whole.slice(500, 600)])
    },
  },
  {
    title: 'counts what is accepted and not handed on, down to nothing',
    isFor: (pair) => !pair.isRemote,
    async run(pair) {
      const { b, ab } = await linked(pair)
      assert.equal(ab.buffered('bulk'), 0)
      for (let i = 0; i < 4; i += 1) ab.send('bulk', new Uint8Array(mebibyte))
      assert.ok(ab.buffered('bulk') > 2 * mebibyte)
      await b.until('all frames', () => b.frames.length === 4)
      await settle(50)
      assert.equal(ab.buffered('bulk'), 0)
      assert.equal(ab.buffered('control'), 0)
    },
  },
  {
    title: '[M1] closed by one side: it hears local, the other remote, each once',
    async run(pair) {
      const { a, b, ab, ba } = await linked(pair)
      const closedAt = performance.now()
      ab.close('done')
      if (!pair.isRemote) assert.deepEqual(a.downs, ['local'], 'heard before close returns')
      ab.close('again')
      await b.until('b to be down', () => b.downs.length > 0)
      // News at once: no time-out is waited for, and the shortest of them is that of three pings.
      assert.ok(performance.now() - closedAt < 2_500, 'heard at once')
      ba.close('afterwards')
      await settle()
      assert.deepEqual([a.downs, b.downs], [['local'], ['remote']])
    },
  },
  {
    title: 'delivers the frames sent just before a close, as far as the wire takes them, and then the close',
    async run(pair) {
      const { b, ab } = await linked(pair)
      const frames = [1, 2, 3].map((seed) => frameOf(200, seed))
      for (const frame of frames) ab.send('control', frame)
      ab.close('done')
      await b.until('b to be down', () => b.downs.length > 0)
      assertFrames(b.of('control'), frames)
    },
  },
  {
    title: 'drops frames sent on a link that is down, without a word',
    async run(pair) {
      const { b, ab, ba } = await linked(pair)
      ab.close('done')
      ab.send('control', frameOf(10, 1))
      ab.send('bulk', frameOf(10, 1))
      await b.until('b to be down', () => b.downs.length > 0)
      ba.send('control', frameOf(10, 2))
      await settle()
      assert.equal(b.frames.length, 0)
      if (!pair.isRemote) assert.deepEqual([ab.buffered('control'), ab.buffered('bulk')], [0, 0])
    },
  },
  {
    title: 'says nothing more once closed inside a frame handler',
    isFor: (pair) => !pair.isRemote,
    async run(pair) {
      const { a, b, ab } = await linked(pair)
      b.onFrame = (link) => link.close('enough')
      for (let i = 0; i < 5; i += 1) ab.send('control', frameOf(50, i))
      await a.until('a to be down', () => a.downs.length > 0)
      await settle()
      assert.equal(b.frames.length, 1)
      assert.deepEqual([a.downs, b.downs], [['remote'], ['local']])
    },
  },
  {
    title: 'closes every link with its network, once',
    async run(pair) {
      const { a, b } = await linked(pair)
      pair.a.close()
      pair.a.close()
      await b.until('b to be down', () => b.downs.length > 0)
      await settle()
      assert.deepEqual([a.downs, b.downs], [['local'], ['remote']])
    },
  },
  {
    title: '[M1] gives the link up over an oversized frame, which neither side takes for a goodbye',
    async run(pair) {
      const { a, b, ab } = await linked(pair)
      ab.send('bulk', new Uint8Array(frameBytesMax + 1))
      assert.equal(a.downs.length, 0, 'never inside the call')
      await a.until('a to be down', () => a.downs.length > 0)
      await b.until('b to be down', () => b.downs.length > 0)
      assert.deepEqual([a.downs, b.downs, b.frames.length], [['lost'], ['lost'], 0])
    },
  },
  ...(['control', 'bulk'] as const).map(
    (lane): LinkCase => ({
      title: `survives garbage on the wire of ${lane}: nothing of it is delivered`,
      isFor: (pair) => pair.garbage !== undefined,
      async run(pair) {
        const { a, b, ab } = await linked(pair)
        pair.garbage?.(lane)
        if (pair.onGarbage === 'lost') {
          await b.until('b to be down', () => b.downs.length > 0)
          await a.until('a to be down', () => a.downs.length > 0)
          assert.deepEqual([a.downs, b.downs, b.frames.length], [['lost'], ['lost'], 0])
        } else {
          ab.send(lane, frameOf(100, 1))
          await b.until('the frame', () => b.frames.length > 0)
          await settle()
          assert.deepEqual([a.downs, b.downs, b.frames.length], [[], [], 1])
        }
      },
    }),
  ),
]
