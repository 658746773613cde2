import { describe, expect, it } from 'vitest'
import { decide, leading } from './majority.js'

describe('decide', () => {
  it.each<[(string | null)[], string | null]>([
    [[null], null],
    [['a'], 'a'],
    [['a', null], null],
    [['a', 'a'], 'a'],
    [['b', 'a'], 'a'],
    [['a', null, null], null],
    [['b', 'b', null], 'b'],
    [['a', 'b', null], null],
    [['c', 'b', 'a'], 'a'],
    [['b', 'b', 'a', null], null],
    [['b', 'b', 'a', 'c'], 'b'],
  ])('[N1] of %j is %j', (held, winner) => {
    expect(decide(held)).toBe(winner)
  })

  it('[N1] never changes its mind as more servers answer, in whatever order', () => {
    // All ways to give three ids to up to five servers, answered one after the other.
    for (let size = 1; size <= 5; size += 1) {
      for (let code = 0; code < 3 ** size; code += 1) {
        const full = Array.from({ length: size }, (_, index) => 'abc'.charAt(Math.floor(code / 3 ** index) % 3))
        const final = decide(full)
        for (let known = 0; known < 2 ** size; known += 1) {
          const partial = full.map((id, index) => (known & (1 << index) ? id : null))
          expect([null, final]).toContain(decide(partial))
        }
        expect(final).not.toBeNull()
      }
    }
  })
})

describe('leading', () => {
  it('is what most hold, the smallest of equals', () => {
    expect(leading([null, null])).toBeNull()
    expect(leading(['b', null, 'a'])).toBe('a')
    expect(leading(['b', 'b', 'a'])).toBe('b')
  })
})
