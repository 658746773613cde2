import { expect, it } from 'vitest'
import { Tenure } from './tenure.js'

const at = (ms: number) => ({ monotonic: ms, wall: 1_780_000_000_000 + ms })

it('[S-5] who is elected in the very next term has heard all, but for the time in which nobody led', () => {
  const tenure = new Tenure()
  expect(tenure.begin(3, at(0))).toBeNull()
  tenure.end(at(50))
  expect(tenure.begin(4, at(80))).toEqual(at(50))
  tenure.end(at(100))
  expect(tenure.begin(5, at(170))).toEqual(at(100))
})

it('[S-5] where a term lies between, another may have led, whoever it was', () => {
  const tenure = new Tenure()
  tenure.begin(3, at(0))
  tenure.end(at(50))
  expect(tenure.begin(5, at(60))).toBeNull()
  tenure.end(at(70))
  expect(tenure.begin(6, at(90)), 'the one before counts no more').toEqual(at(70))
})

it('[S-5] a term that follows without an end begins where the other ended', () => {
  const tenure = new Tenure()
  tenure.begin(3, at(0))
  tenure.end(at(20))
  tenure.begin(4, at(30))
  expect(tenure.begin(5, at(90))).toEqual(at(90))
})
