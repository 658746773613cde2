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
