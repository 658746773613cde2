import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { StaleFenceError } from './errors.js'
import { createFence, type FenceClaim, type FenceState, type ResourceFence } from './fence.js'

/** Null when it was let in, else the token that was newer. */
function refusal(run: () => void): number | null {
  try {
    run()
    return null
  } catch (error) {
    if (error instanceof StaleFenceError) return error.current
    throw error
  }
}

const reborn = (fence: ResourceFence, maxNames?: number) =>
  createFence({
    state: JSON.parse(JSON.stringify(fence.state())) as FenceState,
    ...(maxNames !== undefined && { maxNames }),
  })

describe('createFence', () => {
  it('[T2] lets the newest token in as often as it comes, and refuses every older one', () => {
    const fence = createFence()
    fence.admit('a', 10)
    fence.admit({ name: 'a', token: 10 })
    fence.admit('a', 12)
    expect(refusal(() => fence.admit('a', 10))).toBe(12)
    expect(refusal(() => fence.admit('a', 11))).toBe(12)
    fence.admit('a', 12)
  })

  it('says which error it is, and what is newer', () => {
    const fence = createFence()
    fence.admit('a', 12)
    expect(() => fence.admit('a', 11)).toThrow(expect.objectContaining({ code: 'stale-fence', current: 12 }))
  })

  it('keeps the tokens of each lock and of each room apart', () => {
    const fence = createFence()
    fence.admit('a', 12)
    fence.admit('b', 3)
    fence.admit({ room: 'other', name: 'a', token: 1 })
    expect(refusal(() => fence.admit('b', 2))).toBe(3)
    expect(refusal(() => fence.admit({ room: 'other', name: 'a', token: 12 }))).toBeNull()
    expect(refusal(() => fence.admit({ room: '', name: 'a', token: 11 }))).toBe(12)
  })

  it('remembers nothing of a check, nor of a refusal', () => {
    const fence = createFence()
    fence.admit('a', 5)
    fence.check('a', 9)
    fence.check({ name: 'b', token: 9 })
    expect(refusal(() => fence.check('a', 4))).toBe(5)
    expect(refusal(() => fence.admit('a', 4))).toBe(5)
    fence.admit('a', 5)
    fence.admit('b', 1)
  })

  it('goes on from its state, which is a copy', () => {
    const fence = createFence()
    fence.admit('a', 5)
    fence.admit({ room: 'r', name: '\ud800', token: 7 })
    const state = fence.state()
    fence.admit('a', 6)
    const earlier = createFence({ state })
    earlier.admit('a', 5)
    const next = reborn(fence)
    expect(refusal(() => next.admit('a', 5))).toBe(6)
    expect(refusal(() => next.admit({ room: 'r', name: '\ud800', token: 6 }))).toBe(7)
    expect(next.state()).toEqual(fence.state())
  })

  it('with a bound forgets the oldest token, and then refuses what is older for names that it does not know', () => {
    const fence = createFence({ maxNames: 2 })
    fence.admit('a', 10)
    fence.admit('b', 20)
    fence.admit('c', 30)
    expect(fence.state().rooms[0]?.tokens).toEqual([
      ['b', 20],
      ['c', 30],
    ])
    expect(refusal(() => fence.admit('a', 9))).toBe(10)
    expect(refusal(() => fence.admit('never seen', 9))).toBe(10)
    expect(refusal(() => fence.check('never seen', 11))).toBeNull()
    expect(refusal(() => fence.check('b', 19))).toBe(20)
    expect(refusal(() => fence.admit('a', 10))).toBeNull()
    fence.admit({ room: 'another room', name: 'a', token: 1 })
  })

  it('with a smaller bound than its state had, forgets as if it had always been bounded', () => {
    const fence = createFence()
    for (const [i, name] of ['a', 'b', 'c'].entries()) fence.admit(name, i + 1)
    const bounded = reborn(fence, 1)
    expect(bounded.state().rooms).toEqual([{ room: '', floor: 2, tokens: [['c', 3]] }])
  })

  it('[T2] bounded or not, restarted or not: never lets in what is older than what it let in for that lock', () => {
    const claim = fc.record({
      room: fc.constantFrom('r', 's'),
      name: fc.constantFrom('a', 'b', 'c', 'd'),
      token: fc.integer({ min: 1, max: 30 }),
    })
    const step = fc.oneof({ weight: 8, arbitrary: claim }, { weight: 1, arbitrary: fc.constant('restart' as const) })
    const bound = fc.option(fc.integer({ min: 1, max: 3 }), { nil: undefined })
    fc.assert(
      fc.property(fc.array(step, { maxLength: 40 }), bound, (steps, maxNames) => {
        let fence = createFence(maxNames === undefined ? {} : { maxNames })
        const newest = new Map<string, number>()
        for (const step of steps) {
          if (step === 'restart') {
            fence = reborn(fence, maxNames)
            continue
          }
          const key = `${step.room} ${step.name}`
          const isStale = step.token < (newest.get(key) ?? 0)
          const isRefused = refusal(() => fence.admit(step)) !== null
          if (isStale || maxNames === undefined) expect(isRefused).toBe(isStale)
          if (!isRefused) newest.set(key, step.token)
          if (maxNames !== undefined) {
            for (const { tokens } of fence.state().rooms) expect(tokens.length).toBeLessThanOrEqual(maxNames)
          }
        }
      }),
    )
  })

  it.each<[string, string, () => unknown]>([
    ['TypeError', 'claim', () => createFence().admit(null as unknown as FenceClaim)],
    ['TypeError', 'claim', () => createFence().admit(12 as unknown as FenceClaim)],
    ['TypeError', 'name', () => createFence().admit({ token: 1 } as FenceClaim)],
    ['TypeError', 'token', () => createFence().admit('a', '12' as unknown as number)],
    ['TypeError', 'token', () => createFence().check({ name: 'a' } as FenceClaim)],
    ['TypeError', 'room', () => createFence().check({ name: 'a', token: 1, room: 3 } as unknown as FenceClaim)],
    ['RangeError', 'token', () => createFence().admit('a', 0)],
    ['RangeError', 'token', () => createFence().admit('a', 1.5)],
    ['RangeError', 'token', () => createFence().admit('a', Number.NaN)],
    ['RangeError', 'token', () => createFence().admit('a', 2 ** 53)],
    ['TypeError', 'room', () => createFence().check({ name: 'a', token: 1, room: null } as unknown as FenceClaim)],
    ['TypeError', 'options', () => createFence(null as unknown as object)],
    ['TypeError', 'options', () => createFence([] as object)],
    ['TypeError', 'options.state', () => createFence({ state: {} as FenceState })],
    [
      'TypeError',
      'options.state',
      () => createFence({ state: { version: 1, rooms: [{ room: 'r', floor: -1, tokens: [] }] } }),
    ],
    [
      'RangeError',
      'options.state',
      () => createFence({ state: { version: 1, rooms: [{ room: 'r', floor: 0, tokens: [['a', 0.5]] }] } }),
    ],
    ['TypeError', 'options.maxNames', () => createFence({ maxNames: '1' as unknown as number })],
    ['RangeError', 'options.maxNames', () => createFence({ maxNames: 0 })],
    ['RangeError', 'options.maxNames', () => createFence({ maxNames: 1.5 })],
  ])('bad input: %s naming %s', (name, argument, run) => {
    expect(run).toThrow(
      expect.objectContaining({ name, message: expect.stringMatching(new RegExp(`^${argument}\\b`)) }),
    )
  })
})
