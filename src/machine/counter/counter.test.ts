import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { applyEntry, decodeMachine, encodeMachine } from '../machine.js'
import { roomAt, roomOf } from '../test-script.js'
import type { CounterCommand } from './command.js'
import { readCounter } from './primitive.js'

const max = Number.MAX_SAFE_INTEGER
const add = (name: string, by: number): CounterCommand => ({ type: 'counter.add', name, by })
const swap = (name: string, expected: number, next: number): CounterCommand => ({
  type: 'counter.compareAndSet',
  name,
  expected,
  next,
})

describe('a counter', () => {
  it('begins at 0, adds, takes away, and compares', () => {
    const { script, sessions } = roomOf('ann')
    const outcomes = [add('a', 2), add('a', -5), add('a', 0), swap('a', 0, 9), swap('a', -3, 9), swap('b', 0, 1)].map(
      (command) => script.send(sessions.ann, command).outcome,
    )
    expect(outcomes).toEqual([
      { type: 'counter.added', value: 2 },
      { type: 'counter.added', value: -3 },
      { type: 'counter.added', value: -3 },
      { type: 'counter.compared', value: -3, swapped: false },
      { type: 'counter.compared', value: 9, swapped: true },
      { type: 'counter.compared', value: 1, swapped: true },
    ])
  })

  it('[S-2] adds once, however often the command comes', () => {
    const { script, sessions } = roomOf('ann')
    const { number } = script.send(sessions.ann, add('a', 1))
    for (let i = 0; i < 3; i += 1)
      expect(script.resend(sessions.ann, number, add('a', 1)).answer?.outcome).toEqual({
        type: 'counter.added',
        value: 1,
      })
    expect(readCounter(script.state, 'a')).toBe(1)
  })

  it('does not leave the safe integers, and says where it is', () => {
    const { script, sessions } = roomOf('ann')
    script.send(sessions.ann, add('a', max))
    script.send(sessions.ann, add('b', -max))
    expect(script.send(sessions.ann, add('a', 1)).outcome).toEqual({ type: 'counter.overflowed', value: max })
    expect(script.send(sessions.ann, add('b', -max)).outcome).toEqual({ type: 'counter.overflowed', value: -max })
    expect([readCounter(script.state, 'a'), readCounter(script.state, 'b')]).toEqual([max, -max])
  })

  it('outlives every session, and at 0 costs nothing', () => {
    const { script, sessions } = roomOf('ann')
    script.send(sessions.ann, add('a', 1))
    script.send(sessions.ann, swap('b', 0, 1))
    script.close('ann')
    expect(readCounter(script.state, 'a')).toBe(1)
    const ann = script.open('ann', 2)
    script.send(ann, add('a', -1))
    script.send(ann, swap('b', 1, 0))
    expect(script.state.counters.size).toBe(0)
    expect(Buffer.from(encodeMachine(script.state)).includes('counter"')).toBe(false)
  })

  it('is refused by name and value of its limit: a name too long, one too many', () => {
    const { script, sessions } = roomOf('ann')
    expect(script.send(sessions.ann, add('x'.repeat(1025), 1)).outcome).toMatchObject({
      failure: { code: 'limit-exceeded', details: { limit: 'counterName', value: 1024 } },
    })
    for (let i = 0; i < 1024; i += 1) script.send(sessions.ann, add(`${i}`, 1))
    for (const command of [add('more', 1), swap('more', 0, 1)])
      expect(script.send(sessions.ann, command).outcome).toMatchObject({
        failure: { details: { limit: 'counters', value: 1024 } },
      })
    expect(script.send(sessions.ann, add('7', 1)).outcome).toEqual({ type: 'counter.added', value: 2 })
    expect(script.send(sessions.ann, add('more', 0)).outcome).toEqual({ type: 'counter.added', value: 0 })
  })

  it('[F5] needs version 2', () => {
    const { script, sessions } = roomAt(1, 'ann')
    expect(script.send(sessions.ann, add('a', 1)).outcome).toMatchObject({ failure: { code: 'incompatible-peer' } })
  })
})

it('[S-10] is what a plain sum says, and whoever restores anywhere says the same', () => {
  const value = fc.oneof(fc.integer({ min: -3, max: 3 }), fc.constantFrom(max, -max))
  const command = fc.oneof(
    fc.record({ name: fc.constantFrom('a', '\ud800'), by: value }).map(({ name, by }) => add(name, by)),
    fc.tuple(fc.constantFrom('a', '\ud800'), value, value).map((drawn) => swap(...drawn)),
  )
  fc.assert(
    fc.property(fc.array(command, { maxLength: 40 }), (commands) => {
      const { script, sessions } = roomOf('ann')
      const plain = new Map<string, bigint>()
      let follower = decodeMachine(encodeMachine(script.state))
      for (const command of commands) {
        script.send(sessions.ann, command)
        const now = plain.get(command.name) ?? 0n
        if (command.type === 'counter.add') {
          const sum = now + BigInt(command.by)
          if (sum >= -BigInt(max) && sum <= BigInt(max)) plain.set(command.name, sum)
        } else if (now === BigInt(command.expected)) plain.set(command.name, BigInt(command.next))
        expect(BigInt(readCounter(script.state, command.name))).toBe(plain.get(command.name) ?? 0n)
        const last = script.entries.at(-1)
        if (last) applyEntry(follower, last)
        follower = decodeMachine(encodeMachine(follower))
      }
      expect(follower).toEqual(script.state)
    }),
    { numRuns: 100 },
  )
})
