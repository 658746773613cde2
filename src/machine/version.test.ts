import { describe, expect, it } from 'vitest'
import { encode } from '../shared/codec.js'
import { decodeInstruction, encodeInstruction } from './instruction.js'
import { applyEntry, createMachine, decodeMachine, encodeMachine } from './machine.js'
import { put, roomOf } from './test-script.js'
import { NewerMachineError } from './version.js'

const raise = (version: number) => encodeInstruction({ type: 'raise', version })
const wave = { type: 'sea.wave', height: 3 }
const numbered = { type: 'numbered', session: 2, number: 1, answered: 0 } as const
const entryAt = (index: number, data: Uint8Array) => ({ type: 'command', term: 1, index, time: 1, data }) as const

describe('[F5] the version of the machine', () => {
  it('is raised by an entry, never back, and is a part of the state', () => {
    const { script } = roomOf('ann')
    for (const version of [3, 2, 3]) applyEntry(script.state, entryAt(script.index + 1, raise(version)), 3)
    expect(script.state.version).toBe(3)
    expect(decodeMachine(encodeMachine(script.state), 3)).toEqual(script.state)
  })

  it('above what the code can apply stops it, before anything has changed', () => {
    const { script } = roomOf('ann')
    const before = encodeMachine(script.state)
    expect(() => script.append({ type: 'command', data: raise(2) })).toThrow(NewerMachineError)
    expect(encodeMachine(script.state)).toEqual(before)
    applyEntry(script.state, entryAt(script.index + 1, raise(2)), 2)
    expect(() => decodeMachine(encodeMachine(script.state))).toThrow(NewerMachineError)
  })

  it('of a snapshot is read whatever else there is in it', () => {
    expect(() => decodeMachine(encode({ version: 2, shape: ['of', 'its', 'own'] }))).toThrow(NewerMachineError)
    for (const version of [0, -1, 1.5, '2', null])
      expect(() => decodeMachine(encode({ version }))).toThrow(
        expect.not.toSatisfy((e) => e instanceof NewerMachineError),
      )
  })

  it('below what a command needs refuses it: alike, whether the code knows the command or not, and the session goes on', () => {
    const known = encode({ ...numbered, needs: 2, command: put('k') })
    const unknown = encode({ ...numbered, needs: 2, command: wave })
    const outcomes = [known, unknown].flatMap((data) =>
      [1, 2].map((canApply) => {
        const { script } = roomOf('ann')
        const { answer } = applyEntry(script.state, entryAt(script.index + 1, data), canApply)
        expect(script.state.store.items.size).toBe(0)
        const next = encodeInstruction({ ...numbered, number: 2, command: put('k') })
        expect(applyEntry(script.state, entryAt(script.index + 1, next), canApply).answer?.outcome?.type).toBe(
          'store.set',
        )
        return [answer, encodeMachine(script.state)]
      }),
    )
    for (const outcome of outcomes) expect(outcome).toEqual(outcomes[0])
    expect(outcomes[0]?.[0]).toMatchObject({ number: 1, outcome: { failure: { code: 'incompatible-peer' } } })
  })

  it('that has risen lets through what needs it', () => {
    const { script } = roomOf('ann')
    applyEntry(script.state, entryAt(script.index + 1, raise(2)), 2)
    const needing = encodeInstruction({ ...numbered, needs: 2, command: put('k') })
    expect(applyEntry(script.state, entryAt(script.index + 1, needing), 2).answer?.outcome?.type).toBe('store.set')
  })

  it.each<[string, unknown]>([
    ['a command of no known kind that does not say what it needs', { ...numbered, command: wave }],
    ['one that needs what every code has', { ...numbered, needs: 1, command: wave }],
    ['an instruction of a later version before its time', { type: 'sea.level', needs: 2 }],
    ['a raise to a version that is none', { type: 'raise', version: 1.5 }],
    ['a raise to the first version', { type: 'raise', version: 1 }],
    ['a raise beyond all bounds', { type: 'raise', version: 2 ** 40 }],
    ['a raise with more than it has', { type: 'raise', version: 2, more: 1 }],
  ])('is no business of garbage: %s is nothing, to all', (_what, said) => {
    expect(decodeInstruction(encode(said))).toBeNull()
    const state = createMachine()
    expect(applyEntry(state, entryAt(1, encode(said)))).toEqual({ events: [] })
    expect(state.version).toBe(1)
  })
})
