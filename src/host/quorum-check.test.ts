import { describe, expect, it } from 'vitest'
import type { Configuration, PeerId } from '../raft/entry.js'
import { QuorumCheck, type Rounds } from './quorum-check.js'

/** `AB|C`: voters and learners. */
function members(text: string): Configuration {
  const [voters = '', learners = ''] = text.split('|')
  return { voters: [...voters], outgoing: [], learners: [...learners], learnersNext: [], incarnations: {} }
}

class TestRounds implements Rounds {
  current = 7
  begun = 0
  readonly #answers = new Map<PeerId, number>()

  /** These answer the newest round. */
  answer(...peers: readonly PeerId[]): void {
    for (const peerId of peers) this.#answers.set(peerId, this.current)
  }

  answeredBy(peerId: PeerId): number {
    return this.#answers.get(peerId) ?? 0
  }

  begin(): void {
    this.begun += 1
    this.current += 1
  }
}

function setUp(leader: PeerId = 'A') {
  const check = new QuorumCheck(leader)
  const rounds = new TestRounds()
  rounds.answer('A', 'B', 'C', 'D', 'E')
  return { rounds, check, passes: (from: string, to: string) => check.passes(members(from), members(to), rounds) }
}

describe('a change of voters', () => {
  it.each([
    ['[M1] one of three leaves', 'ABC', 'AB', ['B']],
    ['[M2] a second one votes', 'A|B', 'AB', ['B']],
    ['[M4] a third one votes: two of the three are enough', 'AB|C', 'ABC', ['C']],
    ['[M4] 1 -> 3: of both halves a majority', 'A|BC', 'ABC', ['B']],
    ['[M4] 3 -> 5: of the new ones too', 'ABC|DE', 'ABCDE', ['B', 'E']],
    ['[M3] one for another', 'ABC|D', 'ABD', ['B']],
    ['[L4] the leader leaves: it counts no more', 'AB', 'B', ['B']],
  ])('%s (%s to %s): waits for a round of its own', (_title, from, to, answering) => {
    const { rounds, passes } = setUp()
    expect(passes(from, to)).toBe(false)
    expect(rounds.begun).toBe(1)
    for (const peerId of answering) {
      expect(passes(from, to)).toBe(false)
      rounds.answer(peerId)
    }
    expect(passes(from, to)).toBe(true)
    expect(rounds.begun).toBe(1)
  })

  it('is not made for the answers of one half of a joint configuration', () => {
    const { rounds, passes } = setUp()
    passes('ABC|DE', 'ADE')
    rounds.answer('D', 'E')
    expect(passes('ABC|DE', 'ADE')).toBe(false)
    rounds.answer('C')
    expect(passes('ABC|DE', 'ADE')).toBe(true)
  })

  it('does not count answers to rounds that had begun before', () => {
    const { rounds, passes } = setUp()
    rounds.current = 9
    expect(passes('ABC', 'AB')).toBe(false)
    rounds.current = 9
    rounds.answer('B')
    expect(passes('ABC', 'AB')).toBe(false)
  })

  it('begins anew when it is another one, and when the decision was dropped meanwhile', () => {
    const { rounds, check, passes } = setUp()
    passes('ABC', 'AB')
    rounds.answer('B', 'C')
    expect(passes('ABC', 'AC')).toBe(false)
    rounds.answer('B', 'C')
    check.restart()
    expect(check.isOpen).toBe(false)
    expect(passes('ABC', 'AC')).toBe(false)
    expect([rounds.begun, check.isOpen]).toEqual([3, true])
  })
})

describe('nobody is waited for', () => {
  it.each([
    ['[M2] by a leader that goes on alone', 'AB', 'A'],
    ['[M4] when a learner comes', 'AB', 'AB|C'],
    ['[M3] when a learner goes', 'AB|C', 'AB'],
  ])('%s (%s to %s)', (_title, from, to) => {
    const { rounds, check, passes } = setUp()
    expect(passes(from, to)).toBe(true)
    expect([rounds.begun, check.isOpen]).toEqual([0, false])
  })
})
