import { describe, expect, it } from 'vitest'
import { ClusterClock } from './cluster-clock.js'

const at = (monotonic: number, wall = 0) => ({ monotonic, wall })

describe('[C1] cluster time', () => {
  it('is 0 at founding and grows with the monotonic clock, in whole milliseconds', () => {
    const clock = new ClusterClock(0, at(500))
    expect([clock.at(at(500)), clock.at(at(500.9)), clock.at(at(1_501.2))]).toEqual([0, 0, 1_001])
  })

  it('after a restart goes on from the last entry, the time between counting as none', () => {
    expect(new ClusterClock(12_000, at(3)).at(at(3))).toBe(12_000)
  })

  it('counts from another leader\u2019s entry when it was stored', () => {
    const clock = new ClusterClock(0, at(0))
    clock.stored(5_000, at(100))
    expect(clock.at(at(150))).toBe(5_050)
  })

  it('does not know wall clocks', () => {
    const clock = new ClusterClock(0, at(0, 0))
    expect([clock.at(at(10, 1e12)), clock.at(at(20, -1e12))]).toEqual([10, 20])
  })

  it('never goes back, also if the monotonic clock did', () => {
    const clock = new ClusterClock(100, at(1_000))
    expect(clock.at(at(900))).toBe(100)
  })

  it('is never ahead of real time, whoever led and however long entries took', () => {
    let real = 0
    let last = 0
    for (let leader = 0; leader < 50; leader += 1) {
      const clock = new ClusterClock(last, at(real))
      real += leader * 13.7
      last = clock.at(at(real))
      expect(last).toBeLessThanOrEqual(real)
      real += 3.3
    }
  })
})
