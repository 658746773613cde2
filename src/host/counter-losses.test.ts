import { expect, it } from 'vitest'
import type { CounterCommand } from '../machine/counter/command.js'
import { put, roomAt } from '../machine/test-script.js'
import { countersSince } from './counter-losses.js'

const add = (name: string, by: number): CounterCommand => ({ type: 'counter.add', name, by })

it('[N3] counters are told by their last change, those at 0 too; from before the log begins nobody knows when', () => {
  const { script, sessions } = roomAt(2, 'ann')
  for (const command of [add('old', 1), add('a', 2), put('a'), add('b', 3), add('a', 4), add('b', -3)])
    script.send(sessions.ann, command)
  const { index, state, entries } = script
  const [old, a, b] = [index - 5, index - 1, index]
  const all = [
    { key: 'old', value: 1, revision: old },
    { key: 'a', value: 6, revision: a },
    { key: 'b', value: 0, revision: b },
  ]
  const since = (from: number, first = 1) => countersSince(from, state, entries.slice(first - 1), first)
  expect([...since(1)].sort((one, other) => one.revision - other.revision)).toEqual(all)
  expect(since(a)).toEqual(all.slice(1))
  expect(since(b)).toEqual(all.slice(2))
  expect(since(a, old + 1)).toEqual(all.slice(1))
  expect(since(1, a)).toContainEqual({ key: 'old', value: 1, revision: a - 1 })
})
