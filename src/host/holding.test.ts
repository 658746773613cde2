import { beforeEach, describe, expect, it } from 'vitest'
import type { LockService } from './browser.js'
import { holdWithin } from './holding.js'
import { ManualClock, TestLocks } from './test-locks.js'

let clock: ManualClock
let locks: TestLocks

beforeEach(() => {
  clock = new ManualClock()
  locks = new TestLocks()
})

describe('a wait with a bound', () => {
  it('ends with null, and leaves the queue', async () => {
    const first = await locks.hold('a')
    const waiting = holdWithin(locks, 'a', clock, 50)
    await clock.pass(50)
    expect(await waiting).toBeNull()
    first?.release()
    expect(locks.isHeld('a')).toBe(false)
  })

  it('ends with the lock, and its timer does nothing later', async () => {
    const held = await holdWithin(locks, 'a', clock, 50)
    await clock.pass(100)
    expect(locks.isHeld('a')).toBe(true)
    held?.release()
  })

  it('other errors come through', async () => {
    const broken: LockService = { hold: () => Promise.reject(new Error('SecurityError')) }
    await expect(holdWithin(broken, 'a', clock, 50)).rejects.toThrow('SecurityError')
  })
})
