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
