import { beforeEach, describe, expect, it } from 'vitest'
import { lock } from '../machine/test-script.js'
import { emptyConfiguration } from '../raft/entry.js'
import { Departures } from './departures.js'
import { TestContext } from './test-context.js'

const life = (counter: number) => ({ counter, nonce: `nonce ${counter}` })
let context: TestContext
let departures: Departures
let bob: number

beforeEach(() => {
  context = new TestContext()
  bob = context.script.open('bob')
  departures = new Departures(context)
  context.core.configuration = {
    ...emptyConfiguration,
    voters: ['bob', 'me'],
    incarnations: { bob: life(1), me: life(1) },
  }
})

const lead = () => {
  context.core.role = 'leader'
  context.core.leader = 'me'
}
const closes = () => {
  departures.tick()
  return context.taken()
}
const tellings = () => {
  departures.tick()
  return context.sent.splice(0)
}

describe('[L2][M1] what is believed', () => {
  it('a departure is news once', () => {
    expect(departures.note('bob', life(1), 'goodbye', 3)).toBe(true)
    expect(departures.note('bob', life(1), 'death', 3)).toBe(false)
    expect(departures.isGone('bob')).toBe(true)
  })

  it('that of a later life is news again', () => {
    departures.note('bob', life(1), 'goodbye', 3)
    expect(departures.note('bob', life(2), 'goodbye', 3)).toBe(true)
    expect(departures.note('bob', life(1), 'death', 3)).toBe(false)
  })

  it('that of an earlier life than the one that is here says nothing', () => {
    context.linked.set('bob', life(2))
    context.script.close('bob')
    expect(departures.note('bob', life(1), 'goodbye', 3)).toBe(false)
    expect(departures.isGone('bob')).toBe(false)
    expect(departures.note('bob', life(2), 'goodbye', 3)).toBe(true)
  })

  it.each(['before', 'after'])(
    '[L4] ... but that its session has to end, for a node that was reopened opens none: here %s the proof came',
    (when) => {
      const reopened = () => context.linked.set('bob', life(2))
      if (when === 'before') reopened()
      expect(departures.note('bob', life(1), 'death', 0)).toBe(true)
      if (when === 'after') reopened()
      expect(departures.isGone('bob')).toBe(false)
      expect(departures.isOver({ peerId: 'bob', incarnation: life(2) })).toBe(false)
      context.core.leader = 'bob'
      expect(tellings()).toMatchObject([{ to: 'bob', item: { type: 'departed', peerId: 'bob', incarnation: life(1) } }])
    },
  )

  it('a later life that shows itself takes it back, the same one does not', () => {
    departures.note('bob', life(1), 'goodbye', 3)
    context.linked.set('bob', life(1))
    expect(departures.isGone('bob')).toBe(true)
    context.linked.set('bob', life(2))
    expect(departures.isGone('bob')).toBe(false)
  })

  it('[L4] ... and is remembered where nothing is known yet of the session that it has to end', () => {
    context.linked.set('cat', life(2))
    expect(departures.note('cat', life(1), 'death', 0)).toBe(false)
    context.script.open('cat')
    context.core.leader = 'cat'
    expect(tellings()).toMatchObject([{ to: 'cat', item: { type: 'departed', incarnation: life(1) } }])
  })

  it('[M1] that life is over from then on, a later one is not', () => {
    departures.note('bob', life(2), 'goodbye', 3)
    const lives = [1, 2, 3].map((counter) => departures.isOver({ peerId: 'bob', incarnation: life(counter) }))
    expect(lives).toEqual([true, true, false])
  })

  it('[M4] of a joint configuration both halves are told of', () => {
    context.core.configuration = { ...context.core.configuration, voters: ['cat', 'me'], outgoing: ['dan', 'me'] }
    departures.note('dan', life(1), 'death', 0)
    expect(tellings().map(({ item }) => item)).toMatchObject([{ type: 'departed', peerId: 'dan' }])
  })

  it('[F2] a member whose configuration knows a later life is not gone', () => {
    departures.note('bob', life(1), 'goodbye', 3)
    context.core.configuration = { ...context.core.configuration, incarnations: { bob: life(2) } }
    expect(departures.isGone('bob')).toBe(false)
  })
})

describe('the leader', () => {
  beforeEach(lead)

  it('closes the session of that life, and again only after a while', () => {
    departures.note('bob', life(1), 'goodbye', 0)
    expect(closes()).toEqual([{ type: 'close', peerId: 'bob', incarnation: life(1) }])
    context.wait(299)
    expect(closes()).toEqual([])
    context.wait(1)
    expect(closes()).toHaveLength(1)
  })

  it.each([
    ['death', 2, { proof: 'death' }],
    ['goodbye', 2, {}],
    ['death', 1, {}],
  ] as const)(
    '[L2][F5] says of a %s that it was one, in a room of version %i, as far as that can be said',
    (how, version, said) => {
      if (version > 1) context.script.raise(version)
      departures.note('bob', life(1), how, 0)
      expect(closes()).toEqual([{ type: 'close', peerId: 'bob', incarnation: life(1), ...said }])
    },
  )

  it('and stops when it is closed', () => {
    departures.note('bob', life(1), 'goodbye', 0)
    context.commit(() => {})
    context.core.configuration = emptyConfiguration
    context.script.close('bob')
    context.wait(1_000)
    expect(closes()).toEqual([])
  })

  it('leaves the session of a later life alone', () => {
    context.script.open('bob', 2)
    departures.note('bob', life(1), 'goodbye', 0)
    context.wait(1_000)
    expect(closes()).toEqual([])
  })

  it('[M1] waits a heartbeat for commands that the goodbye names and that have not come', () => {
    context.script.send(bob, lock('a'))
    departures.note('bob', life(1), 'goodbye', 2)
    expect(closes()).toEqual([])
    context.wait(49)
    expect(closes()).toEqual([])
    context.script.send(bob, lock('b'))
    expect(closes()).toHaveLength(1)
  })

  it('[M1] and no longer than that', () => {
    departures.note('bob', life(1), 'goodbye', 2)
    context.wait(50)
    expect(closes()).toHaveLength(1)
  })

  it('closes nothing before it has committed in its term', () => {
    context.core.committedInTerm = false
    departures.note('bob', life(1), 'goodbye', 0)
    expect(closes()).toEqual([])
    context.core.committedInTerm = true
    expect(closes()).toHaveLength(1)
  })
})

describe('everybody else', () => {
  it('tells the leader, and again until its traces are gone', () => {
    departures.note('bob', life(1), 'death', 7)
    const item = { type: 'departed', peerId: 'bob', incarnation: life(1), proof: 'death', lastNumber: 7 }
    expect(tellings()).toEqual([{ to: 'ann', item }])
    context.wait(299)
    expect(tellings()).toEqual([])
    context.wait(1)
    expect(tellings()).toHaveLength(1)
    context.core.configuration = emptyConfiguration
    context.script.close('bob')
    context.wait(1_000)
    expect(tellings()).toEqual([])
  })

  it('tells a new leader at once', () => {
    departures.note('bob', life(1), 'goodbye', 7)
    tellings()
    departures.leaderChanged()
    context.core.leader = 'cid'
    expect(tellings()).toMatchObject([{ to: 'cid' }])
  })

  it('tells nobody while there is no leader, and not the departed itself', () => {
    departures.note('bob', life(1), 'goodbye', 7)
    context.core.leader = null
    expect(tellings()).toEqual([])
    context.core.leader = 'bob'
    expect(tellings()).toEqual([])
    context.core.leader = 'ann'
    expect(tellings()).toHaveLength(1)
  })

  it('a learner that is gone is told of too, without a session', () => {
    context.core.configuration = { ...emptyConfiguration, learners: ['cid'], incarnations: { cid: life(1) } }
    departures.note('cid', life(1), 'death', 0)
    expect(tellings()).toHaveLength(1)
  })

  it('is forgotten a minute after its last trace', () => {
    departures.note('nobody', life(1), 'goodbye', 0)
    context.wait(60_001)
    departures.tick()
    expect(departures.note('nobody', life(1), 'goodbye', 0)).toBe(true)
  })
})
