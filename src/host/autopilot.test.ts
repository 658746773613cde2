import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { stepTowards } from '../raft/configuration.js'
import type { Configuration, Incarnation, PeerId } from '../raft/entry.js'
import { type Candidate, nextConfiguration, type Situation, votersWanted } from './autopilot.js'

const life = (counter: number): Incarnation => ({ counter, nonce: `n${counter}` })

/**
 * A peer in short: its letter, then what is special of it. `-` away, `g` gone, `s` silent, `l` never to vote,
 * `b` behind, `1` to `9` its browser (else one of its own), `h` hidden, `p` a phone, `f` frozen, `u` not settled, `r` unfit before and not settled
 * again, `y` younger than the others, `w` far away.
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
    unfit: flags.includes('f') || (flags.includes('h') && flags.includes('p')),
    frozen: flags.includes('f'),
    settled: !flags.includes('u') && !flags.includes('r'),
    returned: flags.includes('r'),
    visible: !flags.includes('h'),
    phone: flags.includes('p'),
    rtt: flags.includes('w') ? 400 : 4,
    stayed: flags.includes('y') ? 6_000 : 60_000,
  }
}

/** `voters | learners | others`: the first voter leads. `!`: silence has cost a voter its seat just now. */
function situation(shorthand: string, votersMax = 7): Situation {
  const text = shorthand.replace('!', '')
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
  return { leader: voters[0]?.peerId ?? '', configuration, candidates, votersMax, mayRemoveSilent: text === shorthand }
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
    expect(votersWanted(peers, browsers, max, false)).toBe(wanted)
  })

  it.each([
    [1, 1, 7, 1],
    [2, 1, 7, 2],
    [2, 1, 1, 1],
    [3, 1, 7, 3],
    [4, 1, 7, 3],
    [4, 4, 7, 3],
  ])('[M4] while who leads is hidden, of %i peers of %i browsers, at most %i: %i', (peers, browsers, max, wanted) => {
    expect(votersWanted(peers, browsers, max, true)).toBe(wanted)
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
    ['[S-4] ... but both do while the one that leads may be frozen: it is hidden', 'A1h|B1', 'AB|'],
    ['[S-4] ... whether the other is hidden or not', 'A1h|B1h', 'AB|'],
    ['[S-4] ... not if the other is', 'A1h|B1f', null],
    ['[S-4] ... nor for longer than that', 'A1 B1', 'A|B'],
    ['[S-4] a leader that is being frozen takes whoever runs, though it may be frozen next', 'A1f|B1hp', 'AB|'],
    ['[S-4] ... even if nobody would count on it else', 'A1f|B1r', 'AB|'],
    ['[S-4] ... not one that is behind', 'A1f|B1b', null],
    ['[M4] three tabs do: both others in one step', 'A1|B1 C1', 'ABC|'],
    ['... whatever the number was', 'A1 B1|C1', 'ABC|'],
    ['a fourth tab does not', 'A1 B1 C1|D1 E1', null],
    ['[M4] of two browsers one each', 'A1|B1 C2 D2', 'AC|BD'],
    ['... whatever votes already: one for another, and no more than a minority at once', 'A1 B1 C1|D2', 'ABD|C'],
    ['... to the last', 'A1 B1 D2', 'AD|B'],
    ['... of four one stops', 'A1 B1 C1 D2', 'ABD|C'],
    ['... of two the one becomes the other', 'A1 B1|C2', 'AC|B'],
    ['[M4] three browsers do: both others in one step', 'A|B C', 'ABC|'],
    ['... one of each', 'A1|B1 C2 D3', 'ACD|B'],
    ['... also in the place of one that has gone', 'A1 B2 C3g-|D3', 'ABD|'],
    ['... but who has gone does not wait for one that is behind', 'A1 B2 C3g-|Db3', 'AB|D'],
    ['... and another tab of it is there', 'A1 B2|D3', 'ABD|'],
    ['[M4] five browsers do, from one', 'A|B C D E', 'ABCDE|'],
    ['... as many as have caught up and make an odd number', 'A|B C D Eb', 'ABC|DE'],
    ['a second one alone does not make four', 'A B C|D Eb', null],
    ['of tabs promotion waits until the pair can be completed', 'A1|B1 Cb1', null],
    ['... since both must be there', 'A1|B1 C-1', null],
    ['... and may vote', 'A1|B1 Cl1', null],
    ['[S56] a learner that is behind holds up no other', 'A|B Cb', 'AB|C'],
    ['who is behind keeps the others voting', 'A1 B1|Cb1', null],
    ['a fourth does not vote', 'A B C|D', null],
    ['a fifth makes five, with the fourth', 'A B C|D E', 'ABCDE|'],
    ['... and seven', 'A B C D E|F G H', 'ABCDEFG|H'],
    ['no more than the limit', 'A B C D E F G|H I', null],
    ['other browsers first', 'A1|B1 C2 D1', 'AC|BD'],
    ['[S56] who is behind is waited for', 'A B|Cb', null],
    ['a voter away keeps its seat: four would not bear more than three', 'A B C-|D', null],
    ['... five bear one more', 'A B C-|D E', 'ABCDE|'],
    ['... and three bear one where two bear none', 'A B-|C', 'ABC|'],
    ['[M3] silent for a lease it is replaced, since three stay', 'A B C-s|D', 'ABD|'],
    ['[M3] ... not by one that may not vote', 'A B C-s|Dl', null],
    ['[M3] ... nor by another tab of a browser that votes', 'A1 B2 C3-s|D1', null],
    ['[M3] ... of five one at once with one who is too many', 'A B C D E-s', 'ABC|D'],
    ['[M3] ... or with its replacement', 'A B C D E-s|F', 'ABCDF|'],
    ['[M3] ... and not while another is away', 'A B C D- E-s', null],
    ['who is gone leaves: a learner first', 'A B Cg-|Dg-', 'ABC|'],
    ['... then a voter', 'A B Cg-', 'AB|'],
    ['... of five two', 'A B C Dg- Eg-', 'ABC|'],
    ['... of five one, with one who is too many', 'A B C D Eg-', 'ABC|D'],
    ['... also to an even number', 'A B C D- Eg-', 'ABCD|'],
    ['of two voters one gone: the other stays alone', 'A Bg', 'A|'],
    ['... also when a learner is there, since both would have to commit the exchange', 'A Bg-|C', 'A|C'],
    ['[M2] of two voters one gone for good and away: it cannot leave without its own vote, in the core', 'A Bg-', 'A|'],
    ['the dead leave before those whose nodes still help', 'A Bg Cg-', 'AB|'],
    ['[M3] silent for a lease: leaves while more than three vote', 'A B C D-s', 'ABC|'],
    ['[M3] ... of five one, though it leaves four, since another one follows', 'A B C D-s E-s', 'ABCE|'],
    ['[M3] ... a lease later the next one', 'A B C E-s', 'ABC|'],
    ['[M3] ... not before', 'A B C E-s!', null],
    ['[M3] ... not even one that has its replacement', 'A B C-s|D!', null],
    ['[M3] ... who is gone need not wait', 'A B C D-s Eg-!', 'ABCD|'],
    ['[M3] ... of seven one too', 'A B C D E-s F-s G-s', 'ABCDFG|'],
    ['[M3] ... one with its replacement, the other waits', 'A B C D-s E-s|F', 'ABCEF|'],
    ['[M3] ... a silent learner costs nobody a seat', 'A B C|D-s!', 'ABC|'],
    ['[M2][M3] ... the other one of two waits as well', 'A B-s!', null],
    ['[M3] silence never takes a room below three', 'A B C-s', null],
    ['a silent learner leaves', 'A B C|D-s', 'ABC|'],
    ['too many vote: one stops', 'A1 B1', 'A|B'],
    ['... not the leader', 'B1 A1', 'B|A'],
    ['[M2] the other one of two is silent for a lease', 'A B-s', 'A|'],
    ['[M2] ... not before', 'A B-', null],
    ['... not while a voter is away', 'A B C D-', null],
    ['... the last of them', 'A B C D', 'ABC|D'],
    ['over the limit, too', 'A B C D E', 'ABC|DE'],
    ['who asks never to vote any more stops voting in time', 'A B Cl', 'AB|C'],
    ['[M4] who has not settled yet votes at once where all voters are needed', 'A|Bu', 'AB|'],
    ['[M4] ... of two browsers', 'A B|Cu', 'ABC|'],
    ['[M4] ... two together', 'A1|Bu1 Cu1', 'ABC|'],
    ['[M4] ... and in the place of one that has gone', 'A B Cg-|Du', 'ABD|'],
    ['[M4] ... not where one of them could be lost', 'A B C|Du Eu', null],
    ['[M4] ... all who make it odd have settled', 'A B C|D Eu', null],
    ['[M4] ... not who was unfit before', 'A|Br', null],
    ['[M4] the visible one of a browser votes', 'A1|Bh2 C2', 'AC|B'],
    ['[M4] ... of a desktop before a phone', 'A B C D E|Fp G Hp', 'ABCDEFG|H'],
    ['[M4] ... even one that is far away', 'A B|Cp Dw', 'ABD|C'],
    ['[M4] ... the nearer one', 'A B|Cw D', 'ABD|C'],
    ['[M4] ... the one that has stayed for longest', 'A B|Cy D', 'ABD|C'],
    ['[M4] who votes is not exchanged for one that is merely better', 'A Bhy Cpw|D', null],
    ['[M4] hidden on a phone it is, in one step', 'A B Chp|D', 'ABD|C'],
    ['[M4] ... by one that has not settled, since all the fit ones are needed', 'A B Chp|Du', 'ABD|C'],
    ['[M4] ... and stops voting without one, two being enough', 'A B Chp', 'AB|C'],
    ['[M4] ... also before the next one has caught up', 'A B Chp|Db', 'AB|CD'],
    ['[M4] ... the other one of two', 'A Bhp', 'A|B'],
    ['[M4] ... both others, one after the other', 'A Bhp Chp', 'AB|C'],
    ['[M4] ... of five two', 'A B C Dhp Ehp', 'ABC|DE'],
    ['[M4] ... not while its vote is needed for another one that is away', 'A B- Chp', null],
    ['[M4] ... frozen likewise', 'A B Cf', 'AB|C'],
    ['[M4] ... and away since: the other one of two goes on alone', 'A Bf-', 'A|B'],
    ['[M4] ... of three, as long as the others can commit it', 'A B Chp-', 'AB|C'],
    ['[M4] ... not where it is needed for that', 'A Bhp- Chp-', null],
    ['[M4] ... visible on a phone, or hidden on a desktop, it votes on', 'A Bp Ch', null],
    ['[M4] ... nor does it begin to vote', 'A|Bhp', null],
    ['[M4] ... nor in the place of another one', 'A Bhp|Chp', 'A|BC'],
    ['[M4] an unfit leader has nobody stop voting: it hands over', 'Ahp B Chp', null],
    ['[M4] ... nor while it finds nobody', 'Ahp Bhp Chp', null],
    ['[M4] ... to a learner that votes for it, of two tabs too', 'Ahp1|Bp1', 'AB|'],
    ['[M4] ... the best one there is', 'Ahp|Bp C', 'AC|B'],
    ['[M4] ... with a third vote', 'Ahp Bhp|C', 'ABC|'],
    ['[M4] ... with a seat of three', 'Ahp Bhp Chp|D', 'ABD|C'],
    ['[M4] ... not to one that was unfit just now', 'Ahp|Bpr', null],
    ['[M4] ... after which the next leader lets it go', 'B1p A1hp', 'B|A'],
    ['[L4] a leader that is but a resident leaves when somebody else can go on', 'Agl B', 'B|'],
    ['[L4] ... at once with the one in its place', 'Agl B C|D', 'BCD|'],
    ['[L4] ... and not before', 'Agl B-', null],
    ['[L4] ... nor while it is alone', 'Agl', null],
  ])('%s (%s)', (title, text, wanted) => {
    expect(next(text, title === 'over the limit, too' ? 3 : 7)).toBe(wanted)
  })

  it('while a joint change is under way nothing else is decided', () => {
    const given = situation('A B C|D||E')
    const configuration = { ...given.configuration, voters: ['A', 'B', 'D'], outgoing: ['A', 'B', 'C'], learners: [] }
    expect(nextConfiguration({ ...given, configuration })).toBeNull()
  })

  it('of a joint step both halves can be reached', () => {
    expect(next('A B- C-s|D')).toBeNull()
    expect(next('A B C- D-s E-|F G')).toBeNull()
    expect(next('A B C D-s E-|F G')).toBe('ABCEF|G')
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
  visible: fc.boolean(),
  phone: fc.boolean(),
  unfit: fc.boolean(),
  frozen: fc.boolean(),
  settled: fc.boolean(),
  returned: fc.boolean(),
  rtt: fc.constantFrom(null, 4, 400),
  stayed: fc.constantFrom(0, 6_000),
  browserId: fc.constantFrom('1', '2', '3'),
  place: fc.constantFrom('voter', 'learner', 'other'),
})

const situations = fc
  .tuple(fc.array(flags, { minLength: 1, maxLength: 9 }), fc.integer({ min: 1, max: 7 }), fc.boolean())
  .map(([all, votersMax, mayRemoveSilent]): Situation => {
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
      mayRemoveSilent,
    }
  })

describe('whatever the situation is', () => {
  it('[S60] a step removes no more than a minority, keeps quorums that can be reached, and is well-formed', () => {
    fc.assert(
      fc.property(situations, (given) => {
        const step = nextConfiguration(given)
        if (!step) return
        const { configuration: before, candidates, leader, votersMax } = given
        // S-4: a leader that has no time to choose takes whoever runs.
        const isStopping = candidates.get(leader)?.unfit === true && candidates.get(leader)?.frozen === true
        const [was, is] = [new Set(before.voters), new Set(step.voters)]
        const joined = step.voters.filter((peerId) => !was.has(peerId))
        const left = before.voters.filter((peerId) => !is.has(peerId))
        const members = [...step.voters, ...step.learners].sort()
        expect(left.length * 2 < was.size || left.length === 1 || left.length === 0).toBe(true)
        expect(step.voters.length).toBeGreaterThan(0)
        if (joined.length > 0) expect(step.voters.length).toBeLessThanOrEqual(Math.max(was.size, votersMax, 2))
        expect(step.learners.some((peerId) => is.has(peerId))).toBe(false)
        expect(step.voters).toEqual([...step.voters].sort())
        expect(step.learners).toEqual([...step.learners].sort())
        expect(Object.keys(step.incarnations).sort()).toEqual(members)
        for (const peerId of joined) {
          const { live, gone, learnerOnly, caughtUp, unfit } = candidates.get(peerId) ?? candidate(peerId)
          expect({ live, gone, learnerOnly, caughtUp, unfit }).toEqual({
            ...{ live: true, gone: false, learnerOnly: false, caughtUp: true, unfit: isStopping && unfit },
          })
        }
        if (joined.length + left.length > 0) {
          const { voters, outgoing } = stepTowards(before, step)
          for (const half of [voters, outgoing]) {
            const reachable = half.filter((peerId) => peerId === leader || candidates.get(peerId)?.live)
            if (half.length > 0) expect(reachable.length * 2).toBeGreaterThan(half.length)
          }
        }
        if (left.includes(leader)) expect(candidates.get(leader)?.gone).toBe(true)
        const isOfSilence = (peerId: PeerId) => candidates.get(peerId)?.silent && !candidates.get(peerId)?.gone
        const ofSilence = left.filter((peerId) => isOfSilence(peerId) && !members.includes(peerId))
        expect(ofSilence.length).toBeLessThanOrEqual(given.mayRemoveSilent ? 1 : 0)
        if (ofSilence.length > 0 && was.size !== 2) expect(step.voters.length).toBeGreaterThanOrEqual(3)
        // M4. Only who is gone leaves an even number behind, or who is silent and followed by another one; relief of an unfit leader keeps it.
        const isGone =
          left.length > 0 &&
          left.every((peerId) => candidates.get(peerId)?.gone || (isOfSilence(peerId) && step.voters.some(isOfSilence)))
        const isRelief = candidates.get(leader)?.unfit === true && step.voters.length === was.size
        if (joined.length + left.length > 0 && !isGone && !isRelief)
          expect([1, 2, 3, 5, 7]).toContain(step.voters.length)
      }),
      { numRuns: 3000 },
    )
  })

  it('when nobody is away the steps come to an end, with as many voters as are wanted', () => {
    const calm = situations.map((given): Situation => {
      const candidates = [...given.candidates.values()].map((one) => ({
        ...one,
        ...{ live: true, silent: false, caughtUp: true, gone: false, settled: true },
        unfit: one.peerId !== given.leader && one.unfit,
        frozen: one.peerId !== given.leader && one.frozen && one.unfit,
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
        const fit = [...given.candidates.values()].filter((one) => !one.learnerOnly && !one.unfit)
        const browsers = new Set(fit.map((one) => one.browserId)).size
        const isHidden = given.candidates.get(given.leader)?.visible === false
        expect(configuration.voters.length).toBe(votersWanted(fit.length, browsers, given.votersMax, isHidden))
        const represented = new Set(configuration.voters.map((peerId) => given.candidates.get(peerId)?.browserId))
        if (browsers > 1) expect(represented.size).toBe(configuration.voters.length)
        expect([...configuration.voters, ...configuration.learners].sort()).toEqual([...given.candidates.keys()].sort())
      }),
      { numRuns: 1000 },
    )
  })
})
