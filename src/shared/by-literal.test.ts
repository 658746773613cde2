import fc from 'fast-check'
import * as v from 'valibot'
import { expect, test } from 'vitest'
import { byLiteral } from './by-literal.js'

const plain = v.variant('type', [
  v.variant('type', [
    v.strictObject({ type: v.literal('lock.request'), name: v.string() }),
    v.pipe(
      v.strictObject({ type: v.literal('lock.release'), count: v.number() }),
      v.check(({ count }) => count > 0, 'more than none'),
    ),
  ]),
  v.strictObject({ type: v.literal('twice'), a: v.number() }),
  v.strictObject({ type: v.literal('twice'), b: v.number() }),
  v.strictObject({ type: v.literal('last') }),
])
const quick = byLiteral(plain)

const field = fc.constantFrom('lock.request', 'lock.release', 'twice', 'last', 'none', 0, 1, -1, null, undefined)
const input = fc.oneof(
  fc.anything(),
  fc.record({ type: field, name: field, count: field, a: field, b: field }, { requiredKeys: [] }),
  fc.record({ type: fc.constant('lock.request'), name: field }),
  fc.record({ type: fc.constant('lock.release'), count: field }),
  fc.record({ type: fc.constant('twice'), a: field }),
  fc.record({ type: fc.constant('twice'), b: field }),
  fc.record({ type: fc.constant('last') }),
)

test('it says of everything what the variant says', () => {
  const accepted = new Set<unknown>()
  fc.assert(
    fc.property(input, (value) => {
      const [mine, its] = [v.safeParse(quick, value), v.safeParse(plain, value)]
      expect(mine).toEqual(its)
      if (mine.success) accepted.add(mine.output.type)
    }),
    { numRuns: 20_000 },
  )
  expect([...accepted].sort()).toEqual(['last', 'lock.release', 'lock.request', 'twice'])
})

test('the discriminator is looked up, not compared with every option', () => {
  const options = Array.from({ length: 30 }, (_, i) => v.object({ type: v.literal(`option ${i}`) }))
  let looked = 0
  const value = {
    get type() {
      looked += 1
      return 'option 29'
    },
  }
  expect(v.is(byLiteral(v.variant('type', options)), value)).toBe(true)
  expect(looked).toBeLessThan(5)
})

test('a discriminator that is no literal is refused when the schema is made', () => {
  expect(() => byLiteral(v.variant('type', [v.object({ type: v.string() })]))).toThrow('each option has one type')
})
