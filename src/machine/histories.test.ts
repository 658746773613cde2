import { describe, expect, it } from 'vitest'
import type { Successor } from './command.js'
import { decodeMachine, encodeMachine } from './machine.js'
import { put, roomOf, testTokenBase } from './test-script.js'
import { tokenBaseMax } from './token-base.js'

const successor: Successor = { roomId: 'other', epoch: 0, forkId: '', foundation: null }

describe('[N2] the end of a history', () => {
  it('is void when a command was agreed on since it was decided: the other one may hear of that, and end as well', () => {
    const { script, sessions } = roomOf('ann')
    const { index } = script.state.lastCommand
    script.send(sessions.ann, put('k'))
    script.apply({ type: 'yield', to: successor, lastCommand: index })
    expect(script.state.successor).toBeNull()
    script.apply({ type: 'yield', to: successor, lastCommand: script.state.lastCommand.index })
    expect(script.state.successor).toEqual(successor)
  })

  it('... but not when it would have ended anyway; and after it nothing is done', () => {
    const { script, sessions } = roomOf('ann')
    script.send(sessions.ann, put('k'))
    script.apply({ type: 'yield', to: successor, lastCommand: null })
    expect(script.state.successor).toEqual(successor)
    expect(script.send(sessions.ann, put('late')).outcome).toBeUndefined()
    expect([...script.state.store.items.keys()]).toEqual(['k'])
  })

  it('[S-10] is kept in a snapshot, with what is known of where the two part', () => {
    for (const to of [successor, { ...successor, partsAt: 3 }]) {
      const { script } = roomOf('ann')
      script.apply({ type: 'yield', to, lastCommand: null })
      expect(decodeMachine(encodeMachine(script.state)).successor).toEqual(to)
    }
  })
})

describe('[N3] the way to a history', () => {
  it('is known to it for good: where each fork left, and how many began it', () => {
    const { script, sessions } = roomOf('ann')
    script.send(sessions.ann, put('k'))
    const first = script.state.lastCommand
    script.apply({ type: 'fork', epoch: 1, forkId: 'one', seconds: 0, members: 2 })
    script.send(sessions.ann, put('k'))
    const second = script.state.lastCommand
    script.apply({ type: 'fork', epoch: 2, forkId: 'two', seconds: 0 })
    const branches = [
      { forkId: 'one', members: 2, lastCommand: first },
      { forkId: 'two', members: 1, lastCommand: second },
    ]
    expect(script.state.branches).toEqual(branches)
    expect(decodeMachine(encodeMachine(script.state)).branches).toEqual(branches)
  })
})

describe('[T1] tokens after a merge', () => {
  function baseAfter(tokenFloor: number): number {
    const { script } = roomOf('ann')
    const incarnation = { counter: 1, nonce: 'n' }
    script.apply({ type: 'open', peerId: 'bob', incarnation, attempt: 1, browserId: 'b', state: null, tokenFloor })
    return script.state.tokenBase
  }

  it('stay where nobody came over', () => {
    expect(baseAfter(0)).toBe(testTokenBase)
  })

  it('rise above all that the history that ended may have given, of which who comes over may know only the beginning', () => {
    for (const floor of [1, testTokenBase - 1, testTokenBase, testTokenBase + 500])
      expect(baseAfter(floor)).toBe(floor + 2 ** 32)
  })

  it('rise once for each floor, and never beyond what counts', () => {
    const { script } = roomOf('ann')
    const bases = [1, 2, 3].map((counter) => {
      const incarnation = { counter, nonce: `n ${counter}` }
      const open = { type: 'open', peerId: 'bob', incarnation, attempt: 1, browserId: 'b', state: null } as const
      script.apply({ ...open, tokenFloor: testTokenBase })
      return script.state.tokenBase
    })
    expect(new Set(bases).size).toBe(1)
    expect(baseAfter(tokenBaseMax)).toBe(tokenBaseMax)
  })
})
