import * as fc from 'fast-check'
import { expect, it } from 'vitest'
import { Schedule, type Scheduled, unscheduled } from './schedule.js'

interface Item extends Scheduled {
  readonly id: number
}

const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ do: fc.constant('set' as const), id: fc.nat(9), time: fc.nat(20) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('delete' as const), id: fc.nat(9), time: fc.constant(0) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('pop' as const), id: fc.constant(0), time: fc.constant(0) }) },
)

it('[S70] gives what is due first, each thing once, however often it is put off, brought forward or taken back', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const schedule = new Schedule<Item>()
      const items = Array.from({ length: 10 }, (_, id): Item => ({ id, ...unscheduled() }))
      const expected = new Map<Item, number>()
      for (const { do: what, id, time } of steps) {
        const item = items[id]
        if (item === undefined) continue
        if (what === 'set') {
          schedule.set(item, time)
          expected.set(item, time)
        } else if (what === 'delete') {
          schedule.delete(item)
          expected.delete(item)
        } else {
          const popped = schedule.pop()
          expect(popped && expected.get(popped)).toBe(expected.size > 0 ? Math.min(...expected.values()) : undefined)
          if (popped !== undefined) expected.delete(popped)
        }
        expect(schedule.next).toBe(Math.min(...expected.values()))
        expect(schedule.size).toBe(expected.size)
        for (const { dueAt, id: one } of items) {
          const known = items[one]
          expect(dueAt).toBe((known && expected.get(known)) ?? Number.POSITIVE_INFINITY)
        }
      }
    }),
  )
})
