import { describe, expect, it } from 'vitest'
import { defaultTiming } from '../machine/settings.js'
import { emptyConfiguration } from '../raft/entry.js'
import { Tempo, timingOf } from './tempo.js'
import { TestContext } from './test-context.js'

const founded = timingOf(defaultTiming)

/** A leader of three, who are heard within no time. */
function leading() {
  const context = new TestContext()
  const { core } = context
  Object.assign(core, { role: 'leader', leader: 'me', currentRound: 7, confirmedRound: 7 })
  core.configuration = { ...emptyConfiguration, voters: ['me', 'ann', 'bob'] }
  const tempo = new Tempo(context, founded, { after: Number.POSITIVE_INFINITY, isWaiting: () => false, woke: () => {} })
  const settle = () => {
    context.wait(50)
    tempo.settle()
    return core.retimed.at(-1) ?? founded
  }
  /** From now on each of the others takes so long to answer. */
  const slow = (ms: number) => {
    for (const peerId of ['ann', 'bob']) {
      tempo.trips.forget(peerId)
      tempo.trips.sent(peerId, 'ping', context.now.monotonic, context.now.monotonic - ms)
      tempo.trips.answered(peerId, 'ping', context.now.monotonic, context.now.monotonic)
    }
  }
  return { core, settle, slow }
}

describe('[M5] a leader whose links have become slow', () => {
  it('is more patient at once, and its heartbeats come less often only when a quorum knows of it', () => {
    const { core, settle, slow } = leading()
    expect(settle()).toEqual(founded)
    slow(200)
    const told = settle()
    expect(told.electionTicks).toBeGreaterThan(2 * founded.electionTicks)
    expect(told.heartbeatTicks).toBe(founded.heartbeatTicks)
    // The round that was under way said nothing of it yet.
    Object.assign(core, { currentRound: 8, confirmedRound: 7 })
    expect(settle().heartbeatTicks).toBe(founded.heartbeatTicks)
    core.confirmedRound = 8
    expect(settle()).toMatchObject({ electionTicks: told.electionTicks })
    expect(settle().heartbeatTicks).toBeGreaterThan(2 * founded.heartbeatTicks)
  })

  it('... and a quorum that knows of one time-out does not know of the next', () => {
    const { core, settle, slow } = leading()
    slow(200)
    settle()
    core.currentRound = core.confirmedRound = 8
    const before = settle()
    slow(600)
    const told = settle()
    expect(told.electionTicks).toBeGreaterThan(2 * before.electionTicks)
    expect(told.heartbeatTicks).toBe(before.heartbeatTicks)
    core.currentRound = core.confirmedRound = 9
    expect(settle().heartbeatTicks).toBeGreaterThan(2 * before.heartbeatTicks)
  })
})
