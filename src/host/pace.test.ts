import { describe, expect, it } from 'vitest'
import { defaultTiming } from '../machine/settings.js'
import { type Configuration, emptyConfiguration } from '../raft/entry.js'
import { Pace, scaled } from './pace.js'

const founded = scaled(defaultTiming, 1)

/** Members by what an election needs over the link to them, ms; null while that is not measured. Nobody is linked to itself. */
function paceOf(self: string, needs: Readonly<Record<string, number | null>>): Pace {
  return new Pace(self, (peerId) => (peerId === self ? null : (needs[peerId] ?? null)))
}

/** The minimum election time-out of `me`, ms. */
function patience(needs: Readonly<Record<string, number | null>>, configuration: Partial<Configuration> = {}): number {
  const voters = ['me', ...Object.keys(needs)].sort()
  return paceOf('me', needs).timing(defaultTiming, { ...emptyConfiguration, voters, ...configuration }, 0).electionTicks
}

describe('[M5] a peer is as patient as its nearest quorum needs', () => {
  it('[M5] nobody waits for a slow minority', () => {
    const pace = paceOf('me', { ann: 100, bob: 2_400 })
    const configuration = { ...emptyConfiguration, voters: ['ann', 'bob', 'me'] }
    expect(pace.timing(defaultTiming, configuration, 0), 'heartbeats come as often as ever').toEqual(founded)
    expect(patience({ ann: 100, bob: 600, carl: 2_400, dan: 3_000 }), 'the two that are nearest').toBe(600)
  })

  it('[M5] a slow majority is waited for, with all times in proportion', () => {
    const pace = paceOf('me', { ann: 600, bob: 2_400 })
    const configuration = { ...emptyConfiguration, voters: ['ann', 'bob', 'me'] }
    expect(pace.timing(defaultTiming, configuration, 0)).toEqual(scaled(defaultTiming, 4))
    expect(patience({ ann: 600 }), 'two need each other').toBe(600)
    expect(patience({ ann: 100, bob: 600, carl: 2_400 }), 'of four three').toBe(600)
  })

  it('[M5] who is slow itself is patient itself', () => {
    expect(patience({ ann: 2_400, bob: 2_500 })).toBe(2_400)
  })

  it('[M5] a joint change needs both majorities', () => {
    const needs = { ann: 200, bob: 300, carl: 900, dan: 1_200 }
    expect(patience(needs, { voters: ['ann', 'bob', 'me'], outgoing: ['carl', 'dan', 'me'] })).toBe(900)
    expect(patience(needs, { voters: ['carl', 'dan', 'me'], outgoing: ['ann', 'bob', 'me'] })).toBe(900)
  })

  it('[M5] learners are not waited for, and wait for the voters', () => {
    expect(patience({ ann: 100, bob: 100, carl: 2_400 }, { voters: ['ann', 'bob', 'me'], learners: ['carl'] })).toBe(
      founded.electionTicks,
    )
    expect(
      patience({ ann: 300, bob: 900, carl: 2_400 }, { voters: ['ann', 'bob', 'carl'], learners: ['me'] }),
      'its own way to itself is none of them',
    ).toBe(900)
  })

  it('[M5] a link that is not measured counts as the slowest that is', () => {
    expect(patience({ ann: 100, bob: 600, carl: null, dan: null })).toBe(600)
    expect(patience({ ann: null, bob: null }), 'none is: the times of the founding').toBe(founded.electionTicks)
  })
})

describe('[M5] it does not wander', () => {
  let need: number
  const configuration = { ...emptyConfiguration, voters: ['ann', 'me'] }
  const begin = () => new Pace('me', (peerId) => (peerId === 'me' ? null : need))
  /** What it comes to, looked at every 100 ms from then until then. */
  const follow = (pace: Pace, from: number, to: number): number => {
    for (let now = from; now < to; now += 100) pace.timing(defaultTiming, configuration, now)
    return pace.timing(defaultTiming, configuration, to).electionTicks
  }

  const patient = (): Pace => {
    need = 600
    const pace = begin()
    follow(pace, 0, 0)
    return pace
  }

  it('[M5] a little more is not worth it, much more is, at once', () => {
    need = 170
    const pace = begin()
    expect(follow(pace, 0, 60_000)).toBe(150)
    need = 600
    expect(follow(pace, 60_100, 60_100)).toBe(600)
    need = 700
    expect(follow(pace, 60_200, 120_000)).toBe(600)
  })

  it('[M5] a little less is not worth it either, much less is when it has lasted', () => {
    const pace = patient()
    need = 450
    expect(follow(pace, 100, 60_000)).toBe(600)
    need = 300
    expect(follow(pace, 60_100, 63_000)).toBe(600)
    expect(follow(pace, 63_100, 63_100)).toBe(300)
  })

  it('[M5] ... without a word to the contrary', () => {
    const pace = patient()
    need = 160
    follow(pace, 100, 2_900)
    need = 600
    follow(pace, 3_000, 3_000)
    need = 160
    expect(follow(pace, 3_100, 6_000)).toBe(600)
    expect(follow(pace, 6_100, 6_100)).toBe(160)
  })

  it('[M5] and ends at what the room was founded with', () => {
    const pace = patient()
    need = 1
    expect(follow(pace, 100, 3_100)).toBe(150)
  })
})
