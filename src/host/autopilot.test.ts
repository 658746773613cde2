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
    [0, 0, 7, 1],
    [1, 1, 7, 1],
    [2, 1, 7, 1],
    [3, 1, 7, 3],
    [9, 1, 7, 3],
    [2, 2, 7, 2],
    [9, 2, 7, 2],
    [9, 2, 1, 1],
    [3, 3, 7, 3],
    [4, 4, 7, 3],
    [9, 4, 7, 3],
    [5, 5, 7, 5],
    [9, 9, 7, 7],
    [9, 9, 6, 5],
    [9, 9, 2, 1],
    [9, 9, 1, 1],
  ])('[M4] of %i peers of %i browsers, at most %i: %i', (peers, browsers, max, wanted) => {
    expect(votersWanted(peers, browsers, max)).toBe(wanted)
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
    ['[M2] two of two browsers both vote', 'A|B', 'AB|'],
    ['[L4] of two tabs of one browser one does', 'A1|B1', null],
    ['[M4] three tabs do, one after the other', 'A1|B1 C1', 'AB|C'],
    ['... the second step', 'A1 B1|C1', 'ABC|'],
    ['a fourth tab does not', 'A1 B1 C1|D1 E1', null],
    ['[M4] of two browsers one each', 'A1|B1 C2 D2', 'AC|BD'],
    ['... whatever votes already', 'A1 B1 C1|D2', 'ABCD|'],
    ['... then the others stop, one after the other', 'A1 B1 C1 D2', 'ABD|C'],
    ['... to the last', 'A1 B1 D2', 'AD|B'],
    ['[M4] three browsers do, one after the other', 'A|B C', 'AB|C'],
    ['... one of each', 'A1|B1 C2 D3', 'AC|BD'],
    ['... also when the one that voted has gone', 'A1 B2 C3g-|D3', 'AB|D'],
    ['... and another tab of it is there', 'A1 B2|D3', 'ABD|'],
    ['... the second step', 'A B|C', 'ABC|'],
    ['of tabs promotion waits until the pair can be completed', 'A1|B1 Cb1', null],
    ['... since both must be there', 'A1|B1 C-1', null],
    ['... and may vote', 'A1|B1 Cl1', null],
    ['[S56] a learner that is behind holds up no other', 'A|B Cb', 'AB|C'],
    ['who is behind keeps the others voting', 'A1 B1|Cb1', null],
    ['a fourth does not vote', 'A B C|D', null],
    ['a fifth makes five', 'A B C|D E', 'ABCD|E'],
    ['no more than the limit', 'A B C D E F G|H I', null],
    ['other browsers first', 'A1|B1 C2 D1', 'AC|BD'],
    ['[S56] who is behind is waited for', 'A B|Cb', null],
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
    ['too many vote: one stops', 'A1 B1', 'A|B'],
    ['... not the leader', 'B1 A1', 'B|A'],
    ['[M2] the other one of two is silent for a lease', 'A B-s', 'A|'],
    ['[M2] ... not before', 'A B-', null],
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
  it('[S60] a step changes one member, keeps a quorum that can be reached, and is well-formed', () => {
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
          if (silent && !gone && before.voters.length !== 2) expect(step.voters.length).toBeGreaterThanOrEqual(3)
        }
      }),
      { numRuns: 3000 },
    )
  })

  it('when nobody is away the steps come to an end, with as many voters as are wanted', () => {
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
        const browsers = new Set(fit.map((one) => one.browserId)).size
        expect(configuration.voters.length).toBe(votersWanted(fit.length, browsers, given.votersMax))
        const represented = new Set(configuration.voters.map((peerId) => given.candidates.get(peerId)?.browserId))
        if (browsers > 1) expect(represented.size).toBe(configuration.voters.length)
        expect([...configuration.voters, ...configuration.learners].sort()).toEqual([...given.candidates.keys()].sort())
      }),
      { numRuns: 1000 },
    )
  })
})
