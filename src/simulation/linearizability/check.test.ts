import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { checkHistory } from './check.js'
import { type Operation, readHistory, writeHistory } from './history.js'

type Span = readonly [call: number, end: number | null]

function operation(op: string, [call, end]: Span, input: unknown, output: unknown, client = 'a'): Operation {
  return { client, op, key: 'k', input, output, call, return: end }
}

const set = (span: Span, value: unknown, revision?: number) =>
  operation('set', span, { value }, span[1] === null ? null : { revision })
const get = (span: Span, value: unknown, revision?: number) =>
  operation('get', span, null, value === null ? null : { value, revision })
const remove = (span: Span, existed: boolean) => operation('delete', span, null, span[1] === null ? null : { existed })
/** `swapped`: of no matter while the outcome is unknown. */
const swap = (span: Span, expected: unknown, next: unknown, swapped: boolean) =>
  compare(span, expected === null ? { revision: 0 } : { value: expected }, next, swapped)
const swapAt = (span: Span, revision: number, next: unknown, swapped: boolean) =>
  compare(span, { revision }, next, swapped)
const compare = (span: Span, expected: object, next: unknown, swapped: boolean) =>
  operation('compareAndSet', span, { expected, next }, span[1] === null ? null : { swapped })
const expire = (call: number, value: unknown) => operation('expire', [call, null], { value }, null)
const acquire = (client: string, span: Span, token: number | null, mode: 'exclusive' | 'shared' = 'exclusive') =>
  operation('acquire', span, { mode }, token === null ? null : { token }, client)
const release = (client: string, span: Span, token: number) => operation('release', span, { token }, null, client)

const verdictOf = (...history: Operation[]) => checkHistory(history).verdict
const yes = 'linearizable'
const no = 'not-linearizable'

describe('a key of the store', () => {
  it.each<[string, Operation[]]>([
    ['nothing at all', []],
    ['one after the other', [set([0, 1], 'x'), get([2, 3], 'x'), remove([4, 5], true), get([6, 7], null)]],
    ['a read beside a write sees what was before', [set([0, 1], 'x'), set([2, 9], 'y'), get([3, 4], 'x')]],
    ['a read beside a write sees it', [set([0, 1], 'x'), set([2, 9], 'y'), get([3, 4], 'y')]],
    ['equal times may be in any order', [set([0, 2], 'x'), get([2, 3], null)]],
    ['compare and set', [swap([0, 1], null, 'x', true), swap([2, 3], 'y', 'z', false), get([4, 5], 'x')]],
    [
      'by revision',
      [set([0, 1], 'x', 5), swapAt([2, 3], 4, 'y', false), swapAt([4, 5], 5, 'y', true), get([6, 7], 'y', 9)],
    ],
    [
      'by revision 0',
      [swapAt([0, 1], 0, 'x', true), swapAt([2, 3], 0, 'y', false), remove([4, 5], true), swapAt([6, 7], 0, 'z', true)],
    ],
    [
      'a swap tells the revision of a lost answer',
      [set([0, null], 'x'), swapAt([5, 6], 7, 'y', true), get([7, 8], 'y', 8)],
    ],
    [
      'a read tells the revision of a swap',
      [swap([0, 1], null, 'x', true), get([2, 3], 'x', 4), swapAt([4, 5], 4, 'y', true)],
    ],
    [
      'a failed swap tells what it is not',
      [swap([0, 1], null, 'x', true), swapAt([2, 3], 4, 'y', false), get([4, 5], 'x', 5)],
    ],
    ['nothing equals no value', [swap([0, 1], 'x', 'y', false), swapAt([2, 3], 5, 'y', false), get([4, 5], null)]],
    [
      'of two at once that expect one revision one swaps',
      [set([0, 1], 'x', 5), swapAt([2, 9], 5, 'y', true), swapAt([2, 9], 5, 'z', false)],
    ],
    ['a read tells the revision of a lost answer', [set([0, null], 'x'), get([5, 6], 'x', 7), set([7, 8], 'y', 8)]],
  ])('%s', (_what, history) => {
    expect(verdictOf(...history)).toBe(yes)
  })

  it.each<[string, Operation[]]>([
    ['a stale read', [set([0, 1], 'x'), set([2, 3], 'y'), get([4, 5], 'x')]],
    ['a read that goes back', [set([0, 1], 'x'), set([2, 9], 'y'), get([3, 4], 'y'), get([5, 6], 'x')]],
    ['a lost update', [swap([0, 4], null, 'x', true), swap([0, 4], null, 'y', true)]],
    ['a lost update by revision', [set([0, 1], 'x', 5), swapAt([2, 9], 5, 'y', true), swapAt([2, 9], 5, 'z', true)]],
    ['a swap that should have failed', [set([0, 1], 'x', 5), set([2, 3], 'y', 6), swapAt([4, 5], 5, 'z', true)]],
    ['a swap that should not have failed', [set([0, 1], 'x', 5), swapAt([2, 3], 5, 'z', false)]],
    ['a swap that failed for nothing there', [swapAt([0, 1], 0, 'z', false)]],
    ['a swap of nothing there', [swap([0, 1], 'x', 'y', true)]],
    ['a swap of what is there by revision 0', [set([0, 1], 'x'), swapAt([2, 3], 0, 'y', true)]],
    ['a failed swap that set', [set([0, 1], 'x', 5), swapAt([2, 3], 4, 'y', false), get([4, 5], 'y')]],
    ['a swap that did not set', [set([0, 1], 'x', 5), swapAt([2, 3], 5, 'y', true), get([4, 5], 'x')]],
    ['a swap under an old revision', [set([0, 1], 'x', 5), swapAt([2, 3], 5, 'y', true), get([4, 5], 'y', 5)]],
    [
      'a failed swap of what it was',
      [swap([0, 1], null, 'x', true), swapAt([2, 3], 4, 'y', false), get([4, 5], 'x', 4)],
    ],
    [
      'a value that changed and changed back',
      [set([0, 1], 'x', 5), set([2, 3], 'y'), set([4, 5], 'x'), swapAt([6, 7], 5, 'z', true)],
    ],
    [
      'two that tell two revisions of one write',
      [set([0, null], 'x'), get([1, 2], 'x', 4), swapAt([3, 4], 5, 'y', true)],
    ],
    ['a lost write', [set([0, 1], 'x'), get([2, 3], null)]],
    ['a value that nobody wrote', [set([0, 1], 'x'), get([0, 5], 'z')]],
    ['a value from the future', [get([0, 1], 'x'), set([2, 3], 'x')]],
    ['two deletes of one value', [set([0, 1], 'x'), remove([2, 5], true), remove([2, 5], true)]],
    ['a revision that does not rise', [set([0, 1], 'x', 5), set([2, 3], 'y', 4)]],
    ['the revision of another write', [set([0, 1], 'x', 5), get([2, 3], 'x', 4)]],
  ])('not: %s', (_what, history) => {
    expect(verdictOf(...history)).toBe(no)
  })

  it('an unknown write has taken effect, late', () => {
    expect(verdictOf(set([0, 1], 'x'), set([2, null], 'y'), get([3, 4], 'x'), get([50, 51], 'y'))).toBe(yes)
    expect(verdictOf(set([0, null], 'x'), remove([9, 10], true))).toBe(yes)
  })

  it('an unknown write has never taken effect', () => {
    expect(verdictOf(set([0, 1], 'x'), set([2, null], 'y'), get([50, 51], 'x'))).toBe(yes)
  })

  it('an unknown write takes effect once, and not before its call', () => {
    const [x, y] = [set([0, 1], 'x'), set([2, null], 'y')]
    expect(verdictOf(x, y, get([3, 4], 'y'), set([5, 6], 'z'), get([7, 8], 'y'))).toBe(no)
    expect(verdictOf(x, set([5, null], 'y'), get([3, 4], 'y'))).toBe(no)
  })

  it('an unknown swap has swapped, late, or never, but not what was not as expected', () => {
    const [x, unknown] = [set([0, 1], 'x', 5), swapAt([2, null], 5, 'y', true)]
    expect(verdictOf(x, unknown, get([3, 4], 'x', 5), get([50, 51], 'y'))).toBe(yes)
    expect(verdictOf(x, unknown, get([50, 51], 'x', 5))).toBe(yes)
    expect(verdictOf(x, unknown, set([3, 4], 'z', 6), get([50, 51], 'y'))).toBe(no)
    expect(verdictOf(x, unknown, swapAt([3, 4], 5, 'z', false))).toBe(yes)
    expect(verdictOf(x, unknown, swapAt([3, 4], 5, 'z', false), get([5, 6], 'x'))).toBe(no)
    expect(verdictOf(x, unknown, swapAt([3, 4], 5, 'z', true), get([5, 6], 'y'))).toBe(no)
    expect(verdictOf(x, swap([2, null], 'w', 'y', true), get([3, 4], 'y'))).toBe(no)
  })

  it('an ephemeral value goes with its session, and no other value does', () => {
    expect(verdictOf(set([0, 1], 'x'), expire(0, 'x'), get([2, 3], 'x'), get([4, 5], null))).toBe(yes)
    expect(verdictOf(set([0, 1], 'x'), expire(0, 'x'), set([2, 3], 'y'), get([4, 5], null))).toBe(no)
  })

  it('keys are judged one by one, and a failure names its key', () => {
    const other = [set([0, 1], 'x'), get([2, 3], 'y')].map((operation) => ({ ...operation, key: 'other' }))
    const { verdict, failures } = checkHistory([set([0, 1], 'x'), ...other, get([2, 3], 'x')])
    expect(verdict).toBe(no)
    expect(failures).toMatchObject([{ model: 'register', key: 'other', prefix: [other[0]], unplaced: [other[1]] }])
    expect(failures[0]?.explanation).toContain('register "other"')
  })

  it('an operation that no model knows, or that has no meaning, is an error', () => {
    expect(() => verdictOf(operation('swop', [0, 1], null, null))).toThrow('"swop"')
    expect(() => verdictOf(operation('set', [0, 1], null, null))).toThrow('set of k by a: input')
    for (const expected of [null, {}, { revision: 1, value: 1 }])
      expect(() => verdictOf(compare([0, 1], expected as object, 1, true))).toThrow(
        'compareAndSet of k by a: input.expected',
      )
  })

  it('a search without an end is given up', () => {
    // Each read is of a value that one of many writes at the same time may have written last.
    const writes = Array.from({ length: 20 }, (_, i) => set([0, 100], i))
    const reads = Array.from({ length: 20 }, (_, i) => get([0, 100], (i * 7) % 20))
    const history = [...writes, ...reads, get([200, 201], 'never')]
    expect(checkHistory(history, { stepsMax: 5_000 })).toMatchObject({
      verdict: 'undecided',
      undecided: ['register k'],
    })
  })

  it('many writes of unknown outcome do not make the search long', () => {
    const unknown = Array.from({ length: 20 }, (_, i) => set([i, null], `lost ${i}`))
    const known = Array.from({ length: 20 }, (_, i) => [
      set([i, i + 4], i, i + 1),
      get([100 + i, 101 + i], `lost ${i}`),
    ])
    expect(checkHistory([...unknown, ...known.flat()]).verdict).toBe(yes)
    const history = [...unknown, ...known.flat(), get([300, 301], 'never')]
    expect(checkHistory(history).verdict).toBe(no)
  })
})

describe('a lock', () => {
  const [a, b, c] = ['a', 'b', 'c'] as const

  it.each<[string, Operation[]]>([
    ['one after the other', [acquire(a, [0, 1], 3), release(a, [2, 5], 3), acquire(b, [1, 4], 5)]],
    ['shared', [acquire(a, [0, 1], 3, 'shared'), acquire(b, [2, 3], 4, 'shared'), release(a, [4, 5], 3)]],
    ['shares of one moment', [acquire(a, [0, 9], 3, 'shared'), acquire(b, [2, 3], 3, 'shared')]],
    [
      'a holder that was never heard of again',
      [acquire(a, [0, 1], 3), release(a, [1, null], 3), acquire(b, [4, 5], 9)],
    ],
    ['a request of unknown outcome', [acquire(a, [0, null], null), acquire(b, [4, 5], 9)]],
    ['a request that was not granted', [acquire(a, [0, 1], 3), acquire(b, [2, 3], null)]],
  ])('%s', (_what, history) => {
    expect(verdictOf(...history)).toBe(yes)
  })

  it.each<[string, Operation[]]>([
    ['two holders at once', [acquire(a, [0, 1], 3), acquire(b, [2, 3], 4), release(a, [4, 5], 3)]],
    ['a holder beside a share', [acquire(a, [0, 1], 3, 'shared'), acquire(b, [2, 3], 4), release(a, [4, 5], 3)]],
    ['a share beside a holder', [acquire(a, [0, 1], 3), acquire(b, [2, 3], 4, 'shared'), release(a, [4, 5], 3)]],
    ['a holder that was certain later', [acquire(a, [0, 1], 3), release(a, [9, null], 3), acquire(b, [4, 5], 9)]],
    ['one token twice', [acquire(a, [0, 1], 3), release(a, [2, 3], 3), acquire(b, [4, 5], 3)]],
    ['a token that falls', [acquire(a, [0, 1], 3), release(a, [2, 3], 3), acquire(b, [4, 5], 2)]],
    ['a lock for ever', [acquire(a, [0, 1], 3), acquire(c, [2, 3], 4)]],
    ['the release of a lock that nobody had', [release(a, [0, 1], 3)]],
  ])('not: %s', (_what, history) => {
    expect(verdictOf(...history)).toBe(no)
  })
})

// The definition itself, with no search to speak of: every subset of the unknown, every order, every revision that a write may
// have had of which nobody told.

interface Cell {
  readonly value: unknown
  /** 0 of nothing. */
  readonly revision: number
  readonly last: number
}

function isLinearizable(history: readonly Operation[], cell: Cell = { value: null, revision: 0, last: 0 }): boolean {
  const revisions = revisionsOf(history)
  const isRest = (rest: readonly Operation[], cell: Cell): boolean => {
    if (rest.every((operation) => operation.return === null)) return true
    return rest.some((next, i) => {
      const others = rest.filter((_, j) => j !== i)
      const isLate = others.some((other) => other.return !== null && other.return < next.call)
      return !isLate && apply(next, cell, revisions).some((after) => isRest(others, after))
    })
  }
  return isRest(history, cell)
}

interface Said {
  readonly value?: unknown
  readonly revision?: number
  readonly existed?: boolean
  readonly swapped?: boolean
}

function revisionsOf(history: readonly Operation[]): readonly number[] {
  const said = history.flatMap(({ input, output }) => [output, (input as { expected?: unknown } | null)?.expected])
  return [...new Set(said.flatMap((one) => (one as Said | null | undefined)?.revision ?? []))]
}

/** What it may be after that: nothing if it cannot be. */
function apply({ op, input, output, return: end }: Operation, cell: Cell, revisions: readonly number[]): Cell[] {
  const { value, revision, last } = cell
  const given = (input ?? {}) as { value?: unknown; expected?: Said; next?: unknown }
  const got = output as Said | null
  /** One that nobody told may be any that somebody told, or another, as low as can be. */
  const write = (value: unknown, told?: number): Cell[] =>
    (told === undefined ? [...revisions, last + 2 ** -20] : [told])
      .filter((revision) => revision > last)
      .map((revision) => ({ value, revision, last: revision }))
  const gone = [{ value: null, revision: 0, last }]
  if (op === 'set') return write(given.value, got?.revision)
  if (op === 'delete') return end === null || got?.existed === (value !== null) ? gone : []
  if (op === 'get') {
    const isSame = (got?.value ?? null) === value && (got?.revision ?? revision) === revision
    return end === null || isSame ? [cell] : []
  }
  const { expected, next } = given
  const swaps =
    expected?.revision === undefined ? value !== null && expected?.value === value : expected.revision === revision
  if (end !== null && got?.swapped !== swaps) return []
  return swaps ? write(next) : [cell]
}

interface Plan {
  readonly op: 'get' | 'set' | 'delete' | 'by value' | 'by revision'
  readonly at: number
  readonly before: number
  readonly after: number
  readonly fate: 'known' | 'lost answer' | 'lost call'
  readonly guess: number
  /** Whether a revision is told. */
  readonly tells: boolean
}

const plan: fc.Arbitrary<Plan> = fc.record({
  op: fc.constantFrom('get', 'get', 'set', 'set', 'delete', 'by value', 'by revision', 'by revision'),
  at: fc.nat(30),
  before: fc.nat(15),
  after: fc.nat(15),
  fate: fc.constantFrom('known', 'known', 'known', 'lost answer', 'lost call'),
  guess: fc.nat(3),
  tells: fc.boolean(),
})

/** Executes each at its moment, and lets its client see no more than call and return. */
function execute(plans: readonly Plan[]): Operation[] {
  let value: number | null = null
  let revision = 0
  const write = (next: number | null, index: number) => {
    value = next
    revision = next === null ? 0 : index
  }
  const ordered = [...plans].sort((a, b) => a.at - b.at)
  return ordered.map(({ op, at, before, after, fate, guess, tells }, i) => {
    // Distinct moments, so that the order is the only one there was.
    const moment = at + i / 100
    const span: Span = [moment - before, fate === 'known' ? moment + after : null]
    const old = { value, revision }
    const expected = op === 'by value' ? { value: guess } : { revision: guess < 2 ? revision : guess === 2 ? 0 : i }
    const swaps = expected.value === undefined ? expected.revision === revision : expected.value === value
    if (fate !== 'lost call') {
      if (op === 'set') write(guess, i + 1)
      else if (op === 'delete') write(null, i + 1)
      else if (op !== 'get' && swaps) write(guess + 1, i + 1)
    }
    if (op === 'get') return get(span, fate === 'known' ? old.value : null, tells ? old.revision : undefined)
    if (op === 'set') return set(span, guess, tells ? i + 1 : undefined)
    if (op === 'delete') return remove(span, old.value !== null)
    return compare(span, expected, guess + 1, swaps)
  })
}

/** The answer that it was not. */
function lie(told: Operation, value: number | null, revision: number): Operation {
  if (told.return === null) return told
  if (told.op === 'get')
    return { ...told, output: value === null ? null : { value, ...(revision > 0 && { revision }) } }
  if (told.op !== 'compareAndSet') return told
  return { ...told, output: { swapped: !(told.output as Said).swapped } }
}

describe('random histories', () => {
  it('what was really executed is linearizable', () => {
    fc.assert(
      fc.property(fc.array(plan, { maxLength: 40 }), (plans) => {
        expect(verdictOf(...execute(plans))).toBe(yes)
      }),
      { numRuns: 500 },
    )
  })

  it('a read of what nobody wrote is not', () => {
    fc.assert(
      fc.property(fc.array(plan, { maxLength: 20 }), fc.nat(40), (plans, at) => {
        expect(verdictOf(...execute(plans), get([at, at + 5], 99))).toBe(no)
      }),
      { numRuns: 200 },
    )
  })

  it('with wrong answers, the verdict is that of the definition', () => {
    const count = { linearizable: 0, 'not-linearizable': 0, undecided: 0 }
    const wrong = fc.array(fc.tuple(fc.nat(6), fc.option(fc.nat(3)), fc.nat(4)), { maxLength: 2 })
    fc.assert(
      fc.property(fc.array(plan, { minLength: 2, maxLength: 7 }), wrong, (plans, answers) => {
        const history = execute(plans)
        for (const [at, value, revision] of answers) {
          const told = history[at]
          if (told) history[at] = lie(told, value, revision)
        }
        const verdict = verdictOf(...history)
        count[verdict] += 1
        expect(verdict).toBe(isLinearizable(history) ? yes : no)
      }),
      { numRuns: 3_000 },
    )
    expect(Math.min(count[yes], count[no])).toBeGreaterThan(100)
  })
})

describe('JSON lines', () => {
  const history = [set([0.25, 1], 'x', 3), get([2, 3], 'x', 3), remove([4, null], true)]

  it('are read as they were written, with what else is in them', () => {
    const text = writeHistory(history, { seed: 7 })
    expect(text.split('\n')).toHaveLength(4)
    expect(readHistory(`${text}\n`)).toEqual(history.map((operation) => ({ seed: 7, ...operation })))
  })

  it.each([
    ['{', 'history, line 2: '],
    ['7', 'history, line 2: Invalid type'],
    [writeHistory(history.slice(0, 1)).replace('"call":0.25', '"call":"now"'), 'history, line 2: call: '],
    [writeHistory(history.slice(0, 1)).replace('"client":"a",', ''), 'history, line 2: client: '],
    [writeHistory([{ ...set([5, 1], 'x') }]), 'history, line 2: it returns before its call'],
  ])('that are malformed are named: %j', (line, message) => {
    expect(() => readHistory(`${writeHistory(history.slice(0, 1))}${line}`)).toThrow(message)
  })
})
