import { expect, it } from 'vitest'
import { isPhone, keepBusy } from './page-condition.js'

it.each([
  ['Chrome on a phone', { mobile: true, coarse: true, hover: false }, true],
  ['Chrome on an Android tablet', { mobile: false, coarse: true, hover: false }, true],
  ['... with a mouse', { mobile: false, coarse: false, hover: true }, false],
  ['Chrome on a desktop', { mobile: false, coarse: false, hover: true }, false],
  ['... with a touch screen', { mobile: false, coarse: true, hover: true }, false],
  ['Safari or Firefox on a phone', { mobile: undefined, coarse: true, hover: false }, true],
  ['Firefox on a desktop', { mobile: undefined, coarse: false, hover: true }, false],
  ['a browser without any pointer', { mobile: undefined, coarse: false, hover: false }, false],
] as const)('[M4] %s', (_title, signs, wanted) => {
  expect(isPhone(signs)).toBe(wanted)
})

it.each([
  ['runs', [], 300],
  ['... stood still: that was no time for its worker either', [50, 700], 1_040],
] as const)('[S-4] a page that keeps the browser waiting for 300 ms %s', (_title, stalls, wanted) => {
  let at = 0
  let calls = 0
  keepBusy(300, () => {
    calls += 1
    at += calls % 50 === 0 ? (stalls[calls / 50 - 1] ?? 1) : 1
    return at
  })
  expect(at - 1).toBe(wanted)
})
