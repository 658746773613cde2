import { describe, expect, it } from 'vitest'
import type { Operation } from '../../src/simulation/linearizability/history.js'
import { judge } from './judge.js'

type Mode = 'exclusive' | 'shared'

const acquire = (
  client: string,
  token: number,
  [call, end]: [number, number],
  mode: Mode = 'exclusive',
): Operation => ({
  ...{ client, op: 'acquire', key: 'alpha', input: { mode }, output: { token }, call, return: end },
})
/** `certain`: the last moment at which the client read `held`. */
const release = (client: string, token: number, [certain, end]: [number, number | null]): Operation => ({
  ...{ client, op: 'release', key: 'alpha', input: { token }, output: null, call: certain, return: end },
})
const set = (client: string, key: string, value: string, [call, end]: [number, number | null]): Operation => ({
  ...{ client, op: 'set', key, input: { value }, output: end === null ? null : {}, call, return: end },
})
const get = (client: string, key: string, value: string | null, [call, end]: [number, number]): Operation => ({
  ...{ client, op: 'get', key, input: null, output: value === null ? null : { value }, call, return: end },
})

const good: Operation[] = [
  acquire('a', 1, [0, 10]),
  release('a', 1, [50, 60]),
  acquire('b', 2, [5, 55]),
  release('b', 2, [70, null]),
  acquire('c', 3, [65, 90], 'shared'),
  acquire('d', 3, [65, 90], 'shared'),
  release('c', 3, [99, 100]),
  set('a', 'a 0', 'one', [0, 10]),
  set('b', 'b 0', 'two', [0, null]),
  get('c', 'a 0', 'one', [20, 30]),
  get('c', 'b 0', null, [20, 30]),
]

function violationsOf(...more: Operation[]): string[] {
  return [...judge([...good, ...more]).violations]
}

describe('the judges of browser chaos', () => {
  it('acquit what a room may do: holds in turn, shares, and a write that nobody knows the end of', () => {
    expect(judge(good)).toEqual({ violations: [], undecided: [] })
  })

  it('convict two who read `held` at the same time, whatever their tokens say', () => {
    const violations = violationsOf(acquire('e', 9, [20, 30]), release('e', 9, [40, 45]))
    expect(violations[0]).toBe(
      'held at once: a (alpha, exclusive, 1, from 10 to 50) and e (alpha, exclusive, 9, from 30 to 40)',
    )
    expect(violations.some((text) => text.startsWith('not linearizable: lock "alpha"'))).toBe(true)
  })

  it('convict a share beside an exclusive hold', () => {
    const [violation] = violationsOf(acquire('e', 9, [20, 30], 'shared'), release('e', 9, [40, 45]))
    expect(violation).toContain('held at once')
  })

  it('[T1] convict a token that was given twice, and one that went back', () => {
    expect(violationsOf(acquire('e', 2, [200, 210]))[0]).toContain('tokens do not rise: b (alpha, exclusive, 2,')
    expect(violationsOf(acquire('e', 1, [200, 210]))).toContainEqual(expect.stringContaining('tokens do not rise: b'))
  })

  it('[T2] convict a write under a token that was not the newest any more', () => {
    const write = set('a', 'register', 'late', [92, 95])
    const fenced = (token: number) => ({ ...write, input: { value: 'late', fence: { name: 'alpha', token } } })
    const later = [release('d', 3, [95, 96]), acquire('e', 4, [101, 110]), release('e', 4, [120, 130])]
    expect(violationsOf(...later, { ...fenced(3), call: 105 })).toEqual([])
    const [violation] = violationsOf(...later, { ...fenced(3), call: 112, return: 115 })
    expect(violation).toBe('a wrote register under 3 at 112, after e (alpha, exclusive, 4, from 110 to 120)')
  })

  it('convict the loss of an acknowledged write, by its key', () => {
    const violations = violationsOf(get('c', 'a 0', null, [110, 120]))
    expect(violations[0]).toBe('lost: a wrote "one" to a 0 until 10, and at 110 there is null')
    expect(violations.some((text) => text.startsWith('not linearizable: register "a 0"'))).toBe(true)
  })

  it('convict a read of what was overwritten before', () => {
    const stale = [set('a', 'r', 'old', [0, 10]), set('b', 'r', 'new', [20, 30]), get('c', 'r', 'old', [40, 50])]
    expect(violationsOf(...stale)).toEqual([expect.stringContaining('not linearizable: register "r"')])
  })
})
