import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Entry } from '../raft/entry.js'
import { encode } from '../shared/codec.js'
import { encodeInstruction } from './instruction.js'
import { applyEntry, createMachine, decodeMachine, encodeMachine } from './machine.js'
import { defaultLimits, defaultSettings } from './settings.js'
import { lock, put, roomOf, Script, testTokenBase } from './test-script.js'

describe('applyEntry', () => {
  it('applies in order only', () => {
    const state = createMachine()
    const entry: Entry = { type: 'noop', term: 1, index: 2, time: 0 }
    expect(() => applyEntry(state, entry)).toThrow('expected index 1, got 2')
  })

  it('[C1] cluster time moves with every entry and never back', () => {
    const script = new Script()
    const times = [5, 3, Number.NaN, 7.9, -1, 8].map((time) => {
      script.time = time
      script.append({ type: 'noop' })
      return script.state.clusterTime
    })
    expect(times).toEqual([5, 5, 5, 7, 7, 8])
    script.time = 20
    script.apply({ type: 'tick', term: 99 })
    expect(script.state.clusterTime).toBe(20)
  })

  it('[N1] a room is founded once', () => {
    const script = new Script()
    const settings = { ...defaultSettings, limits: { ...defaultLimits, locks: 3 } }
    script.found(settings, 'first')
    script.found(defaultSettings, 'second')
    expect(script.state).toMatchObject({ roomId: 'first', tokenBase: testTokenBase, settings })
  })

  it('bytes that are no instruction change nothing but index and time', () => {
    const { script } = roomOf('ann')
    const before = { ...script.state }
    script.time = 9
    for (const data of [new Uint8Array(), encode({ type: 'surprise' }), encode([]), Uint8Array.of(0x9f, 0x9f)]) {
      expect(script.append({ type: 'command', data })).toEqual({ events: [] })
    }
    expect(script.state).toEqual({ ...before, appliedIndex: before.appliedIndex + 4, clusterTime: 9 })
  })

  it('never throws, whatever the bytes', () => {
    const { script, sessions } = roomOf('ann', 'bob')
    const seeds = [
      encodeInstruction({ type: 'found', roomId: 'x', tokenBase: 1, settings: defaultSettings }),
      encodeInstruction({ type: 'numbered', session: sessions.ann, number: 1, answered: 0, command: lock('a') }),
      encodeInstruction({ type: 'numbered', session: sessions.bob, number: 1, answered: 0, command: put('k') }),
      encodeInstruction({ type: 'expire', session: sessions.bob, silence: 5, term: 1 }),
    ]
    const damaged = fc
      .tuple(fc.constantFrom(...seeds), fc.array(fc.tuple(fc.nat(400), fc.nat(255)), { maxLength: 4 }), fc.nat(400))
      .map(([seed, flips, cut]) => {
        const copy = seed.slice(0, cut > 200 ? undefined : cut)
        for (const [at, byte] of flips) if (copy.length > 0) copy[at % copy.length] = byte
        return copy
      })
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array({ maxLength: 64 }), damaged), (data) => {
        script.append({ type: 'command', data })
      }),
      { numRuns: 3_000 },
    )
    expect(decodeMachine(encodeMachine(script.state))).toEqual(script.state)
  })

  it('survives a nesting that no stack could hold', () => {
    const { script } = roomOf('ann')
    expect(script.append({ type: 'command', data: new Uint8Array(500_000).fill(0x81) })).toEqual({ events: [] })
  })

  it('survives a session that holds very much', () => {
    const { script, sessions } = roomOf('ann')
    for (let i = 0; i < 256; i += 1) {
      for (let j = 0; j < 4; j += 1) script.send(sessions.ann, lock(`${i}`, { mode: 'shared' }))
    }
    expect(script.expire(sessions.ann, 9_999).events).toEqual([])
    expect(script.expire(sessions.ann, 10_000).events).toHaveLength(1024 + 1 + 256)
    expect(script.state.locks.resources.size).toBe(0)
  })
})
