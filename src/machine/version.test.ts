import { describe, expect, it } from 'vitest'
import { encode } from '../shared/codec.js'
import { decodeInstruction, encodeInstruction } from './instruction.js'
import { applyEntry, createMachine, decodeMachine, encodeMachine } from './machine.js'
import { put, roomOf } from './test-script.js'
import { machineVersion, NewerMachineError } from './version.js'

/** One that this code does not know. */
const next = machineVersion + 1

const raise = (version: number) => encodeInstruction({ type: 'raise', version })
const wave = { type: 'sea.wave', height: 3 }
const numbered = { type: 'numbered', number: 1, answered: 0 } as const
const entryAt = (index: number, data: Uint8Array) => ({ type: 'command', term: 1, index, time: 1, data }) as const

describe('[F5] the version of the machine', () => {
  it('is raised by an entry, never back, and is a part of the state', () => {
    const { script } = roomOf('ann')
    for (const version of [next + 1, next, next + 1])
      applyEntry(script.state, entryAt(script.index + 1, raise(version)), next + 1)
    expect(script.state.version).toBe(next + 1)
    expect(decodeMachine(encodeMachine(script.state), next + 1)).toEqual(script.state)
  })

  it('above what the code can apply stops it, before anything has changed', () => {
    const { script } = roomOf('ann')
    const before = encodeMachine(script.state)
    expect(() => script.append({ type: 'command', data: raise(next) })).toThrow(NewerMachineError)
    expect(encodeMachine(script.state)).toEqual(before)
    applyEntry(script.state, entryAt(script.index + 1, raise(next)), next)
    expect(() => decodeMachine(encodeMachine(script.state))).toThrow(NewerMachineError)
  })

  it('of a snapshot is read whatever else there is in it', () => {
    expect(() => decodeMachine(encode({ version: next, shape: ['of', 'its', 'own'] }))).toThrow(NewerMachineError)
    for (const version of [0, -1, 1.5, '2', null])
      expect(() => decodeMachine(encode({ version }))).toThrow(
        expect.not.toSatisfy((e) => e instanceof NewerMachineError),
      )
  })

  it('below what a command needs refuses it: alike, whether the code knows the command or not, and the session goes on', () => {
    const outcomes = [put('k'), wave].flatMap((command) =>
      [machineVersion, next].map((canApply) => {
        const { script, sessions } = roomOf('ann')
        const data = encode({ ...numbered, session: sessions.ann, needs: next, command })
        const { answer } = applyEntry(script.state, entryAt(script.index + 1, data), canApply)
        expect(script.state.store.items.size).toBe(0)
        const second = encodeInstruction({ ...numbered, session: sessions.ann, number: 2, command: put('k') })
        expect(applyEntry(script.state, entryAt(script.index + 1, second), canApply).answer?.outcome?.type).toBe(
          'store.set',
        )
        return [answer, encodeMachine(script.state)]
      }),
    )
    for (const outcome of outcomes) expect(outcome).toEqual(outcomes[0])
    expect(outcomes[0]?.[0]).toMatchObject({ number: 1, outcome: { failure: { code: 'incompatible-peer' } } })
  })

  it('that has risen answers a command that is none of its version: the session goes on', () => {
    const { script, sessions } = roomOf('ann')
    const data = encode({ ...numbered, session: sessions.ann, needs: machineVersion, command: wave })
    const { answer } = applyEntry(script.state, entryAt(script.index + 1, data))
    expect(answer).toMatchObject({ number: 1, outcome: { failure: { code: 'incompatible-peer' } } })
  })

  it('that has risen lets through what needs it', () => {
    const { script, sessions } = roomOf('ann')
    applyEntry(script.state, entryAt(script.index + 1, raise(next)), next)
    const needing = encodeInstruction({ ...numbered, session: sessions.ann, needs: next, command: put('k') })
    expect(applyEntry(script.state, entryAt(script.index + 1, needing), next).answer?.outcome?.type).toBe('store.set')
  })

  it.each<[string, unknown]>([
    ['a command of no known kind that does not say what it needs', { ...numbered, session: 3, command: wave }],
    ['one that needs what every code has', { ...numbered, session: 3, needs: 1, command: wave }],
    ['an instruction of a later version before its time', { type: 'sea.level', needs: next }],
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
