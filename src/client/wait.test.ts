/** A request of a handle, from its asking to its end. */
import { beforeEach, expect, it } from 'vitest'
import { RoomLeftError } from './errors.js'
import { type OpenRequest, openRequest } from './wait.js'

let open: Set<() => void>
let told: unknown[]
let giveUp: (error: unknown) => void
let request: OpenRequest

beforeEach(() => {
  open = new Set()
  told = []
  request = openRequest(open, {
    bound: (give) => {
      giveUp = give
      return () => told.push('unbound')
    },
    cancel: () => told.push('cancel'),
    failed: (error) => told.push(error),
  })
})

function leave(): void {
  for (const one of [...open]) one()
}

it('what bounds it gives it up once, and nothing is left', () => {
  const late = new Error('late')
  giveUp(late)
  giveUp(new Error('later'))
  leave()
  expect(told).toEqual(['unbound', 'cancel', late])
  expect(open.size).toBe(0)
})

it('[S-9] granted, nothing bounds it any more, and leaving gives back what is held', () => {
  request.granted()
  giveUp(new Error('late'))
  expect(told).toEqual(['unbound'])
  leave()
  expect(told).toEqual(['unbound', 'cancel'])
  expect(open.size).toBe(0)
})

it('[S-9] leaving ends a wait', () => {
  leave()
  expect(told).toEqual(['unbound', 'cancel', expect.any(RoomLeftError)])
  expect(open.size).toBe(0)
})

it.each([
  ['refused, or not available', () => request.ended()],
  [
    'released or lost',
    () => {
      request.granted()
      request.ended()
    },
  ],
])('%s: neither what bounds it nor leaving touches it', (_title, end) => {
  end()
  giveUp(new Error('late'))
  leave()
  expect(told).toEqual(['unbound'])
  expect(open.size).toBe(0)
})
