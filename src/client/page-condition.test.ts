import { expect, it } from 'vitest'
import { isPhone } from './page-condition.js'

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
