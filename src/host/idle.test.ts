import { describe, expect, it } from 'vitest'
import { Idle } from './idle.js'
import { TestContext } from './test-context.js'

const after = 5_000

/** A leader that nobody has asked anything for so long, and the round in which it asks whether all agree. */
function offering() {
  const context = new TestContext()
  Object.assign(context.core, { role: 'leader', leader: 'me', currentRound: 7, members: ['ann', 'bob'] })
  const idle = new Idle(context, { after, isWaiting: () => false, woke: () => {} })
  context.wait(after)
  idle.review(300)
  const reply = (from: string, round: number, quiet: boolean) => {
    idle.replied({ type: 'heartbeatReply', from, to: 'me', term: 1, round, ...(quiet && { quiet }) })
    idle.review(300)
  }
  return { context, idle, reply }
}

describe('[M6] a room is idle', () => {
  it('when every member has agreed, and no sooner', () => {
    const { idle, reply } = offering()
    reply('ann', 8, true)
    expect([idle.isOffering, idle.isCalm]).toEqual([true, false])
    reply('bob', 8, true)
    expect(idle.isCalm).toBe(true)
  })

  it('... to that very offer: what somebody agreed to before is no answer', () => {
    const { idle, reply } = offering()
    reply('ann', 8, true)
    reply('bob', 7, true)
    expect(idle.isCalm).toBe(false)
  })

  it('... and not at all if one of them does not: its leader asks no longer, and is as quick as before', () => {
    const { context, idle, reply } = offering()
    reply('ann', 8, true)
    reply('bob', 8, false)
    expect(idle.isCalm).toBe(false)
    context.wait(2_000)
    idle.review(300)
    expect([idle.isOffering, idle.isCalm]).toEqual([false, false])
  })

  it('no longer as soon as a member has a reason', () => {
    const { idle, reply } = offering()
    reply('ann', 8, true)
    reply('bob', 8, true)
    reply('ann', 9, false)
    expect([idle.isOffering, idle.isCalm]).toEqual([false, false])
  })
})

/** A follower of ann, linked to bob too, that has just heard her: as the leader of an idle room, or of one that is awake. */
function following(quiet: boolean) {
  const context = new TestContext()
  Object.assign(context.core, { step: () => {}, stepQuiet: () => true })
  for (const peerId of ['ann', 'bob']) context.linked.set(peerId, { counter: 1, nonce: peerId })
  const idle = new Idle(context, { after, isWaiting: () => false, woke: () => {} })
  const beat = {
    type: 'heartbeat',
    from: 'ann',
    to: 'me',
    term: 1,
    round: 1,
    commitIndex: 0,
    electionTicks: 2_500,
  } as const
  idle.heartbeat({ ...beat, ...(quiet && { quiet }) })
  const follow = (leader: string | null) => {
    context.core.leader = leader
    idle.leaderChanged()
    return context.sent.splice(0)
  }
  return { follow }
}

describe('[M6] who knows that the leader of an idle room is gone', () => {
  it('asks all the others, who would refuse it their votes for as long as they follow: once', () => {
    const { follow } = following(true)
    const wake = { type: 'wake' }
    expect(follow(null)).toEqual([
      { to: 'ann', item: wake },
      { to: 'bob', item: wake },
    ])
    expect(follow(null)).toEqual([])
  })

  it('... but nobody where the room was awake: the others find out as soon', () => {
    const { follow } = following(false)
    expect(follow(null)).toEqual([])
  })

  it('... nor where there is another leader already: also if that one goes before it says that all is quiet', () => {
    const { follow } = following(true)
    expect(follow('bob')).toEqual([])
    expect(follow(null)).toEqual([])
  })
})
