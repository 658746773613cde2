import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Configuration, Incarnation, PeerId } from '../raft/entry.js'
import { type Candidate, nextConfiguration, type Situation, votersWanted } from './autopilot.js'

const life = (counter: number): Incarnation => ({ counter, nonce: `n${counter}` })

/**
 * A peer in short: its letter, then what is special of it. `-` away, `g` gone, `s` silent, `l` never to vote,
 * `b` behind, `1` to `9` its browser (else one of its own).
 */
function candidate(text: string): Candidate {
  const [peerId = '', ...flags] = text
  const browser = flags.find((flag) => /\d/.test(flag))
  return {
    peerId,
    incarnation: flags.includes('-') ? null : life(1),
    browserId: browser ?? `browser of ${peerId}`,
    live: !flags.includes('-'),
    gone: flags.includes('g'),
    silent: flags.includes('s'),
    learnerOnly: flags.includes('l'),
    caughtUp: !flags.includes('b') && !flags.includes('-'),
  }
}

/** `voters | learners | others`: the first voter leads. */
function situation(text: string, votersMax = 7): Situation {
  const [voters = [], learners = [], others = []] = text
    .split('|')
    .map((part) => part.trim().split(' ').filter(Boolean).map(candidate))
  const members = [...voters, ...learners].map(({ peerId }) => peerId).sort()
  const configuration: Configuration = {
    voters: voters.map(({ peerId }) => peerId).sort(),
    outgoing: [],
    learners: learners.map(({ peerId }) => peerId).sort(),
    learnersNext: [],
    incarnations: Object.fromEntries(members.map((peerId) => [peerId, life(1)])),
  }
  const candidates = new Map([...voters, ...learners, ...others].map((one) => [one.peerId, one]))
  return { leader: voters[0]?.peerId ?? '', configuration, candidates, votersMax }
}

function next(text: string, votersMax = 7): string | null {
  const result = nextConfiguration(situation(text, votersMax))
  return result && `${result.voters.join('')}|${result.learners.join('')}`
}

describe('how many vote', () => {
  it.each([
    [0, 7, 1],
    [1, 7, 1],
    [2, 7, 1],
    [3, 7, 3],
    [4, 7, 3],
    [5, 7, 5],
    [9, 7, 7],
    [9, 6, 5],
    [9, 1, 1],
  ])('of %i who could, at most %i: %i', (eligible, max, wanted) => {
    expect(votersWanted(eligible, max)).toBe(wanted)
  })
})

describe('a table of situations', () => {
  it.each<[string, string, string | null]>([
    ['alone, all is right', 'A', null],
    ['who asks comes in as a learner', 'A||B', 'A|B'],
    ['one at a time', 'A||B C', 'A|B'],
    ['who asked and is away does not come in', 'A||B-', null],
    ['who asked and is gone does not come in', 'A||Bg', null],
    ['a resident of a dead tab does not come in', 'A||Bgl', null],
    ['[M4] two do not both vote', 'A|B', null],
    ['[M4] three do, one after the other', 'A|B C', 'AB|C'],
    ['... the second step', 'A B|C', 'ABC|'],
    ['promotion waits until the pair can be completed', 'A|B Cb', null],
    ['... since both must be there', 'A|B C-', null],
    ['... and may vote', 'A|B Cl', null],
    ['a fourth does not vote', 'A B C|D', null],
    ['a fifth makes five', 'A B C|D E', 'ABCD|E'],
    ['no more than the limit', 'A B C D E F G|H I', null],
    ['other browsers first', 'A1|B1 C2 D1', 'AC|BD'],
    ['who is behind is waited for', 'A B|Cb', null],
    ['a voter away is made up for by a learner', 'A B C-|D', 'ABCD|'],
    ['even by a step that leaves four, since three are there', 'A B C-|D E', 'ABCD|E'],
    ['who is gone leaves: a learner first', 'A B Cg-|Dg-', 'ABC|'],
    ['... then a voter', 'A B Cg-', 'AB|'],
    ['of two voters one gone: the other stays alone', 'A Bg', 'A|'],
    ['[M2] of two voters one gone for good and away: it cannot leave without its own vote, in the core', 'A Bg-', 'A|'],
    ['the dead leave before those whose nodes still help', 'A Bg Cg-', 'AB|'],
    ['[M3] silent for a lease: leaves while more than three vote', 'A B C D-s E-s', 'ABCE|'],
    ['[M3] silence never takes a room below three', 'A B C-s', null],
    ['a silent learner leaves', 'A B C|D-s', 'ABC|'],
    ['too many vote: one stops', 'A B', 'A|B'],
    ['... not the leader', 'B A', 'B|A'],
    ['... not while a voter is away', 'A B C D-', null],
    ['... the last of them', 'A B C D', 'ABC|D'],
    ['over the limit, too', 'A B C D E', 'ABCD|E'],
    ['who asks never to vote any more stops voting in time', 'A B Cl', 'AB|C'],
    ['[L4] a leader that is but a resident leaves when somebody else can go on', 'Agl B', 'B|'],
    ['[L4] ... and not before', 'Agl B-', null],
    ['[L4] ... nor while it is alone', 'Agl', null],
  ])('%s (%s)', (title, text, wanted) => {
    expect(next(text, title === 'over the limit, too' ? 3 : 7)).toBe(wanted)
  })

  it('a step is not taken after which those who are there could not commit; a less urgent one that can is', () => {
    expect(next('A B- C- Dg')).toBeNull()
    expect(next('A B- Cg-||D')).toBe('ABC|D')
  })
})

describe('[F2] the configuration keeps the highest incarnation of each member', () => {
  const seen = (incarnation: Incarnation | null) => {
    const given = situation('A B C')
    const candidates = new Map(given.candidates)
    candidates.set('B', { ...candidate('B'), incarnation })
    return nextConfiguration({ ...given, candidates })?.incarnations['B'] ?? null
  }

  it('a higher one is noted', () => expect(seen(life(4))).toEqual(life(4)))
  it('the same, a lower one and none change nothing', () => {
    expect([seen(life(1)), seen(life(0)), seen(null)]).toEqual([null, null, null])
  })
  it('another nonce at the same counter changes nothing', () => {
    expect(seen({ counter: 1, nonce: 'copy' })).toBeNull()
  })
  it('who comes in is noted with its own, who leaves is forgotten', () => {
    expect(nextConfiguration(situation('A||B'))?.incarnations).toEqual({ A: life(1), B: life(1) })
    expect(nextConfiguration(situation('A B Cg-'))?.incarnations).toEqual({ A: life(1), B: life(1) })
  })
})

const flags = fc.record({
  live: fc.boolean(),
  gone: fc.boolean(),
  silent: fc.boolean(),
  learnerOnly: fc.boolean(),
  caughtUp: fc.boolean(),
  browserId: fc.constantFrom('1', '2', '3'),
  place: fc.constantFrom('voter', 'learner', 'other'),
})

const situations = fc
  .tuple(fc.array(flags, { minLength: 1, maxLength: 9 }), fc.integer({ min: 1, max: 7 }))
  .map(([all, votersMax]): Situation => {
    const peers = all.map((one, i) => ({ ...one, peerId: String.fromCharCode(65 + i) }))
    const of = (place: string) =>
      peers.filter((one, i) => (i === 0 ? 'voter' : one.place) === place).map((one) => one.peerId)
    const [voters, learners] = [of('voter').slice(0, 7), of('learner')]
    const incarnations = Object.fromEntries([...voters, ...learners].sort().map((peerId) => [peerId, life(1)]))
    const candidates = new Map<PeerId, Candidate>(
      peers.map(({ place: _place, ...one }, i) => [
        one.peerId,
        {
          ...one,
          incarnation: life(1),
          live: i === 0 || one.live,
          gone: one.gone,
          silent: i > 0 && !one.live && one.silent,
        },
      ]),
    )
    return {
      leader: 'A',
      configuration: { voters, outgoing: [], learners, learnersNext: [], incarnations },
      candidates,
      votersMax,
    }
  })

describe('whatever the situation is', () => {
  it('a step changes one member, keeps a quorum that can be reached, and is well-formed', () => {
    fc.assert(
      fc.property(situations, (given) => {
        const step = nextConfiguration(given)
        if (!step) return
        const { configuration: before, candidates, leader } = given
        const [was, is] = [new Set(before.voters), new Set(step.voters)]
        const joined = step.voters.filter((peerId) => !was.has(peerId))
        const left = before.voters.filter((peerId) => !is.has(peerId))
        expect(joined.length + left.length).toBeLessThanOrEqual(1)
        expect(step.voters.length).toBeGreaterThan(0)
        expect(step.learners.some((peerId) => is.has(peerId))).toBe(false)
        expect(step.voters).toEqual([...step.voters].sort())
        expect(step.learners).toEqual([...step.learners].sort())
        expect(Object.keys(step.incarnations).sort()).toEqual([...step.voters, ...step.learners].sort())
        for (const peerId of joined) {
          const { live, gone, learnerOnly, caughtUp } = candidates.get(peerId) ?? candidate(peerId)
          expect({ live, gone, learnerOnly, caughtUp }).toEqual({
            live: true,
            gone: false,
            learnerOnly: false,
            caughtUp: true,
          })
        }
        if (joined.length + left.length > 0) {
          const reachable = step.voters.filter((peerId) => peerId === leader || candidates.get(peerId)?.live)
          expect(reachable.length * 2).toBeGreaterThan(step.voters.length)
        }
        if (left.includes(leader)) expect(candidates.get(leader)?.gone).toBe(true)
        for (const peerId of left) {
          const { gone, silent } = candidates.get(peerId) ?? candidate(peerId)
          if (silent && !gone) expect(step.voters.length).toBeGreaterThanOrEqual(3)
        }
      }),
      { numRuns: 3000 },
    )
  })

  it('when nobody is away the steps come to an end, with an odd number of voters that are fit to vote', () => {
    const calm = situations.map((given): Situation => {
      const candidates = [...given.candidates.values()].map((one) => ({
        ...one,
        ...{ live: true, silent: false, caughtUp: true, gone: false },
        learnerOnly: one.peerId !== given.leader && one.learnerOnly,
      }))
      return { ...given, candidates: new Map(candidates.map((one) => [one.peerId, one])) }
    })
    fc.assert(
      fc.property(calm, (given) => {
        let configuration = given.configuration
        for (let steps = 0; ; steps += 1) {
          expect(steps).toBeLessThan(40)
          const step = nextConfiguration({ ...given, configuration })
          if (!step) break
          configuration = step
        }
        const fit = [...given.candidates.values()].filter((one) => !one.learnerOnly)
        expect(configuration.voters.length).toBe(votersWanted(fit.length, given.votersMax))
        expect([...configuration.voters, ...configuration.learners].sort()).toEqual([...given.candidates.keys()].sort())
      }),
      { numRuns: 1000 },
    )
  })
})
